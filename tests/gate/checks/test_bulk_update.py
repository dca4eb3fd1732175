"""One statement that changes all rows. What PostgreSQL counts is tried by tests/gate/hazards/updates.py."""

from __future__ import annotations

import textwrap
from contextlib import nullcontext
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest
import sqlalchemy as sa

from app.gate.checks.bulk_update import examine
from app.gate.recording.model import Direction, Populated, Recording, RoundTrip, RowKind, Statement, Step
from app.gate.server.database import Database
from tests.gate.checks.builders import added, failure, key, recording, revision, snapshot, statement, trip

UPDATE = "UPDATE orders SET status = 'new'"
PRIMARY_KEY = {"type": "primary key", "columns": ["id"], "definition": "PRIMARY KEY (id)"}
HEAD = snapshot({key("constraint", "orders_pkey", "orders"): PRIMARY_KEY})


def over_rows(*statements: Statement, rows: int = 10, **fields: Any) -> RoundTrip:
    """An upgrade that runs those statements over rows in orders."""
    step = Step("a1", Direction.UPGRADE, 1.0, statements=statements, failure=fields.pop("step_failure", None))
    populated = Populated(step, RowKind.EDGE_CASES, {"public.orders": rows})
    return replace(
        trip("a1", statements=[replace(each, updated={}) for each in statements], **fields), populated=populated
    )


def updating(sql: str = UPDATE, updated: int = 10, **fields: Any) -> Statement:
    return statement(sql, locks={"orders": "RowExclusiveLock"}, updated={"orders": updated}, **fields)


def history(*statements: Statement, rows: int = 10, **fields: Any) -> Recording:
    return recording(over_rows(*statements, rows=rows), head=HEAD, **fields)


def test_the_finding_names_the_table_the_line_and_batches_by_its_key():
    [finding] = examine(history(updating(line=12)))

    assert finding.message == (
        "One statement changes all rows of orders: they stay locked, and replicas lag behind, until it commits."
    )
    assert (finding.revision, finding.object, finding.line, finding.detail) == ("a1", "public.orders", 12, UPDATE)
    assert finding.subject == "all rows of orders"
    assert """sa.text("UPDATE orders SET status = 'new' WHERE " + rows)""" in str(finding.help)


def test_nearly_all_rows_are_all_rows():
    assert len(list(examine(history(updating(updated=19), rows=20)))) == 1


def test_where_the_hostile_rows_made_it_fail_the_upgrade_over_ordinary_rows_counts():
    again = Step("a1", Direction.UPGRADE, 1.0, statements=(updating(),))
    tried = replace(over_rows(step_failure=failure()), second_up=again)

    assert len(list(examine(recording(tried, head=HEAD)))) == 1


@pytest.mark.parametrize(
    "sql",
    [
        "UPDATE orders SET status = c.state FROM customers c WHERE c.id = orders.customer",
        "DO $$ BEGIN UPDATE orders SET status = 'new'; END $$",
        "UPDATE orders SET status = %(status)s",
    ],
)
def test_what_cannot_be_rewritten_gets_words_and_no_code(sql):
    [finding] = examine(history(updating(sql)))

    assert str(finding.help).endswith("(op.get_context().autocommit_block()).")


@pytest.mark.parametrize(
    "sql",
    [
        "UPDATE orders SET status = 'new' WHERE id IN (SELECT id FROM orders WHERE status IS NULL LIMIT 1000)",
        "UPDATE orders SET status = 'new' WHERE id BETWEEN 1 AND 1000",
        "UPDATE orders SET status = 'new' WHERE id >= %(low)s AND id < %(high)s",
        "UPDATE orders SET status = 'new' WHERE id > 0 AND id <= 1000",
        "UPDATE orders SET status = 'new' WHERE id = ANY(%s)",
        "UPDATE orders SET status = 'new' WHERE id IN (1, 2, 3)",
        "UPDATE orders SET status = %(status)s WHERE orders.id = %(orders_id)s",
        "DO $$ BEGIN UPDATE orders SET status = 'new'; COMMIT; END $$",
    ],
)
def test_stays_quiet_about_batches(sql):
    assert list(examine(history(updating(sql)))) == []


def test_stays_quiet_about_a_statement_that_is_repeated():
    assert list(examine(history(updating(), updating(updated=0)))) == []


def test_stays_quiet_about_a_part_of_the_rows():
    assert list(examine(history(updating(updated=6)))) == []


