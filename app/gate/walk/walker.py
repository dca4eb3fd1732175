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

from collections.abc import Callable
from dataclasses import replace

from app.gate.errors import CannotVerify, CommandExited, DatabaseSpoiled, StepTimedOut
from app.gate.postgres.sqlstates import EXISTS_ALREADY, INSUFFICIENT_PRIVILEGE
from app.gate.recording.model import Body, Direction, Revision, RoundTrip, Snapshot, Step
from app.gate.recording.serialization import RunningDigest
from app.gate.snapshot.incremental import TrackedSnapshot, difference_between, renames_between
from app.gate.walk._head import observe_head
from app.gate.walk._round_trip import round_trip
from app.gate.walk.client import DriverClient, lost_step
from app.gate.walk.state import Walk


class Walker:
    """Takes a walk over one database. The walk may continue with another walker, on another database."""

    def __init__(self, walk: Walk, client: DriverClient) -> None:
        self._walk = walk
        self._client = client
        self._digest = RunningDigest()

    def walk(self, start_at: int, on_step: Callable[[int], None]) -> None:
        """Take the plan from that index on, then observe head. Raises DatabaseSpoiled, CommandExited and
        StepTimedOut."""
        walk = self._walk
        self._replay(start_at)
        schema = self._client.read_schema()
        if start_at == 0:
            walk.start = schema
        for index, name in enumerate(walk.plan[start_at:], start_at):
            on_step(index)
            revision = walk.arrival.revisions[name]
            blocker = walk.blocker_of(revision)
            if blocker is not None:
                walk.skip(name, blocker)
            else:
                schema = self._visit(revision, schema)
        on_step(len(walk.plan))
        observe_head(walk, self._client, schema)

    def _replay(self, end: int) -> None:
        """Apply again, on a new database, what comes before that index. Raises CannotVerify."""
        for revision in self._walk.plan[:end]:
            if revision not in self._walk.applied:
                continue
            try:
                step = self._client.commit_step(revision, Direction.UPGRADE)
            except (CommandExited, StepTimedOut) as lost:
                step = lost_step(revision, Direction.UPGRADE, lost)
            if step.failure is not None:
                raise CannotVerify(
                    f"revision {revision} applied once and not again on another empty database: {step.failure.message}"
                )

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
        walk.schema_digests[name] = (self._digest_of(before), self._digest_of(after))
        has_downgrade = revision.downgrade_body != Body.MISSING
        walk.trips[name] = RoundTrip(
            name,
            up=replace(up, changes=difference_between(before, after), renamed=renames_between(before, after)),
            fails_alone=fails_alone,
            skipped_because=None if has_downgrade else "the script has no downgrade()",
        )
        round_trip(walk, self._client, name, before, after)
        return after

    def _digest_of(self, schema: Snapshot) -> str:
        return self._digest.of(self._walk.arrival.without_version_table(schema))

    def _upgrade(self, name: str, before: TrackedSnapshot) -> Step:
        """The upgrade; with a superuser's rights if it lacks rights where the driver does not reach, as on a connection
        of the script's own. Raises DatabaseSpoiled."""
        walk = self._walk
        up = self._client.commit_step(name, Direction.UPGRADE, observe=walk.observes_statements, since=before)
        if up.failure is not None and up.failure.sqlstate == INSUFFICIENT_PRIVILEGE and self._client.gain_rights():
            walk.refused[name] = up.failure
            if not up.transactional and self._client.read_schema(before) != before:
                raise DatabaseSpoiled(walk.plan.index(name))
            up = self._client.commit_step(name, Direction.UPGRADE, observe=walk.observes_statements, since=before)
        return replace(up, refused=(*up.refused, walk.refused[name])) if name in walk.refused else up

    def _note_failure(self, up: Step, before: Snapshot) -> None:
        self._walk.trips[up.revision] = RoundTrip(up.revision, up=up)
        if not up.transactional and self._client.read_schema(before) != before:
            raise DatabaseSpoiled(self._walk.index_after(up.revision))
