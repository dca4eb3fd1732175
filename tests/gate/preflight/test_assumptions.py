"""How the queries of a report are run, and what is said of those that could not be."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import psycopg2
import pytest

from app.gate.preflight.assumptions import AssumptionRun, run_assumptions
from app.gate.preflight.plan import Plan, make_plan
from tests.gate.preflight.pending import A1, LINES, SQL, report, revision
from tests.gate.preflight.reports import assumes


class Live:
    """In place of a live database, on which each query ends so: with a number of rows or an SQLSTATE."""

    timeout_s, lock_timeout_s = 60.0, 0.5

    def __init__(self, *ends: int | str) -> None:
        self.ends, self.rowcount, self.executed = [*ends], 0, list[str]()

    @contextmanager
    def transaction(self) -> Iterator[Live]:
        yield self

    def execute(self, sql: str) -> None:
        self.executed.append(sql)
        if not sql.startswith("DO "):
            return
        end = self.ends.pop(0)
        if isinstance(end, str):
            raise type("Refused", (psycopg2.Error,), {"pgcode": end})("it was refused")
        self.rowcount = end


B2 = revision("b2", "a1", made=[LINES])
C3 = revision("c3", "b2")


def plan(*findings: Any) -> Plan:
    return make_plan(report(*findings, revisions=[A1, B2, C3]), ["a1"])


def run(live: Any, of: Plan) -> list[tuple[int | None, str | None, bool, bool]]:
    return [(each.rows, each.reason, each.is_locked, each.is_later) for each in run_assumptions(live, of)]


def test_rows_are_counted_up_to_a_bound_in_a_cursor_with_settings_of_its_own() -> None:
    live = Live(0)

    assert run(live, plan(assumes("b2", "SELECT 'x'"))) == [(0, None, False, False)]

    settings, opening, move = live.executed
    for setting in (
        "'search_path', 'public', true",
        "'standard_conforming_strings', 'on', true",
        "'row_security', 'off', true",
    ):
        assert f"set_config({setting})" in settings
    assert "OPEN overproof_assumption FOR EXECUTE E" in opening
    assert move == "MOVE FORWARD 10 IN overproof_assumption"


@pytest.mark.parametrize(("rows", "state"), [(None, "unknown"), (0, "holds"), (1, "broken"), (10, "broken")])
def test_an_assumption_holds_where_no_row_breaks_it(rows: int | None, state: str) -> None:
    found = AssumptionRun(assumes("b2", SQL), rows)

    assert (found.state, found.sql) == (state, SQL)
    assert AssumptionRun(assumes("b2", None), rows).sql is None


@pytest.mark.parametrize(
    ("sqlstate", "reason", "is_locked"),
    [
        ("57014", "the query took longer than 60 s (it was refused)", False),
        ("55P03", "another session has held the table's lock for longer than 0.5 s", True),
        ("42501", "it was refused", False),
        ("42P01", "it was refused", False),
    ],
)
def test_why_it_is_not_known_is_said(sqlstate: str, reason: str, is_locked: bool) -> None:
    assert run(Live(sqlstate), plan(assumes("b2", SQL))) == [(None, reason, is_locked, False)]


@pytest.mark.parametrize("sqlstate", ["42P01", "42703", "42704", "42883"])
def test_what_an_earlier_revision_makes_is_empty_or_not_known_yet(sqlstate: str) -> None:
    later = assumes("c3", SQL), assumes("c3", f"{SQL} ", object="public.lines.note")

    assert run(Live(sqlstate, sqlstate), plan(*later)) == [
        (None, "it is about what an earlier pending revision makes (it was refused)", False, True),
        (0, None, False, False),
    ]
    assert run(Live("42501"), plan(assumes("c3", SQL))) == [(None, "it was refused", False, False)]


def test_a_query_that_is_none_is_not_run() -> None:
    of = plan(assumes("b2", None), assumes("b2", "SELECT '\0'"))

    assert run(Live(), of) == [
        (None, "the report has no query for it", False, False),
        (None, "its query is none: it has a NUL", False, False),
    ]


def test_a_lock_on_a_table_is_waited_for_once() -> None:
    live = Live("55P03", 3, "55P03", "55P03")
    of = plan(
        assumes("b2", "SELECT 1"),
        assumes("b2", "SELECT 2", object="public.lines.note"),
        assumes("b2", "SELECT 3", object="public.orders.total"),
        assumes("b2", "SELECT 4", object=None),
        assumes("b2", "SELECT 5", object=None),
    )

    assert [(rows, is_locked) for rows, _, is_locked, _ in run(live, of)] == [
        (None, True), (3, False), (None, True), (None, True), (None, True)
    ]  # fmt: skip
    assert live.ends == []
