"""Which differences between databases are those of their servers."""

from __future__ import annotations

import pytest

from app.gate.report.drift import is_of_server

SOMETHING = {"x": 1}


@pytest.mark.parametrize(
    "kind", ["default privileges", "event trigger", "foreign data wrapper", "foreign server", "publication", "schema"]
)
def test_what_operators_add_is_of_the_server_and_what_the_migrations_make_is_not(kind: str) -> None:
    assert is_of_server(kind, "a", None, SOMETHING)
    assert not is_of_server(kind, "a", SOMETHING, {"x": 2})
    assert not is_of_server(kind, "a", SOMETHING, None)


def test_an_extension_may_be_of_another_version_and_the_public_schema_have_other_rights() -> None:
    assert is_of_server("extension", "pg_stat_statements", None, SOMETHING)
    assert is_of_server("extension", "citext", SOMETHING, {"x": 2})
    assert is_of_server("schema", "public", SOMETHING, {"x": 2})
    assert not is_of_server("schema", "shop", SOMETHING, {"x": 2})
    assert not is_of_server("extension", "citext", SOMETHING, None)
    assert not is_of_server("schema", "public", SOMETHING, None)


@pytest.mark.parametrize("kind", ["table", "column", "index", "view", "function"])
def test_tables_and_what_belongs_to_them_are_of_the_migrations(kind: str) -> None:
    assert not is_of_server(kind, "public", None, SOMETHING)
