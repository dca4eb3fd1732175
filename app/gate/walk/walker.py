"""The walk: which revision goes up, down and up again, in which transaction, and what is done when one of them fails.

    up          committed, as a deploy would do it
    down, up    in one transaction that is rolled back, so that a defective downgrade spoils nothing that comes after it.
                One transaction is not what users run (pending trigger events, a new label of an enum): a second upgrade
                that fails there is suspected, and confirmed with commits on a database of its own before it counts.

A revision that commits by itself, as an autocommit block does, cannot be rolled back. It goes down and up with commits; if that
leaves another schema behind than there was, the database is made anew and brought to that revision.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from app.gate.errors import CannotVerify, CommandExited, DatabaseSpoiled, StepId, StepTimedOut
from app.gate.postgres.sqlstates import EXISTS_ALREADY
from app.gate.recording.model import Body, Direction, Evidence, Failure, RoundTrip, Snapshot, Step, UnregisteredModel
from app.gate.rows.connection import QueryRefused, RowConnection
from app.gate.rows.touched import find_rows, touched_tables
from app.gate.rows.trial import RowsTrial
from app.gate.snapshot.incremental import difference_between, read_all, read_changes
from app.gate.target.session import DriverSession, Request
from app.gate.walk.client import _CANNOT_HOLD, _PATIENCE_S, _statement, is_void, step_request
from app.gate.walk.state import Walk
from app.gate.walk.unchanged import find_unchanged


class Walker:
    """Goes one walk over one session. Made anew, with the same `walk`, when the database had to be."""

    def __init__(self, walk: Walk, session: DriverSession, timeout_s: float, cancel: Callable[[str], None]) -> None:
        self._walk = walk
        self._session = session
        self._timeout_s = timeout_s
        self._cancel = cancel  # ends what a backend is doing
        self._state: Snapshot

    def go(self, start_at: int, on_step: Callable[[int], None], at_head: Callable[[], None]) -> None:
        """Walk the plan from that index on, then look at what is there at its end. Raises Spoiled, Hung and Gone.

        `at_head` is called when the walk got to head, while the command is busy with what autogenerate sees.
        """
        self._fast_forward(start_at)
        self._state = self._look()
        if start_at == 0:
            self._walk.start = self._state
        for index in range(start_at, len(self._walk.plan)):
            on_step(index)
            self._visit(index)
        on_step(len(self._walk.plan))
        self._arrive(at_head)

    def forward(self) -> None:
        """Apply what the base has of the plan, and nothing else. Raises CannotVerify."""
        walk = self._walk
        # What slipped in below an old revision has to be there for that one to apply.
        inserted_below = {revision for revision, _ in walk.base.inserted_below} if walk.base else set()
        for revision in walk.plan:
            if walk.revisions[revision].is_new and revision not in inserted_below:
                continue
            answer = self._run(revision, "upgrade", is_observed=False)
            if failure := answer.get("failure"):
                raise CannotVerify(
                    f"revision {revision} is older than this branch and does not apply: {failure['message']};"
                    " run without --base to see the whole history judged"
                )

    def _fast_forward(self, index: int) -> None:
        for revision in self._walk.plan[:index]:
            if revision in self._walk.applied:
                try:
                    answer = self._run(revision, "upgrade", is_observed=False)
                except (CommandExited, StepTimedOut) as lost:
                    answer = {"failure": {"message": str(lost)}}
                if failure := answer.get("failure"):
                    raise CannotVerify(
                        f"revision {revision} applied once and not again on another empty database: {failure['message']}"
                    )

    def _visit(self, index: int) -> None:
        walk = self._walk
        name = walk.plan[index]
        revision = walk.revisions[name]
        for parent in (*revision.down_revisions, *revision.depends_on):
            if parent in walk.trips and parent not in walk.applied:
                culprit = walk.blocked_by.get(parent, parent)
                walk.blocked_by[name] = culprit
                walk.trips[name] = RoundTrip(name, skipped_because=f"it comes after {culprit}, which does not apply")
                return
        before = self._state
        up = self._step(name, "upgrade")
        if up.failure is not None:
            walk.trips[name] = RoundTrip(name, up=up)
            if not up.transactional and self._look(before) != before:
                raise DatabaseSpoiled(index + 1)
            return
        walk.applied.add(name)
        has_downgrade = revision.downgrade_body != Body.MISSING
        is_held = has_downgrade and up.transactional and walk.is_transactional
        if is_held:
            self._session.ask("begin_rollback_only")
        after = self._look(before)
        up = replace(up, changes=difference_between(before, after))
        self._state = after
        walk.trips[name] = RoundTrip(
            name, up=up, skipped_because=None if has_downgrade else "the script has no downgrade()"
        )
        is_done = is_held and self._go_back_and_forth(name, before, after)
        self._postpone_rows(name, before)
        if has_downgrade and not is_done:
            self._go_back_and_forth_with_commits(index, before, after)

    def _go_back_and_forth(self, name: str, before: Snapshot, after: Snapshot) -> bool:
        """Down and up in the held transaction, which is rolled back. False if the script ends it: nothing has happened then."""
        is_done = self._try_back_and_forth(name, before, after)
        if is_done:
            self._release(name)
        elif not self._session.ask("roll_back")["undone"] and self._look(after) != after:
            raise DatabaseSpoiled(self._walk.plan.index(name) + 1)  # it did not only roll back
        return is_done

    def _release(self, name: str) -> None:
        if not self._session.ask("roll_back")["undone"]:
            raise DatabaseSpoiled(self._walk.plan.index(name) + 1)

    def _try_back_and_forth(self, name: str, before: Snapshot, after: Snapshot) -> bool:
        walk = self._walk
        trip = walk.trips[name]
        trial = self._trial(trip, before)
        if trial:
            trial.look_ahead()
        down = self._step(name, "downgrade")
        if down is _CANNOT_HOLD:
            return False
        if down.failure is not None:
            walk.trips[name] = replace(trip, down=down)
            return True
        back = self._look(after)
        down = replace(down, changes=difference_between(after, back))
        trip = replace(trip, down=down, left_behind=difference_between(before, back))
        trial = trial or self._trial(trip, before)
        if trip.left_behind and not down.changes:
            walk.trips[name] = trip  # the downgrade undid nothing: an upgrade over it all proves nothing more
            return True
        again = (
            trial.upgrade(lambda: self._repeat(name, "upgrade"), is_void) if trial else self._repeat(name, "upgrade")
        )
        if again is _CANNOT_HOLD:
            return False
        if again.failure is not None:
            walk.trips[name] = replace(trip, second_up=again, populated=trial.populated if trial else None)
            if not (trip.left_behind and again.failure.sqlstate in EXISTS_ALREADY):
                walk.unconfirmed.append(name)
            return True
        trip = replace(trip, second_up=again, second_up_differences=difference_between(after, self._look(back)))
        if trip.second_up_differences and (trial or not trip.left_behind):
            # It may leave a table alone that has rows, or have asked on another connection, for which nothing has gone down.
            walk.unconfirmed.append(name)
        if trial:
            trial.after_upgrade()
            trial.downgrade(lambda: self._repeat(name, "downgrade"))
            trip = replace(
                trip,
                populated=trial.populated,
                tables_without_rows=trial.tables_without_rows,
                rows_failure=trial.rows_failure,
            )
        walk.trips[name] = trip
        return True

    def _postpone_rows(self, name: str, before: Snapshot) -> None:
        """Rows that could not be tried on the way down and up will be, on another database (`populate`)."""
        trip = self._walk.trips[name]
        if trip.populated is None and not trip.tables_without_rows:
            trial = self._trial(trip, before)
            if trial is not None:
                self._session.ask("begin_rollback_only")
                trial.look_ahead()
                self._session.ask("roll_back")
                self._walk.unpopulated[name] = trial

    def _trial(self, trip: RoundTrip, before: Snapshot) -> RowsTrial | None:
        """The revision's upgrade over rows, if it does something with rows that were there before it."""
        walk = self._walk
        if trip.up is None or not walk.is_transactional or Evidence.POPULATED not in walk.evidence:
            return None
        touched = touched_tables(trip.up, before, trip.down) - {walk.version_table}
        path = find_rows(walk.paths[trip.revision], walk.hello["script_location"], trip.revision)
        if not touched and path is None:
            return None
        own_rows = path.read_text("utf-8", "replace") if path else None
        return RowsTrial(self._line(), touched, trip.up.changes, own_rows)

    def _line(self) -> RowConnection:
        """The migration's connection, for rows: what is refused is an answer, and no fault."""

        def ask(sql: str, *before: str) -> str:
            answer = self._session.ask("ask", sql=sql, before=before)
            if failure := answer.get("failure"):
                raise QueryRefused(Failure(**failure))
            return str(answer["value"])

        def execute(statements: Sequence[str]) -> Failure | None:
            failure = self._session.ask("execute", statements=list(statements)).get("failure")
            return Failure(**failure) if failure else None

        def load(script: str) -> Failure | None:
            failure = self._session.ask("script", sql=script).get("failure")
            return Failure(**failure) if failure else None

        return RowConnection(ask, execute, load)

    def _go_back_and_forth_with_commits(self, index: int, before: Snapshot, after: Snapshot) -> None:
        walk = self._walk
        name = walk.plan[index]
        trip = walk.trips[name]
        down = self._step(name, "downgrade")
        back = self._look(after)
        if down.failure is not None:
            walk.trips[name] = replace(trip, down=down)
            if back != after:
                raise DatabaseSpoiled(index + 1)
            return
        down = replace(down, changes=difference_between(after, back))
        trip = replace(trip, down=down, left_behind=difference_between(before, back))
        if trip.left_behind and not down.changes:
            walk.trips[name] = trip
            # The version table says that the revision is not there, though it is.
            raise DatabaseSpoiled(index + 1)
        again = self._repeat(name, "upgrade")
        forth = self._look(back)
        differences = () if again.failure else difference_between(after, forth)
        walk.trips[name] = replace(trip, second_up=again, second_up_differences=differences)
        if again.failure is not None or differences:
            raise DatabaseSpoiled(index + 1)

    def _arrive(self, at_head: Callable[[], None]) -> None:
        """Look at what is there at the end of the plan."""
        walk = self._walk
        walk.not_observed.update(_what_is_in_the_way(walk))
        if not walk.not_observed:
            walk.head = walk.without_version_table(self._state)
            if walk.has_metadata and Evidence.MODELS in walk.evidence:
                walk.creation = self._session.ask("creation")["statements"]
            if walk.has_metadata and Evidence.DRIFT in walk.evidence:
                if walk.known is not None and walk.start is not None:
                    walk.unchanged = find_unchanged(walk.known, walk.models, walk.start, self._state)
                walk.ask_drift(self._session, self._timeout_s, at_head)
            else:
                at_head()
        if not walk.is_transactional:
            walk.not_observed["populated"] = (
                "env.py's connection commits each statement by itself, so rows could not be taken back"
            )
        if not walk.has_metadata:
            for part in ("drift", "models", "unregistered"):
                walk.not_observed[part] = "env.py gives no target_metadata, so Alembic knows of no models"
            return
        walk.hidden += tuple(self._session.ask("hidden")["tables"])
        if Evidence.UNREGISTERED in walk.evidence:
            walk.unregistered = self._find_unregistered()

    def _find_unregistered(self) -> tuple[UnregisteredModel, ...]:
        try:
            found = self._session.ask("unregistered", self._timeout_s)["models"]
        except TimeoutError:
            raise CannotVerify(
                "a module of the models' packages, which env.py does not import, was imported to see whether it has models, and that"
                f" did not end within {self._timeout_s:g} s: --ignore unregistered-models leaves such modules alone"
            ) from None
        return tuple(UnregisteredModel(**each) for each in found)

    # Single requests.

    def _repeat(self, revision: str, direction: str) -> Step:
        """Take a step whose locks, rewrites and scans are known from the first time. To look again at each statement is not for free."""
        return self._step(revision, direction, is_observed=False)

    def _step(self, revision: str, direction: str, *, is_observed: bool = True) -> Step:
        answer = self._carry_out(self._request(revision, direction, is_observed=is_observed))
        if answer.get("commits"):
            return _CANNOT_HOLD
        failure = answer.get("failure")
        return Step(
            revision=revision,
            direction=Direction(direction),
            duration_ms=round(answer.get("duration_ms", 0.0), 3),
            transactional=answer.get("transactional", True),
            statements=tuple(_statement(each) for each in answer.get("statements", ())),
            failure=Failure(**failure, revision=revision) if failure else None,
        )

    def _request(self, revision: str, direction: str, *, is_observed: bool) -> Request:
        return step_request(revision, direction, is_observed and Evidence.LOCKS in self._walk.evidence)

    def _run(
        self, revision: str, direction: str, *, is_observed: bool, stop_before: int | None = None
    ) -> dict[str, Any]:
        return self._carry_out(step_request(revision, direction, is_observed, stop_before))

    def _carry_out(self, step: Request) -> dict[str, Any]:
        at = (step["revision"], step["direction"])
        try:
            return self._session.ask(timeout_s=self._timeout_s, **step)
        except TimeoutError:
            return self._end_hung_step(at)
        except CommandExited as gone:
            gone.at = at
            raise

    def _end_hung_step(self, at: StepId) -> dict[str, Any]:
        """Cancel what the step is doing. Raises Hung if it does not answer then either."""
        words = f"did not end within {self._timeout_s:g} s"
        self._cancel(self._session.hello["backend"])
        try:
            answer = self._session.receive(_PATIENCE_S)
        except TimeoutError:
            raise StepTimedOut(words, at) from None
        if failure := answer.get("failure"):
            failure.update(error="Timeout", message=words, sqlstate=None)
        return answer

    def _look(self, since: Snapshot | None = None) -> Snapshot:
        """The schema as it is now. `since` is an earlier state of it, from which little has changed."""
        return read_all(self._ask) if since is None else read_changes(since, self._ask)

    def _ask(self, statements: Sequence[str]) -> Any:
        return self._session.ask("query", statements=list(statements))["value"]


def _what_is_in_the_way(walk: Walk) -> dict[str, str]:
    """Why nothing can be said of the schema at head, by part of the recording."""
    reason = None
    failed = [name for name, trip in walk.trips.items() if trip.up is not None and trip.up.failure is not None]
    if failed:
        reason = f"revision {failed[0]} does not apply, so head was not reached"
    elif not walk.plan and walk.graph.problems:
        reason = "Alembic cannot read the history"
    parts = ("head", "models", "drift", "offline", "concurrent")
    return dict.fromkeys(parts, reason) if reason else {}