def test_stays_quiet_where_there_were_too_few_rows():
    assert list(examine(history(updating(updated=2), rows=2))) == []


def test_stays_quiet_about_a_table_of_the_same_branch():
    made = trip("b2", changes=[added(key("table", "orders"))])
    late = recording(
        trip("z0"),
        made,
        over_rows(updating()),
        revisions=[revision("z0", is_new=False), revision("b2", "z0"), revision("a1", "b2")],
    )

    assert list(examine(late)) == []


@pytest.mark.parametrize(
    ("table", "column", "kind", "value"),
    [
        ("orders", "id", "int", "n"),
        ('"Order"', '"Id"', "bigint", "n * 1000000000000"),
        ("shop.orders", "id", "text", "'a' || n"),
        ('shop."select"', '"order"', "uuid", "md5(n::text)::uuid"),
        ("events", "id", "int", "n"),  # partitioned
    ],
)
@pytest.mark.parametrize("where", ["", " WHERE note::text <> '{:x}' OR total IS NULL"])
def test_the_code_changes_all_rows_in_batches(table, column, kind, value, where, blank_database: Database):
    schema, _, name = table.rpartition(".")
    names = [each.strip('"') for each in (schema or "public", name, column)]
    head = snapshot({key("constraint", "pk", names[1], names[0]): {**PRIMARY_KEY, "columns": [names[2]]}})
    sql = f"UPDATE {table} SET total = 1, note = note || '{{:y}}'::text{where}"
    changed = Step("a1", Direction.UPGRADE, 1.0, statements=(statement(sql, updated={".".join(names[:2]): 10}),))
    tried = replace(trip("a1"), populated=Populated(changed, RowKind.ORDINARY, {".".join(names[:2]): 10}))
    [finding] = examine(recording(tried, head=head))
    code = textwrap.dedent(str(finding.help).partition("\n\n")[2])

    engine = sa.create_engine(blank_database.url("psycopg2"), isolation_level="AUTOCOMMIT")
    with engine.connect() as bind:
        bind.exec_driver_sql("CREATE SCHEMA shop")
        partitions = "PARTITION BY RANGE (id)" if table == "events" else ""
        bind.exec_driver_sql(
            f"CREATE TABLE {table} ({column} {kind} PRIMARY KEY, total int, note text DEFAULT 'a') {partitions}"
        )
        if partitions:
            bind.exec_driver_sql("CREATE TABLE low PARTITION OF events FOR VALUES FROM (MINVALUE) TO (7000)")
            bind.exec_driver_sql("CREATE TABLE high PARTITION OF events FOR VALUES FROM (7000) TO (MAXVALUE)")
        bind.exec_driver_sql(f"INSERT INTO {table} ({column}) SELECT {value} FROM generate_series(1, 12000) AS n")

        op = SimpleNamespace(get_bind=lambda: bind, get_context=lambda: SimpleNamespace(autocommit_block=nullcontext))
        exec(code, {"op": op, "sa": sa})

        rows = bind.exec_driver_sql(f"SELECT count(*), min(total), min(note), max(note) FROM {table}").one()
        assert tuple(rows) == (12000, 1, "a{:y}", "a{:y}")  # each once
        assert bind.exec_driver_sql(f"SELECT count(DISTINCT xmin::text) FROM {table}").scalar_one() == 3
    engine.dispose()


@pytest.mark.parametrize("batch", [f"{UPDATE} LIMIT 5", f"{UPDATE} WHERE id BETWEEN 1 AND 9"])
def test_a_batch_does_not_hide_the_whole_behind_it(batch: str):
    [finding] = examine(history(updating(batch), updating(line=13)))

    assert finding.line == 13


def test_statements_that_are_repeated_do_not_hide_the_one_behind_them():
    repeated = "UPDATE orders SET a = 1"

    [finding] = examine(history(updating(repeated, line=11), updating(repeated, line=11), updating(line=13)))

    assert (finding.line, finding.detail) == (13, UPDATE)


@pytest.mark.parametrize(("rows", "updated", "is_found"), [(3, 3, False), (4, 4, True), (10, 9, True), (10, 8, False)])
def test_all_rows_are_nine_of_ten_and_at_least_four(rows: int, updated: int, is_found: bool):
    assert bool(list(examine(history(updating(updated=updated), rows=rows)))) is is_found
