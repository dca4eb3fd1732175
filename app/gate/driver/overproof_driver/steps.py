"""Requests: get ready, take a step, begin and end a rollback-only transaction."""

from __future__ import annotations

import logging
import os
import sys
import time
import warnings
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, Any, Iterable, Iterator, NoReturn

import sqlalchemy
from alembic.runtime.migration import HeadMaintainer, RevisionStep

from . import history, metadata, statements
from .errors import (
    CommitInRollbackOnly,
    RightsMissing,
    Stopped,
    call_projects,
    describe_noted,
    is_defect_of_ours,
    sqlstate,
)

if TYPE_CHECKING:
    from . import protocol
    from .observer import Halts
    from .state import State

_QUERY_CANCELED = "57014"

log = logging.getLogger("alembic.runtime.migration")


def prepare(state: State, superuser: str | None = None) -> protocol.PrepareAnswer:
    """Get ready for steps: own the transactions, read the plan. Sent once the gate knows the database as its own.

    `superuser` is a role that the session may set, where its own is an ordinary one.
    """
    state.connection.take_over()
    state.connection.superuser = superuser
    state.observer.listen()
    version = state.context._version
    state.set_version = (
        version.update()
        .values(version_num=sqlalchemy.bindparam("reached"))
        .where(version.c.version_num == sqlalchemy.bindparam("left"))
    )
    state.context.impl.start_migrations()
    try:
        _read_heads(state)
    except Exception as error:
        state.connection.roll_back()
        return {"failure": state.failure(error)}
    return _read_plan(state)


def _read_heads(state: State) -> None:
    """Find out where the database is, and whether its connection has transactions."""
    state.connection.begin()
    state.heads = set(state.context.get_current_heads())
    if not state.heads:
        state.context._ensure_version_table()
    state.connection.find_autocommit()
    state.connection.commit()


def _read_plan(state: State) -> protocol.PrepareAnswer:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        scripts, described = history.describe(state.context, sorted(state.heads))
    state.scripts = {each.revision: each for each in scripts}
    state.extent = metadata.extent(state.context)
    return {
        **described,
        "warnings": [str(each.message) for each in caught],
        "is_transactional": not state.connection.is_autocommit,
        "is_per_migration": bool(state.connection.was_per_migration),
        "current": sorted(state.heads),
        "has_metadata": bool(metadata.metadatas(state.context)),
        "start_s": time.process_time(),
    }


# Back to an empty database, where an application has created its tables by code, to have the revisions create them.
_EMPTY = """DO $$
DECLARE name text;
BEGIN
    FOR name IN SELECT quote_ident(nspname) FROM pg_namespace
            WHERE NOT starts_with(nspname, 'pg_') AND nspname <> 'information_schema' LOOP
        EXECUTE 'DROP SCHEMA ' || name || ' CASCADE';
    END LOOP;
    CREATE SCHEMA public;
    COMMENT ON SCHEMA public IS 'standard public schema';
    GRANT USAGE ON SCHEMA public TO PUBLIC;
END $$"""


def empty(state: State) -> protocol.EmptyDatabaseAnswer:
    """Drop all that is in the database, and plan to apply the whole history to it."""
    state.connection.begin()
    try:
        state.connection.execute(_EMPTY)
        state.context._ensure_version_table()
    except Exception as error:  # before PostgreSQL 15, `public` is not the database owner's
        state.connection.roll_back()
        return {"failure": state.failure(error)}
    state.connection.commit()
    state.heads = set()
    return {"plan": [each.revision.revision for each in state.context.script._upgrade_revs("heads", ())]}


