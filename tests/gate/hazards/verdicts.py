"""What the gate says of the labelled migrations."""

from __future__ import annotations

from collections.abc import Container, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from unittest.mock import patch

from app.gate.judging.judge import judge
from app.gate.recorder import record
from app.gate.recording.model import Evidence
from app.gate.report.model import FindingEntry, Report
from app.gate.reruns import _interruptions, _rows
from app.gate.server.throwaway import Server
from tests.gate.hazards.case import HAZARDS, Case
from tests.gate.hazards.project import USUAL, Way, write_history
from tests.gate.projects import target

OF_A_MIGRATION = frozenset({Evidence.LOCKS, Evidence.POPULATED, Evidence.INTERRUPTIONS})
Outcome = Sequence[FindingEntry] | str  # what the hazard checks found, or why the migration did not run


def judge_cases(
    cases: Sequence[Case], server: Server, place: Path, way: Way = USUAL, checks: Container[str] = HAZARDS
) -> Mapping[str, Outcome]:
    """What those checks say, by the case's name: in one walk through a history in that folder, whose env.py connects in that way.

    Each migration is tried as hard as a new one. What says nothing of a single one (offline SQL, two upgrades at once) is not recorded.
    """
    revisions = write_history(place, cases, way.env)
    report = judge_history(place, server, len(cases), way.url)
    asked = {case.name: case.checks if checks is HAZARDS else checks for case in cases}
    return {case.name: _outcome(report, revisions[case.name], asked[case.name]) for case in cases}


def judge_history(place: Path, server: Server, revisions: int, url: str = USUAL.url) -> Report:
    """What the gate says of the project in that folder, so many of whose revisions are tried as hard as new ones."""
    with (
        patch.object(_interruptions, "INTERRUPTED_REVISIONS", revisions),
        patch.object(_rows, "COMMITTING_REVISIONS", revisions),
    ):
        on_way = replace(target(place), environment={"DATABASE_URL": url})
        return judge(record(on_way, server, evidence=OF_A_MIGRATION))


def major_version(server: Server) -> int:
    return int(server.version.partition(".")[0])


def _outcome(report: Report, revision: str, checks: Container[str]) -> Outcome:
    own = [finding for finding in report.findings if finding.revision == revision]
    if not any(step.revision == revision and step.direction == "upgrade" for step in report.steps):
        words = [finding.message for finding in report.findings if finding.check in ("upgrade", "graph-integrity")]
        return " ".join(words) or report.reason or "it was not walked"
    failed = next((each for each in own if each.check == "upgrade" and each.severity == "error"), None)
    return failed.message if failed else [finding for finding in own if finding.check in checks]
