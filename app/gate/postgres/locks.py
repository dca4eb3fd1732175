"""Which table locks conflict with reads and writes.

https://www.postgresql.org/docs/current/explicit-locking.html
"""

from __future__ import annotations

from collections.abc import Iterable

# SHARE and stronger locks block INSERT, UPDATE and DELETE; only ACCESS EXCLUSIVE blocks SELECT.
BLOCKS_WRITES = frozenset({"ShareLock", "ShareRowExclusiveLock", "ExclusiveLock", "AccessExclusiveLock"})
BLOCKS_READS = frozenset({"AccessExclusiveLock"})

_WEAKEST_FIRST = (
    "AccessShareLock", "RowShareLock", "RowExclusiveLock", "ShareUpdateExclusiveLock", "ShareLock",
    "ShareRowExclusiveLock", "ExclusiveLock", "AccessExclusiveLock",
)  # fmt: skip
# Each mode conflicts with those that are at least as strong as this one, apart from SHARE, which allows itself.
_FROM = (7, 6, 4, 3, 2, 2, 1, 0)
CONFLICTS = {
    mode: frozenset(_WEAKEST_FIRST[first:]) - ({"ShareLock"} if mode == "ShareLock" else set())
    for mode, first in zip(_WEAKEST_FIRST, _FROM, strict=True)
}


def who_waits(modes: Iterable[str]) -> str:
    """What the locks block: `reads and writes` or `writes`."""
    return "reads and writes" if BLOCKS_READS & set(modes) else "writes"
