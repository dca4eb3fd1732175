"""What an ORM sends for models, by the dialect of the project's driver."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy.orm import DeclarativeBase, column_property, relationship

from app.gate.driver.overproof_driver.model_statements import Models


class Base(DeclarativeBase):
    __allow_unmapped__ = True


class Customer(Base):
    __tablename__ = "customers"
    id = sa.Column(sa.Integer, primary_key=True)
    email = sa.Column(sa.String(100), unique=True)


class Order(Base):
    __tablename__ = "orders"
    __table_args__ = {"schema": "shop"}  # noqa: RUF012 - as SQLAlchemy has it
    id = sa.Column(sa.Integer, primary_key=True)
    note = sa.Column(sa.String(5))
    share = sa.Column("100%", sa.Numeric(5, 2), default=0, nullable=False)
    mood: Any = sa.Column(sa.Enum("new", "old", name="mood"), server_default="new")
    changed_at = sa.Column(sa.DateTime, default=sa.func.now(), onupdate=sa.func.now())
    double = sa.Column(sa.Integer, sa.Computed("id * 2"))
    customer_id: Any = sa.Column(sa.ForeignKey("customers.id"), nullable=False)
    customer = relationship(Customer, lazy="joined")
    email = column_property(
        sa.select(Customer.email).where(Customer.id == customer_id).correlate_except(Customer).scalar_subquery()
    )


def statements(driver: str = "psycopg2", table: str = "shop.orders", **fields: str) -> list[str]:
    """Those about that table, in one line, with the places for values in braces."""
    url = sa.engine.make_url(f"postgresql+{driver}://u@h/d")
    models = Models(url.get_dialect()(), Base.metadata.tables.values(), Base.registry.mappers, "public")
    found: list[Mapping[str, Any]] = [*models.statements(models.tables)]
    return [
        " ".join("".join(map(_shown, each["sql"])).split())
        for each in found
        if each["table"] == table and all(each[name] == value for name, value in fields.items())
    ]


def _shown(piece: list[str]) -> str:
    return piece[0] if len(piece) == 1 else f"{{{':'.join(piece)}}}"


def test_all_columns_of_a_class_are_selected_with_its_column_properties_and_its_relationships_apart() -> None:
    [select] = statements(action="SELECT")

    assert 'shop.orders."100%"' in select
    assert "SELECT customers.email FROM customers WHERE customers.id = shop.orders.customer_id" in select
    assert "JOIN" not in select
    assert statements(action="JOIN") == [
        "SELECT 1 FROM shop.orders JOIN customers ON customers.id = shop.orders.customer_id"
    ]


def test_an_insert_has_all_columns_or_those_that_it_must_have_with_the_models_own_defaults() -> None:
    inserts = [each.partition(" RETURNING")[0] for each in statements(action="INSERT of the required columns")]

    assert statements(action="INSERT")[0].startswith(
        'INSERT INTO shop.orders (note, "100%", mood, changed_at, customer_id)'
    )
    assert inserts == [
        'INSERT INTO shop.orders ("100%", changed_at, customer_id) VALUES ({new:100%}, now(), {new:customer_id})',
        'INSERT INTO shop.orders (note, "100%", changed_at, customer_id) VALUES (NULL, {new:100%}, now(), {new:customer_id})',
    ]


def test_each_column_is_updated_by_key_also_to_what_its_model_allows() -> None:
    updates = statements(action="UPDATE")

    assert "UPDATE shop.orders SET note={extreme:xxxxx}, changed_at=now() WHERE shop.orders.id = {there:id}" in updates
    assert [each for each in updates if "mood={label:" in each][-1].startswith(
        "UPDATE shop.orders SET mood={label:old}"
    )
    assert any('"100%"={extreme:999}' in each for each in updates)
    assert not any("double" in each for each in updates)


def test_an_upsert_names_each_unique_key() -> None:
    upserts = statements(table="public.customers", action="ON CONFLICT")

    assert [each.partition("ON CONFLICT ")[2].partition(" DO")[0] for each in upserts] == ["(id)", "(email)"]


@pytest.mark.parametrize(
    ("driver", "place"),
    [("psycopg2", "{new:note}"), ("asyncpg", "{new:note}::VARCHAR"), ("psycopg", "{new:note}::VARCHAR")],
)
def test_casts_are_those_of_the_driver(driver: str, place: str) -> None:
    assert f"VALUES ({place}, " in statements(driver, action="INSERT")[0]
