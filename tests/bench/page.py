"""docs/benchmarks.md, written from what was measured."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median

from app import __version__
from tests.bench.machine import describe_machine, describe_versions
from tests.bench.memory import Peak

PAGE = Path(__file__).parents[2] / "docs" / "benchmarks.md"
PLAIN = "plain `alembic upgrade head`"
GATE = "the whole gate"
TEN_CHECKS = "the gate with its ten checks of history and schema"
FOUR_TESTS = "pytest-alembic's four default tests"
NO_TRACE = "its `downgrade_leaves_no_trace` alone"
# What is compared, in one run each, and what it was on 2026-11-30, when the walk had one job.
RATIOS = {(GATE, FOUR_TESTS): 1.48, (TEN_CHECKS, FOUR_TESTS): 0.72, (NO_TRACE, GATE): 9.8}
HAZARDS = "Hazards"  # the section of hazards.py
PROFILE = "What the time goes to"  # the section of profiling.py
SERVICE = "The record"  # the section of service.py
RUNNING = "The running code"  # the section of running.py
PAGES = "Its pages"  # the section of pages.py

INTRODUCTION = """\
# Benchmarks

Written by `{command}`, which measures whole processes from outside, start of the interpreter and imports included. The
history is made up by `tests/bench/history.py`: how many operations a revision holds, and of which kinds, follows the
upgrades of eight public projects. All contestants share one PostgreSQL server, whose start is not counted, and take turns.
Numbers are the least and the median of their rounds.

{machine} The load average just before: {load:.1f}.
Overproof {overproof}, PostgreSQL {postgres}; {versions}.
"""


@dataclass
class Comparison:
    name: str
    seconds: list[float]


@dataclass
class Figures:
    """All that one run of the benchmark measured."""

    revisions: int
    postgres: str
    load: float  # of the machine, just before: how many processes wanted to run
    comparisons: list[Comparison] = field(default_factory=list)
    scaling: dict[int, list[float]] = field(default_factory=dict)  # seconds by number of revisions
    exponent: float = 0.0
    last_exponent: float = 0.0  # of the last doubling alone, which the time to start weighs on least
    memory: tuple[int, Peak] | None = None
    base: str = ""  # of branch.py

    def text(self) -> str:
        parts = []
        if self.comparisons:
            gate = next(each.seconds for each in self.comparisons if each.name == TEN_CHECKS)
            parts.append(f"## The gate and pytest-alembic, {self.revisions} revisions\n")
            lines = ["| | least | median | rounds | times the ten checks |", "| --- | ---: | ---: | ---: | ---: |"]
            for each in self.comparisons:
                least, middle = min(each.seconds), median(each.seconds)
                times = f"{least / min(gate):.1f}, by medians {middle / median(gate):.1f}"
                lines.append(f"| {each.name} | {least:.2f} s | {middle:.2f} s | {len(each.seconds)} | {times} |")
            parts.append("\n".join(lines) + "\n")
            parts.append(self._ratios())
            parts.append(
                "The ten checks of history and schema look at all that pytest-alembic's tests look at, `downgrade_leaves_no_trace`"
                " included, and at more. The whole gate also tries each revision over rows, and judges what its statements lock"
                " and rewrite, of which these tests know nothing.\n"
            )
        if self.scaling:
            parts.append("## The gate on longer histories\n")
            lines = ["| revisions | least | median | rounds | least, per revision |", "| ---: " * 5 + "|"]
            for revisions, seconds in self.scaling.items():
                least, middle = min(seconds), median(seconds)
                each_ms = 1000 * least / revisions
                lines.append(f"| {revisions} | {least:.2f} s | {middle:.2f} s | {len(seconds)} | {each_ms:.1f} ms |")
            parts.append("\n".join(lines) + "\n")
            parts.append(
                f"The least times grow with the number of revisions to the power of {self.exponent:.2f}; over the last"
                f" doubling alone, to the power of {self.last_exponent:.2f}. 1 is linear.\n"
            )
        if self.memory:
            revisions, peak = self.memory
            parts.append(f"## Memory, {revisions} revisions\n")
            together = peak.gate + peak.largest_target
            parts.append(
                f"The gate's own peak is {_mb(peak.gate)}, that of the largest process it started (the upgrade command with"
                f" the driver in it) {_mb(peak.largest_target)}: {_mb(together)} if both peaks fell together. The most that"
                f" all processes held at one moment, the gate's supervisor and the commands that run side by side included,"
                f" is {_mb(peak.together)}. PostgreSQL is left out.\n"
            )
        if self.base:
            parts.append("## One new revision, with `--base`\n")
            parts.append(
                "A branch adds a column and an index to a history in a git repository. The gate starts a PostgreSQL of its own,"
                " which is counted here, from what an earlier run has kept of the base. In the first series the histories differ"
                " in nothing but their length: when they have so many tables, every second revision takes back what the one"
                " before it did. In the second, tables and models grow along. Plain `alembic upgrade head`, with nothing to do,"
                " loads the project's scripts and models, which the gate has that command do as well.\n"
            )
            parts.append(self.base)
        return "\n".join(parts)

    def _ratios(self) -> str:
        """What is measured against what, by the least times and by the medians, and before."""
        seconds = {each.name: each.seconds for each in self.comparisons}
        lines = [
            [
                f"{one} / {other}",
                *(f"{of(seconds[one]) / of(seconds[other]):.2f}" for of in (min, median)),
                f"{before:.2f}",
            ]
            for (one, other), before in RATIOS.items()
        ]
        return format_table(["", "least", "median", "on 2026-11-30"], lines)


def _mb(size: int) -> str:
    return f"{size / 1e6:.0f} MB"


def write_page(figures: Figures, command: str) -> None:
    """Write the page anew, less what other programs have a section for."""
    introduction = INTRODUCTION.format(
        command=command,
        machine=describe_machine(),
        load=figures.load,
        overproof=__version__,
        postgres=figures.postgres,
        versions=describe_versions("alembic", "SQLAlchemy", "pytest", "pytest-alembic"),
    )
    kept = [section for title in (RUNNING, PROFILE, HAZARDS, SERVICE, PAGES) if (section := _find_section(title))]
    PAGE.write_text("\n".join([introduction, figures.text(), *kept]))


def write_section(title: str, text: str, place: Path = PAGE) -> None:
    """Put a section at the end of the page, in place of the one with that title."""
    page = place.read_text() if place.exists() else "# Benchmarks\n"
    kept = _find_section(title, place)
    place.write_text((page.replace(kept, "") if kept else page).rstrip() + f"\n\n## {title}\n\n{text}")


def format_table(head: Sequence[str], lines: Sequence[Sequence[str]], numbers: bool = True) -> str:
    """A table in Markdown. Of numbers, all columns but the first are aligned to the right."""
    rule = ["---", *(["---:" if numbers else "---"] * (len(head) - 1))]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in [head, rule, *lines]) + "\n"


def _find_section(title: str, place: Path = PAGE) -> str | None:
    page = place.read_text() if place.exists() else ""
    found = re.search(rf"^## {re.escape(title)}\n.*?(?=^## |\Z)", page, re.MULTILINE | re.DOTALL)
    return found[0] if found else None
