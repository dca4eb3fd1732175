"""What differs between two snapshots.

Objects are identified by name, with one exception. PostgreSQL generates names for unnamed constraints and indexes, and
numbers them where they would be equal (`orders_check`, `orders_check1`), so the number depends only on the order of
creation. Two constraints or indexes of one table that have such names, and differ only in that number, are the same.
The rest of a name counts, since a later `DROP CONSTRAINT` would need it.

Where the two schemas were not created by the same statements (`same_history=False`: what the models create compared
with what the migrations created), such a name is ignored entirely. After `ALTER TABLE user RENAME TO users` the primary
key is still called `user_pkey`, and the models create `users_pkey`, although neither name was chosen by the project.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator
from typing import Any

from app.gate.postgres.quoting import unquoted
from app.gate.recording.model import Change, Definition, Key, Snapshot
from app.gate.recording.serialization import sort_key

# The suffixes of ChooseConstraintName and ChooseIndexName in PostgreSQL's source.
_GENERATED_NAME = re.compile(r"(?P<stem>.+)_(?P<label>check|fkey|key|pkey|excl|idx|stat)(?P<number>\d*)", re.DOTALL)
_LONGEST_NAME_BYTES = 63


def difference(
    before: Snapshot, after: Snapshot, *, among: Collection[Key] | None = None, same_history: bool = True
) -> tuple[Change, ...]:
    """The objects that differ, in the order of `sort_key`.

    `among` are the only ones that can differ, if the caller knows that.
    """
    old, new = before.objects, after.objects
    if among is None:
        # Snapshots that were read one after the other share unchanged definitions, hence `is not`.
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
    changes = list(_ignore_generated_names(changes, same_history))
    if not same_history:
        changes = list(_ignore_names_of_serials(changes, before, after))
    return tuple(sorted(changes, key=lambda change: sort_key(change.key)))


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


def _ignore_generated_names(changes: list[Change], same_history: bool) -> Iterator[Change]:
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
            equal = next((other for other, candidate in new.items() if candidate == definition), None)
            if equal is not None:
                del old[key], new[equal]
        for key in {**old, **new}:
            yield Change(key, old.get(key), new.get(key))


def _ignore_names_of_serials(changes: list[Change], before: Snapshot, after: Snapshot) -> Iterator[Change]:
    """Without the changes that are only the name of a sequence which PostgreSQL created for a `serial` column."""
    old, new = _sequences_by_owner(before), _sequences_by_owner(after)
    same = {
        owner
        for owner in old.keys() & new.keys()
        if before.objects[old[owner]] == after.objects[new[owner]] and old[owner] != new[owner]
    }
    ignored = {old[owner] for owner in same} | {new[owner] for owner in same}
    for change in changes:
        if change.key in ignored:
            continue
        if change.key.kind == "column" and change.before is not None and change.after is not None:
            owner = f"{change.key.schema}.{change.key.table}.{change.key.name}"
            if owner in same and _without_sequence(change.before) == _without_sequence(change.after):
                continue
        yield change


def _sequences_by_owner(snapshot: Snapshot) -> dict[str, Key]:
    """{"public.orders.id": the key of public.orders_id_seq}, for sequences that are named as `serial` names them."""
    return {
        unquoted(definition["owned_by"]): key
        for key, definition in snapshot.objects.items()
        if key.kind == "sequence" and definition.get("owned_by") and re.fullmatch(r".+_seq\d*", key.name)
    }


def _without_sequence(definition: Definition) -> dict[str, Any]:
    default = re.sub(r"^nextval\('.*'::regclass\)$", "", str(definition.get("default")))
    return {**definition, "default": default}


def without_nondeterministic(changes: Iterable[Change], nondeterministic: Iterable[Change]) -> tuple[Change, ...]:
    """Without what differs between any two runs: a value that is computed each time, or a name."""
    known = {trait for change in nondeterministic for trait in _traits(change)}
    return tuple(change for change in changes if known.isdisjoint(_traits(change)))


def _traits(change: Change) -> Iterator[tuple[str, ...]]:
    key = change.key
    yield key
    if change.before is None or change.after is None:
        yield (key.kind, key.schema, key.table)
