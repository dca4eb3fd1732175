"""Changes of a schema as human-readable text."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from app.gate.recording.model import Change, Definition, Key
from app.gate.recording.serialization import PARTS, WHOLES


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
    return f"{named(change.key)}: {'; '.join(_differences_in(change.key, change.before, change.after))}"


def describe_all(changes: Iterable[Change]) -> list[str]:
    """One line for each change. What belongs to a new or dropped table is left out, and an object that may have been
    renamed is one line."""
    changes = list(changes)
    shown = list(without_parts(changes))
    renamed = dict(_renames(shown, changes))
    taken = set(renamed.values())
    lines = []
    for change in shown:
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
        if change.key.kind in WHOLES and (change.before is None or change.after is None)
    }
    for change in changes:
        if change.key.kind not in PARTS or (change.key.schema, change.key.table) not in whole:
            yield change


def _renames(shown: list[Change], changes: list[Change]) -> Iterator[tuple[Key, Key]]:
    """(gone, new) where one object is gone and exactly one other of the same kind, table and definition is new."""
    columns: dict[Key, list[str]] = defaultdict(list)  # by the table, whatever its kind
    for change in changes:
        if change.key.kind == "column":
            column = f"{change.key.name} {_canonical(change)}"
            columns[Key("", change.key.schema, change.key.table)].append(column)
    groups: dict[tuple[str, ...], tuple[list[Key], list[Key]]] = defaultdict(lambda: ([], []))
    for change in shown:
        key = change.key
        if change.before is not None and change.after is not None:
            continue
        own = sorted(columns[Key("", key.schema, key.name)]) if key.kind in WHOLES else ()
        gone, new = groups[key.kind, key.schema, key.table, _canonical(change), *own]
        (new if change.before is None else gone).append(key)
    for group in groups.values():
        match group:
            case [old], [new_one] if old.kind != "schema":
                yield old, new_one


def _canonical(change: Change) -> str:
    return json.dumps(change.after if change.before is None else change.before, sort_keys=True)


def _differences_in(key: Key, before: Definition, after: Definition) -> Iterator[str]:
    for field in sorted(before.keys() | after.keys(), key=lambda name: (name not in ("type", "definition"), name)):
        old, new = before.get(field), after.get(field)
        if old == new or (field in ("columns", "references") and before.get("definition") != after.get("definition")):
            continue  # the definition says it
        label = field.replace("_", " ")
        if field == "nullable":
            yield "NOT NULL is gone" if new else "NOT NULL is new"
        elif field == "labels":
            yield from _label_differences(old or [], new or [])
        elif field == "privileges":
            yield from _privilege_differences(old, new)
        elif isinstance(old, bool) or isinstance(new, bool):
            is_now = new if isinstance(new, bool) else not old  # what is usual is left out
            yield f"now {label}" if is_now else f"no longer {label}"
        elif isinstance(old, list) or isinstance(new, list):
            yield from _list_differences(label, old or [], new or [])
        elif old is None:
            yield f"{label} {_shown(new)} is new"
        elif new is None:
            yield f"{label} {_shown(old)} is gone"
        else:
            yield f"{label} {_shown(old)} -> {_shown(new)}"


def _shown(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{name} {each}" for name, each in value.items())
    return " ".join(str(value).split())


def _label_differences(old: list[str], new: list[str]) -> Iterator[str]:
    for label in old:
        if label not in new:
            yield f"label '{label}' is gone"
    for position, label in enumerate(new):
        if label not in old:
            yield f"label '{label}' added " + (f"after '{new[position - 1]}'" if position else "at the start")
    if [label for label in old if label in new] != [label for label in new if label in old]:
        yield f"labels in another order: {', '.join(old)} -> {', '.join(new)}"


def _privilege_differences(old: Mapping[str, str] | None, new: Mapping[str, str] | None) -> Iterator[str]:
    old, new = old or {}, new or {}
    for who in sorted(old.keys() | new.keys()):
        if old.get(who) != new.get(who):
            yield f"privileges of {who} {old.get(who, 'as by default')} -> {new.get(who, 'as by default')}"


def _list_differences(label: str, old: list[Any], new: list[Any]) -> Iterator[str]:
    gone = [str(each) for each in old if each not in new]
    added = [str(each) for each in new if each not in old]
    if gone:
        yield f"{label} {', '.join(gone)} gone"
    if added:
        yield f"{label} {', '.join(added)} new"
    if not gone and not added:
        yield f"{label} in another order: {', '.join(map(str, old))} -> {', '.join(map(str, new))}"
