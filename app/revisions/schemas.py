"""The answers of the routes for revisions, and what a report says about them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Annotated, Any, NamedTuple
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from app.gate.report.verdict import Severity

Sha256 = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
RevisionId = Annotated[str, StringConstraints(pattern=r"^[^\u0000]+$", max_length=255)]


class Script(NamedTuple):
    """One revision, as a report has it."""

    revision: str
    sha256: str | None
    down_revisions: Sequence[str]
    depends_on: Sequence[str]
    message: str
    path: str | None
    is_new: bool
    starts_branch: bool  # has a branch label
    schema_before: str | None  # digests; None where it was not applied
    schema_after: str | None


class ReportedHistory(NamedTuple):
    """The history of a report, and what it found in it."""

    heads: Sequence[str]
    scripts: Sequence[Script]  # parents before children
    findings: Mapping[str, Sequence[Mapping[str, Any]]]  # by revision
    was_applied: bool  # whether the check `upgrade` was run: without it nothing was proved


class Answer(BaseModel):
    model_config = ConfigDict(from_attributes=True)


class ProvedFinding(Answer):
    check: str = Field(examples=["blocking-index"])
    severity: Severity
    object: str | None = Field(examples=["public.orders"])
    message: str
    fingerprint: str
    allowed: str | None = Field(description="The reason why it was accepted in the script or a baseline.")


class ProofRead(Answer):
    schema_before: str = Field(description="The digest of the schema to which it was applied.")
    schema_after: str
    trusted: bool = Field(description="Whether the report came with a trusted token.")
    judged: bool = Field(
        description="False: it was applied, and not judged, since the base of that run had it already."
    )
    passed: bool = Field(description="Whether it was judged without an open error.")
    findings: list[ProvedFinding]
    run_id: UUID = Field(description="The first run that saw this. Proofs are kept for longer than runs.")
    proved_at: datetime


class RevisionRead(Answer):
    revision: str = Field(examples=["7b39e1f5a0c4"])
    sha256: str = Field(description="Of its script.")
    down_revisions: list[str] = Field(examples=[["4c1f6a0b92de"]])
    message: str = Field(examples=["find runs by commit"])
    path: str | None
    first_seen_at: datetime
    proof: ProofRead | None = Field(description="The newest one, trusted ones first; null if it was never proved.")
    environments: list[str] = Field(description="Those that have it.", examples=[["staging"]])


class RevisionDetail(RevisionRead):
    proofs: list[ProofRead] = Field(description="All of them, trusted ones first: one for each schema before it.")
