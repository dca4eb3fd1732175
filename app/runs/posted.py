"""A posted report: untrusted input, validated before it is stored.

This is the service's own model of a report. It names the parts that are stored in columns or shown, and limits the
length of each list and text; the gate's own reports are within the limits. Unknown fields are stored with the rest of
the report and otherwise ignored, so that a gate may be newer than the service. Values that PostgreSQL would reject,
such as a NUL character, are refused here with their position; otherwise they would cause an internal error.
"""

from __future__ import annotations

import gzip
import hashlib
import json
import math
from collections import defaultdict
from collections.abc import Collection, Iterator, Sequence
from typing import Annotated, Any, Literal, NamedTuple, TypeVar, cast

from pydantic import AfterValidator, AwareDatetime, BaseModel, ConfigDict, Field, JsonValue, ValidationError
from pydantic_core import from_json

from app.database import in_utc
from app.gate.report.verdict import Outcome, Severity, Verdict
from app.revisions.schemas import ReportedHistory, Script
from app.runs.bounds import require_bounded
from app.runs.errors import ReportRefused

MOST_ERRORS = 20  # in one answer; a thousand of them have one cause
INTEGER_MAX = 2**31 - 1
COMPRESSION = 6  # of gzip: 9 takes several times as long and saves hardly more

Item = TypeVar("Item")
WITHOUT_NUL: dict[str, JsonValue] = {
    "pattern": r"^[^\u0000]*$"
}  # documented here, and checked for the whole report in one step
Short = Annotated[str, Field(max_length=64, json_schema_extra=WITHOUT_NUL)]
Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
Name = Annotated[str, Field(max_length=255, json_schema_extra=WITHOUT_NUL)]
Place = Annotated[str, Field(max_length=4_096, json_schema_extra=WITHOUT_NUL)]
Sentence = Annotated[str, Field(max_length=100_000, json_schema_extra=WITHOUT_NUL)]
Text = Annotated[str, Field(max_length=1_000_000, json_schema_extra=WITHOUT_NUL)]
CheckId = Annotated[str, Field(max_length=63, json_schema_extra=WITHOUT_NUL)]
Fingerprint = Annotated[str, Field(max_length=128, json_schema_extra=WITHOUT_NUL)]
Flag = Annotated[bool, Field(strict=True)]
Line = Annotated[int, Field(strict=True, ge=1, le=INTEGER_MAX)]
Milliseconds = Annotated[float, Field(strict=True, ge=0, allow_inf_nan=False)]
# A list is validated up to its first invalid element.
Few = Annotated[list[Item], Field(fail_fast=True, max_length=1_000)]
Many = Annotated[list[Item], Field(fail_fast=True, max_length=50_000)]
All = Annotated[list[Item], Field(fail_fast=True, max_length=200_000)]


# Validated and then discarded, element by element: only the report itself stores it.
Unkept = AfterValidator(lambda element: None)


