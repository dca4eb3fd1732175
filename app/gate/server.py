"""The server on which migrations are proved: an embedded PostgreSQL, or a given one. Both are a `Server`.

On a given server nothing is touched but databases that are made here, whose names begin with `overproof_` and what was
drawn for this run. The database that the URL names is at most connected to.
"""

from __future__ import annotations

import itertools
import re
import secrets
import threading
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any
from urllib.parse import quote

import psycopg2
from psycopg2 import sql
from psycopg2.extensions import connection as Connection  # noqa: N812 - psycopg2 spells its classes so
from psycopg2.extensions import cursor as Cursor  # noqa: N812
from psycopg2.extensions import make_dsn, parse_dsn

from app.gate import cluster
from app.gate.errors import ServerUnavailable
from app.gate.supervisor.client import Keeper

__all__ = ["Connection", "Database", "Server", "ServerUnavailable", "throwaway_server"]

CONNECT_PATIENCE_S = 10  # libpq waits without end for a host that swallows packets
SOLITUDE_PATIENCE_S = 5.0  # for sessions on a template that are about to end

# Those that speak through libpq, and so understand its options in a URL.
LIBPQ_DRIVERS = (None, "psycopg2", "psycopg2cffi", "psycopg", "psycopg_async")

# On our own server the caller's environment (PGSSLMODE, PGGSSENCMODE and the like) does not decide how we connect.
EMBEDDED_OPTIONS = {"sslmode": "disable", "gssencmode": "disable"}


@dataclass(frozen=True)
class Database:
    """A database, and how to connect to it."""

    name: str
    host: str  # beginning with a slash: the directory of a socket
    port: int
    user: str
    password: str = field(repr=False)
    options: Mapping[str, str] = field(default_factory=dict)  # libpq's, as in a URL's query: {"sslmode": "require"}
    is_embedded: bool = False

    def url(self, driver: str | None = None) -> str:
        """A SQLAlchemy URL: "postgresql://…", or with a driver "postgresql+asyncpg://…"."""
        scheme = f"postgresql+{driver}" if driver else "postgresql"
        user = quote(self.user, safe="") + (f":{quote(self.password, safe='')}" if self.password else "")
        options = self._options_for(driver)
        if self.host.startswith("/"):
            place = ""
            options = {"host": self.host, "port": str(self.port), **options}
        else:
            place = f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"
        # A slash may stand in a query as it is, and as %2F it would break the interpolation of an alembic.ini.
        query = "&".join(f"{name}={quote(value, safe='/')}" for name, value in options.items())
        return f"{scheme}://{user}@{place}/{quote(self.name, safe='')}" + (f"?{query}" if query else "")

    def _options_for(self, driver: str | None) -> dict[str, str]:
        if driver in LIBPQ_DRIVERS:
            return dict(self.options)
        if driver == "asyncpg" and "sslmode" in self.options:
            return {"ssl": self.options["sslmode"]}  # by another name, with the same values
        return {}

    def keywords(self) -> dict[str, Any]:
        """As psycopg2.connect takes them."""
        return {
            "connect_timeout": CONNECT_PATIENCE_S,
            **(EMBEDDED_OPTIONS if self.is_embedded else {}),
            **self.options,
            "host": self.host,
            "port": self.port,
            "user": self.user,
            "dbname": self.name,
            **({"password": self.password} if self.password else {}),
        }

    @contextmanager
    def connect(self, autocommit: bool = True, **keywords: Any) -> Iterator[Connection]:
        """A connection for a few statements, closed at the end; without autocommit, one transaction.

        Raises ServerUnavailable if there is none to be had.
        """
        connection = connect_to({**self.keywords(), **keywords})
        try:
            connection.autocommit = autocommit
            yield connection
            if not autocommit:
                connection.commit()
        finally:
            connection.close()


