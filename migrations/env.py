"""Run by every alembic command that needs the database: connects, waits for its turn, and lets Alembic work.

Of the application it knows where the database is, which tables there should be, and how to write scripts for them.
"""

from __future__ import annotations

import logging
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext, suppress
from logging.config import fileConfig
from typing import Any

import sqlalchemy as sa
from alembic import context
from alembic.util import CommandError

from app import autogenerate
from app.database import DatabaseRefused, connect, create_engine, database_url
from app.metadata import metadata

logger = logging.getLogger("alembic.env")

# A migration that cannot have a lock at once gives up after this time. Until then everyone who comes after it waits
# behind it, readers included, even if all that it waits for is one long SELECT.
LOCK_TIMEOUT = "5s"

# Any number will do that nothing else in this database locks. These are the bytes of "proof".
ADVISORY_LOCK = 0x70726F6F66
POLL_S = 0.1

OPTIONS: dict[str, Any] = {
    "target_metadata": metadata,
    # A revision that fails takes back itself alone, and one that leaves the transaction (to build an index
    # concurrently) does not commit the half of another.
    "transaction_per_migration": True,
    **autogenerate.OPTIONS,
}


def run_offline() -> None:
    """Print the SQL instead of running it (`--sql`)."""
    # With psycopg2's own style of parameters every % of a statement would be printed twice.
    context.configure(url=database_url(), literal_binds=True, dialect_opts={"paramstyle": "named"}, **OPTIONS)
    context.get_context().impl.static_output(f"SET lock_timeout = '{LOCK_TIMEOUT}';\n")
    with context.begin_transaction():
        context.run_migrations()


def run_online() -> None:
    with connection_to_use() as connection:
        # A statement begins a transaction by itself. Were that still open when Alembic comes, it would take it for one
        # that someone else is going to commit.
        end_statement = connection.commit if not connection.in_transaction() else lambda: None
        with one_at_a_time(connection, end_statement) if changes_the_database() else nullcontext():
            context.configure(connection=connection, **OPTIONS)
            with context.begin_transaction():
                try:
                    context.run_migrations()
                except CommandError as error:
                    if "Target database is not up to date" not in str(error):
                        raise
                    raise CommandError("The database is not at head. Run: python -m alembic upgrade head") from None


@contextmanager
def connection_to_use() -> Iterator[sa.Connection]:
    """The connection that was handed in with `config.attributes["connection"]`, else one of our own.

    An engine may be handed in too, or what pytest-alembic wraps around a connection: anything with `.connect()`.
    """
    given = context.config.attributes.get("connection")
    if isinstance(given, sa.Connection):
        yield given
    elif given is not None:
        with given.connect() as connection:
            yield connection
    else:
        with connect(create_engine(database_url(), poolclass=sa.NullPool)) as connection:
            if context.config.config_file_name is not None:
                fileConfig(context.config.config_file_name, disable_existing_loggers=False)
            yield connection


def changes_the_database() -> bool:
    """Whether the command is upgrade, downgrade or stamp. Those that only look need not wait for one of these."""
    try:
        context.get_revision_argument()
    except (KeyError, CommandError):  # several heads, say: Alembic itself is about to refuse the command
        return False
    return True


@contextmanager
def one_at_a_time(connection: sa.Connection, end_statement: Callable[[], None]) -> Iterator[None]:
    """Wait until no other upgrade of this database runs, and keep others waiting until this one has ended.

    The lock belongs to the session, because a revision that builds an index concurrently ends its transaction, and
    with it any lock that belongs to that. It is asked for again and again instead of waited for: a session that waits
    in `pg_advisory_lock` holds a snapshot, and CREATE INDEX CONCURRENTLY waits for all snapshots older than its own,
    so each would wait for the other.
    """

    def ask(question: str) -> Any:
        answer = connection.scalar(sa.text(question))
        end_statement()
        return answer

    if not ask(f"SELECT pg_try_advisory_lock({ADVISORY_LOCK})"):
        logger.info("Another upgrade of this database is under way. Waiting for its end.")
        while not ask(f"SELECT pg_try_advisory_lock({ADVISORY_LOCK})"):
            time.sleep(POLL_S)
    usual = ask("SHOW lock_timeout")
    ask(f"SELECT set_config('lock_timeout', '{LOCK_TIMEOUT}', false)")
    try:
        yield
    finally:
        # Nothing can be asked of a transaction that failed, or of a connection that is lost. The caller takes
        # the one back; the other took the lock with it.
        with suppress(sa.exc.DBAPIError):
            ask(f"SELECT set_config('lock_timeout', '{usual}', false), pg_advisory_unlock({ADVISORY_LOCK})")


try:
    if context.is_offline_mode():
        run_offline()
    else:
        run_online()
except DatabaseRefused as refused:
    print(f"alembic: {refused}", file=sys.stderr)
    raise SystemExit(2) from None
