"""Recordings in a file, so that a check is developed and tested on what was seen once, without a database."""

from __future__ import annotations

import dataclasses
import json
import types
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any, Union, cast, get_args, get_origin, get_type_hints

from app.gate.files import write_atomically
from app.gate.recording.model import Key, Recording, Snapshot
from app.gate.snapshot import from_json, to_json


def save(recordings: Sequence[Recording], path: Path) -> None:
    """Write the recordings of one run as JSON. Raises OSError."""
    write_atomically(path, json.dumps([_plain(each) for each in recordings], indent=1))


def load(path: Path) -> list[Recording]:
    """The recordings of which `save` made that file. Raises OSError, and ValueError if it holds something else."""
    try:
        return [_made(Recording, each) for each in json.loads(path.read_text("utf-8"))]
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


def _made(kind: Any, value: Any) -> Any:
    """The value of that type of which `_plain` made the JSON."""
    origin, arguments = get_origin(kind), get_args(kind)
    if origin in (Union, types.UnionType):
        wanted = [each for each in arguments if each is not type(None)]
        return None if value is None else _made(wanted[0], value)
    if origin is tuple:
        kinds = [arguments[0]] * len(value) if arguments[-1] is Ellipsis else arguments
        return tuple(_made(each, item) for each, item in zip(kinds, value, strict=True))
    if origin is frozenset:
        return frozenset(value)
    if isinstance(origin, type) and issubclass(origin, Mapping):
        return {name: _made(arguments[1], each) for name, each in value.items()}
    if kind is Snapshot:
        return from_json(value)
    if kind is Key:
        return Key(*value)
    if isinstance(kind, type) and dataclasses.is_dataclass(kind):
        hints = _hints(kind)
        return cast(Any, kind)(**{name: _made(hints[name], each) for name, each in value.items()})
    return value


@cache
def _hints(kind: type) -> dict[str, Any]:
    return get_type_hints(kind)
