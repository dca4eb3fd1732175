"""Reports whose pages are looked at: a small one, and one as large as a page must stand."""

from __future__ import annotations

from typing import Any

from app.gate.report.model import Report
from tests import factories

REVISIONS, FINDINGS = 600, 2_000
ALTER = "ALTER TABLE orders ALTER COLUMN total TYPE BIGINT"


def small_report() -> dict[str, Any]:
    return failed([rewrite("public.orders", "0c9e6f5d2b7a4413")], ["a1", "b2"], steps=steps_of("b2"))


def large_report() -> dict[str, Any]:
    """As the gate writes one of a history that is judged for the first time: findings of most revisions, three steps of each."""
    names = [f"r{number}" for number in range(REVISIONS)] + ["b2"]
    found = [
        rewrite(f"public.t{number}", f"f{number}", names[number * len(names) // FINDINGS]) for number in range(FINDINGS)
    ]
    report = failed(found, names, steps=[step for name in names for step in steps_of(name)])
    written: dict[str, Any] = Report.model_validate(report).model_dump(mode="json")
    return written


def steps_of(revision: str) -> list[dict[str, Any]]:
    """Up, down and up again."""
    statement = {
        "sql": ALTER,
        "duration_ms": 2.0,
        "locks": [{"table": "public.orders", "mode": "AccessExclusiveLock"}],
        "rewrites": ["public.orders"],
    }
    return [
        {"revision": revision, "direction": direction, "duration_ms": 3.0, "statements": [statement], "changes": ["x"]}
        for direction in ("upgrade", "downgrade", "upgrade")
    ]


def rewrite(name: str, fingerprint: str, revision: str = "b2") -> dict[str, Any]:
    lines = ["def upgrade():", *(f"    # line {number}" for number in range(5)), "    op.alter_column('orders')"]
    return factories.finding(
        check="table-rewrite",
        revision=revision,
        object=name,
        fingerprint=fingerprint,
        path=f"versions/{revision}.py",
        line=7,
        excerpt={"first_line": 1, "lines": lines},
        detail=ALTER,
        help="Add a column:\n\n    op.add_column('orders', sa.Column('total_new', sa.BigInteger))",
    )


def failed(found: list[dict[str, Any]], names: list[str], **parts: Any) -> dict[str, Any]:
    history = [
        factories.revision(name, *names[max(0, place - 1) : place], message="a change")
        for place, name in enumerate(names)
    ]
    return {
        **factories.proof(*history, findings=found, **parts),
        "checks": [{"id": "table-rewrite", "outcome": "fail"}],
    }
