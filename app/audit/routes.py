"""/api/v1/projects/{slug}/audit"""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter

from app.audit import service
from app.audit.schemas import AuditEntryRead
from app.errors import documented
from app.pagination import Cursor, InvalidCursor, Limit, Page, RequestPaging
from app.projects.access import Caller, project_for
from app.projects.errors import ProjectNotFound, ScopeMissing
from app.projects.models import Project, Scope

router = APIRouter(prefix="/projects/{slug}/audit", tags=["audit"])


@router.get("", summary="List changes", responses=documented(ProjectNotFound, ScopeMissing, InvalidCursor))
async def list_audit(
    caller: Annotated[Caller[Project], project_for(Scope.ADMIN)],
    paging: RequestPaging,
    cursor: Cursor = None,
    limit: Limit = 50,
) -> Page[AuditEntryRead]:
    """Who changed the project, its tokens, environments and waivers: the newest first. Entries never change."""
    page = await caller.ask(
        lambda session, project: service.list_entries(session, project.id, cursor=cursor, limit=limit)
    )
    return paging.link(page)
