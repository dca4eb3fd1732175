"""The walk: which revision goes up, down and up again, in which transaction, and what is done when one of them fails.

    up          committed, as a deployment would
    down, up    in one transaction that is rolled back, so that a defective downgrade affects nothing that comes after
                it. Users do not run the two in one transaction, and that shows (pending trigger events, a new label of
                an enum): a second upgrade that fails there is unconfirmed until it was run with commits, on another
                database

A revision that commits, as an autocommit block does, cannot be rolled back. It goes down and up with commits; if that
leaves another schema behind than there was, the database is recreated and brought to that revision.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace

from app.gate.errors import (
    CannotReachRevision,
    CannotVerify,
    CommandExited,
    DatabaseSpoiled,
    DisturbedByOtherRun,
    SegmentsDiffer,
    StepTimedOut,
)
from app.gate.postgres.sqlstates import EXISTS_ALREADY, INSUFFICIENT_PRIVILEGE
from app.gate.recording.model import Body, Direction, Revision, RoundTrip, Snapshot, Step
from app.gate.recording.serialization import RunningDigest
from app.gate.snapshot.incremental import TrackedSnapshot, difference_between, renames_between
from app.gate.walk._cleanups import may_change_rows
from app.gate.walk._round_trip import round_trip
from app.gate.walk.client import DriverClient, lost_step
from app.gate.walk.state import Walk


class Walker:
    """Takes a walk over one database. The walk may continue with another walker, on another database."""

    def __init__(self, walk: Walk, client: DriverClient, *, is_alone: bool = True, is_at: int = 0) -> None:
        """`is_alone`: no other part of the walk is taken at the same time. `is_at`: up to which index of the plan the
        database has been brought already."""
        self._walk = walk
        self._client = client
        self._is_alone = is_alone
        self._is_at = is_at
        self._digest = RunningDigest(walk.arrival.is_of_version_table)

    def walk(self, begin: int, goes_on: Callable[[int], bool]) -> TrackedSnapshot:
        """Take the plan from that index on, for as long as `goes_on` says so of the index that comes next. Returns the
        schema there. Raises DatabaseSpoiled, CommandExited, StepTimedOut and CannotReachRevision."""
        walk = self._walk
        self._replay(begin)
        schema = self._client.read_schema()
        if begin == 0:
            walk.start = schema
        index = begin
        while goes_on(index):
            name = walk.plan[index]
            revision = walk.arrival.revisions[name]
            blocker = walk.blocker_of(revision)
            if blocker is not None:
                walk.skip(name, blocker)
            else:
                schema = self._visit(revision, schema)
            index += 1
        self._is_at = index
        return schema

    def upgrade_to(self, end: int) -> TrackedSnapshot:
        """Upgrade plainly up to that index. Returns the schema there. Raises what `_replay` does."""
        self._replay(end)
        return self._client.read_schema()

    def _replay(self, end: int) -> None:
        """Apply what comes before that index and is not there yet.

        Raises CannotVerify for what has been applied before on another database, SegmentsDiffer where it sends
        something else this time and the walk has several parts, and CannotReachRevision for what another part of the
        walk takes at the same time.
        """
        for revision in self._walk.plan[self._is_at : end]:
            if revision not in self._walk.trips:
                self._apply_ahead(revision)
            elif revision in self._walk.applied:
                again = self._apply(revision)
                if again.failure is not None:
                    raise CannotVerify(
                        f"revision {revision} applied once and not again on another empty database: {again.failure.message}"
                    )
                if not self._is_alone and texts_of(again) != texts_of(self._walk.trips[revision].up):
                    raise SegmentsDiffer

    def _apply(self, revision: str, *, observe: bool = False, in_one_run: bool = False) -> Step:
        try:
            return self._client.commit_step(revision, Direction.UPGRADE, observe=observe, in_one_run=in_one_run)
        except (CommandExited, StepTimedOut) as lost:
            return lost_step(revision, Direction.UPGRADE, lost)

    def _apply_ahead(self, revision: str) -> None:
        """Apply a revision that is expected to apply. What its statements did to rows, later ones may rest on."""
        observe = self._walk.observes_statements and may_change_rows(self._walk, revision)
        up = self._apply(revision, observe=observe)
        if up.failure is not None and up.failure.sqlstate in EXISTS_ALREADY and up.transactional:
            up = self._apply(revision, observe=observe, in_one_run=True)
        if up.failure is not None:
            raise CannotReachRevision(f"revision {revision} does not apply: {up.failure.message}")
        self._walk.trips[revision] = RoundTrip(revision, up=up)
        self._walk.applied.add(revision)

    def _visit(self, revision: Revision, before: TrackedSnapshot) -> TrackedSnapshot:
        """Upgrade, committed, then try the way down and up again. Returns the schema that the upgrade makes."""
        walk, name = self._walk, revision.revision
        up = self._upgrade(name, before)
        fails_alone = up.failure
        if fails_alone is not None and fails_alone.sqlstate in EXISTS_ALREADY and up.transactional:
            # SQLAlchemy does not create a type twice in one run, so that a new database may get past this revision.
            up = self._client.commit_in_one_run(name, observe=walk.observes_statements, since=before)
        if up.failure is not None:
            self._note_failure(up if fails_alone is None else replace(up, failure=fails_alone), before)
            return before
        walk.applied.add(name)
        after = self._client.read_schema(before)
        walk.schema_digests[name] = (self._digest.of(before), self._digest.of(after))
        has_downgrade = revision.downgrade_body != Body.MISSING
        walk.trips[name] = RoundTrip(
            name,
            up=replace(up, changes=difference_between(before, after), renamed=renames_between(before, after)),
            fails_alone=fails_alone,
            skipped_because=None if has_downgrade else "the script has no downgrade()",
        )
        round_trip(walk, self._client, name, before, after)
        return after

    def _upgrade(self, name: str, before: TrackedSnapshot) -> Step:
        """The upgrade; with a superuser's rights if it lacks rights where the driver does not reach, as on a connection
        of the script's own. Raises DatabaseSpoiled."""
        walk = self._walk
        up = self._client.commit_step(name, Direction.UPGRADE, observe=walk.observes_statements, since=before)
        if up.failure is not None and up.failure.sqlstate == INSUFFICIENT_PRIVILEGE and self._gain_rights():
            walk.refused[name] = up.failure
            if not up.transactional and self._client.read_schema(before) != before:
                raise DatabaseSpoiled(walk.plan.index(name))
            up = self._client.commit_step(name, Direction.UPGRADE, observe=walk.observes_statements, since=before)
        return replace(up, refused=(*up.refused, walk.refused[name])) if name in walk.refused else up

    def _gain_rights(self) -> bool:
        """Raises DisturbedByOtherRun where the other parts of the walk would have them as well."""
        if not self._is_alone:
            raise DisturbedByOtherRun
        return self._client.gain_rights()

    def _note_failure(self, up: Step, before: Snapshot) -> None:
        self._walk.trips[up.revision] = RoundTrip(up.revision, up=up)
        if not up.transactional and self._client.read_schema(before) != before:
            raise DatabaseSpoiled(self._walk.index_after(up.revision))


