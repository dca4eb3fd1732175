"""Measures the gate beside pytest-alembic: `tox -e bench`, or `tox -e bench -- --quick` to see whether it still runs.

Parts on one PostgreSQL server that all share, all but the last two on histories made by `history.py`:

compare   whole processes, turn by turn in several rounds: the gate, pytest-alembic's four default tests, and its
          experimental `downgrade_leaves_no_trace` alone
scaling   the gate on longer and longer histories, and the exponent of the power law that fits its times best
memory    what the gate and the processes that it starts keep in memory, PostgreSQL left out
base      the gate with `--base` and one new revision, on longer and longer histories, with as many tables everywhere
          and with more and more (see branch.py)
running   the same with the proof of the running code and without it (see running.py)
profile   what the processor time of the gate goes to, by process and by kind of question (see profiling.py): only if asked for
hazards   what the gate and the linters of the package index say of the labelled migrations (see hazards.py)
peers     what the gate and other linters say of migrations that others have labelled (see peers.py): only with --corpus
service   the record under load, beside the least application that reads a row (see service.py)
pages     the pages of the record, beside the API's answers with the same data (see pages.py): only if asked for

docs/benchmarks.md is written from what was measured. This is a benchmark and no test: it fails only if a program that
it measures does.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from collections.abc import Mapping, Sequence
from math import log
from pathlib import Path

from app.gate.server.throwaway import Server, throwaway_server
from tests.bench import branch, hazards, pages, peers, profiling, running, service
from tests.bench.history import write_history
from tests.bench.memory import Peak, run_watched
from tests.bench.overproof import UPGRADE, clean_environment, overproof, time_command
from tests.bench.page import FOUR_TESTS as FOUR_TESTS_NAME
from tests.bench.page import GATE as GATE_NAME
from tests.bench.page import (
    HAZARDS,
    PAGES,
    PROFILE,
    RUNNING,
    SERVICE,
    TEN_CHECKS,
    Comparison,
    Figures,
    write_page,
    write_section,
)
from tests.bench.page import NO_TRACE as NO_TRACE_NAME
from tests.bench.page import PLAIN as PLAIN_NAME


class Contestant:
    """A command line that is measured on a project."""

    def __init__(self, name: str, command: Sequence[str]) -> None:
        self.name = name
        self.command = list(command)

    def run(self, project: Path, server: Server) -> float:
        """Seconds from start to end of the whole process. Exits if it fails."""
        database = server.create_database()
        try:
            command = [each.replace("{server}", database.url()) for each in self.command]
            return time_command(self.name, command, project, {"DATABASE_URL": database.url("psycopg2")})
        finally:
            server.drop_database(database)


PYTEST = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"]
GATE = Contestant(GATE_NAME, [*overproof(), "verify", "--database-url", "{server}", "--", *UPGRADE])
# What pytest-alembic's tests look at, and more: no rows, and no look at what each statement locks.
OF_SCHEMA = [
    "single-head",
    "graph-integrity",
    "upgrade",
    "round-trip",
    "irreversible",
    "model-drift",
    "schema-drift",
    "unregistered-models",
    "offline-sql",
    "concurrent-upgrade",
]
GATE_OF_SCHEMA = Contestant(
    TEN_CHECKS,
    [*GATE.command[: -len(UPGRADE) - 1], *(f"--select={check}" for check in OF_SCHEMA), "--", *UPGRADE],
)
GATE_ALONE = Contestant("the whole gate, starting its own server", [*overproof(), "verify", "--", *UPGRADE])
FOUR_TESTS = Contestant(FOUR_TESTS_NAME, [*PYTEST, "tests/test_defaults.py"])
NO_TRACE = Contestant(NO_TRACE_NAME, [*PYTEST, "tests/test_leaves_no_trace.py"])
PLAIN = Contestant(PLAIN_NAME, UPGRADE)


def compare(project: Path, server: Server, rounds: int, slow_rounds: int) -> list[Comparison]:
    """The contestants in turn, so that whatever else the machine does in the meantime hits all of them."""
    contestants = [PLAIN, GATE, GATE_OF_SCHEMA, GATE_ALONE, FOUR_TESTS, NO_TRACE]
    seconds: dict[str, list[float]] = {contestant.name: [] for contestant in contestants}
    for number in range(rounds):
        for contestant in contestants:
            if contestant is not NO_TRACE or number < slow_rounds:
                seconds[contestant.name].append(contestant.run(project, server))
                print(f"  round {number + 1}: {seconds[contestant.name][-1]:6.2f} s  {contestant.name}", flush=True)
    return [Comparison(name, taken) for name, taken in seconds.items() if taken]


def scale(projects: Mapping[int, Path], server: Server, rounds: int) -> dict[int, list[float]]:
    """{100: [seconds, …], 200: …} of the gate."""
    seconds: dict[int, list[float]] = {revisions: [] for revisions in projects}
    for number in range(rounds):
        for revisions, project in projects.items():
            seconds[revisions].append(GATE.run(project, server))
            print(f"  round {number + 1}: {seconds[revisions][-1]:6.2f} s  {revisions} revisions", flush=True)
    return seconds


def fit_exponent(seconds: Mapping[int, float]) -> float:
    """The k of seconds = c · revisions^k that fits best, by least squares of the logarithms. 1 is linear."""
    points = [(log(revisions), log(taken)) for revisions, taken in seconds.items()]
    mean_x, mean_y = (sum(values) / len(points) for values in zip(*points, strict=True))
    together = sum((x - mean_x) * (y - mean_y) for x, y in points)
    power: float = together / sum((x - mean_x) * (x - mean_x) for x, _ in points)
    return power


def weigh(project: Path, server: Server) -> Peak:
    """The memory of one run of the gate."""
    database = server.create_database()
    try:
        command = [each.replace("{server}", database.url()) for each in GATE.command]
        return run_watched(command, project, clean_environment() | {"DATABASE_URL": database.url("psycopg2")})
    finally:
        server.drop_database(database)


def read_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="tox -e bench --", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="short histories, one round, nothing written")
    parts = [
        "histories",
        "compare",
        "scaling",
        "memory",
        "base",
        "running",
        "hazards",
        "service",
        "pages",
        "peers",
        "profile",
    ]
    parser.add_argument(
        "--part",
        choices=parts,
        help="one part only; peers, profile, running, service and pages are written to their pages, and histories, which is"
        " compare, scaling, memory and base, to its own",
    )
    parser.add_argument("--corpus", type=Path, help="a checkout of MigrationPilot's repository, for the part peers")
    parser.add_argument("--rounds", type=int, default=5, help="of the parts on histories (default: 5)")
    parser.add_argument("--slow-rounds", type=int, default=2, help="of downgrade_leaves_no_trace (default: 2)")
    parser.add_argument("--database-url", help="a server to use instead of the embedded one")
    asked = parser.parse_args()
    if asked.part == "peers" and not asked.corpus:
        parser.error("the part peers needs --corpus, a checkout of MigrationPilot's repository")
    return asked


def write_part(asked: argparse.Namespace, server: Server, folder: Path) -> None:
    """A part that has a section of its own on the page, and needs no history."""
    if asked.part == "peers":
        peers.write(server, folder, asked.corpus)
    elif asked.part == "profile":
        text = profiling.measure(folder, 25 if asked.quick else 200, 1 if asked.quick else asked.rounds)
        print(text)
        if not asked.quick:
            write_section(PROFILE, text)
    elif asked.part == "running":
        text = running.measure(folder, 25 if asked.quick else 100, server, 1 if asked.quick else asked.rounds)
        print(text)
        if not asked.quick:
            write_section(RUNNING, text)
    elif asked.part == "pages":
        write_section(PAGES, pages.measure(server))
    else:
        write_section(SERVICE, service.measure(server))


def measure_histories(
    asked: argparse.Namespace, projects: Mapping[int, Path], scaled: Sequence[int], server: Server, figures: Figures
) -> Figures:
    """The parts on histories that are asked for."""
    if asked.part in (None, "histories", "compare"):
        print(f"compare: {figures.revisions} revisions")
        figures.comparisons = compare(projects[figures.revisions], server, asked.rounds, asked.slow_rounds)
    if asked.part in (None, "histories", "scaling"):
        print("scaling")
        figures.scaling = scale({revisions: projects[revisions] for revisions in scaled}, server, asked.rounds)
        figures.exponent = fit_exponent({revisions: min(taken) for revisions, taken in figures.scaling.items()})
        longest = {revisions: min(figures.scaling[revisions]) for revisions in scaled[-2:]}
        figures.last_exponent = fit_exponent(longest)
    if asked.part in (None, "histories", "memory"):
        print(f"memory: {scaled[-1]} revisions")
        figures.memory = (scaled[-1], weigh(projects[scaled[-1]], server))
    if asked.part in (None, "histories", "base"):
        print("base")
        figures.base = branch.describe(branch.measure(projects[scaled[0]].parent, scaled, server, asked.rounds))
    return figures


def main() -> None:
    asked = read_arguments()
    compared, scaled = 200, [100, 200, 400, 800]
    if asked.quick:
        compared, scaled, asked.rounds, asked.slow_rounds = 25, [25, 50], 1, 1

    with (
        tempfile.TemporaryDirectory(prefix="overproof-bench-") as folder,
        throwaway_server(asked.database_url) as server,
    ):
        if asked.part in ("peers", "profile", "running", "service", "pages"):
            write_part(asked, server, Path(folder))
            return
        projects = {}
        for revisions in sorted({compared, *scaled}):
            projects[revisions] = Path(folder, str(revisions))
            write_history(projects[revisions], revisions)
        figures = measure_histories(
            asked, projects, scaled, server, Figures(compared, server.version, os.getloadavg()[0])
        )
        section = None
        if asked.part == "hazards" or (asked.part is None and not asked.quick):
            print("hazards")
            section = hazards.measure(server, Path(folder))
        of_running = load = ""
        if asked.part is None and not asked.quick:
            print("running")
            of_running = running.measure(Path(folder), scaled[0], server, asked.rounds)
            print("service")
            load = service.measure(server)
        if asked.corpus and not asked.quick:
            print("peers")
            peers.write(server, Path(folder), asked.corpus)
    print()
    print(figures.text())
    print(section.text() if section else "")
    print(of_running, load, sep="\n")
    if not asked.quick and asked.part in (None, "histories"):
        write_page(figures, os.environ.get("OVERPROOF_BENCH_COMMAND", "tox -e bench"))
    if not asked.quick and not asked.part:
        write_section(RUNNING, of_running)
        write_section(HAZARDS, section.text() if section else "")
        write_section(SERVICE, load)


if __name__ == "__main__":
    main()
