"""What differs between two snapshots, and how to say it to a tired person.

Identity is a name, with one exception. PostgreSQL names what nobody named, and numbers such names where they meet
(`orders_check`, `orders_check1`), so the number tells only in which order things were made. Two constraints or indexes of
one table whose names PostgreSQL would have given, and which differ in nothing but that number, are the same. All
else in a name counts, since a later `DROP CONSTRAINT` would need it.

Where the two schemas were not made by the same statements (`same_history=False`: what the models create against
what the migrations made), the whole of such a name is forgiven. After `ALTER TABLE user RENAME TO users` the
primary key is still called `user_pkey`, and the models say `users_pkey` without anyone having chosen either.
"""

from __future__ import annotations

import json
import re
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import Any

from app.gate.recording.model import Change, Definition, Key, Snapshot

# The endings that ChooseConstraintName and ChooseIndexName give in PostgreSQL's source.
_GENERATED_NAME = re.compile(r"(?P<stem>.+)_(?P<label>check|fkey|key|pkey|excl|idx|stat)(?P<number>\d*)", re.DOTALL)
_LONGEST_NAME_BYTES = 63


_WHOLES = ("table", "foreign table", "view", "materialized view", "domain")
_PARTS = ("column", "constraint", "index", "trigger", "rule", "policy", "statistics", "domain constraint")


def place(key: Key) -> tuple[str, str, int, str, str]:
    """Where an object stands in a list for people: what is of no schema first, and a table's parts after the table."""
    rank = 0 if key.kind in _WHOLES else 1 + _PARTS.index(key.kind) if key.kind in _PARTS else len(_PARTS) + 1
    return (key.schema, key.table or key.name, rank, key.kind, key.name)


def difference(
    before: Snapshot, after: Snapshot, *, among: Collection[Key] | None = None, same_history: bool = True
) -> tuple[Change, ...]:
    """The objects that differ, in the order of `place`. `among` names the only ones that can, where that is known."""
    old, new = before.objects, after.objects
    if among is None:
        # Snapshots that were read one after the other share what did not change, hence `is not`.
        keys = [key for key, definition in old.items() if new.get(key) is not definition]
        keys += list(new.keys() - old.keys())
    else:
        keys = list(among)
    changes = [
        Change(key, old.get(key), new.get(key))
        for key in keys
        if old.get(key) is not new.get(key) and old.get(key) != new.get(key)
    ]
    if not changes:
        return ()
    changes = list(_forgive_names(changes, same_history))
    if not same_history:
        changes = list(_forgive_sequences(changes, before, after))
    return tuple(sorted(changes, key=lambda change: place(change.key)))


def _family(key: Key, same_history: bool) -> tuple[str, ...] | None:
    """Objects of one family are interchangeable if their definitions are equal."""
    if key.kind not in ("constraint", "index", "statistics"):
        return None
    match = _GENERATED_NAME.fullmatch(key.name)
    if match is None:
        return None
    stem = match["stem"] if same_history else ""
    if len(key.name.encode()) >= _LONGEST_NAME_BYTES:
        stem = stem[:20]  # a name that is too long loses one more character for each digit
    return (key.kind, key.schema, key.table, stem, match["label"])


def _forgive_names(changes: list[Change], same_history: bool) -> Iterator[Change]:
    families: dict[tuple[str, ...], list[Change]] = defaultdict(list)
    for change in changes:
        family = _family(change.key, same_history)
        if family is None:
            yield change
        else:
            families[family].append(change)
    for members in families.values():
        old = {change.key: change.before for change in members if change.before is not None}
        new = {change.key: change.after for change in members if change.after is not None}
        for key, definition in list(old.items()):
            twin = next((other for other, candidate in new.items() if candidate == definition), None)
            if twin is not None:
                del old[key], new[twin]
        for key in {**old, **new}:
            yield Change(key, old.get(key), new.get(key))


def _forgive_sequences(changes: list[Change], before: Snapshot, after: Snapshot) -> Iterator[Change]:
    """Without the changes that are only the name of a sequence which PostgreSQL made for a `serial` column."""
    old, new = _sequences_by_owner(before), _sequences_by_owner(after)
    same = {
        owner
        for owner in old.keys() & new.keys()
        if before.objects[old[owner]] == after.objects[new[owner]] and old[owner] != new[owner]
    }
    forgiven = {old[owner] for owner in same} | {new[owner] for owner in same}
    for change in changes:
        if change.key in forgiven:
            continue
        if change.key.kind == "column" and change.before is not None and change.after is not None:
            owner = f"{change.key.schema}.{change.key.table}.{change.key.name}"
            if owner in same and _without_sequence(change.before) == _without_sequence(change.after):
                continue
        yield change


def _sequences_by_owner(snapshot: Snapshot) -> dict[str, Key]:
    """{"public.orders.id": the key of public.orders_id_seq}, for sequences that are named as `serial` names them."""
    return {
        definition["owned_by"].replace('"', ""): key
        for key, definition in snapshot.objects.items()
        if key.kind == "sequence" and definition.get("owned_by") and re.fullmatch(r".+_seq\d*", key.name)
    }


def _without_sequence(definition: Definition) -> dict[str, Any]:
    default = re.sub(r"^nextval\('.*'::regclass\)$", "nextval", str(definition.get("default")))
    return {**definition, "default": default}


def without_unsteady(changes: Iterable[Change], unsteady: Iterable[Change]) -> tuple[Change, ...]:
    """Without what differs between any two runs: a value that is computed anew each time, or a name."""
    known = {trait for change in unsteady for trait in _traits(change)}
    return tuple(change for change in changes if known.isdisjoint(_traits(change)))


