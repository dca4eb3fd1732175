"""The code for keys without an index, for all rows of a table, for published tables and for rows that a revision refuses, run on
tables of every shape, over rows."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

import pytest

from app.gate.checks import breaking_change, bulk_update, unindexed_foreign_key
from app.gate.checks.base import Check, Finding
from app.gate.checks.support.row_advice import help_for, help_for_history, help_for_insert
from app.gate.checks.support.schema import Schema, SchemaHistory
from app.gate.postgres.quoting import quote
from app.gate.recording.model import (
    Change,
    Direction,
    FailureInHistory,
    Key,
    Populated,
    RefusedInsert,
    RoundTrip,
    RowKind,
    Snapshot,
    Step,
)
from tests.gate.checks.builders import failure, revision, statement
from tests.gate.checks.printed import Bench, blocks, recorded
from tests.gate.checks.table_shapes import SHAPES, Shape


def _at_head(bench: Bench, check: Check, step: Step, start: Snapshot) -> list[Finding]:
    return list(check.examine(replace(recorded(step, start, bench.major), head=bench.snapshot())))


KEYS = {
    "one column": ("{total}", "{s}users"),
    "several columns": ("{id}, {total}", "{s}places (a, b)"),
}
PLACES = """
    CREATE TABLE {s}places (a int, b int, UNIQUE (b, a), UNIQUE (a, b));
    INSERT INTO {s}places SELECT {id}, {total} FROM {table}
"""


FEW = ("plain", "of a tenant")  # where the number of columns makes a difference
OF_KEYS = [(name, shape) for name in KEYS for shape in SHAPES if name != "one column" or shape.name in FEW]


@pytest.mark.parametrize(("name", "shape"), OF_KEYS, ids=lambda value: getattr(value, "name", value))
def test_the_columns_of_a_foreign_key_get_an_index(name: str, shape: Shape, bench: Bench) -> None:
    names, (columns, parent) = shape.names, KEYS[name]
    bench.reset(f"{shape.setup}; DROP INDEX {names['s']}ix_total; {PLACES.format(**names)}", shape.search_path)
    start = bench.snapshot()
    add = f"ALTER TABLE {shape.sql} ADD CONSTRAINT fk FOREIGN KEY ({columns}) REFERENCES {parent}".format(**names)
    step = bench.step(f"op.execute('{add}')")
    [finding] = _at_head(bench, unindexed_foreign_key.CHECK, step, start)

    [code] = blocks(str(finding.help))
    bench.step(code)

    assert _at_head(bench, unindexed_foreign_key.CHECK, step, start) == [], code
    assert not shape.search_path or "blue" not in code
    assert bench.rows("SELECT count(*) FROM pg_index WHERE NOT indisvalid") == [(0,)]


def _over_rows(sql: str, table: str, rows: int) -> Populated:
    done = statement(sql, updated={table: rows})
    return Populated(Step("b2", Direction.UPGRADE, 1.0, statements=(done,)), RowKind.ORDINARY, {table: rows})


WHOLE = [each for each in SHAPES if not each.partition_by]  # of a partitioned one the key has several columns


@pytest.mark.parametrize(
    ("only", "shape"), [("", each) for each in WHOLE] + [("ONLY ", each) for each in WHOLE if each.name == "inherited"]
)
def test_all_rows_are_changed_in_batches(only: str, shape: Shape, bench: Bench) -> None:
    names = shape.names
    bench.reset(f"{shape.setup}; ALTER TABLE {shape.sql} ADD PRIMARY KEY ({names['id']})", shape.search_path)
    start = bench.snapshot()
    sql = f"UPDATE {only}{shape.sql} SET {names['note']} = {names['note']} || '!' WHERE {names['total']} > 3"
    written = bench.step(f"op.execute({sql!r})", keep=False)
    trip = RoundTrip("b2", up=written, populated=_over_rows(sql, f"{shape.schema}.{shape.table}", 60))
    walked = replace(recorded(written, start, bench.major), trips=(trip,), head=start)
    before = bench.rows(shape.all_rows)

    [finding] = bulk_update.CHECK.examine(walked)
    [code] = blocks(str(finding.help))
    bench.step(code)

    one_by_one = bench.rows(shape.all_rows)
    bench.reset(f"{shape.setup}; ALTER TABLE {shape.sql} ADD PRIMARY KEY ({names['id']})", shape.search_path)
    bench.run_sql(sql)
    assert one_by_one == bench.rows(shape.all_rows) != before
    assert not shape.search_path or "blue" not in code


UNIQUE_KEYS = {"none": "", "one that serves": 'CREATE UNIQUE INDEX "Whole" ON {table} ({day}, {id})'}


@pytest.mark.parametrize(
    ("key", "shape"), [("none", each) for each in WHOLE] + [("one that serves", each) for each in WHOLE[::2]]
)
def test_a_table_that_is_published_without_a_key_can_be_written(key: str, shape: Shape, bench: Bench) -> None:
    names = shape.names
    others = (
        'CREATE UNIQUE INDEX "Part" ON {table} ({id}) WHERE {id} > 7; ALTER TABLE {table} ADD UNIQUE ({id}) DEFERRABLE'
    )
    made = f"ALTER TABLE {shape.sql} ADD PRIMARY KEY ({names['id']}); {others}; {UNIQUE_KEYS[key]}".format(**names)
    bench.reset(f"{shape.setup}; {made}", shape.search_path)
    bench.run_sql(f"DROP PUBLICATION IF EXISTS feed; CREATE PUBLICATION feed FOR TABLE ONLY {shape.sql}")
    start = bench.snapshot()
    step = bench.step(f"op.execute('ALTER TABLE {shape.sql} DROP CONSTRAINT \"{shape.table}_pkey\"')")
    found = str(_of_replication(bench, step, start)[0].help)

    codes = [each for each in blocks(found) if "REPLICA" in each]
    if shape.name == "generated" and key == "none":
        assert codes == []  # PostgreSQL refuses whole rows with what is not published
        return
    bench.step(codes[0])

    bench.run_sql(f"UPDATE {shape.sql} SET {names['total']} = 2")
    bench.run_sql("DROP PUBLICATION feed")
    assert ("USING INDEX" in codes[0]) is (key != "none")
    assert not shape.search_path or "blue" not in found
    assert _of_replication(bench, step, start) == []


def _of_replication(bench: Bench, step: Step, start: Snapshot) -> list[Finding]:
    return [each for each in _at_head(bench, breaking_change.CHECK, step, start) if "replica identity" in str(each)]


# Rows that a revision refuses.

TYPES = {
    "text": "text",
    "number": "numeric(10,2)",
    "enum": "{schema}.mood",
    "domain": "{schema}.amount",
    "time": "time without time zone",
    "duration": "interval",
    "list": "integer[]",
}
KINDS = """
    CREATE TYPE {s}mood AS ENUM ('so', 'la'); CREATE DOMAIN {s}amount AS numeric;
    CREATE TABLE {s}places (a int, b int, UNIQUE (a, b)); INSERT INTO {s}places VALUES (1, 2);
    ALTER TABLE {table} ADD user_id int, ADD a int, ADD b int;
