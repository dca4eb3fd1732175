"""Whether a revision may be the reason for a refused write: by what it changes, and by the text of its statements.

That what is not tried refuses nothing is shown in test_next_insert.py.
"""

from __future__ import annotations

from typing import Any

import pytest

from app.gate.recording.model import Change, Direction, Key, Rename, Snapshot, Statement, Step
from app.gate.rows.later_writes import may_refuse_writes

TABLE = Key("table", "public", "t")
NUMBERED = {"type": "integer", "default": "nextval('t_id_seq'::regclass)"}
BEFORE = Snapshot(
    {TABLE: {}, Key("column", "public", "id", "t"): NUMBERED, Key("column", "public", "code", "t"): {"type": "text"}}
)


def key(kind: str, name: str = "x", table: str = "t") -> Key:
    return Key(kind, "public", name, table)


def step(*statements: str, changes: tuple[Change, ...] = (), renamed: tuple[Rename, ...] = ()) -> Step:
    return Step("a", Direction.UPGRADE, 1.0, statements=tuple(Statement(each, 1.0) for each in statements), changes=changes, renamed=renamed)  # fmt: skip


def may_refuse(of: Key, before: Any, after: Any) -> bool:
    return may_refuse_writes(step(changes=(Change(of, before, after),)), BEFORE)


TEXT, CODE = {"type": "text", "nullable": True}, {"type": "character varying(9)", "nullable": True}


@pytest.mark.parametrize(
    ("of", "before", "after", "may"),
    [
        (key("table", "t", ""), None, {}, False),
        (key("table", "t", ""), {}, None, False),
        (key("table", "t", ""), {}, {"comment": "x"}, False),
        (key("table", "t", ""), {"comment": "y"}, {"comment": "x", "row_security": True}, True),
        (key("table", "t", ""), None, {"partition_of": "p"}, True),
        (key("table", "t", ""), {"partition_of": "p"}, None, True),
        (key("sequence", "s", ""), {"start": 1}, {"start": 2}, True),
        (key("sequence", "s", ""), None, {"start": 2}, False),
        (key("column"), TEXT, None, False),
        (key("column"), None, TEXT, False),
        (key("column"), None, {"type": "text", "default": "''::text"}, False),
        (key("column"), None, {"type": "text"}, True),
        (key("column"), None, NUMBERED, True),
        (key("column"), None, {**TEXT, "generated": "1"}, True),
        (key("column"), None, {**TEXT, "privileges": {"ann": "SELECT"}}, True),
        *((key("column"), TEXT, {**TEXT, name: "x"}, False) for name in ("nullable", "not_null", "comment", "storage", "statistics")),
        (key("column"), TEXT, CODE, False),
        (key("column"), CODE, {**CODE, "type": "character varying"}, False),
        (key("column"), TEXT, {**CODE, "default": "'z'"}, True),
        (key("column"), TEXT, {**TEXT, "type": "integer"}, True),
        (key("column"), {**TEXT, "type": "integer"}, TEXT, True),
        (key("constraint"), None, {"type": "check"}, True),
        (key("constraint"), {"type": "check"}, {"type": "unique"}, True),
        (key("constraint"), {"type": "check"}, None, False),
        (key("constraint"), None, {"type": "foreign key"}, False),
        (key("index"), None, {"columns": ["a"]}, False),
        (key("index"), None, {"columns": ["a"], "unique": True}, True),
        (key("index"), {"columns": ["a"], "unique": True}, None, False),
        (key("enum", "mood", ""), None, {"labels": ["a"]}, False),
        (key("view", "v", ""), None, {"definition": "x"}, True),
        (key("trigger"), {}, None, True),
    ],
)  # fmt: skip
def test_a_change_may_be_a_rule_for_what_is_written(of: Key, before: Any, after: Any, may: bool) -> None:
    assert may_refuse(of, before, after) is may


def test_what_belongs_to_a_new_table_is_no_rule_for_older_writes() -> None:
    made = Change(key("table", "n", ""), None, {})
    parts = [
        Change(key(kind, table="n"), None, {"type": "check", "unique": True})
        for kind in ("column", "constraint", "index")
    ]

    assert not may_refuse_writes(step(changes=(made, *parts)), BEFORE)
    assert may_refuse_writes(step(changes=(made, Change(key("trigger", table="n"), None, {}))), BEFORE)
    assert all(may_refuse_writes(step(changes=(part,)), BEFORE) for part in parts)


def test_what_has_another_name_may_be_looked_for_by_its_old_one() -> None:
    assert may_refuse_writes(step(renamed=(Rename(key("column"), key("column", "y")),)), BEFORE)


@pytest.mark.parametrize("kind", ["trigger", "rule", "policy", "function", "procedure", "event trigger", "view"])
def test_code_that_runs_when_a_row_is_written_may_refuse_it(kind: str) -> None:
    assert may_refuse_writes(step(), Snapshot({**BEFORE.objects, key(kind): {}})) is (kind != "view")


@pytest.mark.parametrize(
    ("sql", "may"),
    [
        ("ALTER TABLE t ADD extra text", False),
        ("INSERT INTO t VALUES (1)", True),
        ("SELECT pg_catalog.setval('t_id_seq', 9)", True),
        ("ALTER SEQUENCE t_id_seq RESTART", True),
        ("DROP INDEX id", False),
        ("UPDATE t SET code = 'x' WHERE id > 5", False),
        ("update t set code = 'x' from o where o.id = 1", False),
        ("UPDATE t SET code = 'x' RETURNING id", False),
        ("UPDATE t SET code = 'x', id = 7", True),
        ("UPDATE t SET code = (SELECT id FROM o)", True),
        ("UPDATE t SET code = 'x' WHERE code IN (SELECT id FROM o)", True),
    ],
)
def test_a_statement_may_insert_rows_or_change_numbers_that_a_sequence_gives(sql: str, may: bool) -> None:
    assert may_refuse_writes(step(sql), BEFORE) is may
    assert may_refuse_writes(step(), BEFORE, step("SELECT pg_catalog.now()", sql)) is may
