"""/api/v1/projects/{slug}/runs"""

from __future__ import annotations

from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Depends, Query, Request, Response, status

from app.body_limit import BodyTooLarge
from app.errors import documented
from app.gate.report.verdict import Verdict
from app.pagination import Cursor, InvalidCursor, Limit, Page
from app.projects.access import RequestSession, project_for
from app.projects.errors import ProjectArchived, ProjectNotFound, ScopeMissing
from app.projects.models import Project, Scope
from app.runs import service
from app.runs.errors import ReportRefused, RunNotFound
from app.runs.posted import PostedReport, read_report
from app.runs.schemas import Commit, Fingerprint, RunDetail, RunRead

router = APIRouter(prefix="/projects/{slug}/runs", tags=["runs"])

ReadableProject = Annotated[Project, project_for(Scope.READ)]
OF_A_PROJECT = (ProjectNotFound, ScopeMissing)

EXAMPLE: dict[str, Any] = {
    "format": "overproof-report/1",
    "verdict": "fail",
    "tool": {"name": "overproof", "version": "0.1.0"},
    "target": {
        "command": ["alembic", "upgrade", "head"],
        "script_location": "migrations",
        "commit": "6dcb09b5b57875f334f61aebed695e2e4193db5e",
        "base": "origin/main",
    },
    "postgres": "18.6",
    "started_at": "2026-11-22T10:02:27Z",
    "duration_ms": 2345.6,
    "graph": {"heads": ["7b39e1f5a0c4"], "bases": ["4c1f6a0b92de"], "revisions": []},
    "checks": [{"id": "round-trip", "outcome": "fail", "duration_ms": 3.5}],
    "findings": [
        {
            "check": "round-trip",
            "severity": "error",
            "revision": "7b39e1f5a0c4",
            "object": "public.orders.ix_orders_placed_at",
            "message": "The downgrade leaves the index ix_orders_placed_at behind.",
            "path": "migrations/versions/7b39e1f5a0c4_find_orders_by_date.py",
            "line": 22,
            "fingerprint": "0c9e6f5d2b7a4413",
        }
    ],
}


async def body_of_request(request: Request) -> bytes:
    return await request.body()


@router.post(
    "",
    status_code=status.HTTP_201_CREATED,
    summary="Post a report",
    responses={
        200: {"description": "The same report was posted before. This is its run.", "model": RunRead},
        **documented(*OF_A_PROJECT, ProjectArchived, BodyTooLarge, ReportRefused),
    },
    openapi_extra={
        "requestBody": {
            "required": True,
            "content": {
                "application/json": {"schema": {"$ref": "#/components/schemas/PostedReport"}, "example": EXAMPLE}
            },
        }
    },
)
def post_report(
    project: Annotated[Project, project_for(Scope.REPORT)],
    body: Annotated[bytes, Depends(body_of_request)],
    session: RequestSession,
    response: Response,
) -> RunRead:
    """What `overproof verify --submit` does. The same report posted twice is one run: 201, and then 200.

    The body is read here, in a thread of its own and after the token was looked at, and not by the framework: it may
    have megabytes, and nobody else should wait while it is taken apart.
    """
    run, is_new = service.record_run(session, project, read_report(body))
    response.headers["Location"] = f"/api/v1/projects/{project.slug}/runs/{run.id}"
    if not is_new:
        response.status_code = status.HTTP_200_OK
    return service.summaries(session, [run])[0]


@router.get("", summary="List runs", responses=documented(*OF_A_PROJECT, InvalidCursor))
def list_runs(
    project: ReadableProject,
    session: RequestSession,
    verdict: Verdict | None = None,
    commit: Annotated[Commit | None, Query(description="In full, as it was reported.")] = None,
    fingerprint: Annotated[Fingerprint | None, Query(description="Of a finding that they must have.")] = None,
    cursor: Cursor = None,
    limit: Limit = 50,
) -> Page[RunRead]:
    """The newest first."""
    return service.list_runs(
        session, project, verdict=verdict, commit=commit, fingerprint=fingerprint, cursor=cursor, limit=limit
    )


@router.get("/{run_id}", summary="Read a run", responses=documented(*OF_A_PROJECT, RunNotFound))
def read_run(project: ReadableProject, run_id: UUID, session: RequestSession) -> RunDetail:
    """With its checks and its findings."""
    return service.detail(session, service.get_run(session, project, run_id))


@router.get(
    "/{run_id}/report",
    summary="Read the whole report",
    response_class=Response,
    responses={
        200: {"content": {"application/json": {"schema": {"$ref": "#/components/schemas/PostedReport"}}}},
        **documented(*OF_A_PROJECT, RunNotFound),
    },
)
def read_report_of_run(project: ReadableProject, run_id: UUID, session: RequestSession) -> Response:
    """As it was posted: every step with its statements and locks, and the schema at head."""
    run = service.get_run(session, project, run_id)
    return Response(service.report_text(session, run), media_type="application/json")


MODELS_OF_BODIES = (PostedReport,)  # for the OpenAPI page, which cannot see them in the signatures
