"""Requests: the gate's own statements, on the migration's connection."""

from __future__ import annotations

from typing import TYPE_CHECKING, Callable, Iterable

if TYPE_CHECKING:
    from . import protocol
    from .state import State


def query(state: State, statements: Iterable[str]) -> protocol.ValueAnswer:
    """Run statements in the rollback-only transaction or in one that is rolled back at once. The last one's only value,
    or None once a value is NULL: the statements after that one are not run."""
    if state.connection.is_rollback_only:
        return {"value": state.connection.query(statements)}
    state.connection.open()
    try:
        return {"value": state.connection.query(statements)}
    finally:
        state.connection.roll_back()


def execute(state: State, statements: Iterable[str]) -> protocol.EmptyAnswer:
    """Run statements to stay, in the rollback-only transaction or in a separate one."""

    def run() -> None:
        for statement in statements:
            state.connection.execute(statement)

    return _do_to_stay(state, run)


def script(state: State, sql: str) -> protocol.EmptyAnswer:
    """Run a whole script of statements, in the rollback-only transaction or, to stay, in a separate one."""
    return _do_to_stay(state, lambda: state.connection.run_script(sql))


def _do_to_stay(state: State, run: Callable[[], None]) -> protocol.EmptyAnswer:
    connection = state.connection
    if not connection.is_rollback_only:
        connection.begin()
        connection.lend_rights()
    connection.is_untouched = False
    try:
        run()
    except Exception as error:
        if not connection.is_rollback_only:
            connection.roll_back()
        return {"failure": state.failure(error)}
    if not connection.is_rollback_only:
        connection.commit()
    return {}


def ask(state: State, sql: str, before: Iterable[str] = ()) -> protocol.AskAnswer:
    """The only value of a query in the rollback-only transaction, after some statements. A refusal is an answer, and
    undoes them all."""
    connection = state.connection
    connection.is_untouched = False
    try:
        connection.execute("SAVEPOINT overproof_ask")
    except Exception as error:
        return {"failure": state.failure(error)}
    answer: protocol.AskAnswer
    try:
        for statement in before:
            connection.execute(statement)
        answer = {"value": connection.rows(sql)[0][0]}
    except Exception as error:
        answer = {"failure": state.failure(error)}
        connection.execute("ROLLBACK TO SAVEPOINT overproof_ask")
    connection.execute("RELEASE SAVEPOINT overproof_ask")
    return answer