class Server:
    """A PostgreSQL on which databases can be made. All of them are gone at the end, however the run ends."""

    def __init__(self, keeper: Keeper, maintenance: Database, prefix: str) -> None:
        self.keeper = keeper
        self.maintenance = maintenance  # where CREATE DATABASE is sent
        self.is_embedded = maintenance.is_embedded
        self._prefix = prefix
        self._numbers = itertools.count(1)
        self._session: Connection | None = None  # on the maintenance database
        self._lock = threading.Lock()  # of whoever uses that session
        with self._cursor("did not tell its version") as cursor:
            self._version = cursor.connection.info.server_version

    @property
    def version(self) -> str:
        """As people write it: "18.6"."""
        return f"{self._version // 10000}.{self._version % 10000}"

    def create_database(self, template: Database | None = None) -> Database:
        """An empty database in UTF-8, or a copy of `template`, to which nobody may be connected meanwhile.

        Raises ServerUnavailable.
        """
        database = replace(self.maintenance, name=f"{self._prefix}{next(self._numbers)}")
        with self._cursor("made no database") as cursor:
            if template:
                self._copy(cursor, template, database)
            else:
                self._create(cursor, database)
            if not self.is_embedded:
                # The plans of what we ask of catalogs look expensive enough to be compiled, each time anew: 1 s for a look at the schema.
                cursor.execute(f'ALTER DATABASE "{database.name}" SET jit = off')
        try:
            self.keeper.check()
        except ServerUnavailable:  # the others may have been dropped before this one was there
            self.drop_database(database)
            raise
        return database

    def database(self, name: str) -> Database:
        """The database of that name, which is there already."""
        return replace(self.maintenance, name=name)

    def drop_database(self, database: Database) -> None:
        """Also while somebody is connected to it. Raises ServerUnavailable."""
        with self._cursor(f"did not drop {database.name}") as cursor:
            cursor.execute(f'DROP DATABASE IF EXISTS "{database.name}" WITH (FORCE)')

    def read_roles(self) -> frozenset[str]:
        """The names of the roles, which all databases share. Raises ServerUnavailable."""
        with self._cursor("did not tell its roles") as cursor:
            cursor.execute("SELECT rolname FROM pg_roles")
            return frozenset(name for (name,) in cursor.fetchall())

    def drop_roles(self, names: Iterable[str]) -> None:
        """Those that can be dropped: one to which something in another database belongs stays. Raises ServerUnavailable."""
        with self._cursor("did not drop roles") as cursor:
            for name in sorted(names):
                with suppress(psycopg2.errors.DependentObjectsStillExist, psycopg2.errors.UndefinedObject):
                    cursor.execute(sql.SQL("DROP ROLE {}").format(sql.Identifier(name)))

    def _create(self, cursor: Cursor, database: Database) -> None:
        statement = f"CREATE DATABASE \"{database.name}\" TEMPLATE template0 ENCODING 'UTF8'"
        try:
            cursor.execute(statement)
        except psycopg2.errors.InvalidParameterValue:
            # The server's own locale goes with another encoding alone, and C with any.
            cursor.execute(statement + " LC_COLLATE 'C' LC_CTYPE 'C'")

    def _copy(self, cursor: Cursor, template: Database, database: Database) -> None:
        # Sessions on the template may be about to end. PostgreSQL waits for them too, but looks only ten times a second.
        deadline = time.monotonic() + SOLITUDE_PATIENCE_S
        while time.monotonic() < deadline:
            cursor.execute("SELECT FROM pg_stat_activity WHERE datname = %s", [template.name])
            if not cursor.rowcount:
                break
            time.sleep(0.002)
        # Copying files takes a checkpoint: a third faster where fsync is off, and many times slower where it is on.
        strategy = " STRATEGY file_copy" if self.is_embedded and self._version >= 150000 else ""
        cursor.execute(f'CREATE DATABASE "{database.name}" TEMPLATE "{template.name}"{strategy}')

    def end(self) -> None:
        """Have all that was begun undone, without waiting for it. Nothing can be asked of the server any more."""
        self._close_session()
        self.keeper.end()

    @contextmanager
    def _cursor(self, failure: str) -> Iterator[Cursor]:
        """For a statement on the maintenance database. Raises ServerUnavailable, with `failure` in it."""
        try:
            with self._lock:
                try:
                    with self._open_session().cursor() as cursor:
                        yield cursor
                finally:
                    # Of template1 nobody can make a database while we are connected to it.
                    if self.maintenance.name == "template1":
                        self._close_session()
        except (psycopg2.Error, ServerUnavailable) as error:
            self.keeper.check()  # if it was killed, that is why
            if isinstance(error, ServerUnavailable):
                raise
            raise ServerUnavailable(f"PostgreSQL at {_place(self.maintenance)} {failure}: {_words(error)}.") from error

    def _open_session(self) -> Connection:
        """The session, kept since to begin one takes 20 ms; another one if it was ended meanwhile, as idle ones may be."""
        if self._session is not None:
            try:
                with self._session.cursor() as cursor:
                    cursor.execute("SELECT")
            except psycopg2.Error:
                self._close_session()
        if self._session is None:
            # By this name the keeper knows the session of a gate that was killed.
            self._session = connect_to({**self.maintenance.keywords(), "application_name": self._prefix})
            self._session.autocommit = True
        return self._session

    def _close_session(self) -> None:
        if self._session is not None:
            self._session.close()
            self._session = None


