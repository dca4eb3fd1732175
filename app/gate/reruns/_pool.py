"""The job pool: what runs once the walk is over, several jobs at the same time.

Each job runs the command once or more, on separate databases.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass

from app.gate.errors import CannotVerify, DisturbedByOtherRun, ServerUnavailable
from app.gate.target.jobs import AT_ONCE
from app.gate.target.runner import TargetRunner


@dataclass(frozen=True)
class Job:
    """Something to run, which may return further jobs. `units` is its part of the whole, these included."""

    run: Callable[[], Sequence[Job] | None]
    units: int = 1


class JobPool:
    """Jobs that are independent of each other, and note what they find out where it belongs."""

    def __init__(
        self, runner: TargetRunner, on_progress: Callable[[int, int], None], at_once: int | None = None
    ) -> None:
        self._runner = runner
        self._on_progress = on_progress  # units done, of how many
        self._waiting: list[Job] = []
        self._total = 0
        self.at_once = 1 if runner.must_run_serially else at_once or AT_ONCE
        self._is_alone = self.at_once == 1  # whether no other job runs while one does

    def add(self, *jobs: Job) -> None:
        """Have `run` run these as well."""
        self._waiting += jobs

    def run(self) -> None:
        """Run all jobs; those that others may have disturbed once more, alone. Raises what a job raises."""
        self._total = _units(self._waiting)
        if not self._is_alone:
            self._run_concurrently()
            self._is_alone = True
        while self._waiting:
            self._report(self._waiting)
            self._waiting += self._waiting.pop(0).run() or ()
        self._report(())

    def retry_alone(self) -> None:
        """To be called by a job where the command failed outside of any revision.

        Raises DisturbedByOtherRun, unless no other job can be the cause.
        """
        if not self._is_alone:
            raise DisturbedByOtherRun

    def _run_concurrently(self) -> None:
        """Run all jobs. Those that were disturbed are left waiting."""
        disturbed: list[Job] = []
        running: dict[Future[Sequence[Job] | None], Job] = {}
        with ThreadPoolExecutor(self.at_once) as pool:
            try:
                while self._waiting or running:
                    while self._waiting and len(running) < self.at_once:
                        job = self._waiting.pop(0)
                        running[pool.submit(job.run)] = job
                    self._report((*running.values(), *self._waiting, *disturbed))
                    ended, _ = wait(running, return_when=FIRST_COMPLETED)
                    for future in ended:
                        job = running.pop(future)
                        try:
                            self._waiting += future.result() or ()
                        except ServerUnavailable:
                            raise  # a job on its own would not have a server either
                        except (DisturbedByOtherRun, CannotVerify):
                            disturbed.append(job)
            except BaseException:
                self._runner.close()
                raise
        self._waiting = disturbed

    def _report(self, left: Iterable[Job]) -> None:
        self._on_progress(self._total - _units(left), self._total)


def _units(jobs: Iterable[Job]) -> int:
    return sum(job.units for job in jobs)
