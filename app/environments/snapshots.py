"""Snapshots of the databases of environments: untrusted input, validated before it is stored."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal, NamedTuple
from uuid import UUID

import sqlalchemy as sa
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from sqlalchemy import tuple_
from sqlalchemy.dialects.postgresql import JSONB
from sqlmodel import Session, col, select

from app.environments.errors import SnapshotNotFound, SnapshotRefused
from app.environments.models import Environment, EnvironmentSnapshot
from app.environments.schemas import SnapshotRead
from app.pagination import TIME_AND_ID, Page, Time, decode_cursor, encode_cursor
from app.runs.errors import ReportRefused
from app.runs.posted import MOST_ERRORS, All, Few, Name, Sha256, Short, canonical_json, read_json
from app.runs.service import columns_for

FORMAT = "overproof-snapshot/1"
KEY = tuple_(EnvironmentSnapshot.received_at, EnvironmentSnapshot.id)
SUMMARIES = columns_for(SnapshotRead, EnvironmentSnapshot)
Count = Annotated[int, Field(ge=0, le=2**63 - 1)]


class Posted(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")


class TableSize(Posted):
    rows: Count | None = Field(default=None, description="Estimated by PostgreSQL; null if it never counted them.")
    bytes: Count | None = None


class SnapshotObject(Posted):
    kind: Name
    schema_: Name = Field(alias="schema")
    name: Annotated[str, Field(max_length=4_096)]
    table: Name = ""
    definition: dict[str, Any]


class PostedSnapshot(Posted):
    """What `overproof snapshot` prints. Unknown fields are ignored."""

    format: Literal["overproof-snapshot/1"]
    postgres: Short
    taken_at: Time
    revisions: dict[Name, Few[Name] | None] = Field(
        max_length=100, description="By Alembic's table, those that the database is at."
    )
    digest: Sha256
    tables: dict[Name, TableSize] = Field(default={}, max_length=200_000)
    objects: All[SnapshotObject]


class ReadSnapshot(NamedTuple):
    view: PostedSnapshot
    objects: str  # as JSON


def read_snapshot(pieces: list[bytes]) -> ReadSnapshot:
    """The snapshot in these pieces, whose list is emptied. Raises SnapshotRefused."""
    try:
        content = read_json(pieces)
        view = PostedSnapshot.model_validate(content)
        return ReadSnapshot(view, canonical_json(content["objects"]))
    except ReportRefused as refused:
        raise SnapshotRefused(refused.errors) from None
    except ValidationError as error:
        errors = [
            (".".join(map(str, each["loc"])) or "body", each["msg"]) for each in error.errors(include_input=False)
        ]
        raise SnapshotRefused(errors[:MOST_ERRORS]) from None


def store_snapshot(session: Session, environment: Environment, snapshot: ReadSnapshot) -> SnapshotRead:
    view = snapshot.view
    stored = EnvironmentSnapshot(
        project_id=environment.project_id,
        environment=environment.name,
        digest=view.digest,
        revisions=_revisions_in(view.revisions),
        postgres=view.postgres,
        tables={name: size.model_dump() for name, size in view.tables.items()},
        objects=sa.cast(sa.literal(snapshot.objects, sa.Text), JSONB),  # type: ignore[arg-type]
        taken_at=view.taken_at,
    )
    session.add(stored)
    return _summary(session, environment)


def _revisions_in(by_table: Mapping[str, list[str] | None]) -> list[str] | None:
    """Of all of Alembic's tables together. None if one of them could not be read."""
    found: set[str] = set()
    for revisions in by_table.values():
        if revisions is None:
            return None
        found.update(revisions)
    return sorted(found)


def _summary(session: Session, environment: Environment) -> SnapshotRead:
    newest = newest_snapshot(session, environment)
    if newest is None:
        raise AssertionError("the snapshot that was stored cannot be found")
    return newest


def newest_snapshot(session: Session, environment: Environment) -> SnapshotRead | None:
    """Without its objects, which may be large."""
    row = session.execute(_of(environment).limit(1)).first()
    return None if row is None else SnapshotRead(**row._mapping)


def sizes_in(session: Session, environment: Environment, snapshot: SnapshotRead) -> dict[str, Any]:
    """{"public.orders": {"rows": 12, "bytes": 8192}}"""
    return dict(session.exec(select(EnvironmentSnapshot.tables).where(*_is(environment, snapshot))).one())


def objects_in(session: Session, environment: Environment, snapshot: SnapshotRead) -> list[Any]:
    return list(session.exec(select(EnvironmentSnapshot.objects).where(*_is(environment, snapshot))).one())


def snapshot_text(session: Session, environment: Environment, snapshot_id: UUID) -> str:
    """The snapshot as JSON text from PostgreSQL, in the format of `overproof snapshot`. Raises SnapshotNotFound."""
    stored = EnvironmentSnapshot
    content = sa.func.jsonb_build_object(
        *("format", FORMAT, "database", stored.environment, "postgres", stored.postgres, "taken_at", stored.taken_at),
        # Alembic's tables were merged when it was stored.
        *("revisions", sa.func.jsonb_build_object("alembic_version", sa.func.to_jsonb(stored.revisions))),
        *("digest", stored.digest, "tables", stored.tables, "objects", stored.objects),
    )
    text: str | None = session.execute(
        sa.select(sa.cast(content, sa.Text)).where(
            col(stored.project_id) == environment.project_id,
            col(stored.environment) == environment.name,
            col(stored.id) == snapshot_id,
        )
    ).scalar_one_or_none()
    if text is None:
        raise SnapshotNotFound(snapshot_id)
    return text


def _is(environment: Environment, snapshot: SnapshotRead) -> tuple[Any, ...]:
    return (
        EnvironmentSnapshot.project_id == environment.project_id,
        EnvironmentSnapshot.environment == environment.name,
        EnvironmentSnapshot.id == snapshot.id,
    )


def _of(environment: Environment) -> sa.Select[Any]:
    """The newest first."""
    return SUMMARIES.where(
        col(EnvironmentSnapshot.project_id) == environment.project_id,
        col(EnvironmentSnapshot.environment) == environment.name,
    ).order_by(col(EnvironmentSnapshot.received_at).desc(), col(EnvironmentSnapshot.id).desc())


def list_snapshots(session: Session, environment: Environment, *, cursor: str | None, limit: int) -> Page[SnapshotRead]:
    query = _of(environment)
    if cursor is not None:
        query = query.where(tuple_(*decode_cursor(cursor, TIME_AND_ID)) > KEY)
    rows = session.execute(query.limit(limit + 1)).all()
    items = [SnapshotRead(**row._mapping) for row in rows[:limit]]
    last = items[-1] if len(rows) > limit else None
    return Page(items=items, next_cursor=encode_cursor((last.received_at.isoformat(), str(last.id))) if last else None)
