"""The stored tables of runs, their checks and their findings. The project leads every key."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import (
    ARRAY,
    CheckConstraint,
    Column,
    ForeignKeyConstraint,
    Index,
    PrimaryKeyConstraint,
    String,
    UniqueConstraint,
    false,
    func,
)
from sqlalchemy.dialects.postgresql import JSONB
from sqlmodel import Field

from app.database import Table, labels_of, uuid7
from app.gate.report.verdict import Outcome, Severity, Verdict


class Run(Table, table=True):
    """One report. Its columns repeat the parts that are searched or listed."""

    __table_args__ = (
        PrimaryKeyConstraint("project_id", "id"),
        UniqueConstraint("project_id", "digest"),
        CheckConstraint("length(digest) = 32", name="digest_is_a_sha256"),
        CheckConstraint("duration_ms >= 0", name="duration_is_not_negative"),
        # The order of the list of runs, and the key of its cursor.
        Index("ix_run_project_id_received_at_id", "project_id", "received_at", "id"),
        Index("ix_run_project_id_commit", "project_id", "commit"),
        Index("ix_run_project_id_head_sha_received_at", "project_id", "head_sha", "received_at"),
        # The same for one verdict, however rare it is.
        Index("ix_run_project_id_verdict_received_at_id", "project_id", "verdict", "received_at", "id"),
    )

    id: UUID = Field(default_factory=uuid7)
    # Evidence must not be deleted by mistake: a project with runs can be archived, but not deleted.
    project_id: UUID = Field(foreign_key="project.id", ondelete="RESTRICT")
    digest: bytes  # sha256 of the canonical report
    verdict: Verdict = Field(sa_type=labels_of(Verdict, "run_verdict"))
    reason: str | None = None  # for the verdict `error`
    commit: str | None = Field(default=None, max_length=64)
    base: str | None = Field(default=None, max_length=255)
    heads: list[str] = Field(sa_type=ARRAY(String), default_factory=list)
    tool_version: str = Field(max_length=64)
    postgres: str | None = Field(default=None, max_length=64)
    # The context in which it was posted, as the CI describes it. `commit` is what was checked out: of a pull request
    # that may be a merge commit, which is on no branch.
    head_sha: str | None = Field(default=None, max_length=64)
    branch: str | None = Field(default=None, max_length=255)
    change: str | None = Field(default=None, max_length=64)
    base_sha: str | None = Field(default=None, max_length=64)
    ci_url: str | None = Field(default=None, max_length=500)
    started_at: datetime
    duration_ms: float
    received_at: datetime = Field(sa_column_kwargs={"server_default": func.clock_timestamp()}, default=None)
    # Whether it came with a trusted token.
    trusted: bool = Field(default=False, sa_column_kwargs={"server_default": false()})
    history: str | None = Field(default=None, max_length=64)  # the digest of revisions.History; NULL in older runs
    # The number of findings by severity, without accepted ones. NULL in runs stored by older code: those are counted.
    finding_counts: dict[str, int] | None = Field(default=None, sa_column=Column(JSONB(none_as_null=True)))
    # Where older code stored it. The column can be dropped when the last of these has expired.
    report: Any = Field(default=None, sa_column=Column(JSONB(none_as_null=True)))


class Report(Table, table=True):
    """The report of a run, byte for byte. It is kept for less long than its run."""

    __table_args__ = (
        ForeignKeyConstraint(["project_id", "run_id"], ["run.project_id", "run.id"], ondelete="CASCADE"),
        Index("ix_report_project_id_stored_at", "project_id", "stored_at"),
    )

    project_id: UUID = Field(primary_key=True)
    run_id: UUID = Field(primary_key=True)
    content: bytes  # compressed by gzip
    stored_at: datetime = Field(sa_column_kwargs={"server_default": func.clock_timestamp()}, default=None)


class RunCheck(Table, table=True):
    """The outcome of one check in one run."""

    __table_args__ = (
        PrimaryKeyConstraint("project_id", "run_id", "position"),
        ForeignKeyConstraint(["project_id", "run_id"], ["run.project_id", "run.id"], ondelete="CASCADE"),
        CheckConstraint("duration_ms >= 0", name="duration_is_not_negative"),
    )

    run_id: UUID
    position: int  # in the report
    check: str = Field(max_length=63)
    outcome: Outcome = Field(sa_type=labels_of(Outcome, "check_outcome"))
    reason: str | None = None  # why it was skipped
    duration_ms: float
    project_id: UUID


class RunFinding(Table, table=True):
    """One finding of one check. Two findings of a run may have the same fingerprint: the same defect in two places."""

    __table_args__ = (
        PrimaryKeyConstraint("project_id", "run_id", "position"),
        ForeignKeyConstraint(["project_id", "run_id"], ["run.project_id", "run.id"], ondelete="CASCADE"),
        CheckConstraint("line > 0", name="line_is_positive"),
        Index("ix_run_finding_project_id_fingerprint_run_id", "project_id", "fingerprint", "run_id"),
    )

    run_id: UUID
    position: int  # in the report
    check: str = Field(max_length=63)
    severity: Severity = Field(sa_type=labels_of(Severity, "finding_severity"))
    revision: str | None = Field(default=None, max_length=255)
    object: str | None = None
    # Distinguishes it from others of its check, revision and object. NULL if older code stored it.
    subject: str | None = None
    message: str
    detail: str | None = None
    help: str | None = None
    path: str | None = None
    line: int | None = None
    fingerprint: str = Field(max_length=128)
    allowed: str | None = None  # the reason why it was accepted
    project_id: UUID
