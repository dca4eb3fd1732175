"""The answers of the routes for runs. The body of a request is a report: see posted.py."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, NamedTuple
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from app.changes.schemas import Fork
from app.gate.report.verdict import Outcome, Severity, Verdict
from app.projects.schemas import LINE

Commit = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{7,64}$")]
Fingerprint = Annotated[str, StringConstraints(pattern=r"^[^\u0000]*$", max_length=128)]
Branch = Annotated[str, StringConstraints(pattern=LINE, max_length=255)]


class RunContext(NamedTuple):
    """Where a report comes from, as the CI describes it."""

    head_sha: str | None = None
    branch: str | None = None
    change: str | None = None
    base_sha: str | None = None
    ci_url: str | None = None


class Answer(BaseModel):
    model_config = ConfigDict(from_attributes=True)


class Counts(Answer):
    """The number of findings by severity, without accepted ones."""

    error: int = 0
    warning: int = 0
    notice: int = 0


class RunRead(Answer):
    id: UUID
    verdict: Verdict = Field(description="As the findings have it: `fail` where there is an open error.")
    reason: str | None = Field(description="Why the verdict is `error`.")
    commit: str | None = Field(examples=["6dcb09b5b57875f334f61aebed695e2e4193db5e"])
    base: str | None = Field(examples=["origin/main"])
    heads: list[str] = Field(description="At most the first 20.", examples=[["7b39e1f5a0c4"]])
    tool_version: str = Field(examples=["0.1.0"])
    postgres: str | None = Field(examples=["18.6"])
    head_sha: str | None = Field(
        description="The commit at the head of the branch. For a pull request `commit` may be a merge commit instead.",
        examples=["6dcb09b5b57875f334f61aebed695e2e4193db5e"],
    )
    branch: str | None = Field(examples=["orders-by-date"])
    change: str | None = Field(description="The number of the pull request.", examples=["42"])
    base_sha: str | None = Field(examples=["9d2b1f0c5a7e4d3f8b6a1c2e3d4f5a6b7c8d9e0f"])
    ci_url: str | None = Field(examples=["https://github.com/acme/shop/actions/runs/1"])
    trusted: bool = Field(description="Whether it came with a trusted token, so that it proves its revisions.")
    started_at: datetime
    duration_ms: float
    received_at: datetime
    finding_counts: Counts


class RunPosted(RunRead):
    forks: list[Fork] = Field(description="Those that its pull request is part of.")
    page: str = Field(
        description="The path of its page in a browser.",
        examples=["/projects/shop/runs/0198f3a2-7c1e-7b4d-9e55-3c2b1a0f9d8e"],
    )


class CheckRead(Answer):
    check: str = Field(examples=["round-trip"])
    outcome: Outcome
    reason: str | None = Field(description="Why the check was skipped.")
    duration_ms: float


class FindingRead(Answer):
    """Truncated texts end in `…`. The report has the full texts."""

    check: str = Field(examples=["round-trip"])
    severity: Severity
    revision: str | None = Field(examples=["7b39e1f5a0c4"])
    object: str | None = Field(examples=["public.orders.note"])
    subject: str | None = Field(
        description="Distinguishes findings of one check, revision and object. Null in runs stored before it was kept.",
        examples=["not-restored index ix_orders_placed_at"],
    )
    message: str
    detail: str | None
    help: str | None
    path: str | None
    line: int | None
    fingerprint: str = Field(
        description="Identifies the finding across runs: a hash of its check, the content of its revision, its object "
        "and its subject. Moved lines and reworded messages do not change it."
    )
    allowed: str | None = Field(description="The reason why it was accepted; null if it was not.")


class RunDetail(RunRead):
    checks: list[CheckRead]
    findings: list[FindingRead] = Field(description="At most the first 50.")
    findings_next_cursor: str | None = Field(
        description="The `cursor` for the other findings, at `findings`; null if there are none."
    )
