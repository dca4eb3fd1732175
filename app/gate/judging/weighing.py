"""How much each finding weighs, and which findings say the same."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from time import perf_counter

from app.gate.checks import allowance as allowances
from app.gate.checks.base import Check, CheckSkipped, Finding
from app.gate.configuration import Configuration
from app.gate.judging.redaction import redact
from app.gate.recording.model import Recording, Revision
from app.gate.report.verdict import Severity


@dataclass(frozen=True)
class CheckRun:
    """One check on one recording."""

    check: Check
    recording: Recording
    findings: tuple[Finding, ...] = ()
    skipped: str | None = None  # why nothing, or not everything, could be judged
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


def examine(check: Check, recording: Recording) -> CheckRun:
    """Run one check. It never raises: a crash is told of, and does not hide what the other checks find."""
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


def weigh(examinations: Iterable[CheckRun], configuration: Configuration) -> list[WeightedFinding]:
    """The one place that decides how much a finding weighs: as configured, else as it says itself, else as its check."""
    return [
        WeightedFinding(
            check=each.check,
            severity=configuration.severities.get(each.check.id) or finding.severity or each.check.severity,
            finding=finding,
            recording=each.recording,
        )
        for each in examinations
        for finding in each.findings
    ]


def without_repetitions(weighed: Iterable[WeightedFinding]) -> list[WeightedFinding]:
    """A command may walk through one history several times: what several walks show is said once."""
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
    """Whether what is said of all revisions in one walk says the same as a finding of another walk through them."""
    if one.check is not other.check or one.recording is other.recording or other.finding.is_of_all:
        return False
    return one.recording is not None and other.recording is not None and one.recording.graph == other.recording.graph


def accept_by_comments(weighed: Iterable[WeightedFinding]) -> None:
    """Comments in the scripts accept findings about their revision."""
    for each in weighed:
        if each.recording is None or each.check.id == allowances.CHECK.id:
            continue
        revision = find_revision(each.recording, each.finding.revision)
        for allowance in revision.allowances if revision else ():
            if allowance.reason and allowance.check in (each.check.id, *each.check.aliases):
                each.allowed = allowance.reason
                break


def find_revision(recording: Recording, revision: str | None) -> Revision | None:
    if revision is None:
        return None
    try:
        return recording.get_revision(revision)
    except KeyError:
        return None
