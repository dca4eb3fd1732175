"""How many runs of the command there are at the same time."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager


def processors() -> int:
    """How many this process may use."""
    if hasattr(os, "sched_getaffinity"):  # on Linux
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def jobs_on(count: int) -> int:
    """A command that imports its whole application takes a processor for seconds, and some hundred megabytes."""
    return min(4, count)


def at_once_on(count: int) -> int:
    """With one processor, two too, since a command also waits for PostgreSQL."""
    return max(2, jobs_on(count))


JOBS = jobs_on(processors())
AT_ONCE = at_once_on(processors())


class JobSlots:
    """So many jobs at the same time; the others wait. One that a job under way waits for comes first."""

    def __init__(self, count: int) -> None:
        self._free = count
        self._urgent = 0  # that wait
        self._changed = threading.Condition()

    @contextmanager
    def taken(self, *, is_urgent: bool = False) -> Iterator[None]:
        """Wait for a slot, and have it for the block."""
        with self._changed:
            self._urgent += is_urgent
            try:
                self._changed.wait_for(lambda: self._free > 0 and (is_urgent or not self._urgent))
            finally:
                self._urgent -= is_urgent
            self._free -= 1
        try:
            yield
        finally:
            with self._changed:
                self._free += 1
                self._changed.notify_all()
