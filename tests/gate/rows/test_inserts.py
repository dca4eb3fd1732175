"""The INSERTs of a plan's rows, by hand-made catalogs: which there are, in which order, and what is tried where one is refused.

That PostgreSQL takes them is shown in test_fill.py.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import pytest

from app.gate.rows._catalog import CatalogTable, Column, ForeignKey, Type, UniqueKey
from app.gate.rows._conditions import PREDICATE
from app.gate.rows._hostile import Aim
from app.gate.rows._inserts import InsertBuilder, InsertTask
from app.gate.rows._plan import Plan, Rules
from app.gate.rows._shapes import Row, Shape
from app.gate.rows._values import NoValue
from tests.gate.rows import test_shapes as shapes
from tests.gate.rows.test_shapes import TEXT, catalog, check, column

MINE = Type("mine", "mine", "base", "U")
FEW = 'SELECT count(*) >= 3 FROM (SELECT FROM "public"."t" LIMIT 3) AS few'


def table(*columns: Column, **parts: object) -> CatalogTable:
    """With numbers for its columns, from which their values come."""
    return shapes.table(*(replace(each, number=number) for number, each in enumerate(columns, 1)), **parts)  # type: ignore[arg-type]


def builder_of(*tables: CatalogTable, rules: Rules | None = None, **options: Any) -> InsertBuilder:
    plan = Plan(catalog(*tables))
    if rules is not None:
        plan.rules = {1: rules}
    return InsertBuilder(plan, **options)


def insert(columns: str, values: str) -> str:
    """An INSERT of constants into t."""
    names = ", ".join(f'"{name}"' for name in columns.split())
    return f'INSERT INTO "public"."t" ({names}) OVERRIDING SYSTEM VALUE SELECT {values} LIMIT 1 OFFSET $1'


def rows_of(tasks: Iterable[InsertTask]) -> list[str]:
    return [
        f"{each.table.label}: {', '.join(f'{row.shape} {row.number}' for row in (each.row, *each.others))}"
        for each in tasks
    ]


# Which there are.


def test_rows_of_constants_are_one_statement() -> None:
    (task,) = builder_of(table(column("id"), column("a", TEXT))).tasks(with_edge_cases=False)

    assert rows_of([task]) == ["t: ordinary 0, ordinary 1, ordinary 2"]
    assert task.statements == [
        (
            'INSERT INTO "public"."t" ("id", "a") OVERRIDING SYSTEM VALUE SELECT * FROM'
            " (VALUES (1001::integer, 'a-1'::text), (1002::integer, 'a-2'::text), (1003::integer, 'a-3'::text)) AS v WHERE $1 = 0"
        )
    ]
    assert task.unless is None


def test_edge_cases_are_single_statements_behind_the_ordinary_ones() -> None:
    tasks = list(builder_of(table(column("id", not_null=True), column("n"), keys=[["id"]])).tasks(with_edge_cases=True))

    assert rows_of(tasks) == ["t: ordinary 0, ordinary 1, ordinary 2", "t: nulls 3", "t: duplicate 0", "t: extreme 6"]
    assert [each.statements for each in tasks[1:3]] == [
        [insert("id n", "1004::integer, NULL::integer")],
        [insert("id n", "1005::integer, 2001::integer")],
    ]


def test_a_table_that_the_revision_does_not_touch_gets_ordinary_rows_where_it_has_few() -> None:
    (task,) = builder_of(table(column("id"), is_touched=False)).tasks(with_edge_cases=True)
    restricted = table(column("id"), is_touched=False, checks=[check("c", "id")])

    assert (rows_of([task]), task.unless) == (["t: ordinary 0, ordinary 1, ordinary 2"], FEW)
    assert [each.unless for each in builder_of(restricted).tasks(with_edge_cases=True)] == [FEW] * 3


def test_rows_that_a_check_restricts_are_found_one_by_one() -> None:
    of = table(column("id"), column("a", not_null=True), checks=[check("c", "a", expression="a > 5")])

    tasks = list(builder_of(of).tasks(with_edge_cases=False))

    assert rows_of(tasks) == ["t: ordinary 0", "t: ordinary 1", "t: ordinary 2"]
    ((sql,),) = (each.statements for each in tasks[1:2])
    assert sql.startswith(
        'INSERT INTO "public"."t" ("id", "a") OVERRIDING SYSTEM VALUE SELECT 1002::integer, c0."a" FROM (SELECT'
    )
    assert sql.endswith(
        " AS s WHERE ((a > 5) IS NOT FALSE) ORDER BY overproof_rank, overproof_0 LIMIT 12) AS c0"
        " ORDER BY c0.overproof_rank, c0.overproof_rank LIMIT 1 OFFSET $1"
    )


def test_the_best_combination_of_several_columns_is_taken() -> None:
    checks = [check("c", "a"), check("d", "b")]

    task = next(iter(builder_of(table(column("a"), column("b"), checks=checks)).tasks(with_edge_cases=False)))

    assert task.statements[0].endswith(
        ") AS c1 ORDER BY c0.overproof_rank + c1.overproof_rank, c0.overproof_rank, c1.overproof_rank LIMIT 1 OFFSET $1"
    )


def test_a_table_without_columns_gets_rows_too() -> None:
    tasks = list(builder_of(table()).tasks(with_edge_cases=False))

    assert [each.statements for each in tasks] == [['INSERT INTO "public"."t" DEFAULT VALUES']] * 3


def test_values_of_a_type_that_is_not_known_are_guessed() -> None:
    builder = builder_of(table(column("id"), column("a", MINE, not_null=True), is_touched=False))

    tasks = list(builder.tasks(with_edge_cases=True))

    assert rows_of(tasks) == ["t: ordinary 0", "t: ordinary 1", "t: ordinary 2"]
    guesses = ("2", "a2", "(2,2)", "{}", "[2,2,2]", "POINT(2 2)", "2.2", "", "978-0-02-000000-0!")
    assert tasks[1].statements == [insert("id a", f"1002::integer, '{guess}'::mine") for guess in guesses]
    assert {each.unless for each in tasks} == {FEW}
    assert builder.unknown == {1: "no value of type mine is known"}


def test_nothing_is_guessed_where_no_guess_can_help() -> None:
    (first, *_) = builder_of(table(column("a", MINE, not_null=True), checks=[check("c", "a")])).tasks(
        with_edge_cases=False
    )

    assert first.statements == []


def test_a_table_that_has_rows_gets_none_and_its_children_refer_to_them() -> None:
    parent = table(column("id"), oid=2, label="p")
    child = table(column("p", not_null=True), foreign_keys=[ForeignKey("fk", ("p",), 2, ("id",))])

    known = list(builder_of(parent, child).tasks(with_edge_cases=False))
    others = list(builder_of(parent, child, except_for=frozenset({"public.p"})).tasks(with_edge_cases=False))

    assert rows_of(known) == [f"{label}: ordinary 0, ordinary 1, ordinary 2" for label in "pt"]
    assert rows_of(others) == [f"t: ordinary {number}" for number in range(3)]
    assert all('FROM "public"."p"' in each.statements[0] for each in others)


def test_with_defaults_columns_take_their_values_from_their_sequences() -> None:
    own = replace(column("id"), sequence="s")
    of = table(
        own,
        column("a"),
        checks=[check("c", "id"), check("d", "a")],
        foreign_keys=[ForeignKey("fk", ("id",), 1, ("id",))],
    )

    tasks = list(builder_of(of, by_defaults=True).tasks(with_edge_cases=False))

    assert all(each.statements[0].startswith('INSERT INTO "public"."t" ("a") ') for each in tasks)
    assert ["c holds" in each.statements[0] for each in tasks] == [False] * 3
    assert ["d holds" in each.statements[0] for each in tasks] == [True] * 3


A = table(column("id", not_null=True), column("b", not_null=True), label="a", foreign_keys=[ForeignKey("f", ("b",), 2, ("id",))], checks=[check("x", "b")])  # fmt: skip
B = table(column("id", not_null=True), column("a", not_null=True), column("c", TEXT), oid=2, label="b", foreign_keys=[ForeignKey("g", ("a",), 1, ("id",))])  # fmt: skip


def test_tables_that_need_rows_of_each_other_get_them_in_one_statement() -> None:
    tasks = list(builder_of(A, B).tasks(with_edge_cases=True))

    assert rows_of(tasks) == [f"{label}: ordinary {number}" for number in range(3) for label in "ab"]
    assert tasks[2].statements == [
        (
            'WITH i0 AS (INSERT INTO "public"."a" ("b", "id") OVERRIDING SYSTEM VALUE SELECT 1002::integer, 1002::integer LIMIT 1 OFFSET $1)'
            ' INSERT INTO "public"."b" ("a", "id", "c") OVERRIDING SYSTEM VALUE SELECT 1002::integer, 1002::integer, \'c-2\'::text LIMIT 1 OFFSET $1'
        )
    ]
    assert {sql for each in tasks[1::2] for sql in each.statements} == {"SELECT 1 OFFSET $1"}


def test_such_tables_get_none_if_a_value_is_not_known() -> None:
    builder = builder_of(replace(A, columns=(*A.columns, column("m", MINE, not_null=True))), B)

    assert list(builder.tasks(with_edge_cases=True)) == []
    assert builder.unknown == dict.fromkeys((1, 2), "no value of type mine is known")


def test_a_foreign_key_of_a_circle_that_may_be_null_is_filled_in_at_the_end() -> None:
    a = replace(
        A, columns=(A.columns[0], replace(A.columns[1], not_null=False)), keys=(UniqueKey("pk", ("id",), True),)
    )

    tasks = list(builder_of(a, B).tasks(with_edge_cases=False))

    assert rows_of(tasks)[-3:] == [f"a: deferred key {number}" for number in range(3)]
    assert all(each.statements[0].startswith('UPDATE "public"."a"') for each in tasks[-3:])


# Those with a purpose.


def test_each_aim_is_a_row_with_a_number_of_its_own() -> None:
    rules = Rules(checks=(check("one", "a"), check("two", "a")))
    rows = [Row(Shape.HOSTILE, 50, refused_by=each) for each in rules.checks]
    aims = [Aim(1, rows[0]), Aim(2, rows[0]), Aim(1, rows[1])]

    tasks = list(builder_of(table(column("a")), rules=rules).tasks(False, aims))

    assert rows_of(tasks)[3:] == ["t: hostile 50", "t: hostile 52"]
    first, second = (each.statements[0] for each in tasks[3:])
    assert "((one holds) IS FALSE)" in first
    assert "((two holds) IS NOT FALSE)" in first
    assert "((one holds) IS NOT FALSE)" in second


def test_a_row_that_breaks_a_foreign_key_has_a_value_of_its_own() -> None:
    key, other = ForeignKey("fk", ("a",), 2, ("id",)), ForeignKey("other", ("b",), 2, ("id",))
    rules = Rules(foreign_keys=(key, other), checks=(check("c", "b"),))
    parent = table(column("id"), oid=2, label="p")
    orphan = Aim(1, Row(Shape.HOSTILE, 50, orphan_of=key))
    broken = Aim(1, Row(Shape.HOSTILE, 50, refused_by=rules.checks[0]))

    tasks = list(builder_of(table(column("a"), column("b")), parent, rules=rules).tasks(False, [orphan, broken]))

    first, second = (each.statements[0] for each in tasks if each.row.shape is Shape.HOSTILE)
    assert re.search(r'\("a", "b"\) OVERRIDING SYSTEM VALUE SELECT 1051::integer, c0."b"', first)
    assert 'SELECT "id" AS "b"' in first
    assert 'SELECT "id" AS "a"' in second
    assert 'SELECT "id" AS "b"' not in second


def test_a_row_for_a_condition_is_made_unless_there_is_one() -> None:
    condition, predicate = check("a condition", "a", expression="a = 1"), check(PREDICATE, "a", expression="a = 2")
    rules = Rules(conditions=(condition, predicate))

    tasks = [each for each in builder_of(table(column("a")), rules=rules).tasks(True) if each.row.selected_by]

    def unless(expression: str, least: int) -> str:
        return f'SELECT count(*) >= {least} FROM (SELECT FROM "public"."t" WHERE ({expression} LIMIT {least}) AS few'

    assert [each.unless for each in tasks] == [
        unless("a = 1) IS TRUE", 1),
        unless("a = 1) IS TRUE", 1),
        unless("a = 1) IS FALSE", 1),
        unless("a = 2) IS TRUE", 2),
        unless("a = 2) IS TRUE", 2),
        unless("a = 2) IS FALSE", 1),
    ]
    assert ["((a = 1) IS TRUE)" in each.statements[0] for each in tasks[:3]] == [True, True, False]
    assert "((a = 1) IS FALSE)" in tasks[2].statements[0]


# Where one is refused.


def refuse(tasks: list[InsertTask], *numbers: int, state: str = "23505") -> list[InsertTask]:
    for number in numbers:
        tasks[number].refusal = (state, "refused", "")
    return tasks


def test_refused_ordinary_rows_are_tried_one_by_one_and_with_other_numbers() -> None:
    builder = builder_of(table(column("id")))
    tasks = refuse(list(builder.tasks(with_edge_cases=False)), 0)

    retries = builder.retries(tasks)

    assert rows_of(retries) == ["t: ordinary 0", "t: ordinary 1", "t: ordinary 2"]
    assert retries[1].statements == [insert("id", "1002::integer"), insert("id", "1502::integer")]
    assert tasks[0].refusal is None


def test_rules_are_given_up_and_checks_left_to_postgres_at_last() -> None:
    of = table(column("a"), checks=[check("old", "a")], is_touched=False)
    builder = builder_of(of, rules=Rules(checks=(check("new", "a"),)))

    first = builder.retries(refuse(list(builder.tasks(with_edge_cases=False)), 0))[0].statements

    assert [["new holds" in each, "old holds" in each, "LIMIT 12)" in each] for each in first] == [
        [True, True, True],
        [False, True, True],
        [False, True, True],
        [False, False, False],
    ]
    assert [
        f"(1{number}::integer, 0)" in sql for number, sql in zip(("001", "001", "501", "001"), first, strict=True)
    ] == [True] * 4
    assert "LIMIT 40)" in first[3]


def test_a_retry_is_left_out_where_there_are_rows_by_then() -> None:
    builder = builder_of(table(column("id"), is_touched=False))

    assert {each.unless for each in builder.retries(refuse(list(builder.tasks(False)), 0))} == {FEW}


def test_an_edge_case_is_tried_again_only_if_ordinary_rows_were_refused_or_a_parent_was_missing() -> None:
    builder = builder_of(table(column("id", not_null=True)))

    def retried(*refused: int, state: str) -> list[str]:
        return rows_of(builder.retries(refuse(list(builder.tasks(with_edge_cases=True)), *refused, state=state)))

    assert retried(1, 3, state="23505") == []
    assert retried(3, state="23503") == ["t: extreme 6"]
    assert retried(0, 3, state="23505") == ["t: ordinary 0", "t: ordinary 1", "t: ordinary 2", "t: extreme 6"]


def test_an_edge_case_is_not_tried_with_another_number() -> None:
    builder = builder_of(table(column("id", not_null=True)))

    (retry,) = builder.retries(refuse(list(builder.tasks(with_edge_cases=True)), 1, state="23503"))

    assert retry.statements == [insert("id", "1004::integer")]


def test_a_type_that_is_not_known_is_guessed_again() -> None:
    builder = builder_of(table(column("a", MINE, not_null=True)))
    tasks = refuse(list(builder.tasks(with_edge_cases=False)), 0)

    assert [each.statements for each in builder.retries(tasks)] == [tasks[0].statements]


def test_what_is_more_than_an_insert_is_tried_again_as_it_is() -> None:
    a = replace(
        A, columns=(A.columns[0], replace(A.columns[1], not_null=False)), keys=(UniqueKey("pk", ("id",), True),)
    )
    for tables, place in (((A, B), 0), ((a, B), -1)):
        builder = builder_of(*tables)
        tasks = list(builder.tasks(with_edge_cases=False))

        (retry,) = builder.retries([refuse(tasks, place, state="23503")[place]])

        assert (retry.row, retry.statements) == (tasks[place].row, tasks[place].statements)


# The next one.


def test_the_next_insert_has_values_of_its_own_and_leaves_what_is_omitted_to_its_default() -> None:
    of = table(column("id"), column("a", MINE, not_null=True), column("b", TEXT), checks=[check("c", "a", "b")])
    builder = builder_of(of, rules=Rules(checks=(check("new", "b"),)))

    assert builder.next_insert(of, frozenset({"a"})) == (
        'INSERT INTO "public"."t" AS overproof_next ("id", "b") OVERRIDING SYSTEM VALUE'
        " SELECT 1701::integer, 'b-701'::text LIMIT 1 OFFSET $1 RETURNING to_jsonb(overproof_next.*)"
    )
    assert builder.next_insert(of, frozenset({"a"}), "1").endswith(" RETURNING 1")
    with pytest.raises(NoValue, match="mine"):
        builder.next_insert(of, frozenset({"b"}))


def test_the_next_insert_keeps_what_is_demanded_of_the_other_columns() -> None:
    keys = [ForeignKey("gone", ("a",), 1, ("b",)), ForeignKey("kept", ("b",), 1, ("b",))]
    of = table(column("a"), column("b"), column("c"), checks=[check("c", "c"), check("d", "a")], foreign_keys=keys)

    sql = builder_of(of).next_insert(of, frozenset({"a"}))

    assert ["c holds" in sql, "d holds" in sql, 'AS "b"' in sql, 'AS "a"' in sql] == [True, False, True, False]
