"""The application's database: its URL, what its tables have in common, and connections to it."""

from __future__ import annotations

import json
import os
import re
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from enum import StrEnum
from secrets import randbits
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.exc import ArgumentError, DBAPIError
from sqlalchemy.orm import declared_attr
from sqlmodel import Session, SQLModel

CONNECT_TIMEOUT_S = 10  # libpq would wait forever for a host that drops packets

# Unnamed constraints get different names on different servers, and then no migration can drop them. The convention is
# set on SQLModel's own metadata, so that it also holds for a table whose class derives from SQLModel directly. It must
# be set before the first model is defined, so every `models.py` imports its base class from here.
SQLModel.metadata.naming_convention = {
    "pk": "pk_%(table_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "fk": "fk_%(table_name)s_%(column_0_N_name)s_%(referred_table_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
}


class Table(SQLModel):
    """Base of every stored table. `ApiToken` is stored in `api_token`."""

    @declared_attr.directive
    def __tablename__(cls) -> str:  # noqa: N805 - SQLAlchemy calls it with the class
        return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", cls.__name__).lower()


def labels_of(enum: type[StrEnum], name: str) -> sa.Enum:
    """A PostgreSQL enum whose labels are the values of `enum`. By default SQLModel and SQLAlchemy take the names."""
    return sa.Enum(enum, name=name, values_callable=lambda members: [member.value for member in members])


def uuid7() -> UUID:
    """Rows that are stored one after the other are neighbours in its index (RFC 9562). Python 3.14 has its own."""
    milliseconds = time.time_ns() // 1_000_000
    return UUID(int=milliseconds << 80 | 0x7 << 76 | randbits(12) << 64 | 0b10 << 62 | randbits(62))


def utcnow() -> datetime:
    """Now, aware, in UTC: the only kind of time that our columns accept."""
    return datetime.now(UTC)


def in_utc(time: datetime) -> datetime:
    """The same moment in UTC. Raises ValueError for some moments of the first and the last day of the calendar."""
    try:
        return time.astimezone(UTC)
    except OverflowError:
        raise ValueError("the time cannot be expressed in UTC") from None


def insert_rows(session: Session, model: type[SQLModel], rows: Sequence[Mapping[str, Any]], conflict: str = "") -> None:
    """All rows in one JSON text: for tens of thousands, row by row would take ten times as long."""
    if rows:
        table = sa.inspect(model).local_table.name
        names = ", ".join(f'"{name}"' for name in rows[0])
        values = f"SELECT {names} FROM json_populate_recordset(NULL::{table}, :rows)"
        session.execute(sa.text(f"INSERT INTO {table} ({names}) {values} {conflict}"), {"rows": json.dumps(rows)})


def cap(text: str | None, length: int) -> str | None:
    """At most `length` characters; a truncated text ends in `…`."""
    if text is None or len(text) <= length:
        return text
    return f"{text[: length - 1]}…"


class DatabaseRefused(Exception):
    """The database cannot be used. The message is one line that says what to do and contains no password."""


def database_url(environment: Mapping[str, str] = os.environ) -> sa.URL:
    """The application's database as `DATABASE_URL` names it, for the service and `migrations/env.py` alike.

    `postgres://` and `postgresql://`, the forms that most hosts provide, mean psycopg2: SQLAlchemy no longer accepts
    the first, and since 2.1 takes the second for psycopg 3, which is not installed. Raises DatabaseRefused, and never
    repeats the value, which holds a password.
    """
    text = environment.get("DATABASE_URL", "").strip()
    if not text:
        raise DatabaseRefused(
            "DATABASE_URL is not set: name the application's PostgreSQL database in it, "
            "as in DATABASE_URL=postgresql://user:password@localhost/overproof"
        )
    try:
        url = _read_url(text)
    except (ArgumentError, ValueError):
        raise DatabaseRefused(f"DATABASE_URL is malformed: {_NOT_A_URL}") from None
    for is_wrong, message in _WRONG_URLS:
        if is_wrong(url):
            raise DatabaseRefused(f"DATABASE_URL {message.format(url=url, driver=url.drivername.partition('+'))}")
    if "password" in url.query:  # `repr` hides only the password before the host
        password = url.query["password"]
        url = url.difference_update_query(["password"]).set(
            password=password if isinstance(password, str) else password[-1]
        )
    return url.set(drivername="postgresql+psycopg2")


def _read_url(text: str) -> sa.URL:
    """Several hosts, as libpq has them in a URL, are in the query of SQLAlchemy's. Raises ArgumentError and ValueError.

    Of several, the one that accepts writes is wanted: after a failover, the standby that was promoted.
    """
    several = re.fullmatch(r"(\w+(?:\+\w+)?://(?:[^/?#@]*@)?)((?:[\w.-]+(?::\d+)?,)+[\w.-]+(?::\d+)?)([/?].*)?", text)
    if several is None:
        url = sa.make_url(text)
    else:
        before, hosts, after = several.groups(default="")
        url = sa.make_url(before + after).update_query_pairs([("host", host) for host in hosts.split(",")])
    if len(hosts_of(url)) > 1 and "target_session_attrs" not in url.query:
        url = url.update_query_dict({"target_session_attrs": "read-write"})
    return url


def hosts_of(url: sa.URL) -> Sequence[str]:
    return [url.host] if url.host else url.normalized_query.get("host", ())


_NOT_A_URL = (
    "it must be postgresql://user:password@host:port/database, with special characters in the password percent-encoded"
)
# Whether a URL is wrong in this way, and how the line about it ends.
_WRONG_URLS: tuple[tuple[Callable[[sa.URL], bool], str], ...] = (
    (
        lambda url: url.drivername.partition("+")[0] not in ("postgres", "postgresql"),
        "names another database system ({driver[0]!r}): use postgresql://user:password@host:port/database",
    ),
    (
        lambda url: url.drivername.partition("+")[2] not in ("", "psycopg2"),
        "names the driver {driver[2]!r}: write postgresql:// instead of {url.drivername}://, for psycopg2",
    ),
    (
        lambda url: (
            "\0" in "".join(map(str, (url.username, url.password, url.host, url.database, *url.query.values())))
        ),
        "is malformed: it contains a NUL character",
    ),
    (
        lambda url: not url.database and "dbname" not in url.query,
        "is malformed: it names no database: add /overproof, or the name of yours, after the host",
    ),
    (
        # The first of two @ ended the password, so what stands for the host is the rest of it.
        lambda url: re.search(r"[@/?#\s]", url.host or "") is not None,
        "is malformed: percent-encode special characters in the password, such as @ (%40) or / (%2F)",
    ),
    (
        lambda url: url.port is not None and not 0 < url.port < 65536,
        "is malformed: {url.port} is not a port number",
    ),
)


def create_engine(url: sa.URL, **options: Any) -> sa.Engine:
    """An engine that gives up on an unreachable server instead of waiting for it."""
    arguments = {"connect_timeout": CONNECT_TIMEOUT_S, "application_name": "overproof"}
    arguments = {name: value for name, value in arguments.items() if name not in url.query}
    return sa.create_engine(url, connect_args={**arguments, **options.pop("connect_args", {})}, **options)


@contextmanager
def connect(engine: sa.Engine) -> Iterator[sa.Connection]:
    """A connection. Raises DatabaseRefused if none can be made; errors that occur later pass through."""
    try:
        connection = engine.connect()
    except DBAPIError as error:
        raise DatabaseRefused(connection_failure(error, engine.url)) from None
    with connection:
        yield connection


def connection_failure(error: DBAPIError, url: sa.URL) -> str:
    """Why there is no connection, in one line, from libpq's message:

    'connection to server at "db" (10.0.0.7), port 5432 failed: FATAL:  password authentication failed for user
    "ann"\\n'
    """
    lines = [line.strip() for line in str(error.orig).splitlines() if line.strip()] or [type(error.orig).__name__]
    failures = [line for line in lines if " failed: " in line] or lines[:1]  # of each host
    reason = "; ".join(map(_reason_in, failures))
    where = f"{' or '.join(hosts_of(url)) or 'the local socket'}{f':{url.port}' if url.port else ''}"
    name = url.database or url.query.get("dbname")
    if re.search(r'database "[^"]*" does not exist', reason):
        return f"there is no database {name!r} on {where}: create it (createdb {name}) or correct DATABASE_URL"
    if "authentication failed" in reason or "no password supplied" in reason:
        return f"PostgreSQL on {where} refused the user or password of DATABASE_URL: {reason}"
    return f"cannot connect to the database {name!r} on {where}, which DATABASE_URL names: {reason}"


def _reason_in(line: str) -> str:
    reason = re.sub(r"^.*?(?:FATAL|PANIC|ERROR):\s*", "", line)
    return re.sub(r"^connection to server (?:at|on socket) .*? failed:\s*", "", reason).rstrip(".")
