"""Which conditions of a revision's statements are read, and which rows are made for them."""

from __future__ import annotations

from dataclasses import replace

import pytest

from app.gate.rows._catalog import CatalogTable, CheckConstraint, Column, Type
from app.gate.rows._conditions import conditions_of, converted, replace_columns, within
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
        ("update only orders set id = 1 where id = 'a'", "\"id\" = 'a'", ("id",)),
        ("DELETE FROM orders WHERE /* of\nold */ id = 'a\nb'", "\"id\" = 'a\nb'", ("id",)),
        ("DELETE FROM orders WHERE id = E'it\\'s; so' AND status = 'it''s; so'",
         "\"id\" = E'it\\'s; so' AND \"status\" = 'it''s; so'", ("id", "status")),
        ("UPDATE orders SET id = (SELECT n FROM lines WHERE n = 1) WHERE status = 'a'", "\"status\" = 'a'", ("status",)),
        ("WITH gone AS (DELETE FROM orders WHERE lower(id) = 'a') SELECT 2", "lower ( \"id\" ) = 'a'", ("id",)),
        ("DELETE FROM orders WHERE (CASE WHEN id = 'a' THEN 1 END) = 1", "( CASE WHEN \"id\" = 'a' THEN 1 END ) = 1", ("id",)),
        ("SELECT id FROM lines; DELETE FROM orders WHERE id = 'a'", "\"id\" = 'a'", ("id",)),
        ("UPDATE orders SET id = 1; DELETE FROM orders WHERE id = 'a'", "\"id\" = 'a'", ("id",)),
        ("CREATE INDEX i ON orders USING btree (id) WHERE status = 'a'", "\"status\" = 'a'", ("status",)),
        ("DELETE FROM orders status WHERE status = status.id", '"status" = "id"', ("status", "id")),
        ("DELETE FROM orders WHERE public.orders.id = status", '"id" = "status"', ("id", "status")),
        ("DELETE FROM orders WHERE status(id) = 'a'", "status ( \"id\" ) = 'a'", ("id",)),
    ],
)  # fmt: skip
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
        "SELECT * FROM orders NATURAL JOIN lines WHERE id = 'a'",
        "UPDATE orders SET status = 'x' FROM lines WHERE id = 'a'",
        "UPDATE orders SET id = 1; UPDATE lines SET n = 1 WHERE id = 'a'",
        "WITH u AS (UPDATE orders SET id = 1) SELECT (SELECT 1 WHERE id = 'a')",
        "DELETE FROM orders WHERE id = :id",
        "DELETE FROM orders WHERE id = ?",
        "DELETE FROM orders WHERE id = @id",
        "DELETE FROM orders WHERE id % 2 = 1",
        "DELETE FROM orders WHERE CURRENT OF orders",
        "DELETE FROM orders WHERE id = NEW",
        "DELETE FROM orders WHERE id = OLD",
        "DELETE FROM orders WHERE id = CURRENT",
        "DELETE FROM orders WHERE id = lines.id",
        # What ends before it says much.
        *(f"SELECT 1 WHERE true; {end}" for end in (
            "DELETE FROM", "DELETE FROM ONLY", "DELETE FROM public.", "DELETE FROM orders", "DELETE FROM orders AS", "UPDATE orders SET id = 1"
        )),
    ],
)  # fmt: skip
def test_what_is_about_more_than_the_table_and_constants_is_not_read(sql):
    assert conditions_of(ORDERS, [sql]) == ()


@pytest.mark.parametrize(
    "end",
    ["RETURNING id", "ORDER BY id", "LIMIT 1", "OFFSET 1", "GROUP BY id", "FOR UPDATE", "UNION VALUES (1)", "HAVING true",
     "ON CONFLICT DO NOTHING", "LOOP NULL", "THEN DELETE", "WHEN true", "order by id", "; VALUES (1)"],
)  # fmt: skip
def test_a_condition_ends_where_the_next_clause_begins(end):
    [condition] = conditions_of(ORDERS, [f"SELECT id FROM orders WHERE status = 'a' {end}"])

    assert condition.expression == "\"status\" = 'a'"


def test_each_condition_is_read_once_and_the_first_four_are_taken():
    statements = [f"DELETE FROM orders WHERE id = '{each}'" for each in "aabcde"]

    assert [each.expression[-3:] for each in conditions_of(ORDERS, statements)] == ["'a'", "'b'", "'c'", "'d'"]


