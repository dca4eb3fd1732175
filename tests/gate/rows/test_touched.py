"""What the changes of a revision say of the rows of its tables."""

from __future__ import annotations

from typing import Any

import pytest

from app.gate.recording.model import Change, Direction, Key, Loss, LossKind, Snapshot, Statement, Step
from app.gate.rows.touched import (
    binds_rows,
    columns_of,
    new_partitions,
    new_tables,
    touched_tables,
    with_new_key,
)

OLD: dict[str, Any] = {"type": "text"}


def change(
    kind: str, before: dict[str, Any] | None, after: dict[str, Any] | None, name: str = "a", table: str = ""
) -> Change:
    return Change(Key(kind, "public", name, table), before, after)


@pytest.mark.parametrize(
    ("each", "binds"),
    [
        (change("domain", {}, {}), True),
        (change("domain", None, {}), True),
        (change("domain", {}, None), False),
        (change("domain constraint", None, {}), True),
        (change("constraint", None, {"type": "check"}), True),
        (change("constraint", {}, {"type": "foreign key"}), True),
        (change("constraint", None, {"type": "unique"}), False),
        (change("constraint", {"type": "check"}, None), False),
        (change("constraint", {"type": "check"}, {"type": "unique"}), False),
        (change("enum", {"labels": ["a", "b"]}, {"labels": ["b"]}), True),
        (change("enum", {"labels": ["a"]}, {"labels": ["b", "a"]}), False),
        (change("enum", {"labels": ["a"]}, {}), True),
        (change("enum", {}, {"labels": ["a"]}), False),
        (change("enum", None, {"labels": ["a"], "type": "x"}), False),
        (change("column", {"type": "text"}, {"type": "integer"}), True),
        (change("column", {"type": "text"}, {"type": "text", "comment": "x"}), False),
        (change("column", None, {"type": "text"}), False),
        (change("table", {}, {"partition_of": "b"}), True),
        (change("table", {"partition_of": "b"}, {"partition_of": "b"}), False),
        (change("table", None, {"partition_of": "b"}), False),
    ],
)
def test_a_change_may_be_a_rule_for_existing_rows(each: Change, binds: bool) -> None:
    assert binds_rows(each) is binds


def test_the_tables_that_are_new_and_those_that_become_partitions() -> None:
    changes = [
        change("table", None, {}, "new"),
        change("table", {}, {}, "old"),
        change("table", {}, None, "gone"),
        change("table", None, {"partition_of": "whole"}, "new_part"),
        change("table", {}, {"partition_of": "whole"}, "part"),
        change("table", {"partition_of": "other"}, {"partition_of": "whole"}, "moved"),
        change("table", {"partition_of": "whole"}, None, "gone_part"),
        change("index", None, {"partition_of": "whole"}, "ix", "t"),
        change("column", None, {}, "a", "t"),
    ]

    assert new_tables(changes) == {"public.new", "public.new_part"}
    assert new_partitions(changes) == {"public.new_part", "public.part"}


def test_the_tables_that_get_a_unique_key() -> None:
    changes = [
        change("constraint", None, {"type": "unique"}, "uq", "by_constraint"),
        change("index", None, {"unique": True}, "ux", "by_index"),
        change("index", None, {"unique": False}, "ix", "by_other_index"),
        change("constraint", None, {"type": "check", "unique": True}, "ck", "by_check"),
        change("constraint", {"type": "check"}, {"type": "unique"}, "uq", "changed"),
        change("constraint", {"type": "unique"}, None, "uq", "dropped"),
    ]

    assert with_new_key(changes) == {"public.by_constraint", "public.by_index"}


def test_the_columns_of_losses() -> None:
    lost = [
        Loss("public.t", "a", LossKind.COLUMN_DROPPED, 1, 1),
        Loss("public.t", "a", LossKind.VALUES_CHANGED, 1, 1),
        Loss("public.u", None, LossKind.ROWS_DELETED, 1, 1),
    ]

    assert columns_of(lost) == {("public.t", "a"), ("public.u", None)}


@pytest.mark.parametrize(
    ("each", "is_touched"),
    [
        (change("column", {"type": "varchar(9)"}, {"type": "varchar(20)"}, table="t"), False),
        (change("column", {"type": "varchar(9)"}, {"type": "text"}, table="t"), True),
        (change("column", {"type": "text"}, None, table="t"), True),
        (change("column", None, {"type": "text"}, table="t"), False),
        (change("index", {"type": "text"}, {"type": "integer"}, table="t"), False),
        (change("table", {}, None, "t"), True),
        (change("table", {}, {"partition_of": "w"}, "t"), True),
        (change("table", {"partition_of": "w"}, {}, "t"), True),
        (change("table", {"partition_of": "w"}, {"partition_of": "w", "comment": "x"}, "t"), False),
        (change("trigger", None, {}, "touch", "t"), True),
        (change("trigger", {}, None, "touch", "t"), False),
    ],
)
def test_a_change_removes_values_or_gives_them_another_meaning(each: Change, is_touched: bool) -> None:
    before = Snapshot({Key("table", "public", "t", ""): {}})

    found = touched_tables(Step("a1", Direction.UPGRADE, 1.0, changes=(each,)), before)

    assert found == ({"public.t"} if is_touched else set())


@pytest.mark.parametrize(
    ("statement", "is_touched"),
    [
        (Statement("UPDATE t …", 1.0, written={"public.t": 0}), True),
        (Statement("DELETE …", 1.0, locks={"public.t": frozenset({"RowExclusiveLock"})}), True),
        (Statement("  insert into t …", 1.0, locks={"public.t": frozenset({"RowExclusiveLock"})}), False),
        (Statement("INSERT INTO t …", 1.0, written={"public.t": 1}), True),
        (Statement("ALTER TABLE t …", 1.0, locks={"public.t": frozenset({"AccessExclusiveLock"})}), False),
    ],
)
def test_a_downgrade_concerns_the_rows_that_it_writes(statement: Statement, is_touched: bool) -> None:
    before = Snapshot({Key("table", "public", "t", ""): {}})
    down = Step("a1", Direction.DOWNGRADE, 1.0, statements=(statement,))

    found = touched_tables(Step("a1", Direction.UPGRADE, 1.0), before, down)

    assert found == ({"public.t"} if is_touched else set())
