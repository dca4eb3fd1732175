"""Runs the queries of a report on a live database. The report is a file that anyone may have written.

Its rows are only counted: no value leaves the server. PostgreSQL itself sees to it that it is one query and no more: it
is handed over as a text, from which a cursor is opened, and a cursor takes one statement that returns rows. It runs in
a READ ONLY transaction, with limits on the time and on the wait for locks.
"""

from __future__ import annotations

from typing import NamedTuple

import psycopg2

from app.gate.postgres import sqlstates
from app.gate.postgres.quoting import literal
from app.gate.preflight.plan import Plan
from app.gate.report.model import FindingEntry
from app.gate.server.database import reason_of
from app.gate.server.live import Live

MOST_ROWS = 10  # that are counted: a query says itself that it gives no more
# In which the names and the strings of a query have their meaning. Policies would hide rows that the upgrade will meet:
# without row_security, PostgreSQL refuses instead.
_SETTINGS = """
    SELECT set_config('search_path', 'public', true), set_config('standard_conforming_strings', 'on', true),
        set_config('row_security', 'off', true)
"""


class AssumptionRun(NamedTuple):
    """How an assumption stands on a database."""

    finding: FindingEntry
    rows: int | None  # that break it, MOST_ROWS at most; None: not known
    reason: str | None = None  # why it is not known
    is_locked: bool = False  # by another session
    is_later: bool = False  # it can only be run once other pending revisions are applied

    @property
    def sql(self) -> str | None:
        return self.finding.assumption.sql if self.finding.assumption else None

    @property
    def state(self) -> str:
        return "unknown" if self.rows is None else "broken" if self.rows else "holds"


def run_assumptions(live: Live, plan: Plan) -> list[AssumptionRun]:
    """Each in a transaction of its own, so that none of them keeps the rows of the others from being vacuumed."""
    runs: list[AssumptionRun] = []
    locked: dict[str, AssumptionRun] = {}  # by table, so that it is waited for once
    for finding in plan.assumptions():
        table = _table_of(finding)
        known = locked.get(table)
        run = _run(live, finding, plan) if known is None else AssumptionRun(finding, None, known.reason, is_locked=True)
        if run.is_locked and table:
            locked[table] = run
        runs.append(run)
    return runs


def _table_of(finding: FindingEntry) -> str:
    return ".".join((finding.object or "").split(".")[:2])


# What does not exist on the schema before the pending revisions: tables, columns, types, functions.
_NOT_THERE = frozenset(
    {
        sqlstates.UNDEFINED_TABLE,
        sqlstates.UNDEFINED_COLUMN,
        sqlstates.UNDEFINED_OBJECT,
        sqlstates.UNDEFINED_FUNCTION,
    }
)


def _run(live: Live, finding: FindingEntry, plan: Plan) -> AssumptionRun:
    if finding.assumption is None:
        return AssumptionRun(finding, None, "the report has no query for it")
    if "\0" in finding.assumption.sql:
        return AssumptionRun(finding, None, "its query is none: it has a NUL")
    try:
        with live.transaction() as cursor:
            cursor.execute(_SETTINGS)
            cursor.execute(_opening(finding.assumption.sql))
            cursor.execute(f"MOVE FORWARD {MOST_ROWS} IN overproof_assumption")
            return AssumptionRun(finding, cursor.rowcount)
    except psycopg2.Error as error:
        if error.pgcode in _NOT_THERE and plan.is_after_others(finding.revision):
            if _table_of(finding) in plan.new_tables(finding.revision):
                return AssumptionRun(finding, 0)  # no user has put a row into it
            return AssumptionRun(
                finding, None, f"it is about what an earlier pending revision makes ({reason_of(error)})", is_later=True
            )
        is_locked = error.pgcode == sqlstates.LOCK_NOT_AVAILABLE
        return AssumptionRun(finding, None, _reason_of(live, error), is_locked=is_locked)


def _opening(sql: str) -> str:
    block = f"DECLARE overproof_assumption refcursor := 'overproof_assumption'; BEGIN OPEN overproof_assumption FOR EXECUTE {literal(sql)}; END"
    return f"DO {literal(block)}"


def _reason_of(live: Live, error: psycopg2.Error) -> str:
    said = reason_of(error)
    if error.pgcode == sqlstates.QUERY_CANCELED:
        return f"the query took longer than {live.timeout_s:g} s ({said})"
    if error.pgcode == sqlstates.LOCK_NOT_AVAILABLE:
        return f"another session has held the table's lock for longer than {live.lock_timeout_s:g} s"
    return said