# What the driver's observer notes in place of statements that it has not seen.
_PAST_SQLALCHEMY = "(statements sent past SQLAlchemy)"


# SQLAlchemy's reflection goes through the tables in the order in which PostgreSQL happens to return them.
_ASKS_THE_CATALOGS = re.compile(
    r"\s*(SELECT|WITH)\b.*?\b(FROM|JOIN)\s+(pg_\w+\b(?!\s*\()|information_schema\.)",
    re.IGNORECASE | re.DOTALL,
)


def texts_of(step: Step | None) -> list[str]:
    """What a step sent, less what is seen only where it is observed, and less what it asked of the catalogs.

    Sorted: the indexes of a table, say, are a set for SQLAlchemy, and are created in another order each time.
    """
    statements = step.statements if step is not None else ()
    texts = (each.sql for each in statements if each.sql != _PAST_SQLALCHEMY)
    return sorted(text for text in texts if not _ASKS_THE_CATALOGS.match(text))


def note_loss(walk: Walk, lost: CommandExited | StepTimedOut) -> int:
    """Note that the step under way failed. Returns where in the plan the walk continues. Raises CannotVerify."""
    if lost.at is None:
        raise CannotVerify(f"the command ended while Alembic was at work in it: {lost}") from lost
    name, direction = lost.at
    step = lost_step(name, Direction(direction), lost)
    trip = walk.trips.get(name, RoundTrip(name))
    if direction == Direction.DOWNGRADE:
        walk.trips[name] = RoundTrip(name, up=trip.up, down=step)
    elif name in walk.applied:
        walk.trips[name] = RoundTrip(name, up=trip.up, down=trip.down, second_up=step, left_behind=trip.left_behind)
    else:
        walk.trips[name] = RoundTrip(name, up=step)
    return walk.index_after(name)
