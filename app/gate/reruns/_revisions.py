"""Reruns of single revisions: each is run again with commits, on a database with everything that comes before it.

One run of the command takes as many revisions as it can. If one of them leaves the database in another state, the rest
is left to other runs, several at the same time: what fails once usually fails again.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import Enum
from typing import Protocol

from app.gate.errors import CannotReachRevision, CannotVerify, CommandExited, StepTimedOut
from app.gate.recording.model import Direction
from app.gate.reruns._pool import Job, JobPool
from app.gate.target.runner import TargetRunner, session_of_walk
from app.gate.walk.client import DriverClient
from app.gate.walk.state import Walk


class Outcome(Enum):
    """Where a rerun continues."""

    DONE = "with the next revision"
    DATABASE_SPOILED = "with the next revision, on another database"
    NOT_DONE = "with the same revision, on another database"


class Rerun(Protocol):
    """What is done with each of some revisions. It notes what it finds out in the walk."""

    @property
    def walk(self) -> Walk: ...

    @property
    def is_of_applied(self) -> bool:
        """Whether the revision has been applied when `run` is called."""

    def run(self, revision: str, client: DriverClient) -> Outcome: ...

    def give_up(self, revision: str, reason: Exception) -> None:
        """Note that the command did not get to the revision, or ended in the middle of it."""


def jobs_of(rerun: Rerun, revisions: Sequence[str], pool: JobPool, runner: TargetRunner) -> list[Job]:
    """A job that takes as many of the revisions as one database allows, and leaves the rest to two others."""
    if not revisions:
        return []

    def run() -> list[Job]:
        left = _run_some(rerun, revisions, pool, runner)
        middle = (len(left) + 1) // 2 if pool.at_once > 1 else len(left)
        return [job for part in (left[:middle], left[middle:]) for job in jobs_of(rerun, part, pool, runner)]

    return [Job(run, len(revisions))]


def _run_some(rerun: Rerun, revisions: Sequence[str], pool: JobPool, runner: TargetRunner) -> Sequence[str]:
    """Take as many of the revisions as one database allows. Returns those that are left."""
    with runner.database() as database, runner.process(database) as process:
        session = session_of_walk(rerun.walk.index, process, database)
        if session is None:
            raise CannotVerify(f"the command did not reach Alembic a second time: {process.last_words()}")
        client = DriverClient(session, runner, database)
        client.prepare()
        left = _run_in_order(rerun, revisions, pool, client)
    runner.server.supervisor.check()  # without its server no command lives long
    return left


def _run_in_order(rerun: Rerun, revisions: Sequence[str], pool: JobPool, client: DriverClient) -> Sequence[str]:
    replay = _Replay(rerun.walk, client)
    for index, revision in enumerate(revisions):
        try:
            replay.advance_to(revision, including=rerun.is_of_applied)
            outcome = rerun.run(revision, client)
        except CannotReachRevision as reason:
            pool.retry_alone()
            return _give_up(rerun, revisions[index:], reason)
        except (CommandExited, StepTimedOut) as lost:
            # Lost on the way to a revision, the command is lost to those after it as well.
            is_at_revision = lost.at is None or lost.at[0] == revision
            end = index + 1 if is_at_revision else len(revisions)
            return [*_give_up(rerun, revisions[index:end], lost), *revisions[end:]]
        if outcome is not Outcome.DONE:
            return revisions[index + (outcome is Outcome.DATABASE_SPOILED) :]
    return ()


def _give_up(rerun: Rerun, revisions: Sequence[str], reason: Exception) -> Sequence[str]:
    for revision in revisions:
        rerun.give_up(revision, reason)
    return ()


class _Replay:
    """Applies on a new database what the walk has applied."""

    def __init__(self, walk: Walk, client: DriverClient) -> None:
        self._walk = walk
        self._client = client
        self._index = 0  # in the plan, of the revision that would be next

    def advance_to(self, revision: str, *, including: bool) -> None:
        """Apply what comes before the revision, and perhaps the revision. Raises CannotReachRevision."""
        end = self._walk.plan.index(revision) + including
        for earlier in self._walk.plan[self._index : end]:
            if earlier in self._walk.applied:
                failure = self._client.commit_step(earlier, Direction.UPGRADE).failure
                if failure is not None:
                    raise CannotReachRevision(f"revision {earlier} did not apply a second time: {failure.message}")
        self._index = end
