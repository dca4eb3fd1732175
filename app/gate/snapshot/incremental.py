"""Following a schema from step to step without reading all of it again.

    state = begin(ask)              # reads everything
    state = follow(state, ask)      # reads what may have changed since, and gives the schema as it is now
    difference_between(old, state)  # looks only at what was touched on the way

`ask` runs statements one after another in one transaction on a connection of the same database, and gives the last one's
single value; None, without going on, once a value is NULL. A `State` is an immutable value: after a rollback the caller goes on from an older one.

How a change is noticed. Each row of a catalog names the transaction that wrote it (`xmin`). A state's marker is the oldest
transaction that was still under way when it was read, or else the next one: whatever is written afterwards is at least as
young, whether in the same transaction, under a savepoint, in several transactions, or outside of one; and what was
rolled back is not there to be seen. So rows that are no older than the marker are read again, and with them everything
that depends on them (`pg_depend`, to any depth), since a new name shows in the definitions that mention it. Of a table or an
index that is only so if it does have a new name, since nearly everything that happens to a table writes its row. A row that is
gone tells nobody: those are found by what is left, for the kinds of objects that can go without a row of their owner
being written. What can change without either (names of roles and tablespaces, what belongs to an extension) goes into a
fingerprint; if that differs, everything is read again.
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from app.gate.postgres.prepared import WITH_SEQSCANS, WITHOUT_SEQSCANS
from app.gate.recording.model import Change, Definition, Key, Snapshot
from app.gate.snapshot._privileges import _finish
from app.gate.snapshot._queries import CHANGES, CHANGES_OF_TABLES, PREPARED, SNAPSHOT_SQL, set_marker_sql
from app.gate.snapshot.difference import difference

Ask = Callable[[Sequence[str]], Any]

_XIDS = 2**32
# How far back a state remembers what was touched: up, down and up again, and a step that changed nothing between.
_REMEMBERED_STEPS = 6

_serials = itertools.count()

Row = Sequence[Any]  # (class, object, part, kind, schema, name, table, definition)
Unit = str  # "1259 16388": a row of pg_class
Entries = Mapping[int, tuple[Key, Definition]]  # by part: 0 is the table itself, 2 its second column


@dataclass(frozen=True, kw_only=True, eq=False)
class TrackedSnapshot(Snapshot):
    """A snapshot together with what is needed to go on from there. Two are equal if their objects are."""

    marker: int  # the first transaction whose writing may be missing, without its epoch
    epoch: str
    units: Mapping[Unit, Entries]
    rare_units: frozenset[Unit]
    comments: Mapping[str, str]  # "1259 16388 2": the comment on a second column
    inherits: frozenset[str]  # "16395 16388": the first inherits from the second
    serial: int
    touched: tuple[tuple[int, frozenset[Key]], ...] = ()  # after which state, and which keys

    def __eq__(self, other: object) -> bool:
        return self.objects == other.objects if isinstance(other, Snapshot) else NotImplemented

    __hash__ = None  # type: ignore[assignment]  # as with any snapshot


class Renamed(Exception):
    """A relation has another name, so whatever mentions it has to be read again."""


FIRST_QUESTION = [SNAPSHOT_SQL]  # of `begin`


def read_all(ask: Ask) -> TrackedSnapshot:
    """The schema as it is now."""
    return start(ask(FIRST_QUESTION))


def read_changes(state: Snapshot, ask: Ask) -> TrackedSnapshot:
    """The schema as it is now, `state` having been what it was."""
    if not isinstance(state, TrackedSnapshot):
        return read_all(ask)
    try:
        return advance(state, _changes_since(state, ask)) or read_all(ask)
    except Renamed:
        return advance(state, _changes_since(state, ask, has_renamed=True), may_rename=True) or read_all(ask)


def has_rare(state: Snapshot) -> bool:
    """Whether there may be anything of the kinds that a schema has few of, such as event triggers; schemas and extensions do not count."""
    return not isinstance(state, TrackedSnapshot) or any(
        unit.partition(" ")[0] not in _ALWAYS_THERE for unit in state.rare_units
    )


def _question(state: TrackedSnapshot, has_renamed: bool = False) -> list[str]:
    return [set_marker_sql(state.marker, has_renamed), f"EXECUTE {CHANGES if has_rare(state) else CHANGES_OF_TABLES}"]


def _changes_since(state: TrackedSnapshot, ask: Ask, has_renamed: bool = False) -> str:
    text: str | None = ask(_question(state, has_renamed))
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
    """The state after `state` that an answer to `CHANGES` tells of, or None if everything has to be read again.

    Raises Renamed where a relation has another name, unless the answer holds all that mentions it.
    """
    answer = json.loads(text)
    if answer["epoch"] != state.epoch:
        return None
    inherits = frozenset(_split(answer["inherits"], ","))
    gone = state.units.keys() - state.rare_units - _alive(answer["alive"])
    outdated = gone | state.rare_units | state.units.keys() & set(answer["reached"])
    if not _accounts_for(state.inherits - inherits, outdated):
        return None

    rows = [*_entries(itertools.chain(answer["objects"], answer["rare"]))]
    if not may_rename and any(_is_renamed(state.units.get(unit), part, key) for unit, part, key, _ in rows):
        raise Renamed
    units = dict(state.units)
    objects = dict(state.objects)
    comments = dict(state.comments)
    recommented = _update_comments(comments, answer)
    touched: set[Key] = set()
    for unit in outdated:
        for key, _ in units.pop(unit).values():
            objects.pop(key, None)
            touched.add(key)

    fresh: dict[Unit, dict[int, tuple[Key, Definition]]] = {}
    for unit, part, key, definition in rows:
        fresh.setdefault(unit, {})[part] = (key, definition)
        objects[key] = _with_comment(definition, comments.get(f"{unit} {part}"))
        touched.add(key)
    units.update(fresh)
    for name in recommented:
        unit, _, number = name.rpartition(" ")
        entry = units.get(unit, {}).get(int(number))
        if entry is not None:
            key, definition = entry
            objects[key] = _with_comment(definition, comments.get(name))
            touched.add(key)

    before = state.objects
    changed = set()
    for key in touched:
        if key in before and objects.get(key) == before[key]:
            objects[key] = before[key]  # shared, so that comparing the two is quick
        else:
            changed.add(key)
    return TrackedSnapshot(
        objects=objects if changed else state.objects,
        marker=int(answer["marker"]) % _XIDS,
        epoch=state.epoch,
        units=units,
        rare_units=frozenset(_unit(row) for row in answer["rare"]),
        comments=comments,
        inherits=inherits,
        serial=next(_serials),
        touched=(*state.touched, (state.serial, frozenset(changed)))[-_REMEMBERED_STEPS:],
    )


def difference_between(before: Snapshot, after: Snapshot) -> tuple[Change, ...]:
    """What `difference` gives, in a time that depends on what was touched if `after` came from `before`."""
    if isinstance(before, TrackedSnapshot) and isinstance(after, TrackedSnapshot):
        if before is after:
            return ()
        for index, (serial, _) in enumerate(after.touched):
            if serial == before.serial:
                return difference(before, after, among=frozenset().union(*(keys for _, keys in after.touched[index:])))
    return difference(before, after)


def _split(text: str, separator: str) -> list[str]:
    return text.split(separator) if text else []


def _unit(row: Row) -> Unit:
    return f"{row[0]} {row[1]}"


def _is_renamed(entries: Entries | None, part: int, key: Key) -> bool:
    return entries is not None and part == 0 and 0 in entries and entries[0][0] != key


def _entries(rows: Iterable[Row]) -> Iterator[tuple[Unit, int, Key, Definition]]:
    for class_, object_, part, kind, schema, name, table, definition in rows:
        yield f"{class_} {object_}", part, Key(kind, schema, name, table), _finish(definition)


def _comments(rows: Iterable[Row]) -> dict[str, str]:
    return {f"{class_} {object_} {part}": comment for class_, object_, part, comment in rows}


def _with_comment(definition: Definition, comment: str | None) -> Definition:
    return definition if comment is None else {**definition, "comment": comment}


def _alive(objects_by_class: Mapping[str, str]) -> set[Unit]:
    """Units from {"1259": "16388 16390"}, put together without a loop over thousands of them."""
    alive: set[Unit] = set()
    for class_, objects in objects_by_class.items():
        if objects:
            alive.update(f"{class_} {objects.replace(' ', f',{class_} ')}".split(","))
    return alive


def _accounts_for(lost: Iterable[str], outdated: set[Unit]) -> bool:
    """Whether each child that lost a parent is told again, or gone itself."""
    return all(f"{_PG_CLASS} {pair.partition(' ')[0]}" in outdated for pair in lost)


# Oids of catalogs are the same everywhere (src/include/catalog): pg_class; pg_namespace and pg_extension.
_PG_CLASS = 1259
_ALWAYS_THERE = ("2615", "3079")


def _update_comments(comments: dict[str, str], answer: Mapping[str, Any]) -> set[str]:
    """Bring `comments` up to date. Gives which have changed."""
    fresh = _comments(answer["comments"])
    changed = {comment for comment, text in fresh.items() if comments.get(comment) != text}
    comments.update(fresh)
    for comment in comments.keys() - set(_split(answer["commented"], ",")):
        del comments[comment]
        changed.add(comment)
    return changed