"""
REFERRED = {
    "user_id": ("{users}", ["user_id"]),
    "a": ("{places}", ["a", "b"]),
}


@pytest.mark.parametrize("shape", [each for each in SHAPES if not each.is_variant], ids=lambda shape: shape.name)
def test_what_may_not_be_null_is_filled(shape: Shape, bench: Bench) -> None:
    bench.reset(f"{shape.setup}; {KINDS.format(**shape.names)}", shape.search_path)
    start, values = bench.snapshot(), bench.rows(shape.all_rows)
    wanted = {}
    for name, type_ in TYPES.items():
        printed = type_.format(schema=shape.schema if shape.schema.islower() else f'"{shape.schema}"')
        wanted[f"Its {name}"] = _added(shape, f"Its {name}", printed)
    wanted[shape.columns[1]] = _required(shape, shape.columns[1], start)
    for column in ("user_id", "a"):
        wanted[column] = _required(shape, column, start)

    for column, (changes, sql) in wanted.items():
        help_ = _help_for_null(bench, shape, column, changes, sql, start)
        [code] = [each for each in blocks(help_) if "op." in each]
        bench.step(code)
        assert not shape.search_path or "blue" not in code

    objects = bench.snapshot().objects
    assert {objects[key].get("nullable") for key in _columns(shape, wanted)} == {False}
    assert bench.rows(shape.all_rows) == values


def _columns(shape: Shape, names: Iterable[str]) -> list[Key]:
    return [Key("column", shape.schema, name, shape.table) for name in names]


def _added(shape: Shape, name: str, type_: str) -> tuple[list[Change], str]:
    [key] = _columns(shape, [name])
    return [Change(key, None, {"type": type_, "nullable": False})], f'ALTER TABLE {shape.sql} ADD "{name}" … NOT NULL'


def _required(shape: Shape, name: str, start: Snapshot) -> tuple[list[Change], str]:
    """The column is made NOT NULL, together with a foreign key for those that are to refer to something."""
    [key] = _columns(shape, [name])
    changes = [Change(key, start.objects[key], {**start.objects[key], "nullable": False})]
    if name in REFERRED:
        space = f"{quote(shape.schema)}."
        parents = {"users": f"{space}users(id)", "places": f"{space}places(a, b)"}
        parent, columns = REFERRED[name]
        text = f"FOREIGN KEY ({', '.join(columns)}) REFERENCES {parent.format(**parents)}"
        fk = Key("constraint", shape.schema, f"fk_{name}", shape.table)
        changes.append(Change(fk, None, {"type": "foreign key", "columns": columns, "definition": text}))
    return changes, f'ALTER TABLE {shape.sql} ALTER "{name}" SET NOT NULL'


def _help_for_null(bench: Bench, shape: Shape, column: str, changes: list[Change], sql: str, start: Snapshot) -> str:
    table = f"{shape.schema}.{shape.table}"
    failed = failure("null", sqlstate="23502", table=table, column=column, sql=sql)
    up = Step("b2", Direction.UPGRADE, 1.0, statements=(statement(sql),), changes=tuple(changes))
    schema = SchemaHistory(recorded(up, start, bench.major)).after("b2")
    return help_for(revision("b2"), RoundTrip("b2", up=up), failed, table, column, schema)


@pytest.mark.parametrize("shape", [each for each in SHAPES if not each.is_variant], ids=lambda shape: shape.name)
def test_sequences_are_moved_behind_the_rows(shape: Shape, bench: Bench) -> None:
    names = shape.names
    bench.reset(f'{shape.setup}; CREATE SEQUENCE {names["s"]}"Its numbers"', shape.search_path)
    bench.run_sql(
        f'ALTER TABLE {shape.sql} ADD "No 1" serial, ADD other int DEFAULT nextval(\'{names["s"]}"Its numbers"\')'
    )
    if not shape.around and not shape.partition_by:  # no two, and none of a partition before PostgreSQL 17
        bench.run_sql(f'ALTER TABLE {shape.sql} ADD "No 3" int GENERATED BY DEFAULT AS IDENTITY')
    schema = Schema(bench.snapshot().objects, frozenset({"public", shape.search_path}))
    table = f"{shape.schema}.{shape.table}"
    columns = [key.name for key, _ in schema.parts_of("column", table) if key.name in ("No 1", "other", "No 3")]
    bench.run_sql(
        f"UPDATE {shape.sql} SET {', '.join(f'{quote(each)} = 9000' for each in columns)} WHERE {names['id']} = 7"
    )

    help_ = help_for_history(FailureInHistory(failure("exists", sqlstate="23505")), table, schema)
    [code] = blocks(help_)
    bench.step(code)

    assert len(code.splitlines()) >= len(columns)
    [drawn] = bench.rows(f"SELECT {', '.join(f'nextval({_sequence(shape, each)})' for each in columns)}")
    assert set(drawn) == {9001}
    assert not shape.search_path or "blue" not in code


def _sequence(shape: Shape, column: str) -> str:
    own = f"pg_get_serial_sequence('{shape.sql}', '{column}')"
    return f"'{shape.names['s']}\"Its numbers\"'" if column == "other" else own


def test_the_sequence_of_the_next_insert_is_moved_behind_the_rows(bench: Bench) -> None:
    [shape] = [each for each in SHAPES if each.name == "quoted"]
    bench.reset(f'{shape.setup}; ALTER TABLE {shape.sql} ADD "No 1" serial')
    bench.run_sql('ALTER SEQUENCE "Shop"."Order_No 1_seq" RESTART')
    refused = RefusedInsert("Shop.Order", failure(), "No 1", '"Shop"."Order_No 1_seq"', 1, 60)

    [code] = blocks(help_for_insert(refused, Schema(bench.snapshot().objects)))
    bench.step(code)

    assert bench.rows(f"SELECT nextval('{refused.sequence}')") == [(61,)]
