"""Down and up again, after an upgrade that was committed: rolled back where that is possible, else with commits.

`_down_and_up` has the order of the steps. The two ways differ in their transactions, and in what spoils the database.
Rows are tried where it is rolled back.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial
from typing import Protocol

from app.gate.errors import DatabaseSpoiled
from app.gate.postgres.sqlstates import EXISTS_ALREADY
from app.gate.postgres.statements import is_literal
from app.gate.recording.model import Direction, RoundTrip, Snapshot, Step
from app.gate.rows.connection import CommitRefused
from app.gate.rows.older_rules import find_older_rules
from app.gate.rows.steps import RolledBack
from app.gate.rows.trial import RowsTrial, TrialResult
from app.gate.snapshot.incremental import difference_between, has_rare
from app.gate.walk._rows import postpone_rows, rows_trial
from app.gate.walk.client import DriverClient
from app.gate.walk.state import Walk


@dataclass(frozen=True)
class _Upgraded:
    """A revision whose upgrade was committed."""

    walk: Walk
    client: DriverClient
    name: str
    before: Snapshot  # the schema before the upgrade
    after: Snapshot

    @property
    def trip(self) -> RoundTrip:
        return self.walk.trips[self.name]

    def note(self, trip: RoundTrip) -> None:
        self.walk.trips[self.name] = trip

    def rows_trial(self, trip: RoundTrip) -> RowsTrial | None:
        return rows_trial(self.walk, trip, self.before)

    def database_spoiled(self) -> DatabaseSpoiled:
        """To be raised where the schema is no longer the one after the upgrade."""
        return DatabaseSpoiled(self.walk.index_after(self.name))


def round_trip(walk: Walk, client: DriverClient, name: str, before: Snapshot, after: Snapshot) -> None:
    """Take a revision down and up again, from the schema `after` its upgrade, and note that. Raises DatabaseSpoiled."""
    upgraded = _Upgraded(walk, client, name, before, after)
    up = upgraded.trip.up
    has_downgrade = upgraded.trip.skipped_because is None
    can_roll_back = up is not None and up.transactional and walk.arrival.is_transactional
    is_done = has_downgrade and can_roll_back and _RolledBack(upgraded).go()
    postpone_rows(walk, client, upgraded.trip, before)
    if has_downgrade and not is_done:
        _Committed(upgraded).go()


@dataclass(frozen=True)
class _Again:
    """The second upgrade, and the schema after it if it passed."""

    step: Step
    schema: Snapshot | None  # in the words of the first upgrade where it means the same
    read: Snapshot | None = None  # the same, as it was read


class _Way(Protocol):
    """How the steps of a round trip are taken."""

    def downgrade(self) -> Step | CommitRefused: ...

    def upgrade(self, trip: RoundTrip, back: Snapshot) -> _Again | CommitRefused: ...


def _down_and_up(way: _Way, upgraded: _Upgraded) -> RoundTrip | CommitRefused:
    """The trip with a downgrade and a second upgrade, as far as they got."""
    trip, client = upgraded.trip, upgraded.client
    down = way.downgrade()
    if isinstance(down, CommitRefused):
        return down
    if down.failure is not None:
        return replace(trip, down=down)
    back = client.read_schema(upgraded.after)
    down = replace(down, changes=difference_between(upgraded.after, back))
    trip = replace(
        trip, down=down, left_behind=difference_between(upgraded.before, client.align(upgraded.before, back))
    )
    if _undid_nothing(trip):
        return trip
    again = way.upgrade(trip, back)
    if isinstance(again, CommitRefused):
        return again
    trip = replace(trip, second_up=again.step)
    if again.schema is None:
        return trip
    return replace(trip, second_up_differences=difference_between(upgraded.after, again.schema))


def _undid_nothing(trip: RoundTrip) -> bool:
    """Whether the downgrade left everything there: an upgrade over all of it would prove nothing more."""
    return bool(trip.left_behind) and trip.down is not None and not trip.down.changes


class _RolledBack:
    """Down and up in one transaction that is rolled back, with rows in the tables for the second upgrade."""

    def __init__(self, upgraded: _Upgraded) -> None:
        self._upgraded = upgraded
        self._client = upgraded.client
        self._trial: RowsTrial | None = None
        self._result: TrialResult | None = None

    def go(self) -> bool:
        """Note the trip. False if a script wants to commit: then nothing has happened. Raises DatabaseSpoiled."""
        upgraded = self._upgraded
        self._client.begin_rollback_only()
        self._trial = upgraded.rows_trial(upgraded.trip)
        if self._trial is not None:
            self._trial.look_ahead(self._client.rows)
        tried = _down_and_up(self, upgraded)
        if isinstance(tried, CommitRefused):
            # The script may have committed something before that.
            if not self._client.roll_back() and self._client.read_schema(upgraded.after) != upgraded.after:
                raise upgraded.database_spoiled()
            return False
        self._note(tried)
        if not self._client.roll_back():
            raise upgraded.database_spoiled()
        return True

    def downgrade(self) -> Step | CommitRefused:
        upgraded = self._upgraded
        return self._client.take_step(
            upgraded.name, Direction.DOWNGRADE, observe=upgraded.walk.observes_statements, since=upgraded.after
        )

    def upgrade(self, trip: RoundTrip, back: Snapshot) -> _Again | CommitRefused:
        has_to_read = _has_to_read(self._upgraded, trip)
        if self._trial is None:  # there may be one for the tables to which the downgrade writes
            self._trial = self._upgraded.rows_trial(trip)
        if self._trial is None:
            taken = self._take(Direction.UPGRADE, since=back if has_to_read else None)
            return _again(self._upgraded, taken, back, has_to_read)
        latest: list[_Again | CommitRefused] = []

        observe = self._upgraded.walk.changes_rows(self._upgraded.name)

        def upgrade_again() -> Step | CommitRefused:
            taken = self._take(Direction.UPGRADE, since=back if has_to_read else None, observe=observe)
            # Before a downgrade over the rows changes the schema.
            latest.append(_again(self._upgraded, taken, back, has_to_read))
            return taken

        downgrade_again = partial(self._take, Direction.DOWNGRADE)
        rules = find_older_rules(trip.left_behind)
        self._result = self._trial.run(RolledBack(self._client.rows, upgrade_again, downgrade_again, older_rules=rules))
        second_up = self._result.second_up
        return next((each for each in latest if isinstance(each, _Again) and each.step is second_up), latest[-1])

    def _take(
        self, direction: Direction, since: Snapshot | None = None, *, observe: bool = False
    ) -> Step | CommitRefused:
        return self._client.take_step(self._upgraded.name, direction, observe=observe, since=since)

    def _note(self, trip: RoundTrip) -> None:
        """Note the trip, and the result of the trial over rows."""
        result, second_up = self._result, trip.second_up
        if second_up is not None and not _is_confirmed(trip, second_up, has_rows=self._trial is not None):
            self._upgraded.walk.unconfirmed.append(trip.revision)
        if second_up is not None and result is not None:
            trip = replace(trip, populated=result.populated)
            if second_up.failure is None:
                trip = replace(trip, tables_without_rows=result.tables_without_rows, rows_failure=result.rows_failure)
        self._upgraded.note(trip)


def _again(
    upgraded: _Upgraded, taken: Step | CommitRefused, back: Snapshot, has_to_read: bool
) -> _Again | CommitRefused:
    if isinstance(taken, CommitRefused):
        return taken
    if taken.failure is not None:
        return _Again(taken, None)
    if not has_to_read and _texts(taken) == _texts(upgraded.trip.up):
        return _Again(taken, upgraded.after)
    schema = upgraded.client.read_schema(back)
    return _Again(taken, upgraded.client.align(upgraded.after, schema), schema)


def _has_to_read(upgraded: _Upgraded, trip: RoundTrip) -> bool:
    """Whether a second upgrade by the same statements could leave another schema than the first one.

    It cannot where the downgrade restored the schema and each statement is literal. To read the schema all the same
    would cost 7 % of a run (docs/decisions/second-reading.md).
    """
    may_have_event_triggers = has_rare(upgraded.before) and any(
        key.kind == "event trigger" for key in upgraded.before.objects
    )
    return bool(trip.left_behind) or may_have_event_triggers or not all(map(is_literal, _texts(trip.up)))


def _texts(step: Step | None) -> list[str]:
    return [statement.sql for statement in step.statements] if step is not None else []


def _is_confirmed(trip: RoundTrip, second_up: Step, *, has_rows: bool) -> bool:
    """Whether the second upgrade would end in the same way if it were in a separate transaction."""
    if second_up.failure is not None:
        return bool(trip.left_behind) and second_up.failure.sqlstate in EXISTS_ALREADY
    # A script may leave a table alone that has rows, or query on another connection, which sees no downgrade.
    return not trip.second_up_differences or (bool(trip.left_behind) and not has_rows)


class _Committed:
    """Down and up with commits, as users run them. What goes wrong stays in the database."""

    def __init__(self, upgraded: _Upgraded) -> None:
        self._upgraded = upgraded
        self._is_in_other_words = False  # the second upgrade's definitions

    def go(self) -> None:
        """Note the trip. Raises DatabaseSpoiled if the schema is another one afterwards."""
        tried = _down_and_up(self, self._upgraded)
        assert isinstance(tried, RoundTrip)  # noqa: S101 - no commit is refused here
        self._upgraded.note(tried)
        if self._has_spoiled(tried):
            raise self._upgraded.database_spoiled()

    def downgrade(self) -> Step:
        upgraded = self._upgraded
        return upgraded.client.commit_step(
            upgraded.name,
            Direction.DOWNGRADE,
            observe=upgraded.walk.observes_statements,
            since=upgraded.after,
        )

    def upgrade(self, trip: RoundTrip, back: Snapshot) -> _Again | CommitRefused:
        taken = self._upgraded.client.commit_step(trip.revision, Direction.UPGRADE, since=back)
        again = _again(self._upgraded, taken, back, has_to_read=True)
        self._is_in_other_words = isinstance(again, _Again) and again.read is not again.schema
        return again

    def _has_spoiled(self, trip: RoundTrip) -> bool:
        if trip.down is not None and trip.down.failure is not None:
            return self._upgraded.client.read_schema(self._upgraded.after) != self._upgraded.after
        # If the downgrade undid nothing, the revision is there, and the version table does not have it.
        second_up = trip.second_up
        if second_up is None or second_up.failure is not None:
            return True
        return self._is_in_other_words or bool(trip.second_up_differences)
