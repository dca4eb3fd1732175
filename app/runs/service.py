"""Read runs, their findings and their reports."""

from __future__ import annotations

import gzip
from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, NamedTuple
from uuid import UUID

from pydantic import BaseModel, Field, TypeAdapter
from sqlalchemy import (
    ColumnElement,
    Label,
    Row,
    Select,
    Text,
    bindparam,
    case,
    cast,
    func,
    inspect,
    or_,
    tuple_,
    union_all,
)
from sqlalchemy import select as sql_select
from sqlalchemy.dialects.postgresql import aggregate_order_by
from sqlmodel import Session, SQLModel, col, select

from app.gate.report.verdict import Severity, Verdict
from app.pagination import TIME_AND_ID, Page, decode_cursor, encode_cursor
from app.projects.models import Project
from app.runs.errors import ReportExpired, RunNotFound
from app.runs.models import Report, Run, RunCheck, RunFinding
from app.runs.posted import INTEGER_MAX
from app.runs.schemas import CheckRead, Counts, FindingRead, RunDetail, RunRead

KEY = tuple_(Run.received_at, Run.id)
POSITION: TypeAdapter[int] = TypeAdapter(Annotated[int, Field(ge=0, le=INTEGER_MAX)])
FINDINGS_OF_A_RUN = 50  # included in the answer for the run
ACCEPTED_OF_A_PAGE = 200


def columns_for(answer: type[BaseModel], model: type[SQLModel]) -> Select[Any]:
    """Only the columns that the answer has: never the report of a run, which may be large."""
    columns = inspect(model).local_table.columns  # those of the table cost less than those of the class
    return sql_select(*(columns[name] for name in answer.model_fields))


def is_of_run(model: type[RunCheck] | type[RunFinding]) -> ColumnElement[bool]:
    return (col(model.project_id) == bindparam("project_id")) & (col(model.run_id) == bindparam("run_id"))


def as_json(rows: Select[Any], name: str) -> Label[Any]:
    """All rows in one value, in the order of their positions. NULL if there is none."""
    each = rows.subquery(name)
    one = aggregate_order_by(func.row_to_json(each.table_valued()), each.c.position)
    return sql_select(func.json_agg(one)).select_from(each).scalar_subquery().label(name)


# Built once, since that takes longer than running them.
SUMMARIES = columns_for(RunRead, Run)
IS_RUN = (col(Run.project_id) == bindparam("project_id")) & (col(Run.id) == bindparam("run_id"))
SUMMARY = SUMMARIES.where(IS_RUN)
CHECKS = columns_for(CheckRead, RunCheck).add_columns(col(RunCheck.position)).where(is_of_run(RunCheck))
FINDINGS = (
    columns_for(FindingRead, RunFinding)
    .add_columns(col(RunFinding.position))
    .where(is_of_run(RunFinding), col(RunFinding.position) > bindparam("after"))
    .order_by(col(RunFinding.position))
    .limit(bindparam("at_most"))
)
# All in one statement, since each is another journey to the database and back.
DETAILS = SUMMARY.add_columns(as_json(CHECKS, "checks"), as_json(FINDINGS, "findings"))
WORDS = func.concat_ws(
    " ", *(col(getattr(RunFinding, name)) for name in ("check", "object", "revision", "path", "message"))
)
POSITIONS = sql_select(
    col(RunFinding.position), func.count().over().label("total"), col(RunFinding.allowed).is_not(None).label("accepted")
).where(is_of_run(RunFinding))
OPEN_POSITIONS = (
    POSITIONS.where(
        col(RunFinding.allowed).is_(None),
        or_(bindparam("severity").is_(None), col(RunFinding.severity) == bindparam("severity")),
        func.strpos(func.lower(WORDS), func.lower(bindparam("search"))) > 0,
    )
    .order_by(col(RunFinding.severity), col(RunFinding.position))
    .offset(bindparam("first"))
    .limit(bindparam("at_most"))
)
ACCEPTED_POSITIONS = (
    POSITIONS.where(col(RunFinding.allowed).is_not(None)).order_by(col(RunFinding.position)).limit(ACCEPTED_OF_A_PAGE)
)
SELECTED = union_all(*(sql_select(each.subquery()) for each in (OPEN_POSITIONS, ACCEPTED_POSITIONS)))
# Where older code stored the report, its text comes from PostgreSQL, with the order of its keys lost.
REPORT = (
    select(Report.content, case((col(Report.content).is_(None), cast(Run.report, Text))))
    .select_from(Run)
    .outerjoin(Report, (col(Report.project_id) == Run.project_id) & (col(Report.run_id) == Run.id))
    .where(IS_RUN)
)


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
    """The newest first. With `fingerprint`, only those that have a finding with it."""
    query = SUMMARIES.where(col(Run.project_id) == project.id)
    if verdict is not None:
        query = query.where(col(Run.verdict) == verdict)
    if commit is not None:
        query = query.where(col(Run.commit) == commit)
    if fingerprint is not None:
        query = query.where(col(Run.id).in_(runs_with(project, fingerprint)))
    if cursor is not None:
        query = query.where(tuple_(*decode_cursor(cursor, TIME_AND_ID)) > KEY)
    query = query.order_by(col(Run.received_at).desc(), col(Run.id).desc()).limit(limit + 1)
    rows = session.execute(query).all()
    items = summaries(session, project.id, rows[:limit])
    last = (items[-1].received_at.isoformat(), str(items[-1].id)) if items else None
    return Page(items=items, next_cursor=encode_cursor(last) if len(rows) > limit else None)