def step(
    state: State,
    revision: str,
    direction: str,
    observe: bool = True,
    stop_before: int | None = None,
    pause_before: int | None = None,
    then: Iterable[str] = (),
    stays_open: bool = False,
    in_one_run: bool = False,
) -> protocol.StepAnswer:
    """Run one revision in one direction, and commit it unless a rollback-only transaction was begun, or the next step
    is to be in the same transaction (`stays_open`).

    `stop_before` is the number of a statement, from 0, before which the step ends as if it were killed there;
    `pause_before` of one before which it waits for the gate. `in_one_run`: as in the same run of the command as the
    steps before it, where SQLAlchemy does not create the types again that it has created. `then` is a query (see
    `statements.query`) to run once the step was taken, which saves a request.
    """
    script = state.scripts[revision]
    memo = _known_types(state, in_one_run)
    try:
        move = RevisionStep(state.context.script.revision_map, script, direction == "upgrade")
    except AttributeError:
        return {"failure": state.failure(AttributeError(f"the script has no {direction}()"))}
    begun = time.perf_counter()
    _get_ready_to_observe(state, observe)
    halts = _halts(state, stop_before, pause_before)
    state.observer.rights.begin_step(revision, direction)
    answer = _attempt(state, move, script.module, observe, halts, stays_open)
    if state.connection.lacks_rights and "commits" not in answer and state.connection.undo_step():
        state.observer.rights.take_again()
        answer = _attempt(state, move, script.module, observe, halts, stays_open)
    state.connection.end_step()
    _remember_types(state, memo)
    _add_errors(state, answer)
    answer["duration_ms"] = (time.perf_counter() - begun) * 1000
    if then and not answer.keys() & {"failure", "commits", "stopped"}:
        _add_value(state, answer, then)
    return answer


def _known_types(state: State, in_one_run: bool) -> dict[str, set[Any]]:
    """What SQLAlchemy remembers to have created: in a fresh context nothing, in one run what earlier steps have."""
    memo: dict[str, set[Any]] = getattr(state.context.impl, "memo", {})
    memo.clear()
    if in_one_run:
        memo.update({kind: set(names) for kind, names in state.created.items()})
    return memo


def _remember_types(state: State, memo: dict[str, set[Any]]) -> None:
    for kind, names in memo.items():
        state.created.setdefault(kind, set()).update(names)


def _attempt(
    state: State, move: RevisionStep, module: Any, observe: bool, halts: Halts, stays_open: bool
) -> protocol.StepAnswer:
    try:
        return _take(state, move, module, observe, halts, stays_open)
    except RightsMissing:
        return {}
    except CommitInRollbackOnly:
        return {"commits": True, "statements": state.observer.abort()}
    except Stopped:
        state.connection.undo()
        return {"stopped": True}
    except (KeyboardInterrupt, GeneratorExit):
        raise
    except BaseException as error:
        if is_defect_of_ours(error):
            raise
        if state.context.connection.closed:
            _end_command("the script has closed the connection of the migration")
        answer = _what_failed(state, error, module.__file__)
        if not state.connection.is_rollback_only:
            state.connection.undo()
        return answer
    finally:
        state.observer.abort()
        state.connection.is_untouched = False


def _add_errors(state: State, answer: protocol.StepAnswer) -> None:
    """The statements that failed, and after which the step continued: with a superuser's rights, or because the script
    swallowed the error."""
    if refused := state.observer.rights.refused:
        answer["refused"] = [describe_noted(each) for each in refused]
    if state.observer.errors and not answer.keys() & {"failure", "commits", "stopped"}:
        answer["swallowed"] = [describe_noted(each) for each in state.observer.errors]


def _end_command(reason: str) -> NoReturn:
    """End as a command ends that cannot continue: the gate starts another one for what comes after the step."""
    print(f"RuntimeError: {reason}", file=sys.stderr, flush=True)
    os._exit(70)


def _add_value(state: State, answer: protocol.StepAnswer, query: Iterable[str]) -> None:
    """Run a query after a step. Without a value where the gate has cancelled it instead of the step."""
    try:
        answer["value"] = statements.query(state, query)["value"]
    except Exception as error:
        if sqlstate(error) != _QUERY_CANCELED:
            raise


def _halts(state: State, stop_before: int | None, pause_before: int | None) -> Halts:
    """What is done before some of the step's statements, by their numbers."""
    halts: Halts = {}
    if stop_before is not None:
        halts[stop_before] = _stop
    if pause_before is not None:
        halts[pause_before] = partial(_pause, state)
    return halts


def _stop() -> None:
    raise Stopped()


def _pause(state: State) -> None:
    """Wait until the gate has another session in the statement's way."""
    paused: protocol.Paused = {"backend": state.connection.scalar("SELECT pg_backend_pid()::text")}
    state.channel.send(paused)
    if state.channel.receive() is None:
        os._exit(70)  # the gate is gone


