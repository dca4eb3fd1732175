"""A report as somebody posted it: anyone can write one, so it is taken apart with care before it is stored.

This is the service's own view of a report. It names what is stored in columns, or shown, and says how long each list
and text may be; the gate's own reports fit. A field that is not named here is kept with the rest of the report and
ignored, so that a gate that is newer than the service can still be heard. What PostgreSQL would refuse, from a NUL
character to a year that has no UTC, is refused here, with the place where it stands; otherwise it would rise as a fault
of ours.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Iterator
from typing import Annotated, Any, Literal, NamedTuple, TypeVar

from pydantic import AfterValidator, AwareDatetime, BaseModel, ConfigDict, Field, JsonValue, ValidationError
from pydantic_core import from_json

from app.database import in_utc
from app.gate.report.verdict import Outcome, Severity, Verdict
from app.runs.bounds import require_bounded
from app.runs.errors import ReportRefused

MOST_ERRORS = 20  # in one answer; whoever sends a thousand has one cause for them
INTEGER_MAX = 2**31 - 1

Item = TypeVar("Item")
WITHOUT_NUL: dict[str, JsonValue] = {"pattern": r"^[^\u0000]*$"}  # documented, and checked in the whole report at once
Short = Annotated[str, Field(max_length=64, json_schema_extra=WITHOUT_NUL)]
Name = Annotated[str, Field(max_length=255, json_schema_extra=WITHOUT_NUL)]
Place = Annotated[str, Field(max_length=4_096, json_schema_extra=WITHOUT_NUL)]
Sentence = Annotated[str, Field(max_length=100_000, json_schema_extra=WITHOUT_NUL)]
Text = Annotated[str, Field(max_length=1_000_000, json_schema_extra=WITHOUT_NUL)]
CheckId = Annotated[str, Field(max_length=63, json_schema_extra=WITHOUT_NUL)]
Fingerprint = Annotated[str, Field(max_length=128, json_schema_extra=WITHOUT_NUL)]
Flag = Annotated[bool, Field(strict=True)]
Line = Annotated[int, Field(strict=True, ge=1, le=INTEGER_MAX)]
Milliseconds = Annotated[float, Field(strict=True, ge=0, allow_inf_nan=False)]
# A list is read up to its first element that does not fit.
Few = Annotated[list[Item], Field(fail_fast=True, max_length=1_000)]
Many = Annotated[list[Item], Field(fail_fast=True, max_length=50_000)]
All = Annotated[list[Item], Field(fail_fast=True, max_length=200_000)]


# What is checked and then let go, an element at a time: nothing of it is stored beside the report itself.
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
    sha256: Short | None = None
    new: Flag = True


class Graph(Posted):
    heads: Few[Name] = []
    bases: Few[Name] = []
    revisions: Many[Annotated[Revision, Unkept]] = []


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
    """A report in the format `overproof-report/1`. Fields that are not named here are kept and ignored."""

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
    snapshot: All[Annotated[dict[str, Any], Unkept]] | None = Field(default=None, description="The schema at head.")


class ReadReport(NamedTuple):
    """A report that can be kept."""

    view: PostedReport
    text: str  # the whole, as JSON
    digest: bytes  # sha256 of the text; it does not depend on the order of keys or on spaces


def read_report(pieces: list[bytes]) -> ReadReport:
    """The report that was sent in these pieces, which are let go as soon as they are read. Raises ReportRefused."""
    content = read_json(pieces)
    try:
        view = PostedReport.model_validate(content)
    except ValidationError as error:
        errors = [
            (".".join(map(str, each["loc"])) or "body", each["msg"]) for each in error.errors(include_input=False)
        ]
        raise ReportRefused(errors[:MOST_ERRORS]) from None
    text = canonical_json(content)
    return ReadReport(view, text, hashlib.sha256(text.encode()).digest())


def read_json(pieces: list[bytes]) -> Any:
    """Raises ReportRefused."""
    body = b"".join(pieces)
    pieces.clear()
    require_bounded(body)
    try:
        return from_json(body)
    except ValueError as error:
        raise ReportRefused([("body", f"is not JSON: {error}")]) from None


def canonical_json(content: Any) -> str:
    """As it is kept. Raises ReportRefused where it holds what PostgreSQL cannot keep."""
    try:
        text = json.dumps(content, sort_keys=True, separators=(",", ":"), allow_nan=False)
    except ValueError:  # a number that is none
        raise ReportRefused(_first(unstorable(content))) from None
    if "\\u0000" in text and (errors := _first(unstorable(content))):
        raise ReportRefused(errors)
    return text


def _first(errors: Iterator[tuple[str, str]]) -> list[tuple[str, str]]:
    return [error for error, _ in zip(errors, range(MOST_ERRORS), strict=False)]


def unstorable(value: Any, where: str = "") -> Iterator[tuple[str, str]]:
    """Where in a JSON value there is something that JSONB and text columns refuse, and what."""
    if isinstance(value, dict):
        for key, item in value.items():
            yield from unstorable(key, f"{where} (a name)".strip())
            yield from unstorable(item, f"{where}.{key}".lstrip("."))
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from unstorable(item, f"{where}.{index}".lstrip("."))
    elif isinstance(value, str) and "\0" in value:
        yield where, "PostgreSQL stores no NUL character"
    elif isinstance(value, float) and not math.isfinite(value):
        yield where, "must be a finite number"
