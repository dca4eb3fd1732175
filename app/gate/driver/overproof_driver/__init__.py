"""The driver: takes over at `MigrationContext.run_migrations`, where `env.py` has connected and Alembic would start.

What it finds there is everything: the live context and connection, the project's metadata and options, and the very steps that
Alembic would take. It does what the recorder asks over a socket, one request at a time, and the command then ends as it would.
"""

from .channel import connect


def take_over(module):
    """Replace `MigrationContext.run_migrations` of Alembic's freshly imported module."""
    original = module.MigrationContext.run_migrations

    def run_migrations(self, **arguments):
        channel = connect()
        if channel is None:
            return original(self, **arguments)
        from .walker import Walker

        return Walker(self, arguments, channel, original).serve()

    run_migrations.__doc__ = original.__doc__
    run_migrations.__name__ = "run_migrations"
    module.MigrationContext.run_migrations = run_migrations
