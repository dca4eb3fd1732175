"""Every labelled migration through the real gate: it finds what PostgreSQL does, and nothing else."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest

from app.gate.checks.registry import CHECKS
from app.gate.report.verdict import Severity
from app.gate.server.throwaway import Server
from tests.gate.hazards import connections
from tests.gate.hazards.case import ADVISED, HAZARDS, Case
from tests.gate.hazards.cases import ALL_CASES
from tests.gate.hazards.verdicts import Outcome, judge_cases, major_version

HISTORIES = 4  # so that processors can share the work


@pytest.mark.parametrize("number", range(HISTORIES))
def test_the_gate_finds_what_postgresql_does_and_nothing_else(number: int, server: Server, tmp_path: Path) -> None:
    major = major_version(server)
    cases = [case for case in ALL_CASES[number::HISTORIES] if case.since <= major]

    outcomes = judge_cases(cases, server, tmp_path)

    assert_right(cases, outcomes, major)


@pytest.mark.parametrize("driver", connections.DRIVERS)
def test_the_driver_makes_no_difference(driver: str, server: Server, tmp_path: Path) -> None:
    outcomes = judge_cases(connections.BY_ANY_DRIVER, server, tmp_path, connections.DRIVERS[driver])

    assert_right(connections.BY_ANY_DRIVER, outcomes, major_version(server))


@pytest.mark.parametrize("driver", connections.COMMITTING)
def test_where_each_statement_commits_by_itself_its_locks_are_gone(driver: str, server: Server, tmp_path: Path) -> None:
    outcomes = judge_cases(connections.EACH_BY_ITSELF, server, tmp_path, connections.COMMITTING[driver])

    assert_right(connections.EACH_BY_ITSELF, outcomes, major_version(server))


def assert_right(cases: Sequence[Case], outcomes: Mapping[str, Outcome], major: int) -> None:
    """Fails with the cases that are judged otherwise than they are labelled."""
    wrong = [
        _words(case, case.expected_by(major), outcomes[case.name])
        for case in cases
        if _found(outcomes[case.name]) != case.expected_by(major) or _notices(outcomes[case.name]) != case.notices
    ]
    assert not wrong, f"{len(wrong)} of {len(cases)} are judged wrong\n" + "\n".join(wrong)


def _found(outcome: Outcome) -> frozenset[str] | None:
    return None if isinstance(outcome, str) else frozenset(finding.check for finding in outcome)


def _notices(outcome: Outcome) -> frozenset[str]:
    """The checks that only mention something, of those that can warn."""
    findings = [] if isinstance(outcome, str) else outcome
    usual = {check.id for check in CHECKS if check.severity is Severity.NOTICE}
    louder = {finding.check for finding in findings if finding.severity is not Severity.NOTICE}
    return frozenset(finding.check for finding in findings) - usual - louder


def _words(case: Case, expected: frozenset[str], outcome: Outcome) -> str:
    if isinstance(outcome, str):
        found = [f"  it did not run: {outcome}"]
    else:
        found = [f"  {finding.check} ({finding.severity}): {finding.message}" for finding in outcome] or ["  nothing"]
    return "\n".join(
        [
            f"case:     {case.name}",
            f"          {case.because}",
            f"expected: {', '.join(sorted(expected)) or 'nothing'}",
            f"          as notices only: {', '.join(sorted(case.notices)) or 'nothing'}",
            "found:",
            *found,
            "upgrade:",
            case.upgrade,
            "",
        ]
    )


def test_the_set_is_large_balanced_and_without_doubles() -> None:
    hazardous = [case for case in ALL_CASES if set(case.expected) - set(case.notices)]

    assert len(ALL_CASES) >= 120
    assert 0.45 <= len(hazardous) / len(ALL_CASES) <= 0.55
    assert len({case.slug for case in ALL_CASES}) == len(ALL_CASES)
    assert set().union(*(case.expected for case in ALL_CASES)) == HAZARDS | ADVISED
    assert all(len(case.slug) <= 63 for case in ALL_CASES), "PostgreSQL cuts longer names off"
