"""Store a report as a run, once, with the parts that are searched or listed in columns and rows."""

from __future__ import annotations

from collections import Counter
from typing import Any, NamedTuple

import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError
from sqlmodel import Session, col

from app.changes.service import Source, list_forks, note_report
from app.database import cap, insert_rows
from app.gate.report.verdict import Severity, Verdict
from app.projects.models import Project
from app.projects.service import require_open
from app.projects.tokens import token_of
from app.revisions.recording import record_history, record_proofs, record_schema
from app.revisions.schemas import ReportedHistory
from app.runs.models import Report, Run, RunCheck, RunFinding
from app.runs.posted import PostedReport, ReadReport
from app.runs.schemas import RunContext, RunPosted, RunRead
from app.runs.service import SUMMARIES, find_summary

# Texts in columns are truncated, so that lists and pages stay readable. The report itself has the full texts.
MOST_HEADS = 20
REASON_LENGTH = 2_000
FINDING_LENGTHS = {
    "message": 4_000,
    "detail": 10_000,
    "help": 10_000,
    "object": 1_000,
    "subject": 1_000,
    "path": 1_000,
    "allowed": 2_000,
}

SAME = SUMMARIES.where(col(Run.project_id) == sa.bindparam("project_id"), col(Run.digest) == sa.bindparam("digest"))


class Recorded(NamedTuple):
    run: RunPosted
    is_new: bool


def record_run(session: Session, project: Project, report: ReadReport, context: RunContext) -> Recorded:
    """Store a report, or return the existing run of the same report. Raises ProjectArchived and ReportRefused."""
    values = {"project_id": project.id, "digest": report.digest}
    known = find_summary(session, SAME, values)
    if known is not None:
        return _recorded_before(session, project, known, report)
    require_open(project)
    conflict = None
    try:
        with session.begin_nested():
            _store(session, project, report, context)
    except IntegrityError as error:  # the digest: a concurrent request with the same report was first
        conflict = error
    run = find_summary(session, SAME, values)
    if run is None:
        raise AssertionError("the run that was stored cannot be found") from conflict
    if conflict is not None:
        return _recorded_before(session, project, run, report)
    return Recorded(_with_forks(session, project, run), is_new=True)


def _recorded_before(session: Session, project: Project, run: RunRead, report: ReadReport) -> Recorded:
    """The existing run. If only this token is trusted, it proves from now on what it did not before."""
    if token_of(session).trusted and not run.trusted and project.archived_at is None:
        reported = report.view.reported_history()
        history = record_history(session, project.id, reported)
        is_run = (col(Run.project_id) == project.id) & (col(Run.id) == run.id)
        session.execute(sa.update(Run).where(is_run).values(trusted=True, history=history))
        run = run.model_copy(update={"trusted": True})
        _record_evidence(session, project, run, report, reported, history)
    return Recorded(_with_forks(session, project, run), is_new=False)


def _record_evidence(
    session: Session,
    project: Project,
    run: RunRead | Run,
    report: ReadReport,
    reported: ReportedHistory,
    history: str | None,
) -> None:
    """What the run says about revisions and changes. One that could verify nothing says nothing."""
    if run.verdict is not Verdict.ERROR:
        record_proofs(session, project.id, run.id, reported, trusted=run.trusted)
        if run.trusted:
            record_schema(session, project.id, report.view.digest, report.read_snapshot)
        source = Source(run.change, run.branch, run.head_sha, run.trusted)
        note_report(session, project.id, source, reported, history)


def _with_forks(session: Session, project: Project, run: RunRead) -> RunPosted:
    """Those that its change is part of. A build of a branch is part of none."""
    forks = list_forks(session, project.id, run.change) if run.change is not None else []
    return RunPosted(**run.model_dump(), forks=forks, page=f"/projects/{project.slug}/runs/{run.id}")


def _store(session: Session, project: Project, report: ReadReport, context: RunContext) -> None:
    view = report.view
    reported = view.reported_history()
    counts = Counter(finding.severity for finding in view.findings if finding.allowed is None)
    run = Run(
        project_id=project.id,
        digest=report.digest,
        verdict=view.derived_verdict(),
        reason=cap(view.reason, REASON_LENGTH),
        commit=view.target.commit,
        base=view.target.base,
        heads=view.graph.heads[:MOST_HEADS],
        tool_version=view.tool.version,
        postgres=view.postgres,
        **context._asdict(),
        trusted=token_of(session).trusted,
        history=record_history(session, project.id, reported),
        started_at=view.started_at,
        duration_ms=view.duration_ms,
        finding_counts={severity: counts[severity] for severity in Severity},
    )
    session.add(run)
    session.flush()  # first, since the other rows refer to it
    session.add(Report(project_id=project.id, run_id=run.id, content=report.content))
    insert_rows(session, RunCheck, _checks(run, view))
    insert_rows(session, RunFinding, _findings(run, view))
    _record_evidence(session, project, run, report, reported, run.history)


def _checks(run: Run, view: PostedReport) -> list[dict[str, Any]]:
    return [
        {
            "run_id": str(run.id),
            "project_id": str(run.project_id),
            "position": position,
            "check": check.id,
            "outcome": check.outcome,
            "reason": cap(check.reason, REASON_LENGTH),
            "duration_ms": check.duration_ms,
        }
        for position, check in enumerate(view.checks)
    ]


def _findings(run: Run, view: PostedReport) -> list[dict[str, Any]]:
    same = {"run_id": str(run.id), "project_id": str(run.project_id)}
    return [
        same
        | {"position": position}
        | dict(finding)
        | {name: cap(getattr(finding, name), length) for name, length in FINDING_LENGTHS.items()}
        for position, finding in enumerate(view.findings)
    ]
