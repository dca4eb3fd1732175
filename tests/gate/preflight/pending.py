"""A report on three revisions, of which the last two are pending on a database that is at the first."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from app.gate.recording.model import Key
from app.gate.recording.serialization import object_entry
from app.gate.report.model import GraphEntry, JudgedEntry, Report, RevisionEntry
from app.gate.report.verdict import Verdict
from tests.gate.preflight.reports import step
from tests.gate.reporters import samples

SQL = "SELECT 1 FROM orders WHERE note IS NULL"
ORDERS = Key("table", "public", "orders", "")
NOTE = Key("column", "public", "note", "orders")
INDEX = Key("index", "public", "ix_note", "orders")
LINES = Key("table", "public", "lines", "")
STRONG = ("public.orders", "AccessExclusiveLock")


def revision(
    name: str, *parents: str, made: Sequence[Key] = (), changed: Mapping[Key, Any] | None = None, **fields: Any
) -> RevisionEntry:
    """It makes some objects, and changes others, which were so before."""
    replaced = [
        *(object_entry(key, None) for key in made),
        *(object_entry(key, old) for key, old in (changed or {}).items()),
    ]
    return RevisionEntry(
        **{"revision": name, "message": f"do {name}", "down_revisions": [*parents], "replaced": replaced, **fields}
    )


A1 = revision("a1", made=[ORDERS])
B2 = revision("b2", "a1", made=[NOTE])
C3 = revision("c3", "b2", made=[INDEX], changed={ORDERS: {"comment": "x"}})
STEPS = [
    step(
        "b2",
        "ALTER TABLE orders ADD note text",
        STRONG,
        ("public.orders", "ShareLock"),
        ("public.small", "AccessShareLock"),
    ),
    step("c3", "CREATE INDEX CONCURRENTLY …", rewrites=["public.orders"], scans=["public.orders", "public.gone"]),
]


def report(*findings: Any, revisions: Sequence[RevisionEntry] = (A1, B2, C3), **fields: Any) -> Report:
    names = [each.revision for each in revisions]
    return samples.report(
        *findings,
        **{
            "graph": GraphEntry(heads=names[-1:], bases=names[:1], revisions=[*revisions]),
            "judged": JudgedEntry(revisions=names),
            "steps": STEPS,
            "verdict": Verdict.PASS,
            **fields,
        },
    )
