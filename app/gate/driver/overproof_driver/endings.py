"""The last request of a walk: how `run_migrations` ends."""

from __future__ import annotations

import atexit
import os
import sys
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from . import metadata

if TYPE_CHECKING:
    from . import protocol
    from .state import State


def run_whole(state: State) -> None:
    """Let Alembic do what it would have done without us."""
    state.channel.send({})
    state.channel.close()
    state.original(state.context, **state.arguments)


def run_concurrently(state: State) -> None:
    """The same, but wait for the gate once the revision of the database was read."""
    read_heads = state.context.get_current_heads

    def get_current_heads() -> Any:
        heads = read_heads()
        del state.context.get_current_heads
        reached: protocol.VersionReached = {"reached_version": True}
        state.channel.send(reached)
        state.channel.receive()
        state.channel.close()
        return heads

    state.context.get_current_heads = get_current_heads
    try:
        state.original(state.context, **state.arguments)
    finally:
        state.channel.close()  # as where it never asked for the revision


def skip(state: State) -> None:
    """Do nothing at all."""
    state.channel.send({})
    state.channel.close()


def stop(state: State) -> None:
    """End the whole process: the gate has what it wanted."""
    state.channel.send({})
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(0)


def finish(state: State) -> None:
    """Put the context back into the state that `env.py` expects, and let the command end as it would."""
    state.observer.close()
    state.connection.give_back()
    atexit.register(_report_late_tables, state, metadata.tables(state.context))
    state.channel.send({})


def _report_late_tables(state: State, known: set[str]) -> None:
    """As the command ends: the tables that it has added to the metadata once Alembic was done, with a plugin, say."""
    with suppress(Exception):  # the gate may have stopped waiting for it
        late: protocol.LateTables = {"late": sorted(metadata.tables(state.context) - known)}
        state.channel.send(late)
        state.channel.close()


def stamp(state: State) -> None:
    """Finish, after Alembic has marked the database with a revision, which runs no script."""
    finish(state)
    state.original(state.context, **state.arguments)
