"""Unchanged tables: like their models at the base, and neither the schema nor the model has changed since.

A pull request touches a few tables of hundreds, and to have autogenerate compare all others with their models again
takes most of the time of a run with `--base`. So a run that has compared everything notes in the base cache which
tables are exactly what their models create, each with a fingerprint of its model. Later runs have autogenerate compare
the others alone: those whose model has another fingerprint, those that the branch has changed in the database, and
those that were not like their models. A table that autogenerate or a filter of the project's mentioned at all is never
noted. The schema that the models create is made whole in every run.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from app.gate.postgres.quoting import unquoted
from app.gate.recording.model import TABLE_KINDS, Definition, Key, Snapshot

Models = Mapping[str, tuple[str, list[str]]]  # "public.orders" -> its model's fingerprint, and the enums in it

# A table's own definition holds all that it takes from these. Of others, such as a domain, it holds no more than the
# name.
_WITHOUT_INFLUENCE = ("schema", "extension", "function", "procedure", "aggregate", "sequence")


@dataclass
class TableObjects:
    """What belongs to one table, in one snapshot."""

    objects: dict[Key, Definition] = field(default_factory=dict)
    enums: dict[Key, Definition] = field(default_factory=dict)  # the types of its columns, which other tables may share

    @property
    def enum_names(self) -> list[str]:
        return sorted(f"{key.schema}.{key.name}" for key in self.enums)


def find_unchanged(known: Mapping[str, str], models: Models, start: Snapshot, now: Snapshot) -> frozenset[str]:
    """Of the tables that were like their models at the base, those whose model and schema are the same still.

    `known` has their models' fingerprints. `start` is the schema at the base.
    """
    touched = _touched(start, now)
    if touched is None:
        return frozenset()
    return frozenset(
        table
        for table, (fingerprint, enums) in models.items()
        if known.get(table) == fingerprint and table not in touched and touched.isdisjoint(enums)
    )


def list_unchanged(
    models: Models, start: Snapshot, head: Snapshot, created: Snapshot, mentioned: Iterable[str]
) -> dict[str, str]:
    """The tables at the base that are like their models, and their models' fingerprints.

    `created` is what the models create. `mentioned` are names from autogenerate's differences and from the project's
    filters.
    """
    touched = _touched(start, head)
    if touched is None:
        return {}
    of_head, of_models, mentioned = _by_table(head), _by_table(created), tuple(mentioned)
    return {
        table: fingerprint
        for table, (fingerprint, enums) in models.items()
        if (here := of_head.get(table)) is not None
        and here == of_models.get(table)
        and here.enum_names == enums
        and table not in touched
        and touched.isdisjoint(enums)
        and not any(name == table or name.startswith((f"{table}.", f"{table}(")) for name in mentioned)
    }


def _touched(before: Snapshot, after: Snapshot) -> set[str] | None:
    """Names of tables and enums that have changed; None if something has on which any table may rest."""
    touched = set()
    for key, one, other in _changes(before, after):
        owner = _owner(key, one) or _owner(key, other)
        if owner is not None:
            touched.add(owner)
        elif key.kind == "enum":
            touched.add(f"{key.schema}.{key.name}")
        elif key.kind not in _WITHOUT_INFLUENCE:
            return None
    return touched


def _changes(before: Snapshot, after: Snapshot) -> Iterator[tuple[Key, Definition | None, Definition | None]]:
    old, new = before.objects, after.objects
    for key, definition in old.items():
        other = new.get(key)
        # What did not change is shared by snapshots that were read one after the other.
        if other is not definition and other != definition:
            yield key, definition, other
    for key in new.keys() - old.keys():
        yield key, None, new[key]


def _owner(key: Key, definition: Definition | None) -> str | None:
    """The table to which an object belongs: "public.orders"."""
    if key.table:
        return f"{key.schema}.{key.table}"
    if key.kind in TABLE_KINDS:
        return f"{key.schema}.{key.name}"
    if key.kind == "sequence" and definition and (column := definition.get("owned_by")):
        return unquoted(str(column)).rpartition(".")[0]
    return None


def _by_table(snapshot: Snapshot) -> dict[str, TableObjects]:
    enums = {f"{key.schema}.{key.name}": key for key in snapshot.objects if key.kind == "enum"}
    by_table: dict[str, TableObjects] = {}
    for key, definition in snapshot.objects.items():
        owner = _owner(key, definition)
        if owner is None:
            continue
        parts = by_table.setdefault(owner, TableObjects())
        parts.objects[key] = definition
        if key.kind == "column":
            name = unquoted(str(definition.get("type", "")).partition("[")[0])
            if name in enums:
                parts.enums[enums[name]] = snapshot.objects[enums[name]]
    return by_table
