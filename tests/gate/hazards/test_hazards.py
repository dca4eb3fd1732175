"""Every labelled migration through the real gate: it finds what PostgreSQL does, and nothing else.

The set is cut into a few histories, which are walked two at a time. Only the ways to head that say nothing of a single revision
(offline SQL, two upgrades at once) are left out.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from app.gate import attempts, recorder
from app.gate.judge import judge
from app.gate.report import FindingEntry, Report
from app.gate.server import Server
from tests.gate.hazards.case import HAZARDS, Case
from tests.gate.hazards.cases import ALL_CASES
from tests.gate.hazards.project import write_history
from tests.gate.projects import target

HISTORIES = 4


@pytest.fixture(scope="module")
def judged(server: Server, tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, Sequence[FindingEntry] | str]:
    """By the case's name: what the hazard checks found in it, or why it did not run."""
    cases = [case for case in ALL_CASES if case.since <= _major(server)]
    found: dict[str, Sequence[FindingEntry] | str] = {}
    with pytest.MonkeyPatch.context() as patch, ThreadPoolExecutor(max_workers=2) as pool:
        patch.setattr(attempts, "attempt_all", lambda walks, *_: {walk.index: attempts.Seen() for walk in walks})
        patch.setattr(recorder, "INTERRUPTED_REVISIONS", len(cases))
        patch.setattr(recorder, "COMMITTING_REVISIONS", len(cases))

        def walk(number: int) -> None:
            place = tmp_path_factory.mktemp("history")
            found.update(_judge(place, cases[number::HISTORIES], server))

        list(pool.map(walk, range(HISTORIES)))
    return found


def _judge(place: Path, cases: Sequence[Case], server: Server) -> Iterator[tuple[str, Sequence[FindingEntry] | str]]:
    revisions = write_history(place, cases)
    report = judge(recorder.record(target(place), server))
    for case in cases:
        yield (
            case.name,
            _reason(report, revisions[case.name])
            or [
                finding
                for finding in report.findings
                if finding.revision == revisions[case.name] and finding.check in HAZARDS
            ],
        )


def _reason(report: Report, revision: str) -> str | None:
    """Why the revision did not run to its end, in words."""
    if any(step.revision == revision and step.direction == "upgrade" for step in report.steps):
        failed = [each for each in report.findings if each.revision == revision and each.check == "upgrade"]
        return failed[0].message if failed else None
    stopped = [each.message for each in report.findings if each.check in ("upgrade", "graph-integrity")]
    return " ".join(stopped) or report.reason or "it was not walked"


def _major(server: Server) -> int:
    return int(server.version.partition(".")[0])


@pytest.mark.parametrize("case", ALL_CASES, ids=lambda case: case.name)
def test_the_gate_finds_what_postgresql_does_and_nothing_else(case: Case, judged, server: Server) -> None:
    if case.since > _major(server):
        pytest.skip(f"PostgreSQL {case.since} was the first to know the statement")
    outcome = judged[case.name]
    assert not isinstance(outcome, str), f"{case.name} did not run: {outcome}"

    expected = case.expected_by(_major(server))
    assert {finding.check for finding in outcome} == expected, _words(case, expected, outcome)


def _words(case: Case, expected: frozenset[str], found: Sequence[FindingEntry]) -> str:
    told = [f"  {finding.check}: {finding.message}" for finding in found] or ["  nothing"]
    return "\n".join(
        [
            "",
            f"case:     {case.name}",
            f"          {case.because}",
            f"expected: {', '.join(sorted(expected)) or 'nothing'}",
            "found:",
            *told,
            "upgrade:",
            case.upgrade,
        ]
    )


def test_the_set_is_large_balanced_and_without_doubles() -> None:
    hazardous = [case for case in ALL_CASES if case.expected]

    assert len(ALL_CASES) >= 120
    assert 0.45 <= len(hazardous) / len(ALL_CASES) <= 0.55
    assert len({case.slug for case in ALL_CASES}) == len(ALL_CASES)
    assert set().union(*(case.expected for case in ALL_CASES)) == HAZARDS
    assert all(len(case.slug) <= 63 for case in ALL_CASES), "PostgreSQL cuts longer names off"
