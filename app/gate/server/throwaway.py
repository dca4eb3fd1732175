"""The server on which migrations are proved: an embedded PostgreSQL, or one that the user names. Both are a `Server`.

On a server that the user names, only databases that are created here are used, whose names begin with `overproof_` and
the random prefix of this run. The database in the URL is connected to at most.
"""

from __future__ import annotations

import itertools
import secrets
import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path

import psycopg2
from psycopg2.extensions import connection as Connection  # noqa: N812 - psycopg2 spells its classes so
from psycopg2.extensions import cursor as Cursor  # noqa: N812 - psycopg2 spells its classes so

from app.gate.errors import ServerUnavailable
from app.gate.postgres.quoting import identifier
from app.gate.server._accounts import refuse_windows
from app.gate.server._embedded import start_embedded
from app.gate.server._given import find_maintenance
from app.gate.server._roles import OrdinaryRole, create_roles
from app.gate.server._stand_ins import read_stand_ins
from app.gate.server.database import Database, connect_to, location_of, reason_of
from app.gate.supervisor.client import Supervisor

TEMPLATE_PATIENCE_S = 5.0  # for sessions on a template that are about to end
DROP_PATIENCE_S = 0.1  # for sessions on a database that is to be dropped, after which they are ended


class Server:
    """A PostgreSQL on which databases can be created. All of them are dropped at the end, however the run ends."""

    def __init__(self, supervisor: Supervisor, maintenance: Database, prefix: str) -> None:
        self.supervisor = supervisor
        self.maintenance = maintenance  # where CREATE DATABASE is sent
        self.is_embedded = maintenance.is_embedded
        self._prefix = prefix
        self._numbers = itertools.count(1)
        self._session: Connection | None = None  # on the maintenance database
        self._lock = threading.Lock()  # guards that session
        with self._cursor("did not return its version") as cursor:
            self._version = cursor.connection.info.server_version
        self.ordinary: OrdinaryRole | None = (
            None  # for the command; None on a given server, where it has the given role
        )
        self._lenders = 0  # blocks that lend it a superuser's rights
        self.stand_ins: dict[str, str] = {}  # extensions that are none of PostgreSQL's own -> what they differ in
        if self.is_embedded:
            with self._cursor("created no roles") as cursor:
                self.ordinary = create_roles(cursor, self._version, maintenance.password)
                self.stand_ins = read_stand_ins(cursor)

    @property
    def version(self) -> str:
        """Human-readable: "18.6"."""
        return f"{self._version // 10000}.{self._version % 10000}"

    def create_database(self, template: Database | None = None) -> Database:
        """An empty database in UTF-8, or a copy of `template`, which must have no sessions meanwhile.

        The ordinary role owns it, if there is one; the gate's own role connects to it. Raises ServerUnavailable.
        """
        database = self.database(f"{self._prefix}{next(self._numbers)}")
        with self._cursor("created no database") as cursor:
            if template:
                self._copy(cursor, template, database)
            else:
                self._create(cursor, database)
            if self.ordinary is not None:
                cursor.execute(f"ALTER DATABASE {identifier(database.name)} OWNER TO {identifier(self.ordinary.name)}")
            else:
                # PostgreSQL would compile the queries of the schema each time, as their plans look expensive: 1 s for
                # each.
                cursor.execute(f"ALTER DATABASE {identifier(database.name)} SET jit = off")
        if self.ordinary is not None and self._version < 150000:
            with database.connect() as connection, connection.cursor() as cursor:
                cursor.execute(f"ALTER SCHEMA public OWNER TO {identifier(self.ordinary.name)}")
        try:
            self.supervisor.check()
        except ServerUnavailable:  # the supervisor may have dropped the others before this one existed
            self.drop_database(database)
            raise
        return database

    def database(self, name: str) -> Database:
        """An existing database of that name."""
        return replace(self.maintenance, name=name)

    def for_command(self, database: Database) -> Database:
        """The same database, as the ordinary role connects to it."""
        if self.ordinary is None:
            return database
        return replace(database, user=self.ordinary.name, password=self.ordinary.password)

    @contextmanager
    def superuser_rights(self) -> Iterator[None]:
        """While the block runs, the ordinary role is a superuser. Raises ServerUnavailable."""
        with self._lock:
            self._lenders += 1
        try:
            self._set_rights()
            yield
        finally:
            with self._lock:
                self._lenders -= 1
            with suppress(ServerUnavailable):  # then there is no server to use it on
                self._set_rights()

    def _set_rights(self) -> None:
        if self.ordinary is not None:
            with self._cursor("did not change the rights of a role") as cursor:
                rights = "SUPERUSER" if self._lenders else "NOSUPERUSER"
                cursor.execute(f"ALTER ROLE {identifier(self.ordinary.name)} {rights}")

    def drop_database(self, database: Database) -> None:
        """Drop it, with the sessions on it. Raises ServerUnavailable."""
        with self._cursor(f"did not drop {database.name}") as cursor:
            _wait_for_sessions(cursor, database, DROP_PATIENCE_S)
            cursor.execute(f"DROP DATABASE IF EXISTS {identifier(database.name)} WITH (FORCE)")

    def read_roles(self) -> frozenset[str]:
        """The names of the roles, which all databases share. Raises ServerUnavailable."""
        with self._cursor("did not list its roles") as cursor:
            cursor.execute("SELECT rolname FROM pg_roles")
            return frozenset(name for (name,) in cursor.fetchall())

    def drop_roles(self, names: Iterable[str]) -> None:
        """Drop those that can be dropped: a role that owns something in another database stays.

        Raises ServerUnavailable.
        """
        with self._cursor("did not drop roles") as cursor:
            for name in sorted(names):
                with suppress(psycopg2.errors.DependentObjectsStillExist, psycopg2.errors.UndefinedObject):
                    cursor.execute(f"DROP ROLE {identifier(name)}")

    def _create(self, cursor: Cursor, database: Database) -> None:
        statement = f"CREATE DATABASE {identifier(database.name)} TEMPLATE template0{self._strategy} ENCODING 'UTF8'"
        try:
            cursor.execute(statement)
        except psycopg2.errors.InvalidParameterValue:
            # The server's default locale may require another encoding; C allows any.
            cursor.execute(statement + " LC_COLLATE 'C' LC_CTYPE 'C'")

    def _copy(self, cursor: Cursor, template: Database, database: Database) -> None:
        _wait_for_sessions(cursor, template, TEMPLATE_PATIENCE_S)
        copied = f"TEMPLATE {identifier(template.name)}{self._strategy}"
        cursor.execute(f"CREATE DATABASE {identifier(database.name)} {copied}")

    @property
    def _strategy(self) -> str:
        """Copying files takes a checkpoint: a third faster where fsync is off, and many times slower where it is on."""
        return " STRATEGY file_copy" if self.is_embedded and self._version >= 150000 else ""

    def end(self) -> None:
        """Start the cleanup, without waiting for it. The server cannot be used any more."""
        self._close_session()
        self.supervisor.end()

    @contextmanager
    def _cursor(self, failure: str) -> Iterator[Cursor]:
        """For a statement on the maintenance database. Raises ServerUnavailable, with `failure` in it."""
        try:
            with self._lock:
                try:
                    with self._open_session().cursor() as cursor:
                        yield cursor
                finally:
                    # No session can create a database while another is connected to template1.
                    if self.maintenance.name == "template1":
                        self._close_session()
        except (psycopg2.Error, ServerUnavailable) as error:
            self.supervisor.check()  # if it was killed, that is the reason
            if isinstance(error, ServerUnavailable):
                raise
            raise ServerUnavailable(
                f"PostgreSQL at {location_of(self.maintenance)} {failure}: {reason_of(error)}"
            ) from error

    def _open_session(self) -> Connection:
        """The session, kept since a new one takes 20 ms; a new one if the server ended it, as it may an idle one."""
        if self._session is not None:
            try:
                with self._session.cursor() as cursor:
                    cursor.execute("SELECT")
            except psycopg2.Error:
                self._close_session()
        if self._session is None:
            # By this name the supervisor finds the session of a gate that was killed.
            self._session = connect_to({**self.maintenance.keywords(), "application_name": self._prefix})
            self._session.autocommit = True
        return self._session

    def _close_session(self) -> None:
        if self._session is not None:
            self._session.close()
            self._session = None


