from __future__ import annotations

import ast
import hashlib
from pathlib import Path

import pytest

from app.gate.history.scripts import _function, digest_content, read_script
from app.gate.recording.model import Body
from tests.gate.projects import script

SCRIPT = script("b2", "a1", 'op.execute("DELETE FROM orders")', 'op.execute("SELECT 1")')

# Of syntax that `ast` has told of in other ways from version to version.
VARIOUS = """
def upgrade():
    name, width = "x", 10
    op.execute(f"UPDATE {name!r:>{width}} SET a = '{{}}' {name=}" "tail" f"{name}" f"" f"{name:}" f"a{name:{1}.{2}f}b")
    op.add_column("o", sa.Column("n", sa.Text(), **{"a": 1, **{}}), *[1, 2])
    match name:
        case {"a": [x, *_]}:
            pass
    class K:
        pass
    async def g(a, /, b=1, *, c, d=2):
        await a
    lambda q: (1j, b"\\x00", -1.5, ..., "\u00e9\\ud800")
"""


def digest(text: str) -> str:
    return digest_content(ast.parse(text))


@pytest.mark.parametrize(
    "other",
    [
        "# overproof: allow data-loss: nobody reads them\n\n" + SCRIPT,
        SCRIPT.replace('"DELETE FROM orders"', "\n        'DELETE '\n        'FROM orders',\n    "),
        SCRIPT.replace('"""b2."""', '"""Empty the orders.\n\nRevises: z9\n"""'),
        SCRIPT.replace("def upgrade():", 'def upgrade():\n    """Empty the orders."""'),
        SCRIPT.replace("down_revision = 'a1'", "down_revision: str | None = ('z9', 'y8')\ndepends_on = 'x7'"),
    ],
    ids=["comment", "layout", "title", "docstring", "rebase"],
)
def test_the_content_of_a_script_survives(other: str) -> None:
    assert other != SCRIPT
    assert digest(other) == digest(SCRIPT)


@pytest.mark.parametrize(
    "other",
    [
        SCRIPT.replace("DELETE FROM orders", "DELETE FROM users"),
        SCRIPT.replace("op.execute", "op.f", 1),
        SCRIPT.replace("def upgrade():", "def upgrade():\n    down_revision = 1"),
        SCRIPT + "\nCHUNK = 100\n",
    ],
)
def test_a_script_that_does_something_else_has_other_content(other: str) -> None:
    assert digest(other) != digest(SCRIPT)


def test_each_version_of_python_has_the_same_to_say_of_a_script() -> None:
    assert digest(VARIOUS) == "a411e215045530baad79f72b78be9128e014d5b886b5ed58ecb8b59debafd922"


def test_a_number_or_a_sum_however_long_is_content() -> None:
    assert digest("x = 0x" + "f" * 6000) != digest("x = 0x" + "f" * 6001)
    assert digest("x = " + " + ".join(["1"] * 900)) != digest("x = " + " + ".join(["1"] * 901))


def test_the_bytes_of_a_script_that_cannot_be_parsed_are_its_content(tmp_path: Path) -> None:
    path = tmp_path / "a1.py"
    path.write_text("def upgrade(:")

    assert read_script(path, {}).content_digest == hashlib.sha256(b"def upgrade(:").hexdigest()


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        ("pass", Body.EMPTY), ("...", Body.EMPTY), ("'Nothing.'", Body.EMPTY), ("return", Body.EMPTY), ("return None", Body.EMPTY),
        ("'Nothing.'; pass; return", Body.EMPTY), ("raise NotImplementedError", Body.RAISES), ("'No.'; raise NotImplementedError()", Body.RAISES),
        ("return 1", Body.PRESENT), ("return other()", Body.PRESENT), ("op.drop_table('t')", Body.PRESENT), ("x = 1", Body.PRESENT),
        ("if x: raise ValueError", Body.PRESENT), ("op.execute('x'); raise ValueError", Body.PRESENT),
    ],
)  # fmt: skip
def test_a_function_is_empty_raises_or_does_something(body: str, kind: Body) -> None:
    text = "x = 1\ndef downgrade():" + (f"\n    {body}" if body.startswith("if") else f" {body}")

    assert _function(ast.parse(text), "downgrade") == (2, kind)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("if x:\n    def downgrade(): pass", (2, Body.PRESENT)),
        ("from common import downgrade", (None, Body.PRESENT)),
        ("from common import undo as downgrade", (None, Body.PRESENT)),
        ("from common import *", (None, Body.PRESENT)),
        ("from common import downgrade as undo", (None, Body.MISSING)),
        ("x = 1\ndowngrade = upgrade", (2, Body.PRESENT)),
        ("upgrade = downgrade", (None, Body.MISSING)),
        ("def upgrade(): pass", (None, Body.MISSING)),
    ],
)
def test_a_function_may_come_from_elsewhere(text: str, found: tuple[int | None, Body]) -> None:
    assert _function(ast.parse(text), "downgrade") == found
