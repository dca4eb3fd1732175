"""What is left to do once the walk is over, side by side: each job is one more run of the command, on a database of its own."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass

from app.gate.errors import CannotVerify, DisturbedByOtherRun
from app.gate.target.runner import TargetRunner

Job = Callable[[], "Sequence[Share] | None"]  # gives what it leaves for others
# A command that imports its whole application takes a processor for seconds, and some hundred megabytes.
_PROCESSORS = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
AT_ONCE = max(2, min(4, _PROCESSORS))


@dataclass(frozen=True)
class Share:
    """A job, and how much of the whole it is worth, what it leaves for others included."""

    job: Job
    units: int = 1


class JobPool:
    """Jobs that need nothing of each other. What they are to find out they write where they were told to."""

    def __init__(self, runner: TargetRunner, on_progress: Callable[[int, int], None]) -> None:
        self._stage = runner
        self._on_progress = on_progress  # units done, of how many
        self._waiting: list[Share] = []
        self._total = 0
        self.at_once = 1 if runner.must_run_serially else AT_ONCE
        self._is_alone = self.at_once == 1  # whether a job that runs has no other beside it

    def add(self, *shares: Share) -> None:
        """To be done by `run`."""
        self._waiting += shares

    def run(self) -> None:
        """Do all of them. What cannot be told beside others is done once more alone. Raises what a job raises."""
        self._total = self._worth(self._waiting)
        if not self._is_alone:
            self._run_side_by_side()
            self._is_alone = True
        while self._waiting:
            self._tell(self._waiting)
            self._waiting += self._waiting.pop(0).job() or ()
        self._tell(())

    def retry_alone(self) -> None:
        """To be called where the command failed outside of any revision. Raises Disturbed unless that cannot be another job's fault."""
        if not self._is_alone:
            raise DisturbedByOtherRun

    def _run_side_by_side(self) -> None:
        """All but what was disturbed, which is left waiting."""
        disturbed: list[Share] = []
        running: dict[Future[Sequence[Share] | None], Share] = {}
        with ThreadPoolExecutor(self.at_once) as pool:
            try:
                while self._waiting or running:
                    while self._waiting and len(running) < self.at_once:
                        share = self._waiting.pop(0)
                        running[pool.submit(share.job)] = share
                    self._tell((*running.values(), *self._waiting, *disturbed))
                    ended, _ = wait(running, return_when=FIRST_COMPLETED)
                    for future in ended:
                        share = running.pop(future)
                        try:
                            self._waiting += future.result() or ()
                        except (DisturbedByOtherRun, CannotVerify):
                            disturbed.append(share)
            except BaseException:
                self._stage.close()
                raise
        self._waiting = disturbed

    def _tell(self, left: Iterable[Share]) -> None:
        self._on_progress(self._total - self._worth(left), self._total)

    def _worth(self, shares: Iterable[Share]) -> int:
        return sum(share.units for share in shares)