def _take(
    state: State, move: RevisionStep, module: Any, observe: bool, halts: Halts, stays_open: bool
) -> protocol.StepAnswer:
    connection, observer = state.connection, state.observer
    if connection.is_rollback_only and move.is_upgrade:
        _find_heads_before(state, move.revision.revision)
    maintainer = HeadMaintainer(state.context, set(state.heads))
    first = connection.begin_step()
    connection.has_committed = False
    observer.start(module.__file__, observe, first, halts)
    log.info("Running %s", move)
    with _forgotten_tables(state, module):
        call_projects(move.migration_fn, **state.arguments)
    noted = observer.stop()
    if connection.lacks_rights:
        raise RightsMissing()
    connection.check_rollback_only()
    _set_version(state, maintainer, move)
    for callback in state.context.on_version_apply_callbacks:
        call_projects(
            callback, ctx=state.context, step=move.info, heads=set(maintainer.heads), run_args=state.arguments
        )
    if connection.is_rollback_only:
        connection.execute("SET CONSTRAINTS ALL IMMEDIATE")  # what a commit would check
        is_transactional = True
    else:
        is_transactional = not (connection.has_committed or first != connection.transaction_id())
        if not stays_open:
            connection.commit()
    state.heads = set(maintainer.heads)
    return {"statements": noted, "transactional": is_transactional}


def _find_heads_before(state: State, revision: str) -> None:
    """An upgrade that the gate has taken back, with a savepoint, has to be taken from where it began."""
    if revision not in state.heads or state.heads_before is None:
        state.heads_before = set(state.heads)
    state.heads = set(state.heads_before)


@contextmanager
def _forgotten_tables(state: State, module: Any) -> Iterator[None]:
    """Take out of a script's own MetaData, afterwards, what a step puts there: in a separate command, the next one
    would find it as the module made it. The project's stays, so that it is seen if a script adds to it."""
    projects = metadata.metadatas(state.context)
    # By their types, for a proxy such as Flask's current_app may refuse to be asked. A declarative base has its own.
    values = [
        vars(value).get("metadata") if issubclass(type(value), type) else value for value in list(vars(module).values())
    ]
    known = [
        (each, set(each.tables))
        for each in values
        if issubclass(type(each), sqlalchemy.MetaData) and not any(each is other for other in projects)
    ]
    try:
        yield
    finally:
        for each, names in known:
            for name in set(each.tables) - names:
                each.remove(each.tables[name])


def _what_failed(state: State, error: BaseException, path: str) -> protocol.StepAnswer:
    """The answer to a step that raised this."""
    answer: protocol.StepAnswer = {"statements": state.observer.abort()}
    try:
        state.connection.check_rollback_only()
    except CommitInRollbackOnly:
        return {**answer, "commits": True}
    return {**answer, "failure": state.failure(error, path), "transactional": not state.connection.has_committed}


def _get_ready_to_observe(state: State, is_wanted: bool) -> None:
    """The observer's queries are prepared from the first step on that is to be observed, and again where a script threw
    them away."""
    if is_wanted and not state.connection.keeps_queries_prepared:
        state.connection.keeps_queries_prepared = True
        if state.connection.is_rollback_only:
            state.connection.prepare_queries()


def _set_version(state: State, maintainer: HeadMaintainer, move: RevisionStep) -> None:
    """Have the version table say that the step was taken, as Alembic would.

    From one revision to the next along a line, that is plain. Alembic goes through all ancestors to find it out, and
    compiles a statement for each revision.
    """
    left, reached = move.from_revisions, move.to_revisions
    is_plain = set(left) == maintainer.heads and len(left) == len(reached) == 1
    if is_plain:
        updated = state.context.connection.execute(state.set_version, {"left": left[0], "reached": reached[0]})
        is_plain = updated.rowcount == 1 or not state.context.dialect.supports_sane_rowcount
    if is_plain:
        maintainer.heads = set(reached)
    else:
        maintainer.update_to_step(move)


def begin_rollback_only(state: State) -> protocol.EmptyAnswer:
    """Begin a transaction for a step down and up again that leaves no trace. `roll_back` or `commit` ends it."""
    state.connection.begin_rollback_only()
    state.remembered = (set(state.heads), state.observer.looks.remember())
    state.heads_before = None
    return {}


def roll_back(state: State) -> protocol.RollBackAnswer:
    """Roll the rollback-only transaction back. `undone` is false if something in it was committed after all."""
    is_undone = not state.connection.has_left_rollback_only()
    state.connection.is_rollback_only = False
    state.connection.undo()
    state.heads, relations = state.remembered
    state.observer.looks.restore(relations)
    return {"undone": is_undone}


def commit(state: State) -> protocol.EmptyAnswer:
    """Commit what the gate, and no script, has done in the rollback-only transaction."""
    state.connection.is_rollback_only = False
    state.connection.commit()
    return {}
