"""What each reporter makes of three reports, to the letter: `whole/failing.md` and so on.

After a change that is meant, this rewrites the files, and the commit shows what has become of them::

    python -m tests.gate.reporters.test_whole_reports
"""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest

from app.gate.report.model import (
    AssumptionEntry,
    CheckEntry,
    DeployedEntry,
    Excerpt,
    GraphEntry,
    JudgedEntry,
    Report,
    RevisionEntry,
    StatementEntry,
    StepEntry,
    TargetEntry,
)
from app.gate.report.verdict import CODE_STARTS_LATER, NOT_SELECTED, Outcome, Severity, Verdict
from app.gate.reporters import FORMATS, renderer_for, text
from tests.gate.reporters.samples import finding, report

WHOLE = Path(__file__).with_name("whole")
ENDINGS = {"text": "txt", "markdown": "md", "github": "github.txt", "gitlab": "gitlab.json", "junit": "xml"}


def failing() -> Report:
    """All that a pull request can be told: findings of each severity and place, accepted ones, effects, what is not judged."""
    advice = (
        "Build it apart:\n\n    with op.get_context().autocommit_block():\n        op.create_index()\n\nThen go on."
    )
    excerpt = Excerpt(first_line=9, lines=["def upgrade() -> None:", '    op.create_index("ix_a", "orders")'])
    return report(
        finding("Writes to `orders` wait.", object="public.orders", line=10, excerpt=excerpt, detail="SELECT 1", help=advice),
        finding("So do those to `items`.", check="retired", object="public.items", severity=Severity.WARNING, help=advice),
        finding("Once more.", revision="b2", path="../b2.py", severity=Severity.WARNING, help=advice, line=None),
        finding(
            "Rows may be in the way.",
            revision="b2",
            path="versions/b2.py",
            severity=Severity.WARNING,
            help="See which:\n\n    SELECT 2",
            assumption=AssumptionEntry(sql="SELECT 2"),
        ),
        finding("One line\nis enough [here](x).", severity=Severity.NOTICE, revision="gone", path=None, line=None, help="No."),
        finding("The history\nis long.", revision=None, path=None, line=None, detail="a\n  b"),
        finding("Not so bad.", check="upgrade", revision="b2", allowed="two\nreasons: `a` and b"),
        finding("Nor this.", revision=None, path=None, allowed="for good"),
        finding("Nor that.", allowed="in the baseline b.json"),
        finding("Nor those.", allowed="in the baseline a.json"),
        target=TargetEntry(
            command=["alembic", "-x", "name=a b", "upgrade", "head"], script_location="migrations", commit="0123456789abcdef"
        ),
        judged=JudgedEntry(base="origin/main", commit="fedcba9876543210", revisions=["a1", "b2"]),
        deployed=DeployedEntry(source="sizes.json", taken_at="2026-11-01", revisions=["a1"], small_table_rows=100),
        not_covered=["pgcrypto is a stand-in", "<b> is not tried"],
        graph=GraphEntry(
            heads=["b2"],
            bases=["a1"],
            revisions=[
                RevisionEntry(revision="a1", message="create orders", path="versions/a1.py"),
                RevisionEntry(
                    revision="b2", message="add | note", path="versions/b2.py", down_revisions=["a1"], branch_labels=["shop"]
                ),
                RevisionEntry(revision="c3", path="versions/c3.py", new=False, depends_on=["b2"]),
            ],
        ),
        checks=[
            CheckEntry(id="upgrade", outcome=Outcome.PASS, reason="b2 was cut short", duration_ms=0.5),
            CheckEntry(id="offline-sql", outcome=Outcome.SKIPPED, reason=NOT_SELECTED),
            CheckEntry(id="round-trip", outcome=Outcome.FAIL, duration_ms=1500),
            CheckEntry(id="schema-drift", outcome=Outcome.SKIPPED, reason="the project has no\nmetadata"),
            CheckEntry(id="early-code", outcome=Outcome.SKIPPED, reason=CODE_STARTS_LATER),
        ],
        steps=[
            StepEntry(revision="a1", direction="downgrade", duration_ms=9, changes=["drops table orders"]),
            StepEntry(revision="a1", direction="upgrade", duration_ms=2.5, changes=["adds `orders`"], rows={"public.orders": 8}),
            StepEntry(
                revision="b2",
                direction="upgrade",
                duration_ms=1500,
                changes=["adds column orders.note", "adds index ix_a"],
                statements=[
                    StatementEntry(
                        sql="ALTER TABLE orders ADD note text",
                        duration_ms=1.0,
                        locks=[
                            {"table": "public.orders", "mode": "AccessExclusiveLock"},
                            {"table": "public.items", "mode": "RowExclusiveLock"},
                        ],
                        rewrites=["public.orders"],
                    ),
                    StatementEntry(
                        sql="CREATE INDEX\nix_a ON items (note)",
                        duration_ms=20,
                        locks=[
                            {"table": "public.items", "mode": "ShareLock"},
                            {"table": "public.orders", "mode": "AccessExclusiveLock"},
                        ],
                        scans=["public.items", "public.old"],
                    ),
                    StatementEntry(
                        sql="VACUUM",
                        duration_ms=1.25,
                        locks=[{"table": "public.old", "mode": "ShareUpdateExclusiveLock"}],
                        transactional=False,
                    ),
                ],
            ),
            StepEntry(revision="b2", direction="upgrade", duration_ms=3, changes=["once more"]),
        ],
    )  # fmt: skip


