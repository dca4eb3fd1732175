"""/api/v1/projects/{slug}/changes and …/forks"""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Path
from pydantic import BaseModel

from app.changes import service
from app.changes.errors import ChangeNotFound
from app.changes.models import ChangeState
from app.changes.schemas import ChangeId, ChangeRead, Fork
from app.errors import documented
from app.pagination import Cursor, InvalidCursor, Limit, Page, RequestPaging
from app.projects.access import Caller, project_for
from app.projects.errors import ProjectArchived, ProjectNotFound, ScopeMissing
from app.projects.models import Project, Scope

router = APIRouter(prefix="/projects/{slug}", tags=["changes"])

Reader = Annotated[Caller[Project], project_for(Scope.READ)]
Reporter = Annotated[Caller[Project], project_for(Scope.REPORT)]
OF_A_PROJECT = (ProjectNotFound, ScopeMissing)
ChangePath = Annotated[ChangeId, Path(description="The number of the pull request.", examples=["42"])]


class Forks(BaseModel):
    forks: list[Fork]


@router.get("/forks", summary="Find forks", responses=documented(*OF_A_PROJECT))
async def list_forks(caller: Reader) -> Forks:
    """Open changes that add revisions on one parent, or on one that is no head any more: at most 20 forks."""
    return Forks(forks=await caller.ask(lambda session, project: service.list_forks(session, project.id)))


@router.get("/changes", summary="List changes", responses=documented(*OF_A_PROJECT, InvalidCursor))
async def list_changes(
    caller: Reader,
    paging: RequestPaging,
    state: ChangeState = ChangeState.OPEN,
    cursor: Cursor = None,
    limit: Limit = 50,
) -> Page[ChangeRead]:
    """Open pull requests, or those in another state, with the revisions that each adds: the newest first."""
    return paging.link(await caller.ask(service.list_changes, state=state, cursor=cursor, limit=limit))


@router.get("/changes/{change_id}", summary="Read a change", responses=documented(*OF_A_PROJECT, ChangeNotFound))
async def read_change(caller: Reader, change_id: ChangePath) -> ChangeRead:
    return await caller.ask(service.read_change, change_id)


@router.post(
    "/changes/{change_id}/close",
    summary="Close a change",
    responses=documented(*OF_A_PROJECT, ChangeNotFound, ProjectArchived),
)
async def close_change(caller: Reporter, change_id: ChangePath) -> ChangeRead:
    """For a pull request that was closed without a merge. The next report about it opens it again."""
    return await caller.ask(service.close_change, change_id)
