"""Tables that are published and have no replica identity: PostgreSQL refuses UPDATE and DELETE on them.

https://www.postgresql.org/docs/current/logical-replication-publication.html#LOGICAL-REPLICATION-PUBLICATION-REPLICA-IDENTITY
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from app.gate.checks.breaks.upgrade import Break, Upgrade
from app.gate.checks.support.naming import noun
from app.gate.checks.support.script import python
from app.gate.postgres.quoting import name_of, quote_table
from app.gate.recording.model import Change, Definition, Key, Recording
from app.gate.recording.names import full_name, table_of
from app.gate.wording import indented, listed


def has_publications(recording: Recording) -> bool:
    return recording.head is not None and any(key.kind == "publication" for key in recording.head.objects)


Schema = Mapping[Key, Definition]

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
            yield _break(change, name, writes)


def _break(change: Change, name: str, writes: list[str]) -> Break:
    table = Change(Key("table", *name.split(".", 1)), None, {})
    code = f"op.execute({python(f'ALTER TABLE {quote_table(name)} REPLICA IDENTITY FULL', is_sql=True)})"
    return Break(
        change,
        f"{noun(table)} is published and has no replica identity: PostgreSQL refuses {listed(writes)} on it",
        advice="Give it a key, name a unique index (REPLICA IDENTITY USING INDEX), or have whole rows published before the key goes:\n\n"
        + indented(code),
    )


def _refused(schema: Schema) -> dict[str, list[str]]:
    """{"public.orders": ["UPDATE", "DELETE"]} for the published tables without a replica identity."""
    refused: dict[str, list[str]] = {}
    publications = [each for key, each in schema.items() if key.kind == "publication"]
    keys = _keys_by_table(schema) if publications else {}
    for publication in publications:
        writes = [each for each in ("update", "delete") if each in str(publication.get("publish", ""))]
        for name in _published(publication, schema) if writes else ():
            if not _has_identity(schema.get(Key("table", *name.split(".", 1))), keys.get(name, {})):
                refused[name] = [each.upper() for each in writes]
    return refused


_NAME = re.compile(r'(?:(?P<schema>"(?:[^"]|"")+"|\w+)\.)?(?P<name>"(?:[^"]|"")+"|\w+)')


def _published(publication: Definition, schema: Schema) -> Iterator[str]:
    for entry in publication.get("tables") or ():
        if found := _NAME.match(str(entry)):
            yield f"{name_of(found['schema'] or 'public')}.{name_of(found['name'])}"
    schemas = publication.get("schemas") or ()
    for key, table in schema.items():
        is_logged = key.kind == "table" and not table.get("partition_by") and not table.get("unlogged")
        if is_logged and (publication.get("all_tables") or key.schema in schemas):
            yield full_name(key)


def _keys_by_table(schema: Schema) -> dict[str, dict[str, Definition]]:
    """The constraints and indexes of each table: {"public.orders": {"orders_pkey": …}}."""
    keys: dict[str, dict[str, Definition]] = {}
    for key, definition in schema.items():
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
