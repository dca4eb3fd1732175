"""The progress of a run: a bar on a terminal, a line per phase in the log of a CI job, else nothing."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TextIO

from app.gate.wording import counted

OnProgress = Callable[[str, int, int], None]  # phase, done, total

# phase: (its title next to the bar, one unit of it)
PHASES = {
    "server": ("Preparing PostgreSQL", "server"),
    "walk": ("Upgrading, downgrading and upgrading again", "revision"),
    "jobs": ("Running extra trials", "trial"),
}


@contextmanager
def progress_on(stream: TextIO) -> Iterator[OnProgress]:
    if stream.isatty() and os.environ.get("TERM") != "dumb":
        with _bar_on(stream) as on_progress:
            yield on_progress
    elif os.environ.get("CI"):
        yield _lines_on(stream)
    else:
        yield lambda phase, done, total: None


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


def _lines_on(stream: TextIO) -> OnProgress:
    printed: set[tuple[str, int]] = set()

    def on_progress(phase: str, done: int, total: int) -> None:
        if (phase, total) not in printed and total:
            printed.add((phase, total))
            title, unit = PHASES.get(phase, (phase, "step"))
            print(f"overproof: {title[0].lower()}{title[1:]}: {counted(total, unit)}", file=stream, flush=True)

    return on_progress
