"""Second upgrades that failed in the rollback-only transaction, with commits.

Users do not downgrade and upgrade in one transaction, so a failure there counts only if it is confirmed here.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from app.gate.errors import CommandExited, StepTimedOut
from app.gate.recording.model import Direction, Step
from app.gate.reruns._revisions import Outcome
from app.gate.snapshot.incremental import difference_between
from app.gate.walk.client import DriverClient, lost_step
from app.gate.walk.state import Walk


@dataclass(frozen=True)
class SecondUpgrade:
    """Takes a revision down and up again."""

    walk: Walk
    is_of_applied: bool = True

    def run(self, revision: str, client: DriverClient) -> Outcome:
        before = client.read_schema()
        down = survive_step(client, revision, Direction.DOWNGRADE, observe=self.walk.observes_statements)
        if (first := self.walk.trips[revision].down) is not None:
            down = replace(down, changes=first.changes)
        second_up = survive_step(client, revision, Direction.UPGRADE) if down.failure is None else None
        is_up = second_up is not None and second_up.failure is None
        after = client.read_schema(before) if is_up else before
        differences = difference_between(before, client.align(before, after))
        is_as_before = is_up and not difference_between(before, after)
        self.walk.note(revision, down=down, second_up=second_up, second_up_differences=differences)
        return Outcome.DONE if is_as_before else Outcome.DATABASE_SPOILED

    def give_up(self, revision: str, reason: Exception) -> None:
        skipped_because = f"on a separate database, {reason}"
        self.walk.note(revision, second_up=None, second_up_differences=(), skipped_because=skipped_because)


def survive_step(client: DriverClient, revision: str, direction: Direction, *, observe: bool = False) -> Step:
    """Take a step. If the command ends in the middle of it, the step has failed."""
    try:
        return client.commit_step(revision, direction, observe=observe)
    except (CommandExited, StepTimedOut) as lost:
        return lost_step(revision, direction, lost)
