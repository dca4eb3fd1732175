"""The schema of a database, read from `pg_catalog`.

`SNAPSHOT_SQL` returns one text, with any driver and in any transaction; `parse` makes a `Snapshot` of it. It contains:

- "schema", "table", "foreign table", "view", "materialized view", "column" (of all four), "constraint", "index",
  "trigger", "rule", "policy", "statistics" (extended ones), "sequence";
- "enum", "domain", "domain constraint" (`table` holds the domain's name), "composite type", "range type", "base type";
- "function", "procedure", "aggregate" (the name holds the types of the arguments), "operator", "cast", "collation";
- "extension", "event trigger", "default privileges", "publication", "foreign data wrapper", "foreign server",
  "text search configuration", "text search dictionary".

Objects that belong to an extension are left out; so are system schemas, temporary objects, and what a partition
inherits from its parent. A definition leaves out PostgreSQL's defaults, so `definition.get("unlogged")` is None for
nearly every table. The role that runs migrations has another name on each server: as an owner it is left out, and in
privileges, which are included where they are not the default ones, it is "the owner". Not read are: operator classes
and families, text search parsers and templates, languages, access methods, transforms, subscriptions, user mappings,
security labels, settings of roles and databases, and comments on attributes of composite types.
"""

from __future__ import annotations

from typing import Any, Protocol

from app.gate.postgres.quoting import unquoted
from app.gate.recording.model import Definition, Key, Snapshot
from app.gate.snapshot._queries import SNAPSHOT_SQL
from app.gate.snapshot.incremental import start


class Connection(Protocol):
    """The part of a psycopg2 connection that is needed here."""

    def cursor(self) -> Any: ...


def read(connection: Connection) -> Snapshot:
    """The schema of the connection's database."""
    with connection.cursor() as cursor:
        cursor.execute(SNAPSHOT_SQL)
        return parse(cursor.fetchone()[0])


def parse(text: str) -> Snapshot:
    """The snapshot in an answer to `SNAPSHOT_SQL`."""
    return Snapshot(start(text).objects)


def without(snapshot: Snapshot, schema: str, table: str) -> Snapshot:
    """The snapshot without that table and all that belongs to it."""
    return Snapshot(
        {key: definition for key, definition in snapshot.objects.items() if not belongs(key, definition, schema, table)}
    )


def belongs(key: Key, definition: Definition, schema: str, table: str) -> bool:
    """Whether the object is that table, or belongs to it."""
    if key.kind == "sequence":
        return unquoted(str(definition.get("owned_by", ""))).startswith(f"{schema}.{table}.")
    return key.schema == schema and (key.table == table or (key.kind == "table" and key.name == table))
