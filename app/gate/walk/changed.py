"""Which tables the revisions of a branch change."""

from __future__ import annotations

from collections.abc import Sequence

from app.gate.recording.model import TABLE_KINDS, Change, Key, Rename, Step
from app.gate.recording.names import full_name, table_of
from app.gate.walk.state import Walk

_OF_TABLES = {"column", "constraint", "index", "trigger", "policy", "rule", "sequence", *TABLE_KINDS}


def concerned_tables(walk: Walk) -> frozenset[str] | None:
    """The older tables ("public.orders") whose statements may end in another way, or whose rows are changed. None: any
    may, as where a function or a type has changed."""
    keys = changed_keys(walk)
    if any(key.kind not in _OF_TABLES for key in keys):
        return None
    older = {full_name(key) for key in (walk.start.objects if walk.start else {}) if key.kind in TABLE_KINDS}
    return (tables_of(keys) | _written_tables(walk)) & older - {walk.arrival.version_table}


def changed_keys(walk: Walk) -> list[Key]:
    return [key for step in _upgrades(walk) for key in keys_of(step.changes, step.renamed)]


def _upgrades(walk: Walk) -> list[Step]:
    return [trip.up for trip in walk.trips.values() if trip.up is not None and trip.up.failure is None]


def _written_tables(walk: Walk) -> frozenset[str]:
    """Those that an INSERT, UPDATE or DELETE has locked, whether or not there was a row."""
    locks = [item for step in _upgrades(walk) for each in step.statements for item in each.locks.items()]
    return frozenset(table for table, modes in locks if "RowExclusiveLock" in modes)


def keys_of(changes: Sequence[Change], renamed: Sequence[Rename]) -> list[Key]:
    """All that is changed, by its older and its newer names."""
    return [*(each.key for each in changes), *(key for each in renamed for key in (each.before, each.after))]


def tables_of(keys: Sequence[Key]) -> frozenset[str]:
    return frozenset(table_of(key) for key in keys if key.kind in _OF_TABLES and key.kind != "sequence")
