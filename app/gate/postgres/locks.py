"""Which table locks conflict with reads and writes.

https://www.postgresql.org/docs/current/explicit-locking.html"""

from __future__ import annotations

from collections.abc import Iterable

# https://www.postgresql.org/docs/current/explicit-locking.html: SHARE and what is stronger stands in the way of INSERT,
# UPDATE and DELETE; only ACCESS EXCLUSIVE stands in the way of SELECT.
BLOCKS_WRITES = frozenset({"ShareLock", "ShareRowExclusiveLock", "ExclusiveLock", "AccessExclusiveLock"})
BLOCKS_READS = frozenset({"AccessExclusiveLock"})


def who_waits(modes: Iterable[str]) -> str:
    """`reads and writes` or `writes`, to begin a sentence or to go on in one."""
    return "reads and writes" if BLOCKS_READS & set(modes) else "writes"
