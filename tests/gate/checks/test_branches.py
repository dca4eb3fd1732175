"""What all checks of a kind have in common: which revisions of a branch they judge, and what they say where nothing was observed."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace

import pytest

from app.gate.checks.base import Check, CheckSkipped
from app.gate.checks.registry import ALL_CHECKS, get_check
from app.gate.recording.model import (
    Direction,
    Divergence,
    Failure,
    Loss,
    LossKind,
    Populated,
    Recording,
    RoundTrip,
    RowKind,
    Step,
)
from tests.gate.checks.builders import (
    added,
    drift,
    failure,
    key,
    recording,
    removed,
    revision,
    snapshot,
    statement,
    trip,
    unregistered,
)

NULLS = failure('column "note" of relation "orders" contains null values', sqlstate="23502", table="public.orders")
LOSS = Loss("public.orders", "note", LossKind.VALUES_REMOVED, 5, 6, "note-1")
EXCLUSIVE = {"orders": "AccessExclusiveLock"}
SHARE = {"orders": "ShareLock"}


def over_rows(name: str, failed: Failure | None = None, *losses: Loss) -> RoundTrip:
    step = Step(name, Direction.UPGRADE, 1.0, failure=failed)
    return replace(trip(name), populated=Populated(step, RowKind.ORDINARY, {"public.orders": 6}, losses))


def doing(*statements: object) -> Callable[[str], RoundTrip]:
    return lambda name: trip(name, statements=statements)  # type: ignore[arg-type]


# A revision in which each check finds something.
CULPRITS: dict[str, Callable[[str], RoundTrip]] = {
    "populated-upgrade": lambda name: over_rows(name, NULLS),
    "data-loss": lambda name: over_rows(name, None, LOSS),
    "breaking-change": lambda name: trip(name, changes=[removed(key("column", f"of_{name}", "orders"), type="text")]),
    "blocking-index": doing(statement("CREATE INDEX ix ON orders (note)", locks=SHARE, index_builds=["orders"])),
    "blocking-scan": doing(statement("ALTER TABLE orders ADD CHECK (true)", locks=EXCLUSIVE, scans=["orders"])),
    "table-rewrite": doing(statement("ALTER TABLE orders SET LOGGED", locks=EXCLUSIVE, rewrites=["orders"])),
    "lock-timeout": doing(statement("ALTER TABLE orders ADD a int", locks=EXCLUSIVE, lock_timeout_ms=0)),
    "lock-pileup": doing(
        statement("ALTER TABLE orders ADD a int", locks=EXCLUSIVE),
        statement("ALTER TABLE users ADD CHECK (true)", locks={"users": "AccessExclusiveLock"}, scans=["users"]),
    ),
}


@pytest.mark.parametrize("check", CULPRITS)
def test_a_new_revision_is_judged_and_an_old_one_is_not_whatever_comes_first(check: str) -> None:
    culprit = CULPRITS[check]
    scripts = [revision("a1", is_new=False), revision("b2", "a1"), revision("c3", "b2", is_new=False)]

    findings = list(get_check(check).examine(recording(*map(culprit, ("a1", "b2", "c3")), revisions=scripts)))

    assert [finding.revision for finding in findings] == ["b2"]


@pytest.mark.parametrize(
    "check", ["blocking-index", "blocking-scan", "table-rewrite", "lock-timeout", "breaking-change"]
)
@pytest.mark.parametrize("table", ["orders", "notes"])
def test_in_a_branch_a_table_of_an_earlier_revision_is_left_alone_and_an_older_one_is_not(
    check: str, table: str
) -> None:
    earlier = trip("b2", changes=[added(key("table", "notes"))])
    one = CULPRITS[check]("c3")
    assert one.up is not None
    statements = tuple(
        statement(
            each.sql.replace("orders", table),
            locks={name.replace("orders", table): modes for name, modes in each.locks.items()},
            lock_timeout_ms=each.lock_timeout_ms,
            **{
                name: [found.replace("orders", table) for found in getattr(each, name)]
                for name in ("rewrites", "scans", "index_builds")
            },
        )
        for each in one.up.statements
    )
    changes = [replace(each, key=each.key._replace(table=table)) for each in one.up.changes]
    scripts = [revision("a1", is_new=False), revision("b2", "a1"), revision("c3", "b2")]

    findings = list(
        get_check(check).examine(
            recording(trip("a1"), earlier, trip("c3", statements=statements, changes=changes), revisions=scripts)
        )
    )

    assert len(findings) == (table == "orders")


# What each check cannot do without, by the name of the field that would hold it.
FIELDS = {
    "populated-upgrade": ["populated"],
    "data-loss": ["populated"],
    "model-drift": ["drift"],
    "schema-drift": ["head", "models"],
    "unregistered-models": ["unregistered"],
    "offline-sql": ["offline"],
    "concurrent-upgrade": ["concurrent"],
    "not-validated": ["head"],
    "early-code": ["running"],
}


@pytest.mark.parametrize(("check", "field"), [(check, field) for check, fields in FIELDS.items() for field in fields])
def test_a_check_without_its_evidence_is_skipped_with_the_reason(check: str, field: str) -> None:
    one = recording(
        trip(),
        head=None if field == "head" else snapshot({}),
        models=None if field == "models" else snapshot({}),
        not_observed={field: "the disk was full"},
    )

    with pytest.raises(CheckSkipped, match="the disk was full"):
        list(get_check(check).examine(one))


@pytest.mark.parametrize("check", ALL_CHECKS, ids=lambda check: check.id)
def test_no_check_crashes_where_nothing_was_observed(check: Check) -> None:
    for one in (recording(), recording(trip()), Recording("migrations", "18", "1", "2", recording().graph)):
        with suppress(CheckSkipped):
            assert all(finding.subject for finding in check.examine(one))


def test_an_unregistered_table_does_not_hide_the_drift_of_the_next_one() -> None:
    hidden = unregistered("shop.lines", "Line", "lines")
    found = drift("remove table public.lines", "add column public.orders.note")

    findings = list(get_check("model-drift").examine(recording(trip(), drift=found, unregistered=(hidden,))))

    assert [finding.object for finding in findings] == ["public.orders"]


def test_a_revision_that_follows_an_inserted_one_does_not_hide_an_edited_one() -> None:
    base = Divergence(
        "origin/main",
        "0123456789abcdef",
        edited=(("b2", "versions/b2.py"), ("c3", "versions/c3.py")),
        inserted_below=(("x9", "versions/x9.py"),),
    )
    scripts = [revision("x9"), revision("b2", "x9", is_new=False), revision("c3", "b2", is_new=False)]

    findings = list(get_check("merged-history").examine(recording(revisions=scripts, base=base)))

    assert [finding.revision for finding in findings] == ["x9", "c3"]


def test_a_dropped_table_does_not_hide_the_copy_of_the_next_ones_column() -> None:
    table = Loss("public.lines", None, LossKind.TABLE_DROPPED, 6, 6, "id = 1001", None, ("id",))
    column = Loss("public.orders", "note", LossKind.COLUMN_DROPPED, 5, 6, "note-1", None, ("id",))

    [finding] = get_check("data-loss").examine(recording(over_rows("a1", None, table, column)))

    assert 'op.rename_table("lines", "lines_before_a1")' in str(finding.help)
    assert "CREATE TABLE orders_before_a1 AS SELECT id, note FROM orders" in str(finding.help)
