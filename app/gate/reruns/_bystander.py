"""Another session that a CONCURRENTLY has to wait for in the middle of its work.

CREATE INDEX CONCURRENTLY, REINDEX CONCURRENTLY and DETACH PARTITION CONCURRENTLY commit between their phases, and wait
there for sessions that are older, or that use the table. On a database in use that is where a lock timeout, a cancelled
deployment or a lost connection ends them. On ours there is no other session, so here is one.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager

from psycopg2.extensions import connection as Connection  # noqa: N812 - psycopg2 spells its classes so

from app.gate.postgres.quoting import name_of, quote
from app.gate.server.database import Database

_NAMES = re.compile(r'"(?:[^"]|"")+"|\w+')
_TABLES = """
    SELECT n.nspname, c.relname FROM pg_catalog.pg_class AS c JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
    WHERE c.relkind IN ('r', 'p') AND c.relname = ANY (%s) AND n.nspname !~ '^pg_|^information_schema$'
"""


class Bystander:
    """An open transaction that has read the tables which a statement names."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def blocks(self, backend: str) -> bool:
        """Whether that backend waits for it."""
        with self._connection.cursor() as cursor:
            cursor.execute("SELECT pg_backend_pid() = ANY (pg_blocking_pids(%s))", (int(backend),))
            (answer,) = cursor.fetchone() or (False,)
            return bool(answer)


@contextmanager
def bystander(database: Database, sql: str) -> Iterator[Bystander]:
    """A session whose snapshot is older than what the statement will do, with a weak lock on each table that it
    names."""
    with database.connect(autocommit=False) as connection, connection.cursor() as cursor:
        connection.set_session(isolation_level="REPEATABLE READ")
        cursor.execute(_TABLES, (_names(sql),))
        for schema, table in cursor.fetchall():
            cursor.execute(f"LOCK TABLE ONLY {quote(schema)}.{quote(table)} IN ACCESS SHARE MODE")
        yield Bystander(connection)
        connection.rollback()


def _names(sql: str) -> list[str]:
    """What may be a name in the statement, as PostgreSQL stores it."""
    return [name_of(each) for each in _NAMES.findall(sql)]