def passing() -> Report:
    """Nothing is wrong, nothing is new, and nothing else is known."""
    history = GraphEntry(heads=["a1"], bases=["a1"], revisions=[RevisionEntry(revision="a1", new=False)])
    return report(
        graph=history,
        judged=JudgedEntry(base="main", commit="fedcba9876543210", revisions=["a1"]),
        deployed=DeployedEntry(source="production", small_table_rows=100),
        checks=[CheckEntry(id="upgrade", outcome=Outcome.PASS)],
        steps=[],
        postgres=None,
        alembic=None,
        sqlalchemy="2.1.9",
    )


def broken() -> Report:
    """Nothing could be verified."""
    return report(
        verdict=Verdict.ERROR, reason="there is no\nserver [here](x)", graph=GraphEntry(), checks=[], steps=[]
    )


def shown(sample: Report) -> dict[str, str]:
    """{"md": …}: the contents of a file by its ending."""
    files = {ENDINGS.get(name, name): renderer_for(name)(sample) for name in FORMATS if name != "json"}
    # The style sheet is a file of ours as it is, and the documentation of a check is its docstring.
    files["html"] = re.sub(r"(?s)<style>.*</style>|'sha256-[^']+'", "", files["html"])
    described = r'(?m)^ +"(?:short|full)Description": {\n.*\n +},\n|^ +"help": {\n.*\n +},\n'
    files["sarif"] = re.sub(described, "", files["sarif"])
    return files | {
        "quiet.txt": text.render(sample, -1),
        "verbose.txt": text.render(sample, 1),
        "findings.txt": text.render_findings(sample),
    }


SAMPLES = (failing, passing, broken)


@pytest.mark.parametrize("sample", SAMPLES)
def test_each_format_is_what_it_was(sample: Callable[[], Report]) -> None:
    kept = {path.name.partition(".")[2]: path.read_text("utf-8") for path in WHOLE.glob(f"{sample.__name__}.*")}

    assert shown(sample()) == kept


@pytest.mark.parametrize("name", ["nonsense", "escaping", "html.page"])
def test_there_is_no_other_format(name: str) -> None:
    with pytest.raises(KeyError, match=name):
        renderer_for(name)


if __name__ == "__main__":
    for each in SAMPLES:
        for ending, contents in shown(each()).items():
            (WHOLE / f"{each.__name__}.{ending}").write_text(contents, "utf-8")
