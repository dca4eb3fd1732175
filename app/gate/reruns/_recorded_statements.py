"""Statements that were recorded in production, planned on the schema before the branch's revisions and after them.

They are planned and not run, since their values are not known: PostgreSQL reads names, types and rights, and refuses
what it would refuse for any values. What the old schema refuses already says nothing.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from app.gate.errors import CannotVerify, CommandExited
from app.gate.recording.model import Failure
from app.gate.recording.recorded_statements import RecordedStatement
from app.gate.recording.running import RecordedStatements, RefusedStatement
from app.gate.reruns._running_code import application_of, as_application, find_revisions
from app.gate.reruns._tries import Session, Try
from app.gate.reruns.results import RerunResults
from app.gate.rows.connection import QueryRefused
from app.gate.server.database import Database
from app.gate.target.runner import TargetRunner
from app.gate.walk.state import Walk

_GENERIC_PLAN_MAJOR = 16  # https://www.postgresql.org/docs/16/release-16.html


def plan_statements(
    statements: Sequence[RecordedStatement], walk: Walk, runner: TargetRunner, results: RerunResults
) -> None:
    """Note which of them the new schema refuses, or why that was not tried."""
    head = runner.at_head
    if head is None or walk.head is None:
        results.not_observed["recorded"] = "the branch's revisions do not all apply"
        return
    planner = _Planner(statements, int(runner.server.version.partition(".")[0]), application_of(runner))
    try:
        with runner.database() as database:
            before = planner.refused_by(as_application(database, runner), range(len(statements)))
        accepted = [number for number in range(len(statements)) if number not in before]
        refused = planner.refused_by(as_application(head, runner), accepted)
        applied = [name for name in walk.plan if name in walk.applied]
        if len(applied) == 1 or not refused:
            found = [replace(each, revision=applied[0]) for each in refused.values()]
        else:
            found = find_revisions(walk, runner, planner, refused)
        results.recorded = RecordedStatements(len(statements), len(before), tuple(found))
    except (CannotVerify, CommandExited, TimeoutError, QueryRefused) as reason:
        results.not_observed["recorded"] = str(reason)


@dataclass(frozen=True)
class _Planner:
    statements: Sequence[RecordedStatement]
    major: int  # of the server
    role: str | None = None  # as which the application would connect

    def refused_by(self, database: Database, numbers: Sequence[int]) -> dict[int, RefusedStatement]:
        """Those of the statements that the schema refuses. Raises QueryRefused."""
        refused: dict[int, RefusedStatement] = {}
        for path, of_path in self._by_path(numbers):
            with database.connect(autocommit=False) as connection:
                session = Session(connection)
                session.begin(path, self.role)
                failures = session.try_all([self._plan(self.statements[number].sql) for number in of_path])
                connection.rollback()
            for number, failure in zip(of_path, failures, strict=True):
                if failure is not None:
                    refused[number] = _refused(self.statements[number].sql, failure)
        return refused

    def _by_path(self, numbers: Sequence[int]) -> Iterator[tuple[str | None, list[int]]]:
        for path in dict.fromkeys(self.statements[number].search_path for number in numbers):
            yield path, [number for number in numbers if self.statements[number].search_path == path]

    def _plan(self, sql: str) -> Try:
        if self.major >= _GENERIC_PLAN_MAJOR:
            return Try(f"EXPLAIN (GENERIC_PLAN) {sql}")
        return Try(f"PREPARE overproof_recorded AS {sql}", before="DEALLOCATE ALL")  # no rollback undoes PREPARE


def _refused(sql: str, failure: Failure) -> RefusedStatement:
    return RefusedStatement("", "", failure.table or "", "", (), sql, failure)
