"""What a report says of its own findings."""

from __future__ import annotations

import pytest

from app.gate.report import verdict
from app.gate.report.model import CheckEntry, FindingEntry
from app.gate.report.verdict import SMALL_TABLE_ROWS, Outcome, Severity, Verdict
from tests.gate.reporters.samples import finding, report

ERROR, WARNING, NOTICE = (finding(severity=each) for each in Severity)


@pytest.mark.parametrize(
    ("reason", "is_deselected"),
    [
        (verdict.IGNORED, True),
        (verdict.NOT_SELECTED, True),
        (verdict.NOT_ASKED_FOR, True),
        (verdict.CODE_STARTS_LATER, True),
        (verdict.NO_OTHER_HISTORY, True),
        (verdict.NOTHING_NEW, True),
        ("head was not reached", False),
        (None, False),
    ],
)
def test_a_check_that_somebody_left_out_is_told_from_one_that_could_not_judge(
    reason: str | None, is_deselected: bool
) -> None:
    assert CheckEntry(id="a", outcome=Outcome.SKIPPED, reason=reason).is_deselected is is_deselected


def test_open_findings_are_sorted_by_severity_and_else_stay_in_their_order() -> None:
    first, second = finding("first", severity="warning"), finding("second", severity="warning")
    accepted = finding(allowed="")

    sample = report(NOTICE, first, accepted, ERROR, second)

    assert sample.open_findings == [ERROR, first, second, NOTICE]
    assert sample.accepted_findings == [accepted]


@pytest.mark.parametrize(
    ("findings", "outcome", "failing"),
    [
        ([ERROR, WARNING], Verdict.FAIL, {Severity.ERROR}),
        ([WARNING, NOTICE], Verdict.FAIL, {Severity.WARNING}),
        ([finding(allowed="so"), WARNING], Verdict.FAIL, {Severity.WARNING}),
        ([WARNING], Verdict.PASS, set()),
        ([ERROR], Verdict.ERROR, set()),
    ],
)
def test_what_failed_a_run(findings: list[FindingEntry], outcome: Verdict, failing: set[Severity]) -> None:
    assert report(*findings, verdict=outcome).failing_severities == failing


def test_a_baseline_is_told_from_a_comment() -> None:
    reasons = ["in the baseline b.json", "known in the baseline", None]

    assert [finding(allowed=each).is_in_baseline for each in reasons] == [True, False, False]


def test_ten_thousand_rows_are_no_small_table() -> None:
    assert SMALL_TABLE_ROWS == 10_000
