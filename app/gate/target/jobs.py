"""How many runs of the command there are at the same time."""

from __future__ import annotations

import os


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
