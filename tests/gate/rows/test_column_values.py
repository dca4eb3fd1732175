"""The value that a column has in a row, by hand-made catalogs."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from app.gate.rows._catalog import Column, ForeignKey, Type
from app.gate.rows._column_values import ColumnValues, has_few_values, own_value
from app.gate.rows._matches import Match
from app.gate.rows._plan import Labels, Rules
from app.gate.rows._shapes import Row, Shape
from app.gate.rows._values import NoValue
from tests.gate.rows.test_shapes import INTEGER, MOOD, TEXT, table

BIGINT, SMALLINT = replace(INTEGER, name="int8", sql="bigint"), replace(INTEGER, name="int2", sql="smallint")
NUMERIC, VARCHAR = replace(INTEGER, name="numeric", sql="numeric"), replace(TEXT, name="varchar", sql="varchar")
DATE, TIMESTAMP = Type("date", "date", "base", "D"), Type("timestamp", "timestamp", "base", "D")
BOOLEAN, MINE = Type("bool", "boolean", "base", "B"), Type("mine", "mine", "base", "U")
KEY = ForeignKey("fk", ("a",), 9, ("id",))
PRECISION_3, PRECISION_10_2 = (3 << 16) + 4, (10 << 16 | 2) + 4


def column(type_: Type, *, name: str = "a", not_null: bool = False, modifier: int = -1, number: int = 1) -> Column:
    return Column(number, name, type_, modifier, type_.sql, not_null)


def fixed(of: Column, row: Row, rules: Rules | None = None, *, json: bool = False, guess: int | None = None, **parts: Any) -> str:  # fmt: skip
    return ColumnValues(json).fixed(table(of, **parts), of, row, rules or Rules(), guess)


def ordinary(number: int) -> Row:
    return Row(Shape.ORDINARY, number)


EXTREME = Row(Shape.EXTREME, 6)


def test_a_value_is_that_of_the_row_s_number() -> None:
    assert fixed(column(INTEGER), ordinary(1)) == "1002::integer"
    assert fixed(column(INTEGER), EXTREME) == "1001007::integer"
    assert fixed(column(TEXT), ordinary(0), json=True) == r"""E'{"a"\x3a "a-1"}'::text"""
    assert own_value(column(INTEGER), Row(Shape.DUPLICATE, 0, frozenset("a"), 4)) == "1005::integer"
    assert own_value(column(INTEGER, name="b"), Row(Shape.DUPLICATE, 0, frozenset("a"), 4)) == "1001::integer"


def test_a_row_of_nulls_has_null_where_it_may() -> None:
    row = Row(Shape.NULLS, 3)

    assert fixed(column(INTEGER), row) == "NULL::integer"
    assert fixed(column(INTEGER, not_null=True), row) == "1004::integer"


def test_a_key_to_a_table_without_rows_is_null_where_it_may_be() -> None:
    assert fixed(column(INTEGER), ordinary(0), foreign_keys=[KEY]) == "NULL::integer"
    assert fixed(column(INTEGER, not_null=True), ordinary(0), foreign_keys=[KEY]) == "1001::integer"
    assert fixed(column(INTEGER), ordinary(0), foreign_keys=[replace(KEY, columns=("b",))]) == "1001::integer"


def test_rows_that_belong_together_have_the_value_of_one_column() -> None:
    source = column(BIGINT, name="b", number=5)
    rows = [Row(Shape.MATCHED, number, matched=Match("a", source, 90)) for number in (90, 91)]

    assert [fixed(column(BIGINT), row) for row in rows] == ["5091::bigint"] * 2
    assert [fixed(column(INTEGER), row) for row in rows] == ["(5091::bigint)::integer"] * 2
    assert [fixed(column(INTEGER, name="c"), row) for row in rows] == ["1091::integer", "NULL::integer"]


def test_a_column_keeps_a_value_of_its_old_type_where_the_row_is_for_that() -> None:
    rules = Rules(types={"a": (INTEGER, -1), "b": (INTEGER, -1)})
    row = Row(Shape.HOSTILE, 50, unconverted="a", is_bare=True)

    assert fixed(column(TEXT), row, rules) == "'a-51'::text"
    assert fixed(column(TEXT, name="b"), row, rules) == "NULL::text"
    assert fixed(column(TEXT, name="b", not_null=True), row, rules) == "(1051::integer)::text::text"


def test_a_document_can_be_converted_unless_the_row_is_for_the_opposite() -> None:
    rules = Rules(documents={"a": ("good", "bad")})

    assert fixed(column(TEXT), ordinary(0), rules) == "good"
    assert fixed(column(TEXT), Row(Shape.HOSTILE, 50, unconverted="a"), rules) == "bad"
    assert fixed(column(TEXT), EXTREME, rules).startswith(r"E'O\x27Neill")
    assert fixed(column(TEXT, name="b"), ordinary(0), rules) == "'b-1'::text"


def test_a_label_is_one_that_stays_unless_the_row_is_for_the_opposite() -> None:
    rules = Rules(labels={"a": Labels(("ok", "glad"), ("sad", "mad"))})
    retired = Row(Shape.RETIRED_VALUE, 7)

    assert [fixed(column(MOOD), ordinary(number), rules) for number in range(3)] == [f"'{each}'::mood" for each in ("ok", "glad", "ok")]  # fmt: skip
    assert fixed(column(MOOD), retired, rules) == "'mad'::mood"
    assert fixed(column(MOOD), ordinary(0), Rules(labels={"a": Labels((), ("sad", "mad"))})) == "'sad'::mood"
    assert fixed(column(MOOD, name="b"), retired, rules) == "'ok'::mood"


def written(shape: Shape) -> Row:
    return Row(shape, 0, frozenset("a"), 20, frozenset("a"))


@pytest.mark.parametrize(
    ("shape", "value"), [(Shape.OTHER_CASE, "A-1"), (Shape.TRAILING_BLANK, "a-1 "), (Shape.INNER_BLANK, "a -1")]
)
def test_a_text_is_written_in_another_way_if_it_fits(shape: Shape, value: str) -> None:
    assert fixed(column(TEXT), written(shape)) == f"'{value}'::text"
    assert fixed(column(VARCHAR, modifier=4 + 4), written(shape)) == f"'{value}'::varchar"
    assert fixed(column(TEXT, name="b"), written(shape)) == "'b-1'::text"
    assert "{" in fixed(column(TEXT), written(shape), json=True)
    assert fixed(column(TEXT), written(shape), Rules(types={"a": (VARCHAR, -1)})) == f"'{value}'::text"
    assert fixed(column(TEXT), written(shape), Rules(types={"a": (INTEGER, -1)})) == "(1021::integer)::text::text"
    domain = Type("label", "label", "domain", "S", of=VARCHAR, modifier=4 + 4)
    assert fixed(column(domain), written(shape)) == f"'{value}'::varchar"


def test_a_text_for_which_there_is_no_room_has_another_number() -> None:
    assert fixed(column(VARCHAR, modifier=4 + 3), written(Shape.TRAILING_BLANK)) == "'a21'::varchar"
    assert fixed(column(VARCHAR, modifier=4 + 3), written(Shape.OTHER_CASE)) == "'A-1'::varchar"


@pytest.mark.parametrize(
    ("now", "later", "row", "value"),
    [
        (column(TEXT), (MOOD, -1), ordinary(1), "'ok'::text"),
        (column(MOOD), (replace(MOOD, labels=("new",)), -1), ordinary(1), "'new'::mood"),
        (column(MOOD), (replace(MOOD, labels=("new",)), -1), EXTREME, "'glad'::mood"),
        (column(TEXT), (INTEGER, -1), ordinary(1), "(1002::integer)::text::text"),
        (column(TEXT), (INTEGER, -1), EXTREME, "(1007::integer)::text::text"),
        (column(BIGINT), (SMALLINT, -1), ordinary(1), "1002::bigint"),
        (column(BIGINT), (SMALLINT, -1), EXTREME, "3000001007::bigint"),
        (column(NUMERIC, modifier=PRECISION_10_2), (NUMERIC, PRECISION_3), ordinary(1), "(2::numeric)::numeric"),
        (column(NUMERIC, modifier=PRECISION_3), (NUMERIC, PRECISION_10_2), ordinary(1), "2::numeric"),
        (column(TEXT), (VARCHAR, 4 + 2), ordinary(1), "('a2'::varchar)::text"),
        (column(TEXT), (VARCHAR, 4 + 9), ordinary(1), "'a-2'::text"),
        (column(TIMESTAMP), (DATE, -1), ordinary(1), r"E'2001-02-11 01\x3a02\x3a06'::timestamp"),
        (column(INTEGER), (TEXT, -1), ordinary(1), "1002::integer"),
        (column(INTEGER), (BOOLEAN, -1), ordinary(1), "1002::integer"),
    ],
)
def test_a_value_survives_a_change_of_type(now: Column, later: tuple[Type, int], row: Row, value: str) -> None:
    assert fixed(now, row, Rules(types={"a": later})) == value


def test_a_value_of_a_type_that_is_not_known_is_guessed_or_null() -> None:
    strict = column(MINE, not_null=True)

    assert fixed(strict, ordinary(0), guess=1) == "'a1'::mine"
    assert fixed(column(MINE), ordinary(0), guess=1) == "'a1'::mine"
    assert fixed(column(MINE), ordinary(0)) == "NULL::mine"
    with pytest.raises(NoValue, match="mine"):
        fixed(strict, ordinary(0))


@pytest.mark.parametrize(
    ("type_", "keys", "has_few"),
    [(MOOD, [["a"]], True), (BOOLEAN, [["b"], ["b", "a"]], True), (INTEGER, [["a"]], False), (MOOD, [["b"]], False), (MOOD, [], False)],
)  # fmt: skip
def test_a_key_may_soon_have_used_all_values(type_: Type, keys: list[list[str]], has_few: bool) -> None:
    of = column(type_)

    assert has_few_values(table(of, keys=keys), of) is has_few
