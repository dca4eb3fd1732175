"""Objects of a schema, and what changes about them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

Definition = Mapping[str, Any]  # JSON values only, e.g. {"type": "character varying(20)", "nullable": False}


TABLE_KINDS = ("table", "view", "materialized view", "foreign table")  # of a key: what has columns


class Key(NamedTuple):
    """Identity of a schema object: two snapshots hold the same object if the keys are equal."""

    kind: str  # "table", "column", "constraint", "index", "enum", "function", "trigger", ...
    schema: str  # "" for what lives outside of schemas, such as an extension
    name: str
    table: str = ""  # for what belongs to a table, that table's name


@dataclass(frozen=True)
class Snapshot:
    """The schema of a database, by PostgreSQL's own definitions."""

    objects: Mapping[Key, Definition]


@dataclass(frozen=True, slots=True)
class Change:
    """One object that differs between two snapshots. Added: `before` is None. Removed: `after` is None."""

    key: Key
    before: Definition | None
    after: Definition | None


@dataclass(frozen=True, slots=True)
class Rename:
    """One object by its two names. PostgreSQL knows that it is the same: a table by its oid, a column by its number."""

    before: Key
    after: Key
