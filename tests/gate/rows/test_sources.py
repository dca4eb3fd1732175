"""Which values are tried together, and how many of them."""

from __future__ import annotations

import re
from collections.abc import Sequence

import pytest

from app.gate.rows._catalog import CatalogTable, CheckConstraint, Column, Type
from app.gate.rows._shapes import Row, Shape
from app.gate.rows._sources import (
    Source,
    candidates_of,
    combinations_of,
    group_sources,
    kept_of,
)
from app.gate.rows._values import NoValue, Want

TEXT = Type("text", "text", "base", "S")


def source(*columns: str, is_key: bool = False) -> Source:
    return Source(columns, lambda most: f"SELECT {most}", is_key)


def check(*columns: str, expression: str = "true") -> CheckConstraint:
    return CheckConstraint("c", columns, expression)


def column(name: str, type_: Type = TEXT, *, not_null: bool = False) -> Column:
    return Column(1, name, type_, -1, type_.sql, not_null)


def table(*columns: Column) -> CatalogTable:
    return CatalogTable(1, "public", "t", True, False, False, columns)


@pytest.mark.parametrize(
    ("sources", "checks", "groups"),
    [
        ([source("a"), source("b")], [], ["a", "b"]),
        ([source("a"), source("b"), source("c")], [check("a", "c")], ["b", "a c"]),
        ([source("a"), source("b"), source("c")], [check("a", "b"), check("b", "c")], ["a b c"]),
        ([source("a"), source("b")], [check("a"), check("x", "b")], ["a", "b"]),
        # A foreign key that shares a column comes before what else gives that column a value.
        ([source("a"), source("a", "b", is_key=True), source("c")], [], ["c", "a+b a"]),
        ([source("a", is_key=True), source("b"), source("b", "a", is_key=True)], [], ["a b+a b"]),
        ([source("a", "b", is_key=True), source("b", "c", is_key=True), source("c", "d", is_key=True)], [], ["a+b b+c c+d"]),
    ],
)  # fmt: skip
def test_what_shares_a_column_or_a_check_is_one_group(
    sources: Sequence[Source], checks: Sequence[CheckConstraint], groups: list[str]
) -> None:
    found = group_sources(sources, checks)

    assert [" ".join("+".join(each.columns) for each in group) for group in found] == groups


def candidates(most: int, *, shape: Shape = Shape.ORDINARY, not_null: bool = False) -> list[str]:
    """The values that are tried for a column with the CHECK a IN ('x', 'y'), in their order."""
    of = check("a", expression="(a = ANY (ARRAY['x'::text, 'y'::text]))")
    made = candidates_of(column("a", not_null=not_null), Row(shape, 0), Want(0, word="a"), [of], [of])
    assert made.columns == ("a",)
    text = made.select(most)
    assert text.endswith('AS v ("a", overproof_rank)')
    ranked = re.findall(r"\((\S+?)::text, (\d+)\)", text)
    assert [int(rank) for _, rank in ranked] == list(range(len(ranked)))
    return [value for value, _ in ranked]


def test_the_candidates_of_a_column_and_null_where_it_may_be() -> None:
    assert candidates(3) == ["'a-1'", "'x'", "NULL"]
    assert candidates(3, not_null=True) == ["'a-1'", "'x'", "'y'"]
    assert candidates(3, shape=Shape.NULLS) == ["NULL", "'a-1'", "'x'"]
    assert candidates(1) == ["'a-1'", "NULL"]
    (of,) = table(column("a")).columns
    whole = candidates_of(of, Row(Shape.ORDINARY, 0), Want(0, word="a"), [], []).select(3)
    assert (
        whole
        == "SELECT * FROM (VALUES ('a-1'::text, 0), ('A-1'::text, 1), (NULL::text, 2)) AS v (\"a\", overproof_rank)"
    )
    assert len(candidates(1000)) < 61


def test_so_many_candidates_are_tried() -> None:
    many = " ".join(f"'x{number}'" for number in range(100))
    of = check("a", expression=many)

    made = candidates_of(column("a", not_null=True), Row(Shape.ORDINARY, 0), Want(0), [of], [of])

    assert made.select(1000).count("::text, ") == 60
    assert made.select(59).count("::text, ") == 59


