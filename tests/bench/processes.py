"""The processor time of a process and of all that descend from it, by what each of them is for. Linux only."""

from __future__ import annotations

import os
import re
import resource
import subprocess
import sys
import tempfile
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from tests.bench.memory import list_family

_EVERY_S = 0.01
_TICK_S = 1 / os.sysconf("SC_CLK_TCK")
_BACKEND = re.compile(r"postgres: (\S+) (\S+) \S*\(\d+\)")  # role, database

GATE = "the gate"
WALK = "the walk's command, with the driver"
FURTHER = "further runs of the command"
BACKEND = "PostgreSQL: the walk's backend"
OTHER_BACKENDS = "PostgreSQL: the other backends"
POSTGRES = "PostgreSQL: initdb, its start, its end and what runs in its background"
SUPERVISOR = "the gate's supervisor"
OTHERS = "other programs (Git, `env`)"
UNSEEN = "what ended between two looks"


@dataclass
class Seen:
    """A process, as it was at the last look."""

    words: str  # its command line
    seconds: float
    title: str = ""  # of a backend: role and database


@dataclass
class Watched:
    """The processes of one run."""

    root: int
    whole_s: float = 0.0  # of all of them, as the kernel has added it up
    seen: dict[int, Seen] = field(default_factory=dict)

    def by_purpose(self, command: str) -> dict[str, float]:
        """{"the gate": 1.9, …}. `command` is in the command line of each run of the project's command; the walk's is the one
        that used the most, and so with the backends: other runs may begin before it."""
        runs = [pid for pid, each in self.seen.items() if command in each.words and pid != self.root]
        walk = max(runs, key=lambda pid: self.seen[pid].seconds, default=None)
        backends = [pid for pid, each in self.seen.items() if each.title and not each.title.startswith("overproof ")]
        of_walk = max(backends, key=lambda pid: self.seen[pid].seconds, default=None)
        seconds = dict.fromkeys((GATE, WALK, BACKEND, FURTHER, OTHER_BACKENDS, POSTGRES, SUPERVISOR, OTHERS), 0.0)
        for pid, each in self.seen.items():
            if pid == self.root:
                purpose = GATE
            elif pid in runs:
                purpose = WALK if pid == walk else FURTHER
            elif each.title:
                purpose = BACKEND if pid == of_walk else OTHER_BACKENDS
            elif re.search(r"\bpostgres(:| )|\binitdb\b", each.words):
                purpose = POSTGRES
            else:
                purpose = SUPERVISOR if "supervisor" in each.words else OTHERS
            seconds[purpose] += each.seconds
        return seconds | {UNSEEN: max(0.0, self.whole_s - sum(seconds.values()))}


def run_watched(command: Sequence[str], directory: Path, environment: Mapping[str, str]) -> Watched:
    """Run a command to its end. Exits if it fails."""
    done, before = threading.Event(), _used_by_children()
    with tempfile.TemporaryFile() as output:
        process = subprocess.Popen(
            list(command), cwd=directory, env=dict(environment), stdin=subprocess.DEVNULL, stdout=output,
            stderr=subprocess.STDOUT,
        )  # fmt: skip
        watched = Watched(process.pid)
        watcher = threading.Thread(target=_watch, args=(watched, done))
        watcher.start()
        status = process.wait()
        done.set()
        watcher.join()
        watched.whole_s = _used_by_children() - before
        if status:
            output.seek(0)
            sys.exit(f"bench: {command[0]} failed ({status}):\n{output.read()[-4000:].decode(errors='replace')}")
    return watched


def _used_by_children() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def _watch(watched: Watched, done: threading.Event) -> None:
    while not done.wait(_EVERY_S):
        for pid, _, _ in list_family(watched.root):
            _look_at(watched, pid)


def _look_at(watched: Watched, pid: int) -> None:
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        words = Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace").strip()
    except OSError:  # it has ended in the meantime
        return
    seen = watched.seen.setdefault(pid, Seen(words, 0.0))
    seen.seconds = (int(fields[11]) + int(fields[12])) * _TICK_S
    seen.words = words or seen.words  # a new process still has the command line of the one that made it
    if backend := _BACKEND.match(words):
        seen.title = f"{backend[1]} {backend[2]}"
