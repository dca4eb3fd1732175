"""Tables that are published and have no replica identity: PostgreSQL refuses UPDATE and DELETE on them.

https://www.postgresql.org/docs/current/logical-replication-publication.html#LOGICAL-REPLICATION-PUBLICATION-REPLICA-IDENTITY
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from app.gate.checks.breaks.upgrade import Break, Upgrade
from app.gate.checks.support.constraints import unique_key
from app.gate.checks.support.naming import noun
from app.gate.checks.support.schema import Schema, SchemaHistory
from app.gate.checks.support.script import execute
from app.gate.postgres.quoting import name_of, quote
from app.gate.recording.model import Change, Definition, Key, Recording
from app.gate.recording.names import full_name, table_of
from app.gate.wording import indented, listed


def has_publications(recording: Recording) -> bool:
    return recording.head is not None and any(key.kind == "publication" for key in recording.head.objects)


Objects = Mapping[Key, Definition]

_CONCERNED = ("publication", "table", "constraint", "index", "column")


def tables_without_identity(upgrade: Upgrade) -> Iterator[Break]:
    """The tables of which published changes cannot be identified since this upgrade."""
    if not any(each.key.kind in _CONCERNED for each in upgrade.step.changes):
        return
    after, before = upgrade.schema, upgrade.schema_before
    if after is None or before is None:
        return
    refused = _refused(after)
    known = {name: refused[name] for name in sorted(refused.keys() - _refused(before).keys() - upgrade.unknown_tables)}
    for name, writes in known.items():
        change = _culprit(upgrade, name)
        if change is not None:
            yield _break(change, name, writes, SchemaHistory.of(upgrade.recording).after(upgrade.step.revision))


def _break(change: Change, name: str, writes: list[str], schema: Schema) -> Break:
    table = Change(Key("table", *name.split(".", 1)), None, {})
    return Break(
        change,
        f"{noun(table)} is published and has no replica identity: PostgreSQL refuses {listed(writes)} on it",
        advice=_advice(name, schema),
    )


def _advice(table: str, schema: Schema) -> str:
    alter = f"ALTER TABLE {schema.sql(table)} REPLICA IDENTITY"
    if (index := _find_index(table, schema)) is not None:
        code = indented(execute(f"{alter} USING INDEX {quote(index)}"))
        return f"Name its unique index before the key goes:\n\n{code}"
    if any(column.get("generated") for _, column in schema.parts_of("column", table)):
        # https://www.postgresql.org/docs/current/logical-replication-gencols.html
        return "Give it a key, or a unique index on NOT NULL columns: whole rows hold a generated column, which is not published."
    code = indented(execute(f"{alter} FULL"))
    return f"Give it a key, or a unique index on NOT NULL columns, or have whole rows published before the key goes:\n\n{code}"


def _find_index(table: str, schema: Schema) -> str | None:
    """A unique index by which PostgreSQL can identify each row: on columns that are NOT NULL, and checked at once."""
    for kind in ("constraint", "index"):
        for key, definition in schema.parts_of(kind, table):
            found = unique_key(key, definition)
            columns = [schema.column(table, name) for name in found.columns] if found and not found.where else []
            if columns and all(each and each.get("nullable") is False for each in columns):
                return key.name
    return None


def _refused(objects: Objects) -> dict[str, list[str]]:
    """{"public.orders": ["UPDATE", "DELETE"]} for the published tables without a replica identity."""
    refused: dict[str, list[str]] = {}
    publications = [each for key, each in objects.items() if key.kind == "publication"]
    keys = _keys_by_table(objects) if publications else {}
    for publication in publications:
        writes = [each for each in ("update", "delete") if each in str(publication.get("publish", ""))]
        for name in _published(publication, objects) if writes else ():
            if not _has_identity(objects.get(Key("table", *name.split(".", 1))), keys.get(name, {})):
                refused[name] = [each.upper() for each in writes]
    return refused


_NAME = re.compile(r'(?:(?P<schema>"(?:[^"]|"")+"|\w+)\.)?(?P<name>"(?:[^"]|"")+"|\w+)')


def _published(publication: Definition, objects: Objects) -> Iterator[str]:
    for entry in publication.get("tables") or ():
        if found := _NAME.match(str(entry)):
            yield f"{name_of(found['schema'] or 'public')}.{name_of(found['name'])}"
    schemas = publication.get("schemas") or ()
    for key, table in objects.items():
        is_logged = key.kind == "table" and not table.get("partition_by") and not table.get("unlogged")
        if is_logged and (publication.get("all_tables") or key.schema in schemas):
            yield full_name(key)


def _keys_by_table(objects: Objects) -> dict[str, dict[str, Definition]]:
    """The constraints and indexes of each table: {"public.orders": {"orders_pkey": …}}."""
    keys: dict[str, dict[str, Definition]] = {}
    for key, definition in objects.items():
        if key.kind in ("constraint", "index"):
            keys.setdefault(table_of(key), {})[key.name] = definition
    return keys


def _has_identity(table: Definition | None, keys: Mapping[str, Definition]) -> bool:
    if table is None or table.get("partition_by"):
        return True  # of a partitioned table, the partitions are written
    identity = str(table.get("replica_identity") or "")
    if identity.startswith("index "):
        return name_of(identity.removeprefix("index ")) in keys
    if identity:
        return identity == "full"  # and not nothing, or an index that is gone: the primary key does not serve then
    # Of a partition, a key that it has from its parent is read with the parent.
    return bool(table.get("partition_of")) or any(each.get("type") == "primary key" for each in keys.values())


def _culprit(upgrade: Upgrade, name: str) -> Change | None:
    """The change by which the table lost it: of its key, of the table itself, or of what is published."""
    of_table = [each for each in upgrade.step.changes if table_of(each.key) == name and each.key.kind in _CONCERNED]
    rank = {"constraint": 0, "index": 1, "table": 2, "column": 3}
    published = [each for each in upgrade.step.changes if each.key.kind == "publication"]
    return next(iter([*sorted(of_table, key=lambda each: rank[each.key.kind]), *published]), None)
