"""A schema as PostgreSQL tells it: read, compared, kept.

`SNAPSHOT_SQL` gives one text, on any driver and in any transaction; `parse` makes a `Snapshot` of it. What is in one:

- "schema", "table", "foreign table", "view", "materialized view", "column" (of all four), "constraint", "index",
  "trigger", "rule", "policy", "statistics" (extended ones), "sequence";
- "enum", "domain", "domain constraint" (`table` holds the domain's name), "composite type", "range type", "base type";
- "function", "procedure", "aggregate" (the name holds the types of the arguments), "operator", "cast", "collation";
- "extension", "event trigger", "default privileges", "publication", "foreign data wrapper", "foreign server",
  "text search configuration", "text search dictionary".

What an extension brought is the extension's, and is left out; so are system schemas, temporary objects, and what a partition has
from its parent. A definition leaves out what is as PostgreSQL has it by default, so `definition.get("unlogged")` is None for
nearly every table. Owners are left out, since the role that runs migrations is called differently on each server; in
privileges, which are told where they are not the default ones, it is "the owner". Not read either: operator classes and
families, text search parsers and templates, languages, access methods, transforms, subscriptions, user mappings, security
labels, settings of roles and databases, and comments on attributes of composite types.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Protocol

from app.gate.recording.model import Change, Definition, Key, Snapshot
from app.gate.snapshot._queries import SNAPSHOT_SQL
from app.gate.snapshot.incremental import start


class Connection(Protocol):
    """As much of a psycopg2 connection as is needed here."""

    def cursor(self) -> Any: ...


def read(connection: Connection) -> Snapshot:
    """The schema of the database at the other end."""
    with connection.cursor() as cursor:
        cursor.execute(SNAPSHOT_SQL)
        return parse(cursor.fetchone()[0])


def parse(text: str) -> Snapshot:
    """The snapshot in an answer to `SNAPSHOT_SQL`."""
    return Snapshot(start(text).objects)


def without(snapshot: Snapshot, schema: str, table: str) -> Snapshot:
    """The snapshot without that table and all that belongs to it."""
    return Snapshot(
        {
            key: definition
            for key, definition in snapshot.objects.items()
            if not _belongs(key, definition, schema, table)
        }
    )


def changes_without(changes: Iterable[Change], schema: str, table: str) -> tuple[Change, ...]:
    """The changes that are not about that table, nor about anything that belongs to it."""
    return tuple(
        change for change in changes if not _belongs(change.key, change.after or change.before or {}, schema, table)
    )


def _belongs(key: Key, definition: Definition, schema: str, table: str) -> bool:
    if key.kind == "sequence":
        return str(definition.get("owned_by", "")).replace('"', "").startswith(f"{schema}.{table}.")
    return key.schema == schema and (key.table == table or (key.kind == "table" and key.name == table))


def apply(snapshot: Snapshot, changes: Iterable[Change]) -> Snapshot:
    """The snapshot after the changes."""
    objects = dict(snapshot.objects)
    for change in changes:
        if change.after is None:
            objects.pop(change.key, None)
        else:
            objects[change.key] = change.after
    return Snapshot(objects)
