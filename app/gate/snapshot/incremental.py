"""Following a schema from step to step without reading all of it again.

    state = read_all(ask)                # reads everything
    state = read_changes(state, ask)     # reads what may have changed since, and returns the present schema
    difference_between(earlier, state)   # compares only what was read again in between

`ask` runs statements one after another in one transaction on a connection of the same database, and returns the single
value of the last; None, without running the rest, once a value is NULL. A `TrackedSnapshot` is immutable: after a
rollback the caller continues from an earlier one.

How a change is noticed. Each row of a catalog names the transaction that wrote it (`xmin`). The marker of a state is
the oldest transaction that was in progress when it was read, or else the next one. Whatever is written afterwards has a
transaction that is no older, whether in the same transaction, under a savepoint or in several transactions; what was
rolled back is not visible. So rows that are no older than the marker are read again, with everything that depends on
them (`pg_depend`, to any depth), since a new name shows in the definitions that mention it. For a table or an index
this is so only if it has a new name, since nearly everything that happens to a table writes its row. A row that was
deleted leaves no trace: deletions are found by what remains, for the kinds of objects that can go without a row of
their owner being written. What can change without either (names of roles and tablespaces, members of an extension) goes
into a fingerprint, the epoch: if that differs, everything is read again.
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from app.gate.postgres.prepared import WITH_SEQSCANS, WITHOUT_SEQSCANS
from app.gate.postgres.quoting import unquoted
from app.gate.recording.model import Change, Definition, Key, Rename, Snapshot
from app.gate.recording.serialization import sort_key
from app.gate.snapshot._privileges import resolve_privileges
from app.gate.snapshot._queries import CHANGES, CHANGES_OF_TABLES, PREPARED, SNAPSHOT_SQL, set_marker_sql
from app.gate.snapshot.difference import difference

Ask = Callable[[Sequence[str]], Any]

_XIDS = 2**32
# For how many steps a state keeps what was read again: up, down and up again, with steps that changed nothing in
# between.
_REMEMBERED_STEPS = 6

_serials = itertools.count()

Row = Sequence[Any]  # (class, object, part, kind, schema, name, table, definition)
Unit = str  # "1259 16388": a row of pg_class
Entries = Mapping[int, tuple[Key, Definition]]  # by part: 0 is the table itself, 2 its second column


@dataclass(frozen=True, kw_only=True, eq=False)
class TrackedSnapshot(Snapshot):
    """A snapshot with what is needed to read only the changes since. Two are equal if their objects are."""

    marker: int  # the first transaction whose changes may not be included, without its epoch
    epoch: str
    units: Mapping[Unit, Entries]
    rare_units: frozenset[Unit]
    comments: Mapping[str, str]  # "1259 16388 2": the comment on a second column
    inherits: frozenset[str]  # "16395 16388": the first inherits from the second
    serial: int
    touched: tuple[tuple[int, frozenset[Key]], ...] = ()  # serial of an earlier state -> keys that differ from it

    def __eq__(self, other: object) -> bool:
        return self.objects == other.objects if isinstance(other, Snapshot) else NotImplemented

    __hash__ = None  # type: ignore[assignment]  # as with any snapshot


class Renamed(Exception):
    """A relation has another name, so everything that mentions it has to be read again."""


def read_all(ask: Ask) -> TrackedSnapshot:
    """The present schema."""
    return start(ask([SNAPSHOT_SQL]))


def read_changes(state: Snapshot, ask: Ask) -> TrackedSnapshot:
    """The present schema, where `state` was an earlier one."""
    if not isinstance(state, TrackedSnapshot):
        return read_all(ask)
    try:
        return advance(state, _changes_since(state, ask)) or read_all(ask)
    except Renamed:
        return advance(state, _changes_since(state, ask, has_renamed=True), may_rename=True) or read_all(ask)


def statements_for_changes(state: Snapshot) -> list[str]:
    """The statements that `read_changes` runs first. None where it reads everything."""
    return _statements(state) if isinstance(state, TrackedSnapshot) else []


def has_rare(state: Snapshot) -> bool:
    """Whether objects of rare kinds may exist, such as event triggers; schemas and extensions do not count."""
    return not isinstance(state, TrackedSnapshot) or any(
        unit.partition(" ")[0] not in _ALWAYS_THERE for unit in state.rare_units
    )


def _statements(state: TrackedSnapshot, has_renamed: bool = False) -> list[str]:
    return [set_marker_sql(state.marker, has_renamed), f"EXECUTE {CHANGES if has_rare(state) else CHANGES_OF_TABLES}"]


def _changes_since(state: TrackedSnapshot, ask: Ask, has_renamed: bool = False) -> str:
    text: str | None = ask(_statements(state, has_renamed))
    if text is None:
        marker, execute = set_marker_sql(state.marker, has_renamed), f"EXECUTE {CHANGES}"
        text = ask([marker, execute]) or ask([*_PREPARING, marker, execute])
    return text


_PREPARING = [
    *(f"PREPARE {name} AS {statement}" for name, statement in PREPARED.items()),
    WITHOUT_SEQSCANS,
    *(f"EXPLAIN (FORMAT JSON) EXECUTE {name}" for name in PREPARED),  # so that it is planned now
    WITH_SEQSCANS,
]


def start(text: str) -> TrackedSnapshot:
    """The state in an answer to `SNAPSHOT_SQL`."""
    answer = json.loads(text)
    comments = _comments(answer["comments"])
    units: dict[Unit, dict[int, tuple[Key, Definition]]] = {}
    objects: dict[Key, Definition] = {}
    for unit, part, key, definition in _entries(itertools.chain(answer["objects"], answer["rare"])):
        units.setdefault(unit, {})[part] = (key, definition)
        objects[key] = _with_comment(definition, comments.get(f"{unit} {part}"))
    return TrackedSnapshot(
        objects=objects,
        marker=int(answer["marker"]) % _XIDS,
        epoch=answer["epoch"],
        units=units,
        rare_units=frozenset(_unit(row) for row in answer["rare"]),
        comments=comments,
        inherits=frozenset(_split(answer["inherits"], ",")),
        serial=next(_serials),
    )


def advance(state: TrackedSnapshot, text: str, *, may_rename: bool = False) -> TrackedSnapshot | None:
    """The state after `state`, by an answer to `CHANGES`; None if everything has to be read again.

    Raises Renamed if a relation has another name, unless the answer has everything that mentions it.
    """
    answer = json.loads(text)
    if answer["epoch"] != state.epoch:
        return None
    inherits = frozenset(_split(answer["inherits"], ","))
    gone = state.units.keys() - state.rare_units - _alive(answer["alive"])
    outdated = gone | state.rare_units | state.units.keys() & set(answer["reached"])
    if not _accounts_for(state.inherits - inherits, outdated) or _leaves_replica_identity(state, outdated):
        return None
    rows = [*_entries(itertools.chain(answer["objects"], answer["rare"]))]
    if not may_rename and any(_is_renamed(state.units.get(unit), part, key) for unit, part, key, _ in rows):
        raise Renamed
    draft = _Draft(dict(state.objects), dict(state.units), dict(state.comments))
    draft.retire(outdated)
    comments = draft.update_comments(answer)
    draft.take_rows(rows)
    draft.take_comments(comments)
    changed = draft.share_equal_definitions(state.objects)
    return TrackedSnapshot(
        objects=draft.objects if changed else state.objects,
        marker=int(answer["marker"]) % _XIDS,
        epoch=state.epoch,
        units=draft.units,
        rare_units=frozenset(_unit(row) for row in answer["rare"]),
        comments=draft.comments,
        inherits=inherits,
        serial=next(_serials),
        touched=(*state.touched, (state.serial, changed))[-_REMEMBERED_STEPS:],
    )


@dataclass
class _Draft:
    """The next state while it is put together."""

    objects: dict[Key, Definition]
    units: dict[Unit, Entries]
    comments: dict[str, str]
    touched: set[Key] = field(default_factory=set)

    def retire(self, outdated: Iterable[Unit]) -> None:
        """Remove what is gone or is in the answer again."""
        for unit in outdated:
            for key, _ in self.units.pop(unit).values():
                self.objects.pop(key, None)
                self.touched.add(key)

    def update_comments(self, answer: Mapping[str, Any]) -> set[str]:
        """Bring the comments up to date. Returns those that have changed."""
        fresh = _comments(answer["comments"])
        changed = {comment for comment, text in fresh.items() if self.comments.get(comment) != text}
        self.comments.update(fresh)
        for comment in self.comments.keys() - set(_split(answer["commented"], ",")):
            del self.comments[comment]
            changed.add(comment)
        return changed

    def take_rows(self, rows: Iterable[tuple[Unit, int, Key, Definition]]) -> None:
        fresh: dict[Unit, dict[int, tuple[Key, Definition]]] = {}
        for unit, part, key, definition in rows:
            fresh.setdefault(unit, {})[part] = (key, definition)
            self.objects[key] = _with_comment(definition, self.comments.get(f"{unit} {part}"))
            self.touched.add(key)
        self.units.update(fresh)

    def take_comments(self, changed: Iterable[str]) -> None:
        """Give the objects their changed comments, also those of which no row is in the answer."""
        for name in changed:
            unit, _, number = name.rpartition(" ")
            entry = self.units.get(unit, {}).get(int(number))
            if entry is not None:
                key, definition = entry
                self.objects[key] = _with_comment(definition, self.comments.get(name))
                self.touched.add(key)

    def share_equal_definitions(self, before: Mapping[Key, Definition]) -> frozenset[Key]:
        """Use the earlier definition where it is equal, so that comparing is quick. Returns the keys that differ."""
        changed = set()
        for key in self.touched:
            if key in before and self.objects.get(key) == before[key]:
                self.objects[key] = before[key]
            else:
                changed.add(key)
        return frozenset(changed)


def difference_between(before: Snapshot, after: Snapshot) -> tuple[Change, ...]:
    """The same as `difference`, faster if `after` was read as changes since `before`."""
    if isinstance(before, TrackedSnapshot) and isinstance(after, TrackedSnapshot):
        if before is after:
            return ()
        for index, (serial, _) in enumerate(after.touched):
            if serial == before.serial:
                return difference(before, after, among=frozenset().union(*(keys for _, keys in after.touched[index:])))
    return difference(before, after)


def renames_between(before: Snapshot, after: Snapshot) -> tuple[Rename, ...]:
    """The objects that have another name, schema or table. They are known by their oids, and columns by their numbers:
    two that have exchanged their names are found too."""
    if before is after or not isinstance(before, TrackedSnapshot) or not isinstance(after, TrackedSnapshot):
        return ()
    renames = [
        Rename(key, now[part][0])
        for unit, then in before.units.items()
        if (now := after.units.get(unit)) is not None and now is not then
        for part, (key, _) in then.items()
        if part in now and now[part][0] != key
    ]
    return tuple(sorted(renames, key=lambda each: sort_key(each.before)))


def _split(text: str, separator: str) -> list[str]:
    return text.split(separator) if text else []


def _unit(row: Row) -> Unit:
    return f"{row[0]} {row[1]}"


def _is_renamed(entries: Entries | None, part: int, key: Key) -> bool:
    return entries is not None and part == 0 and 0 in entries and entries[0][0] != key


def _entries(rows: Iterable[Row]) -> Iterator[tuple[Unit, int, Key, Definition]]:
    for class_, object_, part, kind, schema, name, table, definition in rows:
        yield f"{class_} {object_}", part, Key(kind, schema, name, table), resolve_privileges(definition)


def _comments(rows: Iterable[Row]) -> dict[str, str]:
    return {f"{class_} {object_} {part}": comment for class_, object_, part, comment in rows}


def _with_comment(definition: Definition, comment: str | None) -> Definition:
    return definition if comment is None else {**definition, "comment": comment}


def _alive(objects_by_class: Mapping[str, str]) -> set[Unit]:
    """Units from {"1259": "16388 16390"}, without a loop over thousands of them."""
    alive: set[Unit] = set()
    for class_, objects in objects_by_class.items():
        if objects:
            alive.update(f"{class_} {objects.replace(' ', f',{class_} ')}".split(","))
    return alive


def _leaves_replica_identity(state: TrackedSnapshot, outdated: set[Unit]) -> bool:
    """Whether the index of a replica identity has changed, and its table was not read again, to which no dependency
    leads from the index."""
    changed = (key for unit in outdated for key, _ in state.units[unit].values() if key.kind in ("index", "constraint"))
    for key in changed:
        table = Key("table", key.schema, key.table)
        identity = str(state.objects.get(table, {}).get("replica_identity", ""))
        is_it = unquoted(identity.removeprefix("index ")) == key.name
        if is_it and not _is_among(table, state, outdated):
            return True
    return False


def _is_among(key: Key, state: TrackedSnapshot, units: set[Unit]) -> bool:
    return any(entry[0] == key for unit in units for part, entry in state.units[unit].items() if part == 0)


def _accounts_for(lost: Iterable[str], outdated: set[Unit]) -> bool:
    """Whether each child that lost a parent was read again, or is gone itself."""
    return all(f"{_PG_CLASS} {pair.partition(' ')[0]}" in outdated for pair in lost)


# Oids of catalogs are the same everywhere (src/include/catalog): pg_class; pg_namespace and pg_extension.
_PG_CLASS = 1259
_ALWAYS_THERE = ("2615", "3079")
