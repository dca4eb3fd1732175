"""A server that the user names: what is checked before anything is created there."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from psycopg2.extensions import connection as Connection  # noqa: N812 - psycopg2 spells its classes so

from app.gate.errors import ServerUnavailable
from app.gate.postgres.quoting import quote
from app.gate.server import binaries as cluster
from app.gate.server.database import CONNECT_PATIENCE_S, ConnectionRefused, Database, connect_to, location_of, read_url


def find_maintenance(url: str) -> Database:
    """A database of the server that `url` names from which others can be created. Raises ServerUnavailable."""
    named = read_url(url)
    # Providers of single databases allow no connection to the first two. The named one is the last resort.
    own = str(named.get("dbname") or named.get("user") or "postgres")
    candidates = list(dict.fromkeys(["postgres", "template1", own]))
    for name in candidates:
        try:
            connection = connect_to({"connect_timeout": CONNECT_PATIENCE_S, **named, "dbname": name})
        except ConnectionRefused as refusal:
            if name != candidates[-1]:
                continue
            raise ServerUnavailable(
                f"{refusal}: check the user, the password and the name in the database URL"
            ) from None
        except ServerUnavailable as problem:
            raise ServerUnavailable(f"{problem}: start it, or check the database URL") from None
        try:
            return _check_given(connection, named, name)
        finally:
            connection.close()
    raise AssertionError("the last candidate is connected to, or raises")


def _check_given(connection: Connection, named: Mapping[str, Any], name: str) -> Database:
    """The database of that connection, with libpq's defaults. Raises ServerUnavailable if the gate cannot use it."""
    info = connection.info
    options = {option: str(value) for option, value in named.items() if option not in _IDENTITY}
    database = Database(name, info.host, info.port, info.user, info.password or "", options)
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT version(), pg_is_in_recovery(), rolcreatedb OR rolsuper FROM pg_roles WHERE rolname = current_user"
        )
        version, is_standby, may_create = cursor.fetchone() or ("", False, False)
    place = location_of(database)
    if not version.startswith("PostgreSQL "):
        raise ServerUnavailable(f"the server at {place} is not PostgreSQL but {version[:40]!r}: name another one")
    if info.server_version < cluster.OLDEST_MAJOR * 10000:
        major = info.server_version // 10000
        raise ServerUnavailable(f"{place} runs PostgreSQL {major}, and {cluster.OLDEST_MAJOR} or newer is needed")
    if is_standby:
        raise ServerUnavailable(f"the server at {place} is a standby, which can only be read: name its primary")
    if not may_create:
        raise ServerUnavailable(
            f"the role {info.user!r} may not create databases at {place}, and the gate only works in databases that it creates:"
            f" allow it (ALTER ROLE {quote(info.user)} CREATEDB), or name another role"
        )
    return database


# What has fields in Database, or is set by the code that connects.
_IDENTITY = ("host", "port", "user", "password", "dbname", "application_name")
