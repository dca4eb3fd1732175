"""The stored tables of environments. The project leads every key."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Any
from uuid import UUID, uuid4

from sqlalchemy import ARRAY, CheckConstraint, Column, ForeignKeyConstraint, Index, String, func
from sqlalchemy.dialects.postgresql import JSONB
from sqlmodel import Field

from app.database import Table, labels_of
from app.projects.models import SLUG


class DeploymentStatus(StrEnum):
    """`rolling`: others are live with it. `live`: it replaced all others. `ended`: it was replaced, or removed."""

    ROLLING = "rolling"
    LIVE = "live"
    ENDED = "ended"


class DecisionAnswer(StrEnum):
    ALLOW = "allow"
    DENY = "deny"
    UNKNOWN = "unknown"


class Environment(Table, table=True):
    """A database to which a project is deployed, such as `staging`, and its policy."""

    __table_args__ = (CheckConstraint(f"name ~ '{SLUG}'", name="name_is_a_path_segment"),)

    project_id: UUID = Field(primary_key=True, foreign_key="project.id", ondelete="RESTRICT")
    name: str = Field(primary_key=True, max_length=63)
    policy: dict[str, Any] = Field(sa_column=Column(JSONB, nullable=False))  # schemas.Policy
    created_at: datetime = Field(sa_column_kwargs={"server_default": func.clock_timestamp()}, default=None)


class Deployment(Table, table=True):
    """One version of the project's code in one environment, under an ID that the deployer chose."""

    __table_args__ = (
        ForeignKeyConstraint(
            ["project_id", "environment"], ["environment.project_id", "environment.name"], ondelete="CASCADE"
        ),
        Index("ix_deployment_project_id_environment_created_at", "project_id", "environment", "created_at", "id"),
    )

    project_id: UUID = Field(primary_key=True)
    environment: str = Field(primary_key=True, max_length=63)
    id: str = Field(primary_key=True, max_length=64)
    commit: str | None = Field(default=None, max_length=64)
    history: str = Field(max_length=64)  # the digest of revisions.History
    heads: list[str] = Field(sa_column=Column(ARRAY(String), nullable=False))
    status: DeploymentStatus = Field(sa_type=labels_of(DeploymentStatus, "deployment_status"))
    created_at: datetime = Field(sa_column_kwargs={"server_default": func.clock_timestamp()}, default=None)
    changed_at: datetime = Field(sa_column_kwargs={"server_default": func.clock_timestamp()}, default=None)


class EnvironmentSnapshot(Table, table=True):
    """What `overproof snapshot` saw of an environment's database."""

    __table_args__ = (
        ForeignKeyConstraint(
            ["project_id", "environment"], ["environment.project_id", "environment.name"], ondelete="CASCADE"
        ),
        Index(
            "ix_environment_snapshot_project_id_environment_received_at",
            *("project_id", "environment", "received_at", "id"),
        ),
    )

    project_id: UUID = Field(primary_key=True)
    environment: str = Field(primary_key=True, max_length=63)
    id: UUID = Field(default_factory=uuid4, primary_key=True)
    digest: str = Field(max_length=64)
    revisions: list[str] | None = Field(sa_column=Column(ARRAY(String)))  # NULL: the role could not read them
    postgres: str = Field(max_length=64)
    tables: dict[str, Any] = Field(sa_column=Column(JSONB, nullable=False))  # {"public.orders": {"rows": …}}
    objects: list[Any] = Field(sa_column=Column(JSONB, nullable=False))
    taken_at: datetime
    received_at: datetime = Field(sa_column_kwargs={"server_default": func.clock_timestamp()}, default=None)


class Decision(Table, table=True):
    """Whether a version may be deployed to an environment, and what that answer rests on. It never changes."""

    __table_args__ = (
        ForeignKeyConstraint(
            ["project_id", "environment"], ["environment.project_id", "environment.name"], ondelete="CASCADE"
        ),
        Index("ix_decision_project_id_environment_decided_at", "project_id", "environment", "decided_at", "id"),
    )

    project_id: UUID = Field(primary_key=True)
    environment: str = Field(primary_key=True, max_length=63)
    id: UUID = Field(default_factory=uuid4, primary_key=True)
    answer: DecisionAnswer = Field(sa_type=labels_of(DecisionAnswer, "decision_answer"))
    commit: str | None = Field(default=None, max_length=64)
    heads: list[str] = Field(sa_column=Column(ARRAY(String), nullable=False))
    reasons: list[Any] = Field(sa_column=Column(JSONB, nullable=False))
    pending: list[Any] = Field(sa_column=Column(JSONB, nullable=False))
    basis: dict[str, Any] = Field(sa_column=Column(JSONB, nullable=False))  # schemas.Basis
    decided_by: str = Field(max_length=200)  # the token's name
    decided_at: datetime = Field(sa_column_kwargs={"server_default": func.clock_timestamp()}, default=None)


class Waiver(Table, table=True):
    """A finding that is accepted until some day, in one environment or in all."""

    __table_args__ = (
        CheckConstraint("length(trim(reason)) > 0", name="reason_is_not_blank"),
        # The order of the list of waivers, and the key of its cursor.
        Index("ix_waiver_project_id_created_at_id", "project_id", "created_at", "id"),
    )

    project_id: UUID = Field(primary_key=True, foreign_key="project.id", ondelete="RESTRICT")
    id: UUID = Field(default_factory=uuid4, primary_key=True)
    fingerprint: str = Field(max_length=128)
    environment: str | None = Field(default=None, max_length=63)  # NULL: all
    reason: str = Field(max_length=1_000)
    created_by: str = Field(max_length=200)
    created_at: datetime = Field(sa_column_kwargs={"server_default": func.clock_timestamp()}, default=None)
    ends_at: datetime
    revoked_at: datetime | None = None
