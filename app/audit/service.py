"""Note changes, and list them."""

from __future__ import annotations

from typing import Any, NamedTuple
from uuid import UUID

from sqlalchemy import tuple_
from sqlmodel import Session, select

from app.audit.models import AuditEntry
from app.audit.schemas import AuditEntryRead
from app.pagination import TIME_AND_ID, Page, decode_cursor, encode_cursor

INSTALLATION = UUID(int=0)  # for changes that concern no project
KEY = tuple_(AuditEntry.recorded_at, AuditEntry.id)


class Actor(NamedTuple):
    """Who changes something."""

    id: UUID | None  # of a token
    name: str


COMMAND_LINE = Actor(None, "command line")


def act_as(session: Session, actor: Actor) -> None:
    """Changes in this session are made by that actor. Until then they are those of a command on the server."""
    session.info["actor"] = actor


def actor_of(session: Session) -> Actor:
    actor: Actor = session.info.get("actor", COMMAND_LINE)
    return actor


def note(session: Session, project_id: UUID | None, action: str, subject: str, **details: Any) -> None:
    """Add an entry, in the transaction of the change. Without a project: for the whole installation."""
    actor = actor_of(session)
    session.add(
        AuditEntry(
            project_id=project_id or INSTALLATION,
            actor_id=actor.id,
            actor=actor.name,
            action=action,
            subject=subject,
            details=details,
        )
    )
    session.flush()


def list_entries(session: Session, project_id: UUID, *, cursor: str | None, limit: int) -> Page[AuditEntryRead]:
    """The newest first."""
    query = select(AuditEntry).where(AuditEntry.project_id == project_id)
    if cursor is not None:
        query = query.where(tuple_(*decode_cursor(cursor, TIME_AND_ID)) > KEY)
    rows = session.exec(query.order_by(KEY.desc()).limit(limit + 1)).all()
    last = rows[:limit][-1] if len(rows) > limit else None
    return Page(
        items=[AuditEntryRead.model_validate(row) for row in rows[:limit]],
        next_cursor=encode_cursor((last.recorded_at.isoformat(), str(last.id))) if last else None,
    )