class Posted(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")


class Tool(Posted):
    name: Name
    version: Short


class Target(Posted):
    command: Few[Sentence]
    script_location: Place | None = None
    commit: Short | None = None
    base: Name | None = None


class Revision(Posted):
    revision: Name
    down_revisions: Few[Name] = []
    depends_on: Few[Name] = []
    branch_labels: Few[Name] = []
    message: Sentence = ""
    path: Place | None = None
    sha256: Sha256 | None = None
    new: Flag = True
    schema_digest_before: Sha256 | None = None
    schema_digest: Sha256 | None = None


def compact(revision: Revision) -> Script:
    """Without what pydantic adds: a history may have tens of thousands of revisions."""
    return Script(
        revision.revision,
        revision.sha256,
        revision.down_revisions,
        revision.depends_on,
        revision.message,
        revision.path,
        revision.new,
        bool(revision.branch_labels),
        revision.schema_digest_before,
        revision.schema_digest,
    )


class Graph(Posted):
    heads: Few[Name] = []
    bases: Few[Name] = []
    revisions: Many[Annotated[Revision, AfterValidator(compact)]] = []

    @property
    def scripts(self) -> Sequence[Script]:
        return cast("Sequence[Script]", self.revisions)


class Check(Posted):
    id: CheckId
    outcome: Outcome
    reason: Sentence | None = None
    duration_ms: Milliseconds = 0.0


class Finding(Posted):
    check: CheckId
    severity: Severity
    revision: Name | None = None
    object: Place | None = None
    subject: Sentence | None = None
    message: Sentence
    detail: Text | None = None
    help: Sentence | None = None
    path: Place | None = None
    line: Line | None = None
    fingerprint: Fingerprint
    allowed: Sentence | None = None


class Lock(Posted):
    table: Name
    mode: Short


class Statement(Posted):
    sql: Text
    duration_ms: Milliseconds
    locks: Many[Lock] = []
    rewrites: Many[Name] = []
    scans: Many[Name] = []


class Step(Posted):
    revision: Name
    direction: Literal["upgrade", "downgrade"]
    duration_ms: Milliseconds
    transactional: Flag = True
    statements: Many[Statement] = []
    changes: Many[Text] = []


class PostedReport(Posted):
    """A report in the format `overproof-report/1`. Other fields are stored with it and otherwise ignored."""

    format: Literal["overproof-report/1"]
    verdict: Verdict
    reason: Sentence | None = None
    tool: Tool
    target: Target
    postgres: Short | None = None
    alembic: Short | None = None
    sqlalchemy: Short | None = None
    started_at: Annotated[AwareDatetime, AfterValidator(in_utc)]
    duration_ms: Milliseconds
    graph: Graph = Graph()
    checks: Few[Check] = []
    findings: Many[Finding] = []
    steps: All[Annotated[Step, Unkept]] = []
    digest: Any = Field(default=None, description="The SHA-256 of that schema.")
    snapshot: All[Annotated[dict[str, Any], Unkept]] | None = Field(default=None, description="The schema at head.")

    def derived_verdict(self) -> Verdict:
        """By the findings, however the gate was configured: `--fail-on never` makes no sound migration of a broken one.

        Raises ReportRefused if the report contradicts itself.
        """
        open_severities = {finding.severity for finding in self.findings if finding.allowed is None}
        if contradictions := list(self._contradictions(open_severities)):
            raise ReportRefused(contradictions[:MOST_ERRORS])
        if self.verdict is Verdict.ERROR:
            return Verdict.ERROR
        return Verdict.FAIL if Severity.ERROR in open_severities else self.verdict

    def _contradictions(self, open_severities: Collection[Severity]) -> Iterator[tuple[str, str]]:
        if self.verdict is Verdict.FAIL and not open_severities:
            yield "verdict", "is fail, and there is no open finding"
        open_checks = {finding.check for finding in self.findings if finding.allowed is None}
        for index, check in enumerate(self.checks):
            if check.outcome in (Outcome.PASS, Outcome.SKIPPED) and check.id in open_checks:
                yield f"checks.{index}.outcome", f"is {check.outcome}, and {check.id} has an open finding"
            elif check.outcome in (Outcome.FAIL, Outcome.WARN, Outcome.NOTICE) and check.id not in open_checks:
                yield f"checks.{index}.outcome", f"is {check.outcome}, and {check.id} has no open finding"

    def reported_history(self) -> ReportedHistory:
        findings: dict[str, list[dict[str, Any]]] = defaultdict(list)
        for finding in self.findings:
            if finding.revision is not None:
                findings[finding.revision].append(dict(finding))
        was_applied = any(check.id == "upgrade" and check.outcome is not Outcome.SKIPPED for check in self.checks)
        return ReportedHistory(self.graph.heads, self.graph.scripts, findings, was_applied)


class ReadReport(NamedTuple):
    """A valid report."""

    view: PostedReport
    content: bytes  # the report as it was posted, compressed by gzip
    digest: bytes  # SHA-256 of the report with sorted keys and without white space

    def read_snapshot(self) -> Any:
        """The schema at head, which is not kept in memory, since few reports have one that is new."""
        return from_json(gzip.decompress(self.content)).get("snapshot")


def read_report(pieces: list[bytes]) -> ReadReport:
    """The report in these pieces, whose list is emptied to free their memory early. Raises ReportRefused."""
    body = join(pieces)
    content = parse_json(body)
    try:
        view = PostedReport.model_validate(content)
    except ValidationError as error:
        errors = [
            (".".join(map(str, each["loc"])) or "body", each["msg"]) for each in error.errors(include_input=False)
        ]
        raise ReportRefused(errors[:MOST_ERRORS]) from None
    digest = hashlib.sha256(canonical_json(content).encode()).digest()
    return ReadReport(view, gzip.compress(body, COMPRESSION, mtime=0), digest)


def join(pieces: list[bytes]) -> bytes:
    """Empties the list."""
    body = b"".join(pieces)
    pieces.clear()
    return body


def read_json(pieces: list[bytes]) -> Any:
    """Empties the list. Raises ReportRefused."""
    return parse_json(join(pieces))


def parse_json(body: bytes) -> Any:
    """Raises ReportRefused."""
    require_bounded(body)
    try:
        return from_json(body)
    except ValueError as error:
        raise ReportRefused([("body", f"is not JSON: {error}")]) from None


def canonical_json(content: Any) -> str:
    """The text that is stored. Raises ReportRefused for values that PostgreSQL cannot store."""
    try:
        text = json.dumps(content, sort_keys=True, separators=(",", ":"), allow_nan=False)
    except ValueError:  # NaN or an infinite number
        raise ReportRefused(_first(unstorable(content))) from None
    if "\\u0000" in text and (errors := _first(unstorable(content))):
        raise ReportRefused(errors)
    return text


def _first(errors: Iterator[tuple[str, str]]) -> list[tuple[str, str]]:
    return [error for error, _ in zip(errors, range(MOST_ERRORS), strict=False)]


def unstorable(value: Any, where: str = "") -> Iterator[tuple[str, str]]:
    """(position, reason) of each part of a JSON value that JSONB and text columns reject."""
    if isinstance(value, dict):
        for key, item in value.items():
            yield from unstorable(key, f"{where} (a name)".strip())
            yield from unstorable(item, f"{where}.{key}".lstrip("."))
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from unstorable(item, f"{where}.{index}".lstrip("."))
    elif isinstance(value, str) and "\0" in value:
        yield where, "must not contain a NUL character"
    elif isinstance(value, float) and not math.isfinite(value):
        yield where, "must be a finite number"
