"""Request: the SQL of Alembic's offline mode. And where env.py itself writes it: nowhere."""

from __future__ import annotations

import builtins
import io
import os
from typing import TYPE_CHECKING, Any, Iterator, Sequence

if TYPE_CHECKING:
    from . import protocol
    from .state import State


def keep_sql_files_away() -> None:
    """Have files named *.sql that are opened for writing lead nowhere.

    In offline mode env.py may write one for each of its databases into the project, as Alembic's multidb template does,
    over those of the same names that are there. What Alembic prints is written down in any case.
    """
    original = builtins.open

    def open_elsewhere(file: Any, mode: str = "r", *arguments: Any, **named: Any) -> Any:
        is_name = isinstance(file, (str, bytes, os.PathLike))
        if is_name and isinstance(mode, str) and os.fsdecode(file).lower().endswith(".sql") and set(mode) & set("wax+"):
            file, mode = os.devnull, mode.replace("x", "w")
        return original(file, mode, *arguments, **named)

    builtins.open = io.open = open_elsewhere


class _Printer:
    """Writes down what Alembic prints, and of which revision it is."""

    def __init__(self, state: State) -> None:
        self._context = state.context
        self._list_steps = state.context._migrations_fn
        self._next: Any = None  # the script whose turn is next
        self.script: Any = None  # the one that is running
        self.pieces: list[tuple[str | None, str]] = []

    def install(self) -> None:
        self._context._migrations_fn = self._watched_steps
        self._context.impl.static_output = self._note

    def _watched_steps(self, heads: Any, context: Any) -> Iterator[Any]:
        for step in self._list_steps(heads, context):
            self._next = getattr(step, "revision", None)
            yield step
            self.script = None

    def _note(self, piece: str) -> None:
        if piece.startswith("-- Running "):  # what goes before it, the version table, is Alembic's own
            self.script = self._next
        self.pieces.append((self.revision, piece))

    @property
    def revision(self) -> str | None:
        return self.script.revision if self.script else None


def print_sql(state: State, start: Sequence[str]) -> protocol.OfflineAnswer:
    """The SQL that Alembic would print for a database at those revisions: [revision or None, piece], in its order."""
    if start:
        state.context._start_from_rev = tuple(start)
    printer = _Printer(state)
    printer.install()
    try:
        state.original(state.context, **state.arguments)
    except (KeyboardInterrupt, GeneratorExit):
        raise
    except BaseException as error:
        failure = state.failure(error, printer.script.module.__file__ if printer.script else None)
        return {"pieces": printer.pieces, "failure": {**failure, "revision": printer.revision}}
    return {"pieces": printer.pieces}
