"""Runs that need not wait for the end of the walk."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass

from app.gate.recording.model import Evidence, Failure, Snapshot
from app.gate.reruns._concurrent import ConcurrentUpgrade, upgrade_concurrently
from app.gate.reruns._offline import OfflineSql, print_offline_sql, run_offline_sql
from app.gate.target.runner import TargetRunner

# Attempts that ask nothing of the walk, and so need not wait for its end.


@dataclass(frozen=True)
class EarlyRuns:
    """What was begun beside the walk, on the assumption that this begins with the database at those revisions."""

    start: tuple[str, ...]
    printed: Future[OfflineSql]
    made: Future[Snapshot | Failure | None]  # of what was printed
    raced: Future[ConcurrentUpgrade | None]


@contextmanager
def begin_early_runs(runner: TargetRunner, start: Sequence[str] | None) -> Iterator[EarlyRuns | None]:
    """Begin what can be begun beside the walk. None if that is nothing.

    A role that both make would stand in the walk's way, so what is printed tells first whether each keeps to its own database.
    """
    if start is None or Evidence.OFFLINE not in runner.evidence or runner.must_run_serially:
        yield None
        return
    try:
        with ThreadPoolExecutor(max_workers=1) as pool:
            printed = pool.submit(print_offline_sql, runner, start)

            def run() -> Snapshot | Failure | None:
                found = printed.result()
                return run_offline_sql(found, runner) if found.may_run_beside_others else None

            def race_too() -> ConcurrentUpgrade | None:
                is_wanted = Evidence.CONCURRENT in runner.evidence and runner.base_ref is None
                return upgrade_concurrently(runner) if is_wanted and printed.result().may_run_beside_others else None

            made, raced = pool.submit(run), pool.submit(race_too)
            try:
                yield EarlyRuns(tuple(start), printed, made, raced)
            finally:
                if not raced.done():  # nobody waits for it any more
                    pool.shutdown(wait=False, cancel_futures=True)
                    runner.close()
    finally:
        runner.reopen()
