"""Each piece of code that a finding prints, run on tables of every shape, over rows.

What PostgreSQL does while it runs is observed as in a target. The code must do what was wanted, leave the values as they
are, and bring no finding of the check that printed it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import psycopg2
import pytest
import sqlalchemy as sa

from app.gate.checks import blocking_index, blocking_scan, table_rewrite, upgrade
from app.gate.checks.base import Check
from app.gate.checks.support import batches
from app.gate.checks.support.schema import Schema
from app.gate.driver.overproof_driver.errors import describe_failure
from app.gate.recording.model import Direction, Failure, Key, Step
from app.gate.snapshot.describe import describe_all
from app.gate.snapshot.difference import difference
from tests.gate.checks.printed import Bench, blocks, findings, run_all
from tests.gate.checks.table_shapes import PARTS, SHAPES, VIEWS, Shape

PARTITIONED = frozenset(shape.name for shape in SHAPES if shape.partition_by)
# PostgreSQL refuses the upgrade itself: a view or a generated column reads the column.
READ_BY_OTHERS = frozenset({"under views", "under views of a tenant", "generated"})


@dataclass(frozen=True)
class Case:
    """What a script does to the table, and the check that prints another way."""

    check: Check
    code: str  # with the names of the shape
    setup: str = ""
    has_same_end: bool = True  # the schema is the one that the script makes; else values are in a column of their own
    but_not: frozenset[str] = frozenset()  # shapes for which PostgreSQL refuses it, or that have no such problem


CASES = {
    "index": Case(blocking_index.CHECK, "op.create_index('ix', {table}, [{note}]{schema})"),
    "unique index": Case(
        blocking_index.CHECK, "op.create_index('Unique ix', {table}, [{id}, {day}], unique=True{schema})"
    ),
    "partial index of an expression": Case(
        blocking_index.CHECK, "op.execute('CREATE INDEX ix ON {sql.table} (lower({sql.note})) WHERE {sql.total} > 0')"
    ),
    "index from its statement": Case(
        blocking_index.CHECK,
        "op.drop_index('ix_total', {table}{schema})\nop.create_index('ix_total', {table}, [{total}]{schema})",
        has_same_end=False,
    ),
    "unique": Case(blocking_index.CHECK, "op.create_unique_constraint('uq', {table}, [{id}, {day}]{schema})"),
    "unique with more columns": Case(
        blocking_index.CHECK,
        "op.execute('ALTER TABLE {sql.table} ADD CONSTRAINT uq UNIQUE ({sql.id}, {sql.day}) INCLUDE ({sql.note})')",
    ),
    "primary key": Case(blocking_index.CHECK, "op.create_primary_key('pk', {table}, [{id}, {day}]{schema})"),
    "primary key of what may be NULL": Case(
        blocking_index.CHECK, "op.create_primary_key('pk', {table}, [{total}, {id}, {day}]{schema})"
    ),
    "drop index": Case(blocking_index.CHECK, "op.drop_index('ix_total', {table}{schema})"),
    "REINDEX": Case(blocking_index.CHECK, "op.execute('REINDEX TABLE {sql.table}')", but_not=PARTITIONED),
    "REINDEX of an index": Case(
        blocking_index.CHECK, "op.execute('REINDEX INDEX {sql.s}ix_total')", but_not=PARTITIONED
    ),
    "CHECK": Case(blocking_scan.CHECK, "op.create_check_constraint('ck', {table}, '{sql.total} >= 0'{schema})"),
    "foreign key": Case(
        blocking_scan.CHECK,
        "op.create_foreign_key('fk', {table}, 'users', [{total}], ['id']{source})",
    ),
    "NOT NULL": Case(blocking_scan.CHECK, "op.alter_column({table}, {note}, nullable=False{schema})"),
    "column with a rule": Case(
        blocking_scan.CHECK,
        "op.execute('ALTER TABLE {sql.table} ADD COLUMN extra numeric(5,2) CONSTRAINT ck CHECK (extra > 0)')",
    ),
    "rule of a column that is renamed later": Case(
        blocking_scan.CHECK,
        (
            "op.create_check_constraint('ck', {table}, '{sql.total} >= 0'{schema})\n"
            "op.alter_column({table}, {total}, new_column_name='renamed'{schema})"
        ),
        has_same_end=False,
    ),
    "type under a CHECK": Case(
        blocking_scan.CHECK,
        "op.execute('ALTER TABLE {sql.table} ALTER COLUMN {sql.code} TYPE text')",
    ),
    "wider type": Case(
        table_rewrite.CHECK,
        "op.execute('ALTER TABLE {sql.table} ALTER COLUMN {sql.total} TYPE bigint')",
        has_same_end=False,
        but_not=READ_BY_OTHERS,
    ),
    "shorter type": Case(
        table_rewrite.CHECK,
        "op.execute('ALTER TABLE {sql.table} ALTER COLUMN {sql.note} TYPE varchar(30)')",
        has_same_end=False,
        but_not=READ_BY_OTHERS,
    ),
    "type by an expression": Case(
        table_rewrite.CHECK,
        "op.execute('ALTER TABLE {sql.table} ALTER COLUMN {sql.note} TYPE int USING length({sql.note})')",
        has_same_end=False,
        but_not=READ_BY_OTHERS,
    ),
    "time zone": Case(
        table_rewrite.CHECK,
        "op.execute(\"SET TimeZone = 'Asia/Tokyo'\")\nop.execute('ALTER TABLE {sql.table} ALTER at TYPE timestamptz')",
        setup="ALTER TABLE {table} ADD at timestamp",
    ),
    "default of each row": Case(
        table_rewrite.CHECK,
        "op.add_column({table}, sa.Column('token', sa.Uuid, server_default=sa.text('gen_random_uuid()')){schema})",
    ),
    "required default of each row": Case(
        table_rewrite.CHECK,
        '''op.execute("""ALTER TABLE {sql.table} ADD COLUMN token text NOT NULL DEFAULT 'a\\\\:b' || random()""")''',
    ),
    "serial": Case(table_rewrite.CHECK, "op.execute('ALTER TABLE {sql.table} ADD COLUMN count serial')"),
    "column of a domain": Case(
        table_rewrite.CHECK,
        "op.execute('ALTER TABLE {sql.table} ADD COLUMN mail {sql.s}mail')",
        setup="CREATE DOMAIN {s}mail AS text CHECK (VALUE LIKE '%@%') CONSTRAINT short CHECK (length(VALUE) < 99)",
        has_same_end=False,
    ),
    "type of a domain": Case(
        table_rewrite.CHECK,
        "op.execute('ALTER TABLE {sql.table} ALTER {sql.total} TYPE {sql.s}amount')",
        setup="CREATE DOMAIN {s}amount AS int CHECK (VALUE > 0)",
        has_same_end=False,
        but_not=READ_BY_OTHERS,
    ),
    "more labels": Case(
        table_rewrite.CHECK,
        (
            "op.execute('ALTER TYPE {sql.s}state RENAME TO state_old')\n"
            'op.execute("""CREATE TYPE {sql.s}state AS ENUM (\'new\', \'half\', \'paid\')""")\n'
            "op.execute('ALTER TABLE {sql.table} ALTER state TYPE {sql.s}state USING state::text::{sql.s}state')\n"
            "op.execute('DROP TYPE {sql.s}state_old')"
        ),
        setup="CREATE TYPE {s}state AS ENUM ('new', 'paid'); ALTER TABLE {table} ADD state {s}state DEFAULT NULL",
    ),
    "more labels of another enum": Case(
        table_rewrite.CHECK,
        (
            'op.execute("""CREATE TYPE {sql.s}state_new AS ENUM (\'new\', \'half\', \'paid\')""")\n'
            "op.execute('ALTER TABLE {sql.table} ALTER state TYPE {sql.s}state_new USING state::text::{sql.s}state_new')\n"
            "op.execute('DROP TYPE {sql.s}state')"
        ),
        setup="CREATE TYPE {s}state AS ENUM ('new', 'paid'); ALTER TABLE {table} ADD state {s}state DEFAULT NULL",
        has_same_end=False,
        but_not=frozenset(shape.name for shape in SHAPES) - {"plain", "of a tenant", "partitioned and quoted"},
    ),
}  # fmt: skip


