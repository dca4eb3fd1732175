"""A model's statement with values in it, and what its refusal says."""

from __future__ import annotations

from typing import Any, cast

import pytest

from app.gate.driver.overproof_driver import protocol
from app.gate.recording.model import Failure
from app.gate.recording.running import RefusedStatement
from app.gate.reruns._prover import Prover, _is_conclusive, _literal, _refused, _Statement
from app.gate.reruns._tries import Session, Try, _failure
from app.gate.rows.connection import QueryRefused
from app.gate.rows.samples import Sample
from app.gate.server.database import Database
from tests.gate.checks.builders import failure

NAMED = ["new", "note"]


def model(*pieces: list[str], action: str = "INSERT") -> protocol.ModelStatement:
    return {
        "model": "shop.models.Order",
        "table": "public.orders",
        "tables": ["public.orders"],
        "action": action,
        "columns": ["note"],
        "sql": list(pieces),
    }


def sample(type_: str = "text", *, there: Any = None, new: Any = None, insert: str | None = None) -> Sample:
    return Sample(there, new, insert, {"note": type_, "id": "int4"})


def written(
    statement: protocol.ModelStatement, *, old: Sample | None = None, now: Sample | None = None
) -> tuple[str, str | None, bool] | None:
    prover = Prover([], [statement], "public")
    prover._old = {} if old is None else {"public.orders": old}
    found = prover._write(statement, {} if now is None else {"public.orders": now})
    return None if found is None else (found.tried.sql, found.tried.before, found.has_values)


def test_values_are_those_of_the_schema_in_question_where_the_type_is_the_same() -> None:
    statement = model(["SELECT "], NAMED, [", "], ["there", "id"])
    old = sample(there={"id": "1"}, new={"note": "old"})

    assert written(statement, old=old, now=sample(there={"id": "7"}, new={"note": "now"})) == (
        "SELECT 'now', 7",
        None,
        True,
    )
    assert written(statement, old=old, now=sample("varchar", there={"id": "7"}, new={"note": "now"})) == (
        "SELECT 'old', 7", None, False,
    )  # fmt: skip
    assert written(statement, old=old, now=sample(there={"id": "7"}, new={})) == ("SELECT 'old', 7", None, False)
    assert written(statement, old=old) == ("SELECT 'old', 1", None, False)
    assert written(statement, old=sample(new={"note": "x"})) is None
    assert written(statement) is None


def test_what_a_model_says_itself_is_a_value_of_every_schema() -> None:
    statement = model(["SELECT "], ["label", "paid"], [", "], ["extreme", "9"], [", "], ["new", "note"])

    assert written(statement, old=sample(new={"note": None}), now=sample(new={"note": None})) == (
        "SELECT 'paid', '9', NULL", None, True,
    )  # fmt: skip


def test_a_row_is_inserted_for_a_delete_to_find() -> None:
    now = sample(new={"note": "x"}, insert="INSERT …")

    assert written(model(["DELETE"], action="DELETE"), now=now) == ("DELETE", "INSERT …", True)
    assert written(model(["SELECT 1"]), now=now) == ("SELECT 1", None, True)
    assert written(model(["DELETE"], action="DELETE")) == ("DELETE", None, True)


@pytest.mark.parametrize(
    ("text", "type_", "literal"),
    [
        (None, "int4", "NULL"),
        ("1", "int4", "1"),
        ("-1.5", "numeric", "-1.5"),
        ("true", "bool", "true"),
        ("false", "bool", "false"),
        ("1", "int2", "1"),
        ("1", "int8", "1"),
        ("1", "float4", "1"),
        ("1", "float8", "1"),
        ("NaN", "numeric", "'NaN'"),
        ("1", "text", "'1'"),
        ("true", None, "'true'"),
    ],
)
def test_numbers_are_written_as_numbers(text: str | None, type_: str | None, literal: str) -> None:
    assert _literal(text, type_) == literal


