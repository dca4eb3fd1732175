"""What can be done with runs: record a report, list, read."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from typing import Annotated, Any, NamedTuple
from uuid import UUID

from pydantic import Field, TypeAdapter
from sqlalchemy import Select, Text, cast, func, insert, literal, or_, tuple_
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import defer
from sqlmodel import Session, col, select

from app.gate.report.verdict import Severity, Verdict
from app.pagination import TIME_AND_ID, Page, decode_cursor, encode_cursor
from app.projects.models import Project
from app.projects.service import require_open
from app.runs.errors import RunNotFound
from app.runs.models import Run, RunCheck, RunFinding
from app.runs.posted import INTEGER_MAX, PostedReport, ReadReport
from app.runs.schemas import CheckRead, Counts, FindingRead, RunDetail, RunRead

KEY = tuple_(Run.received_at, Run.id)
POSITION: TypeAdapter[int] = TypeAdapter(Annotated[int, Field(ge=0, le=INTEGER_MAX)])

# What lists and pages show of a report is capped, so that no report spoils them. The report itself has the whole.
MOST_HEADS = 20
REASON_LENGTH = 2_000
FINDING_LENGTHS = {"message": 4_000, "detail": 10_000, "help": 10_000, "object": 1_000, "path": 1_000, "allowed": 2_000}
FINDINGS_OF_A_RUN = 50  # that are shown with it


class Recorded(NamedTuple):
    run: RunRead
    is_new: bool


def record_run(session: Session, project: Project, report: ReadReport) -> Recorded:
    """Store a report, once: the same one again gives the run that is there. Raises ProjectArchived."""
    known = find_by_digest(session, project, report.digest)
    if known is None:
        require_open(project)
        try:
            with session.begin_nested():
                return Recorded(summaries(session, [_store(session, project, report)])[0], is_new=True)
        except IntegrityError:  # the digest: the same report was posted at the same moment, and that request was first
            known = find_by_digest(session, project, report.digest)
            if known is None:
                raise
    return Recorded(summaries(session, [known])[0], is_new=False)


def _store(session: Session, project: Project, report: ReadReport) -> Run:
    view = report.view
    counts = Counter(finding.severity for finding in view.findings if finding.allowed is None)
    run = Run(
        project_id=project.id,
        digest=report.digest,
        verdict=view.verdict,
        reason=cap(view.reason, REASON_LENGTH),
        commit=view.target.commit,
        base=view.target.base,
        heads=view.graph.heads[:MOST_HEADS],
        tool_version=view.tool.version,
        postgres=view.postgres,
        started_at=view.started_at,
        duration_ms=view.duration_ms,
        finding_counts={severity: counts[severity] for severity in Severity},
        report=cast(literal(report.text, Text), JSONB),
    )
    session.add(run)
    session.flush()  # first, since the rows of the others refer to it
    for model, rows in ((RunCheck, _checks(run, view)), (RunFinding, _findings(run, view))):
        if rows:
            session.execute(insert(model), rows)
    return run


def _checks(run: Run, view: PostedReport) -> list[dict[str, Any]]:
    return [
        {
            "run_id": run.id,
            "position": position,
            "check": check.id,
            "outcome": check.outcome,
            "reason": cap(check.reason, REASON_LENGTH),
            "duration_ms": check.duration_ms,
        }
        for position, check in enumerate(view.checks)
    ]


def _findings(run: Run, view: PostedReport) -> list[dict[str, Any]]:
    return [
        {
            **finding.model_dump(),
            "run_id": run.id,
            "project_id": run.project_id,
            "position": position,
            **{name: cap(getattr(finding, name), length) for name, length in FINDING_LENGTHS.items()},
        }
        for position, finding in enumerate(view.findings)
    ]


def cap(text: str | None, length: int) -> str | None:
    """At most so many characters, and a mark where it was cut. The report has the whole."""
    if text is None or len(text) <= length:
        return text
    return f"{text[: length - 1]}…"


def find_by_digest(session: Session, project: Project, digest: bytes) -> Run | None:
    query = select(Run).where(Run.project_id == project.id, Run.digest == digest)
    return session.exec(query.options(defer(Run.report))).one_or_none()


def get_run(session: Session, project: Project, run_id: UUID) -> Run:
    """Without its report, which may be large. Raises RunNotFound."""
    query = select(Run).where(Run.project_id == project.id, Run.id == run_id)
    run = session.exec(query.options(defer(Run.report))).one_or_none()
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
        query = query.where(col(Run.id).in_(runs_with(project, fingerprint)))
    if cursor is not None:
        query = query.where(tuple_(*decode_cursor(cursor, TIME_AND_ID)) > KEY)
    query = query.order_by(col(Run.received_at).desc(), col(Run.id).desc()).limit(limit + 1)
    runs = session.exec(query.options(defer(Run.report))).all()
    last = runs[:limit][-1] if runs else None
    return Page(
        items=summaries(session, runs[:limit]),
        next_cursor=encode_cursor((last.received_at.isoformat(), str(last.id))) if last and len(runs) > limit else None,
    )


def runs_with(project: Project, fingerprint: str) -> Select[Any]:
    """The runs that have such a finding; those of other projects too, where a finding does not say whose it is."""
    is_of_project = or_(col(RunFinding.project_id) == project.id, col(RunFinding.project_id).is_(None))
    return select(RunFinding.run_id).where(is_of_project, RunFinding.fingerprint == fingerprint)


def summaries(session: Session, runs: Sequence[Run]) -> list[RunRead]:
    """The runs with the number of their findings."""
    counted = count_findings(session, [run.id for run in runs if run.finding_counts is None])
    return [
        RunRead(**columns_of(run), finding_counts=Counts(**(run.finding_counts or counted[run.id]))) for run in runs
    ]


def count_findings(session: Session, run_ids: Sequence[UUID]) -> dict[UUID, dict[str, int]]:
    """By severity, for runs that do not hold the numbers themselves. In one query for all of them."""
    counts_by_run: dict[UUID, dict[str, int]] = defaultdict(dict)
    if run_ids:
        rows = session.exec(
            select(RunFinding.run_id, RunFinding.severity, func.count())
            .where(col(RunFinding.run_id).in_(run_ids), col(RunFinding.allowed).is_(None))
            .group_by(col(RunFinding.run_id), col(RunFinding.severity))
        )
        for run_id, severity, count in rows:
            counts_by_run[run_id][str(severity)] = count
    return counts_by_run


def read_run(session: Session, project: Project, run_id: UUID) -> RunDetail:
    """The run with its checks and the first of its findings, in the order of the report. Raises RunNotFound."""
    run = get_run(session, project, run_id)
    checks = session.exec(select(RunCheck).where(RunCheck.run_id == run.id).order_by(col(RunCheck.position))).all()
    findings = _page_of_findings(session, run, cursor=None, limit=FINDINGS_OF_A_RUN)
    return RunDetail(
        **summaries(session, [run])[0].model_dump(),
        checks=[CheckRead.model_validate(check) for check in checks],
        findings=findings.items,
        findings_next_cursor=findings.next_cursor,
    )


def list_findings(
    session: Session, project: Project, run_id: UUID, *, cursor: str | None, limit: int
) -> Page[FindingRead]:
    """In the order of the report. Raises RunNotFound."""
    return _page_of_findings(session, get_run(session, project, run_id), cursor=cursor, limit=limit)


def _page_of_findings(session: Session, run: Run, *, cursor: str | None, limit: int) -> Page[FindingRead]:
    query = select(RunFinding).where(RunFinding.run_id == run.id)
    if cursor is not None:
        query = query.where(RunFinding.position > decode_cursor(cursor, POSITION))
    findings = session.exec(query.order_by(col(RunFinding.position)).limit(limit + 1)).all()
    return Page(
        items=[FindingRead.model_validate(finding) for finding in findings[:limit]],
        next_cursor=encode_cursor(findings[limit - 1].position) if len(findings) > limit else None,
    )


def columns_of(run: Run) -> dict[str, Any]:
    return run.model_dump(exclude={"report", "digest", "project_id", "finding_counts"})


def report_text(session: Session, project: Project, run_id: UUID) -> str:
    """The report as JSON, just as PostgreSQL has it: it need not be taken apart to be given back. Raises RunNotFound."""
    query = select(cast(Run.report, Text)).where(Run.project_id == project.id, Run.id == run_id)
    text = session.exec(query).one_or_none()
    if text is None:
        raise RunNotFound(run_id)
    return text
