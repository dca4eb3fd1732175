"""Runs of the whole command that need not wait for the end of the walk, in a thread next to it.

They assume at which revisions the walk finds the database; `schedule.py` drops what rests on a wrong assumption. What
both the walk and an early run would create for the whole server, such as a role, would be in each other's way, so the
SQL of offline mode, which is printed first and touches nothing, says whether the others may begin.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass

from app.gate.recording.model import Evidence, Failure, Snapshot
from app.gate.reruns._concurrent import ConcurrentUpgrade, upgrade_concurrently
from app.gate.reruns._offline import OfflineSql, print_offline_sql, run_offline_sql
from app.gate.target.runner import TargetRunner
from app.gate.walk.plan import RecordingPlan


@dataclass(frozen=True)
class EarlyRuns:
    """What was begun. A result of None: it was not run."""

    start: tuple[str, ...]  # the revisions that the database was assumed to be at
    offline_sql: Future[OfflineSql]
    offline_schema: Future[Snapshot | Failure | None]
    concurrent_upgrade: Future[ConcurrentUpgrade | None]


@contextmanager
def begin_early_runs(
    runner: TargetRunner, plan: RecordingPlan, start: Sequence[str] | None
) -> Iterator[EarlyRuns | None]:
    """Begin what can be begun. `start` None: the revisions that the walk will find are not known before it begins."""
    if start is None or Evidence.OFFLINE not in plan.evidence or runner.must_run_serially:
        yield None
        return
    with ThreadPoolExecutor(max_workers=1) as pool:

        def print_sql() -> OfflineSql:
            with runner.slots.taken():
                return print_offline_sql(runner, start)

        offline_sql = pool.submit(print_sql)

        def run_sql() -> Snapshot | Failure | None:
            printed = offline_sql.result()
            if not printed.stays_in_database:
                return None
            with runner.slots.taken():
                return run_offline_sql(printed, runner)

        def upgrade_twice() -> ConcurrentUpgrade | None:
            is_wanted = Evidence.CONCURRENT in plan.evidence and plan.base_ref is None
            if not is_wanted or not offline_sql.result().stays_in_database:
                return None
            with runner.slots.taken():
                return upgrade_concurrently(runner)

        early = EarlyRuns(tuple(start), offline_sql, pool.submit(run_sql), pool.submit(upgrade_twice))
        try:
            yield early
        finally:
            if not early.concurrent_upgrade.done():  # the walk has failed: no caller waits for it
                pool.shutdown(wait=False, cancel_futures=True)
                runner.close()
