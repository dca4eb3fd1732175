"""One mutant against the tests that reach its line."""

from __future__ import annotations

import itertools
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from tests.mutants.operators import Mutant
from tests.mutants.reach import Reach, environment

# Of processor time, which does not depend on what else the machine does: pytest's own start, and times what the tests took without a mutant.
START_S = 30.0
PATIENCE = 4.0
# A mutant that waits takes no processor time. It is rarer than one that turns in circles, so this may be long.
STILL_S = 600.0


@dataclass(frozen=True)
class Trial:
    """What became of a mutant."""

    # "killed"; "survived"; "unknown": the tests that were run pass, and the budget left no time for others; or
    # "unreached": no test reaches its line.
    outcome: str
    by: str = ""  # the test that failed
    seconds: float = 0.0
    tests: int = 0


def copy_tree(root: Path, place: Path) -> Path:
    """Copy what Git knows of the repository, as it is now, into that folder."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=root,
        capture_output=True,
        check=True,
    )
    for name in listed.stdout.decode().split("\0"):
        if name and (root / name).is_file():
            (place / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(root / name, place / name)
    return place


def try_mutant(mutant: Mutant, copy: Path, reach: Reach, budget_s: float) -> Trial:
    """Put the mutant into that copy of the repository, run the tests that reach it until one fails, and take it out again.

    They may take as long as the budget says, going by what they took without it.
    """
    tests = reach.tests_of(mutant.path, mutant.line)
    chosen = within(budget_s, tests, reach)
    if not chosen:
        return Trial("unreached")
    expected_s = sum(reach.durations[test] for test in chosen)
    began = time.monotonic()
    file = copy / mutant.path
    source = file.read_bytes()
    file.write_bytes(mutant.apply(source))
    try:
        # Two runs of pytest, as the second has a server to start, which the first can mostly save.
        for part in ([t for t in chosen if t in reach.quick], [t for t in chosen if t not in reach.quick]):
            killer = _first_failure(part, copy, int(START_S + PATIENCE * expected_s)) if part else None
            if killer is not None:
                return Trial("killed", killer, time.monotonic() - began, len(chosen))
    finally:
        file.write_bytes(source)
    return Trial("survived" if chosen == tests else "unknown", "", time.monotonic() - began, len(chosen))


def within(budget_s: float, tests: Sequence[str], reach: Reach) -> list[str]:
    """The first of the tests, as many as the budget has time for, and one in any case."""
    ends = itertools.accumulate(reach.durations[test] for test in tests)
    return [test for number, (test, end) in enumerate(zip(tests, ends, strict=True)) if not number or end <= budget_s]


def _first_failure(tests: Sequence[str], copy: Path, processor_s: int) -> str | None:
    """The first of the tests that fails, or how the run ended otherwise; None if all pass."""
    with tempfile.NamedTemporaryFile("w", suffix=".txt") as arguments:
        arguments.write("\n".join(tests))
        arguments.flush()
        process = subprocess.Popen(
            [
                "sh", "-c", 'ulimit -t "$0" && exec "$@"', str(processor_s),
                sys.executable, "-m", "pytest", "-q", "-x", "--tb=no", "-p", "no:cacheprovider", f"@{arguments.name}",
            ],
            cwd=copy, env=environment(copy), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True,
        )  # fmt: skip
        try:
            output, _ = process.communicate(timeout=STILL_S)
        except subprocess.TimeoutExpired:
            return "it hangs"
        finally:
            # SIGTERM lets pytest's fixtures go; what it started ends with it in any case.
            for number in (signal.SIGTERM, signal.SIGKILL):
                with suppress(ProcessLookupError):
                    os.killpg(process.pid, number)
                with suppress(subprocess.TimeoutExpired):
                    process.wait(timeout=10)
    if process.returncode in (-signal.SIGXCPU, -signal.SIGKILL):
        return "it hangs"
    if process.returncode == 0:
        return None
    if "ERROR: not found" in output or "ERROR: file or directory not found" in output:
        raise LookupError(output)
    failed = [line.split(" ", 1)[1] for line in output.splitlines() if line.startswith(("FAILED ", "ERROR "))]
    return failed[0].partition(" - ")[0] if failed else f"pytest ends with {process.returncode}"
