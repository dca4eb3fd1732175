"""The pages."""

from __future__ import annotations

from http import HTTPStatus
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Depends, Path, Query, Request, Response
from fastapi.responses import HTMLResponse

from app.gate.checks.pages import page_of
from app.gate.checks.registry import CHECKS, UnknownCheck, get_check
from app.gate.report.verdict import Severity, Verdict
from app.pages import contents, run_contents
from app.pages.access import EnvironmentVisit, Reader, Visit, anyone, environment_page, project_page
from app.pages.rendering import HEADERS, POLICY_OF_DOCS, PageRoute, page, refused, static_files, templates
from app.projects.access import Caller
from app.projects.models import Scope

router = APIRouter(route_class=PageRoute, include_in_schema=False, default_response_class=HTMLResponse)

Anyone = Annotated[Caller[Reader], Depends(anyone)]
Visitor = Annotated[Caller[Visit], project_page()]
Administrator = Annotated[Caller[Visit], project_page(Scope.ADMIN)]
EnvironmentVisitor = Annotated[Caller[EnvironmentVisit], environment_page("REPEATABLE READ")]
Search = Annotated[str, Query(max_length=200, pattern=r"^[^\u0000]*$")]
FindingFingerprint = Annotated[str, Query(max_length=128, pattern=r"^[^\u0000]*$")]
PageCursor = Annotated[str | None, Query(max_length=500)]


@router.get("/")
async def projects_page(request: Request, caller: Anyone, search: Search = "", cursor: PageCursor = None) -> Response:
    context = await caller.ask(contents.list_of_projects, search=search.strip(), cursor=cursor)
    return await page(request, "projects.html", context["reader"], context)


@router.get("/projects/{slug}")
async def project_page_of(request: Request, caller: Visitor) -> Response:
    context = await caller.ask(contents.project)
    return await page(request, "project.html", context["reader"], context)


@router.get("/projects/{slug}/runs")
async def runs_page(
    request: Request,
    caller: Visitor,
    verdict: str = "",
    commit: str = "",
    fingerprint: FindingFingerprint = "",
    cursor: PageCursor = None,
) -> Response:
    """Filters that name nothing are those of a form that was left blank."""
    chosen = Verdict(verdict) if verdict in list(Verdict) else None
    context = await caller.ask(
        contents.list_of_runs,
        verdict=chosen,
        commit=commit.strip() or None,
        fingerprint=fingerprint or None,
        cursor=cursor,
    )
    return await page(request, "runs.html", context["reader"], context)


@router.get("/projects/{slug}/runs/{run_id}")
async def run_page(
    request: Request,
    caller: Visitor,
    run_id: UUID,
    first: Annotated[int, Query(ge=0, le=1_000_000)] = 0,
    severity: str = "",
    search: Search = "",
) -> Response:
    chosen = Severity(severity) if severity in list(Severity) else None
    context = await caller.workers.run_alone(
        lambda: caller.transact(run_contents.run, run_id, first=first, severity=chosen, search=search.strip())
    )
    return await page(request, "run.html", context["reader"], context)


@router.get("/projects/{slug}/revisions")
async def graph_page(request: Request, caller: Visitor) -> Response:
    context = await caller.workers.run_alone(lambda: caller.transact(contents.graph))
    return await page(request, "graph.html", context["reader"], context)


@router.get("/projects/{slug}/environments/{name}")
async def environment_page_of(request: Request, caller: EnvironmentVisitor) -> Response:
    context = await caller.workers.run_alone(lambda: caller.transact(contents.environment))
    return await page(request, "environment.html", context["reader"], context)


@router.get("/projects/{slug}/waivers")
async def waivers_page(request: Request, caller: Visitor, cursor: PageCursor = None) -> Response:
    context = await caller.ask(contents.list_of_waivers, cursor=cursor)
    return await page(request, "waivers.html", context["reader"], context)


@router.get("/projects/{slug}/audit")
async def audit_page(request: Request, caller: Visitor, cursor: PageCursor = None) -> Response:
    context = await caller.ask(contents.list_of_audit, cursor=cursor)
    return await page(request, "audit.html", context["reader"], context)


@router.get("/projects/{slug}/tokens")
async def tokens_page(request: Request, caller: Administrator, cursor: PageCursor = None) -> Response:
    context = await caller.ask(contents.list_of_tokens, cursor=cursor)
    return await page(request, "tokens.html", context["reader"], context)


@router.get("/checks")
async def checks_page(request: Request, caller: Anyone) -> Response:
    reader = await caller.ask(_reader)
    checks = [(check, page_of(check)) for check in CHECKS]
    return await page(request, "checks.html", reader, {"checks": checks})


@router.get("/checks/{check}")
async def check_page(request: Request, caller: Anyone, check: Annotated[str, Path(max_length=63)]) -> Response:
    reader = await caller.ask(_reader)
    try:
        found = get_check(check)
    except UnknownCheck:
        return await refused(request, HTTPStatus.NOT_FOUND, "There is no check of that name.")
    return await page(request, "check.html", reader, {"check": found, "text": page_of(found)})


def _reader(_: object, reader: Reader) -> Reader:
    return reader


@router.get("/docs")
async def api_page() -> Response:
    """Swagger UI, from this server."""
    headers = {**HEADERS, "Content-Security-Policy": POLICY_OF_DOCS}
    return HTMLResponse(templates().get_template("docs.html").render(), headers=headers)


@router.get("/static/{name}")
async def static_file(request: Request, name: str) -> Response:
    file = static_files().get(name)
    if file is None:
        return await refused(request, HTTPStatus.NOT_FOUND, "There is no such file.")
    headers = {"Cache-Control": "public, max-age=31536000, immutable", "X-Content-Type-Options": "nosniff"}
    return Response(file.content, media_type=file.media_type, headers=headers)
