"""Who is asking, and what they may: the dependencies with which a route says which token it takes.

    def read_run(project: Annotated[Project, project_for(Scope.READ)]) -> …

A project that the token may not know of is answered as one that is not there, before the scope is looked at.
"""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import Depends, Path
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from sqlmodel import Session

from app.database import session_for_request
from app.projects import tokens
from app.projects.errors import InstanceAdminNeeded, ScopeMissing, TokenMissing
from app.projects.models import ApiToken, Project, Scope
from app.projects.service import get_project

RequestSession = Annotated[Session, Depends(session_for_request, scope="function")]

bearer = HTTPBearer(
    scheme_name="token", description="A token of the project, or of the installation: `ovp_…`", auto_error=False
)


def token_of_request(
    session: RequestSession, shown: Annotated[HTTPAuthorizationCredentials | None, Depends(bearer)]
) -> ApiToken:
    """Raises TokenMissing and TokenUnknown."""
    if shown is None or not shown.credentials:
        raise TokenMissing
    token = tokens.recognise(session, shown.credentials)
    tokens.note_use(session, token)
    return token


RequestToken = Annotated[ApiToken, Depends(token_of_request)]
ProjectSlug = Annotated[str, Path(description="Of the project.", examples=["shop"])]


def allows(token: ApiToken, scope: Scope) -> bool:
    return scope is Scope.READ or token.scope in (scope, Scope.ADMIN)


def project_for(scope: Scope) -> Any:
    """The project of the path, for a token with this scope. Raises ProjectNotFound and ScopeMissing."""

    def project_of_path(session: RequestSession, token: RequestToken, slug: ProjectSlug) -> Project:
        project = get_project(session, slug, token)
        if not allows(token, scope):
            raise ScopeMissing(scope, token.scope)
        return project

    return Depends(project_of_path)


def token_of_instance_admin(token: RequestToken) -> ApiToken:
    """Raises InstanceAdminNeeded."""
    if token.project_id is not None:  # the database holds that a token without a project is an administrator's
        raise InstanceAdminNeeded
    return token
