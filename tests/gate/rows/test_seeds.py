"""Rows that two histories put in: what is a difference, and what is not."""

from __future__ import annotations

from typing import Any

import pytest

from app.gate.recording.model import Key, Snapshot
from app.gate.recording.other_history import SeedDifference
from app.gate.rows.seeds import MOST_ROWS, Seeds, compare_seeds, differing, read_seeds, varying_columns
from app.gate.server.database import Database

NAME = "public.kinds"


def seeds(*rows: dict[str, Any]) -> dict[str, Seeds]:
    return {NAME: Seeds(len(rows), repr(sorted(map(repr, rows))), rows)}


def compared(there: Any, here: Any, *, ignored: Any = (), numbered: Any = ()) -> list[SeedDifference]:
    return list(compare_seeds(there, here, ignored={NAME: frozenset(ignored)}, numbered={NAME: frozenset(numbered)}))


A, B = {"id": 1, "name": "a"}, {"id": 2, "name": "b"}


def test_the_order_of_rows_is_no_difference() -> None:
    assert compared(seeds(A, B), seeds(B, A)) == []


def test_rows_on_one_side_are_shown() -> None:
    (found,) = compared(seeds(A), seeds(A, B))

    assert (found.only_there, found.only_here) == ((), ('{"id": 2, "name": "b"}',))
    assert (found.count_there, found.count_here, found.columns) == (1, 2, ())


def test_a_row_that_is_there_twice_is_not_there_once() -> None:
    (found,) = compared(seeds(A, A), seeds(A))

    assert found.only_there == ('{"id": 1, "name": "a"}',)


def test_rows_that_differ_in_numbers_of_a_sequence_alone_are_known_as_such() -> None:
    there, here = seeds(A, B), seeds({**A, "id": 7}, {**B, "id": 8})

    assert [(each.columns, each.is_numbering) for each in compared(there, here, numbered=["id"])] == [(("id",), True)]
    assert [(each.columns, each.is_numbering) for each in compared(there, here)] == [(("id",), False)]


def test_numbers_that_rows_exchange_are_a_difference_of_the_rows() -> None:
    (found,) = compared(seeds(A, B), seeds({**A, "id": 2}, {**B, "id": 1}), numbered=["id"])

    assert (found.columns, found.is_numbering) == ((), False)


def test_a_column_that_is_ignored_is_not_compared() -> None:
    there, here = seeds({**A, "at": "9:00"}), seeds({**A, "at": "9:01"})

    assert compared(there, here, ignored=["at"]) == []
    assert [each.columns for each in compared(there, here)] == [("at",)]


def test_of_a_large_table_it_is_said_that_it_differs() -> None:
    large = {NAME: Seeds(MOST_ROWS + 1, "x")}

    (found,) = compared(large, seeds(A))

    assert (found.only_there, found.count_there, found.count_here) == ((), MOST_ROWS + 1, 1)
    assert (found.only_here, found.columns) == ((), ())
    assert [each.only_there for each in compared(seeds(A), large)] == [()]


def test_what_varies_between_two_runs_is_found_by_its_values() -> None:
    assert varying_columns(seeds({**A, "at": 1}), seeds({**A, "at": 2})) == {NAME: frozenset({"at"})}
    assert varying_columns(seeds(A), seeds(A, B)) == {}
    assert varying_columns(seeds(A, B), seeds(B, A)) == {}
    assert varying_columns(seeds(A), {}) == {}


def test_a_table_that_is_empty_on_one_side_differs() -> None:
    assert differing(seeds(A), {}) == [NAME]
    assert [each.count_here for each in compared(seeds(A), {})] == [0]
    assert [each.only_here for each in compared({}, seeds(A))] == [('{"id": 1, "name": "a"}',)]


def test_tables_are_compared_by_their_names_whatever_became_of_those_before_them() -> None:
    there = {"public.a": Seeds(MOST_ROWS + 1, "x"), "public.b": Seeds(1, "x", ({**A, "at": 1},)), **seeds(A)}
    here = {**seeds(B), "public.b": Seeds(1, "y", ({**A, "at": 2},)), "public.a": Seeds(MOST_ROWS + 1, "y")}

    found = compare_seeds(there, here, ignored={"public.b": frozenset({"at"})}, numbered={})

    assert differing(there, here) == ["public.a", "public.b", NAME]
    assert [each.table for each in found] == ["public.a", NAME]


def test_of_columns_that_differ_those_are_named_that_are_not_ignored() -> None:
    (found,) = compared(seeds({**A, "at": 1, "by": 1}), seeds({**A, "id": 2, "at": 2, "by": 2}), ignored=["by"])

    assert found.columns == ("at", "id")
    assert found.only_here == ('{"at": 2, "id": 2, "name": "a"}',)


def test_the_first_rows_are_shown_and_long_ones_in_part() -> None:
    (found,) = compared(seeds(*({"id": number} for number in (6, 5, 4, 3, 2, 1))), seeds())
    (whole,) = compared(seeds({"a": "ü" * 291}), seeds())  # of 300 characters
    (cut,) = compared(seeds({"a": "ü" * 292}), seeds())

    assert found.only_there == tuple(f'{{"id": {number}}}' for number in (1, 2, 3, 4, 5))
    assert whole.only_there == ('{"a": "' + "ü" * 291 + '"}',)
    assert cut.only_there == ('{"a": "' + "ü" * 292 + '"…',)


@pytest.fixture
def kinds(blank_database: Database) -> Database:
    with blank_database.connect() as connection, connection.cursor() as cursor:
        cursor.execute(
            "CREATE TABLE kinds (id serial, name text, at timestamptz, raw bytea);"
            "CREATE TABLE others () INHERITS (kinds); CREATE TABLE none (id int);"
            "INSERT INTO kinds (name, at, raw) VALUES ('a', '2026-03-01 10:00+02', '\\x00ff');"
            "INSERT INTO others (name) VALUES ('b')"
        )
    return blank_database


def test_rows_are_read_from_the_table_that_has_them_whatever_the_session_is_set_to(kinds: Database) -> None:
    keys = [Key("table", "public", name) for name in ("kinds", "others", "none")]
    schema = Snapshot({key: {} for key in (*keys, Key("column", "public", "name", "kinds"))})
    read = []
    for zone in ("UTC", "Asia/Tokyo"):
        with kinds.connect(autocommit=False, options=f"-c timezone={zone}") as connection:
            read.append(read_seeds(connection, schema))

    assert read[0] == read[1]
    assert {name: [row["name"] for row in each.rows] for name, each in read[0].items()} == {
        NAME: ["a"],
        "public.others": ["b"],
    }


def test_rows_are_looked_at_one_by_one_unless_there_are_too_many(blank_database: Database) -> None:
    with blank_database.connect(autocommit=False) as connection, connection.cursor() as cursor:
        cursor.execute(
            "CREATE TABLE few AS SELECT * FROM generate_series(1, 2000) AS id; CREATE TABLE many AS TABLE few;"
            " INSERT INTO many VALUES (0)"
        )
        read = read_seeds(connection, Snapshot({Key("table", "public", name): {} for name in ("few", "many")}))

    assert {name: (each.count, len(each.rows), each.is_whole) for name, each in read.items()} == {
        "public.few": (2000, 2000, True),
        "public.many": (2001, 0, False),
    }
