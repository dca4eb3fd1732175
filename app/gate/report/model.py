"""The report: `overproof-report/1`. What the reporters print, the service keeps and the pages show.

A field is only ever added; what has a meaning keeps it. Text that came from a project is as the project wrote it,
but for NULs and for passwords in URLs: a program that shows it escapes it for the place where it is shown.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any, Final, Literal

from pydantic import BaseModel, ConfigDict, Field

from app.gate.report.verdict import (
    CODE_STARTS_LATER,
    IGNORED,
    IN_BASELINE,
    NO_OTHER_HISTORY,
    NOT_ASKED_FOR,
    NOT_SELECTED,
    NOTHING_NEW,
    Outcome,
    Severity,
    Verdict,
)

FORMAT: Final = "overproof-report/1"


class ReportModel(BaseModel):
    """Parts of a report are frozen. A field that this version does not know, as of a later one, is ignored."""

    model_config = ConfigDict(frozen=True, extra="ignore")


class Tool(ReportModel):
    name: str
    version: str


class TargetEntry(ReportModel):
    """What was verified: the command as typed (no secrets: its environment is left out), where, and at which commit."""

    command: list[str]
    script_location: str | None = None
    commit: str | None = None
    base: str | None = None


class JudgedEntry(ReportModel):
    """What the verdict is about."""

    base: str | None = None  # the Git ref with which the history was compared; None: everything is new
    commit: str | None = None  # the newest one that the base and HEAD have in common
    revisions: list[str] = []  # those that were run


class RevisionEntry(ReportModel):
    revision: str
    down_revisions: list[str] = []
    depends_on: list[str] = []
    branch_labels: list[str] = []
    message: str = ""
    path: str | None = None
    sha256: str | None = None
    new: bool = True
    schema_digest_before: str | None = None  # of the schema before its upgrade; None where it was not applied
    schema_digest: str | None = None  # of the schema after it
    replaced: list[dict[str, Any]] | None = Field(
        default=None,
        description="The objects that its upgrade made, changed or removed, as they were before it; `definition` is null for what"
        " was not there. With these put back, the schema after the revision is the one before it. Null where it was not applied.",
    )


class GraphEntry(ReportModel):
    heads: list[str] = []
    bases: list[str] = []
    revisions: list[RevisionEntry] = []


class CheckEntry(ReportModel):
    id: str
    outcome: Outcome
    reason: str | None = None  # why it was skipped
    duration_ms: float = 0.0

    @property
    def is_deselected(self) -> bool:
        return self.reason in (IGNORED, NOT_SELECTED, NOT_ASKED_FOR, CODE_STARTS_LATER, NO_OTHER_HISTORY, NOTHING_NEW)


class Excerpt(ReportModel):
    """Lines of a script around a finding's place."""

    first_line: int
    lines: list[str]


class AssumptionEntry(ReportModel):
    """What a revision assumes of the rows of a live database where it is pending. The query only reads."""

    sql: str  # gives the rows for which it does not hold, ten at most
    must_be: Literal["no rows"] = "no rows"


class TableEntry(ReportModel):
    """A table that a finding is about, as it is in the deployed database."""

    table: str
    weight: Literal["large", "small", "new", "unknown"]  # new: it is not there yet
    rows: int | None = None  # None: never counted
    bytes: int | None = None


class DeployedEntry(ReportModel):
    """The deployed database by whose sizes the findings were weighed."""

    source: str  # the snapshot's file, or the environment in the record
    taken_at: str = ""
    revisions: list[str] = []
    small_table_rows: int  # fewer make a finding on the table a notice


class FindingEntry(ReportModel):
    check: str
    severity: Severity
    revision: str | None = None
    object: str | None = None
    subject: str = ""  # what tells it from others of its check, revision and object, in words that never change
    message: str
    detail: str | None = None  # the statement, or the two definitions that differ
    help: str | None = None  # how to fix it
    assumption: AssumptionEntry | None = None
    tables: list[TableEntry] = []  # only with a deployed database
    path: str | None = None
    line: int | None = None
    excerpt: Excerpt | None = None
    fingerprint: str  # of check, the revision's content, object and subject: survives moved lines and other words
    allowed: str | None = None  # the reason for which it was accepted

    @property
    def is_in_baseline(self) -> bool:
        """Whether it was accepted by a baseline, and not by a comment in its script."""
        return self.allowed is not None and self.allowed.startswith(IN_BASELINE)


class StatementEntry(ReportModel):
    sql: str
    duration_ms: float
    locks: list[dict[str, str]] = []  # [{"table": "public.orders", "mode": "AccessExclusiveLock"}]
    rewrites: list[str] = []
    scans: list[str] = []
    transactional: bool = True  # false in an autocommit block


class StepEntry(ReportModel):
    revision: str
    direction: Literal["upgrade", "downgrade"]
    duration_ms: float
    transactional: bool = True
    statements: list[StatementEntry] = []
    changes: list[str] = []  # the schema difference in words
    rows: dict[str, int] = {}  # those in each table, {"public.orders": 8}, when it was repeated over rows


class Report(ReportModel):
    """One verification."""

    format: Literal["overproof-report/1"] = FORMAT
    verdict: Verdict
    reason: str | None = None  # for the verdict `error`: the one line that says what happened
    tool: Tool
    target: TargetEntry
    judged: JudgedEntry = JudgedEntry()
    deployed: DeployedEntry | None = None
    not_covered: list[str] = []  # what a reader might expect to be covered and was not, a sentence each
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

    @property
    def open_findings(self) -> list[FindingEntry]:
        """The findings that are not accepted, the most severe first, else in the order of the history."""
        weights = list(Severity)
        return sorted(
            (each for each in self.findings if each.allowed is None), key=lambda each: weights.index(each.severity)
        )

    @property
    def accepted_findings(self) -> list[FindingEntry]:
        return [each for each in self.findings if each.allowed is not None]

    @property
    def failing_severities(self) -> frozenset[Severity]:
        """What failed this run. A failed run without errors has `--fail-on warning`."""
        if self.verdict is not Verdict.FAIL:
            return frozenset()
        severities = {each.severity for each in self.open_findings}
        return frozenset({Severity.ERROR} if Severity.ERROR in severities else {Severity.WARNING})
