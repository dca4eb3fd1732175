"""How many runs of the command there are at the same time."""

from __future__ import annotations

import os

# A command that imports its whole application takes a processor for seconds, and some hundred megabytes.
_MOST = 4
_PROCESSORS = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
JOBS = min(_MOST, _PROCESSORS)
