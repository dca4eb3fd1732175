"""The severity of each finding, and which findings are the same."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from time import perf_counter

from app.gate.checks import allowance
from app.gate.checks.base import Check, CheckSkipped, Finding
from app.gate.checks.registry import HAZARDS
from app.gate.configuration import Configuration
from app.gate.judging.redaction import redact
from app.gate.judging.sizes import SizedTable
from app.gate.recording.model import Recording, Revision
from app.gate.report.verdict import Severity


@dataclass(frozen=True)
class CheckRun:
    """One check on one recording."""

    check: Check
    recording: Recording
    findings: tuple[Finding, ...] = ()
    skipped: str | None = None  # why nothing, or only a part, could be judged
    crash: str | None = None  # our own defect: "KeyError: 'a1'"
    duration_ms: float = 0.0


@dataclass
class WeightedFinding:
    """A finding on its way into the report."""

    check: Check
    severity: Severity
    finding: Finding
    recording: Recording | None = None
    allowed: str | None = field(default=None)
    tables: tuple[SizedTable, ...] = ()  # those that it is about, as they are in the deployed database


def run_checks(
    recordings: Iterable[Recording], configuration: Configuration, checks: Iterable[Check]
) -> list[CheckRun]:
    """Every selected check on every recording; hazards only where something is new."""
    recordings = list(recordings)
    with_hazards = [] if is_nothing_new(recordings) else recordings
    return [
        examine(check, recording)
        for check in checks
        if configuration.deselects(check) is None
        for recording in (with_hazards if check.id in HAZARDS else recordings)
    ]


def is_nothing_new(recordings: Sequence[Recording]) -> bool:
    """Whether there is a base, and the branch adds no revision to it."""
    graphs = [each.graph for each in recordings if each.base is not None]
    return bool(graphs) and not any(revision.is_new for graph in graphs for revision in graph.revisions)


def examine(check: Check, recording: Recording) -> CheckRun:
    """Run one check. It never raises: a crash is reported, and does not hide the findings of other checks."""
    findings: list[Finding] = []
    skipped = crash = None
    started = perf_counter()
    try:
        findings.extend(check.examine(recording))
    except CheckSkipped as reason:
        skipped = redact(str(reason))
    except Exception as error:  # noqa: BLE001 - whatever a check raises is its defect, not the project's
        crash = redact(f"{type(error).__name__}: {error}".split("\n")[0])
    return CheckRun(check, recording, tuple(findings), skipped, crash, (perf_counter() - started) * 1000)


# Weighing


def weigh(runs: Iterable[CheckRun], configuration: Configuration) -> list[WeightedFinding]:
    """The one place that decides a finding's severity: the configured one, else the finding's own, else that of its
    check."""
    return [
        WeightedFinding(
            check=each.check,
            severity=configuration.severities.get(each.check.id) or finding.severity or each.check.severity,
            finding=finding,
            recording=each.recording,
        )
        for each in runs
        for finding in each.findings
    ]


def without_repetitions(weighed: Iterable[WeightedFinding]) -> list[WeightedFinding]:
    """A command may upgrade one history several times: what several walks find is reported once."""
    weighed = list(weighed)
    shown: dict[tuple[str, Finding], Recording | None] = {}
    of_all = [each for each in weighed if each.finding.is_of_all]
    kept = []
    for each in weighed:
        first = shown.setdefault((each.check.id, each.finding), each.recording)
        if first is each.recording and not any(_covers(one, each) for one in of_all):
            kept.append(each)
    return kept


def _covers(one: WeightedFinding, other: WeightedFinding) -> bool:
    """Whether a finding about all revisions of one walk covers a finding of another walk of the same history."""
    if one.check is not other.check or one.recording is other.recording or other.finding.is_of_all:
        return False
    return one.recording is not None and other.recording is not None and one.recording.graph == other.recording.graph


def accept_by_comments(weighed: Iterable[WeightedFinding]) -> None:
    """Comments in the scripts accept findings about their revision."""
    for each in weighed:
        if each.recording is None or each.check.id == allowance.CHECK.id:
            continue
        revision = find_revision(each.recording, each.finding.revision)
        for comment in revision.allowances if revision else ():
            if comment.reason and comment.check in (each.check.id, *each.check.aliases):
                each.allowed = comment.reason
                break


def find_revision(recording: Recording, revision: str | None) -> Revision | None:
    if revision is None:
        return None
    try:
        return recording.get_revision(revision)
    except KeyError:
        return None
