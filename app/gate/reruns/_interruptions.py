"""Upgrades that commit half way, killed between two of their statements and run again."""

from __future__ import annotations

from dataclasses import dataclass

from app.gate.recording.model import Direction, Interruption, Statement, Step
from app.gate.reruns._revisions import Outcome
from app.gate.reruns._second_upgrades import survive_step
from app.gate.walk.client import DriverClient
from app.gate.walk.state import Walk

# Each failure costs one more run of the command up to the revision, and older revisions have been applied by now.
INTERRUPTED_REVISIONS = 5


def points_of_interruption(walk: Walk) -> dict[str, list[int]]:
    """Where a kill leaves half of a revision: {"b2": [1, 3]}, before its second and before its fourth statement.

    Of the revisions that commit half way, only the newest are taken.
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
    is_half_committed = False
    for number, statement in enumerate(up.statements):
        # A statement outside a transaction has committed what came before it.
        if number and (is_half_committed or not statement.transactional):
            numbers.append(number)
        is_commit = statement.sql.lstrip()[:6].upper() == "COMMIT"
        is_half_committed = is_half_committed or is_commit or not statement.transactional
    return numbers


@dataclass(frozen=True)
class InterruptedUpgrade:
    """Kills the upgrade of a revision before each of its points, and runs it again."""

    walk: Walk
    points: dict[str, list[int]]  # by revision, those that are left
    is_of_applied: bool = False

    def run(self, revision: str, client: DriverClient) -> Outcome:
        points = self.points[revision]
        while points:
            if not self._interrupt(revision, points, client):
                return Outcome.NOT_DONE if points else Outcome.DATABASE_SPOILED
        return Outcome.DONE

    def _interrupt(self, revision: str, points: list[int], client: DriverClient) -> bool:
        """Interrupt the upgrade at the first of the points. False if the database is left in another state."""
        point = points.pop(0)
        before = client.read_schema()
        client.interrupt_upgrade(revision, point)
        second_up = survive_step(client, revision, Direction.UPGRADE)
        if second_up.failure is not None:
            up = self.walk.trips[revision].up
            last = up.statements[point - 1] if up else Statement("", 0.0)
            # A revision that fails after one point usually fails after the next: one finding is enough.
            points.clear()
            self.walk.note(revision, interruptions=(Interruption(last.sql, last.line, second_up.failure),))
            return False
        down = client.commit_step(revision, Direction.DOWNGRADE)
        return down.failure is None and client.read_schema(before) == before

    def give_up(self, revision: str, reason: Exception) -> None:
        """Note nothing: an upgrade that was killed on purpose and cannot be reached again shows nothing."""
