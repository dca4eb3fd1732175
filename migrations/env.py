"""Run by every alembic command that needs the database: connects, waits for other upgrades, and runs Alembic.

From the application it uses the database's URL, the metadata of the tables, and the options for autogenerate.
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

# A migration that does not get a lock within this time fails. Until then all later sessions that need the table queue
# behind it, readers included, even if it waits only for one long SELECT.
LOCK_TIMEOUT = "5s"

# Any number that nothing else in this database locks. These are the bytes of "proof".
ADVISORY_LOCK = 0x70726F6F66
POLL_S = 0.1

OPTIONS: dict[str, Any] = {
    "target_metadata": metadata,
    # A failing revision rolls back only itself, and one that leaves the transaction (to build an index concurrently)
    # does not commit half of another one.
    "transaction_per_migration": True,
    **autogenerate.OPTIONS,
}


def run_offline() -> None:
    """Print the SQL instead of running it (`--sql`)."""
    # With psycopg2's own parameter style every % of a statement would be doubled.
    context.configure(url=database_url(), literal_binds=True, dialect_opts={"paramstyle": "named"}, **OPTIONS)
    context.get_context().impl.static_output(f"SET lock_timeout = '{LOCK_TIMEOUT}';\n")
    with context.begin_transaction():
        context.run_migrations()


def run_online() -> None:
    with connection_to_use() as connection:
        # A statement implicitly begins a transaction. If it were still open when Alembic starts, Alembic would leave
        # the commit to its caller.
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
    """The connection in `config.attributes["connection"]`, else a new one.

    It may also be an engine, or pytest-alembic's wrapper of a connection: anything with `.connect()`.
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
    """Whether the command is upgrade, downgrade or stamp. Commands that only read need not wait for one of these."""
    try:
        context.get_revision_argument()
    except (KeyError, CommandError):  # several heads, for example: Alembic itself will refuse the command
        return False
    return True


@contextmanager
def one_at_a_time(connection: sa.Connection, end_statement: Callable[[], None]) -> Iterator[None]:
    """Wait until no other upgrade of this database runs, and make others wait until this one has ended.

    It is a session-level lock, because a revision that builds an index concurrently ends its transaction, and with it
    any transaction-level lock. It is polled: a session that waits in `pg_advisory_lock` holds a snapshot, and CREATE
    INDEX CONCURRENTLY waits for all snapshots older than its own, so each would wait for the other.
    """

    def ask(question: str) -> Any:
        answer = connection.scalar(sa.text(question))
        end_statement()
        return answer

    if not ask(f"SELECT pg_try_advisory_lock({ADVISORY_LOCK})"):
        logger.info("Waiting for another upgrade of this database to finish.")
        while not ask(f"SELECT pg_try_advisory_lock({ADVISORY_LOCK})"):
            time.sleep(POLL_S)
    usual = ask("SHOW lock_timeout")
    ask(f"SELECT set_config('lock_timeout', '{LOCK_TIMEOUT}', false)")
    try:
        yield
    finally:
        # A failed transaction and a lost connection accept no statement. The caller rolls back the transaction; the
        # lock ended with the connection.
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
