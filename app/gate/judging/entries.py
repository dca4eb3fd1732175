"""Findings, checks, the graph and the steps as entries of the report."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping

from app.gate.checks.base import Check, Finding
from app.gate.checks.registry import HAZARDS
from app.gate.configuration import Configuration
from app.gate.judging.baseline import Baseline
from app.gate.judging.deployed import sentence_of
from app.gate.judging.fingerprints import fingerprint_of
from app.gate.judging.redaction import redact, redact_or_none
from app.gate.judging.sizes import Deployed, SizedTable
from app.gate.judging.weighing import CheckRun, WeightedFinding, find_revision
from app.gate.recording.model import CONTINUED_BY_A_LATER_WALK, TRIED_WITH_THE_LAST_WALK, Recording, Revision, Step
from app.gate.recording.serialization import object_entry
from app.gate.report.model import (
    AssumptionEntry,
    CheckEntry,
    DeployedEntry,
    FindingEntry,
    GraphEntry,
    JudgedEntry,
    RevisionEntry,
    StatementEntry,
    StepEntry,
    TableEntry,
)
from app.gate.report.verdict import NOTHING_NEW, Outcome, Severity
from app.gate.snapshot.describe import describe_all


def script_locations(recordings: Iterable[Recording]) -> str | None:
    """Usually one. A command that runs Alembic for several sections has several."""
    return ", ".join(dict.fromkeys(redact(each.script_location) for each in recordings)) or None


# Entries of the report


def finding_entries(
    weighed: Iterable[WeightedFinding], baseline: Baseline | None, deployed: Deployed | None = None
) -> list[FindingEntry]:
    entries = []
    seen: Counter[str] = Counter()
    for each in weighed:
        finding = each.finding
        revision = find_revision(each.recording, finding.revision) if each.recording else None
        content = revision.content_digest if revision else ""
        identity = "\0".join(
            (each.check.id, finding.revision or "", content, finding.object or "", redact(finding.subject))
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
                revision=redact_or_none(finding.revision),
                object=redact_or_none(finding.object),
                subject=redact(finding.subject),
                message=redact(_message(each, deployed)),
                detail=redact_or_none(finding.detail),
                help=redact_or_none(finding.help),
                assumption=AssumptionEntry(sql=redact(finding.assumption.sql)) if finding.assumption else None,
                tables=[_table_entry(table) for table in each.tables],
                path=redact_or_none(path),
                line=_line(finding, revision) if path else None,
                fingerprint=fingerprint,
                allowed=redact_or_none(allowed),
            )
        )
    return entries


def _message(weighed: WeightedFinding, deployed: Deployed | None) -> str:
    """With the sizes of the tables, where they are known."""
    sizes = sentence_of(weighed.tables, deployed) if deployed is not None else ""
    return f"{weighed.finding.message} {sizes}".rstrip()


def _table_entry(table: SizedTable) -> TableEntry:
    return TableEntry(
        table=redact(table.table), weight=table.weight.value, rows=table.size.rows, bytes=table.size.bytes
    )


def deployed_entry(deployed: Deployed | None) -> DeployedEntry | None:
    if deployed is None:
        return None
    return DeployedEntry(
        source=redact(deployed.source),
        taken_at=deployed.taken_at,
        revisions=sorted(deployed.revisions),
        small_table_rows=deployed.small_table_rows,
    )


def _line(finding: Finding, revision: Revision | None) -> int | None:
    """The operation's line, else that of `def upgrade` or `def downgrade`, else the first."""
    if finding.line is not None or revision is None:
        return finding.line
    return (revision.downgrade_line if finding.direction == "downgrade" else revision.upgrade_line) or 1


OUTCOMES: Mapping[Severity, Outcome] = {
    Severity.ERROR: Outcome.FAIL,
    Severity.WARNING: Outcome.WARN,
    Severity.NOTICE: Outcome.NOTICE,
}


