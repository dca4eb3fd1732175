"""The stored tables of changes. The project leads every key."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from uuid import UUID

from sqlalchemy import ARRAY, Column, ForeignKeyConstraint, Index, String, func
from sqlmodel import Field

from app.database import Table, labels_of


class ChangeState(StrEnum):
    OPEN = "open"
    MERGED = "merged"  # a protected branch has all of its revisions
    CLOSED = "closed"


class Change(Table, table=True):
    """A pull request, by its number, as the newest report about it has it."""

    __table_args__ = (Index("ix_change_project_id_state_opened_at_id", "project_id", "state", "opened_at", "id"),)

    project_id: UUID = Field(primary_key=True, foreign_key="project.id", ondelete="RESTRICT")
    id: str = Field(primary_key=True, max_length=64)
    state: ChangeState = Field(sa_type=labels_of(ChangeState, "change_state"))
    branch: str | None = Field(default=None, max_length=255)
    head_sha: str | None = Field(default=None, max_length=64)
    opened_at: datetime = Field(sa_column_kwargs={"server_default": func.clock_timestamp()}, default=None)
    seen_at: datetime = Field(sa_column_kwargs={"server_default": func.clock_timestamp()}, default=None)


class ChangeRevision(Table, table=True):
    """A revision that a change adds."""

    __table_args__ = (
        ForeignKeyConstraint(["project_id", "change"], ["change.project_id", "change.id"], ondelete="CASCADE"),
    )

    project_id: UUID = Field(primary_key=True)
    change: str = Field(primary_key=True, max_length=64)
    revision: str = Field(primary_key=True, max_length=255)
    position: int  # in the history: parents before children
    down_revisions: list[str] = Field(sa_column=Column(ARRAY(String), nullable=False))
    starts_branch: bool  # it has a branch label, so it is a head of its own on purpose
    first_seen_at: datetime = Field(sa_column_kwargs={"server_default": func.clock_timestamp()}, default=None)


class ProtectedBranch(Table, table=True):
    """A branch into which changes are merged, as the newest trusted report about it has it."""

    project_id: UUID = Field(primary_key=True, foreign_key="project.id", ondelete="RESTRICT")
    branch: str = Field(primary_key=True, max_length=255)  # empty if its reports do not name it
    heads: list[str] = Field(sa_column=Column(ARRAY(String), nullable=False))
    history: str = Field(max_length=64)  # the digest of revisions.History
    seen_at: datetime = Field(sa_column_kwargs={"server_default": func.clock_timestamp()}, default=None)
