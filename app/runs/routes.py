"""/api/v1/projects/{slug}/runs"""

from __future__ import annotations

import gzip
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Query, Request, Response, status

from app.body_limit import TooManyBodies
from app.changes.schemas import ChangeId
from app.conventions import OF_A_BODY
from app.errors import documented
from app.gate.report.verdict import Verdict
from app.large_answers import LargeAnswer, Sending, accepts_gzip
from app.pagination import Cursor, InvalidCursor, Limit, Page, RequestPaging
from app.projects.access import Caller, ProjectSlug, RequestWorkers, project_for
from app.projects.errors import ProjectArchived, ProjectNotFound, ScopeMissing
from app.projects.models import Project, Scope
from app.projects.schemas import Link
from app.runs import service
from app.runs.badge import read_badge
from app.runs.errors import ReportExpired, ReportRefused, RunNotFound
from app.runs.posted import PostedReport, read_report
from app.runs.recording import Recorded, record_run
from app.runs.schemas import (
    Branch,
    Commit,
    FindingRead,
    Fingerprint,
    RunContext,
    RunDetail,
    RunPosted,
    RunRead,
)

router = APIRouter(prefix="/projects/{slug}/runs", tags=["runs"])
badge_router = APIRouter(prefix="/projects/{slug}", tags=["projects"])

Reader = Annotated[Caller[Project], project_for(Scope.READ)]
Reporter = Annotated[Caller[Project], project_for(Scope.REPORT)]
OF_A_PROJECT = (ProjectNotFound, ScopeMissing)
LARGE_BYTES = 1024 * 1024  # of reports that are parsed one at a time

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
            "subject": "not-restored index ix_orders_placed_at",
            "message": "The downgrade leaves the index ix_orders_placed_at behind.",
            "path": "migrations/versions/7b39e1f5a0c4_find_orders_by_date.py",
            "line": 22,
            "fingerprint": "0c9e6f5d2b7a4413",
        }
    ],
}


@router.post(
    "",
    status_code=status.HTTP_201_CREATED,
    summary="Post a report",
    responses={
        200: {"description": "The same report was posted before. The answer is its run.", "model": RunPosted},
        **documented(*OF_A_PROJECT, ProjectArchived, ReportRefused, TooManyBodies, *OF_A_BODY),
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
async def post_report(
    caller: Reporter,
    slug: str,
    request: Request,
    response: Response,
    head_sha: Annotated[Commit | None, Query(description="The commit at the head of the branch.")] = None,
    branch: Annotated[Branch | None, Query(description="The branch that was verified.")] = None,
    change: Annotated[ChangeId | None, Query(description="The number of its pull request.")] = None,
    base_sha: Annotated[Commit | None, Query(description="The commit with which the pull request is compared.")] = None,
    ci_url: Annotated[Link | None, Query(description="The page of the CI job.")] = None,
) -> RunPosted:
    """Stores a JSON report of `overproof verify`, with its context in the parameters.

    Posting the same report again answers 200 with the existing run, whose context does not change."""
    # The framework would read the body, which may have megabytes, before the token is checked.
    await caller.authenticate()
    context = RunContext(head_sha, branch, change, base_sha, ci_url)
    pieces = [piece async for piece in request.stream()]

    def record() -> Recorded:
        return caller.transact(record_run, read_report(pieces), context)

    is_large = sum(map(len, pieces)) > LARGE_BYTES
    run, is_new = await (caller.workers.run_alone if is_large else caller.workers.run)(record)
    response.headers["Location"] = f"/api/v1/projects/{slug}/runs/{run.id}"
    if not is_new:
        response.status_code = status.HTTP_200_OK
    return run


@router.get("", summary="List runs", responses=documented(*OF_A_PROJECT, InvalidCursor))
async def list_runs(
    caller: Reader,
    paging: RequestPaging,
    verdict: Verdict | None = None,
    commit: Annotated[Commit | None, Query(description="The full SHA, as in the report.")] = None,
    fingerprint: Annotated[Fingerprint | None, Query(description="Only runs that have a finding with it.")] = None,
    cursor: Cursor = None,
    limit: Limit = 50,
) -> Page[RunRead]:
    """The newest first."""
    page = await caller.ask(
        service.list_runs, verdict=verdict, commit=commit, fingerprint=fingerprint, cursor=cursor, limit=limit
    )
    return paging.link(page)


@router.get("/{run_id}", summary="Read a run", responses=documented(*OF_A_PROJECT, RunNotFound))
async def read_run(caller: Reader, run_id: UUID) -> RunDetail:
    """Includes its checks and the first page of its findings."""
    return await caller.ask(service.read_run, run_id)


@router.get(
    "/{run_id}/findings", summary="List the findings of a run", responses=documented(*OF_A_PROJECT, RunNotFound)
)
async def list_findings(
    caller: Reader, run_id: UUID, paging: RequestPaging, cursor: Cursor = None, limit: Limit = 50
) -> Page[FindingRead]:
    """In the order of the report."""
    return paging.link(await caller.ask(service.list_findings, run_id, cursor=cursor, limit=limit))


@router.get(
    "/{run_id}/report",
    summary="Read the whole report",
    response_class=Response,
    responses={
        200: {"content": {"application/json": {"schema": {"$ref": "#/components/schemas/PostedReport"}}}},
        **documented(*OF_A_PROJECT, RunNotFound, ReportExpired),
    },
)
async def read_report_of_run(caller: Reader, run_id: UUID, request: Request) -> Response:
    """Byte for byte as it was posted, with the statements and locks of every step, and the schema at head."""
    sending: Sending = request.app.state.sending
    as_stored = accepts_gzip(request.headers)

    def read() -> bytes:
        sending.require_room()
        content = caller.transact(service.read_report, run_id)
        return content if as_stored else gzip.decompress(content)

    headers = {"Vary": "Accept-Encoding"} | ({"Content-Encoding": "gzip"} if as_stored else {})
    return LargeAnswer(await caller.workers.run_alone(read), sending, headers)


class Svg(Response):
    media_type = "image/svg+xml"


@badge_router.get(
    "/badge.svg",
    summary="Read the badge",
    response_class=Svg,
    responses=documented(ProjectNotFound),
)
async def read_badge_of_project(slug: ProjectSlug, workers: RequestWorkers) -> Response:
    """The verdict of the newest trusted run of a branch, as an image. Without a token, if the project allows that."""

    def read() -> str:
        with workers.transaction() as session:
            return read_badge(session, slug)

    return Svg(await workers.run(read), headers={"Cache-Control": "no-cache"})


MODELS_OF_BODIES = (PostedReport,)  # for the OpenAPI document: the signatures of the routes do not name them
