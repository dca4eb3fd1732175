"""What a statement is about, judging by its text."""

from __future__ import annotations

import pytest

from app.gate.postgres.statements import is_cluster_wide, is_literal


@pytest.mark.parametrize(
    "sql",
    [
        "CREATE TABLE orders (id int)",
        "\n  ALTER TABLE orders ADD COLUMN note text;\n",
        "create unique index ix on orders (id)",
        "DROP TYPE mood",
        "COMMENT ON TABLE orders IS 'a'",
        "UPDATE orders SET note = ''",
    ],
)
def test_a_definition_makes_the_same_of_a_schema_each_time(sql: str) -> None:
    assert is_literal(sql)


@pytest.mark.parametrize(
    "sql",
    [
        "DO $$ BEGIN EXECUTE 'CREATE TABLE orders (id int)'; END $$",
        "SELECT create_partitions()",
        "CALL prepare_tables()",
        "CREATE FUNCTION f() RETURNS int LANGUAGE sql AS 'SELECT 1'",
        "CREATE TABLE orders (id int); DO $$ BEGIN END $$",
        "CREATE EXTENSION hstore",
        "",
    ],
)
def test_what_runs_code_may_do_something_else_the_second_time(sql: str) -> None:
    assert not is_literal(sql)


@pytest.mark.parametrize(
    ("sql", "is_wide"),
    [
        ("CREATE USER reader", True),
        ("CREATE ROLE reader", True),
        ("drop  database shop", True),
        ("CREATE TABLE roles (id int)", False),
    ],
)
def test_roles_and_databases_are_about_the_whole_server(sql: str, is_wide: bool) -> None:
    assert is_cluster_wide(sql) is is_wide
