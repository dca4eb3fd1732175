"""Every labelled migration through the real gate: it finds what PostgreSQL does, and nothing else."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pytest

from app.gate.report import FindingEntry
from app.gate.server import Server
from tests.gate.hazards.case import HAZARDS, Case
from tests.gate.hazards.cases import ALL_CASES
from tests.gate.hazards.verdicts import Outcome, judge_all, major_version


@pytest.fixture(scope="module")
def outcomes(server: Server, tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, Outcome]:
    """By the case's name."""
    known = [case for case in ALL_CASES if case.since <= major_version(server)]
    return judge_all(known, server, tmp_path_factory.mktemp("hazards"))


@pytest.mark.parametrize("case", ALL_CASES, ids=lambda case: case.name)
def test_the_gate_finds_what_postgresql_does_and_nothing_else(case: Case, outcomes, server: Server) -> None:
    if case.since > major_version(server):
        pytest.skip(f"PostgreSQL {case.since} was the first to know the statement")
    outcome = outcomes[case.name]
    assert not isinstance(outcome, str), f"{case.name} did not run: {outcome}"

    expected = case.expected_by(major_version(server))
    assert {finding.check for finding in outcome} == expected, _words(case, expected, outcome)


def _words(case: Case, expected: frozenset[str], found: Sequence[FindingEntry]) -> str:
    told = [f"  {finding.check}: {finding.message}" for finding in found] or ["  nothing"]
    lines = [
        "",
        f"case:     {case.name}",
        f"          {case.because}",
        f"expected: {', '.join(sorted(expected)) or 'nothing'}",
    ]
    return "\n".join([*lines, "found:", *told, "upgrade:", case.upgrade])


def test_the_set_is_large_balanced_and_without_doubles() -> None:
    hazardous = [case for case in ALL_CASES if case.expected]

    assert len(ALL_CASES) >= 120
    assert 0.45 <= len(hazardous) / len(ALL_CASES) <= 0.55
    assert len({case.slug for case in ALL_CASES}) == len(ALL_CASES)
    assert set().union(*(case.expected for case in ALL_CASES)) == HAZARDS
    assert all(len(case.slug) <= 63 for case in ALL_CASES), "PostgreSQL cuts longer names off"
