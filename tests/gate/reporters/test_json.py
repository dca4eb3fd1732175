from __future__ import annotations

import json

from hypothesis import given

from app.gate.report.model import Report
from app.gate.reporters.json import render, without_risks
from tests.gate.reporters.samples import finding, report
from tests.gate.reporters.strategies import reports
from tests.gate.reporters.test_escaping import is_workflow_command


def test_the_fields_are_those_of_the_design() -> None:
    document = json.loads(render(report(finding())))

    assert list(document) == [
        "format", "verdict", "reason", "tool", "target", "judged", "deployed", "not_covered", "postgres", "alembic", "sqlalchemy", "started_at", "duration_ms",
        "graph", "checks", "findings", "steps", "snapshot", "digest",
    ]  # fmt: skip
    assert document["format"] == "overproof-report/1"
    assert list(document["findings"][0]) == [
        "check", "severity", "revision", "object", "subject", "message", "detail", "help", "assumption", "tables", "path", "line",
        "excerpt", "fingerprint", "allowed",
    ]  # fmt: skip


def test_what_is_not_seen_is_an_escape_of_four_digits_for_each_unit() -> None:
    assert without_risks('"\x9b##[x\U000e0001"') == r'"\u009b##\u005bx\udb40\udc01"'


@given(reports())
def test_it_reads_back_as_the_same_report(sample: Report) -> None:
    assert Report.model_validate_json(render(sample)) == sample


@given(reports())
def test_it_is_fit_for_a_terminal_and_for_the_log_of_a_job(sample: Report) -> None:
    text = render(sample)

    assert not any(character < " " or "\x7f" <= character <= "\x9f" for character in text.replace("\n", ""))
    assert not any(is_workflow_command(line) for line in text.split("\n"))
