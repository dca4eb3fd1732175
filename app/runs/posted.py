"""A report as somebody posted it: anyone can write one, so it is taken apart with care before it is stored.

The gate's own reports always fit. What PostgreSQL would refuse, from a NUL character to a year that has no UTC, is
refused here, with the place where it stands; otherwise it would rise as a fault of ours.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Iterator
from typing import Annotated, Any

import sqlalchemy as sa
from pydantic import AfterValidator, AwareDatetime, ValidationError
from sqlmodel import SQLModel

from app.database import in_utc
from app.gate.report.model import Report
from app.runs.errors import ReportRefused

MOST_ERRORS = 20  # in one answer; whoever sends a thousand has one cause for them
INTEGER_MAX = 2**31 - 1


class PostedReport(Report):
    """A report with a time that everyone understands alike."""

    started_at: Annotated[AwareDatetime, AfterValidator(in_utc)]


def read_report(body: bytes) -> PostedReport:
    """Raises ReportRefused."""
    try:
        return PostedReport.model_validate_json(body)
    except ValidationError as error:
        errors = [
            (".".join(map(str, each["loc"])) or "body", each["msg"]) for each in error.errors(include_input=False)
        ]
        raise ReportRefused(errors[:MOST_ERRORS]) from None


def canonical_json(report: PostedReport) -> tuple[dict[str, Any], bytes]:
    """The report as it is kept, and its digest, which does not depend on the order of keys or on spaces.

    Raises ReportRefused where it holds what PostgreSQL cannot keep.
    """
    # The snapshot is plain JSON already, and dumping it would make null of an infinite number.
    content = report.model_dump(mode="json", exclude={"snapshot"}) | {"snapshot": report.snapshot}
    if errors := list(unstorable(content)):
        raise ReportRefused(errors[:MOST_ERRORS])
    text = json.dumps(content, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return content, hashlib.sha256(text.encode()).digest()


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
    elif isinstance(value, int) and value.bit_length() > 63:
        yield where, "must be a number of at most 64 bits"


def misfits(row: SQLModel, where: str) -> Iterator[tuple[str, str]]:
    """What of a row does not fit its columns. Their lengths are written once, in the model."""
    for column in sa.inspect(type(row)).columns:
        value = getattr(row, column.key)
        length = getattr(column.type, "length", None)
        if isinstance(value, str) and isinstance(length, int) and len(value) > length:
            yield f"{where}{column.key}", f"must have at most {length} characters"
        elif isinstance(column.type, sa.Integer) and isinstance(value, int) and not 0 <= value <= INTEGER_MAX:
            yield f"{where}{column.key}", f"must be between 0 and {INTEGER_MAX}"
        elif isinstance(column.type, sa.Float) and isinstance(value, float) and value < 0:
            yield f"{where}{column.key}", "must not be negative"
