"""Requests: the project's models, and how they differ from the schema."""

from __future__ import annotations

from typing import TYPE_CHECKING, Collection

from . import metadata
from . import unregistered as _unregistered
from .unchanged import has_other_comparators

if TYPE_CHECKING:
    from . import protocol
    from .state import State


def fingerprints(state: State) -> protocol.FingerprintsAnswer:
    """What shows whether a table's model has changed."""
    return {"models": metadata.fingerprints(state.context)}


def creation(state: State) -> protocol.CreationAnswer:
    """The SQL that creates the models' tables, if it is the same for every session that runs it."""
    if metadata.extent(state.context) != state.extent:
        return {"statements": None}  # a script has added to the metadata
    # What stands without a schema is created in the first one of the session's search path, as the session's role.
    session = state.connection.scalar_outside("SELECT current_schema() || ' ' || current_setting('role')")
    if session != "public none":
        return {"statements": None}
    try:
        return {"statements": metadata.creation(state.context)}
    except Exception:  # `create_models` will report it
        return {"statements": None}


def create_models(state: State) -> protocol.EmptyAnswer:
    """Create the models' tables in this database, to stay."""
    state.connection.begin()
    try:
        metadata.create(state.context)
        state.connection.commit()
    except Exception as error:
        state.connection.roll_back()
        return {"failure": state.failure(error)}
    return {}


def drift(state: State, unchanged: Collection[str] = ()) -> protocol.DriftAnswer:
    """What autogenerate would still write, with the project's own options. Stale if a script has changed the metadata
    since."""
    state.connection.begin()
    try:
        is_stale = metadata.extent(state.context) != state.extent
        if has_other_comparators(state.context):  # such as those of alembic_utils, which read privileges too
            state.connection.raise_role()
        return {**metadata.drift(state.context, tuple(sorted(state.heads)), unchanged), "is_stale": is_stale}
    except Exception as error:
        return {"failure": state.failure(error)}
    finally:
        state.connection.roll_back()


def hidden(state: State) -> protocol.HiddenAnswer:
    """The tables that the project's include_object or include_name hides from autogenerate."""
    state.connection.begin()
    try:
        return {"tables": metadata.hidden(state.context), "entities": metadata.entities()}
    finally:
        state.connection.roll_back()


def unregistered(state: State) -> protocol.UnregisteredAnswer:
    """Table classes in the models' packages that Alembic never saw."""
    script = state.context.script
    scripts = str(script.dir) if script is not None else None
    return {"models": _unregistered.find_unregistered(metadata.metadatas(state.context), scripts)}
