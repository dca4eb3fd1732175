"""The driver's requests as methods, and its answers as parts of a recording."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from functools import cached_property, lru_cache
from typing import TYPE_CHECKING, Any

from app.gate.errors import CannotVerify, CommandExited, StepTimedOut
from app.gate.recording.model import Direction, Failure, Snapshot, Statement, Step
from app.gate.rows.connection import CommitRefused, QueryRefused, RowConnection
from app.gate.server.database import Database
from app.gate.snapshot.incremental import TrackedSnapshot, read_all, read_changes, statements_for_changes
from app.gate.snapshot.meaning import align
from app.gate.target.runner import TargetRunner
from app.gate.target.session import DriverSession

if TYPE_CHECKING:
    from app.gate.driver.overproof_driver import protocol

LOCK_PATIENCE_S = 0.5  # after which a step in the rollback-only transaction is looked after
CANCEL_PATIENCE_S = 15.0  # how long a cancelled step may take to end
_LOOK_EVERY_S = 0.02


class DriverClient:
    """What the driver does on request, in one call of Alembic by the command.

    Each method raises CommandExited if the command ends meanwhile.
    """

    def __init__(self, session: DriverSession, runner: TargetRunner, database: Database) -> None:
        self._session = session
        self._runner = runner
        self.database = database
        self.timeout_s = runner.target.timeout_s
        self.handshake = session.handshake
        self._waits_for_us = False  # the script of the step that was taken last
        self._read_ahead: tuple[list[str], Any] | None = None  # statements of `read_schema` that came with a step

    def _request(self, do: protocol.Request | protocol.Ending, timeout_s: float | None = None, **arguments: Any) -> Any:
        self._read_ahead = None
        return self._session.request(do, timeout_s, **arguments)

    # The beginning and the end.

    def prepare(self) -> protocol.Prepared | Failure:
        """Take Alembic's place, and read the history and the plan."""
        ordinary = self._runner.server.ordinary
        answer = self._request("prepare", superuser=ordinary.lent if ordinary is not None else None)
        if failure := answer.get("failure"):
            return Failure(**failure)
        prepared: protocol.Prepared = answer
        return prepared

    def empty_database(self) -> list[str]:
        """Drop all that is in the database. Returns the revisions that would bring it to the heads again. Raises
        CannotVerify."""
        answer = self._request("empty")
        if failure := answer.get("failure"):
            raise CannotVerify(f"what the command has created by code cannot be dropped again: {failure['message']}")
        plan: list[str] = answer["plan"]
        return plan

    def end(self, ending: protocol.Ending) -> None:
        """Leave the rest to the command."""
        self._request(ending)

    def late_tables(self, timeout_s: float) -> tuple[str, ...]:
        """After `end`: tables that the command has added to the models since Alembic was done. Raises TimeoutError."""
        answer: protocol.LateTables = self._session.receive(timeout_s)
        return tuple(answer["late"])

    # Steps. They raise StepTimedOut. `observe`: note locks, rewrites and scans. `since`: the schema before the step,
    # for a `read_schema(since)` right after it, which mostly comes with the answer to the step then.

    def commit_step(
        self,
        revision: str,
        direction: Direction,
        *,
        observe: bool = False,
        since: Snapshot | None = None,
        stays_open: bool = False,
        in_one_run: bool = False,
    ) -> Step:
        """Take a step and commit it, as a deployment would. `stays_open`: together with the next one; `in_one_run`: in
        one run of the command with those before it."""
        answer = self._request_step(
            revision, direction, observe=observe, since=since, stays_open=stays_open, in_one_run=in_one_run
        )
        return _step(revision, direction, answer)

    def commit_in_one_run(self, revision: str, *, observe: bool = False, since: Snapshot | None = None) -> Step:
        """Upgrade and commit as in one run with the revisions before it. What passes then is always run so."""
        self._runner.only_in_one_run.add(revision)
        step = self.commit_step(revision, Direction.UPGRADE, observe=observe, since=since)
        if step.failure is not None:
            self._runner.only_in_one_run.discard(revision)
        return step

    def take_step(
        self, revision: str, direction: Direction, *, observe: bool = False, since: Snapshot | None = None
    ) -> Step | CommitRefused:
        """Take a step in the rollback-only transaction.

        A script that waits for that transaction on a separate connection is like one that wants to commit: there is no
        such transaction when users run it.
        """
        self._waits_for_us = False
        answer = self._request_step(revision, direction, observe=observe, since=since, is_rollback_only=True)
        return CommitRefused() if answer.get("commits") or self._waits_for_us else _step(revision, direction, answer)

    def interrupt_upgrade(self, revision: str, stop_before: int) -> None:
        """Upgrade as if the command were killed before the statement of that number, from 0."""
        self._request_step(revision, Direction.UPGRADE, observe=False, stop_before=stop_before)

    def gain_rights(self) -> bool:
        """Have the command's role be a superuser from here on. False if it has all rights that it can have."""
        return self._runner.gain_rights()

    def pause_upgrade(self, revision: str, before: int) -> str | None:
        """Begin an upgrade that waits before the statement of that number, from 0. Returns the backend that will run
        it, None if the upgrade ended before."""
        answer = self._request(
            "step",
            self.timeout_s,
            revision=revision,
            direction=Direction.UPGRADE,
            observe=False,
            pause_before=before,
        )
        backend: str | None = answer.get("backend")
        return backend

    def cancel_paused_upgrade(self, backend: str, is_waiting: Callable[[], bool]) -> bool:
        """Continue the upgrade, and cancel its statement when that waits. False if it never did, and the upgrade has
        ended in another way. Raises TimeoutError."""
        self._session.send("continue")
        deadline = time.monotonic() + self.timeout_s
        has_waited = False
        while True:
            try:
                answer: protocol.StepAnswer = self._session.receive(_LOOK_EVERY_S)
                return has_waited and "failure" in answer
            except TimeoutError:
                if time.monotonic() > deadline:
                    raise
            if not has_waited and is_waiting():
                has_waited = True
                deadline = time.monotonic() + CANCEL_PATIENCE_S
                self._runner.cancel(self.database, backend)

    def _request_step(
        self,
        revision: str,
        direction: Direction,
        *,
        observe: bool,
        stop_before: int | None = None,
        since: Snapshot | None = None,
        is_rollback_only: bool = False,
        stays_open: bool = False,
        in_one_run: bool = False,
    ) -> protocol.StepAnswer:
        at = (revision, direction)
        then = statements_for_changes(since) if since is not None else []
        try:
            try:
                self._read_ahead = None
                self._session.send(
                    "step",
                    revision=revision,
                    direction=direction,
                    observe=observe,
                    stop_before=stop_before,
                    then=then,
                    stays_open=stays_open,
                    in_one_run=in_one_run
                    or (revision in self._runner.only_in_one_run and direction is Direction.UPGRADE),
                )
                answer: protocol.StepAnswer = self._receive_step(is_rollback_only)
            except TimeoutError:
                answer = self._cancel_step(StepTimedOut(f"did not end within {self.timeout_s:g} s", at), bool(then))
        except CommandExited as exited:
            exited.at = at
            raise
        if "value" in answer:
            self._read_ahead = (then, answer["value"])
        return answer

    def _receive_step(self, is_rollback_only: bool) -> protocol.StepAnswer:
        """The answer to a step. What waits for the rollback-only transaction meanwhile is cancelled. Raises
        TimeoutError."""
        deadline = time.monotonic() + self.timeout_s
        while True:
            left = deadline - time.monotonic()
            try:
                answer: protocol.StepAnswer = self._session.receive(
                    min(left, LOCK_PATIENCE_S) if is_rollback_only else left
                )
                return answer
            except TimeoutError:
                if time.monotonic() >= deadline:
                    raise
            self._waits_for_us |= self._runner.cancel_blocked(self.database, self.handshake["backend"])

    def _cancel_step(self, timed_out: StepTimedOut, has_query: bool) -> protocol.StepAnswer:
        """Cancel the statement that runs, and return the step's answer. Raises StepTimedOut if that does not come."""
        self._runner.cancel(self.database, self.handshake["backend"])
        try:
            answer: protocol.StepAnswer = self._session.receive(CANCEL_PATIENCE_S)
        except TimeoutError:
            raise timed_out from None
        if failure := answer.get("failure"):
            answer["failure"] = {**failure, "error": "Timeout", "message": str(timed_out), "sqlstate": None}
        elif has_query and "value" not in answer:
            raise timed_out  # the step ended just then, and the query after it was cancelled
        return answer

    # The rollback-only transaction.

    def begin_rollback_only(self) -> None:
        """Begin a transaction for steps and rows that are to leave no trace: a script's commit is refused in it."""
        self._request("begin_rollback_only")

    def roll_back(self) -> bool:
        """Roll the rollback-only transaction back. False if something in it was committed after all."""
        answer: protocol.RollBackAnswer = self._request("roll_back")
        return answer["undone"]

    def commit(self) -> None:
        """Commit the rollback-only transaction after all, with rows of the gate's in it."""
        self._request("commit")

    @cached_property
    def rows(self) -> RowConnection:
        """The migration's connection, for test rows."""
        return RowConnection(self._ask, self._execute, self._load)

    def _ask(self, sql: str, *before: str) -> str:
        answer = self._request("ask", sql=sql, before=before)
        if failure := answer.get("failure"):
            raise QueryRefused(Failure(**failure))
        return str(answer["value"])

    def _execute(self, statements: Sequence[str]) -> Failure | None:
        failure = self._request("execute", statements=list(statements)).get("failure")
        return Failure(**failure) if failure else None

    def _load(self, script: str) -> Failure | None:
        failure = self._request("script", sql=script).get("failure")
        return Failure(**failure) if failure else None

    # The schema and the models.

    def read_schema(self, since: Snapshot | None = None) -> TrackedSnapshot:
        """The schema now. `since` is an earlier state of it: then only what may have changed is read."""
        return read_all(self._query) if since is None else read_changes(since, self._query)

    def align(self, before: Snapshot, now: Snapshot) -> Snapshot:
        """The present schema, with the words of an earlier one for definitions that mean the same."""
        return align(before, now, self._query)

    def _query(self, statements: Sequence[str]) -> Any:
        if self._read_ahead is not None and self._read_ahead[0] == statements:
            return self._read_ahead[1]
        answer: protocol.ValueAnswer = self._request("query", statements=list(statements))
        return answer["value"]

    def begin_fingerprints(self) -> None:
        """Have the models' fingerprints computed, which takes a while, for `receive_fingerprints` to return them."""
        self._session.send("fingerprints")

    def receive_fingerprints(self) -> dict[str, tuple[str, list[str]]]:
        """{"public.orders": (fingerprint, names of enums)}. Raises TimeoutError."""
        answer: protocol.FingerprintsAnswer = self._session.receive(self.timeout_s)
        return answer["models"]

    def creation(self) -> list[str] | None:
        """The SQL that creates the models' tables. None where SQL is not enough."""
        answer: protocol.CreationAnswer = self._request("creation")
        return answer["statements"]

    def drift(self, unchanged: Collection[str]) -> protocol.Drift | Failure:
        """What autogenerate would still write, except for the unchanged tables. Raises TimeoutError."""
        answer = self._request("drift", self.timeout_s, unchanged=sorted(unchanged))
        if failure := answer.get("failure"):
            return Failure(**failure)
        drift: protocol.Drift = answer
        return drift

    def model_statements(self, tables: Collection[str] | None) -> protocol.ModelStatementsAnswer:
        """What an ORM sends for the models of those tables, or of all. Raises TimeoutError."""
        wanted = None if tables is None else sorted(tables)
        answer: protocol.ModelStatementsAnswer = self._request("model_statements", self.timeout_s, tables=wanted)
        return answer

    def hidden_tables(self) -> tuple[str, ...]:
        """The tables that the project's filters hide from autogenerate, and what alembic_utils compares in it."""
        answer: protocol.HiddenAnswer = self._request("hidden")
        return (*answer["tables"], *answer["entities"])

    def unregistered_models(self) -> list[protocol.UnregisteredModel]:
        """Table classes that Alembic does not know. Raises TimeoutError."""
        answer: protocol.UnregisteredAnswer = self._request("unregistered", self.timeout_s)
        return answer["models"]


