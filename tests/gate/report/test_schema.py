"""The published JSON Schema is that of the model, and of the reports that the gate writes.

`tests/gate/commands/test_verify.py` holds each report that it reads against it too: those of real runs.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import jsonschema  # type: ignore[import-untyped]
import pytest
from hypothesis import given

from app.gate.report.model import Report
from app.gate.report.schema import render
from app.gate.report.verdict import Verdict
from app.gate.reporters import renderer_for
from tests.gate.reporters.samples import finding, report
from tests.gate.reporters.strategies import reports

PUBLISHED = Path(__file__).parents[3] / "docs" / "overproof-report-1.schema.json"
VALIDATOR = jsonschema.validators.validator_for(json.loads(PUBLISHED.read_text("utf-8")))(
    json.loads(PUBLISHED.read_text("utf-8")), format_checker=jsonschema.FormatChecker()
)


def written(sample: Report) -> Any:
    return json.loads(renderer_for("json")(sample))


def test_what_is_published_is_current() -> None:
    assert PUBLISHED.read_text("utf-8") == render(), (
        f"python -m app.gate.report.schema > {PUBLISHED.relative_to(Path.cwd())}"
    )


def test_it_is_a_schema() -> None:
    VALIDATOR.check_schema(VALIDATOR.schema)


@given(reports())
def test_reports_meet_it(sample: Report) -> None:
    VALIDATOR.validate(written(sample))


@pytest.mark.parametrize("verdict", Verdict)
def test_a_report_with_fields_of_a_later_version_meets_it(verdict: Verdict) -> None:
    document = written(report(finding(), verdict=verdict))
    document["later"] = document["findings"][0]["later"] = document["graph"]["later"] = 1

    VALIDATOR.validate(document)


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("format",), "overproof-report/2"),
        (("verdict",), "perhaps"),
        (("findings", 0, "severity"), "fatal"),
        (("findings", 0, "message"), None),
        (("graph", "revisions", 0, "new"), "yes"),
        (("started_at",), 12),
    ],
)
def test_what_is_no_report_does_not_meet_it(path: tuple[Any, ...], value: object) -> None:
    document = written(report(finding()))
    *way, last = path
    place = document
    for step in way:
        place = place[step]
    place[last] = value

    assert not VALIDATOR.is_valid(document)


def test_fields_have_the_words_of_the_model() -> None:
    described = VALIDATOR.schema["$defs"]["JudgedEntry"]["properties"]

    assert described["revisions"]["description"] == "those that were run"
    assert "the Git ref" in described["base"]["description"]
