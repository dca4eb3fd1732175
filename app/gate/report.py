"""The report: `overproof-report/1`. What the reporters print, the service keeps and the pages show."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

FORMAT = "overproof-report/1"


class Severity(StrEnum):
    """How much a finding weighs. Only errors fail a run, unless `--fail-on` says otherwise."""

    ERROR = "error"
    WARNING = "warning"
    NOTICE = "notice"


class Verdict(StrEnum):
    """A run's outcome. `error`: nothing could be verified."""

    PASS = "pass"
    FAIL = "fail"
    ERROR = "error"


class Outcome(StrEnum):
    """What became of one check: the weight of its heaviest finding, or skipped with a reason."""

    PASS = "pass"
    FAIL = "fail"
    WARN = "warn"
    NOTICE = "notice"
    SKIPPED = "skipped"


class Part(BaseModel):
    """Parts of a report are frozen, and a field that this version does not know is refused."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Tool(Part):
    name: str
    version: str


class Target(Part):
    """What was verified: the command as typed (no secrets: its environment is left out), where, and at which commit."""

    command: list[str]
    script_location: str | None = None
    commit: str | None = None
    base: str | None = None


class RevisionEntry(Part):
    revision: str
    down_revisions: list[str] = []
    depends_on: list[str] = []
    branch_labels: list[str] = []
    message: str = ""
    path: str | None = None
    sha256: str | None = None
    new: bool = True


class GraphEntry(Part):
    heads: list[str] = []
    bases: list[str] = []
    revisions: list[RevisionEntry] = []


class CheckEntry(Part):
    id: str
    outcome: Outcome
    reason: str | None = None  # why it was skipped
    duration_ms: float = 0.0


class FindingEntry(Part):
    check: str
    severity: Severity
    revision: str | None = None
    object: str | None = None
    message: str
    detail: str | None = None  # the statement, or the two definitions that differ
    help: str | None = None  # how to mend it
    path: str | None = None
    line: int | None = None
    fingerprint: str  # survives line moves
    allowed: str | None = None  # the reason for which it was accepted


class StatementEntry(Part):
    sql: str
    duration_ms: float
    locks: list[dict[str, str]] = []  # [{"table": "public.orders", "mode": "AccessExclusiveLock"}]
    rewrites: list[str] = []
    scans: list[str] = []


class StepEntry(Part):
    revision: str
    direction: Literal["upgrade", "downgrade"]
    duration_ms: float
    transactional: bool = True
    statements: list[StatementEntry] = []
    changes: list[str] = []  # the schema difference in words


class Report(Part):
    """One verification."""

    format: Literal["overproof-report/1"] = FORMAT
    verdict: Verdict
    reason: str | None = None  # for the verdict `error`: the one line that says what happened
    tool: Tool
    target: Target
    postgres: str | None = None
    alembic: str | None = None
    sqlalchemy: str | None = None
    started_at: datetime
    duration_ms: float
    graph: GraphEntry = GraphEntry()
    checks: list[CheckEntry] = []
    findings: list[FindingEntry] = []
    steps: list[StepEntry] = []
    snapshot: list[dict[str, Any]] | None = Field(default=None, description="The schema at head.")
    digest: str | None = None
