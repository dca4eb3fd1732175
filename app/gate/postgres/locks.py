"""Which table locks conflict with reads and writes.

https://www.postgresql.org/docs/current/explicit-locking.html
"""

from __future__ import annotations

from collections.abc import Iterable

# SHARE and stronger locks block INSERT, UPDATE and DELETE; only ACCESS EXCLUSIVE blocks SELECT.
BLOCKS_WRITES = frozenset({"ShareLock", "ShareRowExclusiveLock", "ExclusiveLock", "AccessExclusiveLock"})
BLOCKS_READS = frozenset({"AccessExclusiveLock"})


def who_waits(modes: Iterable[str]) -> str:
    """What the locks block: `reads and writes` or `writes`."""
    return "reads and writes" if BLOCKS_READS & set(modes) else "writes"
