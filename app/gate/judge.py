"""From recordings to a report: runs the checks, weighs what they found, and gives the verdict."""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from time import perf_counter

from app import __version__
from app.gate.baseline import Baseline
from app.gate.checks import allowance as allowances
from app.gate.checks.base import Check, Finding, Skipped
from app.gate.checks.registry import CHECKS, UnknownCheck, get_check
from app.gate.configuration import Configuration
from app.gate.history.allowances import FORM
from app.gate.recording.model import GOES_ON, TRIED_ONCE, Recording, Revision, Step
from app.gate.recording.serialization import digest, to_json
from app.gate.report.model import (
    CheckEntry,
    FindingEntry,
    GraphEntry,
    Report,
    RevisionEntry,
    StatementEntry,
    StepEntry,
    Target,
    Tool,
)
from app.gate.report.verdict import Outcome, Severity, Verdict
from app.gate.snapshot.describe import describe_all

TOOL = Tool(name="overproof", version=__version__)


@dataclass(frozen=True)
class Examination:
    """One check on one recording."""

    check: Check
    recording: Recording
    findings: tuple[Finding, ...] = ()
    skipped: str | None = None  # why nothing, or not everything, could be judged
    crash: str | None = None  # our own defect: "KeyError: 'a1'"
    duration_ms: float = 0.0


@dataclass
class Weighed:
    """A finding on its way into the report."""

    check: Check
    severity: Severity
    finding: Finding
    recording: Recording | None = None
    allowed: str | None = field(default=None)


def judge(
    recordings: Sequence[Recording],
    configuration: Configuration | None = None,
    *,
    target: Target | None = None,
    baseline: Baseline | None = None,
    started_at: datetime | None = None,
    duration_ms: float = 0.0,
    checks: Sequence[Check] = CHECKS,
) -> Report:
    """The report on one verification: a recording for each walk that the project's command made.

    A check that crashes gives the verdict `error`, for then nobody can say that the migrations are sound; what the
    others found is in the report all the same.
    """
    configuration = configuration or Configuration()
    examinations = [
        examine(check, recording)
        for check in checks
        if configuration.deselects(check) is None
        for recording in recordings
    ]
    weighed = _without_repetitions(_weigh(examinations, configuration))
    _accept(weighed)
    if configuration.deselects(allowances.CHECK) is None:
        weighed += _weigh(_judge_allowances(recordings, examinations, weighed, checks), configuration)
    findings = _entries(weighed, baseline)
    crashes = [f"{each.check.id} ({each.crash})" for each in examinations if each.crash]
    if crashes:
        verdict = Verdict.ERROR
        reason = f"a check crashed, which is a defect of Overproof: {'; '.join(dict.fromkeys(crashes))}"
    else:
        failing = any(configuration.fail_on.fails(each.severity) for each in findings if each.allowed is None)
        verdict, reason = (Verdict.FAIL if failing else Verdict.PASS), None
    head = next((each.head for each in reversed(recordings) if each.head is not None), None)
    last = recordings[-1] if recordings else None
    return Report(
        verdict=verdict,
        reason=reason and fit(reason),
        tool=TOOL,
        target=target or Target(command=[], script_location=script_locations(recordings)),
        postgres=last.postgres if last else None,
        alembic=last.alembic if last else None,
        sqlalchemy=last.sqlalchemy if last else None,
        started_at=started_at or datetime.now(UTC),
        duration_ms=duration_ms,
        graph=_graph(recordings),
        checks=[_check_entry(check, configuration, examinations, findings) for check in checks],
        findings=findings,
        steps=[_step_entry(step) for recording in recordings for step in _steps(recording)],
        snapshot=None if head is None else to_json(head),
        digest=None if head is None else digest(head),
    )


def report_error(
    reason: str, *, target: Target, started_at: datetime, duration_ms: float, postgres: str | None = None
) -> Report:
    """The report when nothing could be verified."""
    return Report(
        verdict=Verdict.ERROR,
        reason=fit(reason),
        tool=TOOL,
        target=target,
        postgres=postgres,
        started_at=started_at,
        duration_ms=duration_ms,
    )


def examine(check: Check, recording: Recording) -> Examination:
    """Run one check. It never raises: a crash is told of, and does not hide what the other checks find."""
    findings: list[Finding] = []
    skipped = crash = None
    started = perf_counter()
    try:
        findings.extend(check.examine(recording))
    except Skipped as reason:
        skipped = fit(str(reason))
    except Exception as error:  # noqa: BLE001 - whatever a check raises is its defect, not the project's
        crash = fit(f"{type(error).__name__}: {error}".split("\n")[0])
    return Examination(check, recording, tuple(findings), skipped, crash, (perf_counter() - started) * 1000)


