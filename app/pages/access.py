"""Who looks at a page: a reader who signed in with an access token, or anyone, where a project is public."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any
from urllib.parse import parse_qsl, urlsplit

from fastapi import Depends, Request
from sqlmodel import Session, select

from app.environments.access import get_environment
from app.environments.models import Environment
from app.pages.errors import FormRefused, SignInNeeded
from app.pages.sessions import COOKIE, Sessions, SignedIn
from app.projects import tokens
from app.projects.access import Caller, ProjectSlug, RequestWorkers, allows
from app.projects.errors import ProjectNotFound, ScopeMissing
from app.projects.models import SLUG, ApiToken, Project, Scope
from app.workers import IsolationLevel

MOST_FIELDS = 20
PROJECT = select(Project).where(tokens.IS_PROJECT)


@dataclass(frozen=True)
class Reader:
    """Someone who looks at a page. Without a token: anyone."""

    token: ApiToken | None
    form_token: str = ""

    def may(self, scope: Scope, project: Project | None = None) -> bool:
        """Whether a button for it is shown; the action itself checks again."""
        if self.token is None or not allows(self.token, scope):
            return False
        return self.token.project_id is None or (project is not None and self.token.project_id == project.id)


@dataclass(frozen=True)
class Visit:
    """A reader at a project."""

    reader: Reader
    project: Project


@dataclass(frozen=True)
class EnvironmentVisit:
    """A reader at an environment of a project."""

    reader: Reader
    project: Project
    environment: Environment


def sessions_of(request: Request) -> Sessions:
    sessions: Sessions = request.app.state.sessions
    return sessions


async def signed_in_of_request(request: Request) -> SignedIn | None:
    return sessions_of(request).read(request.cookies.get(COOKIE))


RequestSignedIn = Annotated[SignedIn | None, Depends(signed_in_of_request)]


async def form_of_request(request: Request, signed_in: RequestSignedIn) -> Mapping[str, str]:
    """The fields of a form that a page of this session has sent. Raises FormRefused and SignInNeeded."""
    if signed_in is None:
        raise SignInNeeded
    fields = await read_form(request)
    if not sessions_of(request).is_form_token(signed_in, fields.get("form_token", "")):
        raise FormRefused
    return fields


async def read_form(request: Request) -> Mapping[str, str]:
    """The fields of a form that this site has sent. Raises FormRefused."""
    origin = request.headers.get("origin")
    if origin is not None and urlsplit(origin).netloc != request.headers.get("host"):
        raise FormRefused
    body = (await request.body()).decode("utf-8", "replace")
    try:
        return dict(parse_qsl(body, keep_blank_values=True, max_num_fields=MOST_FIELDS))
    except ValueError:
        raise FormRefused from None


RequestForm = Annotated[Mapping[str, str], Depends(form_of_request)]


def reader_in(
    session: Session, request: Request, signed_in: SignedIn | None, slug: str = ""
) -> tuple[Reader, Project | None]:
    """A token that was revoked or has expired leaves its reader signed out. With the project of that slug, if any."""
    known = tokens.recognise_by_id(session, signed_in.token_id, slug) if signed_in is not None else None
    if signed_in is None or known is None:
        return Reader(None), find_project(session, slug) if slug else None
    token, project = known
    return Reader(token, sessions_of(request).form_token(signed_in)), project


async def anyone(request: Request, workers: RequestWorkers, signed_in: RequestSignedIn) -> Caller[Reader]:
    return Caller(workers, lambda session: reader_in(session, request, signed_in)[0])


def project_page(scope: Scope = Scope.READ, isolation_level: IsolationLevel = "READ COMMITTED") -> Any:
    """The project in the path. `ask` raises SignInNeeded, ProjectNotFound and ScopeMissing."""

    async def caller(
        request: Request, workers: RequestWorkers, signed_in: RequestSignedIn, slug: ProjectSlug
    ) -> Caller[Visit]:
        def admit(session: Session) -> Visit:
            # An invalid slug names no project, and PostgreSQL accepts no NUL character.
            known = slug if re.fullmatch(SLUG, slug) else ""
            return visit(*reader_in(session, request, signed_in, known), slug, scope)

        return Caller(workers, admit, isolation_level)

    return Depends(caller)


def visit(reader: Reader, project: Project | None, slug: str, scope: Scope) -> Visit:
    """Whether a project exists is not visible to a reader without access to it."""
    token = reader.token
    if token is not None and project is not None and token.project_id in (None, project.id):
        if not allows(token, scope):
            raise ScopeMissing(scope, token.scope)
        return Visit(reader, project)
    if scope is Scope.READ and project is not None and project.public:
        return Visit(reader, project)
    if token is None:
        raise SignInNeeded
    raise ProjectNotFound(slug)


def find_project(session: Session, slug: str) -> Project | None:
    return session.execute(PROJECT, {"slug": slug}).scalar_one_or_none()


def environment_page(isolation_level: IsolationLevel = "READ COMMITTED") -> Any:
    """The environment in the path. `ask` raises also EnvironmentNotFound."""
    of_project = project_page(Scope.READ, isolation_level)

    async def caller(name: str, project_caller: Caller[Visit] = of_project) -> Caller[EnvironmentVisit]:
        def admit(session: Session) -> EnvironmentVisit:
            found = project_caller.admit(session)
            return EnvironmentVisit(found.reader, found.project, get_environment(session, found.project, name))

        return Caller(project_caller.workers, admit, isolation_level)

    return Depends(caller)