def _wait_for_sessions(cursor: Cursor, database: Database, patience_s: float) -> None:
    """Give sessions that are about to end the time to do so. PostgreSQL waits for them too, but checks only ten times a
    second."""
    deadline = time.monotonic() + patience_s
    while time.monotonic() < deadline:
        cursor.execute("SELECT FROM pg_stat_activity WHERE datname = %s", [database.name])
        if not cursor.rowcount:
            break
        time.sleep(0.002)


@contextmanager
def throwaway_server(
    url: str | None = None,
    *,
    bindir: Path | None = None,
    base_backup: Path | None = None,
    supervisor: Supervisor | None = None,
) -> Iterator[Server]:
    """The server that `url` names, or else an embedded one, by the binaries in `bindir`, from `base_backup`; under that
    supervisor, which has supervised nothing yet and ends with it, or else under a new one.

    When the block is left, or this process is killed, all that was created on it is removed. Raises ServerUnavailable.
    """
    refuse_windows()
    prefix = f"overproof_{secrets.token_hex(6)}_"
    given = find_maintenance(url) if url else None
    with supervisor or Supervisor() as supervisor:
        if given:
            supervisor.drop_databases(prefix, given.keywords())
        server = Server(supervisor, given or start_embedded(supervisor, bindir, base_backup), prefix)
        try:
            yield server
        finally:
            server.end()
