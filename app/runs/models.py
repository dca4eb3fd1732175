"""Runs with their checks and findings, as they are stored."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID, uuid4

from sqlalchemy import ARRAY, CheckConstraint, Column, Index, String, UniqueConstraint, func
from sqlalchemy.dialects.postgresql import JSONB
from sqlmodel import Field

from app.database import Table, labels_of
from app.gate.report.verdict import Outcome, Severity, Verdict


class Run(Table, table=True):
    """One report. Its columns repeat those parts of it that are searched or listed."""

    __table_args__ = (
        UniqueConstraint("project_id", "digest"),
        CheckConstraint("length(digest) = 32", name="digest_is_a_sha256"),
        CheckConstraint("duration_ms >= 0", name="duration_is_not_negative"),
        # Newest first, page by page: the order of the list of runs and the key of its cursor.
        Index("ix_run_project_id_received_at_id", "project_id", "received_at", "id"),
        Index("ix_run_project_id_commit", "project_id", "commit"),
        # The same for one verdict, however rare.
        Index("ix_run_project_id_verdict_received_at_id", "project_id", "verdict", "received_at", "id"),
    )

    id: UUID = Field(default_factory=uuid4, primary_key=True)
    # What was proved outlives a slip of the hand: a project with runs is archived, and cannot be deleted.
    project_id: UUID = Field(foreign_key="project.id", ondelete="RESTRICT")
    digest: bytes  # sha256 of the canonical report
    verdict: Verdict = Field(sa_type=labels_of(Verdict, "run_verdict"))
    reason: str | None = None  # for the verdict `error`
    commit: str | None = Field(default=None, max_length=64)
    base: str | None = Field(default=None, max_length=255)
    heads: list[str] = Field(sa_type=ARRAY(String), default_factory=list)
    tool_version: str = Field(max_length=64)
    postgres: str | None = Field(default=None, max_length=64)
    started_at: datetime
    duration_ms: float
    received_at: datetime = Field(sa_column_kwargs={"server_default": func.clock_timestamp()}, default=None)
    # Findings by severity, without those that were accepted. NULL in runs that older code stored: they are counted.
    finding_counts: dict[str, int] | None = Field(default=None, sa_column=Column(JSONB(none_as_null=True)))
    report: Any = Field(sa_column=Column(JSONB, nullable=False))


class RunCheck(Table, table=True):
    """What became of one check in one run."""

    __table_args__ = (CheckConstraint("duration_ms >= 0", name="duration_is_not_negative"),)

    run_id: UUID = Field(foreign_key="run.id", ondelete="CASCADE", primary_key=True)
    position: int = Field(primary_key=True)  # in the report
    check: str = Field(max_length=63)
    outcome: Outcome = Field(sa_type=labels_of(Outcome, "check_outcome"))
    reason: str | None = None  # why it was skipped
    duration_ms: float


class RunFinding(Table, table=True):
    """One thing that one check saw. Two findings of a run may share a fingerprint: the same fault at two places."""

    __table_args__ = (
        CheckConstraint("line > 0", name="line_is_positive"),
        Index("ix_run_finding_fingerprint", "fingerprint"),  # for older code
        Index("ix_run_finding_project_id_fingerprint_run_id", "project_id", "fingerprint", "run_id"),
    )

    run_id: UUID = Field(foreign_key="run.id", ondelete="CASCADE", primary_key=True)
    position: int = Field(primary_key=True)  # in the report
    check: str = Field(max_length=63)
    severity: Severity = Field(sa_type=labels_of(Severity, "finding_severity"))
    revision: str | None = Field(default=None, max_length=255)
    object: str | None = None
    # What tells it from others of its check, revision and object. NULL where older code stored it.
    subject: str | None = None
    message: str
    detail: str | None = None
    help: str | None = None
    path: str | None = None
    line: int | None = None
    fingerprint: str = Field(max_length=128)
    allowed: str | None = None  # the reason for which it was accepted
    # The run's, so that a fingerprint is searched among the findings of one project. NULL where older code stored it.
    project_id: UUID | None = None
