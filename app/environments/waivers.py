"""Waivers: findings that are accepted until some day."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from uuid import UUID

from sqlalchemy import bindparam, func, or_, tuple_
from sqlmodel import Session, col, select

from app.audit import service as audit
from app.database import utcnow
from app.environments.errors import WaiverNotFound
from app.environments.models import Environment, Waiver
from app.environments.schemas import WaiverCreate, WaiverRead
from app.pagination import TIME_AND_ID, Page, decode_cursor, encode_cursor
from app.projects.models import Project
from app.projects.service import require_open

KEY = tuple_(Waiver.created_at, Waiver.id)
HOLDS = col(Waiver.revoked_at).is_(None) & (col(Waiver.ends_at) > func.now())
OF_FINDINGS = (
    select(Waiver)
    .where(
        col(Waiver.project_id) == bindparam("project_id"),
        col(Waiver.fingerprint).in_(bindparam("fingerprints", expanding=True)),
        HOLDS,
    )
    .order_by(KEY)
)


def create_waiver(session: Session, project: Project, new: WaiverCreate) -> WaiverRead:
    """Raises ProjectArchived."""
    require_open(project)
    waiver = Waiver(project_id=project.id, created_by=audit.actor_of(session).name, **new.model_dump())
    session.add(waiver)
    session.flush()
    session.refresh(waiver)
    details = new.model_dump(mode="json", exclude={"fingerprint"})
    audit.note(session, project.id, "waiver.create", waiver.fingerprint, id=str(waiver.id), **details)
    return WaiverRead.model_validate(waiver)


def revoke_waiver(session: Session, project: Project, waiver_id: UUID) -> None:
    """Revoking it again changes nothing. Raises WaiverNotFound and ProjectArchived."""
    require_open(project)
    waiver = session.get(Waiver, (project.id, waiver_id), with_for_update=True)
    if waiver is None:
        raise WaiverNotFound(waiver_id)
    if waiver.revoked_at is None:
        waiver.revoked_at = utcnow()
        audit.note(session, project.id, "waiver.revoke", waiver.fingerprint, id=str(waiver.id))


def list_waivers(session: Session, project: Project, *, cursor: str | None, limit: int) -> Page[WaiverRead]:
    """The newest first, including those that are no longer valid."""
    query = select(Waiver).where(Waiver.project_id == project.id)
    if cursor is not None:
        query = query.where(tuple_(*decode_cursor(cursor, TIME_AND_ID)) > KEY)
    rows = session.exec(query.order_by(col(Waiver.created_at).desc(), col(Waiver.id).desc()).limit(limit + 1)).all()
    last = rows[limit - 1] if len(rows) > limit else None
    return Page(
        items=[WaiverRead.model_validate(row) for row in rows[:limit]],
        next_cursor=encode_cursor((last.created_at.isoformat(), str(last.id))) if last else None,
    )


def is_valid(waiver: WaiverRead) -> bool:
    """Whether it holds now."""
    return waiver.revoked_at is None and waiver.ends_at > utcnow()


def waivers_of(session: Session, project_id: UUID, fingerprints: Collection[str]) -> Mapping[str, Waiver]:
    """Those that hold now, of any environment, by the finding that they accept. The newest of each counts."""
    values = {"project_id": project_id, "fingerprints": list(fingerprints)}
    return {each.fingerprint: each for each in session.execute(OF_FINDINGS, values).scalars()}


def valid_waivers(session: Session, environment: Environment) -> Sequence[Waiver]:
    """Those that hold in that environment now."""
    query = select(Waiver).where(
        Waiver.project_id == environment.project_id,
        or_(col(Waiver.environment) == environment.name, col(Waiver.environment).is_(None)),
        HOLDS,
    )
    return session.exec(query.order_by(KEY)).all()
