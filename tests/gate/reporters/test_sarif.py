from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import jsonschema  # type: ignore[import-untyped]
import pytest
from hypothesis import given

from app.gate.checks.pages import find_url, page_of
from app.gate.checks.registry import CHECKS, get_check
from app.gate.report.model import CheckEntry, GraphEntry, Report
from app.gate.report.verdict import Outcome, Severity, Verdict
from app.gate.reporters.sarif import render
from tests.gate.reporters.samples import ATTACKS, finding, report
from tests.gate.reporters.strategies import reports

SCHEMA = json.loads(Path(__file__).with_name("sarif-2.1.0-rtm.5.json").read_text(encoding="utf-8"))
VALIDATOR = jsonschema.validators.validator_for(SCHEMA)(SCHEMA, format_checker=jsonschema.FormatChecker())


def run_of(sample: Report) -> dict[str, Any]:
    (run,) = json.loads(render(sample))["runs"]
    assert isinstance(run, dict)
    return run


@given(reports())
def test_it_meets_the_schema_of_the_standard(sample: Report) -> None:
    VALIDATOR.validate(json.loads(render(sample)))


@pytest.mark.parametrize("attack", ATTACKS)
def test_a_message_is_no_link(attack: str) -> None:
    (result,) = run_of(report(finding(attack)))["results"]

    assert "[click](" not in result["message"]["text"].replace(r"\[", "")


def test_a_result_points_at_a_line_relative_to_the_root_of_the_repository() -> None:
    (result,) = run_of(report(finding(path="my versions/ä.py")))["results"]

    assert result["locations"] == [
        {
            "physicalLocation": {
                "artifactLocation": {"uri": "my%20versions/%C3%A4.py", "uriBaseId": "SRCROOT"},
                "region": {"startLine": 20},
            }
        }
    ]


def test_a_finding_about_the_history_is_shown_at_its_head() -> None:
    (result,) = run_of(report(finding(revision=None, path=None, line=None)))["results"]

    location = result["locations"][0]["physicalLocation"]
    assert location["artifactLocation"]["uri"] == "versions/b2.py"


def test_rules_come_from_the_docstrings_of_the_checks() -> None:
    checks = [CheckEntry(id=check.id, outcome=Outcome.PASS) for check in CHECKS]

    rules = run_of(report(checks=checks))["tool"]["driver"]["rules"]

    assert [rule["id"] for rule in rules] == [check.id for check in CHECKS]
    for rule in rules:
        assert rule["helpUri"] == find_url(rule["id"])
        assert rule["shortDescription"]["text"].endswith(".")
        assert len(rule["fullDescription"]["text"]) > 40
        assert "How to fix" in rule["help"]["text"]


def test_a_rule_has_the_words_of_its_page_and_one_that_is_not_known_has_its_name() -> None:
    known, unknown = run_of(
        report(finding(check="retired-check"), checks=[CheckEntry(id="round-trip", outcome=Outcome.PASS)])
    )["tool"]["driver"]["rules"]

    page = page_of(get_check("round-trip"))
    assert known["shortDescription"] == {"text": "A downgrade that fails, or does not restore the schema."}
    assert known["fullDescription"] == {"text": page.sections["Catches"]}
    assert known["help"] == {"text": page.text}
    assert unknown == {"id": "retired-check", "name": "RetiredCheck"}


def test_a_file_outside_of_the_repository_has_its_whole_path() -> None:
    (result,) = run_of(report(finding(path="/tmp/my a1.py", line=0)))["results"]

    assert result["locations"] == [{"physicalLocation": {"artifactLocation": {"uri": "file:///tmp/my%20a1.py"}}}]


@pytest.mark.parametrize(("line", "region"), [(1, {"startLine": 1}), (0, None), (None, None)])
def test_lines_count_from_one(line: int | None, region: dict[str, int] | None) -> None:
    (result,) = run_of(report(finding(line=line)))["results"]

    assert result["locations"][0]["physicalLocation"].get("region") == region


def test_without_any_path_there_is_no_location() -> None:
    (result,) = run_of(report(finding(path=None, line=None), graph=GraphEntry()))["results"]

    assert result["locations"] == []


def test_text_of_any_language_stays_readable() -> None:
    assert '"text": "Größe"' in render(report(finding("Größe")))


def test_results_name_their_rule_level_and_fingerprint() -> None:
    run = run_of(report(finding(), finding(check="upgrade", severity=Severity.NOTICE)))

    ids = [rule["id"] for rule in run["tool"]["driver"]["rules"]]
    assert [ids[result["ruleIndex"]] for result in run["results"]] == ["round-trip", "upgrade"]
    assert [result["level"] for result in run["results"]] == ["error", "note"]
    assert run["results"][0]["partialFingerprints"] == {"overproof/v2": "0123456789abcdef0123456789abcdef"}


def test_accepted_findings_are_suppressed_with_their_reason() -> None:
    results = run_of(report(finding(), finding(allowed="so it is"), finding(allowed="in the baseline b.json")))[
        "results"
    ]

    assert [result["suppressions"] for result in results] == [
        [],
        [{"kind": "inSource", "justification": "so it is"}],
        [{"kind": "external", "justification": "in the baseline b.json"}],
    ]


def test_an_error_is_an_invocation_that_did_not_succeed() -> None:
    (invocation,) = run_of(report(verdict=Verdict.ERROR, reason="there is no server"))["invocations"]

    assert invocation["executionSuccessful"] is False
    assert invocation["toolExecutionNotifications"][0]["message"]["text"] == "there is no server"
