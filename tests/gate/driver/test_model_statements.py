"""What an ORM sends for models, by the dialect of the project's driver."""

from __future__ import annotations

from collections.abc import Mapping
from types import SimpleNamespace
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy.orm import DeclarativeBase, column_property, relationship

from app.gate.driver.overproof_driver import model_statements
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


class Shop(DeclarativeBase):
    """Classes of every kind: a base class, one in its table, one in a table of its own, a view, a join."""


members = sa.Table(
    "members", Shop.metadata, sa.Column("team", sa.ForeignKey("teams.id"), primary_key=True),
    sa.Column("person", sa.ForeignKey("people.id"), primary_key=True),
)  # fmt: skip


class Team(Shop):
    __tablename__ = "teams"
    id = sa.Column(sa.Integer, primary_key=True)


class Person(Shop):
    __tablename__ = "people"
    __mapper_args__ = {"polymorphic_on": "kind", "polymorphic_identity": "person"}  # noqa: RUF012
    id = sa.Column(sa.Integer, primary_key=True)
    kind = sa.Column(sa.String(9), default="person")
    grade: Any = sa.Column(sa.Enum(*[f"g{number:02}" for number in range(51)], name="grade"))
    noted = sa.Column(sa.Integer, onupdate=7)
    number = sa.Column(sa.Integer, sa.Identity(always=True))
    teams = relationship(Team, secondary=members)


class Adult(Person):  # comes before Person, by its name
    __mapper_args__ = {"polymorphic_identity": "adult"}  # noqa: RUF012


class Employee(Person):
    __tablename__ = "employees"
    __mapper_args__ = {"polymorphic_identity": "employee"}  # noqa: RUF012
    id: Any = sa.Column(sa.ForeignKey("people.id"), primary_key=True)


class Chief(Employee):  # comes before Employee, and has its table as well as one of its own
    __tablename__ = "chiefs"
    __mapper_args__ = {"polymorphic_identity": "chief"}  # noqa: RUF012
    id: Any = sa.Column(sa.ForeignKey("employees.id"), primary_key=True)


class Recent(Shop):
    __table__ = sa.Table("recent", Shop.metadata, *(sa.Column(name, sa.Integer) for name in ("a", "b", "hidden")))
    __mapper_args__ = {"primary_key": [__table__.c.a], "exclude_properties": ["hidden"]}  # noqa: RUF012


sa.Table("loose", Shop.metadata, sa.Column("a", sa.Integer))


class Unwritten(sa.types.UserDefinedType[str]):
    """Has no name in SQL."""


sa.Table("odd", Shop.metadata, sa.Column("a", Unwritten()))
MODELS = Models(
    sa.engine.make_url("postgresql+psycopg2://").get_dialect()(),
    Shop.metadata.tables.values(),
    Shop.registry.mappers,
    "main",
)


def shop(table: str, action: str) -> list[str]:
    """The statements about that table."""
    wanted = [each for each in MODELS.tables if MODELS.name_of(each) == table]
    return [
        " ".join("".join(map(_shown, each["sql"])).split())
        for each in MODELS.statements(wanted)
        if (each["table"], each["action"]) == (table, action)
    ]


def described(name: str) -> Any:
    return MODELS.describe(next(each for each in MODELS.tables if MODELS.name_of(each) == name))


def test_a_table_is_described_by_its_class_its_columns_and_its_keys() -> None:
    assert [MODELS.name_of(each) for each in MODELS.tables] == [
        f"main.{name}" for name in ("chiefs", "employees", "loose", "members", "odd", "people", "recent", "teams")
    ]
    people = described("main.people")
    assert (people["name"], people["model"], people["keys"]) == ("main.people", f"{__name__}.Person", [["id"]])
    assert list(described("main.recent")["columns"]) == ["a", "b"]
    assert list(people["columns"]) == ["id", "kind", "grade", "noted", "number"]
    assert people["columns"]["kind"] == {"type": "VARCHAR(9)", "labels": [], "is_optional": False}
    assert people["columns"]["grade"]["is_optional"]
    assert people["columns"]["grade"]["labels"][::50] == ["g00", "g50"]
    assert [described(f"main.{name}")["model"] for name in ("employees", "chiefs", "members")] == [
        f"{__name__}.Employee", f"{__name__}.Chief", ""
    ]  # fmt: skip
    assert described("main.members")["keys"] == [["team", "person"]]
    assert described("main.odd")["columns"]["a"] == {"type": "", "labels": [], "is_optional": True}


def test_a_row_is_found_by_the_key_of_its_table_or_else_of_its_class() -> None:
    assert shop("main.recent", "DELETE") == ["DELETE FROM recent WHERE recent.a = {new:a}"]
    assert shop("main.recent", "UPDATE")[0] == "UPDATE recent SET b={there:b} WHERE recent.a = {there:a}"
    assert shop("main.loose", "DELETE") == shop("main.loose", "UPDATE") == []
    assert shop("main.employees", "DELETE") == ["DELETE FROM employees WHERE employees.id = {new:id}"]


