"""What a live database has, for the revisions that are pending there. It only reads."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import NamedTuple, TypeVar

import psycopg2

from app.gate.errors import ServerUnavailable
from app.gate.postgres import sqlstates
from app.gate.postgres.locks import CONFLICTS
from app.gate.recording.model import Key, Snapshot
from app.gate.server.database import reason_of
from app.gate.server.live import Live, read_in_one_snapshot
from app.gate.snapshot.read import read, without
from app.gate.snapshot.sizes import Size, read_sizes
from app.gate.snapshot.versions import list_version_tables, read_revisions


@dataclass(frozen=True)
class Server:
    database: str
    version: str
    role: str
    is_standby: bool
    sees_sessions: bool  # of other roles: pg_read_all_stats


@dataclass(frozen=True)
class Holder:
    """A transaction of another session that holds a lock on a table, or waits for one."""

    table: str
    modes: tuple[str, ...]
    transaction: str  # its virtual id, which it keeps until it ends
    pid: int | None  # None: it is a prepared transaction
    name: str | None  # of that
    user: str | None
    application: str | None
    state: str | None  # "idle in transaction"; None: not visible
    since: datetime | None  # when the transaction began; None: not visible
    age_s: float | None
    is_autovacuum: bool  # which gives way
    waits: bool


@dataclass(frozen=True)
class Slot:
    """A replication slot that keeps WAL for a client that is not there."""

    name: str
    kept_bytes: int | None
    status: str | None


class OlderTransaction(NamedTuple):
    """Of another session, for which a statement that is CONCURRENTLY waits."""

    pid: int
    user: str | None
    application: str | None
    age_s: float


@dataclass(frozen=True)
class Look:
    """What the database has."""

    server: Server
    taken_at: datetime
    revisions: Mapping[str, list[str] | None]  # by Alembic's table; None: the role may not read it
    version_owners: Mapping[str, str]
    sizes: Mapping[str, Size]
    schema: Snapshot | None = None  # without Alembic's tables
    why_no_schema: str | None = None
    holders: Sequence[Holder] = ()
    owners: Mapping[tuple[str, str], str] = field(
        default_factory=dict
    )  # of tables that the migrating role may not alter
    slots: Sequence[Slot] = ()
    older: Sequence[OlderTransaction] = ()
    unavailable: Sequence[str] = ()  # extensions that the server does not have


_SERVER = """
    SELECT current_database(), split_part(current_setting('server_version'), ' ', 1), current_user,
        pg_is_in_recovery(), pg_has_role('pg_read_all_stats', 'USAGE')
"""


def look_at(live: Live) -> Look:
    """At the revisions and the sizes. Raises psycopg2.Error."""
    with live.transaction("REPEATABLE READ") as cursor:
        cursor.execute(_SERVER)
        server = Server(*cursor.fetchone())
        tables = list_version_tables(live.connection)
        return Look(
            server,
            datetime.now(UTC),
            {f"{key.schema}.{key.name}": read_revisions(live.connection, key) for key in tables},
            {f"{key.schema}.{key.name}": owner for key, owner in tables.items()},
            read_sizes(live.connection),
        )


T = TypeVar("T")


def if_permitted(look: Callable[[], T]) -> T | None:
    """None where the role may not look, since an administrator has revoked what every role may do otherwise."""
    try:
        return look()
    except psycopg2.errors.InsufficientPrivilege:
        return None


def read_schema(live: Live) -> tuple[Snapshot | None, str | None]:
    """The schema without Alembic's tables, or why it could not be read."""

    def read_it(_: object) -> Snapshot:
        schema = read(live.connection)
        for key in list_version_tables(live.connection):
            schema = without(schema, key.schema, key.name)
        return schema

    try:
        return read_in_one_snapshot(live, read_it), None
    except psycopg2.Error as error:
        if error.pgcode == sqlstates.LOCK_NOT_AVAILABLE:
            return None, f"another session has held a lock on it for longer than {live.lock_timeout_s:g} s"
        return None, reason_of(error)


# Locks.

# A lock on a partitioned table is one on its partitions too, of which a live database has others than the gate's.
_HOLDERS = """
    WITH RECURSIVE tree (name, oid) AS (
        SELECT n.nspname || '.' || c.relname, c.oid
        FROM pg_catalog.pg_class AS c JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
        WHERE n.nspname || '.' || c.relname = ANY(%(tables)s)
        UNION SELECT tree.name, i.inhrelid FROM tree JOIN pg_catalog.pg_inherits AS i ON i.inhparent = tree.oid
    ), prepared AS (
        SELECT l.virtualtransaction, x.gid, x.owner, x.prepared
        FROM pg_catalog.pg_locks AS l JOIN pg_catalog.pg_prepared_xacts AS x ON x.transaction = l.transactionid
        WHERE l.locktype = 'transactionid' AND l.pid IS NULL
    )
    SELECT tree.name, array_agg(DISTINCT l.mode), l.virtualtransaction, l.pid, p.gid::text,
        coalesce(a.usename, p.owner)::text, nullif(a.application_name, ''), a.state, coalesce(a.xact_start, p.prepared),
        extract(epoch FROM clock_timestamp() - coalesce(a.xact_start, p.prepared))::float8,
        coalesce(a.backend_type = 'autovacuum worker' AND a.query NOT LIKE '%%to prevent wraparound%%',
                 l.pid IS NOT NULL AND a.usename IS NULL AND bool_and(l.mode = 'ShareUpdateExclusiveLock')),
        bool_or(NOT l.granted)
    FROM tree
    JOIN pg_catalog.pg_locks AS l ON l.locktype = 'relation' AND l.relation = tree.oid
        AND l.database = (SELECT d.oid FROM pg_catalog.pg_database AS d WHERE d.datname = current_database())
    LEFT JOIN pg_catalog.pg_stat_activity AS a ON a.pid = l.pid
    LEFT JOIN prepared AS p ON l.pid IS NULL AND p.virtualtransaction = l.virtualtransaction
    WHERE l.pid IS DISTINCT FROM pg_backend_pid()
    GROUP BY tree.name, l.virtualtransaction, l.pid, p.gid, p.owner, a.usename, a.application_name, a.state,
        a.xact_start, p.prepared, a.backend_type, a.query
    ORDER BY 10 DESC NULLS LAST, 1
"""