@contextmanager
def throwaway_server(
    url: str | None = None, *, bindir: Path | None = None, image: Path | None = None
) -> Iterator[Server]:
    """The server that `url` names, or else an embedded one: from the binaries in `bindir`, with the data in `image`, if given.

    When the block is left, or this process is killed, all that was begun on it is undone. Raises ServerUnavailable.
    """
    cluster.refuse_windows()
    prefix = f"overproof_{secrets.token_hex(6)}_"
    given = find_maintenance(url) if url else None
    with Keeper() as keeper:
        if given:
            keeper.drop_databases(prefix, given.keywords())
        server = Server(keeper, given or start_embedded(keeper, bindir, image), prefix)
        try:
            yield server
        finally:
            server.end()


def start_embedded(keeper: Keeper, bindir: Path | None, image: Path | None = None) -> Database:
    """The maintenance database of an embedded PostgreSQL. Raises ServerUnavailable."""
    address = cluster.start_throwaway(keeper, bindir, image)
    return Database("postgres", address.host, address.port, address.user, address.password, is_embedded=True)


def find_maintenance(url: str) -> Database:
    """A database of the server that `url` names from which others can be created. Raises ServerUnavailable."""
    named = read_url(url)
    # Hosts that rent out single databases let nobody into the first two. The named one is the last resort.
    candidates = ["postgres", "template1", str(named.get("dbname") or named.get("user") or "postgres")]
    for name in candidates:
        try:
            connection = connect_to({"connect_timeout": CONNECT_PATIENCE_S, **named, "dbname": name})
        except _Refused as refusal:
            if name != candidates[-1]:
                continue
            raise ServerUnavailable(
                f"{refusal}. Mend the user, the password or the name in the database URL."
            ) from None
        except ServerUnavailable as problem:
            raise ServerUnavailable(f"{problem}. Start it, or mend the database URL.") from None
        try:
            return _check_given(connection, named, name)
        finally:
            connection.close()
    raise AssertionError("the last candidate is connected to, or raises")


# One that libpq reads as SQLAlchemy does: nothing in it is escaped or unusual.
_PLAIN_URL = re.compile(
    r"postgres(?:ql)?(?P<driver>\+\w+)?://(?:[\w.-]+(?::[\w.-]+)?@)?(?:[\w.-]+(?::[1-9]\d*)?)?(?:/[\w.-]+)?(?:\?[\w.=&/-]+)?",
    re.ASCII,
)


