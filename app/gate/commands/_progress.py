"""The progress of a run: a bar on a terminal; else a line each 15 seconds, and in the log of a CI job one per phase."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from time import monotonic
from typing import TextIO

from app.gate.wording import counted

OnProgress = Callable[[str, int, int], None]  # phase, done, total

# phase: (its title next to the bar, one unit of it)
PHASES = {
    "server": ("Preparing PostgreSQL", "server"),
    "start": ("Starting the command", "command"),
    "base": ("Building the schema of the base", "schema"),
    "walk": ("Upgrading, downgrading and upgrading again", "revision"),
    "jobs": ("Running extra trials", "trial"),
}
INTERVAL_S = 15.0


@contextmanager
def progress_on(stream: TextIO, *, is_quiet: bool = False, interval_s: float = INTERVAL_S) -> Iterator[OnProgress]:
    if is_quiet:
        yield lambda phase, done, total: None
    elif stream.isatty() and os.environ.get("TERM") != "dumb":
        with _bar_on(stream) as on_progress:
            yield on_progress
    else:
        lines = _Lines(stream, has_phases=bool(os.environ.get("CI")))
        with lines.repeated(interval_s):
            yield lines.on_progress


@contextmanager
def _bar_on(stream: TextIO) -> Iterator[OnProgress]:
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeElapsedColumn

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    # Removed at the end: the report says everything.
    with Progress(*columns, console=Console(file=stream, stderr=True), transient=True) as bars:
        tasks: dict[tuple[str, int], TaskID] = {}

        def on_progress(phase: str, done: int, total: int) -> None:
            key = (phase, total)
            if key not in tasks:
                for earlier in tasks.values():
                    bars.update(earlier, visible=False)
                title, _ = PHASES.get(phase, (phase, ""))
                tasks[key] = bars.add_task(title, total=total)
            bars.update(tasks[key], completed=done)

        yield on_progress


class _Lines:
    """Lines in a log: where the run is, at intervals, and if wanted the beginning of each phase."""

    def __init__(self, stream: TextIO, *, has_phases: bool) -> None:
        self._stream = stream
        self._has_phases = has_phases
        self._printed: set[tuple[str, int]] = set()
        self._now = ("server", 0, 1)
        self._started = monotonic()

    def on_progress(self, phase: str, done: int, total: int) -> None:
        self._now = (phase, done, total)
        if self._has_phases and total and (phase, total) not in self._printed:
            self._printed.add((phase, total))
            title, unit = _named(phase)
            self._print(f"{title}: {counted(total, unit)}")

    @contextmanager
    def repeated(self, interval_s: float) -> Iterator[None]:
        """Say each so many seconds where the run is, from a thread, until the block is left."""
        is_over = threading.Event()

        def repeat() -> None:
            while not is_over.wait(interval_s):
                phase, done, total = self._now
                title, unit = _named(phase)
                where = f": {unit} {min(done + 1, total)} of {total}" if total > 1 else ""
                self._print(f"after {monotonic() - self._started:.0f} s: {title}{where}")

        thread = threading.Thread(target=repeat, name="progress", daemon=True)
        thread.start()
        try:
            yield
        finally:
            is_over.set()
            thread.join()

    def _print(self, line: str) -> None:
        with suppress(OSError, ValueError):  # its reader is gone
            print(f"overproof: {line}", file=self._stream, flush=True)


def _named(phase: str) -> tuple[str, str]:
    title, unit = PHASES.get(phase, (phase, "step"))
    return f"{title[0].lower()}{title[1:]}", unit
