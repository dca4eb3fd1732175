"""/api/v1/projects, and the tokens of a project."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Depends, Response, status
from sqlmodel import Session

from app.conventions import OF_A_BODY, IfMatch, VersionOutdated, etag_of, require_version
from app.errors import documented
from app.pagination import Cursor, InvalidCursor, Limit, Page, RequestPaging
from app.projects import service, tokens
from app.projects.access import Caller, anyone, instance_admin, project_for
from app.projects.errors import (
    InstanceAdminNeeded,
    ProjectNotArchived,
    ProjectNotFound,
    ScopeMissing,
    SlugTaken,
    TokenNotFound,
)
from app.projects.models import ApiToken, Project, Scope
from app.projects.schemas import (
    ProjectChange,
    ProjectCreate,
    ProjectRead,
    TokenCreate,
    TokenIssued,
    TokenRead,
)

router = APIRouter(prefix="/projects")

Anyone = Annotated[Caller[ApiToken], Depends(anyone)]
InstanceAdmin = Annotated[Caller[ApiToken], Depends(instance_admin)]
ProjectReader = Annotated[Caller[Project], project_for(Scope.READ)]
ProjectAdmin = Annotated[Caller[Project], project_for(Scope.ADMIN)]
OF_A_PROJECT = (ProjectNotFound, ScopeMissing)


@router.post(
    "",
    status_code=status.HTTP_201_CREATED,
    tags=["projects"],
    summary="Create a project",
    responses=documented(InstanceAdminNeeded, SlugTaken, *OF_A_BODY),
)
async def create_project(new: ProjectCreate, caller: InstanceAdmin, response: Response) -> ProjectRead:
    def create(session: Session, _: ApiToken) -> ProjectRead:
        return ProjectRead.model_validate(service.create_project(session, new))

    project = await caller.ask(create)
    response.headers["Location"] = f"/api/v1/projects/{project.slug}"
    return project


@router.get("", tags=["projects"], summary="List projects", responses=documented(InvalidCursor))
async def list_projects(
    caller: Anyone, paging: RequestPaging, cursor: Cursor = None, limit: Limit = 50, archived: bool | None = None
) -> Page[ProjectRead]:
    """Sorted by slug. An administrator of the installation sees all projects; any other token sees its own."""
    return paging.link(await caller.ask(service.list_projects, archived=archived, cursor=cursor, limit=limit))


@router.get("/{slug}", tags=["projects"], summary="Read a project", responses=documented(*OF_A_PROJECT))
async def read_project(caller: ProjectReader, response: Response) -> ProjectRead:
    """Its `ETag` names this version; sent as `If-Match`, it keeps a change from overwriting another one."""
    return tagged(response, await caller.ask(lambda _, project: ProjectRead.model_validate(project)))


def tagged(response: Response, project: ProjectRead) -> ProjectRead:
    response.headers["ETag"] = etag_of(project)
    return project


def require_unchanged(session: Session, project: Project, if_match: str | None) -> None:
    """Raises VersionOutdated. Locks the project, so that no other request changes it before this one is committed."""
    if if_match is not None:
        session.refresh(project, with_for_update=True)
        require_version(ProjectRead.model_validate(project), if_match)


@router.patch(
    "/{slug}",
    tags=["projects"],
    summary="Change a project",
    responses=documented(*OF_A_PROJECT, InstanceAdminNeeded, SlugTaken, VersionOutdated, *OF_A_BODY),
)
async def change_project(
    caller: ProjectAdmin,
    administrator: InstanceAdmin,
    change: ProjectChange,
    response: Response,
    if_match: IfMatch = None,
) -> ProjectRead:
    """Omitted fields keep their values. Only an administrator of the installation may change the slug, because the
    answer shows whether another project has it."""

    def apply(session: Session, project: Project) -> ProjectRead:
        require_unchanged(session, project, if_match)
        if "slug" in change.model_fields_set and change.slug != project.slug:
            administrator.admit(session)
        return ProjectRead.model_validate(service.change_project(session, project, change))

    return tagged(response, await caller.ask(apply))


@router.post("/{slug}/archive", tags=["projects"], summary="Archive a project", responses=documented(*OF_A_PROJECT))
async def archive_project(caller: ProjectAdmin, response: Response) -> ProjectRead:
    """An archived project can still be read, but accepts no new runs. Archiving it again changes nothing."""
    project = await caller.ask(lambda *asked: ProjectRead.model_validate(service.archive_project(*asked)))
    return tagged(response, project)


@router.post("/{slug}/restore", tags=["projects"], summary="Restore a project", responses=documented(*OF_A_PROJECT))
async def restore_project(caller: ProjectAdmin, response: Response) -> ProjectRead:
    """Makes an archived project accept runs again."""
    project = await caller.ask(lambda *asked: ProjectRead.model_validate(service.restore_project(*asked)))
    return tagged(response, project)


@router.delete(
    "/{slug}",
    status_code=status.HTTP_204_NO_CONTENT,
    tags=["projects"],
    summary="Purge a project",
    responses=documented(*OF_A_PROJECT, InstanceAdminNeeded, ProjectNotArchived),
)
async def purge_project(caller: ProjectAdmin, administrator: InstanceAdmin) -> None:
    """For ever, with its runs, proofs and decisions; only its audit is kept. It must be archived.

    No request sees it any more from now on, and `overproof prune` deletes its rows."""

    def purge(session: Session, project: Project) -> None:
        administrator.admit(session)
        service.purge_project(session, project)

    await caller.ask(purge)


@router.post(
    "/{slug}/tokens",
    status_code=status.HTTP_201_CREATED,
    tags=["tokens"],
    summary="Issue a token",
    responses=documented(*OF_A_PROJECT, *OF_A_BODY),
)
async def issue_token(caller: ProjectAdmin, new: TokenCreate, response: Response) -> TokenIssued:
    """The answer contains the secret, which is shown only once: the service stores only its digest."""

    def issue(session: Session, project: Project) -> TokenIssued:
        token, secret = tokens.issue_token(session, project, new)
        return TokenIssued(**TokenRead.model_validate(token).model_dump(), token=secret)

    response.headers["Cache-Control"] = "no-store"
    return await caller.ask(issue)


@router.get(
    "/{slug}/tokens", tags=["tokens"], summary="List tokens", responses=documented(*OF_A_PROJECT, InvalidCursor)
)
async def list_tokens(
    caller: ProjectAdmin, paging: RequestPaging, cursor: Cursor = None, limit: Limit = 50
) -> Page[TokenRead]:
    """The oldest first, including revoked ones."""
    return paging.link(await caller.ask(tokens.list_tokens, cursor=cursor, limit=limit))


@router.delete(
    "/{slug}/tokens/{token_id}",
    status_code=status.HTTP_204_NO_CONTENT,
    tags=["tokens"],
    summary="Revoke a token",
    responses=documented(*OF_A_PROJECT, TokenNotFound),
)
async def revoke_token(caller: ProjectAdmin, token_id: UUID) -> None:
    """Takes effect with the next request. Revoking it again changes nothing."""

    def revoke(session: Session, project: Project) -> None:
        tokens.revoke_token(session, tokens.get_token(session, project, token_id))

    await caller.ask(revoke)