def _traits(change: Change) -> Iterator[tuple[str, ...]]:
    key = change.key
    yield key
    if change.before is None or change.after is None:
        yield (key.kind, key.schema, key.table)


def named(key: Key) -> str:
    """What the object is called: "column public.orders.note", "constraint orders_total_check on public.orders"."""
    if key.kind == "column":
        return f"column {key.schema}.{key.table}.{key.name}"
    if key.table and key.kind not in ("index", "statistics"):
        return f"{key.kind} {key.name} on {key.schema}.{key.table}"
    return f"{key.kind} {key.schema}.{key.name}" if key.schema else f"{key.kind} {key.name}"


def describe(change: Change) -> str:
    """One line: "column public.orders.note: type character varying(10) -> character varying(20)"."""
    if change.before is None:
        return f"{named(change.key)} is new"
    if change.after is None:
        return f"{named(change.key)} is gone"
    return f"{named(change.key)}: {'; '.join(_in_words(change.key, change.before, change.after))}"


def describe_all(changes: Iterable[Change]) -> list[str]:
    """One line for each change. What belongs to a table that is itself new or gone goes without saying, and something gone
    that is back under another name is said to be."""
    changes = list(changes)
    told = list(without_parts(changes))
    renamed = dict(_renames(told, changes))
    taken = set(renamed.values())
    lines = []
    for change in told:
        if change.key in taken:
            continue
        if change.key in renamed:
            new = renamed[change.key]
            lines.append(f"{named(change.key)} is gone, and {named(new)} is new with the same definition (renamed?)")
        else:
            lines.append(describe(change))
    return lines


def without_parts(changes: Iterable[Change]) -> Iterator[Change]:
    """Without the columns, constraints, indexes and so on of tables that are themselves new or gone."""
    changes = list(changes)
    whole = {
        (change.key.schema, change.key.name)
        for change in changes
        if change.key.kind in _WHOLES and (change.before is None or change.after is None)
    }
    for change in changes:
        if change.key.kind not in _PARTS or (change.key.schema, change.key.table) not in whole:
            yield change


def _renames(told: list[Change], changes: list[Change]) -> Iterator[tuple[Key, Key]]:
    """(gone, new) where one object went and just one other of the same kind, place and definition came."""
    columns: dict[Key, list[str]] = defaultdict(list)  # by the table, whatever its kind
    for change in changes:
        if change.key.kind == "column":
            column = f"{change.key.name} {_canonical(change)}"
            columns[Key("", change.key.schema, change.key.table)].append(column)
    groups: dict[tuple[str, ...], tuple[list[Key], list[Key]]] = defaultdict(lambda: ([], []))
    for change in told:
        key = change.key
        if change.before is not None and change.after is not None:
            continue
        own = sorted(columns[Key("", key.schema, key.name)]) if key.kind in _WHOLES else ()
        gone, new = groups[key.kind, key.schema, key.table, _canonical(change), *own]
        (new if change.before is None else gone).append(key)
    for gone, new in groups.values():
        if len(gone) == len(new) == 1 and gone[0].kind != "schema":
            yield gone[0], new[0]


def _canonical(change: Change) -> str:
    return json.dumps(change.after if change.before is None else change.before, sort_keys=True)


def _in_words(key: Key, before: Definition, after: Definition) -> Iterator[str]:
    for field in sorted(before.keys() | after.keys(), key=lambda name: (name not in ("type", "definition"), name)):
        old, new = before.get(field), after.get(field)
        if old == new or (field in ("columns", "references") and before.get("definition") != after.get("definition")):
            continue  # the definition says it
        label = field.replace("_", " ")
        if field == "nullable":
            yield "NOT NULL is gone" if new else "NOT NULL is new"
        elif field == "labels":
            yield from _labels_in_words(old or [], new or [])
        elif field == "privileges":
            yield from _privileges_in_words(old, new)
        elif field in ("validated", "index_valid", "valid"):
            yield f"no longer {label}" if new is False else f"now {label}"
        elif isinstance(old, list) or isinstance(new, list):
            yield from _list_in_words(label, old or [], new or [])
        elif old is None:
            yield f"{label} {_shown(new)} is new"
        elif new is None:
            yield f"{label} {_shown(old)} is gone"
        else:
            yield f"{label} {_shown(old)} -> {_shown(new)}"


def _shown(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, (list, dict)):
        return (
            ", ".join(f"{name} {each}" for name, each in value.items()) if isinstance(value, dict) else ", ".join(value)
        )
    return " ".join(str(value).split())


def _labels_in_words(old: list[str], new: list[str]) -> Iterator[str]:
    for label in old:
        if label not in new:
            yield f"label '{label}' is gone"
    for position, label in enumerate(new):
        if label not in old:
            yield f"label '{label}' added " + (f"after '{new[position - 1]}'" if position else "at the start")
    if [label for label in old if label in new] != [label for label in new if label in old]:
        yield f"labels in another order: {', '.join(old)} -> {', '.join(new)}"


def _privileges_in_words(old: Mapping[str, str] | None, new: Mapping[str, str] | None) -> Iterator[str]:
    old, new = old or {}, new or {}
    for who in sorted(old.keys() | new.keys()):
        if old.get(who) != new.get(who):
            yield f"privileges of {who} {old.get(who, 'as by default')} -> {new.get(who, 'as by default')}"


def _list_in_words(label: str, old: list[Any], new: list[Any]) -> Iterator[str]:
    gone = [str(each) for each in old if each not in new]
    added = [str(each) for each in new if each not in old]
    if gone:
        yield f"{label} {', '.join(gone)} gone"
    if added:
        yield f"{label} {', '.join(added)} new"
    if not gone and not added:
        yield f"{label} in another order: {', '.join(map(str, old))} -> {', '.join(map(str, new))}"