def test_the_predicate_of_an_index_is_told_from_other_conditions():
    statements = [
        "DELETE FROM orders WHERE id = 'a'",
        "CREATE INDEX i ON orders (id) WHERE id = 'b'",
        "UPDATE orders SET id = 1 WHERE id = 'c'",
    ]

    assert [each.name for each in conditions_of(ORDERS, statements)] == ["a condition", "a predicate", "a condition"]


def test_the_bounds_of_a_partition_are_a_condition_on_its_columns():
    bounds = "((\"Total\" IS NOT NULL) AND (status = 'id'::text))"

    assert within(ORDERS, bounds) == CheckConstraint("a condition", ("status", "Total"), bounds)


@pytest.mark.parametrize(
    ("expression", "replaced"),
    [
        ("(status = 'status'::text)", "([status] = 'status'::text)"),
        ('("status" > "Total")', '([status] > "Total")'),
        ("status(id) = status (id)", "status(id) = status (id)"),
        ("shop.status = id::status", "shop.status = id::status"),
        ("STATUS + 1.5", "[status] + 1.5"),
        ("states", "states"),
    ],
)
def test_columns_of_a_condition_are_replaced_by_values(expression, replaced):
    check = CheckConstraint("c", ("status",), expression)

    assert replace_columns(check, {"status": "[status]"}) == replace(check, expression=replaced)


_INT = Type("int8", "bigint", "base", "N")
_NUMERIC = Type("numeric", "numeric", "base", "N")
_NUMBER = '(CASE WHEN ("a")::text ~ \'^ *-?[0-9]{1,4}%s *$\' THEN ("a")::text::%s END)'


@pytest.mark.parametrize(
    ("now", "later", "value"),
    [
        (_TEXT, Type("varchar", "varchar(9)", "base", "S"), '("a")::varchar(9)'),
        (_INT, _NUMERIC, '("a")::numeric'),
        (_TEXT, _INT, _NUMBER % ("", "bigint")),
        (_TEXT, _NUMERIC, _NUMBER % (r"(\.[0-9]+)?", "numeric")),
        (Type("label", "label", "domain", "S", of=_TEXT), _INT, _NUMBER % ("", "bigint")),
        (_TEXT, Type("label", "label", "domain", "S", of=_TEXT), None),
        (_TEXT, Type("mood", "mood", "enum", "E"), None),
        (_TEXT, Type("date", "date", "base", "D"), None),
        (_INT, _TEXT, None),
    ],
)  # fmt: skip
def test_the_value_that_a_column_will_have_is_known_where_its_cast_is(now, later, value):
    column = Column(1, "a", now, -1, now.sql, False)

    assert converted(column, replace(column, type=later, sql=later.sql)) == value


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


_NUMBER_TYPE = Type("int4", "integer", "base", "N")
_SUMS = replace(
    ORDERS,
    columns=(
        *(Column(number, name, _NUMBER_TYPE, -1, "integer", False) for number, name in enumerate(("total", "number", "Parts"))),
        ORDERS.columns[1],
        Column(7, "sum", _NUMBER_TYPE, -1, "integer", False, is_generated=True),
    ),
)  # fmt: skip


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
        ("UPDATE orders SET total = total / number WHERE number < 5", ['"number" < 5', '("number" < 5) AND "number" = 0']),
        ("UPDATE orders SET total = total / number + 1 / number + 1 / total", ['"number" = 0', '"total" = 0']),
        ("UPDATE orders SET total = total / sum + 1 / status", []),
        ("SELECT 5 / '2' number FROM orders", []),
        ("UPDATE orders SET total = 1 -- / number", []),
        ("UPDATE orders SET total = total / nullif(number, 0)", []),
        ("UPDATE orders SET total = 1 WHERE 'a/number' = ''", []),
        ("UPDATE sums SET total = total / number", []),
        ("ALTER TABLE orders ADD CHECK (total / number > 1)", []),
    ],
)  # fmt: skip
def test_what_is_divided_by_may_be_zero(sql, expressions):
    assert [each.expression for each in conditions_of(_SUMS, [sql])] == expressions


def test_a_row_that_a_division_fails_on_has_the_columns_of_both_conditions():
    _, found = conditions_of(_SUMS, ["UPDATE orders SET total = 1 / number WHERE total > 5 AND number < 5"])

    assert (found.name, found.columns) == ("a condition", ("total", "number"))
