"""Which revisions may fail over rows that earlier ones have changed."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from app.gate.recording.model import (
    Change,
    Definition,
    Direction,
    Key,
    Populated,
    Rename,
    RoundTrip,
    RowKind,
    Snapshot,
    Statement,
    Step,
)
from app.gate.reruns._at_risk import columns_named, last_at_risk

TABLE = Key("table", "public", "t")
ID = Key("column", "public", "id", "t")
NUMBERED: Definition = {"type": "integer", "default": "nextval('t_id_seq'::regclass)"}
START = Snapshot(
    {
        TABLE: {},
        ID: NUMBERED,
        Key("column", "public", "note", "t"): {"type": "text"},
        Key("table", "public", "Other"): {},
        Key("column", "public", "id", "Other"): {"type": "integer", "identity": "by default"},
    }
)
INSERT = "INSERT INTO t (note) VALUES ('new')"


def revision(*sql: str, changes: tuple[Change, ...] = (), renamed: tuple[Rename, ...] = ()) -> RoundTrip:
    statements = tuple(Statement(each, 1.0) for each in sql)
    return RoundTrip(
        "a1", up=Step("a1", Direction.UPGRADE, 1.0, statements=statements, changes=changes, renamed=renamed)
    )


def last_of(*trips: RoundTrip, start: Snapshot | None = START) -> int:
    return last_at_risk(start, enumerate(trips))


@pytest.mark.parametrize(
    "earlier",
    [
        "INSERT INTO t (id, note) SELECT id, note FROM s",
        "INSERT INTO public.t SELECT * FROM s",
        "INSERT INTO t VALUES (1, 'one')",
        "INSERT INTO t (SELECT * FROM s)",
        "WITH gone AS (DELETE FROM s RETURNING *) INSERT INTO t SELECT * FROM gone",
        "MERGE INTO t USING s ON s.id = t.id WHEN NOT MATCHED THEN INSERT (id) VALUES (s.id)",
        "COPY t FROM STDIN",
        "SELECT * INTO t FROM s",
        "UPDATE t SET id = id + 1000",
        "ALTER SEQUENCE t_id_seq RESTART",
        "SELECT setval('t_id_seq', 1)",
        "ALTER TABLE t ALTER COLUMN id RESTART",
        "DO $$ BEGIN INSERT INTO t (id) VALUES (1); END $$",
        "DO $$ BEGIN EXECUTE 'INSERT INTO ' || 't' || ' (id) VALUES (1)'; END $$",
        "CALL fill_all()",
    ],
)
def test_an_insert_by_the_sequence_may_meet_ids_that_are_not_from_it(earlier: str) -> None:
    nothing = revision("ALTER TABLE t ADD more text")

    assert last_of(revision(earlier), nothing, revision(INSERT), nothing) == 2
    assert last_of(revision(earlier, INSERT), nothing) == 0
    assert last_of(revision(INSERT), revision(earlier)) == -1


@pytest.mark.parametrize(
    "earlier",
    [
        INSERT,
        "UPDATE t SET note = lower(note)",
        "DELETE FROM t WHERE id = 1",
        "SELECT id, note FROM t",
        "CREATE INDEX ix ON t (id)",
        "INSERT INTO s (id, t_id) SELECT 1, 2",
        "UPDATE s SET id = 1",
        "SELECT setval('s_id_seq', 1)",
    ],
)
def test_an_insert_by_the_sequence_meets_no_others_where_all_are_from_it(earlier: str) -> None:
    assert last_of(revision(earlier), revision(INSERT)) == -1


@pytest.mark.parametrize(
    ("column", "moved"),
    [
        ({"type": "integer", "identity": "always"}, "SELECT setval('t_id_seq', 1)"),
        ({"type": "integer", "default": "nextval('shop.numbers'::regclass)"}, "ALTER SEQUENCE shop.numbers RESTART"),
        ({"type": "integer", "default": "nextval('shop.numbers'::regclass)"}, "ALTER SEQUENCE others RESTART"),
    ],
)
def test_the_sequence_of_a_table_is_found_by_its_own_name(column: Definition, moved: str) -> None:
    start = Snapshot({TABLE: {}, ID: column})

    assert last_of(revision(moved), revision(INSERT), start=start) == (-1 if "others" in moved else 1)


@pytest.mark.parametrize(
    ("later", "is_at_risk"),
    [
        ("INSERT INTO public.t AS x (note) SELECT note FROM s", True),
        ('insert into "t" ("note") values (1)', True),
        ("INSERT INTO t (id, note) VALUES (7, 'x')", True),  # another key may be violated
        ("INSERT INTO t SELECT * FROM s", False),
        ("INSERT INTO t VALUES (1)", False),
        ("INSERT INTO s (note) VALUES (1)", False),
        ("UPDATE t SET note = ''", False),
    ],
)
def test_the_insert_names_its_columns(later: str, is_at_risk: bool) -> None:
    assert (last_of(revision("UPDATE t SET id = -id"), revision(later)) == 1) is is_at_risk


def test_another_sequence_and_another_name_are_like_other_ids() -> None:
    identity = Change(ID, NUMBERED, {"type": "integer", "identity": "always"})
    same = Change(ID, NUMBERED, {**NUMBERED, "comment": "of the note"})
    renamed = Rename(Key("table", "public", "s"), TABLE)
    of_column = Rename(Key("column", "public", "t", "s"), Key("column", "public", "t", "s"))

    assert last_of(revision(changes=(identity,)), revision(INSERT)) == 1
    assert last_of(revision(changes=(same,)), revision(INSERT)) == -1
    assert last_of(revision(renamed=(renamed,)), revision(INSERT)) == 1
    assert last_of(revision(renamed=(of_column,)), revision(INSERT)) == -1


@pytest.mark.parametrize("kind", ["trigger", "function", "procedure", "rule"])
def test_where_code_runs_in_postgres_any_insert_may_meet_what_it_writes(kind: str) -> None:
    code = Key(kind, "public", "f", "t")

    assert last_of(revision(INSERT), start=Snapshot({**START.objects, code: {}})) == 0
    assert last_of(revision(changes=(Change(code, None, {}),)), revision(INSERT)) == 1


def test_a_new_table_is_known_in_the_revision_that_makes_it() -> None:
    made = (Change(TABLE, None, {}), Change(ID, None, NUMBERED))
    copied = revision("INSERT INTO t (id, note) SELECT id, note FROM s", changes=made)

    assert last_of(copied, revision(INSERT), start=None) == 1


def test_a_name_with_capitals_is_found_however_it_is_written() -> None:
    copied = revision('INSERT INTO "Other" (id) SELECT id FROM t')

    assert last_of(copied, revision('INSERT INTO "Other" (note) VALUES (1)')) == 1
    assert last_of(copied, revision("INSERT INTO Other (note) VALUES (1)")) == -1


@pytest.mark.parametrize(
    ("definition", "is_deferrable"),
    [
        ("UNIQUE (id) DEFERRABLE", True),
        ("FOREIGN KEY (a) REFERENCES b(id) DEFERRABLE INITIALLY DEFERRED", True),
        ("UNIQUE (id)", False),
        ("CHECK (note <> 'x') NOT DEFERRABLE", False),
    ],
)
def test_a_deferrable_constraint_may_be_pending_in_all_that_follows(definition: str, is_deferrable: bool) -> None:
    key = Key("constraint", "public", "uq", "t")
    made = revision(changes=(Change(key, None, {"definition": definition}),))
    nothing = revision("ALTER TABLE t ADD more text")

    assert last_of(made, nothing, nothing) == (2 if is_deferrable else -1)
    assert last_of(nothing, nothing, made) == -1
    assert last_of(nothing, start=Snapshot({key: {"definition": definition}})) == (0 if is_deferrable else -1)


def test_an_upgrade_that_was_tried_over_rows_is_still_one_upgrade() -> None:
    copied = revision("INSERT INTO t (id, note) SELECT id, note FROM s")
    assert copied.up is not None
    over_rows = replace(copied.up, statements=(*copied.up.statements, Statement("UPDATE t SET id = -id", 1.0)))
    both = replace(copied, populated=Populated(over_rows, RowKind.ORDINARY, {}))

    assert last_of(both) == -1
    assert last_of(both, revision(INSERT)) == 1
    assert last_of(replace(revision("SELECT 1"), populated=both.populated), revision(INSERT)) == 1


def test_a_revision_that_was_not_run_is_passed_over() -> None:
    assert last_of(RoundTrip("a1", up=None)) == -1


@pytest.mark.parametrize(
    ("sql", "columns"),
    [
        ('INSERT INTO t (a, "B c") VALUES (1, 2)', {"a", "B c"}),
        ('insert into "my t"(A) select 1', {"a"}),
        ("INSERT INTO t (selected) VALUES (1)", {"selected"}),
        ("INSERT INTO t (SELECT 1)", set()),
        ("INSERT INTO t DEFAULT VALUES", set()),
        ("UPDATE t SET a = (1)", set()),
    ],
)
def test_the_columns_that_an_insert_names(sql: str, columns: Any) -> None:
    assert columns_named(sql) == columns
