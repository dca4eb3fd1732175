"""The stored tables of revisions, histories and proofs. The project leads every key."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import ARRAY, Column, ForeignKeyConstraint, Index, String, func, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlmodel import Field

from app.database import Table


class Revision(Table, table=True):
    """One content of one revision: another script under the same ID is another row."""

    __table_args__ = (
        # The order of the list of revisions, and the key of its cursor.
        Index("ix_revision_project_id_first_seen_at", "project_id", "first_seen_at", "revision", "sha256"),
    )

    project_id: UUID = Field(primary_key=True, foreign_key="project.id", ondelete="RESTRICT")
    revision: str = Field(primary_key=True, max_length=255)
    sha256: str = Field(primary_key=True, max_length=64)  # of its script
    down_revisions: list[str] = Field(sa_column=Column(ARRAY(String), nullable=False))
    message: str
    path: str | None = None
    first_seen_at: datetime = Field(sa_column_kwargs={"server_default": func.clock_timestamp()}, default=None)


class Proof(Table, table=True):
    """What the newest report saw when it applied that content to that schema. `trusted` is part of its key."""

    __table_args__ = (
        ForeignKeyConstraint(
            ["project_id", "revision", "sha256"],
            ["revision.project_id", "revision.revision", "revision.sha256"],
            ondelete="CASCADE",
        ),
    )

    project_id: UUID = Field(primary_key=True)
    revision: str = Field(primary_key=True, max_length=255)
    sha256: str = Field(primary_key=True, max_length=64)
    schema_before: str = Field(primary_key=True, max_length=64)  # digests
    trusted: bool = Field(primary_key=True)
    schema_after: str = Field(max_length=64)
    judged: bool  # by the checks. Else it was only applied, as a revision of the base is
    passed: bool  # without an open error
    findings: list[dict[str, Any]] = Field(sa_column=Column(JSONB, nullable=False))  # those about this revision
    run_id: UUID  # the first run that saw this. Not a foreign key: the proof outlives it
    proved_at: datetime = Field(sa_column_kwargs={"server_default": func.clock_timestamp()}, default=None)


class History(Table, table=True):
    """The graph of revisions of one or more commits, with the content of each. Runs refer to it by its digest."""

    project_id: UUID = Field(primary_key=True, foreign_key="project.id", ondelete="RESTRICT")
    digest: str = Field(primary_key=True, max_length=64)
    heads: list[str] = Field(sa_column=Column(ARRAY(String), nullable=False))
    # [[ID, SHA-256 or null, [parents and dependencies]], …], parents before children
    revisions: list[Any] = Field(sa_column=Column(JSONB, nullable=False))
    # Where it is deployed. Kept here by the deployments, since there are few such histories and many revisions.
    environments: list[str] = Field(
        sa_column=Column(ARRAY(String), nullable=False, server_default=text("'{}'::character varying[]"))
    )
    first_seen_at: datetime = Field(sa_column_kwargs={"server_default": func.clock_timestamp()}, default=None)


class ProvedSchema(Table, table=True):
    """The objects of a schema that a trusted report had at head: what a live database is compared with."""

    project_id: UUID = Field(primary_key=True, foreign_key="project.id", ondelete="RESTRICT")
    digest: str = Field(primary_key=True, max_length=64)
    objects: list[Any] = Field(sa_column=Column(JSONB, nullable=False))
    first_seen_at: datetime = Field(sa_column_kwargs={"server_default": func.clock_timestamp()}, default=None)
