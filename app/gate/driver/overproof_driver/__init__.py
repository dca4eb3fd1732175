"""The driver: takes over at `MigrationContext.run_migrations`, where `env.py` has connected and Alembic would start.

What it finds there is everything: the live context and connection, the project's metadata and options, and the very steps that
Alembic would take. It does what the recorder asks over a socket, one request at a time, and the command then ends as it would.
"""

import sys
import threading

from .channel import connect

OLDEST = {"sqlalchemy": (1, 4), "alembic": (1, 8)}


def take_over(module):
    """Replace `MigrationContext.run_migrations` of Alembic's freshly imported module."""
    original = module.MigrationContext.run_migrations
    at_work = set()  # threads

    def run_migrations(self, **arguments):
        thread = threading.get_ident()
        # A module that migrates as it is imported may be imported by a script, or by us: Open WebUI's configuration.
        channel = None if thread in at_work else connect()
        if channel is None:
            return original(self, **arguments)
        unsupported = _find_unsupported()
        if unsupported:
            channel.send({"unsupported": unsupported})
            raise SystemExit("overproof: " + unsupported)
        from .walker import Walker

        at_work.add(thread)
        try:
            return Walker(self, arguments, channel, original).serve()
        finally:
            at_work.discard(thread)

    run_migrations.__doc__ = original.__doc__
    run_migrations.__name__ = "run_migrations"
    module.MigrationContext.run_migrations = run_migrations


def _find_unsupported():
    """What is too old in the project's environment, in words."""
    for name, oldest in sorted(OLDEST.items()):
        version = getattr(sys.modules.get(name), "__version__", "")
        numbers = tuple(int(part) for part in version.split(".")[:2] if part.isdigit())
        if len(numbers) == 2 and numbers < oldest:
            return "the project has {} {}, and the gate needs {}.{} or newer".format(name, version, *oldest)
    return None
