"""One database on a server, and how to connect to it."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote

import psycopg2
from psycopg2.extensions import connection as Connection  # noqa: N812 - psycopg2 spells its classes so
from psycopg2.extensions import make_dsn, parse_dsn

from app.gate.errors import ServerUnavailable

# The user's environment (PGSSLMODE, PGGSSENCMODE and the like) must not affect connections to the embedded server.
EMBEDDED_OPTIONS = {"sslmode": "disable", "gssencmode": "disable"}
CONNECT_PATIENCE_S = 10  # libpq waits for ever for a host that drops packets

# Drivers that use libpq, and so understand its options in a URL.
LIBPQ_DRIVERS = (None, "psycopg2", "psycopg2cffi", "psycopg", "psycopg_async")


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
        # A slash is allowed in a query, and %2F would break the interpolation of an alembic.ini.
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

        Raises ServerUnavailable if it cannot connect.
        """
        connection = connect_to({**self.keywords(), **keywords})
        try:
            connection.autocommit = autocommit
            yield connection
            if not autocommit:
                connection.commit()
        finally:
            connection.close()


# A URL that libpq reads as SQLAlchemy does: nothing in it is escaped or unusual.
_PLAIN_URL = re.compile(
    r"postgres(?:ql)?(?P<driver>\+\w+)?://(?:[\w.-]+(?::[\w.-]+)?@)?(?:[\w.-]+(?::[1-9]\d*)?)?(?:/[\w.-]+)?(?:\?[\w.=&/-]+)?",
    re.ASCII,
)


def read_url(url: str) -> dict[str, Any]:
    """libpq's keywords for a SQLAlchemy URL of any PostgreSQL driver.

    Raises ServerUnavailable, without the password.
    """
    if plain := _PLAIN_URL.fullmatch(url):
        with suppress(psycopg2.ProgrammingError):  # an option that libpq does not know
            return dict(parse_dsn(url.replace(plain["driver"] or "", "", 1)))
    # Imported here, since it takes long, and most URLs do not need it.
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
            "the database URL cannot be read: write postgresql://user:password@host:5432/name,"
            " with special characters of the password percent-encoded"
        ) from None
    if parsed.get_backend_name() not in ("postgresql", "postgres"):
        raise ServerUnavailable(
            f"the database URL names another database system ({parsed.get_backend_name()}), and only PostgreSQL is supported:"
            " write postgresql://user:password@host:5432/name"
        )
    keywords = dict(found)
    if "ssl" in keywords:  # asyncpg's name for it
        keywords.setdefault("sslmode", keywords.pop("ssl"))
    return {name: value for name, value in keywords.items() if _is_known_to_libpq(name)}


def _is_known_to_libpq(name: str) -> bool:
    with suppress(psycopg2.ProgrammingError):
        return bool(make_dsn(**{name: "1"}))
    return False


class ConnectionRefused(ServerUnavailable):
    """The server answered, and refused the connection."""


def connect_to(keywords: Mapping[str, Any]) -> Connection:
    """Connect. Raises ServerUnavailable, whose message says where and why, but not what to do."""
    try:
        connection: Connection = psycopg2.connect(**keywords)
        return connection
    except psycopg2.Error as error:
        # libpq does not quote the password in its messages.
        said = (str(error).splitlines() or [""])[0].strip().rstrip(".")
        place = f"{keywords.get('host') or 'the local socket'}:{keywords.get('port') or 5432}"
        reached, _, words = re.sub(r"^connection to server .*? failed: ", "", said).rpartition(":  ")
        if reached:  # 'FATAL:  password authentication failed for user "ann"', with FATAL in the server's language
            raise ConnectionRefused(f"PostgreSQL at {place} refused the connection: {words}") from None
        raise ServerUnavailable(f"no PostgreSQL could be reached at {place}: {words}") from None


def location_of(database: Database) -> str:
    return f"{database.host}:{database.port}"


def reason_of(error: psycopg2.Error) -> str:
    """What the server said, in one line: "permission denied to create database"."""
    return error.diag.message_primary or (str(error).splitlines() or [type(error).__name__])[0]
