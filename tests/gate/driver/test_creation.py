"""Whether the creation of the models' tables is SQL alone, and which SQL."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from types import SimpleNamespace
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy.dialects import postgresql

from app.gate.driver.overproof_driver.creation import statements, takes_more_than_sql, type_on_postgresql


def context(engine: sa.Engine | None = None, **options: object) -> Any:
    engine = engine or sa.create_engine("postgresql+psycopg2://")
    connection = SimpleNamespace(get_execution_options=lambda: options, dispatch=engine.dispatch)
    return SimpleNamespace(connection=connection, dialect=engine.dialect)


def models(*columns: sa.Column[Any], **arguments: Any) -> tuple[sa.MetaData, sa.Table]:
    metadata = sa.MetaData()
    return metadata, sa.Table("orders", metadata, sa.Column("id", sa.Integer, primary_key=True), *columns, **arguments)


def created(metadata: sa.MetaData, tables: list[sa.Table], of: Any = None) -> list[str] | None:
    found = statements(of or context(), [(metadata, tables)])
    return None if found is None else [" ".join(each.split()) for each in found]


def test_the_sql_is_that_of_the_tables_that_are_asked_for() -> None:
    metadata, orders = models(
        sa.Column("mood", sa.Enum("sad", "ok", name="mood")), sa.Column("n", sa.Integer, index=True)
    )
    sa.Table("other", metadata, sa.Column("id", sa.Integer))

    assert created(metadata, [orders]) == [
        "CREATE TYPE mood AS ENUM ('sad', 'ok')",
        "CREATE TABLE orders ( id SERIAL NOT NULL, mood mood, n INTEGER, PRIMARY KEY (id) )",
        "CREATE INDEX ix_orders_n ON orders (n)",
    ]


def test_several_metadata_are_created_one_after_the_other() -> None:
    (one, of_one), (two, of_two) = models(), models()

    found = statements(context(), [(one, [of_one]), (two, [of_two])])

    assert found is not None
    assert len(found) == 2


def test_a_percent_sign_is_left_to_the_project() -> None:
    metadata, orders = models(sa.Column("a", sa.Text, server_default=sa.text("'5%'")))

    assert created(metadata, [orders]) is None


def test_another_schema_is_left_to_the_project() -> None:
    metadata, orders = models()

    assert created(metadata, [orders], context(schema_translate_map={None: "shop"})) is None
    assert created(metadata, [orders], context(schema_translate_map={}, other=1)) is not None


@pytest.mark.parametrize("event", ["before_execute", "before_cursor_execute"])
def test_code_that_may_change_a_statement_is_the_project_s(event: str) -> None:
    metadata, orders = models()
    engine = sa.create_engine("postgresql+psycopg2://")
    sa.event.listen(engine, event, lambda *_: None)
    assert created(metadata, [orders], context(engine)) is not None

    sa.event.listen(engine, event, lambda *arguments: arguments[2:4], retval=True)
    assert created(metadata, [orders], context(engine)) is None


@pytest.mark.parametrize("event", ["before_create", "after_create"])
@pytest.mark.parametrize("listener", [lambda *_, **__: None, partial(lambda *_, **__: None), sa.DDL("SELECT 1")])
@pytest.mark.parametrize("where", ["metadata", "table"])
def test_code_that_runs_as_a_table_is_created_is_the_project_s(
    event: str, listener: Callable[..., None], where: str
) -> None:
    metadata, orders = models()
    sa.event.listen(metadata if where == "metadata" else orders, event, listener)

    assert created(metadata, [orders]) is None


class Note(sa.types.TypeDecorator[str]):
    impl = sa.Enum("a", "b", name="note")
    cache_ok = True


DIALECT: Any = postgresql.dialect()
DOMAIN = postgresql.DOMAIN("size", sa.Integer)


@pytest.mark.parametrize(
    ("parts", "takes_more"),
    [
        ([sa.Integer], False),
        ([sa.Integer, sa.Sequence("numbers")], True),
        ([sa.Boolean], False),
        ([sa.Enum("x", name="e")], False),
        ([Note()], False),
        ([DOMAIN], True),
        ([sa.ARRAY(DOMAIN)], True),
        ([sa.Text().with_variant(DOMAIN, "postgresql")], True),
        ([sa.Text().with_variant(DOMAIN, "sqlite")], False),
    ],
    ids=str,
)
def test_what_belongs_to_a_column_may_be_more_than_its_definition(parts: list[Any], takes_more: bool) -> None:
    _, orders = models(sa.Column("a", *parts), sa.Column("last", sa.Integer, default=7))

    assert takes_more_than_sql(orders, DIALECT) is takes_more


def test_a_parent_is_more_than_the_definition_of_a_table() -> None:
    _, orders = models(postgresql_inherits="base")

    assert takes_more_than_sql(orders, DIALECT)


def test_the_type_is_the_one_behind_decorators_arrays_and_variants() -> None:
    assert isinstance(type_on_postgresql(Note(), DIALECT), sa.Enum)
    assert isinstance(type_on_postgresql(sa.ARRAY(Note()), DIALECT), sa.Enum)
    assert type_on_postgresql(sa.Text().with_variant(sa.ARRAY(DOMAIN), "postgresql"), DIALECT) is DOMAIN
    assert isinstance(type_on_postgresql(sa.Text().with_variant(DOMAIN, "sqlite"), DIALECT), sa.Text)
