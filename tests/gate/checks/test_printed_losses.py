"""The code that keeps what an upgrade takes away, gives access back, and validates, run on tables of every shape, over rows."""

from __future__ import annotations

from dataclasses import replace

import pytest

from app.gate.checks import access_change, data_loss, not_validated
from app.gate.checks.base import Check, Finding
from app.gate.recording.model import Loss, LossKind, Populated, RowKind, Snapshot, Step
from app.gate.snapshot.describe import describe_all
from app.gate.snapshot.difference import difference
from tests.gate.checks.printed import Bench, blocks, findings, recorded
from tests.gate.checks.table_shapes import SHAPES, Shape

every_shape = pytest.mark.parametrize("shape", SHAPES, ids=lambda shape: shape.name)
COLUMNS = ("id", "note", "total", "code", "day")


def _help_after(bench: Bench, check: Check, statement: str, start: Snapshot, losses: list[Loss]) -> list[str]:
    """The blocks of code that are printed where that upgrade loses those."""
    step = bench.step(f"op.execute({statement!r})", keep=False)
    walked = recorded(step, start, bench.major)
    populated = Populated(step, RowKind.ORDINARY, lost_upwards=tuple(losses))
    [finding] = check.examine(replace(walked, trips=(replace(walked.trips[0], populated=populated),)))
    return blocks(str(finding.help).partition("If the values are not needed")[0])


def _kept(bench: Bench, start: Snapshot) -> str:
    """The table that the code has made, or that has another name now."""
    new = [key for key in bench.snapshot().objects.keys() - start.objects.keys() if key.kind == "table"]
    [key] = new
    return f'"{key.schema}"."{key.name}"'


@every_shape
def test_the_values_of_a_dropped_column_are_in_the_copy(shape: Shape, bench: Bench) -> None:
    bench.reset(shape.setup, shape.search_path)
    start, names = bench.snapshot(), shape.names
    values = bench.rows(f"SELECT {names['id']}, {names['total']} FROM {shape.sql} ORDER BY 1")
    drop = f"ALTER TABLE {shape.sql} DROP COLUMN {names['total']} CASCADE"
    table, key = f"{shape.schema}.{shape.table}", (shape.columns[0],)
    lost = Loss(table, shape.columns[COLUMNS.index("total")], LossKind.COLUMN_DROPPED, 1, 1, key=key)

    [code] = _help_after(bench, data_loss.CHECK, drop, start, [lost])
    bench.step(code)
    kept = _kept(bench, start)
    bench.run_sql(drop)

    assert bench.rows(f"SELECT * FROM {kept} ORDER BY 1") == values
    assert not shape.search_path or "blue." not in code


@every_shape
def test_a_table_is_kept_under_another_name(shape: Shape, bench: Bench) -> None:
    bench.reset(shape.setup, shape.search_path)
    start, values = bench.snapshot(), bench.rows(shape.all_rows)
    lost = Loss(f"{shape.schema}.{shape.table}", None, LossKind.TABLE_DROPPED, 1, 1)

    [code] = _help_after(bench, data_loss.CHECK, f"DROP TABLE {shape.sql} CASCADE", start, [lost])
    bench.step(code)

    assert bench.rows(shape.all_rows.replace(shape.sql, _kept(bench, start))) == values
    assert not shape.search_path or "blue" not in code


@pytest.mark.parametrize("shape", [each for each in SHAPES if each.partition_by or each.name == "inherited"])
def test_what_was_part_of_another_table_is_read_through_it_no_longer(shape: Shape, bench: Bench) -> None:
    part = "hit_2024" if shape.partition_by else "old_orders"
    bench.reset(shape.setup, shape.search_path)
    start, part_sql = bench.snapshot(), f"{shape.names['s']}{part}"
    of_part, of_all = (len(bench.rows(f"SELECT FROM {each}")) for each in (part_sql, shape.sql))
    lost = Loss(f"{shape.schema}.{part}", None, LossKind.TABLE_DROPPED, 1, 1)

    [code] = _help_after(bench, data_loss.CHECK, f"DROP TABLE {part_sql} CASCADE", start, [lost])
    bench.step(code)

    assert len(bench.rows(f"SELECT FROM {_kept(bench, start)}")) == of_part
    assert len(bench.rows(f"SELECT FROM {shape.sql}")) == of_all - of_part


GRANTED = """
    GRANT SELECT, UPDATE ON {table} TO pg_monitor;
    GRANT SELECT ({note}) ON {table} TO PUBLIC;
    CREATE SEQUENCE {s}numbers; GRANT USAGE ON SEQUENCE {s}numbers TO pg_monitor;
    CREATE FUNCTION {s}twice(int, text[]) RETURNS int LANGUAGE sql AS 'SELECT 2 * $1';
    REVOKE EXECUTE ON FUNCTION {s}twice FROM PUBLIC; GRANT EXECUTE ON FUNCTION {s}twice TO pg_monitor
"""
REVOKED = """
    REVOKE UPDATE ON {table} FROM pg_monitor; REVOKE SELECT ({note}) ON {table} FROM PUBLIC;
    REVOKE ALL ON SEQUENCE {s}numbers FROM pg_monitor; REVOKE ALL ON FUNCTION {s}twice FROM pg_monitor
"""


@every_shape
def test_rights_that_were_lost_are_given_back(shape: Shape, bench: Bench) -> None:
    bench.reset(f"{shape.setup}; {GRANTED.format(**shape.names)}", shape.search_path)
    start = bench.snapshot()
    step = bench.step(f"op.execute({REVOKED.format(**shape.names)!r})")

    [finding] = findings(access_change.CHECK, step, start, bench.major)
    [code] = blocks(str(finding.help))
    bench.step(code)

    assert describe_all(difference(start, bench.snapshot())) == []
    assert not shape.search_path or "blue." not in code


UNFINISHED = """
    ALTER TABLE {table} ADD CONSTRAINT "Not yet" CHECK ({total} > 0) NOT VALID;
    ALTER TABLE {table} SET (autovacuum_enabled = off);
"""
OF_PARTITIONED = """
    ALTER TABLE {table} ADD CONSTRAINT "Not yet" CHECK ({total} > 0) NOT VALID;
    CREATE INDEX "Half" ON ONLY {table} ({total})
"""
NOT_NULL = 'ALTER TABLE {table} ADD CONSTRAINT "Has a note" NOT NULL {note} NOT VALID'
DISABLED = """
    CREATE FUNCTION {s}keep() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';
    CREATE TRIGGER "Keep" BEFORE UPDATE ON {table} FOR EACH ROW EXECUTE FUNCTION {s}keep();
    ALTER TABLE {table} DISABLE TRIGGER "Keep"
"""


@every_shape
def test_what_was_left_unfinished_is_finished(shape: Shape, bench: Bench) -> None:
    bench.reset(shape.setup, shape.search_path)
    unfinished = OF_PARTITIONED if shape.partition_by else UNFINISHED + DISABLED
    unfinished = f"{unfinished}; {NOT_NULL}" if bench.major >= 18 else unfinished
    step = bench.step(f"op.execute({unfinished.format(**shape.names)!r})")
    found = _at_head(bench, step)
    assert len(found) == (2 if shape.partition_by else 3) + (bench.major >= 18), [each.message for each in found]

    for finding in found:
        for code in blocks(str(finding.help)):
            bench.step(code)

    assert [each.message for each in _at_head(bench, step)] == []


def _at_head(bench: Bench, step: Step) -> list[Finding]:
    head = bench.snapshot()
    return list(not_validated.examine(replace(recorded(step, head, bench.major), head=head)))
