"""A live database, which is only read.

Everything is read in READ ONLY transactions, in which a statement and a wait for a lock have limits. The limits are
settings of the transaction and not of the session, because behind a pooler other clients share the session.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Literal, TypeVar

import psycopg2
from psycopg2.extensions import connection as Connection  # noqa: N812 - psycopg2 spells its classes so

from app.gate.errors import ServerUnavailable
from app.gate.postgres import sqlstates
from app.gate.server.binaries import OLDEST_MAJOR
from app.gate.server.database import CONNECT_PATIENCE_S, connect_to

# So that reading a busy production database neither waits for a migration nor blocks other sessions.
LOCK_TIMEOUT_S = 5.0
_ATTEMPTS = 3

T = TypeVar("T")
Isolation = Literal["READ COMMITTED", "REPEATABLE READ"]


@dataclass(frozen=True)
class Live:
    """A connection to a live database."""

    connection: Connection
    timeout_s: float  # of one statement
    lock_timeout_s: float = LOCK_TIMEOUT_S

    @contextmanager
    def transaction(self, isolation: Isolation = "READ COMMITTED") -> Iterator[Any]:
        """A cursor in a READ ONLY transaction. Raises psycopg2.Error."""
        self.connection.set_session(isolation_level=isolation, readonly=True)
        with self.connection, self.connection.cursor() as cursor:
            # By a query: after the first one a transaction can no longer be made one that writes.
            cursor.execute(
                "SELECT set_config('statement_timeout', %s, true), set_config('lock_timeout', %s, true)",
                (f"{round(self.timeout_s * 1000)}ms", f"{round(self.lock_timeout_s * 1000)}ms"),
            )
            yield cursor

    @property
    def major(self) -> int:
        return self.connection.info.server_version // 10000


def read_in_one_snapshot(live: Live, read: Callable[[Any], T]) -> T:
    """What `read` makes of a cursor. Raises psycopg2.Error.

    It is called again where something has gone meanwhile: the catalogs are read in one snapshot, but functions that
    print definitions see the present state.
    """
    attempts = 0
    while True:
        try:
            with live.transaction("REPEATABLE READ") as cursor:
                return read(cursor)
        except psycopg2.Error as error:
            attempts += 1
            if error.pgcode not in sqlstates.GONE_MEANWHILE or attempts == _ATTEMPTS:
                raise


@contextmanager
def live_database(
    keywords: Mapping[str, Any], timeout_s: float, lock_timeout_s: float = LOCK_TIMEOUT_S
) -> Iterator[Live]:
    """The database that libpq's keywords name. Raises ServerUnavailable and psycopg2.Error."""
    connection = connect_to({"connect_timeout": CONNECT_PATIENCE_S, **keywords})
    try:
        live = Live(connection, timeout_s, lock_timeout_s)
        if live.major < OLDEST_MAJOR:
            raise ServerUnavailable(f"the server runs PostgreSQL {live.major}, and {OLDEST_MAJOR} or newer is needed")
        connection.set_client_encoding("UTF8")
        yield live
    finally:
        connection.close()
