"""Create, change, list and archive projects."""

from __future__ import annotations

from pydantic import TypeAdapter
from sqlalchemy.exc import IntegrityError
from sqlmodel import Session, col, select

from app.audit import service as audit
from app.database import utcnow
from app.pagination import Page, decode_cursor, encode_cursor
from app.projects.errors import ProjectArchived, ProjectNotArchived, SlugTaken
from app.projects.models import ApiToken, Project
from app.projects.schemas import ProjectChange, ProjectCreate, ProjectRead, Slug


def create_project(session: Session, new: ProjectCreate) -> Project:
    """Raises SlugTaken."""
    project = _store(session, Project(slug=new.slug, name=new.name, repository=new.repository))
    audit.note(session, project.id, "project.create", project.slug)
    return project


def change_project(session: Session, project: Project, change: ProjectChange) -> Project:
    """Raises SlugTaken."""
    fields = change.model_dump(exclude_unset=True)
    before = {field: getattr(project, field) for field in fields}
    for field, value in fields.items():
        setattr(project, field, value)
    _store(session, project)
    if fields != before:
        audit.note(session, project.id, "project.change", project.slug, before=before, after=fields)
    return project


def _store(session: Session, project: Project) -> Project:
    slug = project.slug
    try:
        with session.begin_nested():
            session.add(project)
    except IntegrityError as error:  # the only constraint that a caller can violate is that of the slug
        raise SlugTaken(slug) from error
    return project


def list_projects(
    session: Session,
    token: ApiToken | None,
    *,
    archived: bool | None,
    cursor: str | None,
    limit: int,
    search: str | None = None,
) -> Page[ProjectRead]:
    """Those that the token has access to, sorted by slug; without one, those that are public.

    `search`: a part of their slug or name.
    """
    query = select(Project).where(col(Project.purged_at).is_(None)).order_by(Project.slug).limit(limit + 1)
    if search is not None:
        query = query.where(
            col(Project.slug).icontains(search, autoescape=True) | col(Project.name).icontains(search, autoescape=True)
        )
    if token is None:
        query = query.where(col(Project.public))
    elif token.project_id is not None:
        query = query.where(Project.id == token.project_id)
    if archived is not None:
        is_archived = col(Project.archived_at).is_not(None)
        query = query.where(is_archived if archived else ~is_archived)
    if cursor:
        query = query.where(Project.slug > decode_cursor(cursor, TypeAdapter(Slug)))
    projects = session.exec(query).all()
    return Page(
        items=[ProjectRead.model_validate(project) for project in projects[:limit]],
        next_cursor=encode_cursor(projects[limit - 1].slug) if len(projects) > limit else None,
    )


def archive_project(session: Session, project: Project) -> Project:
    """Makes it read-only. Archiving it again changes nothing."""
    if project.archived_at is None:
        project.archived_at = utcnow()
        audit.note(session, project.id, "project.archive", project.slug)
    return _store(session, project)


def restore_project(session: Session, project: Project) -> Project:
    if project.archived_at is not None:
        project.archived_at = None
        audit.note(session, project.id, "project.restore", project.slug)
    return _store(session, project)


def purge_project(session: Session, project: Project) -> None:
    """From now on no request sees it, and its slug is free. Raises ProjectNotArchived."""
    if project.archived_at is None:
        raise ProjectNotArchived(project.slug)
    audit.note(session, project.id, "project.purge", project.slug)
    audit.note(session, None, "project.purge", project.slug, id=str(project.id))
    project.slug = f"purged-{project.id}"
    project.purged_at = utcnow()
    _store(session, project)


def require_open(project: Project) -> None:
    """Raises ProjectArchived."""
    if project.archived_at is not None:
        raise ProjectArchived(project.slug)
