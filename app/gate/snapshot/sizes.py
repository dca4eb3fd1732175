"""How large tables are, by PostgreSQL's own estimates: reading them locks no table."""

from __future__ import annotations

from collections import defaultdict
from typing import Any, NamedTuple

from app.gate.snapshot.read import Connection

_TABLES = """
    SELECT c.oid, n.nspname, c.relname, c.relkind::text, c.reltuples::bigint,
        c.relpages * current_setting('block_size')::bigint
    FROM pg_catalog.pg_class AS c JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
    WHERE c.relkind IN ('r', 'p', 'm') AND c.relpersistence <> 't'
    AND n.nspname NOT IN ('pg_catalog', 'information_schema') AND n.nspname NOT LIKE 'pg\\_toast%'
"""
_PARTITIONS = """
    SELECT i.inhparent, i.inhrelid FROM pg_catalog.pg_inherits AS i
    JOIN pg_catalog.pg_class AS c ON c.oid = i.inhparent AND c.relkind = 'p'
"""


class Size(NamedTuple):
    rows: int | None  # None if they were never counted, by ANALYZE or autovacuum
    bytes: int  # of the table itself, without indexes and large values


def read_sizes(connection: Connection) -> dict[str, Size]:
    """{"public.orders": Size(12000, 983040)}. A partitioned table has the sum of its partitions."""
    with connection.cursor() as cursor:
        cursor.execute(_TABLES)
        tables = {oid: row for oid, *row in cursor}
        cursor.execute(_PARTITIONS)
        partitions: dict[int, list[int]] = defaultdict(list)
        for parent, child in cursor:
            partitions[parent].append(child)
    return {f"{schema}.{name}": _size(oid, tables, partitions) for oid, (schema, name, *_) in sorted(tables.items())}


def _size(oid: int, tables: dict[int, list[Any]], partitions: dict[int, list[int]]) -> Size:
    if oid not in tables:  # a foreign table
        return Size(None, 0)
    _, _, kind, rows, size = tables[oid]
    if kind != "p":
        return Size(rows if rows >= 0 else None, size)
    parts = [_size(child, tables, partitions) for child in partitions[oid]]
    counted = [part.rows for part in parts if part.rows is not None]
    return Size(sum(counted) if len(counted) == len(parts) else None, sum(part.bytes for part in parts))
