"""The migration's connection below SQLAlchemy: statements through a bare DBAPI cursor, for which SQLAlchemy raises no
event."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Iterable

import sqlalchemy

from . import _queries

if TYPE_CHECKING:
    from alembic.runtime.migration import MigrationContext
    from sqlalchemy.engine import Connection


class BareConnection:
    """The DBAPI connection behind the context's SQLAlchemy connection."""

    def __init__(self, context: MigrationContext) -> None:
        self.context: Any = context  # much of what the driver needs of it is private to Alembic

    def rows(self, sql: str) -> list[Any]:
        """Rows of a query."""
        cursor = self.raw_connection().cursor()
        try:
            cursor.execute(sql)
            rows: list[Any] = cursor.fetchall()
            return rows
        finally:
            cursor.close()

    def scalar(self, sql: str) -> Any:
        """The value of a query that returns one."""
        ((value,),) = self.rows(sql)
        return value

    def execute(self, sql: str) -> None:
        cursor = self.raw_connection().cursor()
        try:
            cursor.execute(sql)
        finally:
            cursor.close()

    def run_script(self, sql: str) -> None:
        """Run several statements. Where to cut a script into statements is for PostgreSQL to say, so it is sent as a
        whole."""
        raw = self.raw_connection()
        if type(raw).__module__.endswith(".asyncpg"):
            # Its cursor prepares what it is given, which can only be a single statement; the connection below it does
            # not.
            waiting: Any = sqlalchemy.util.concurrency
            wait = getattr(waiting, "await_", None) or waiting.await_only  # its name before SQLAlchemy 2.1
            wait(raw._connection.execute(sql))
        else:
            self.execute(sql)

    def query(self, statements: Iterable[str]) -> Any:
        """The only value of the last statement that returns rows. What follows a value that is NULL is not run."""
        value = None
        cursor = self.raw_connection().cursor()
        try:
            for statement in statements:
                cursor.execute(statement)
                if cursor.description:
                    value = cursor.fetchall()[0][0]
                    if value is None:
                        break
        finally:
            cursor.close()
        return value

    def scalar_outside(self, sql: str) -> Any:
        """One value, leaving the connection's transaction state unchanged."""
        connection = self.context.connection
        was_in_transaction = connection.in_transaction()
        value = self.scalar(sql)
        if not was_in_transaction:
            self.raw_connection().rollback()
        return value

    def transaction_id(self) -> int:
        transaction: int = self.scalar("SELECT txid_current()::bigint")
        return transaction

    def has_transaction(self) -> bool:
        """Whether PostgreSQL is in a transaction block."""
        # Outside of one, the transaction is the statement itself and began at the same moment.
        return bool(self.scalar("SELECT (now() < statement_timestamp())::int"))

    def is_same(self, connection: Connection) -> bool:
        """Whether that SQLAlchemy connection speaks through the migration's DBAPI connection."""
        if connection is self.context.connection:
            return True
        try:
            return _dbapi_connection(connection) is self.raw_connection()
        except Exception:
            return False

    def raw_connection(self) -> Any:
        return _dbapi_connection(self.context.connection)

    def keep_prepared_statements(self) -> None:
        """psycopg 3 prepares what it is given often enough, and after each ROLLBACK, DROP and ALTER throws away all
        that is prepared in the session: what the gate prepared to read the schema as well, in the middle of its
        questions."""
        raw = self.raw_connection()
        connection = getattr(raw, "_connection", raw)  # below SQLAlchemy's adapter for async drivers
        if hasattr(connection, "prepare_threshold"):
            connection.prepare_threshold = None

    def prepare_queries(self) -> None:
        """Have PostgreSQL plan the observer's queries, for as long as the session keeps plans."""
        there = {row[0] for row in self.rows("SELECT name::text FROM pg_prepared_statements")}
        for name, text in _queries.PREPARED.items():
            if name not in there:
                self.execute("PREPARE " + name + " " + text)
                if text.startswith("AS"):  # what takes a parameter is at first planned each time
                    self._plan(name)

    def _plan(self, name: str) -> None:
        """Have it planned for a large schema. PostgreSQL does so when it is first run, and would read whole catalogs of
        a small one.

        The gate does the same with what it prepares; nothing of it can be imported here.
        """
        self.execute("SELECT set_config('overproof.enable_seqscan', current_setting('enable_seqscan'), false)")
        self.execute("SELECT set_config('enable_seqscan', 'off', false)")
        self.rows("EXECUTE " + name)
        self.execute("SELECT set_config('enable_seqscan', current_setting('overproof.enable_seqscan'), false)")


def _dbapi_connection(connection: Any) -> Any:
    proxied = connection.connection
    return getattr(proxied, "dbapi_connection", None) or proxied.connection