def script_locations(recordings: Iterable[Recording]) -> str | None:
    """Usually one. A command that runs Alembic for several sections has several."""
    return ", ".join(dict.fromkeys(fit(each.script_location) for each in recordings)) or None


# Weighing


def _weigh(examinations: Iterable[Examination], configuration: Configuration) -> list[Weighed]:
    """The one place that decides how much a finding weighs: as configured, else as it says itself, else as its check."""
    return [
        Weighed(
            check=each.check,
            severity=configuration.severities.get(each.check.id) or finding.severity or each.check.severity,
            finding=finding,
            recording=each.recording,
        )
        for each in examinations
        for finding in each.findings
    ]


def _without_repetitions(weighed: Iterable[Weighed]) -> list[Weighed]:
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


def _covers(one: Weighed, other: Weighed) -> bool:
    """Whether what is said of all revisions in one walk says the same as a finding of another walk through them."""
    if one.check is not other.check or one.recording is other.recording or other.finding.is_of_all:
        return False
    return one.recording is not None and other.recording is not None and one.recording.graph == other.recording.graph


def _accept(weighed: Iterable[Weighed]) -> None:
    """Comments in the scripts accept findings about their revision."""
    for each in weighed:
        if each.recording is None or each.check.id == allowances.CHECK.id:
            continue
        revision = _find_revision(each.recording, each.finding.revision)
        for allowance in revision.allowances if revision else ():
            if allowance.reason and allowance.check in (each.check.id, *each.check.aliases):
                each.allowed = allowance.reason
                break


def _judge_allowances(
    recordings: Iterable[Recording],
    examinations: Iterable[Examination],
    weighed: Iterable[Weighed],
    checks: Sequence[Check],
) -> Iterator[Examination]:
    """What the comments cannot tell by themselves: the ones that name no check, and those that accept nothing."""
    used = {(each.check.id, each.finding.revision) for each in weighed}
    completed = {(each.check.id, id(each.recording)) for each in examinations if not (each.skipped or each.crash)}
    for recording in recordings:
        walked = {trip.revision for trip in recording.trips if trip.up is not None and trip.not_tried is None}
        findings = []
        for revision in recording.graph.revisions:
            for allowance in revision.allowances:
                if not allowance.check or not allowance.reason:
                    continue  # Already told of by the check itself.
                about = Finding("", "unused", revision=revision.revision, object=allowance.check, line=allowance.line)
                try:
                    check = get_check(allowance.check, checks)
                except UnknownCheck as unknown:
                    findings.append(
                        replace(
                            about,
                            message=f"This comment allows {allowance.check}, and there is no such check.",
                            subject="unknown-check",
                            help=f"Write `{FORM.replace('<check>', unknown.suggestion)}`."
                            if unknown.suggestion
                            else "`overproof explain` lists the checks.",
                        )
                    )
                    continue
                judged = revision.revision in walked and (check.id, id(recording)) in completed
                if judged and not used & {(check.id, revision.revision), (check.id, None)}:
                    findings.append(
                        replace(
                            about,
                            message=f"This comment allows {allowance.check}, and nothing is left to allow.",
                            help="Remove the comment.",
                            severity=Severity.NOTICE,
                        )
                    )
        yield Examination(allowances.CHECK, recording, tuple(findings))


# Entries of the report


def _entries(weighed: Iterable[Weighed], baseline: Baseline | None) -> list[FindingEntry]:
    entries = []
    seen: Counter[str] = Counter()
    for each in weighed:
        finding = each.finding
        revision = _find_revision(each.recording, finding.revision) if each.recording else None
        content = revision.content_digest if revision else ""
        identity = "\0".join(
            (each.check.id, finding.revision or "", content, finding.object or "", fit(finding.subject))
        )
        seen[identity] += 1
        fingerprint = fingerprint_of(identity, seen[identity])
        allowed = each.allowed
        if allowed is None and baseline and fingerprint in baseline.fingerprints:
            allowed = baseline.reason
        path = finding.path or (revision.path if revision else None)
        entries.append(
            FindingEntry(
                check=each.check.id,
                severity=each.severity,
                revision=fit_or_none(finding.revision),
                object=fit_or_none(finding.object),
                subject=fit(finding.subject),
                message=fit(finding.message),
                detail=fit_or_none(finding.detail),
                help=fit_or_none(finding.help),
                path=fit_or_none(path),
                line=_line(finding, revision) if path else None,
                fingerprint=fingerprint,
                allowed=fit_or_none(allowed),
            )
        )
    return entries


def _line(finding: Finding, revision: Revision | None) -> int | None:
    """The operation's line, else that of `def upgrade` or `def downgrade`, else the first."""
    if finding.line is not None or revision is None:
        return finding.line
    return (revision.downgrade_line if finding.direction == "downgrade" else revision.upgrade_line) or 1


