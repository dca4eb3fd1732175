"""What a model says of its columns."""

from __future__ import annotations

from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy.dialects import postgresql

from app.gate.driver.overproof_driver.declared_columns import (
    extreme_value,
    has_to_be_given,
    is_always_generated,
    is_computed,
    is_left_empty,
    labels_of,
    unique_keys,
)

DIALECT: Any = postgresql.dialect()


class Upper(sa.types.TypeDecorator[str]):
    impl = sa.String(5)
    cache_ok = True


def column(*parts: Any, **options: Any) -> sa.Column[Any]:
    """Next to a primary key."""
    table = sa.Table(
        "orders", sa.MetaData(), sa.Column("id", sa.Integer, primary_key=True), sa.Column("a", *parts, **options)
    )
    return table.c.a


@pytest.mark.parametrize(
    ("kind", "extreme"),
    [
        (sa.Text(), "x" * 1000),
        (sa.String(), "x" * 1000),
        (sa.String(5), "x" * 5),
        (sa.String(99999), "x" * 99999),
        (sa.String(100000), "x" * 100000),
        (sa.String(100001), "x" * 100000),
        (sa.SmallInteger(), "32767"),
        (sa.Integer(), "2147483647"),
        (sa.BigInteger(), "9223372036854775807"),
        (sa.Numeric(5, 2), "999"),
        (sa.Numeric(5), "99999"),
        (sa.Numeric(5, 0), "99999"),
        (sa.Numeric(), None),
        (sa.Float(5), None),
        (sa.Enum("a", name="e"), None),
        (sa.Boolean(), None),
        (sa.Date(), None),
        (Upper(), None),
    ],
    ids=str,
)
def test_the_extreme_value_is_the_longest_or_the_largest_that_the_type_takes(kind: Any, extreme: str | None) -> None:
    found = extreme_value(column(kind), DIALECT)

    assert (found and len(found), found) == (extreme and len(extreme), extreme)


def test_a_foreign_key_has_no_extreme_value() -> None:
    assert extreme_value(column(sa.Integer, sa.ForeignKey("orders.id")), DIALECT) is None


def test_labels_are_those_of_an_enum_as_they_are_stored() -> None:
    assert labels_of(column(sa.Enum("new", "old", name="mood")), DIALECT) == ["new", "old"]
    assert labels_of(column(sa.ARRAY(sa.Enum("new", name="mood"))), DIALECT) == ["new"]
    assert labels_of(column(sa.Text), DIALECT) == []


def test_a_unique_key_is_one_that_on_conflict_may_name() -> None:
    table = sa.Table(
        "orders", sa.MetaData(), *(sa.Column(name, sa.Integer, primary_key=name == "id") for name in ("id", "a", "b", "c", "d")),
        sa.UniqueConstraint("b", name="uq_2"), sa.UniqueConstraint("a", "b", name="uq_1"), sa.CheckConstraint("a > 0"),
    )  # fmt: skip
    sa.Index("ix_5", table.c.c.desc(), unique=True)
    sa.Index("ix_4", table.c.d, unique=True, postgresql_where=sa.text("a > 0"))
    sa.Index("ix_3", table.c.b, unique=True)
    sa.Index("ix_2", table.c.b, unique=True, postgresql_where=sa.text("a > 1"))
    sa.Index("ix_1", table.c.d, sa.func.lower(table.c.c), unique=True)
    sa.Index("ix_6", sa.func.lower(table.c.c), unique=True)
    sa.Index("ix_0", table.c.d)

    keys = [([each.name for each in key], where if where is None else str(where)) for key, where in unique_keys(table)]

    assert keys == [
        (["id"], None), (["a", "b"], None), (["b"], None), (["b"], "a > 1"), (["d"], "a > 0"), (["c"], None)
    ]  # fmt: skip


def test_a_table_without_a_key_has_none() -> None:
    assert list(unique_keys(sa.Table("t", sa.MetaData(), sa.Column("a", sa.Integer)))) == []


@pytest.mark.parametrize(
    ("parts", "options", "is_given", "is_empty"),
    [
        ([], {"nullable": False}, True, False),
        ([], {}, False, True),
        ([], {"default": 7}, True, False),
        ([], {"default": lambda: 7}, True, False),
        ([], {"default": sa.func.now(), "nullable": False}, False, False),
        ([sa.Sequence("numbers")], {"nullable": False}, False, False),
        ([], {"server_default": "7", "nullable": False}, False, False),
        ([], {"server_default": "7"}, False, False),
        ([sa.Identity()], {}, False, False),
    ],
)
def test_an_insert_has_a_value_for_what_is_required_or_has_the_model_s(
    parts: list[Any], options: dict[str, Any], is_given: bool, is_empty: bool
) -> None:
    found = column(sa.Integer, *parts, **options)

    assert has_to_be_given(found, found.table) is is_given
    assert is_left_empty(found) is is_empty
    assert not has_to_be_given(found.table.c.id, found.table)


def test_what_postgresql_computes_or_generates_is_not_written() -> None:
    always = column(sa.Integer, sa.Identity(always=True))
    by_default = column(sa.Integer, sa.Identity())
    computed = column(sa.Integer, sa.Computed("id * 2"))

    assert [is_always_generated(each) for each in (always, by_default, computed)] == [True, False, False]
    assert [is_computed(each) for each in (always, by_default, computed)] == [False, False, True]
