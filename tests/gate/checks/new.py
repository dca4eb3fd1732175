"""`python -m tests.gate.checks.new blocking-vacuum`: writes the stubs of a new check, and says what is left to do.

Run it at the root of the repository. Its tests are red until the rule is written.
"""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from string import Template

REGISTRY = Path("app/gate/checks/registry.py")
ADVICE = Path("tests/gate/checks/test_advice.py")
DOCUMENTATION = Path("docs/checks")

RULE = Template('''\
"""TODO: one line that says what is wrong.

Catches
    TODO: what PostgreSQL did that the check reports.

Why it hurts
    TODO: who waits, loses or breaks something, and for how long.

How to fix
    TODO: what to write instead::

        op.execute("SELECT 1")

Stays quiet when
    TODO: each case that looks alike and is harmless.
"""

from __future__ import annotations

from collections.abc import Iterator

from app.gate.checks.base import Check, Finding
from app.gate.checks.support.locks import upgrades
from app.gate.recording.model import Recording
from app.gate.report.verdict import Severity


def examine(recording: Recording) -> Iterator[Finding]:
    for _revision, _step, _new_in_branch in upgrades(recording):
        yield from ()


CHECK = Check(id="$id", severity=Severity.WARNING, examine=examine)
''')

UNIT_TEST = Template('''\
"""TODO: one line that says what is wrong."""

from __future__ import annotations

from app.gate.checks.$module import examine
from tests.gate.checks.builders import recording, statement, trip


def test_the_finding_names_what_is_affected():
    [finding] = examine(recording(trip("a1", statements=[statement("SELECT 1", line=12)])))

    assert finding.message == "TODO"
    assert (finding.revision, finding.object, finding.line) == ("a1", "public.orders", 12)


def test_stays_quiet_when_nothing_happens():
    assert list(examine(recording(trip("a1")))) == []
''')

SCRIPT = Template('''\
"""$title"""

from alembic import op

revision = "b2"
down_revision = "a1"


def upgrade():
    op.execute("SELECT 1")


def downgrade():
    op.execute("SELECT 1")
''')

LEFT_TO_DO = Template("""\
Written:
$written

Left to do:
- replace every TODO, and write `examine`; `needs=` says what must be observed for it
- one test for the finding, and one for each "Stays quiet when"
- in `bad`, a revision with the finding and no other; in `good`, the fix from the docstring
- the example in test_advice.py: what the block of code under "How to fix" replaces
- $command, after each change of the docstring
- for a hazard, a labelled migration in tests/gate/hazards
""")


class CannotWrite(Exception):
    """Why no check of that name can be added."""


def write_check(name: str, root: Path) -> list[Path]:
    """Add the check to the repository at `root`. Returns the files that are new or changed. Raises CannotWrite."""
    if not re.fullmatch(r"[a-z]+(-[a-z]+)*", name):
        raise CannotWrite(f"{name!r} is no id of a check: words in lower case, with hyphens between them")
    module = name.replace("-", "_")
    words = {"id": name, "module": module}
    project = Path("tests/gate/checks/projects") / module
    files = {
        Path("app/gate/checks") / f"{module}.py": RULE.substitute(words),
        Path("tests/gate/checks") / f"test_{module}.py": UNIT_TEST.substitute(words),
        project / "bad/versions/b2_bad.py": SCRIPT.substitute(title="what the check finds"),
        project / "good/versions/b2_good.py": SCRIPT.substitute(title="the same, as the docstring says to fix it"),
    }
    if there := [str(path) for path in files if (root / path).exists()]:
        raise CannotWrite(f"there is already {', '.join(there)}")
    for path, text in files.items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text(text)
    _register(root / REGISTRY, module)
    _add_example(root / ADVICE, name)
    return [*files, REGISTRY, ADVICE]


def _register(path: Path, module: str) -> None:
    """The import, in the order of the alphabet, and the check at the end of ALL_CHECKS, which is the order of reports."""
    text = path.read_text()
    imports = re.search(r"(?<=from app\.gate\.checks import \(\n)(?:    \w+,\n)+", text)
    end = re.search(r"(?<=\n)\)\n", text[text.index("ALL_CHECKS") :])
    if imports is None or end is None:
        raise CannotWrite(f"{path} does not look as expected")
    at = text.index("ALL_CHECKS") + end.start()
    text = f"{text[:at]}    {module}.CHECK,\n{text[at:]}"
    lines = sorted([*imports[0].splitlines(), f"    {module},"])
    path.write_text(text.replace(imports[0], "\n".join(lines) + "\n", 1))


def _add_example(path: Path, name: str) -> None:
    text = path.read_text()
    last = '    "allowance": [ALLOWANCE],\n'
    if last not in text:
        raise CannotWrite(f"{path} does not look as expected")
    path.write_text(text.replace(last, f'    "{name}": [Example(bad=sql("SELECT 1"))],\n{last}', 1))


def main(arguments: Sequence[str]) -> int:
    if len(arguments) != 1:
        print("usage: python -m tests.gate.checks.new NAME-OF-THE-CHECK", file=sys.stderr)
        return 2
    root = Path.cwd()
    try:
        written = write_check(arguments[0], root)
    except (CannotWrite, OSError) as error:
        print(error, file=sys.stderr)
        return 2
    explain = ["explain", "--format", "markdown", "--output", str(DOCUMENTATION)]
    subprocess.run([sys.executable, "-m", "app", *explain], cwd=root, check=True)
    written += [DOCUMENTATION / f"{arguments[0]}.md", DOCUMENTATION / "README.md"]
    lines = "\n".join(f"- {path}" for path in written)
    print(LEFT_TO_DO.substitute(written=lines, command=f"`overproof {' '.join(explain)}`"), end="")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