def read_holders(live: Live, wanted: Mapping[str, Iterable[str]]) -> list[Holder]:
    """Who holds, or waits for, locks that conflict with the wanted ones: {"public.orders": ["AccessExclusiveLock"]}."""
    if not wanted:
        return []
    conflicts = {
        table: frozenset().union(*(CONFLICTS.get(mode, frozenset()) for mode in modes))
        for table, modes in wanted.items()
    }
    with live.transaction() as cursor:
        cursor.execute(_HOLDERS, {"tables": [*wanted]})
        rows = [Holder(table, tuple(sorted(modes)), *rest) for table, modes, *rest in cursor]
    return [each for each in rows if conflicts[each.table] & {*each.modes}]


def read_lasting_holders(
    live: Live, wanted: Mapping[str, Iterable[str]], longest_s: float, sleep: Callable[[float], None] = time.sleep
) -> list[Holder]:
    """Those of them that have been there for longer. Where it is not visible since when, by looking again."""
    first = read_holders(live, wanted)
    lasting = [each for each in first if each.age_s is not None and each.age_s >= longest_s]
    unknown = {(each.table, each.transaction) for each in first if each.age_s is None and not each.is_autovacuum}
    if unknown:
        sleep(longest_s)
        lasting += [each for each in read_holders(live, wanted) if (each.table, each.transaction) in unknown]
    return [each for each in lasting if not each.is_autovacuum]


# Rights, room and the rest.

_OWNERS = """
    SELECT n.nspname, c.relname, pg_catalog.pg_get_userbyid(c.relowner)
    FROM pg_catalog.pg_class AS c JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
    WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f') AND n.nspname || '.' || c.relname = ANY(%(tables)s)
    AND NOT pg_catalog.pg_has_role(%(role)s, c.relowner, 'USAGE')
"""
_SLOTS = """
    SELECT s.slot_name, pg_catalog.pg_wal_lsn_diff(CASE WHEN pg_catalog.pg_is_in_recovery()
        THEN pg_catalog.pg_last_wal_replay_lsn() ELSE pg_catalog.pg_current_wal_lsn() END, s.restart_lsn)::bigint, s.wal_status
    FROM pg_catalog.pg_replication_slots AS s WHERE NOT s.active AND s.restart_lsn IS NOT NULL ORDER BY 1
"""


_OLDER = """
    SELECT a.pid, a.usename::text, nullif(a.application_name, ''),
        extract(epoch FROM clock_timestamp() - a.xact_start)::float8
    FROM pg_catalog.pg_stat_activity AS a
    WHERE a.datname = current_database() AND a.pid <> pg_backend_pid()
    AND a.backend_type = 'client backend' AND (a.backend_xmin IS NOT NULL OR a.backend_xid IS NOT NULL)
    AND a.xact_start < clock_timestamp() - make_interval(secs => %s) ORDER BY a.xact_start
"""


def read_older_transactions(live: Live, longest_s: float) -> list[OlderTransaction]:
    """Those that are visible to the role."""
    with live.transaction() as cursor:
        cursor.execute(_OLDER, [longest_s])
        return [OlderTransaction(*row) for row in cursor]


def read_foreign_owners(live: Live, tables: Iterable[tuple[str, str]], role: str) -> dict[tuple[str, str], str]:
    """The owners of those tables that this role may not alter. Raises ServerUnavailable if there is no such role."""
    names = [f"{schema}.{table}" for schema, table in tables]
    with live.transaction() as cursor:
        cursor.execute("SELECT FROM pg_catalog.pg_roles WHERE rolname = %s", [role])
        if not cursor.rowcount:
            raise ServerUnavailable(f"there is no role {role} on the server")
        cursor.execute(_OWNERS, {"tables": names, "role": role})
        return {(schema, table): owner for schema, table, owner in cursor}


def read_slots(live: Live) -> list[Slot]:
    with live.transaction() as cursor:
        cursor.execute(_SLOTS)
        return [Slot(*row) for row in cursor]


def list_unavailable(live: Live, made: Iterable[Key]) -> list[str]:
    """The extensions among those objects that the server does not have."""
    names = [each.name for each in made if each.kind == "extension"]
    if not names:
        return []
    with live.transaction() as cursor:
        cursor.execute("SELECT name FROM pg_catalog.pg_available_extensions WHERE name = ANY(%s)", [names])
        available = {name for (name,) in cursor}
    return [each for each in names if each not in available]
