"""Recordings in a file, so that a check can be developed and tested without a database."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import types
from collections.abc import Callable, Iterable, Mapping, Sequence
from enum import StrEnum
from functools import cache
from pathlib import Path
from typing import Any, Union, cast, get_args, get_origin, get_type_hints

from app.gate.files import write_atomically
from app.gate.recording.model import Definition, Key, Recording, Snapshot


def save(recordings: Sequence[Recording], path: Path) -> None:
    """Write the recordings of one run as JSON. Raises OSError."""
    write_atomically(path, json.dumps([_plain(each) for each in recordings], indent=1))


def load(path: Path) -> list[Recording]:
    """The recordings that `save` wrote to that file. Raises OSError, and ValueError if it contains something else."""
    try:
        return [_from_plain(Recording, each) for each in json.loads(path.read_text("utf-8"))]
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"{path} holds no recordings: {error}") from error


def _plain(value: Any) -> Any:
    if isinstance(value, Snapshot):
        return to_json(value)
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {each.name: _plain(getattr(value, each.name)) for each in dataclasses.fields(value)}
    if isinstance(value, Mapping):
        return {name: _plain(each) for name, each in value.items()}
    if isinstance(value, frozenset):
        return sorted(value)
    if isinstance(value, (list, tuple)):
        return [_plain(each) for each in value]
    return value


def _from_plain(kind: Any, value: Any) -> Any:
    """The value of that type, from what `_plain` returned."""
    origin, arguments = get_origin(kind), get_args(kind)
    if origin in (Union, types.UnionType):
        wanted = [each for each in arguments if each is not type(None)]
        return None if value is None else _from_plain(wanted[0], value)
    if origin is tuple:
        kinds = [arguments[0]] * len(value) if arguments[-1] is Ellipsis else arguments
        return tuple(_from_plain(each, item) for each, item in zip(kinds, value, strict=True))
    if origin is frozenset:
        return frozenset(value)
    if isinstance(origin, type) and issubclass(origin, Mapping):
        return {name: _from_plain(arguments[1], each) for name, each in value.items()}
    if kind is Snapshot:
        return from_json(value)
    if kind is Key:
        return Key(*value)
    if isinstance(kind, type) and issubclass(kind, StrEnum):
        return kind(value)
    if isinstance(kind, type) and dataclasses.is_dataclass(kind):
        hints = _hints(kind)
        return cast(Any, kind)(**{name: _from_plain(hints[name], each) for name, each in value.items()})
    return value


@cache
def _hints(kind: type) -> dict[str, Any]:
    return get_type_hints(kind)


def to_json(snapshot: Snapshot) -> list[dict[str, Any]]:
    """Its objects in order of schema, table, kind and name: {"kind", "schema", "name", "table", "definition"}."""
    return [
        object_entry(key, definition)
        for key, definition in sorted(snapshot.objects.items(), key=lambda item: sort_key(item[0]))
    ]


def object_entry(key: Key, definition: Definition | None) -> dict[str, Any]:
    return {
        "kind": key.kind,
        "schema": key.schema,
        "name": key.name,
        **({"table": key.table} if key.table else {}),
        "definition": None if definition is None else dict(definition),
    }


def key_of(entry: Mapping[str, Any]) -> Key:
    """The key in what `object_entry` returned. Raises KeyError."""
    return Key(entry["kind"], entry["schema"], entry["name"], entry.get("table", ""))


def from_json(objects: Iterable[dict[str, Any]]) -> Snapshot:
    """The snapshot of which `to_json` made that list."""
    return Snapshot({key_of(each): each["definition"] for each in objects})


def digest(snapshot: Snapshot) -> str:
    """64 hexadecimal digits that identify the schema, in whatever order and process its objects were read."""
    return RunningDigest().of(snapshot)


class RunningDigest:
    """The digest of a schema that changes. Only objects that have changed since the last time are hashed again.

    The digest is that of the sum of the objects' hashes, which does not depend on their order, and from which an object
    can be subtracted. With hashes of 2,048 bits, another set of objects with the same sum cannot be found.
    """

    _BYTES = 256

    def __init__(self, leaves_out: Callable[[Key, Definition], bool] = lambda key, definition: False) -> None:
        """`leaves_out`: whether an object is to be left out of it."""
        self._leaves_out = leaves_out
        self._snapshot = Snapshot({})
        self._sum = 0
        self._digest = self._of_sum()

    def of(self, snapshot: Snapshot) -> str:
        if snapshot is self._snapshot:
            return self._digest
        old, new = self._snapshot.objects, snapshot.objects
        for key in old.keys() - new.keys():
            self._sum -= self._hash(key, old[key])
        for key, definition in new.items():
            before = old.get(key)
            if before is definition:
                continue
            if before is not None:
                self._sum -= self._hash(key, before)
            self._sum += self._hash(key, definition)
        self._snapshot, self._digest = snapshot, self._of_sum()
        return self._digest

    def _of_sum(self) -> str:
        return hashlib.sha256((self._sum % (1 << 8 * self._BYTES)).to_bytes(self._BYTES, "big")).hexdigest()

    def _hash(self, key: Key, definition: Definition) -> int:
        if self._leaves_out(key, definition):
            return 0
        text = json.dumps([*key, definition], sort_keys=True, separators=(",", ":"), ensure_ascii=False)
        return int.from_bytes(hashlib.shake_256(text.encode(errors="surrogatepass")).digest(self._BYTES), "big")


WHOLES = ("table", "foreign table", "view", "materialized view", "domain")
PARTS = ("column", "constraint", "index", "trigger", "rule", "policy", "statistics", "domain constraint")


def sort_key(key: Key) -> tuple[str, str, int, str, str]:
    """An object's position in a human-readable list: without a schema first, a table's parts after the table."""
    rank = 0 if key.kind in WHOLES else 1 + PARTS.index(key.kind) if key.kind in PARTS else len(PARTS) + 1
    return (key.schema, key.table or key.name, rank, key.kind, key.name)
