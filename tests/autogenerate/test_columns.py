"""Columns that come to, or change their type in, a table that has rows."""

from __future__ import annotations

import logging
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

import pytest
import sqlalchemy as sa
from sqlalchemy.dialects import postgresql

from tests.autogenerate.conftest import Bench

Tables = Callable[..., sa.MetaData]


@pytest.fixture
def with_rows(bench: Bench, tables: Tables) -> Bench:
    bench.there_and_back(tables(sa.Column("text", sa.String(40))))
    bench.execute("INSERT INTO note (text) VALUES ('1'), ('2')")
    return bench


@pytest.mark.parametrize(
    ("type_", "default", "stored"),
    [
        (sa.String(), "it's 100% :new", "it's 100% :new"),
        (sa.Integer(), 7, "7"),
        (sa.Boolean(), False, "false"),
        (sa.LargeBinary(), b"\x00'\xff", r"\x0027ff"),
        (sa.JSON(), {"a": ["'", 1, None]}, '{"a": ["\'", 1, null]}'),
        (postgresql.JSONB(), [], "[]"),
        (sa.ARRAY(sa.String), [], "{}"),
        (sa.ARRAY(sa.Integer), [1, 2], "{1,2}"),
        (sa.Enum("good", "bad", name="mood"), "bad", "bad"),
        (sa.DateTime(timezone=True), datetime(2026, 1, 2, tzinfo=UTC), "2026-01-02 00:00:00+00"),
        (sa.String(), list, "[]"),
    ],
)
def test_rows_that_are_there_get_the_default_of_the_model_and_the_column_has_none(
    with_rows: Bench, tables: Tables, type_: sa.types.TypeEngine[Any], default: Any, stored: str
) -> None:
    column = sa.Column("new", type_, nullable=False, default=default)

    with_rows.there_and_back(tables(sa.Column("text", sa.String(40)), column))

    assert with_rows.scalar("SELECT min(new::text) FROM note") == stored
    assert with_rows.scalar("SELECT column_default FROM information_schema.columns WHERE column_name = 'new'") is None


def test_each_row_gets_a_uuid_of_its_own_and_all_the_same_time(with_rows: Bench, tables: Tables) -> None:
    with_rows.there_and_back(
        tables(
            sa.Column("text", sa.String(40)),
            sa.Column("key", sa.Uuid(), nullable=False, default=uuid4),
            sa.Column("at", sa.DateTime(timezone=True), nullable=False, default=lambda: datetime.now(UTC)),
        )
    )

    assert with_rows.scalar("SELECT count(DISTINCT key) FROM note") == 2
    assert with_rows.scalar("SELECT count(DISTINCT at) FROM note") == 1


def test_a_required_column_without_a_default_is_pointed_out(
    with_rows: Bench, tables: Tables, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING):
        upgrade, _ = with_rows.write(
            tables(sa.Column("text", sa.String(40)), sa.Column("new", sa.Integer(), nullable=False))
        )

    assert "note.new is NOT NULL and has no default" in caplog.text
    assert upgrade == "op.add_column('note', sa.Column('new', sa.Integer(), nullable=False))"


@pytest.mark.parametrize(
    ("before", "after", "using"),
    [
        (sa.String(40), sa.Integer(), "text::INTEGER"),
        (sa.String(40), sa.Numeric(10, 2), "text::NUMERIC(10, 2)"),
        (sa.String(40), sa.Text(), None),
        (sa.String(40), sa.String(80), None),
        (sa.String(40), sa.String(), None),
        (sa.String(), sa.String(40), None),
        (sa.Integer(), sa.String(40), None),
        (sa.Integer(), sa.BigInteger(), None),
        (sa.BigInteger(), sa.Integer(), None),
        (sa.Integer(), sa.Boolean(), "text::BOOLEAN"),
        (sa.Integer(), sa.Numeric(), None),
        (sa.Numeric(10, 2), sa.Numeric(12, 2), None),
        (sa.Numeric(10, 2), sa.Numeric(10, 4), None),
        (sa.String(), postgresql.JSONB(), "text::JSONB"),
        (sa.DateTime(), sa.DateTime(timezone=True), None),
        (sa.JSON(), postgresql.JSONB(), None),
        (sa.ARRAY(sa.String), sa.ARRAY(sa.Integer), "text::text::INTEGER[]"),
    ],
    ids=str,
)
def test_a_type_changes_with_its_rows(bench: Bench, tables: Tables, before: Any, after: Any, using: str | None) -> None:
    bench.there_and_back(tables(sa.Column("text", before)))
    value = "{1}" if isinstance(before, sa.ARRAY) else "2026-01-02" if isinstance(before, sa.DateTime) else "1"
    bench.execute(f"INSERT INTO note (text) VALUES ('{value}')")

    upgrade = bench.there_and_back(tables(sa.Column("text", after)))

    assert (f"postgresql_using='{using}'" in upgrade) if using else ("postgresql_using" not in upgrade), upgrade


def test_a_default_is_carried_over_a_conversion(bench: Bench, tables: Tables) -> None:
    bench.there_and_back(tables(sa.Column("text", sa.String(40), server_default="7")))

    bench.there_and_back(tables(sa.Column("text", sa.Integer(), server_default="7")))
    bench.execute("INSERT INTO note DEFAULT VALUES")

    assert bench.scalar("SELECT text FROM note") == 7


def test_what_the_models_say_in_their_own_words_is_not_a_change(bench: Bench, tables: Tables) -> None:
    model = tables(
        sa.Column("text", sa.String(40), server_default="a%b:c"),
        sa.Column("at", sa.DateTime(timezone=True), server_default=sa.func.now()),
        sa.CheckConstraint(r"text ~ '(?\:a|b)' OR text LIKE '%x%'", name="shape"),
        sa.CheckConstraint("length(trim(text)) BETWEEN 1 AND 40", name="size"),
        sa.Index("ix_lower", sa.text("lower(text)")),
    )

    bench.there_and_back(model)

    assert bench.write(model) == ("pass", "pass")


def test_a_check_that_says_something_else_is_replaced(bench: Bench, tables: Tables) -> None:
    bench.there_and_back(tables(sa.Column("text", sa.String), sa.CheckConstraint("length(text) > 0", name="size")))

    upgrade = bench.there_and_back(
        tables(sa.Column("text", sa.String), sa.CheckConstraint("length(text) > 1", name="size"))
    )

    assert upgrade.splitlines() == [
        "op.drop_constraint(op.f('ck_note_size'), 'note', type_='check')",
        "op.create_check_constraint(op.f('ck_note_size'), 'note', 'length(text) > 1')",
    ]


def test_a_check_comes_and_goes_with_its_table(bench: Bench, tables: Tables) -> None:
    check = sa.CheckConstraint("length(text) > 0", name="size")

    upgrade = bench.there_and_back(tables(other=[sa.Column("text", sa.String), check]))
    back = bench.there_and_back(tables())

    assert "ck_other_size" in upgrade
    assert back == "op.drop_table('other')"


def test_a_check_on_a_column_that_is_only_now_to_come_is_no_obstacle(bench: Bench, tables: Tables) -> None:
    bench.there_and_back(tables(sa.Column("text", sa.String), sa.CheckConstraint("length(text) > 0", name="size")))

    bench.there_and_back(
        tables(
            sa.Column("text", sa.String),
            sa.Column("least", sa.Integer),
            sa.CheckConstraint("length(text) > least", name="size"),
        )
    )
