"""Upgrades over rows that the walk could not try: they commit, or have no downgrade."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

from app.gate.recording.model import Direction
from app.gate.reruns._revisions import Outcome
from app.gate.rows.steps import Committed, RolledBack
from app.gate.rows.trial import RowsTrial, TrialResult
from app.gate.walk.client import DriverClient
from app.gate.walk.state import Walk

COMMITTING_REVISIONS = 12  # that are tried over rows: each may need a separate database


def postponed_revisions(walk: Walk) -> list[str]:
    """The revisions still to be tried over rows. Of those that commit, all but the newest are noted as not tried."""
    postponed = [name for name in walk.plan if name in walk.unpopulated]
    committing = [name for name in postponed if (up := walk.trips[name].up) and not up.transactional]
    too_old = committing[:-COMMITTING_REVISIONS]
    for name in too_old:
        reason = f"it commits, and only the last {COMMITTING_REVISIONS} revisions that do are tried over rows"
        walk.note(name, tables_without_rows=dict.fromkeys(walk.unpopulated[name].touched, reason))
    return [name for name in postponed if name not in too_old]


@dataclass(frozen=True)
class UpgradeOverRows:
    """Runs the upgrade of a revision over rows, rolled back or, where that is impossible, with commits."""

    walk: Walk
    is_of_applied: bool = False

    def run(self, revision: str, client: DriverClient) -> Outcome:
        trial = self.walk.unpopulated[revision]
        up = self.walk.trips[revision].up
        is_transactional = up is not None and up.transactional and self.walk.arrival.is_transactional
        can_roll_back = is_transactional and not trial.must_commit
        result, is_spoiled = (self._roll_back if can_roll_back else self._commit)(revision, client, trial)
        self.walk.note(
            revision,
            populated=result.populated,
            tables_without_rows=result.tables_without_rows,
            rows_failure=result.rows_failure,
        )
        if not result.is_finished:
            return Outcome.NOT_DONE
        return Outcome.DATABASE_SPOILED if is_spoiled else Outcome.DONE

    def give_up(self, revision: str, reason: Exception) -> None:
        tables = self.walk.unpopulated[revision].touched
        self.walk.note(revision, tables_without_rows=dict.fromkeys(tables, f"over rows, {reason}"))

    def _roll_back(self, revision: str, client: DriverClient, trial: RowsTrial) -> tuple[TrialResult, bool]:
        """The result, and whether the database is left in another state."""
        client.begin_rollback_only()
        observe = self.walk.changes_rows(revision)
        upgrade = partial(client.take_step, revision, Direction.UPGRADE, observe=observe)
        result = trial.run(RolledBack(client.rows, upgrade))
        return result, not client.roll_back()

    def _commit(self, revision: str, client: DriverClient, trial: RowsTrial) -> tuple[TrialResult, bool]:
        """The result, and whether the database is left in another state."""
        down = self.walk.trips[revision].down
        observe = self.walk.changes_rows(revision)
        upgrade = partial(client.commit_step, revision, Direction.UPGRADE, observe=observe)
        steps = Committed(client.rows, client, upgrade)
        if down is not None and down.failure is None:
            steps.take_downgrade = lambda: client.commit_step(revision, Direction.DOWNGRADE)
        return trial.run(steps), steps.is_spoiled