def _find_revision(recording: Recording, revision: str | None) -> Revision | None:
    if revision is None:
        return None
    try:
        return recording.get_revision(revision)
    except KeyError:
        return None


def fingerprint_of(identity: str, occurrence: int) -> str:
    """32 hexadecimal digits, of what a finding is about and never of the words for it. The second finding of the same identity gets another one, so that accepting the first in a
    baseline does not accept the second."""
    counted = identity if occurrence == 1 else f"{identity}\0{occurrence}"
    return hashlib.sha256(counted.encode("utf-8", "backslashreplace")).hexdigest()[:32]


OUTCOMES: Mapping[Severity, Outcome] = {
    Severity.ERROR: Outcome.FAIL,
    Severity.WARNING: Outcome.WARN,
    Severity.NOTICE: Outcome.NOTICE,
}


def _check_entry(
    check: Check,
    configuration: Configuration,
    examinations: Iterable[Examination],
    findings: Iterable[FindingEntry],
) -> CheckEntry:
    """The weight of a check's heaviest finding that nobody accepted."""
    reason = configuration.deselects(check)
    if reason is not None:
        return CheckEntry(id=check.id, outcome=Outcome.SKIPPED, reason=reason)
    own = [each for each in examinations if each.check is check and each.skipped not in (GOES_ON, TRIED_ONCE)]
    is_one = len({each.crash or each.skipped for each in own}) == 1  # all walks have the same to say
    reasons = [_reason(each, alone=is_one) for each in own if each.skipped or each.crash]
    open_severities = {each.severity for each in findings if each.check == check.id and each.allowed is None}
    outcome = next((OUTCOMES[severity] for severity in Severity if severity in open_severities), None)
    if outcome is None:
        outcome = Outcome.SKIPPED if reasons and len(reasons) == len(own) else Outcome.PASS
    return CheckEntry(
        id=check.id,
        outcome=outcome,
        reason="; ".join(dict.fromkeys(reasons)) or None,
        duration_ms=round(sum(each.duration_ms for each in own), 3),
    )


def _reason(examination: Examination, *, alone: bool) -> str:
    reason = f"it crashed: {examination.crash}" if examination.crash else examination.skipped or ""
    return reason if alone else f"{fit(examination.recording.script_location)}: {reason}"


def _graph(recordings: Iterable[Recording]) -> GraphEntry:
    """The histories of all walks, each once."""
    graphs = [recording.graph for recording in recordings]
    revisions = dict.fromkeys(revision for graph in graphs for revision in graph.revisions)
    return GraphEntry(
        heads=list(dict.fromkeys(fit(head) for graph in graphs for head in graph.heads)),
        bases=list(dict.fromkeys(fit(base) for graph in graphs for base in graph.bases)),
        revisions=[
            RevisionEntry(
                revision=fit(each.revision),
                down_revisions=[fit(parent) for parent in each.down_revisions],
                depends_on=[fit(other) for other in each.depends_on],
                branch_labels=[fit(label) for label in each.branch_labels],
                message=fit(each.message),
                path=fit(each.path),
                sha256=each.sha256 or None,
                new=each.is_new,
            )
            for each in revisions
        ],
    )


def _steps(recording: Recording) -> Iterator[Step]:
    """The first upgrade and the downgrade of each revision. The second upgrade does what the first did, and is not observed."""
    for trip in recording.trips:
        yield from (step for step in (trip.up, trip.down) if step is not None)


def _step_entry(step: Step) -> StepEntry:
    return StepEntry(
        revision=fit(step.revision),
        direction="downgrade" if step.direction == "downgrade" else "upgrade",
        duration_ms=round(step.duration_ms, 3),
        transactional=step.transactional,
        statements=[
            StatementEntry(
                sql=fit(statement.sql),
                duration_ms=round(statement.duration_ms, 3),
                locks=[
                    {"table": fit(table), "mode": mode}
                    for table, modes in sorted(statement.locks.items())
                    for mode in sorted(modes)
                ],
                rewrites=[fit(table) for table in statement.rewrites],
                scans=[fit(table) for table in statement.scans],
            )
            for statement in step.statements
        ],
        changes=[fit(line) for line in describe_all(step.changes)],
    )


# Text that came from a project


CREDENTIALS = re.compile(r"(://[^\s:/@]*:)[^\s@]+(@)")


def fit(text: str) -> str:
    """Text that every reader of a report can take, and that gives no password away.

    A NUL cannot be stored in PostgreSQL, and half of a surrogate pair (a file name that is not UTF-8) cannot be
    encoded: both are spelt out. Other control characters stay, and each reporter makes of them what its format needs.
    """
    text = text.replace("\0", "\\0").encode("utf-8", "backslashreplace").decode("utf-8")
    return CREDENTIALS.sub(r"\1***\2", text)


def fit_or_none(text: str | None) -> str | None:
    return None if text is None else fit(text)