def lost_step(revision: str, direction: Direction, lost: CommandExited | StepTimedOut) -> Step:
    """The step in the middle of which the command ended, or was ended."""
    if isinstance(lost, StepTimedOut):
        failure = Failure("Timeout", str(lost), revision=revision)
    else:
        failure = Failure("Gone", f"the command ended in the middle of the revision: {lost}", revision=revision)
    return Step(revision, direction, 0.0, transactional=False, failure=failure)


def _step(revision: str, direction: Direction, answer: protocol.StepAnswer) -> Step:
    failure: Mapping[str, Any] | None = answer.get("failure")
    return Step(
        revision=revision,
        direction=direction,
        duration_ms=round(answer.get("duration_ms", 0.0), 3),
        transactional=answer.get("transactional", True),
        statements=tuple(_statement(each) for each in answer.get("statements", ())),
        failure=Failure(**failure, revision=revision) if failure else None,
        refused=tuple(Failure(**each) for each in answer.get("refused", ())),
        swallowed=tuple(Failure(**each) for each in answer.get("swallowed", ())),
    )


@lru_cache(maxsize=256)
def _modes(*modes: str) -> frozenset[str]:
    return frozenset(modes)


def _statement(seen: protocol.Statement) -> Statement:
    """What a long history says again and again, its texts, tables and lock modes, is kept once."""
    # Sorted, for PostgreSQL returns them in any order.
    rewrites = tuple(sorted(seen.get("rewrites", ())))
    return Statement(
        sql=sys.intern(seen["sql"]),
        duration_ms=round(seen["duration_ms"], 3),
        line=seen["line"],
        locks={sys.intern(table): _modes(*modes) for table, modes in sorted(seen.get("locks", {}).items())},
        rewrites=rewrites,
        scans=tuple(sorted(seen.get("scans", ()))),
        # A rewrite builds the table's indexes again: that is part of the rewrite, not a separate finding.
        index_builds=tuple(table for table in sorted(seen.get("index_builds", ())) if table not in rewrites),
        written=dict(sorted(seen.get("written", {}).items())),
        updated=dict(sorted(seen.get("updated", {}).items())),
        transactional=seen["transactional"],
        lock_timeout_ms=seen.get("lock_timeout_ms"),
    )
