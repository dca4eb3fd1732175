"""Which conditions of a revision's statements are read, and which rows are made for them."""

from __future__ import annotations

from dataclasses import replace

import pytest

from app.gate.rows._catalog import CatalogTable, Column, Type
from app.gate.rows._conditions import conditions_of
from app.gate.rows._fill import fill
from app.gate.rows._plan import Upgrade, make_plan
from tests.gate.lines import Bench

_TEXT = Type("text", "text", "base", "S")
ORDERS = CatalogTable(
    1,
    "public",
    "orders",
    is_touched=True,
    is_partitioned=False,
    has_children=False,
    columns=tuple(
        Column(number, name, _TEXT, -1, "text", False) for number, name in enumerate(("id", "status", "Total"))
    ),
)


@pytest.mark.parametrize(
    ("sql", "expression", "columns"),
    [
        ("DELETE FROM orders WHERE status = 'old'", "\"status\" = 'old'", ("status",)),
        ("delete from public.orders o where o.status='old' returning id", "\"status\" = 'old'", ("status",)),
        ('UPDATE "orders" SET status = \'x\' WHERE "Total" >= 1.5', '"Total" >= 1.5', ("Total",)),
        ("UPDATE orders AS o SET status = (SELECT 1) WHERE o.id IN (1, 2)", '"id" IN ( 1 , 2 )', ("id",)),
        ("UPDATE ONLY orders SET id = 1 WHERE status LIKE 'a%%' -- why", "\"status\" LIKE 'a%'", ("status",)),
        ("CREATE UNIQUE INDEX u ON orders (id) WHERE status = 'new'", "\"status\" = 'new'", ("status",)),
        ("SELECT id FROM orders WHERE status IS NULL ORDER BY id", '"status" IS NULL', ("status",)),
        ("UPDATE orders SET id = 1 WHERE status::integer < 5", '"status" :: integer < 5', ("status",)),
        ("DO $$ BEGIN DELETE FROM orders WHERE id = 'a'; END $$", "\"id\" = 'a'", ("id",)),
    ],
)
def test_the_condition_is_read_with_its_columns(sql, expression, columns):
    [condition] = conditions_of(ORDERS, [sql])

    assert (condition.expression, condition.columns) == (expression, columns)


@pytest.mark.parametrize(
    "sql",
    [
        "DELETE FROM lines WHERE status = 'old'",
        "DELETE FROM shop.orders WHERE status = 'old'",
        "DELETE FROM orders",
        "DELETE FROM orders WHERE id IN (SELECT id FROM lines)",
        "DELETE FROM orders USING lines WHERE lines.id = orders.id",
        "UPDATE orders SET status = l.status FROM lines AS l WHERE l.id = orders.id",
        "UPDATE orders SET status = 'x' WHERE id = %(id_1)s",
        "UPDATE orders SET status = 'x' WHERE id = $1",
        "SELECT * FROM orders JOIN lines ON lines.id = orders.id WHERE lines.n = 1",
        "DELETE FROM orders WHERE true",
    ],
)
def test_what_is_about_more_than_the_table_and_constants_is_not_read(sql):
    assert conditions_of(ORDERS, [sql]) == ()


def rows_for(bench: Bench, table: str, condition: str, before: str = "SELECT 1") -> tuple[int, int]:
    """How many rows a DELETE by that condition selects, and how many not."""
    bench.run(f"CREATE TABLE t ({table})")
    bench.run(before)
    plan = make_plan(bench.line.ask, ["public.t"], Upgrade([f"DELETE FROM t WHERE {condition}"]))
    fill(plan, bench.line.ask, with_edge_cases=True)
    [(yes, no)] = bench.run(
        f"SELECT count(*) FILTER (WHERE {condition}), count(*) FILTER (WHERE NOT ({condition})) FROM t"
    )
    return yes, no


@pytest.mark.parametrize(
    ("table", "condition"),
    [
        ("id integer PRIMARY KEY, total integer", "total < 100"),
        ("id integer PRIMARY KEY, total numeric(10,2)", "total BETWEEN 7 AND 9"),
        ("id integer PRIMARY KEY, status varchar(10)", "status IN ('gone', 'old')"),
        ("id integer PRIMARY KEY, day date", "day < '1999-12-31'"),
        ("id integer PRIMARY KEY, mail text", "mail LIKE '%@example.com'"),
        ("id integer PRIMARY KEY, a boolean, b text", "a AND b = 'x'"),
        ("id integer PRIMARY KEY", "id = 7"),
    ],
)
def test_there_are_rows_on_both_sides_of_a_condition(bench, table, condition):
    yes, no = rows_for(bench, table, condition)

    assert yes > 0
    assert no > 0


@pytest.mark.parametrize("condition", ["later = 1", "id >= first_id AND id < following", "id = 1 AND nonsense"])
def test_a_condition_that_postgresql_does_not_take_before_the_revision_is_left_out(bench, condition):
    bench.run("CREATE TABLE t (id integer PRIMARY KEY)")

    plan = make_plan(bench.line.ask, ["public.t"], Upgrade([f"DELETE FROM t WHERE {condition}"]))

    assert fill(plan, bench.line.ask, with_edge_cases=True).tables["public.t"] > 0
    assert plan.rules == {}


def test_what_a_check_rules_out_is_not_made(bench):
    yes, no = rows_for(bench, "id integer PRIMARY KEY, total integer CHECK (total >= 100)", "total < 100")

    assert yes == 0
    assert no > 0


def test_where_a_script_has_put_such_rows_no_others_are_made(bench):
    insert = "INSERT INTO t VALUES (1, 'default')"

    yes, _ = rows_for(bench, "id integer PRIMARY KEY, status text", "status = 'default'", insert)

    assert yes == 1


_SUMS = replace(
    ORDERS,
    columns=tuple(
        Column(number, name, Type(name, "int4", "base", "N"), -1, "integer", False)
        for number, name in enumerate(("total", "number", "Parts"))
    ),
)


@pytest.mark.parametrize(
    ("sql", "expressions"),
    [
        ("UPDATE orders SET total = total / number", ['"number" = 0']),
        ('UPDATE orders o SET total = total %% (o."Parts")', ['"Parts" = 0']),
        (
            "UPDATE orders SET total = 1 / number WHERE total > 5",
            ['"total" > 5', '("total" > 5) AND "number" = 0'],
        ),
        ("INSERT INTO sums SELECT total / number FROM orders", ['"number" = 0']),
        ("UPDATE orders SET total = total / nullif(number, 0)", []),
        ("UPDATE orders SET total = 1 WHERE 'a/number' = ''", []),
        ("UPDATE sums SET total = total / number", []),
        ("ALTER TABLE orders ADD CHECK (total / number > 1)", []),
    ],
)
def test_what_is_divided_by_may_be_zero(sql, expressions):
    assert [each.expression for each in conditions_of(_SUMS, [sql])] == expressions
