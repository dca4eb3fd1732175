"""The gate's own statements on the migration's connection: what is begun, undone and kept around them."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest

from app.gate.driver.overproof_driver.statements import ask, execute, query, script


class Connection:
    """Notes what it is told. A statement that begins with "bad" fails."""

    def __init__(self, *, is_rollback_only: bool) -> None:
        self.is_rollback_only = is_rollback_only
        self.is_untouched = True
        self.calls: list[str] = []

    def execute(self, statement: str) -> None:
        self.calls.append(statement)
        if statement.startswith("bad"):
            raise ValueError(statement)

    run_script = execute

    def query(self, statements: list[str]) -> str:
        for each in statements:
            self.execute(each)
        return "value"

    def rows(self, sql: str) -> list[tuple[str, str]]:
        self.execute(sql)
        return [("first", "second"), ("third", "fourth")]

    def __getattr__(self, name: str) -> Callable[[], None]:
        return lambda: self.calls.append(name.upper())


def state(*, is_rollback_only: bool) -> Any:
    connection = Connection(is_rollback_only=is_rollback_only)
    return SimpleNamespace(connection=connection, failure=lambda error: f"failed: {error}")


def test_a_query_is_run_in_the_transaction_that_is_there_or_in_one_that_is_rolled_back() -> None:
    within, alone = state(is_rollback_only=True), state(is_rollback_only=False)

    assert query(within, ["a", "b"]) == query(alone, ["a", "b"]) == {"value": "value"}

    assert within.connection.calls == ["a", "b"]
    assert alone.connection.calls == ["OPEN", "a", "b", "ROLL_BACK"]
    with pytest.raises(ValueError, match="bad"):
        query(alone, ["bad"])
    assert alone.connection.calls[-1] == "ROLL_BACK"
    assert alone.connection.is_untouched


@pytest.mark.parametrize("run", [lambda state: execute(state, ["a", "b"]), lambda state: script(state, "a")])
def test_what_is_to_stay_is_committed_unless_all_is_rolled_back(run: Callable[[Any], Any]) -> None:
    within, alone = state(is_rollback_only=True), state(is_rollback_only=False)

    assert run(within) == run(alone) == {}

    statements = within.connection.calls
    assert statements == ["a", "b"][: len(statements)]
    assert alone.connection.calls == ["BEGIN", "LEND_RIGHTS", *statements, "COMMIT"]
    assert not within.connection.is_untouched
    assert not alone.connection.is_untouched


def test_what_fails_is_told_and_rolled_back_by_whoever_began_it() -> None:
    within, alone = state(is_rollback_only=True), state(is_rollback_only=False)

    answers: list[Any] = [execute(each, ["a", "bad", "b"]) for each in (within, alone)]

    assert answers == [{"failure": "failed: bad"}] * 2

    assert within.connection.calls == ["a", "bad"]
    assert alone.connection.calls == ["BEGIN", "LEND_RIGHTS", "a", "bad", "ROLL_BACK"]


def test_an_answer_is_the_first_value_and_a_refusal_undoes_what_came_before_it() -> None:
    of = state(is_rollback_only=True)

    assert ask(of, "SELECT", ["a", "b"]) == {"value": "first"}
    assert of.connection.calls == ["SAVEPOINT overproof_ask", "a", "b", "SELECT", "RELEASE SAVEPOINT overproof_ask"]
    assert not of.connection.is_untouched

    of.connection.calls.clear()
    assert ask(of, "SELECT", ["bad", "b"]) == {"failure": "failed: bad"}
    assert of.connection.calls == [
        "SAVEPOINT overproof_ask",
        "bad",
        "ROLLBACK TO SAVEPOINT overproof_ask",
        "RELEASE SAVEPOINT overproof_ask",
    ]


def test_in_a_transaction_that_has_failed_nothing_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    of = state(is_rollback_only=True)

    def refuse(statement: str) -> None:
        raise ValueError(statement)

    monkeypatch.setattr(of.connection, "execute", refuse)

    assert ask(of, "SELECT") == {"failure": "failed: SAVEPOINT overproof_ask"}