# One case of each kind is tried on every shape, the others where the shape makes a difference to them.
OF_EACH_KIND = ("index", "unique", "foreign key", "default of each row")
OF_ROWS = ("with triggers", "generated")


def _matters(name: str, shape: Shape) -> bool:
    if shape.name in CASES[name].but_not:
        return False
    if name in OF_EACH_KIND:
        return True
    is_of_names = shape.is_variant or shape.name == "quoted"
    return not is_of_names and (shape.name not in OF_ROWS or CASES[name].check is table_rewrite.CHECK)


COMBINATIONS = [(name, shape) for name in CASES for shape in SHAPES if _matters(name, shape)]


@pytest.mark.parametrize(("name", "shape"), COMBINATIONS, ids=[f"{name}, {shape.name}" for name, shape in COMBINATIONS])
def test_the_code_does_what_was_wanted_and_brings_no_such_finding(
    name: str, shape: Shape, bench: Bench, monkeypatch: pytest.MonkeyPatch
):
    case = CASES[name]
    monkeypatch.setattr(batches, "_PAGES", 1)
    bench.reset(f"{shape.setup}; {case.setup.format(**shape.names)}", shape.search_path)
    start, values = bench.snapshot(), bench.rows(shape.all_rows)
    written = bench.step(_for(case.code, shape), keep=False)
    found = findings(case.check, written, start, bench.major)
    assert found, "the check says nothing"
    code = blocks(str(found[0].help))
    assert code, found[0].help

    steps = run_all(bench, code)

    for step, before in steps:
        assert [each.message for each in findings(case.check, step, before, bench.major)] == [], code
    assert bench.rows(shape.all_rows) == values
    if case.has_same_end:
        assert _differences(bench, start, written.changes) == []


