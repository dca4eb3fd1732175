"""The application's database: where it is, what its tables have in common, and how it is reached."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

import sqlalchemy as sa
from sqlalchemy.exc import ArgumentError, DBAPIError
from sqlalchemy.orm import declared_attr
from sqlmodel import SQLModel

CONNECT_TIMEOUT_S = 10  # libpq waits without end for a host that swallows packets

# Constraints without a name get another one on every server, and then no migration can drop them. The names are set on
# SQLModel's own metadata, so that a table whose class derives from SQLModel directly has them too. They must be there
# before the first model is defined, and so every `models.py` imports its base class from here.
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
    """A PostgreSQL enum whose labels are the values of `enum`. By themselves SQLModel and SQLAlchemy take the names."""
    return sa.Enum(enum, name=name, values_callable=lambda members: [member.value for member in members])


def utcnow() -> datetime:
    """Now, aware, in UTC: the only kind of time that a column of ours takes."""
    return datetime.now(UTC)


def in_utc(time: datetime) -> datetime:
    """The same moment in UTC. Raises ValueError: the first and the last day of the calendar have moments without
    one."""
    try:
        return time.astimezone(UTC)
    except OverflowError:
        raise ValueError("the time has no equal in UTC") from None


class DatabaseRefused(Exception):
    """The database cannot be used. The message is one line, says what to do, and holds no password."""


def database_url(environment: Mapping[str, str] = os.environ) -> sa.URL:
    """The application's database as `DATABASE_URL` names it, for the service and `migrations/env.py` alike.

    `postgres://` and `postgresql://`, which most hosts hand out, mean psycopg2: SQLAlchemy itself has forgotten the
    first, and since 2.1 takes the second for psycopg 3, which is not installed. Raises DatabaseRefused, and never
    repeats the value, which holds a password.
    """
    text = environment.get("DATABASE_URL", "").strip()
    if not text:
        raise DatabaseRefused(
            "DATABASE_URL is not set. Name the application's PostgreSQL database in it, "
            "as in DATABASE_URL=postgresql://user:password@localhost/overproof."
        )
    try:
        url = sa.make_url(text)
    except (ArgumentError, ValueError):
        raise _malformed("it does not read as postgresql://user:password@host:port/database") from None
    system, _, driver = url.drivername.partition("+")
    if system not in ("postgres", "postgresql"):
        raise DatabaseRefused(
            f"DATABASE_URL names another database system ({system!r}). Overproof keeps its record in PostgreSQL: "
            "postgresql://user:password@host:port/database."
        )
    if driver not in ("", "psycopg2"):
        raise DatabaseRefused(
            f"DATABASE_URL names the driver {driver!r}, and Overproof speaks through psycopg2: "
            "write postgresql:// in place of " + f"{url.drivername}://."
        )
    if "\0" in text:
        raise _malformed("it holds a NUL character")
    if not url.database and "dbname" not in url.query:
        raise _malformed("it names no database: add /overproof, or what yours is called, after the host")
    if re.search(r"[@/?#\s]", url.host or ""):
        # The first of two @ ended the password, so what stands for the host is the rest of it.
        raise _malformed("the password holds a character that must be percent-encoded, such as @ (%40) or / (%2F)")
    if url.port is not None and not 0 < url.port < 65536:
        raise _malformed(f"{url.port} is no port")
    if "password" in url.query:  # `repr` hides the one in its proper place alone
        password = url.query["password"]
        url = url.difference_update_query(["password"]).set(
            password=password if isinstance(password, str) else password[-1]
        )
    return url.set(drivername="postgresql+psycopg2")


def _malformed(why: str) -> DatabaseRefused:
    return DatabaseRefused(f"DATABASE_URL is malformed: {why}. Special characters in a password are percent-encoded.")


def create_engine(url: sa.URL, **options: Any) -> sa.Engine:
    """An engine that gives up on an unreachable server instead of waiting for it."""
    arguments = {"connect_timeout": CONNECT_TIMEOUT_S, "application_name": "overproof"}
    arguments = {name: value for name, value in arguments.items() if name not in url.query}
    return sa.create_engine(url, connect_args={**arguments, **options.pop("connect_args", {})}, **options)


@contextmanager
def connect(engine: sa.Engine) -> Iterator[sa.Connection]:
    """A connection. Raises DatabaseRefused if there is none to be had, and leaves alone what goes wrong later."""
    try:
        connection = engine.connect()
    except DBAPIError as error:
        raise DatabaseRefused(connection_failure(error, engine.url)) from None
    with connection:
        yield connection


def connection_failure(error: DBAPIError, url: sa.URL) -> str:
    """Why there is no connection, in one line, from what libpq says:

    'connection to server at "db" (10.0.0.7), port 5432 failed: FATAL:  password authentication failed for user
    "ann"\\n'
    """
    said = [line.strip() for line in str(error.orig).splitlines() if line.strip()] or [type(error.orig).__name__]
    reason = re.sub(r"^.*?(?:FATAL|PANIC|ERROR):\s*", "", said[0])
    reason = re.sub(r"^connection to server (?:at|on socket) .*? failed:\s*", "", reason).rstrip(".")
    where = f"{url.host or url.query.get('host') or 'the local socket'}{f':{url.port}' if url.port else ''}"
    name = url.database or url.query.get("dbname")
    if re.search(r'database "[^"]*" does not exist', reason):
        return f"There is no database {name!r} on {where}. Create it (createdb {name}), or mend DATABASE_URL."
    if "authentication failed" in reason or "no password supplied" in reason:
        return f"PostgreSQL on {where} refused the user or password of DATABASE_URL: {reason}."
    return f"Cannot connect to the database {name!r} on {where}, which DATABASE_URL names: {reason}."
