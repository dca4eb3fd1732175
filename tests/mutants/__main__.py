"""How many small mistakes the tests notice: a seeded sample of mutants of `app/`, each against the tests that reach its line.

    tox -e mutants -- --sample 90 --seed 7
    tox -e mutants -- --sample 20 --seed 7 --only "checks, judge" -- -m "not processes"

A mutant is *unknown* where the tests that were run pass and `--budget` left no time for others: that is neither a hole nor a proof.

What follows a second `--` chooses the tests, as for pytest. First they all run once, with coverage by test; `--reach FILE` keeps what that
shows, for the next time. Whoever reads the survivors decides which of them make no difference to anybody.

The libraries try every mutant there is (mutmut), or run the same tests for each (Cosmic Ray): hours, where half of the tests start a server.
"""

from __future__ import annotations

import argparse
import json
import queue
import sys
import tempfile
from collections import Counter
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import asdict
from pathlib import Path

from tests.mutants.operators import Mutant
from tests.mutants.reach import Reach, digest, load, measure, save
from tests.mutants.sample import STRATA, counts, draw
from tests.mutants.trial import Trial, copy_tree, try_mutant

ROOT = Path(__file__).parents[2]


def main(arguments: Sequence[str]) -> None:
    options = _parser().parse_args(arguments)
    with tempfile.TemporaryDirectory(prefix="overproof-mutants-") as place:
        copies = [copy_tree(ROOT, Path(place, str(number))) for number in range(options.jobs)]
        reach = _reach(copies[0], options.reach, options.tests)
        mutants = draw(ROOT, reach.lines, options.sample, options.seed, options.only)
        trials = _try_all(mutants, copies, reach, options.budget)
    if options.json is not None:
        entries = [{**asdict(mutant), **asdict(trial)} for mutant, trial in trials.items()]
        options.json.write_text(json.dumps({"seed": options.seed, "mutants": entries}, indent=2))
    print(_as_text(trials))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="tests.mutants", description=__doc__.partition("\n")[0])
    parser.add_argument("--sample", type=int, default=90, metavar="N", help="how many mutants (default: 90)")
    parser.add_argument("--seed", type=int, required=True, metavar="N", help="which sample")
    parser.add_argument("--only", action="append", default=[], choices=STRATA, help="of this stratum; may be repeated")
    parser.add_argument("--budget", type=float, default=75.0, metavar="S", help="what the tests of a mutant may take")
    parser.add_argument("--jobs", type=int, default=2, metavar="N", help="mutants that are tried at a time")
    parser.add_argument(
        "--reach",
        type=Path,
        metavar="FILE",
        help="which tests reach which line: read if it is of this tree, else written",
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the outcomes there")
    parser.add_argument("tests", nargs="*", help="arguments of pytest's that choose the tests")
    return parser


def _reach(copy: Path, kept: Path | None, tests: Sequence[str]) -> Reach:
    if kept is not None and kept.exists() and (known := load(kept)).tree == digest(copy):
        return known
    reach = measure(copy, tests or ["--numprocesses", "logical", "--dist", "worksteal"])
    if kept is not None:
        save(reach, kept)
    return reach


def _try_all(mutants: Sequence[Mutant], copies: Sequence[Path], reach: Reach, budget_s: float) -> dict[Mutant, Trial]:
    free: queue.SimpleQueue[Path] = queue.SimpleQueue()
    for copy in copies:
        free.put(copy)

    def try_one(mutant: Mutant) -> Trial:
        copy = free.get()
        try:
            return try_mutant(mutant, copy, reach, budget_s)
        finally:
            free.put(copy)

    trials: dict[Mutant, Trial] = {}
    with ThreadPoolExecutor(len(copies)) as pool:
        running = {pool.submit(try_one, mutant): mutant for mutant in mutants}
        for done in as_completed(running):
            mutant, trial = running[done], done.result()
            trials[mutant] = trial
            progress = f"{len(trials)}/{len(mutants)} {trial.outcome} {mutant.path}:{mutant.line} {mutant.operator}"
            print(f"{progress} ({trial.seconds:.0f} s) {trial.by}", file=sys.stderr, flush=True)
    return trials


def _as_text(trials: dict[Mutant, Trial]) -> str:
    lines = []
    for mutant, trial in sorted(trials.items(), key=lambda item: (item[0].path, item[0].line)):
        if trial.outcome != "killed":
            lines += [f"{mutant.path}:{mutant.line}: {trial.outcome}, {trial.tests} tests"]
            lines += [f"    - {mutant.old}", f"    + {mutant.new}", ""]
    by_stratum = counts({mutant: trial.outcome for mutant, trial in trials.items()})
    lines += [summary(stratum, outcomes) for stratum, outcomes in by_stratum.items()]
    lines.append(summary("all", Counter(trial.outcome for trial in trials.values())))
    return "\n".join(lines)


def summary(what: str, outcomes: Mapping[str, int]) -> str:
    """How many were killed for certain, and what became of the others."""
    killed, total = outcomes.get("killed", 0), sum(outcomes.values())
    others = "".join(f", {outcomes[each]} {each}" for each in ("survived", "unknown", "unreached") if each in outcomes)
    return f"{what}: {killed} of {total} killed ({killed / max(total, 1):.0%}){others}"


if __name__ == "__main__":
    main(sys.argv[1:])
