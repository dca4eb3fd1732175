"""Values for foreign keys, by hand-made catalogs: whether they are known, and else in which order they are looked for.

That PostgreSQL takes them is shown in test_fill.py.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from app.gate.rows._catalog import CatalogTable, Column, ForeignKey, Type, UniqueKey
from app.gate.rows._foreign_keys import ForeignKeys
from app.gate.rows._plan import Labels, Plan, Rules
from app.gate.rows._shapes import Row, Shape
from tests.gate.rows.test_shapes import INTEGER, MOOD, TEXT, catalog, check, column, table

KEY = ForeignKey("fk", ("a",), 2, ("id",))
ID, A = column("id"), column("a", not_null=True)
FIRST = Row(Shape.ORDINARY, 0)
SIZE = Type("size", "size", "domain", "N", of=INTEGER, checks=("(VALUE > 0)",))


def known(
    row: Row = FIRST,
    *,
    child: Column = A,
    parent: Column = ID,
    bound: str = "",
    rules: Rules | None = None,
    filled: bool = True,
    has_rows: bool = False,
    of_child: dict[str, Any] | None = None,
    **of_parent: Any,
) -> dict[str, str]:
    """The values that are known of the key in a row of the child."""
    one = table(child, **{"foreign_keys": [KEY], **(of_child or {})})
    plan = Plan(catalog(one, table(parent, column("other"), oid=2, label="p", **of_parent)))
    plan.rules = {} if rules is None else {2: rules}
    keys = ForeignKeys(plan, frozenset({"public.p"} if has_rows else ()), {2} if filled else set())
    return keys.known_values(one, row, Rules(), set(bound))


@pytest.mark.parametrize(
    ("row", "value"),
    [(FIRST, "1001::integer"), (Row(Shape.ORDINARY, 4), "1002::integer"), (Row(Shape.DUPLICATE, 2), "1003::integer")],
)
def test_a_key_refers_to_the_parent_s_row_of_its_number(row: Row, value: str) -> None:
    assert known(row) == {"a": value}


@pytest.mark.parametrize(
    "circumstances",
    [
        {"row": Row(Shape.NULLS, 3)},
        {"bound": "a"},
        {"of_child": {"keys": [["a"]]}},
        {"of_child": {"foreign_keys": [KEY, KEY]}},
        {"of_child": {"foreign_keys": [replace(KEY, parent=9)]}},
        {"child": replace(A, is_generated=True)},
        {"filled": False},
        {"has_rows": True},
        {"checks": [check("c", "id")]},
        {"rules": Rules(checks=(check("c", "id"),))},
        {"foreign_keys": [ForeignKey("up", ("id",), 9, ("id",))]},
        {"parent": replace(ID, is_generated=True)},
        {"parent": replace(ID, type=SIZE)},
        {"parent": replace(ID, type=MOOD), "keys": [["id"]]},
        {"rules": Rules(types={"id": (TEXT, -1)})},
        {"rules": Rules(labels={"id": Labels(("a",), ("b",))})},
    ],
    ids=str,
)
def test_where_a_value_depends_on_more_than_the_number_none_is_known(circumstances: dict[str, Any]) -> None:
    assert known(**circumstances) == {}


@pytest.mark.parametrize(
    "circumstances",
    [
        {"bound": "b"},
        {"of_child": {"keys": [["b"]]}},
        {"checks": [check("c", "other")]},
        {"foreign_keys": [ForeignKey("up", ("other",), 9, ("id",))]},
        {"keys": [["id"]]},
        {"rules": Rules(types={"other": (TEXT, -1)}, labels={"other": Labels((), ())}, checks=(check("c", "other"),))},
    ],
    ids=str,
)
def test_what_is_demanded_of_other_columns_is_no_concern(circumstances: dict[str, Any]) -> None:
    assert known(**circumstances) == {"a": "1001::integer"}


def test_keys_that_must_have_a_value_come_first_and_those_that_have_none_are_left_out() -> None:
    columns = [column("a"), column("b", not_null=True), column("c", not_null=True), column("d", is_generated=True)]
    keys = [replace(KEY, columns=(name,)) for name in ("a", "b", "d")]
    one = table(*columns, foreign_keys=[*keys, replace(KEY, columns=("c",), parent=9)])
    plan = Plan(catalog(one, table(ID, oid=2, label="p")))

    found = list(
        ForeignKeys(plan, frozenset()).sources(one, FIRST, Rules(foreign_keys=(replace(KEY, columns=("c",)),)))
    )

    assert [(each.columns, each.is_key) for each in found] == [(("b",), True), (("c",), True), (("a",), True)]


def test_rows_of_the_parent_are_taken_in_turn_and_null_where_it_may_be() -> None:
    def select(of: Column, shape: Shape, parent: int = 2) -> str:
        one = table(of, column("id"), foreign_keys=[replace(KEY, parent=parent)])
        plan = Plan(catalog(one, table(ID, oid=2, label="p")))
        (source,) = ForeignKeys(plan, frozenset()).sources(one, Row(shape, 4), Rules())
        return source.select(7)

    rows = (
        'SELECT * FROM (SELECT "id" AS "a", mod(row_number() OVER (ORDER BY "id") - 1 - 4 + 4 * count(*) OVER (), count(*) OVER ())'
        ' AS overproof_rank, false AS overproof_null FROM (SELECT "id" FROM "public".%s WHERE "id" IS NOT NULL ORDER BY "id" LIMIT 50)'
        " AS p%s) AS few ORDER BY overproof_rank LIMIT 7"
    )
    assert select(A, Shape.ORDINARY) == rows % ('"p"', "")
    assert select(column("a"), Shape.ORDINARY) == rows % ('"p"', " UNION ALL SELECT NULL::integer, 1000, true")
    assert select(column("a"), Shape.NULLS) == rows % ('"p"', " UNION ALL SELECT NULL::integer, -1, true")
    assert select(A, Shape.ORDINARY, parent=1) == rows % ('"t"', " UNION ALL SELECT 1005::integer, 500, false")


def test_a_key_that_stayed_null_is_filled_in_once_its_parent_has_rows() -> None:
    pair = ForeignKey("pair", ("a", "b"), 3, ("x", "y"))
    keys = [
        ForeignKey("own", ("a",), 1, ("id",)),
        ForeignKey("filled", ("a",), 2, ("id",)),
        replace(KEY, parent=9),
        pair,
    ]
    columns = [ID, column("n"), column("a"), column("b")]
    one = replace(table(*columns, foreign_keys=keys), keys=(UniqueKey("u", ("a",)), UniqueKey("pk", ("id", "n"), True)))
    parents = table(ID, oid=2, label="p"), table(column("x"), column("y"), oid=3, label="q")

    def deferred(of: CatalogTable) -> list[tuple[Row, str]]:
        return list(ForeignKeys(Plan(catalog(of, *parents)), frozenset(), {2}).deferred(of))

    found = deferred(one)

    assert [row for row, _ in found] == [Row(Shape.DEFERRED_KEY, number) for number in range(3)]
    update = found[1][1]
    assert update.startswith(
        'UPDATE "public"."t" AS t SET ("a", "b") = (SELECT "a", "b" FROM (SELECT "x" AS "a", "y" AS "b", mod('
    )
    assert 'WHERE "x" IS NOT NULL AND "y" IS NOT NULL ORDER BY "x", "y" LIMIT 50) AS p) AS few' in update
    assert update.endswith(
        ' ORDER BY overproof_rank LIMIT 1 OFFSET $1) WHERE t."id" = 1002::integer AND t."n" = 1002::integer'
        ' AND t."a" IS NULL AND t."b" IS NULL'
    )
    assert deferred(replace(one, keys=one.keys[:1])) == []
    assert deferred(replace(one, keys=(UniqueKey("pk", ("id", "b"), True),))) == []
