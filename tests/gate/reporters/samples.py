"""Reports in a few words."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from app.gate.report.model import (
    CheckEntry,
    FindingEntry,
    GraphEntry,
    Report,
    RevisionEntry,
    StatementEntry,
    StepEntry,
    TargetEntry,
    Tool,
)
from app.gate.report.verdict import Outcome, Severity, Verdict


def finding(message: str = "Something is wrong.", **fields: Any) -> FindingEntry:
    """An error of `round-trip` in revision a1, at versions/a1.py:20."""
    return FindingEntry(
        **{
            "check": "round-trip",
            "severity": Severity.ERROR,
            "revision": "a1",
            "path": "versions/a1.py",
            "line": 20,
            "fingerprint": "0123456789abcdef0123456789abcdef",
            **fields,
            "message": message,
        }
    )


def report(*findings: FindingEntry, verdict: Verdict | None = None, **fields: Any) -> Report:
    """A run over the revisions a1 and b2 that ended with those findings."""
    errors = any(each.severity is Severity.ERROR and each.allowed is None for each in findings)
    return Report(
        **{
            "verdict": verdict or (Verdict.FAIL if errors else Verdict.PASS),
            "tool": Tool(name="overproof", version="0.1.0"),
            "target": TargetEntry(command=["alembic", "upgrade", "head"]),
            "postgres": "18.6",
            "alembic": "1.20.1",
            "sqlalchemy": "2.1.9",
            "started_at": datetime(2026, 11, 22, 12, 0, tzinfo=UTC),
            "duration_ms": 1234.5,
            "graph": GraphEntry(
                heads=["b2"],
                bases=["a1"],
                revisions=[
                    RevisionEntry(revision="a1", message="create orders", path="versions/a1.py"),
                    RevisionEntry(revision="b2", message="add note", path="versions/b2.py", down_revisions=["a1"]),
                ],
            ),
            "checks": checks(findings),
            "steps": [
                StepEntry(
                    revision="b2",
                    direction="upgrade",
                    duration_ms=1.5,
                    statements=[
                        StatementEntry(
                            sql="ALTER TABLE orders ADD note text",
                            duration_ms=1.0,
                            locks=[{"table": "public.orders", "mode": "AccessExclusiveLock"}],
                        )
                    ],
                    changes=["adds column orders.note"],
                )
            ],
            **fields,
            "findings": list(findings),
        }
    )


def checks(findings: Sequence[FindingEntry]) -> list[CheckEntry]:
    found = {each.check for each in findings}
    return [
        CheckEntry(id="upgrade", outcome=Outcome.FAIL if "upgrade" in found else Outcome.PASS, duration_ms=0.5),
        CheckEntry(id="round-trip", outcome=Outcome.FAIL if "round-trip" in found else Outcome.PASS),
        CheckEntry(id="schema-drift", outcome=Outcome.SKIPPED, reason="the project has no metadata"),
    ]


# What a project may write into a message, a name or its SQL, to get at whoever reads the report.
ATTACKS = (
    "\x1b[2J\x1b]0;owned\x07",
    "\x9b31m",
    "a\r\n::error file=x::owned",
    "  ::add-mask::x",
    "##[add-mask]x",
    "::set-output name=x::y",
    "\u202egnp.exe",
    "a\u2028b\u0085c",
    "\ud800",
    "</script><script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    "[click](javascript:alert(1))",
    "![](https://example.org/pixel.png)",
    "`` ` ``` code",
    "| a | b |\n| - | - |",
    "\\| bar \\\\| bar",
    "# heading\n- item\n1. one\n> quote\n---",
    "```\nout of the fence\n```",
    "~~~",
    "]]><x/>",
    "&amp; &#x1b; %0A%25",
    "@everyone #12",
    "*bold* _it_ ~~gone~~ $x^2$ <b>",
    "\x00\x08\x0b\x0c\ufffe\uffff",
)