def test_a_table_without_a_class_is_selected_and_written_with_all_its_columns() -> None:
    assert shop("main.members", "SELECT") == ["SELECT members.team, members.person FROM members"]
    assert shop("main.members", "INSERT") == ["INSERT INTO members (team, person) VALUES ({new:team}, {new:person})"]
    assert shop("main.members", "INSERT of the required columns") == shop("main.members", "INSERT")
    assert shop("main.members", "UPDATE") == []
    assert shop("main.members", "ON CONFLICT") == [
        "INSERT INTO members (team, person) VALUES ({new:team}, {new:person}) ON CONFLICT (team, person) DO NOTHING"
    ]


def test_what_a_class_does_not_map_and_what_is_always_generated_is_not_written() -> None:
    assert shop("main.people", "INSERT") == [
        "INSERT INTO people (kind, grade, noted) VALUES ({new:kind}, {new:grade}, {new:noted}) RETURNING people.id"
    ]
    [upsert] = shop("main.people", "ON CONFLICT")
    assert upsert.endswith(" ON CONFLICT (id) DO UPDATE SET kind = excluded.kind")


def test_an_update_has_what_the_model_sets_with_it_and_labels_are_no_more_than_fifty() -> None:
    updates = shop("main.people", "UPDATE")

    assert "UPDATE people SET kind={there:kind}, noted={there:noted} WHERE people.id = {there:id}" in updates
    assert "UPDATE people SET noted={extreme:2147483647} WHERE people.id = {there:id}" in updates
    labels = [each for each in updates if "grade={label:" in each]
    assert (len(labels), "{label:g49}" in labels[-1]) == (50, True)


def test_a_class_is_selected_from_its_own_table_and_joined_along_its_own_relationships() -> None:
    people = Person.__table__
    for wanted, joins in (([people], 0), ([members], 0), ([people, members], 1), ([people, Team.__table__], 1)):
        assert [each["action"] for each in MODELS.statements(wanted)].count("JOIN") == joins
    [select] = [each for each in MODELS.statements([members]) if each["action"] == "SELECT"]
    assert (select["model"], select["tables"], select["columns"]) == ("", ["main.members"], ["team", "person"])
    of_classes = {
        (each["table"], str(each["model"]).rpartition(".")[2], each["action"], *each["tables"])
        for each in MODELS.statements(MODELS.tables)
        if each["action"] in ("SELECT", "JOIN") and each["model"]
    }
    assert of_classes == {
        ("main.people", "Person", "SELECT", "main.people"),
        ("main.people", "Person", "JOIN", "main.members", "main.people", "main.teams"),
        ("main.teams", "Team", "SELECT", "main.teams"),
        ("main.people", "Adult", "SELECT", "main.people"),
        ("main.employees", "Employee", "SELECT", "main.employees", "main.people"),
        ("main.chiefs", "Chief", "SELECT", "main.chiefs", "main.employees", "main.people"),
        ("main.recent", "Recent", "SELECT", "main.recent"),
    }


@pytest.mark.parametrize(("tables", "names"), [(None, 8), (["main.recent", "main.no"], 1), ([], 0)])
def test_the_gate_is_answered_for_the_tables_that_it_asks_for(
    monkeypatch: pytest.MonkeyPatch, tables: list[str] | None, names: int
) -> None:
    asked: list[str] = []

    def scalar_outside(sql: str) -> str:
        asked.append(sql)
        return 'main "$user", public'

    state: Any = SimpleNamespace(
        connection=SimpleNamespace(scalar_outside=scalar_outside),
        context=SimpleNamespace(dialect=MODELS._dialect),
    )
    monkeypatch.setattr(model_statements.metadata, "metadatas", lambda _: [Shop.metadata])
    monkeypatch.setattr(model_statements, "_all_mappers", lambda: list(Shop.registry.mappers))
    monkeypatch.setattr(model_statements.checkout, "strays", lambda: ["x.py"])

    answer = model_statements.model_statements(state, tables)

    assert asked == ["SELECT coalesce(current_schema(), 'public') || ' ' || current_setting('search_path')"]
    assert (answer["count"], answer["search_path"], answer["strays"]) == (8, '"$user", public', ["x.py"])
    assert len(answer["tables"]) == names
    assert bool(answer["statements"]) is bool(names)


def test_the_mappers_are_those_of_all_registries_and_configured() -> None:
    class Late(DeclarativeBase):
        pass

    class Later(Late):
        __tablename__ = "later"
        id = sa.Column(sa.Integer, primary_key=True)

    assert not sa.inspect(Later).configured

    found = model_statements._all_mappers()

    assert {sa.inspect(each) for each in (Later, Person, Order)} <= set(found)
    assert sa.inspect(Later).configured
