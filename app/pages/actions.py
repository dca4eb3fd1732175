"""The forms of the pages: sign in and out, accept a finding, revoke what was issued, archive a project."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, datetime, time, timedelta
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Depends, Query, Request, Response
from pydantic import ValidationError
from sqlmodel import Session

from app.database import UTC, utcnow
from app.environments import waivers
from app.environments.schemas import WaiverCreate
from app.pages.access import Reader, RequestForm, Visit, anyone, project_page, read_form, sessions_of
from app.pages.errors import FormInvalid
from app.pages.rendering import PageRoute, page, path, redirect
from app.pages.sessions import COOKIE, LASTS_S
from app.projects import service as projects
from app.projects import tokens
from app.projects.access import Caller, RequestWorkers
from app.projects.errors import TokenUnknown
from app.projects.models import Scope

router = APIRouter(route_class=PageRoute, include_in_schema=False)

Administrator = Annotated[Caller[Visit], project_page(Scope.ADMIN)]


@router.get("/sign-in")
async def sign_in_page(
    request: Request,
    caller: Annotated[Caller[Reader], Depends(anyone)],
    target: Annotated[str, Query(alias="next", max_length=2_000)] = "/",
) -> Response:
    reader = await caller.ask(lambda _, found: found)
    return await page(request, "sign_in.html", reader, {"next": own_path(target), "wrong": False})


@router.post("/sign-in")
async def sign_in(request: Request, workers: RequestWorkers) -> Response:
    fields = await read_form(request)
    target = own_path(fields.get("next", "/"))
    try:
        token_id = await workers.run(lambda: _recognise(workers, fields.get("token", "").strip()))
    except TokenUnknown:
        return await page(request, "sign_in.html", Reader(None), {"next": target, "wrong": True}, TokenUnknown.status)
    response = redirect(target)
    response.set_cookie(
        COOKIE,
        sessions_of(request).cookie_for(token_id),
        max_age=LASTS_S,
        httponly=True,
        samesite="lax",
        secure=request.url.scheme == "https",
    )
    return response


def _recognise(workers: RequestWorkers, secret: str) -> UUID:
    with workers.transaction() as session:
        return tokens.recognise(session, secret)[0].id


def own_path(target: str) -> str:
    """A path of this site: a link must not lead a reader who signs in to another one."""
    is_own = target.startswith("/") and not target.startswith(("//", "/\\")) and target.isprintable()
    return target if is_own else "/"


@router.post("/sign-out")
async def sign_out(form: RequestForm) -> Response:
    response = redirect("/")
    response.delete_cookie(COOKIE, httponly=True, samesite="lax")
    return response


@router.post("/projects/{slug}/waivers")
async def accept_finding(caller: Administrator, slug: str, form: RequestForm) -> Response:
    new = waiver_of(form)
    await caller.ask(lambda session, visit: waivers.create_waiver(session, visit.project, new))
    return redirect(own_path(form.get("back") or path("projects", slug, "waivers")))


def waiver_of(form: Mapping[str, str]) -> WaiverCreate:
    """Raises FormInvalid."""
    try:
        return WaiverCreate(
            fingerprint=form.get("fingerprint", ""),
            environment=form.get("environment") or None,
            reason=form.get("reason", ""),
            ends_at=_end_of(form.get("ends_on", "")),
        )
    except ValidationError as error:
        field = str(error.errors()[0]["loc"][0])
        raise FormInvalid(
            f"The field {field.replace('_', ' ')} is empty, too long, or has invalid characters."
        ) from None


def _end_of(day: str) -> datetime:
    """The last moment of that day, in UTC. Raises FormInvalid."""
    try:
        ends_at = datetime.combine(date.fromisoformat(day), time.max, UTC)
    except ValueError:
        raise FormInvalid("Choose the day on which it ends, such as 2027-02-28.") from None
    if not utcnow() < ends_at < utcnow() + timedelta(days=3 * 366):
        raise FormInvalid("Choose a day of the next three years on which it ends.")
    return ends_at


@router.post("/projects/{slug}/waivers/{waiver_id}/revoke")
async def revoke_waiver(caller: Administrator, slug: str, waiver_id: UUID, form: RequestForm) -> Response:
    await caller.ask(lambda session, visit: waivers.revoke_waiver(session, visit.project, waiver_id))
    return redirect(path("projects", slug, "waivers"))


@router.post("/projects/{slug}/tokens/{token_id}/revoke")
async def revoke_token(caller: Administrator, slug: str, token_id: UUID, form: RequestForm) -> Response:
    def revoke(session: Session, visit: Visit) -> None:
        tokens.revoke_token(session, tokens.get_token(session, visit.project, token_id))

    await caller.ask(revoke)
    return redirect(path("projects", slug, "tokens"))


@router.post("/projects/{slug}/archive")
async def archive_project(caller: Administrator, slug: str, form: RequestForm) -> Response:
    await caller.ask(lambda session, visit: projects.archive_project(session, visit.project))
    return redirect(path("projects", slug))


@router.post("/projects/{slug}/restore")
async def restore_project(caller: Administrator, slug: str, form: RequestForm) -> Response:
    await caller.ask(lambda session, visit: projects.restore_project(session, visit.project))
    return redirect(path("projects", slug))
