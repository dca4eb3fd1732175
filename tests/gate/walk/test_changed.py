"""Which older tables the revisions of a branch change."""

from __future__ import annotations

from typing import Any

import pytest

from app.gate.recording.model import Change, Key, RoundTrip, Snapshot
from app.gate.walk.changed import changed_keys, tables_of
from app.gate.walk.changed import concerned_tables as concerned
from app.gate.walk.state import Walk
from tests.gate.checks.builders import added, altered, failure, key, statement, trip
from tests.gate.walk.walks import walk

ORDERS, ITEMS, PAID = key("table", "orders"), key("table", "items"), key("view", "paid")
START = Snapshot({each: {} for each in (ORDERS, ITEMS, PAID, key("column", "id", "orders"), key("enum", "state"))})


def concerned_tables(of: Walk) -> Any:
    return concerned(of)


def taken(*trips: RoundTrip, **fields: Any) -> Walk:
    return walk(*trips, **{"start": START, **fields})


@pytest.mark.parametrize(
    ("change", "tables"),
    [
        (added(key("column", "note", "orders")), {"public.orders"}),
        (added(key("index", "ix", "items")), {"public.items"}),
        (added(key("constraint", "ck", "items")), {"public.items"}),
        (added(key("trigger", "t", "items")), {"public.items"}),
        (added(key("policy", "p", "items")), {"public.items"}),
        (added(key("rule", "r", "items")), {"public.items"}),
        (altered(PAID, {"definition": "a"}, {"definition": "b"}), {"public.paid"}),
        (added(key("table", "added")), set()),
        (added(key("sequence", "orders")), set()),  # a name of its own
        (added(key("enum", "kind")), None),
        (added(key("function", "f()")), None),
    ],
)
def test_they_are_those_whose_parts_differ_and_any_where_a_type_or_a_function_does(
    change: Change, tables: set[str] | None
) -> None:
    assert concerned_tables(taken(trip(changes=[change]))) == tables


def test_a_renamed_table_is_one_under_both_names() -> None:
    renamed = trip(renamed=[(ORDERS, key("table", "purchases"))])

    assert changed_keys(taken(renamed)) == [ORDERS, key("table", "purchases")]
    assert concerned_tables(taken(renamed)) == {"public.orders"}


@pytest.mark.parametrize(("lock", "tables"), [("RowExclusiveLock", {"public.items"}), ("RowShareLock", set())])
def test_a_table_whose_rows_are_written_is_one(lock: str, tables: set[str]) -> None:
    assert concerned_tables(taken(trip(statements=[statement(locks={"items": [lock]})]))) == tables


def test_alembics_own_table_is_none() -> None:
    version = key("table", "alembic_version")
    start = Snapshot({**START.objects, version: {}})
    written = trip(
        changes=[added(key("column", "x", "alembic_version"))],
        statements=[statement(locks={"alembic_version": "RowExclusiveLock"})],
    )

    assert concerned_tables(taken(written, start=start)) == frozenset()


def test_what_failed_or_was_not_tried_changes_nothing() -> None:
    change = added(key("column", "note", "orders"))
    failed = trip("b2", up_failure=failure(), changes=[change])
    skipped = RoundTrip("c3", skipped_because="it comes after b2")

    assert concerned_tables(taken(failed, skipped)) == frozenset()
    assert concerned_tables(taken(failed, trip("a1", changes=[change]), skipped)) == {"public.orders"}


def test_without_a_schema_before_them_no_table_is_older() -> None:
    assert concerned_tables(taken(trip(changes=[added(key("column", "note", "orders"))]), start=None)) == frozenset()


def test_only_what_belongs_to_tables_names_tables() -> None:
    keys: list[Key] = [key("function", "f()"), key("sequence", "s"), key("column", "c", "orders"), PAID]

    assert tables_of(keys) == {"public.orders", "public.paid"}
