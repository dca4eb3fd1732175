"""What is gone over again once the walk is over, from the start of the plan and with commits:

    unconfirmed        whose second upgrade failed in the transaction that held it, which is not what users run
    interruptions   upgrades that commit half way, killed between two of their statements and run again
    rows            upgrades that could not be tried over rows on the way: they commit, or have no way down

One run of the command takes as many revisions as it can. One of them that spoils the database leaves the rest to others, side by side:
what failed once mostly fails again.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial

from app.gate.errors import CannotReachRevision, CannotVerify, CommandExited, StepTimedOut
from app.gate.recording.model import Direction, Evidence, Interruption, Statement, Step
from app.gate.reruns._pool import JobPool, Share
from app.gate.rows.steps import Committed, RolledBack
from app.gate.rows.trial import RowsTrial, TrialResult
from app.gate.snapshot.incremental import difference_between
from app.gate.target.runner import TargetRunner, session_of_walk
from app.gate.walk.client import DriverClient, lost_step
from app.gate.walk.state import Walk

# Each that fails costs one more run of the command up to it. Older ones have long been run where they could be interrupted.
COMMITTING_REVISIONS = 5  # that are tried over rows: each may need a database of its own
INTERRUPTED_REVISIONS = 5


def add_revisions(jobs: JobPool, walks: Sequence[Walk], runner: TargetRunner) -> None:
    """Add what is to be gone over again of those walks."""
    for walk in walks:
        errands = [_Rerun(walk, walk.unconfirmed, RevisionRerun.confirm, _unconfirmed)]
        if Evidence.INTERRUPTIONS in walk.evidence:
            points = points_of_interruption(walk)
            errands.append(_Rerun(walk, list(points), partial(RevisionRerun.interrupt, points=points), _uninterrupted))
        errands.append(_Rerun(walk, _postponed(walk), RevisionRerun.populate, _uncovered))
        for errand in errands:
            jobs.add(*_shares(jobs, errand, runner))


def points_of_interruption(walk: Walk) -> dict[str, list[int]]:
    """Where a kill leaves half of a revision: {"b2": [1, 3]}, before its second and before its fourth statement.

    Of those that commit half way, only the newest are looked at.
    """
    committing = [
        (name, trip.up)
        for name in walk.plan
        if (trip := walk.trips.get(name)) and trip.up and not (trip.up.failure or trip.up.transactional)
    ]
    points = {name: _points(up) for name, up in committing[-INTERRUPTED_REVISIONS:]}
    return {name: numbers for name, numbers in points.items() if numbers}


def _points(up: Step) -> list[int]:
    numbers = []
    is_half_there = False
    for number, statement in enumerate(up.statements):
        # A statement outside of a transaction has committed what came before it.
        if number and (is_half_there or not statement.transactional):
            numbers.append(number)
        ends = statement.sql.lstrip()[:6].upper() == "COMMIT"
        is_half_there = is_half_there or ends or not statement.transactional
    return numbers


def _postponed(walk: Walk) -> list[str]:
    """The revisions that are still to be tried over rows. Of those that commit, all but the newest are noted as not tried."""
    postponed = [name for name in walk.plan if name in walk.unpopulated]
    committing = [name for name in postponed if (up := walk.trips[name].up) and not up.transactional]
    too_old = committing[:-COMMITTING_REVISIONS]
    for name in too_old:
        reason = f"it commits by itself, and only the last {COMMITTING_REVISIONS} that do are tried over rows"
        walk.note(name, tables_without_rows=dict.fromkeys(walk.unpopulated[name].touched, reason))
    return [name for name in postponed if name not in too_old]


@dataclass(frozen=True)
class _Rerun:
    """Something to be done with each of these revisions, in the order of the plan."""

    walk: Walk
    revisions: Sequence[str]
    go: Callable[[RevisionRerun, Sequence[str]], Sequence[str]]  # gives those that are left, for other databases
    give_up: Callable[[Walk, str, Exception], None]  # notes of a revision that the command was lost over it


def _unconfirmed(walk: Walk, name: str, lost: Exception) -> None:
    walk.note(name, second_up=None, second_up_differences=(), skipped_because=f"on a database of its own, {lost}")


def _uninterrupted(walk: Walk, name: str, lost: Exception) -> None:
    """What was killed on purpose, and is not there to be run again, tells nothing."""


def _uncovered(walk: Walk, name: str, lost: Exception) -> None:
    walk.note(name, tables_without_rows=dict.fromkeys(walk.unpopulated[name].touched, f"over rows, {lost}"))


def _shares(jobs: JobPool, errand: _Rerun, runner: TargetRunner) -> list[Share]:
    """A job that does it for as many as one database allows, and leaves the rest to two others."""
    if not errand.revisions:
        return []

    def job() -> list[Share]:
        left = _go_once(jobs, errand, runner)
        middle = (len(left) + 1) // 2 if jobs.at_once > 1 else len(left)
        parts = (replace(errand, revisions=part) for part in (left[:middle], left[middle:]))
        return [share for part in parts for share in _shares(jobs, part, runner)]

    return [Share(job, len(errand.revisions))]


def _go_once(jobs: JobPool, errand: _Rerun, runner: TargetRunner) -> Sequence[str]:
    """Do it for as many as one database allows. Gives those that are left."""
    walk, revisions = errand.walk, errand.revisions
    with runner.database() as database, runner.process(database) as process:
        session = session_of_walk(walk.index, process, database)
        if session is None:
            raise CannotVerify(f"the command did not reach Alembic a second time: {process.last_words()}")
        client = DriverClient(session, runner, database)
        client.prepare()
        again = RevisionRerun(walk, client)
        try:
            left = errand.go(again, revisions)
        except CannotReachRevision as astray:
            jobs.retry_alone()
            left = _give_up(errand, revisions[again.done :], astray)
        except (CommandExited, StepTimedOut) as lost:
            # Lost on the way to one, those behind it are as well.
            is_at_work = lost.at is None or lost.at[0] == revisions[again.done]
            tried = again.done + 1 if is_at_work else len(revisions)
            left = [*_give_up(errand, revisions[again.done : tried], lost), *revisions[tried:]]
    runner.server.supervisor.check()  # without its server no command lives long
    return left


def _give_up(errand: _Rerun, revisions: Sequence[str], reason: Exception) -> Sequence[str]:
    for name in revisions:
        errand.give_up(errand.walk, name, reason)
    return ()


class RevisionRerun:
    """Goes to some revisions of a walk that is over, on a separate database. Each method returns those that need another one."""

    def __init__(self, walk: Walk, client: DriverClient) -> None:
        self._walk = walk
        self._client = client
        self.done = 0  # of the revisions that it is to go to
        self._index = 0  # in the plan, of the revision that would be next

    def confirm(self, revisions: Sequence[str]) -> Sequence[str]:
        """Take the unconfirmed down and up again."""
        for name in revisions:
            self._come_to(name, is_beyond=True)
            before = self._client.read_schema()
            down = self._survive(name, Direction.DOWNGRADE, observe=self._walk.observes_statements)
            if (first := self._walk.trips[name].down) is not None:
                down = replace(down, changes=first.changes)
            again = self._survive(name, Direction.UPGRADE) if down.failure is None else None
            is_done = again is not None and again.failure is None
            differences = difference_between(before, self._client.read_schema(before)) if is_done else ()
            self._walk.note(name, down=down, second_up=again, second_up_differences=differences)
            self.done += 1
            if differences or not is_done:
                break
        return revisions[self.done :]

    def interrupt(self, revisions: Sequence[str], points: dict[str, list[int]]) -> Sequence[str]:
        """Kill upgrades before those statements, and run them again. What was tried is taken out of `points`."""
        for name in revisions:
            self._come_to(name)
            while points[name]:
                if not self._interrupt(name, points[name]):
                    self.done += not points[name]
                    return revisions[self.done :]
            self.done += 1
        return ()

    def _interrupt(self, name: str, points: list[int]) -> bool:
        """Before the first of the points. False if the database is spoiled."""
        point = points.pop(0)
        before = self._client.read_schema()
        self._client.interrupt_upgrade(name, point)
        again = self._survive(name, Direction.UPGRADE)
        if again.failure is not None:
            up = self._walk.trips[name].up
            last = up.statements[point - 1] if up else Statement("", 0.0)
            # What holds for one point of a revision mostly holds for the next: one finding says it.
            points.clear()
            self._walk.note(name, interruptions=(Interruption(last.sql, last.line, again.failure),))
            return False
        down = self._client.commit_step(name, Direction.DOWNGRADE)
        return down.failure is None and self._client.read_schema(before) == before

    def populate(self, revisions: Sequence[str]) -> Sequence[str]:
        """Run postponed revisions over rows."""
        walk = self._walk
        for name in revisions:
            self._come_to(name)
            trial = walk.unpopulated[name]
            up = walk.trips[name].up
            can_roll_back = up is not None and up.transactional and walk.arrival.is_transactional
            is_rolled_back = can_roll_back and not trial.must_commit
            result, is_spoiled = (self._try_rolled_back if is_rolled_back else self._try_with_commits)(name, trial)
            walk.note(
                name,
                populated=result.populated,
                tables_without_rows=result.tables_without_rows,
                rows_failure=result.rows_failure,
            )
            self.done += result.is_finished
            if is_spoiled or not result.is_finished:
                return revisions[self.done :]
        return ()

    def _try_rolled_back(self, name: str, trial: RowsTrial) -> tuple[TrialResult, bool]:
        """The result, and whether the database is left in another state."""
        client = self._client
        client.begin_rollback_only()
        result = trial.run(RolledBack(client.rows, lambda: client.take_step(name, Direction.UPGRADE)))
        return result, not client.roll_back()

    def _try_with_commits(self, name: str, trial: RowsTrial) -> tuple[TrialResult, bool]:
        """The result, and whether the database is left in another state."""
        client, down = self._client, self._walk.trips[name].down
        steps = Committed(client.rows, client, lambda: client.commit_step(name, Direction.UPGRADE))
        if down is not None and down.failure is None:
            steps.take_downgrade = lambda: client.commit_step(name, Direction.DOWNGRADE)
        return trial.run(steps), steps.is_spoiled

    def _survive(self, name: str, direction: Direction, *, observe: bool = False) -> Step:
        """Take a step. The end of the command in the middle of it is a failure like any other."""
        try:
            return self._client.commit_step(name, direction, observe=observe)
        except (CommandExited, StepTimedOut) as lost:
            return lost_step(name, direction, lost)

    def _come_to(self, name: str, *, is_beyond: bool = False) -> None:
        """Apply what comes before that revision, or that one as well. Raises Astray."""
        index = self._walk.plan.index(name) + is_beyond
        for earlier in self._walk.plan[self._index : index]:
            if earlier in self._walk.applied:
                failure = self._client.commit_step(earlier, Direction.UPGRADE).failure
                if failure is not None:
                    raise CannotReachRevision(f"revision {earlier} did not apply a second time: {failure.message}")
        self._index = index