def _differences(bench: Bench, start: Any, wanted: Any) -> list[str]:
    """What is not as the script would have made it, less the names of what the partitions have."""
    objects = dict(start.objects)
    for change in wanted:
        objects.pop(change.key, None) if change.after is None else objects.__setitem__(change.key, change.after)
    made = bench.snapshot()
    left_out = {key for key in {*objects, *made.objects} if _is_a_partition_s(key, made.objects)}
    changes = [change for change in difference(type(start)(objects), made) if change.key not in left_out]
    return describe_all(changes)


def _is_a_partition_s(key: Key, objects: Any) -> bool:
    table = objects.get(Key("table", key.schema, key.table))
    return key.kind in ("index", "constraint") and table is not None and "partition_of" in table


def _for(code: str, shape: Shape) -> str:
    """The code with the names of the shape: {table} in Python, {sql.table} in SQL that stands in Python."""

    class InSql:
        def __getattr__(self, name: str) -> str:
            return shape.names[name]

    source = f", source_schema={shape.schema!r}, referent_schema={shape.schema!r}" if shape.arguments["schema"] else ""
    return code.format(**shape.arguments, sql=InSql(), source=source)


OF_PARTS = {
    "new partition": "ALTER TABLE visits ATTACH PARTITION visits_2025 FOR VALUES FROM ('2025-01-01') TO ('2026-01-01')",
    "default partition": "CREATE TABLE visits_2026 PARTITION OF visits FOR VALUES FROM ('2026-01-01') TO ('2027-01-01')",
    "default partition of a list": "CREATE TABLE kinds_b PARTITION OF kinds FOR VALUES IN ('b', 'B')",
    "partition of a list": "ALTER TABLE kinds ATTACH PARTITION kinds_a FOR VALUES IN ('a', 'A')",
}


@pytest.mark.parametrize("statement", OF_PARTS.values(), ids=OF_PARTS)
def test_a_check_takes_the_place_of_a_scan_of_a_partition(statement: str, bench: Bench):
    bench.reset(PARTS)
    start = bench.snapshot()
    written = bench.step(f'op.execute("""{statement}""")', keep=False)
    code = blocks(str(findings(blocking_scan.CHECK, written, start, bench.major)[0].help))
    assert len(code) == 2

    steps = run_all(bench, code)

    assert [findings(blocking_scan.CHECK, step, before, bench.major) for step, before in steps] == [[]] * len(steps)
    assert _differences(bench, start, written.changes) == []


def test_a_materialized_view_is_refreshed_while_it_is_read(bench: Bench):
    bench.reset(PARTS)
    start = bench.snapshot()
    written = bench.step("op.execute('REFRESH MATERIALIZED VIEW days')", keep=False)
    code = blocks(str(findings(table_rewrite.CHECK, written, start, bench.major)[0].help))

    [(step, before)] = run_all(bench, code)

    assert findings(table_rewrite.CHECK, step, before, bench.major) == []
    assert bench.rows("SELECT count(*) FROM days") == [(2,)]


@pytest.mark.parametrize("shape", [shape for shape in SHAPES if shape.partition_by], ids=lambda shape: shape.name)
def test_before_postgres_18_a_foreign_key_is_added_to_each_partition(shape: Shape, bench: Bench):
    bench.reset(shape.setup, shape.search_path)
    start = bench.snapshot()
    written = bench.step(_for(CASES["foreign key"].code, shape), keep=False)
    code = blocks(str(findings(blocking_scan.CHECK, written, start, 17)[0].help))

    steps = run_all(bench, code)

    assert [findings(blocking_scan.CHECK, step, before, bench.major) for step, before in steps] == [[], []]
    assert _differences(bench, start, written.changes) == []


def test_a_long_list_of_partitions_is_cut_and_says_so(bench: Bench):
    parts = "".join(
        f"CREATE TABLE many_{each} PARTITION OF many FOR VALUES FROM ({each}) TO ({each + 1});" for each in range(13)
    )
    bench.reset(f"CREATE TABLE many (id int, note text) PARTITION BY RANGE (id); {parts}")
    start = bench.snapshot()
    written = bench.step("op.create_index('ix', 'many', ['note'])", keep=False)

    help_ = str(findings(blocking_index.CHECK, written, start, bench.major)[0].help)

    assert help_.count("CREATE INDEX CONCURRENTLY") == help_.count("ATTACH PARTITION") == 10
    assert "the other 3" in help_


