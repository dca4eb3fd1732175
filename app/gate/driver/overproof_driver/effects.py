"""What one statement did, and the relations to which it did it."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Sequence

if TYPE_CHECKING:
    from . import protocol

TABLES = ("r", "p", "m", "f")
INDEXES = ("i", "I")

_UNITS_MS = {"": 1, "ms": 1, "s": 1000, "min": 60000, "h": 3600000, "d": 86400000}


class Relation:
    """A table, index or TOAST table, as it was when last seen."""

    __slots__ = ("filenode", "is_new", "is_temporary", "kind", "name", "owner")

    def __init__(self, row: Sequence[Any], is_new: bool = False) -> None:
        self.kind: str = row[1]
        self.name: str = row[2] + "." + row[3]
        self.owner: int = row[4]  # oid: of an index or a TOAST table, its table; of a partition, its parent; else 0
        self.filenode: int = row[5]  # 0 where it has no files
        self.is_temporary = bool(row[6])
        self.is_new = is_new  # the step made it

    @property
    def has_storage_of_its_own(self) -> bool:
        """Whether it is an ordinary table or a materialized view: what a rewrite gives new files."""
        return self.kind in ("r", "m")


class StatementEffects:
    """What one statement did, as it is found out."""

    def __init__(self, statement: str, lock_timeout: str | None) -> None:
        self.statement = statement
        self.lock_timeout = lock_timeout
        self.has_dropped = False  # a relation that was locked is not there any more
        self.locks: dict[str, set[str]] = {}
        self.rewrites: set[str] = set()
        self.emptied: set[str] = set()
        self.scans: set[str] = set()
        self.index_builds: set[str] = set()
        self.written: dict[str, int] = {}
        self.updated: dict[str, int] = {}

    def add_lock(self, table: str, mode: str) -> None:
        self.locks.setdefault(table, set()).add(mode)

    def to_message(self) -> protocol.Effects:
        """For the gate, less what is empty."""
        message: protocol.Effects = {}
        if self.locks:
            message["locks"] = {table: sorted(modes) for table, modes in self.locks.items()}
            timeout = milliseconds(self.lock_timeout)
            if timeout is not None:
                message["lock_timeout_ms"] = timeout
        if self.rewrites:
            message["rewrites"] = sorted(self.rewrites)
        if self.scans - self.emptied:
            message["scans"] = sorted(self.scans - self.emptied)
        if self.index_builds - self.emptied:
            message["index_builds"] = sorted(self.index_builds - self.emptied)
        if self.emptied or self.written:
            message["written"] = {**dict.fromkeys(self.emptied, 0), **self.written}
        if self.updated:
            message["updated"] = dict(self.updated)
        return message


def milliseconds(setting: str | None) -> int | None:
    """A time as PostgreSQL prints it, such as "2s" or "0", in milliseconds."""
    found = re.match(r"(\d+)(ms|s|min|h|d|)\Z", setting or "")
    return int(found.group(1)) * _UNITS_MS[found.group(2)] if found else None