def test_a_column_whose_type_is_not_known_is_null_if_it_may_be() -> None:
    mine = Type("mine", "mine", "base", "U")

    made = candidates_of(column("a", mine), Row(Shape.ORDINARY, 0), Want(0), [], [])

    assert made.select(9) == 'SELECT * FROM (VALUES (NULL::mine, 0)) AS v ("a", overproof_rank)'
    with pytest.raises(NoValue):
        candidates_of(column("a", mine, not_null=True), Row(Shape.ORDINARY, 0), Want(0), [], [])


def test_the_checks_on_the_columns_of_a_check_count_as_well() -> None:
    of, second, third = check("a", "b"), check("b", "c"), check("c", expression="(c = 'far')")
    far, other = check("d", expression="(d = 'other')"), check("c", "d", expression="(c < d)")

    def tried(*checks: CheckConstraint) -> str:
        return candidates_of(column("a"), Row(Shape.ORDINARY, 0), Want(0), [of], checks).select(60)

    assert "'far'" in tried(of, second, third, far)
    assert "'other'" not in tried(of, second, third, far)
    assert "'other'" in tried(far, other, third, second, of)
    assert "'far'" not in tried(of, third)


def test_combinations_are_those_that_agree_and_that_no_check_refuses() -> None:
    size = Type("size", "size", "domain", "N", of=Type("int4", "integer", "base", "N"), checks=("(VALUE > 0)",))
    of = table(column("a"), column("b", size), column("c"))
    group = [source("a", "b", is_key=True), source("b"), source("b", "c", is_key=True)]
    checks = [check("a", "z", expression="a > 1"), check("z", expression="z > 1")]

    text = combinations_of(of, group, checks, 7, is_blind=False)

    assert text == (
        'SELECT * FROM (SELECT s0."a" AS "a", s0."b" AS "b", s2."c" AS "c", s0.overproof_rank AS overproof_0,'
        " s1.overproof_rank AS overproof_1, s2.overproof_rank AS overproof_2, s0.overproof_rank + s1.overproof_rank +"
        " s2.overproof_rank AS overproof_rank FROM (SELECT 9) AS s0, (SELECT 9) AS s1, (SELECT 9) AS s2"
        ' WHERE s0."b" = s1."b" AND (s0."b" = s2."b" OR s2.overproof_null)) AS s WHERE ((a > 1) IS NOT FALSE) AND'
        ' ((SELECT (VALUE > 0) FROM (SELECT s."b" AS value) AS d) IS NOT FALSE)'
        " ORDER BY overproof_rank, overproof_0, overproof_1, overproof_2 LIMIT 7"
    )
    blind = combinations_of(of, group[:1], checks, 7, is_blind=True)
    assert blind == (
        'SELECT * FROM (SELECT s0."a" AS "a", s0."b" AS "b", s0.overproof_rank AS overproof_0, s0.overproof_rank AS overproof_rank'
        " FROM (SELECT 900) AS s0) AS s ORDER BY overproof_rank, overproof_0 LIMIT 7"
    )


@pytest.mark.parametrize(("count", "most"), [(1, 900), (2, 30), (3, 9), (9, 2), (11, 2), (12, 1)])
def test_so_many_candidates_of_each_are_combined(count: int, most: int) -> None:
    group = [source(f"c{number}") for number in range(count)]
    of = table(*(column(f"c{number}") for number in range(count)))

    assert f"(SELECT {most}) AS s0" in combinations_of(of, group, [], 1, is_blind=False)


@pytest.mark.parametrize(
    ("index", "count", "most", "kept"),
    [(0, 1, 9000, 2000), (0, 1, 5, 5), (0, 2, 900, 44), (0, 2, 1, 2), (0, 11, 900, 2), (10, 11, 900, 2), (10, 12, 900, 2), (11, 12, 900, 1)],
)  # fmt: skip
def test_so_many_combinations_of_a_group_are_kept(index: int, count: int, most: int, kept: int) -> None:
    assert kept_of(index, count, most) == kept
