"""/api/v1/projects, and the tokens of a project."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Depends, Response, status

from app.errors import documented
from app.pagination import Cursor, InvalidCursor, Limit, Page
from app.projects import service, tokens
from app.projects.access import RequestSession, RequestToken, project_for, token_of_instance_admin
from app.projects.errors import InstanceAdminNeeded, ProjectNotFound, ScopeMissing, SlugTaken, TokenNotFound
from app.projects.models import Project, Scope
from app.projects.schemas import (
    ProjectChange,
    ProjectCreate,
    ProjectRead,
    TokenCreate,
    TokenIssued,
    TokenRead,
)

router = APIRouter(prefix="/projects")

AdministeredProject = Annotated[Project, project_for(Scope.ADMIN)]
OF_A_PROJECT = (ProjectNotFound, ScopeMissing)


@router.post(
    "",
    status_code=status.HTTP_201_CREATED,
    tags=["projects"],
    summary="Create a project",
    dependencies=[Depends(token_of_instance_admin)],
    responses=documented(InstanceAdminNeeded, SlugTaken),
)
def create_project(new: ProjectCreate, session: RequestSession, response: Response) -> ProjectRead:
    project = service.create_project(session, new)
    response.headers["Location"] = f"/api/v1/projects/{project.slug}"
    return ProjectRead.model_validate(project)


@router.get("", tags=["projects"], summary="List projects", responses=documented(InvalidCursor))
def list_projects(
    session: RequestSession,
    token: RequestToken,
    cursor: Cursor = None,
    limit: Limit = 50,
    archived: bool | None = None,
) -> Page[ProjectRead]:
    """All of them for an administrator of the installation, else the one that the token belongs to. By slug."""
    return service.list_projects(session, token, archived=archived, cursor=cursor, limit=limit)


@router.get("/{slug}", tags=["projects"], summary="Read a project", responses=documented(*OF_A_PROJECT))
def read_project(project: Annotated[Project, project_for(Scope.READ)]) -> ProjectRead:
    return ProjectRead.model_validate(project)


@router.patch(
    "/{slug}",
    tags=["projects"],
    summary="Rename a project, or say where its repository is",
    responses=documented(*OF_A_PROJECT, SlugTaken),
)
def change_project(project: AdministeredProject, change: ProjectChange, session: RequestSession) -> ProjectRead:
    return ProjectRead.model_validate(service.change_project(session, project, change))


@router.post("/{slug}/archive", tags=["projects"], summary="Archive a project", responses=documented(*OF_A_PROJECT))
def archive_project(project: AdministeredProject, session: RequestSession) -> ProjectRead:
    """It can be read as before, and takes no new runs. Archiving it again changes nothing."""
    return ProjectRead.model_validate(service.archive_project(session, project))


@router.post("/{slug}/restore", tags=["projects"], summary="Take a project back", responses=documented(*OF_A_PROJECT))
def restore_project(project: AdministeredProject, session: RequestSession) -> ProjectRead:
    """The opposite of archiving it."""
    return ProjectRead.model_validate(service.restore_project(session, project))


@router.post(
    "/{slug}/tokens",
    status_code=status.HTTP_201_CREATED,
    tags=["tokens"],
    summary="Issue a token",
    responses=documented(*OF_A_PROJECT),
)
def issue_token(
    project: AdministeredProject, new: TokenCreate, session: RequestSession, response: Response
) -> TokenIssued:
    """The answer holds the secret, this once. Only its digest is kept."""
    token, secret = tokens.issue_token(session, project, new)
    response.headers["Cache-Control"] = "no-store"
    return TokenIssued(**TokenRead.model_validate(token).model_dump(), token=secret)


@router.get(
    "/{slug}/tokens", tags=["tokens"], summary="List tokens", responses=documented(*OF_A_PROJECT, InvalidCursor)
)
def list_tokens(
    project: AdministeredProject, session: RequestSession, cursor: Cursor = None, limit: Limit = 50
) -> Page[TokenRead]:
    """The oldest first, and those that were revoked too."""
    return tokens.list_tokens(session, project, cursor=cursor, limit=limit)


@router.delete(
    "/{slug}/tokens/{token_id}",
    status_code=status.HTTP_204_NO_CONTENT,
    tags=["tokens"],
    summary="Revoke a token",
    responses=documented(*OF_A_PROJECT, TokenNotFound),
)
def revoke_token(project: AdministeredProject, token_id: UUID, session: RequestSession) -> None:
    """From the next request on it opens nothing. Revoking it again changes nothing."""
    tokens.revoke_token(session, tokens.get_token(session, project, token_id))
