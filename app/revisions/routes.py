"""/api/v1/projects/{slug}/revisions"""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Path, Query

from app.errors import documented
from app.pagination import Cursor, InvalidCursor, Limit, Page, RequestPaging
from app.projects.access import Caller, project_for
from app.projects.errors import ProjectNotFound, ScopeMissing
from app.projects.models import Project, Scope
from app.revisions import service
from app.revisions.errors import RevisionNotFound
from app.revisions.schemas import RevisionDetail, RevisionId, RevisionRead, Sha256

router = APIRouter(prefix="/projects/{slug}/revisions", tags=["revisions"])

Reader = Annotated[Caller[Project], project_for(Scope.READ)]
OF_A_PROJECT = (ProjectNotFound, ScopeMissing)


@router.get("", summary="List revisions", responses=documented(*OF_A_PROJECT, InvalidCursor))
async def list_revisions(
    caller: Reader,
    paging: RequestPaging,
    revision: Annotated[RevisionId | None, Query(description="Only the contents of this revision.")] = None,
    cursor: Cursor = None,
    limit: Limit = 50,
) -> Page[RevisionRead]:
    """Each content of each revision, with its proof: those that were seen last first."""
    return paging.link(await caller.ask(service.list_revisions, revision=revision, cursor=cursor, limit=limit))


@router.get("/{revision}/{sha256}", summary="Read a revision", responses=documented(*OF_A_PROJECT, RevisionNotFound))
async def read_revision(
    caller: Reader, revision: Annotated[RevisionId, Path()], sha256: Annotated[Sha256, Path()]
) -> RevisionDetail:
    """One content of a revision, with a proof for each schema on which it was applied."""
    return await caller.ask(service.read_revision, revision, sha256)
