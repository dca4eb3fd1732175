"""What a process and its descendants keep in memory, watched from outside through /proc. Linux only."""

from __future__ import annotations

import re
import subprocess
import sys
import tempfile
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

_EVERY_S = 0.01
# PostgreSQL is not ours to weigh: its size is what it was configured to be. Its supervisor is, being the gate's.
_LEFT_OUT = {"postgres", "initdb"}


@dataclass
class Peak:
    """Resident memory in bytes."""

    together: int = 0  # the most that all processes held at one moment
    gate: int = 0  # the high-water mark of the first process
    others: dict[int, tuple[str, int]] = field(default_factory=dict)  # by process id: its command, its high-water mark

    @property
    def largest_target(self) -> int:
        """The high-water mark of the largest process that the gate started."""
        return max((size for _, size in self.others.values()), default=0)


def run_watched(command: Sequence[str], directory: Path, environment: Mapping[str, str]) -> Peak:
    """Runs a command to its end. Exits if it fails."""
    peak, done = Peak(), threading.Event()
    with tempfile.TemporaryFile() as output:
        process = subprocess.Popen(
            list(command),
            cwd=directory,
            env=dict(environment),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
        )
        watcher = threading.Thread(target=_watch, args=(process.pid, peak, done))
        watcher.start()
        status = process.wait()
        done.set()
        watcher.join()
        if status:
            output.seek(0)
            sys.exit(f"bench: {command[0]} failed ({status}):\n{output.read()[-4000:].decode(errors='replace')}")
    return peak


def _watch(root: int, peak: Peak, done: threading.Event) -> None:
    while not done.wait(_EVERY_S):
        together = 0
        for pid, name, status in list_family(root):
            if name in _LEFT_OUT:
                continue
            together += _kilobytes(status, "VmRSS") * 1024
            high = _kilobytes(status, "VmHWM") * 1024
            if pid == root:
                peak.gate = max(peak.gate, high)
            else:
                peak.others[pid] = name, max(high, peak.others.get(pid, ("", 0))[1])
        peak.together = max(peak.together, together)


def list_family(root: int) -> list[tuple[int, str, str]]:
    """Process id, name and `status` file of the process and of all that descend from it."""
    status: dict[int, str] = {}
    children: dict[int, list[int]] = {}
    for path in Path("/proc").glob("[0-9]*/status"):
        try:
            text = path.read_text()
        except OSError:  # it has ended in the meantime
            continue
        pid = int(path.parent.name)
        status[pid] = text
        children.setdefault(_kilobytes(text, "PPid"), []).append(pid)
    family, wanted = [], [root]
    while wanted:
        pid = wanted.pop()
        if pid in status:
            family.append((pid, status[pid].partition("\n")[0].removeprefix("Name:").strip(), status[pid]))
        wanted += children.get(pid, [])
    return family


def _kilobytes(status: str, key: str) -> int:
    """The number behind that key; 0 where there is none, as in a process that is ending."""
    found = re.search(rf"^{key}:\s*(\d+)", status, re.MULTILINE)
    return int(found[1]) if found else 0
