"""The bodies of requests and answers for environments, deployments, snapshots and drift."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Annotated, Any, Literal, Self
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, model_validator

from app.environments.models import DecisionAnswer, DeploymentStatus
from app.pagination import Time
from app.projects.schemas import LINE, Body, EnvironmentName
from app.revisions.schemas import ProofRead, ProvedFinding, RevisionId

Commit = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{7,64}$")]
DeploymentId = Annotated[str, StringConstraints(pattern=r"^[0-9A-Za-z][0-9A-Za-z._:-]*$", max_length=64)]
Denied = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9-]*$", max_length=63)]


class Policy(Body):
    """What may be deployed to an environment."""

    deny: list[Denied] = Field(
        default=["error"],
        max_length=100,
        description="Findings that deny: severities (`error`, `warning`, `notice`) and checks, in any mixture.",
        examples=[["error", "table-rewrite", "blocking-index"]],
    )
    small_table_rows: int = Field(
        default=10_000,
        ge=0,
        le=2**31 - 1,
        description="Locks, scans and rewrites of tables with fewer rows, by the snapshot, deny nothing.",
    )
    trust: Literal["trusted", "any"] = Field(default="trusted", description="Whose reports count.")
    drift: Literal["deny", "allow"] = Field(
        default="deny", description="Whether a schema that is not the proved one denies."
    )
    snapshot: Literal["required", "optional"] = Field(
        default="required", description="Whether a decision needs a snapshot that is newer than the last deployment."
    )


class Answer(BaseModel):
    model_config = ConfigDict(from_attributes=True)


class EnvironmentRead(Answer):
    name: str = Field(examples=["production"])
    policy: Policy
    created_at: datetime


def only(field: str, kind: str, other: str) -> dict[str, Any]:
    """In JSON Schema: one of two fields."""
    return {"required": [field], "properties": {field: {"type": kind}, other: {"type": "null"}}}


class Version(Body):
    """A version of the project's code."""

    model_config = ConfigDict(
        json_schema_extra={"oneOf": [only("commit", "string", "heads"), only("heads", "array", "commit")]}
    )

    commit: Commit | None = Field(default=None, examples=["6dcb09b5b57875f334f61aebed695e2e4193db5e"])
    heads: list[RevisionId] | None = Field(
        default=None, min_length=1, max_length=20, description="Instead of a commit.", examples=[["7b39e1f5a0c4"]]
    )

    @model_validator(mode="after")
    def has_one_of_them(self) -> Self:
        if (self.commit is None) == (self.heads is None):
            raise ValueError("either a commit or heads")
        return self


class DeploymentPut(Version):
    status: DeploymentStatus = Field(
        default=DeploymentStatus.LIVE, description="`live` ends all other deployments of the environment."
    )


class DeploymentRead(Answer):
    id: str = Field(examples=["deploy-2026-11-30.1"])
    commit: str | None
    heads: list[str] = Field(examples=[["7b39e1f5a0c4"]])
    status: DeploymentStatus
    created_at: datetime
    changed_at: datetime


class SnapshotRead(Answer):
    id: UUID
    digest: str = Field(description="Of the schema.")
    revisions: list[str] | None = Field(description="Those that the database is at; null if they could not be read.")
    postgres: str
    taken_at: datetime
    received_at: datetime


class Difference(BaseModel):
    kind: str = Field(examples=["column"])
    object: str = Field(examples=["public.orders.note"])
    change: Literal["missing", "unexpected", "changed"]
    proved: dict[str, Any] | None = Field(description="Its definition in the proved schema.")
    found: dict[str, Any] | None = Field(description="Its definition in the database.")


class DriftRead(BaseModel):
    state: Literal["none", "drifted", "unknown"]
    sentence: str
    snapshot: SnapshotRead | None
    proved_digests: list[str] = Field(description="The schemas that were proved for the deployed revisions.")
    differences: list[Difference] = Field(description="At most the first 200, from the nearest proved schema.")
    difference_count: int | None = Field(description="Null if the objects of the proved schema are not known.")


class DecisionCreate(Version):
    dry_run: bool = Field(default=False, description="Answer without storing the decision.")


class Reason(BaseModel):
    """Why the answer is not `allow`."""

    code: str = Field(description="Stable, for programs.", examples=["finding-denied"])
    answer: DecisionAnswer = Field(description="What the answer is for this reason alone.")
    sentence: str
    clears: str = Field(description="What would clear it.")
    revision: str | None = None
    fingerprint: str | None = Field(default=None, description="Of the finding, for a waiver.")


class Weight(StrEnum):
    """What a finding means for a decision."""

    DENIES = "denies"
    NOTED = "noted"  # the policy does not deny it
    ACCEPTED = "accepted"  # in the script, or in a baseline
    WAIVED = "waived"
    SMALL = "small table"


class WeighedFinding(ProvedFinding):
    weight: Weight
    why: str | None = Field(description="The reason why it was accepted or waived.")
    rows: int | None = Field(description="Of its table, by the snapshot.")


class PendingRevision(BaseModel):
    """A revision that the deployment would apply."""

    revision: str
    sha256: str | None
    proof: ProofRead | None = Field(description="The one that counts here; null if there is none.")
    findings: list[WeighedFinding]


class Basis(BaseModel):
    """What a decision rests on."""

    snapshot: str | None = Field(description="The digest of the newest snapshot.")
    deployments: list[str] = Field(description="The current ones, with their status.")
    policy: Policy
    waivers: list[UUID] = Field(description="Those that were valid.")
    run_id: UUID | None = Field(description="The newest run of the version.")


class DecisionSummary(BaseModel):
    id: UUID | None = Field(description="Null for a dry run.")
    answer: DecisionAnswer
    commit: str | None
    heads: list[str]
    reasons: list[Reason]
    basis: Basis
    void: bool = Field(description="Whether something that it rests on has changed since.")
    void_because: list[str] = Field(examples=[["snapshot"]])
    decided_by: str
    decided_at: datetime


class DecisionRead(DecisionSummary):
    pending: list[PendingRevision] = Field(description="In the order in which they are applied.")


class WaiverCreate(Body):
    fingerprint: Annotated[str, StringConstraints(pattern=r"^[0-9A-Za-z_-]+$", max_length=128)]
    environment: EnvironmentName | None = Field(default=None, description="Null for all environments.")
    reason: Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=1_000, pattern=LINE)]
    ends_at: Time = Field(description="Until when it is valid.", examples=["2027-02-28T00:00:00Z"])


class WaiverRead(Answer):
    id: UUID
    fingerprint: str
    environment: str | None
    reason: str
    created_by: str
    created_at: datetime
    ends_at: datetime
    revoked_at: datetime | None