def check_entry(
    check: Check,
    configuration: Configuration,
    runs: Iterable[CheckRun],
    findings: Iterable[FindingEntry],
    *,
    nothing_new: bool = False,
) -> CheckEntry:
    """The outcome by the check's most severe open finding."""
    reason = configuration.deselects(check)
    if reason is None and nothing_new and check.id in HAZARDS:
        reason = NOTHING_NEW
    if reason is not None:
        return CheckEntry(id=check.id, outcome=Outcome.SKIPPED, reason=reason)
    own = [
        each
        for each in runs
        if each.check is check and each.skipped not in (CONTINUED_BY_A_LATER_WALK, TRIED_WITH_THE_LAST_WALK)
    ]
    is_one = len({each.crash or each.skipped for each in own}) == 1  # the same in all walks
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


def _reason(run: CheckRun, *, alone: bool) -> str:
    reason = f"it crashed: {run.crash}" if run.crash else run.skipped or ""
    return reason if alone else f"{redact(run.recording.script_location)}: {reason}"


def judged_entry(recordings: Iterable[Recording]) -> JudgedEntry:
    """What the verdict is about: the base, and the revisions that were run, in all walks."""
    recordings = list(recordings)
    base = next((each.base for each in recordings if each.base is not None), None)
    return JudgedEntry(
        base=redact(base.ref) if base else None,
        commit=base.commit if base else None,
        revisions=list(dict.fromkeys(redact(trip.revision) for each in recordings for trip in each.trips)),
    )


def graph_entry(recordings: Iterable[Recording]) -> GraphEntry:
    """The histories of all walks, each once."""
    recordings = list(recordings)
    graphs = [recording.graph for recording in recordings]
    digests = {
        revision: recording.schema_digests[revision.revision]
        for recording in recordings
        for revision in recording.graph.revisions
        if revision.revision in recording.schema_digests
    }
    replaced = {
        revision: [object_entry(change.key, change.before) for change in ups[revision.revision].changes]
        for recording in recordings
        for ups in ({each.revision: each.up for each in recording.trips if each.up and each.up.failure is None},)
        for revision in recording.graph.revisions
        if revision.revision in ups
    }
    revisions = dict.fromkeys(revision for graph in graphs for revision in graph.revisions)
    return GraphEntry(
        heads=list(dict.fromkeys(redact(head) for graph in graphs for head in graph.heads)),
        bases=list(dict.fromkeys(redact(base) for graph in graphs for base in graph.bases)),
        revisions=[
            RevisionEntry(
                revision=redact(each.revision),
                down_revisions=[redact(parent) for parent in each.down_revisions],
                depends_on=[redact(other) for other in each.depends_on],
                branch_labels=[redact(label) for label in each.branch_labels],
                message=redact(each.message),
                path=redact(each.path),
                sha256=each.sha256 or None,
                new=each.is_new,
                schema_digest_before=digests[each][0] if each in digests else None,
                schema_digest=digests[each][1] if each in digests else None,
                replaced=replaced.get(each),
            )
            for each in revisions
        ],
    )


def observed_steps(recording: Recording) -> Iterator[tuple[Step, Mapping[str, int]]]:
    """The first upgrade of each revision, with the rows over which it was repeated, and its downgrade. The second
    upgrade is not observed."""
    for trip in recording.trips:
        if trip.up is not None:
            yield trip.up, trip.populated.tables if trip.populated is not None else {}
        if trip.down is not None:
            yield trip.down, {}


def step_entry(step: Step, rows: Mapping[str, int]) -> StepEntry:
    return StepEntry(
        revision=redact(step.revision),
        direction="downgrade" if step.direction == "downgrade" else "upgrade",
        duration_ms=round(step.duration_ms, 3),
        transactional=step.transactional,
        statements=[
            StatementEntry(
                sql=redact(statement.sql),
                duration_ms=round(statement.duration_ms, 3),
                locks=[
                    {"table": redact(table), "mode": mode}
                    for table, modes in sorted(statement.locks.items())
                    for mode in sorted(modes)
                ],
                rewrites=[redact(table) for table in statement.rewrites],
                scans=[redact(table) for table in statement.scans],
                transactional=statement.transactional,
            )
            for statement in step.statements
        ],
        changes=[redact(line) for line in describe_all(step.changes)],
        rows={redact(table): number for table, number in sorted(rows.items())},
    )