@pytest.mark.parametrize(
    ("found", "has_values", "pieces", "is_conclusive"),
    [
        (failure(sqlstate="42703"), False, [], True),
        (failure(sqlstate="0A000"), False, [], True),
        (failure(sqlstate="55000"), False, [], True),
        (failure(sqlstate="23502", column="other"), False, [], True),
        (failure(sqlstate="23502", column="note"), False, [], False),
        (failure(sqlstate="23514", column="other"), False, [], False),
        (failure(sqlstate="23514"), True, [], True),
        (failure(sqlstate="22003"), False, [["extreme", "9"]], True),
        (failure(sqlstate="23514"), True, [["extreme", "9"]], False),
        (failure(sqlstate="22003"), False, [["extreme"]], False),
        (failure(sqlstate="22003"), False, [["new", "extreme"]], False),
        (failure(sqlstate=None), False, [], False),
        (failure(sqlstate=None), True, [], True),
    ],
)
def test_a_refusal_counts_where_no_value_could_avoid_it(
    found: Failure, has_values: bool, pieces: list[list[str]], is_conclusive: bool
) -> None:
    assert _is_conclusive(_Statement(model(*pieces), Try("SELECT 1"), has_values), found) is is_conclusive


def test_a_refused_statement_is_told_with_its_model_and_values() -> None:
    statement = _Statement(model(["SELECT "], NAMED), Try("SELECT 'x'", "INSERT …"), True)

    assert _refused(statement, failure()) == RefusedStatement(
        "", "shop.models.Order", "public.orders", "INSERT", ("note",), "SELECT 'x'", failure()
    )


# What PostgreSQL says.

SAID = ["42703", "no such column", "a detail", "a hint", "public", "orders", "note", "ck"]


def test_a_refusal_has_the_fields_of_the_message() -> None:
    assert _failure(Try("SELECT 1"), SAID) == Failure(
        "PostgresError", "no such column", "42703", sql="SELECT 1", table="public.orders", column="note",
        constraint="ck", detail="a detail", hint="a hint",
    )  # fmt: skip
    assert _failure(Try("SELECT 1"), ["42703", "", "", "", "", "orders", "", ""]) == Failure(
        "PostgresError", "", "42703", sql="SELECT 1"
    )
    assert cast(Any, _failure(Try(""), ["42703", "", "", "", "public", "", "", ""])).table is None


@pytest.mark.parametrize("state", ["08006", "40001", "53300", "57014", "58030", "XX000"])
def test_what_is_of_the_moment_says_nothing_of_the_statement(state: str) -> None:
    assert _failure(Try("SELECT 1"), [state, *SAID[1:]]) is None
    assert _failure(Try("SELECT 1"), None) is None


def test_statements_are_tried_one_by_one_and_leave_nothing(blank_database: Database) -> None:
    with blank_database.connect(autocommit=False) as connection:
        session = Session(connection)
        session.begin("public")
        assert session.ask("SELECT current_setting('search_path')") == "public"
        session.ask("SELECT 1", "CREATE TABLE orders (id int PRIMARY KEY)")

        found = session.try_all(
            [
                Try("INSERT INTO orders VALUES (1)"),
                Try("INSERT INTO orders VALUES (1)", before="INSERT INTO orders VALUES (1)"),
                Try("SELECT nothing"),
                Try("SELECT 1", before="SELECT nothing"),
            ]
        )

        assert [each and each.sqlstate for each in found] == [None, "23505", "42703", None]
        assert session.ask("SELECT count(*) FROM orders") == "0"
        assert session.try_all([]) == []
        with pytest.raises(QueryRefused) as refused:
            session.ask("SELECT count(*) FROM orders", "DROP TABLE orders", "SELECT nothing")
        assert refused.value.failure.sqlstate == "42703"
        assert session.ask("SELECT count(*) FROM orders") == "0"
