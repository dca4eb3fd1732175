"""Runs of the whole command that need not wait for the end of the walk, in a thread next to it.

They assume at which revisions the walk finds the database; `schedule.py` drops what rests on a wrong assumption. What
both the walk and an early run would create for the whole server, such as a role, would be in each other's way, so the
SQL of offline mode, which is printed first and touches nothing, says whether the others may begin.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TypeVar

from app.gate.recording.model import Evidence, Failure, Snapshot
from app.gate.reruns._concurrent import ConcurrentUpgrade, upgrade_concurrently
from app.gate.reruns._models import create_by_sql
from app.gate.reruns._offline import OfflineSql, print_offline_sql, run_offline_sql
from app.gate.reruns._whole_command import make_schema
from app.gate.target.runner import TargetRunner
from app.gate.walk.plan import RecordingPlan
from app.gate.walk.state import Walk

T = TypeVar("T")


@dataclass(frozen=True)
class EarlyRuns:
    """What was begun. A result of None: it was not run."""

    start: tuple[str, ...]  # the revisions that the database was assumed to be at
    offline_sql: Future[OfflineSql]
    offline_schema: Future[Snapshot | Failure | None]
    concurrent_upgrade: Future[ConcurrentUpgrade | None]
    whole_command: Future[Snapshot | Failure | None]
    on_head: Callable[[Walk], None] = lambda walk: None  # what the walk is to call when it knows what is at head
    models: dict[int, Future[Snapshot | None]] = field(default_factory=dict)  # what they create, by the walk's index

    @property
    def are_done(self) -> bool:
        return self.offline_schema.done() and self.concurrent_upgrade.done() and self.whole_command.done()


@contextmanager
def begin_early_runs(
    runner: TargetRunner, plan: RecordingPlan, start: Sequence[str] | None
) -> Iterator[EarlyRuns | None]:
    """Begin what can be begun. `start` None: the revisions that the walk will find are not known before it begins."""
    if start is None or Evidence.OFFLINE not in plan.evidence or runner.must_run_serially:
        yield None
        return
    models: dict[int, Future[Snapshot | None]] = {}
    with ThreadPoolExecutor(max_workers=1) as pool, ThreadPoolExecutor(max_workers=1) as pool_of_models:

        def begin_models(walk: Walk) -> None:
            if walk.creation is not None:
                models[walk.index] = pool_of_models.submit(create_by_sql, walk, runner)

        offline_sql = pool.submit(print_offline_sql, runner, start)

        def begin(run: Callable[[], T], *, is_wanted: bool = True) -> Future[T | None]:
            def run_if_free() -> T | None:
                return run() if offline_sql.result().stays_in_database else None

            return pool.submit(run_if_free) if is_wanted else _not_run()

        # With a base it is not known yet whether env.py is as it was.
        evidence = plan.evidence if plan.base_ref is None else frozenset()
        is_twice, is_once = Evidence.CONCURRENT in evidence, Evidence.WHOLE_COMMAND in evidence

        early = EarlyRuns(
            tuple(start),
            offline_sql,
            begin(lambda: run_offline_sql(offline_sql.result(), runner)),
            begin(lambda: upgrade_concurrently(runner), is_wanted=is_twice),
            begin(lambda: make_schema(runner), is_wanted=is_once and not is_twice),
            begin_models,
            models,
        )
        try:
            yield early
        finally:
            if not early.are_done:  # the walk has failed: no caller waits for them
                pool.shutdown(wait=False, cancel_futures=True)
                runner.close()


def _not_run() -> Future[T | None]:
    future: Future[T | None] = Future()
    future.set_result(None)
    return future