def test_what_a_trigger_or_another_session_does_does_not_keep_the_batches_running(bench: Bench):
    empties = "CREATE FUNCTION undo() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN NEW.token := NULL; RETURN NEW; END'"
    bench.reset(f"{SHAPES[0].setup}; {empties}; ALTER TABLE orders ADD token text")
    bench.run_sql("CREATE TRIGGER undo BEFORE UPDATE ON orders FOR EACH ROW EXECUTE FUNCTION undo()")
    code = batches.fill_in_batches("public.orders", "token", "'x'", "token IS NULL", Schema())

    bench.step(code)

    assert bench.rows("SELECT count(token) FROM orders") == [(0,)]


def test_batches_leave_alone_what_has_a_value_in_every_partition(bench: Bench, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(batches, "_PAGES", 1)
    [shape] = [shape for shape in SHAPES if shape.name == "partitioned"]
    bench.reset(f"{shape.setup}; ALTER TABLE hit ADD token text; UPDATE hit SET token = 'live' WHERE id % 2 = 0")
    code = batches.fill_in_batches("public.hit", "token", "'filled'", "token IS NULL", Schema(bench.snapshot().objects))

    bench.step(code)

    assert bench.rows("SELECT token, count(*) FROM hit GROUP BY 1 ORDER BY 1") == [("filled", 30), ("live", 30)]


REFUSED = {
    "index": "CREATE INDEX CONCURRENTLY ix ON {table} ({note})",
    "drop": "DROP INDEX CONCURRENTLY {s}ix_total",
    "type under views": "ALTER TABLE {table} ALTER COLUMN {note} TYPE varchar(300)",
}


@pytest.mark.parametrize(
    ("statement", "shape"),
    [
        (statement, shape)
        for name, statement in REFUSED.items()
        for shape in SHAPES
        if (shape.around is VIEWS) == (name == "type under views") and (shape.partition_by or shape.around is VIEWS)
    ],
    ids=lambda value: value.name if isinstance(value, Shape) else value.split()[0],
)
def test_what_postgres_refuses_is_done_in_another_way(statement: str, shape: Shape, bench: Bench):
    bench.reset(shape.setup, shape.search_path)
    start, values = bench.snapshot(), bench.rows(shape.all_rows)
    sql = statement.format(**shape.names)
    code = f"op.execute({sql!r})"
    with pytest.raises(sa.exc.DBAPIError) as raised:
        bench.step(f"with op.get_context().autocommit_block():\n    {code}" if "CONCURRENTLY" in sql else code)
    described: Any = describe_failure(raised.value, None, None)
    failed = Step("b2", Direction.UPGRADE, 1.0, failure=Failure(**{**described, "sql": sql}))
    implied = frozenset({"public", shape.search_path})
    schema = Schema(start.objects, implied)

    [printed] = blocks(str(upgrade._help(failed.failure, schema)))  # type: ignore[arg-type]
    bench.step(printed)

    assert bench.rows(shape.all_rows) == values
    now = bench.snapshot()
    kept = {key.name for key in start.objects if key.kind in ("view", "materialized view", "index")}
    assert {key.name for key in now.objects} >= (kept - {"ix_total"} if "DROP" in sql else kept)
    assert ("ix_total" in {key.name for key in now.objects}) is ("DROP" not in sql)


def test_a_value_that_is_too_long_is_refused_and_not_cut(bench: Bench):
    [shape] = [shape for shape in SHAPES if shape.name == "plain"]
    bench.reset(f"{shape.setup}; UPDATE orders SET note = repeat('x', 50) WHERE id = 3")
    start = bench.snapshot()
    with pytest.raises(sa.exc.DBAPIError):
        bench.step("op.execute('ALTER TABLE orders ALTER note TYPE varchar(30)')", keep=False)
    bench.run_sql("UPDATE orders SET note = 'short' WHERE id = 3")
    written = bench.step("op.execute('ALTER TABLE orders ALTER note TYPE varchar(30)')", keep=False)
    bench.run_sql("UPDATE orders SET note = repeat('x', 50) WHERE id = 3")

    [code] = blocks(str(findings(table_rewrite.CHECK, written, start, bench.major)[0].help))

    query = next(line.partition(": ")[2] for line in code.splitlines() if line.startswith("# A longer text"))
    assert [row[0] for row in bench.rows(query)] == [3]
    with pytest.raises(sa.exc.DBAPIError, match="value too long") as raised:
        bench.step(code)
    assert isinstance(raised.value.orig, psycopg2.errors.StringDataRightTruncation)
