"""The populated history: rows are put into each table early and stay, while later revisions are applied, as in use.

A trial of one revision over rows begins with rows that were made for it. What needs two revisions is found here: ids
that one copies, and an INSERT by the sequence in the next; constraints that are still to be checked for what one has
changed, when the next, in the same transaction, alters the table. Where env.py runs all revisions in one transaction,
so does this; the transaction ends only where rows are put in.

Rows wait until the last revision has passed that is known to fail over them, or that rests on an assumption about them:
what such a revision does is reported by its own trial. Nothing is run where neither of the two can be found.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from app.gate.errors import CommandExited, StepTimedOut
from app.gate.postgres import sqlstates
from app.gate.recording.model import Direction, Failure, FailureInHistory, RoundTrip
from app.gate.recording.names import table_of
from app.gate.reruns._at_risk import columns_named, last_at_risk
from app.gate.rows.early import put_rows
from app.gate.rows.touched import new_tables
from app.gate.target.runner import TargetRunner, session_of_walk
from app.gate.walk.client import DriverClient
from app.gate.walk.state import Walk

_RUNS = 2  # the second without rows in the tables on which the first has ended for a reason that proves nothing


def populate_history(walk: Walk, runner: TargetRunner) -> None:
    """Apply the history over rows, and note what fails only there."""
    if not walk.arrival.is_transactional:
        return
    postponed: dict[str, int] = {}
    last = last_at_risk(walk.start, _trips(walk))
    for _ in range(_RUNS):
        schedule = {count: tables for count, tables in _schedule(walk, postponed).items() if count < last}
        if not schedule:
            return
        run = _Run(walk, schedule, last)
        try:
            run.take(runner)
        except (CommandExited, StepTimedOut):
            return  # what ends the command over rows is reported by the revision's own trial
        if run.failed_at is None or run.is_noted:
            return
        index = walk.plan.index(run.failed_at)
        postponed.update(dict.fromkeys(run.tables, index))


def _schedule(walk: Walk, postponed: Mapping[str, int]) -> dict[int, list[str]]:
    """The tables to be filled, by how many revisions of the plan are applied before that.

    A table is filled before the first of the revisions that do something with its rows, and with as many others as
    possible.
    """
    made = _made(walk)
    uses: dict[str, list[int]] = {}
    ready = dict(postponed)
    for index, trip in _trips(walk):
        touched = {*(trip.populated.tables if trip.populated else ()), *trip.tables_without_rows}
        for table in touched - {walk.arrival.version_table}:
            uses.setdefault(table, []).append(index)
        if _is_known_to_fail(trip):
            ready.update(dict.fromkeys(touched, index))
    spans = []  # (the first revision that a table has to be filled before, its own or the last such that it waits for)
    for table, places in uses.items():
        begin = max(made.get(table, -1), ready.get(table, -1)) + 1
        if later := [place for place in places if place >= begin]:
            spans.append((later[0], begin, table))
    schedule: dict[int, list[str]] = {}
    latest = -1
    for end, begin, table in sorted(spans):
        if begin > latest:
            latest = end
        schedule.setdefault(latest, []).append(table)
    return schedule


def _trips(walk: Walk) -> Iterator[tuple[int, RoundTrip]]:
    """The revisions that were applied, with their places in the plan."""
    for index, name in enumerate(walk.plan):
        if name in walk.applied:
            yield index, walk.trips[name]


def _made(walk: Walk) -> dict[str, int]:
    """Each table with the place of the revision that creates it; those of the start are not in it."""
    made: dict[str, int] = {}
    for index, trip in _trips(walk):
        for table in new_tables(trip.up.changes) if trip.up is not None else ():
            made.setdefault(table, index)
    return made


def _is_known_to_fail(trip: RoundTrip) -> bool:
    populated = trip.populated
    return bool(trip.tables_without_rows) or (
        populated is not None and (populated.step.failure is not None or bool(populated.assumptions))
    )


@dataclass
class _Run:
    """One run of the command through the history."""

    walk: Walk
    schedule: Mapping[int, Sequence[str]]
    end: int  # the place in the plan of the last revision that is applied
    tables: dict[str, str | None] = field(default_factory=dict)  # with rows -> the revision after which they came
    held: list[str] = field(default_factory=list)  # revisions of the transaction that is not committed yet
    failed_at: str | None = None
    is_noted: bool = False

    def take(self, runner: TargetRunner) -> None:
        """Raises CommandExited and StepTimedOut."""
        with runner.database() as database, runner.process(database) as process:
            session = session_of_walk(self.walk.index, process, database)
            if session is None:
                return
            client = DriverClient(session, runner, database)
            prepared = client.prepare()
            if isinstance(prepared, Failure):
                return
            self._apply(client, in_one_go=not prepared["is_per_migration"])

    def _apply(self, client: DriverClient, *, in_one_go: bool) -> None:
        last: str | None = None
        for index, revision in enumerate(self.walk.plan[: self.end + 1]):
            self._fill(client, self.schedule.get(index, ()), last)
            if revision not in self.walk.applied:
                continue
            step = client.commit_step(revision, Direction.UPGRADE, stays_open=in_one_go and bool(self.tables))
            if step.failure is not None:
                self.failed_at = revision
                self._judge(revision, step.failure)
                return
            last = revision
            self.held.append(revision)
            if not (in_one_go and self.tables and step.transactional):
                self.held.clear()

    def _fill(self, client: DriverClient, tables: Sequence[str], after: str | None) -> None:
        if not tables:
            return
        client.begin_rollback_only()
        filled = put_rows(client.rows, tables)
        client.commit()
        self.held.clear()
        self.tables.update({table: after for table in filled if table not in self.tables})

    def _judge(self, revision: str, failure: Failure) -> None:
        """Note the failure if it is one of rows that are there from before, and not of the values that were made up."""
        is_pending = failure.sqlstate == sqlstates.OBJECT_IN_USE
        if is_pending or (failure.sqlstate == sqlstates.UNIQUE_VIOLATION and self._is_by_sequence(failure)):
            self.is_noted = True
            with_others = tuple(self.held) if is_pending else ()
            self.walk.note(revision, in_history=FailureInHistory(failure, dict(self.tables), with_others))

    def _is_by_sequence(self, failure: Failure) -> bool:
        """Whether an INSERT that names no column of the key has met a row: what it leaves out comes from a default."""
        columns, named = self._columns_of(failure), columns_named(failure.sql or "")
        return bool(columns and named) and columns.isdisjoint(named)

    def _columns_of(self, failure: Failure) -> set[str]:
        """The columns of the unique key that the error names, as a revision made it."""
        for trip in self.walk.trips.values():
            for change in trip.up.changes if trip.up is not None else ():
                key, after = change.key, change.after
                if (
                    key.kind == "constraint"
                    and key.name == failure.constraint
                    and after
                    and table_of(key) == failure.table
                ):
                    return set(after.get("columns") or ())
        start = self.walk.start.objects if self.walk.start is not None else {}
        for key, definition in start.items():
            if key.kind == "constraint" and key.name == failure.constraint and table_of(key) == failure.table:
                return set(definition.get("columns") or ())
        return set()
