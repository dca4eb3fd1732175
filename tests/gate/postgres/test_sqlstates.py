"""SQLSTATEs are those of PostgreSQL's manual."""

from __future__ import annotations

import pytest
from psycopg2 import errorcodes

from app.gate.postgres import sqlstates

NAMES = [name for name, value in vars(sqlstates).items() if name.isupper() and isinstance(value, str)]


@pytest.mark.parametrize("name", NAMES)
def test_a_sqlstate_is_the_one_of_its_name(name: str) -> None:
    assert getattr(sqlstates, name) == getattr(errorcodes, name)


def test_what_is_created_is_there_already() -> None:
    assert {errorcodes.lookup(state) for state in sqlstates.EXISTS_ALREADY} == {
        f"DUPLICATE_{kind}" for kind in ("OBJECT", "TABLE", "COLUMN", "SCHEMA", "FUNCTION")
    }


def test_an_object_was_dropped_meanwhile() -> None:
    assert {errorcodes.lookup(state) for state in sqlstates.GONE_MEANWHILE} == {
        "INTERNAL_ERROR",
        "UNDEFINED_TABLE",
        "UNDEFINED_OBJECT",
        "UNDEFINED_FUNCTION",
    }


@pytest.mark.parametrize(
    ("sqlstate", "depends"),
    [
        (errorcodes.CONNECTION_FAILURE, True),
        (errorcodes.OUT_OF_MEMORY, True),
        (errorcodes.DISK_FULL, True),
        (errorcodes.QUERY_CANCELED, True),
        (errorcodes.IO_ERROR, True),
        (errorcodes.OBJECT_IN_USE, True),
        (errorcodes.OBJECT_NOT_IN_PREREQUISITE_STATE, False),
        (errorcodes.UNIQUE_VIOLATION, False),
    ],
)
def test_what_other_databases_do_may_be_the_cause(sqlstate: str, depends: bool) -> None:
    assert sqlstates.depends_on_server(sqlstate) is depends
