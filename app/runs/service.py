"""What can be done with runs: record a report, list, read."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple
from uuid import UUID

from sqlalchemy import Text, cast, func, tuple_
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import defer
from sqlmodel import Session, col, select

from app.gate.report.verdict import Verdict
from app.pagination import TIME_AND_ID, Page, decode_cursor, encode_cursor
from app.projects.models import Project
from app.projects.service import require_open
from app.runs.errors import ReportRefused, RunNotFound
from app.runs.models import Run, RunCheck, RunFinding
from app.runs.posted import MOST_ERRORS, PostedReport, canonical_json, misfits
from app.runs.schemas import CheckRead, Counts, FindingRead, RunDetail, RunRead

KEY = tuple_(Run.received_at, Run.id)


class Recorded(NamedTuple):
    run: Run
    is_new: bool


def record_run(session: Session, project: Project, report: PostedReport) -> Recorded:
    """Store a report, once: the same one again gives the run that is there.

    Raises ProjectArchived, and ReportRefused where it holds what PostgreSQL cannot keep.
    """
    content, digest = canonical_json(report)
    known = find_by_digest(session, project, digest)
    if known is not None:
        return Recorded(known, is_new=False)
    require_open(project)
    run = Run(
        project_id=project.id,
        digest=digest,
        verdict=report.verdict,
        reason=report.reason,
        commit=report.target.commit,
        base=report.target.base,
        heads=report.graph.heads,
        tool_version=report.tool.version,
        postgres=report.postgres,
        started_at=report.started_at,
        duration_ms=report.duration_ms,
        report=content,
    )
    checks = [
        RunCheck(
            run_id=run.id,
            position=position,
            check=entry.id,
            outcome=entry.outcome,
            reason=entry.reason,
            duration_ms=entry.duration_ms,
        )
        for position, entry in enumerate(report.checks)
    ]
    findings = [
        RunFinding(run_id=run.id, position=position, **entry.model_dump())
        for position, entry in enumerate(report.findings)
    ]
    require_fit(run, checks, findings)
    try:
        with session.begin_nested():
            session.add(run)
            session.flush()  # first, since the rows of the others refer to it
            session.add_all([*checks, *findings])
    except IntegrityError:  # the digest: the same report was posted at the same moment, and that request was first
        known = find_by_digest(session, project, digest)
        if known is None:
            raise
        return Recorded(known, is_new=False)
    return Recorded(run, is_new=True)


def require_fit(run: Run, checks: Iterable[RunCheck], findings: Iterable[RunFinding]) -> None:
    """Raises ReportRefused."""
    errors = [*misfits(run, "")]
    for check in checks:
        errors += misfits(check, f"checks.{check.position}.")
    for finding in findings:
        errors += misfits(finding, f"findings.{finding.position}.")
        if finding.line == 0:
            errors.append((f"findings.{finding.position}.line", "lines are counted from 1"))
    if errors:
        raise ReportRefused(errors[:MOST_ERRORS])


def find_by_digest(session: Session, project: Project, digest: bytes) -> Run | None:
    query = select(Run).where(Run.project_id == project.id, Run.digest == digest)
    return session.exec(query.options(defer(Run.report))).one_or_none()  # type: ignore[arg-type]


def get_run(session: Session, project: Project, run_id: UUID) -> Run:
    """Without its report, which may be large. Raises RunNotFound."""
    query = select(Run).where(Run.project_id == project.id, Run.id == run_id)
    run = session.exec(query.options(defer(Run.report))).one_or_none()  # type: ignore[arg-type]
    if run is None:
        raise RunNotFound(run_id)
    return run


def list_runs(
    session: Session,
    project: Project,
    *,
    verdict: Verdict | None = None,
    commit: str | None = None,
    fingerprint: str | None = None,
    cursor: str | None = None,
    limit: int = 50,
) -> Page[RunRead]:
    """The newest first. With `fingerprint`, those that have a finding with it."""
    query = select(Run).where(Run.project_id == project.id)
    if verdict is not None:
        query = query.where(Run.verdict == verdict)
    if commit is not None:
        query = query.where(Run.commit == commit)
    if fingerprint is not None:
        query = query.where(col(Run.id).in_(select(RunFinding.run_id).where(RunFinding.fingerprint == fingerprint)))
    if cursor is not None:
        query = query.where(tuple_(*decode_cursor(cursor, TIME_AND_ID)) > KEY)
    query = query.order_by(col(Run.received_at).desc(), col(Run.id).desc()).limit(limit + 1)
    runs = session.exec(query.options(defer(Run.report))).all()  # type: ignore[arg-type]
    last = runs[:limit][-1] if runs else None
    return Page(
        items=summaries(session, runs[:limit]),
        next_cursor=encode_cursor((last.received_at.isoformat(), str(last.id))) if last and len(runs) > limit else None,
    )


def summaries(session: Session, runs: Sequence[Run]) -> list[RunRead]:
    """The runs with the number of their findings, counted in one query for all of them."""
    counts_by_run: dict[UUID, dict[str, int]] = defaultdict(dict)
    rows = session.exec(
        select(RunFinding.run_id, RunFinding.severity, func.count())
        .where(col(RunFinding.run_id).in_([run.id for run in runs]), col(RunFinding.allowed).is_(None))
        .group_by(col(RunFinding.run_id), col(RunFinding.severity))
    )
    for run_id, severity, count in rows:
        counts_by_run[run_id][str(severity)] = count
    return [RunRead(**columns_of(run), finding_counts=Counts(**counts_by_run[run.id])) for run in runs]


def detail(session: Session, run: Run) -> RunDetail:
    """The run with its checks and findings, in the order of the report."""
    checks = session.exec(select(RunCheck).where(RunCheck.run_id == run.id).order_by(col(RunCheck.position))).all()
    findings = session.exec(
        select(RunFinding).where(RunFinding.run_id == run.id).order_by(col(RunFinding.position))
    ).all()
    return RunDetail(
        **summaries(session, [run])[0].model_dump(),
        checks=[CheckRead.model_validate(check) for check in checks],
        findings=[FindingRead.model_validate(finding) for finding in findings],
    )


def columns_of(run: Run) -> dict[str, Any]:
    return run.model_dump(exclude={"report", "digest", "project_id"})


def report_text(session: Session, run: Run) -> str:
    """The report as JSON, just as PostgreSQL has it: it need not be taken apart to be given back."""
    return session.exec(select(cast(Run.report, Text)).where(Run.id == run.id)).one()
