"""The loop: one request after the other, until one of them ends the walk."""

from __future__ import annotations

import gc
import os
import sys
import traceback
from typing import TYPE_CHECKING, Any, Callable, Mapping

import alembic
import sqlalchemy

from . import endings, model_statements, models, offline, statements, steps
from .errors import last_line

if TYPE_CHECKING:
    from . import protocol
    from .state import State

REQUESTS: Mapping[protocol.Request, Callable[..., Mapping[str, Any]]] = {
    "prepare": steps.prepare,
    "empty": steps.empty,
    "step": steps.step,
    "begin_rollback_only": steps.begin_rollback_only,
    "roll_back": steps.roll_back,
    "commit": steps.commit,
    "query": statements.query,
    "execute": statements.execute,
    "ask": statements.ask,
    "script": statements.script,
    "fingerprints": models.fingerprints,
    "creation": models.creation,
    "create_models": models.create_models,
    "drift": models.drift,
    "hidden": models.hidden,
    "unregistered": models.unregistered,
    "offline": offline.print_sql,
    "model_statements": model_statements.model_statements,
}

ENDINGS: Mapping[protocol.Ending, Callable[[State], None]] = {
    "run_whole": endings.run_whole,
    "run_concurrently": endings.run_concurrently,
    "skip": endings.skip,
    "finish": endings.finish,
    "stamp": endings.stamp,
    "stop": endings.stop,
}


def serve(state: State) -> None:
    """Answer requests until one of them ends the walk."""
    _spare_the_collector()
    state.channel.send(_handshake(state))
    while True:
        request = state.channel.receive()
        if request is None:
            os._exit(70)  # the gate is gone: the rest of this command is of no use
        name = request["do"]
        if name in ENDINGS:
            _spare_the_collector()
            ENDINGS[name](state)
            return
        state.channel.send(_answer(state, **request))


def _handshake(state: State) -> protocol.Handshake:
    context = state.context
    handshake: protocol.Handshake = {
        "pid": os.getpid(),
        "python": "{}.{}.{}".format(*sys.version_info[:3]),
        "alembic": alembic.__version__,
        "sqlalchemy": sqlalchemy.__version__,
        "dialect": context.dialect.name,
        "as_sql": bool(context.as_sql),
        "version_table": context.version_table,
        "version_table_schema": context.version_table_schema,
        "script_location": context.script.dir if context.script is not None else None,
        "directory": os.getcwd(),
        "engine": _engine_of(state),
    }
    if not context.as_sql and context.dialect.name == "postgresql":
        handshake["database"] = state.connection.scalar_outside("SELECT current_database()::text")
        handshake["backend"] = state.connection.scalar_outside("SELECT pg_backend_pid()::text")
    return handshake


def _engine_of(state: State) -> str | None:
    """The name that env.py gives to the engine, as `run_migrations(engine_name=…)` in Alembic's multidb template."""
    name = state.arguments.get("engine_name")
    token = state.context.opts.get("upgrade_token")
    if name is None and token not in (None, "upgrades"):
        name = token
    return None if name is None else str(name)


def _answer(state: State, do: protocol.Request, **request: Any) -> Mapping[str, Any]:
    try:
        return REQUESTS[do](state, **request)
    except Exception as error:
        fault: protocol.Fault = {"fault": last_line(error), "traceback": traceback.format_exc()[-4000:]}
        return fault


def _spare_the_collector() -> None:
    """Have the garbage collector leave alone what is loaded by now: models and scripts, which stay to the end in any
    case.

    Else it goes through all of it again and again, and once more as Python ends: 0.2 s with 300 tables.
    """
    if hasattr(gc, "freeze"):  # not in PyPy
        gc.freeze()
