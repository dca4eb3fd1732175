"""The driver: takes over at `MigrationContext.run_migrations`, where `env.py` has connected and Alembic would start.

Everything is there by then: the live context and connection, the project's metadata and options, and the very steps
that Alembic would take. It does what the gate asks over a socket, one request at a time, and the command then ends as
it would.

    serve           the loop, and which request is which function
    protocol        the names of the requests, and what their answers consist of
    steps           revisions, rollback-only transactions, queries
    endings         how `run_migrations` ends
    offline         the SQL of Alembic's offline mode
    transactions    the migration's connection
    observer        what PostgreSQL does with each statement: looks, effects, _queries
    metadata        the project's models: unchanged, unregistered
    history         the scripts on disk, and the plan
    options         options of the Alembic configuration that the gate sets
    settings        the variables that pydantic's settings classes look for
"""

from __future__ import annotations

import sys
import threading
from typing import Any

from .channel import connect

OLDEST = {"sqlalchemy": (1, 4), "alembic": (1, 8)}


def take_over(module: Any) -> None:
    """Replace `MigrationContext.run_migrations` of Alembic's freshly imported module."""
    if "--sql" in sys.argv:
        from .offline import keep_sql_files_away

        keep_sql_files_away()
    original = module.MigrationContext.run_migrations
    at_work: set[int] = set()  # threads

    def run_migrations(self: Any, **arguments: Any) -> None:
        thread = threading.get_ident()
        # A module that migrates as it is imported may be imported by a script, or by us: Open WebUI's configuration.
        channel = None if thread in at_work else connect()
        if channel is None:
            original(self, **arguments)
            return
        unsupported = _find_unsupported()
        if unsupported:
            channel.send({"unsupported": unsupported})
            raise SystemExit("overproof: " + unsupported)
        from .serve import serve
        from .state import State

        at_work.add(thread)
        try:
            serve(State(self, arguments, channel, original))
        finally:
            at_work.discard(thread)

    run_migrations.__doc__ = original.__doc__
    run_migrations.__name__ = "run_migrations"
    module.MigrationContext.run_migrations = run_migrations


def _find_unsupported() -> str | None:
    """What is too old in the project's environment, as text."""
    for name, oldest in sorted(OLDEST.items()):
        version = getattr(sys.modules.get(name), "__version__", "")
        numbers = tuple(int(part) for part in version.split(".")[:2] if part.isdigit())
        if len(numbers) == 2 and numbers < oldest:
            return "the project has {} {}, and the gate needs {}.{} or newer".format(name, version, *oldest)
    return None