def runs_with(project: Project, fingerprint: str) -> Select[Any]:
    """The runs that have such a finding."""
    return select(RunFinding.run_id).where(RunFinding.project_id == project.id, RunFinding.fingerprint == fingerprint)


def read_run(session: Session, project: Project, run_id: UUID) -> RunDetail:
    """The run with its checks and its first findings, in the order of the report. Raises RunNotFound."""
    values = {"project_id": project.id, "run_id": run_id, "after": -1, "at_most": FINDINGS_OF_A_RUN + 1}
    row = session.execute(DETAILS, values).first()
    if row is None:
        raise RunNotFound(run_id)
    (summary,) = summaries(session, project.id, [row])
    findings = page_from(row.findings or (), FINDINGS_OF_A_RUN)
    return RunDetail(
        **dict(summary),
        checks=[CheckRead(**check) for check in row.checks or ()],
        findings=findings.items,
        findings_next_cursor=findings.next_cursor,
    )


def read_summary(session: Session, project: Project, run_id: UUID) -> RunRead:
    """The run without its checks and findings. Raises RunNotFound."""
    run = find_summary(session, SUMMARY, {"project_id": project.id, "run_id": run_id})
    if run is None:
        raise RunNotFound(run_id)
    return run


class Selection(NamedTuple):
    """A page of the findings of a run: the open ones that were asked for, and the first accepted ones."""

    positions: list[int]  # in the report
    open_total: int  # of all that were asked for
    accepted_total: int
    shown: int  # of the open ones, on this page


def select_findings(
    session: Session, project: Project, run_id: UUID, *, severity: Severity | None, search: str, first: int, limit: int
) -> Selection:
    """The most severe of the open ones come first. `search`: in the check, object, place or message."""
    values = {"project_id": project.id, "run_id": run_id, "severity": severity, "search": search}
    rows = session.execute(SELECTED, {**values, "first": first, "at_most": limit}).all()
    open_ones, accepted = ([row for row in rows if row.accepted is which] for which in (False, True))
    totals = [found[0].total if found else 0 for found in (open_ones, accepted)]
    return Selection(sorted(row.position for row in rows), totals[0], totals[1], len(open_ones))


def findings_at(session: Session, project: Project, run_id: UUID, positions: Sequence[int]) -> list[FindingRead]:
    """In the order of the report."""
    query = columns_for(FindingRead, RunFinding).where(
        is_of_run(RunFinding), col(RunFinding.position).in_(list(positions))
    )
    rows = session.execute(query.order_by(col(RunFinding.position)), {"project_id": project.id, "run_id": run_id})
    return [FindingRead(**row._mapping) for row in rows]


def list_findings(
    session: Session, project: Project, run_id: UUID, *, cursor: str | None, limit: int
) -> Page[FindingRead]:
    """In the order of the report. Raises RunNotFound."""
    if session.execute(select(Run.id).where(IS_RUN), {"project_id": project.id, "run_id": run_id}).first() is None:
        raise RunNotFound(run_id)
    return page_of_findings(session, project, run_id, cursor=cursor, limit=limit)


def read_report(session: Session, project: Project, run_id: UUID) -> bytes:
    """The report as it was posted, compressed by gzip. Raises RunNotFound and ReportExpired."""
    found = session.execute(REPORT, {"project_id": project.id, "run_id": run_id}).first()
    if found is None:
        raise RunNotFound(run_id)
    content, text = found
    if content is None and text is None:
        raise ReportExpired(run_id)
    return content if content is not None else gzip.compress(text.encode())


def find_summary(session: Session, query: Select[Any], values: Mapping[str, Any]) -> RunRead | None:
    """The one run of the project in `values` that the query selects, or None."""
    return next(iter(summaries(session, values["project_id"], session.execute(query, values).all())), None)


def summaries(session: Session, project_id: UUID, rows: Sequence[Row[Any]]) -> list[RunRead]:
    """The rows as answers, with the number of findings."""
    counts_by_run = count_findings(session, project_id, [row.id for row in rows if row.finding_counts is None])
    return [
        RunRead(**{**row._mapping, "finding_counts": Counts(**(row.finding_counts or counts_by_run[row.id]))})
        for row in rows
    ]


def count_findings(session: Session, project_id: UUID, run_ids: Sequence[UUID]) -> dict[UUID, dict[str, int]]:
    """By severity, for runs stored without these numbers, in one query."""
    counts_by_run: dict[UUID, dict[str, int]] = defaultdict(dict)
    if run_ids:
        rows = session.exec(
            select(RunFinding.run_id, RunFinding.severity, func.count())
            .where(
                RunFinding.project_id == project_id,
                col(RunFinding.run_id).in_(run_ids),
                col(RunFinding.allowed).is_(None),
            )
            .group_by(col(RunFinding.run_id), col(RunFinding.severity))
        )
        for run_id, severity, count in rows:
            counts_by_run[run_id][str(severity)] = count
    return counts_by_run


def page_of_findings(
    session: Session, project: Project, run_id: UUID, *, cursor: str | None, limit: int
) -> Page[FindingRead]:
    after = -1 if cursor is None else decode_cursor(cursor, POSITION)
    values = {"project_id": project.id, "run_id": run_id, "after": after, "at_most": limit + 1}
    return page_from([dict(row._mapping) for row in session.execute(FINDINGS, values)], limit)


def page_from(rows: Sequence[Mapping[str, Any]], limit: int) -> Page[FindingRead]:
    """One row more than the limit says that there is another page."""
    return Page(
        items=[FindingRead(**row) for row in rows[:limit]],
        next_cursor=encode_cursor(rows[limit - 1]["position"]) if len(rows) > limit else None,
    )
