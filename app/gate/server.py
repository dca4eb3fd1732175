"""The server on which migrations are proved: an embedded PostgreSQL, or a given one. Both are the same `Server`.

On a given server nothing is touched but databases that are made here: their names begin with `overproof_` and a number
drawn for this run. The database that the URL names is at most connected to, never written to.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from urllib.parse import quote

import psycopg2
from psycopg2.extensions import connection as Connection
from psycopg2.extensions import parse_dsn

from app.gate import cluster
from app.gate.keeper import Keeper, ServerUnavailable

__all__ = ["Database", "Server", "ServerUnavailable", "throwaway_server"]

OLDEST_MAJOR = 14
CONNECT_PATIENCE_S = 10

# Drivers that speak through libpq, and so understand all of its options in a URL.
LIBPQ_DRIVERS = {None, "psycopg2", "psycopg2cffi", "psycopg", "psycopg_async"}

# On our own server nothing of the caller's environment (PGSSLMODE, PGGSSENCMODE ...) may decide how we connect.
EMBEDDED_OPTIONS = {"sslmode": "disable", "gssencmode": "disable"}


@dataclass(frozen=True)
class Database:
    """A database and how to connect to it."""

    name: str
    host: str  # a directory that holds a socket if it begins with a slash
    port: int
    user: str
    password: str = field(repr=False)
    options: Mapping[str, str] = field(default_factory=dict)  # libpq's, as in a URL's query: {"sslmode": "require"}
    is_embedded: bool = False

    def url(self, driver: str | None = None) -> str:
        """A SQLAlchemy URL: "postgresql://...", or with a driver "postgresql+asyncpg://..."."""
        scheme = f"postgresql+{driver}" if driver else "postgresql"
        secret = f":{quote(self.password, safe='')}" if self.password else ""
        options = dict(self.options)
        if driver == "asyncpg":  # takes `ssl` with the same values, and none of the others
            options = {"ssl": options["sslmode"]} if "sslmode" in options else {}
        elif driver not in LIBPQ_DRIVERS:
            options = {}
        if self.host.startswith("/"):
            place = ""
            options = {"host": self.host, "port": str(self.port), **options}
        else:
            place = f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"
        # A slash may stand in a query as it is, and %2F would break interpolation in an alembic.ini.
        query = "&".join(f"{name}={quote(value, safe='/')}" for name, value in options.items())
        return f"{scheme}://{quote(self.user, safe='')}{secret}@{place}/{quote(self.name, safe='')}" + (
            f"?{query}" if query else ""
        )

    def keywords(self) -> dict[str, str]:
        """As libpq takes them."""
        return {
            **(EMBEDDED_OPTIONS if self.is_embedded else {}),
            **self.options,
            "host": self.host,
            "port": str(self.port),
            "user": self.user,
            "dbname": self.name,
            **({"password": self.password} if self.password else {}),
        }

    @contextmanager
    def connect(self, autocommit: bool = True) -> Iterator[Connection]:
        """A connection for a few statements, closed at the end. Without autocommit it is one transaction.

        Raises ServerUnavailable if it cannot be had.
        """
        try:
            connection = psycopg2.connect(**self.keywords())
        except psycopg2.OperationalError as error:
            raise ServerUnavailable(
                f"No connection to database {self.name} at {_where(self.host, self.port)}: {_words(error, self.password)}"
            ) from None
        try:
            connection.autocommit = autocommit
            yield connection
            if not autocommit:
                connection.commit()
        finally:
            connection.close()


class Server:
    """A PostgreSQL on which databases can be made. All of them are gone at the end, however the run ends."""

    def __init__(self, keeper: Keeper, maintenance: Database, *, is_embedded: bool, prefix: str) -> None:
        self.keeper = keeper
        self.is_embedded = is_embedded
        self._maintenance = maintenance
        self._prefix = prefix
        self._count = 0
        with maintenance.connect() as connection:
            self._version = connection.info.server_version

    @property
    def version(self) -> str:
        """As people write it: "18.6"."""
        return f"{self._version // 10000}.{self._version % 10000}"

    def create_database(self, template: Database | None = None) -> Database:
        """An empty database in UTF8, or a copy of `template`, to which nobody may be connected meanwhile.

        Raises ServerUnavailable if the server refuses.
        """
        self._count += 1
        name = f"{self._prefix}{self._count}"
        with self._maintenance.connect() as connection, connection.cursor() as cursor:
            try:
                if template:
                    self._await_solitude(connection, template)
                    # Copying files costs a checkpoint: cheap where fsync is off, and then a third faster; dear elsewhere.
                    strategy = " STRATEGY file_copy" if self.is_embedded and self._version >= 150000 else ""
                    cursor.execute(f'CREATE DATABASE "{name}" TEMPLATE "{template.name}"{strategy}')
                else:
                    self._create_empty(connection, name)
            except psycopg2.Error as error:
                raise ServerUnavailable(
                    f"{_where(self._maintenance.host, self._maintenance.port)} refused to create a database:"
                    f" {_words(error, self._maintenance.password)}"
                ) from error
        return replace(self._maintenance, name=name)

    def drop_database(self, database: Database) -> None:
        """Also while somebody is connected to it."""
        with self._maintenance.connect() as connection, connection.cursor() as cursor:
            cursor.execute(f'DROP DATABASE IF EXISTS "{database.name}" WITH (FORCE)')

    def _create_empty(self, connection: Connection, name: str) -> None:
        with connection.cursor() as cursor:
            statement = f"""CREATE DATABASE "{name}" TEMPLATE template0 ENCODING 'UTF8'"""
            try:
                cursor.execute(statement)
            except psycopg2.errors.InvalidParameterValue:
                # The server's own locale is tied to another encoding; C goes with any.
                cursor.execute(statement + " LC_COLLATE 'C' LC_CTYPE 'C'")

    def _await_solitude(self, connection: Connection, database: Database) -> None:
        """Wait for sessions that are about to end. PostgreSQL waits as well, but looks only ten times a second."""
        deadline = time.monotonic() + 5.0
        with connection.cursor() as cursor:
            while time.monotonic() < deadline:
                cursor.execute("SELECT count(*) FROM pg_stat_activity WHERE datname = %s", [database.name])
                row = cursor.fetchone()
                if row is None or row[0] == 0:
                    return
                time.sleep(0.002)


@contextmanager
def throwaway_server(url: str | None = None, *, bindir: Path | None = None) -> Iterator[Server]:
    """The server that `url` names, or an embedded one (from the binaries in `bindir`, if given).

    When the block is left, or the process is killed, everything that was begun on it is undone. Raises ServerUnavailable.
    """
    prefix = f"overproof_{secrets.token_hex(6)}_"
    with Keeper() as keeper:
        if url is None:
            running = cluster.start_throwaway(keeper, bindir)
            address = (running.host, running.port, running.user, running.password)
            maintenance = Database("postgres", *address, is_embedded=True)
            yield Server(keeper, maintenance, is_embedded=True, prefix=prefix)
        else:
            maintenance = _find_maintenance(url)
            keeper.drop_databases(prefix, {**maintenance.keywords(), "application_name": prefix})
            yield Server(keeper, maintenance, is_embedded=False, prefix=prefix)


def _find_maintenance(url: str) -> Database:
    """A database of the given server from which others can be created. Raises ServerUnavailable."""
    given = parse_url(url)
    problem = None
    for name in dict.fromkeys(["postgres", "template1", given.name]):
        maintenance = replace(given, name=name)
        try:
            with maintenance.connect():
                return maintenance
        except ServerUnavailable as refusal:
            problem = refusal
    assert problem
    raise problem


def parse_url(url: str) -> Database:
    """What a SQLAlchemy URL of any PostgreSQL driver names. Raises ServerUnavailable."""
    from sqlalchemy import make_url  # here, since it takes long to import and an embedded server needs none of it
    from sqlalchemy.exc import ArgumentError

    try:
        parsed = make_url(url)
    except (ArgumentError, ValueError):  # their messages may hold a password
        raise ServerUnavailable(
            "The database URL cannot be read: it should look like postgresql://user:password@host:5432/name,"
            " with special characters in the password percent-encoded."
        ) from None
    if parsed.get_backend_name() not in ("postgresql", "postgres"):
        raise ServerUnavailable(
            f"The database URL names {parsed.get_backend_name()}, and only PostgreSQL will do:"
            " it should begin with postgresql://."
        )
    options = {name: value if isinstance(value, str) else ",".join(value) for name, value in parsed.query.items()}
    if "ssl" in options:  # asyncpg's word for it
        options.setdefault("sslmode", options.pop("ssl"))
    return Database(
        name=parsed.database or options.pop("dbname", "") or parsed.username or "postgres",
        host=parsed.host or options.pop("host", ""),
        port=int(parsed.port or options.pop("port", 5432)),
        user=parsed.username or options.pop("user", ""),
        password=parsed.password or options.pop("password", ""),
        options={name: value for name, value in options.items() if _is_libpq_option(name)},
    )


def _is_libpq_option(name: str) -> bool:
    with suppress(psycopg2.ProgrammingError):
        return bool(parse_dsn(f"{name}=1"))
    return False


def _where(host: str, port: int) -> str:
    return f"{host}:{port}"


def _words(error: psycopg2.Error, password: str) -> str:
    """The server's or libpq's own words in one line, without the password."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    words = " ".join(lines[:1]) or type(error).__name__
    return words.replace(password, "***") if password else words