def read_url(url: str) -> dict[str, Any]:
    """libpq's keywords for a SQLAlchemy URL of any PostgreSQL driver. Raises ServerUnavailable, without the password."""
    if plain := _PLAIN_URL.fullmatch(url):
        with suppress(psycopg2.ProgrammingError):  # an option that libpq does not know
            return dict(parse_dsn(url.replace(plain["driver"] or "", "", 1)))
    # Here, since it takes long to import, and most URLs need none of it.
    from sqlalchemy import make_url
    from sqlalchemy.dialects.postgresql.psycopg2 import PGDialect_psycopg2
    from sqlalchemy.exc import ArgumentError

    try:
        parsed = make_url(url.strip())
        if "\0" in url or re.search(r"[@/?#\s]", parsed.host or ""):
            raise ValueError  # the first of two @ ended the password, so the "host" holds the rest of it
        _, found = PGDialect_psycopg2().create_connect_args(parsed)
    except (ArgumentError, ValueError):  # whose messages may hold the password
        raise ServerUnavailable(
            "The database URL cannot be read: write postgresql://user:password@host:5432/name,"
            " with special characters of the password percent-encoded."
        ) from None
    if parsed.get_backend_name() not in ("postgresql", "postgres"):
        raise ServerUnavailable(
            f"The database URL names another database system ({parsed.get_backend_name()}), and only PostgreSQL will do:"
            " write postgresql://user:password@host:5432/name."
        )
    keywords = dict(found)
    if "ssl" in keywords:  # asyncpg's name for it
        keywords.setdefault("sslmode", keywords.pop("ssl"))
    return {name: value for name, value in keywords.items() if _is_known_to_libpq(name)}


def _is_known_to_libpq(name: str) -> bool:
    with suppress(psycopg2.ProgrammingError):
        return bool(make_dsn(**{name: "1"}))
    return False


def _check_given(connection: Connection, named: Mapping[str, Any], name: str) -> Database:
    """The database of that connection, with what libpq filled in. Raises ServerUnavailable if it is of no use to us."""
    info = connection.info
    options = {option: str(value) for option, value in named.items() if option not in _IDENTITY}
    database = Database(name, info.host, info.port, info.user, info.password or "", options)
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT version(), pg_is_in_recovery(), rolcreatedb OR rolsuper FROM pg_roles WHERE rolname = current_user"
        )
        version, is_standby, may_create = cursor.fetchone() or ("", False, False)
    place = _place(database)
    if not version.startswith("PostgreSQL "):
        raise ServerUnavailable(f"The server at {place} is not PostgreSQL but {version[:40]!r}: name another one.")
    if info.server_version < cluster.OLDEST_MAJOR * 10000:
        major = info.server_version // 10000
        raise ServerUnavailable(f"{place} runs PostgreSQL {major}, and {cluster.OLDEST_MAJOR} or newer is needed.")
    if is_standby:
        raise ServerUnavailable(f"The server at {place} is a standby, which can only be read: name its primary.")
    if not may_create:
        raise ServerUnavailable(
            f"The role {info.user!r} may not create databases at {place}, and we work in databases of our own alone:"
            f' let it (ALTER ROLE "{info.user}" CREATEDB), or name another role.'
        )
    return database


# What a database has fields for, or is the business of whoever connects.
_IDENTITY = ("host", "port", "user", "password", "dbname", "application_name")


class _Refused(ServerUnavailable):
    """The server answered, and would not have us."""


def connect_to(keywords: Mapping[str, Any]) -> Connection:
    """Raises ServerUnavailable, and says where and why but not what to do."""
    try:
        connection: Connection = psycopg2.connect(**keywords)
        return connection
    except psycopg2.Error as error:
        # libpq is given the password apart from what it quotes, so nothing that it says can hold it.
        said = (str(error).splitlines() or [""])[0].strip().rstrip(".")
        place = f"{keywords.get('host') or 'the local socket'}:{keywords.get('port') or 5432}"
        reached, _, words = re.sub(r"^connection to server .*? failed: ", "", said).rpartition(":  ")
        if reached:  # 'FATAL:  password authentication failed for user "ann"', with FATAL in the server's language
            raise _Refused(f"PostgreSQL at {place} refused the connection: {words}") from None
        raise ServerUnavailable(f"No PostgreSQL could be reached at {place}: {words}") from None


def _place(database: Database) -> str:
    return f"{database.host}:{database.port}"


def _words(error: psycopg2.Error) -> str:
    """What the server said, in one line: "permission denied to create database"."""
    return error.diag.message_primary or (str(error).splitlines() or [type(error).__name__])[0]
