from __future__ import annotations

from hypothesis import given
from junitparser import JUnitXml

from app.gate.report.model import Report
from app.gate.report.verdict import Severity, Verdict
from app.gate.reporters.escaping import visible
from app.gate.reporters.junit import render
from tests.gate.reporters.samples import finding, report
from tests.gate.reporters.strategies import reports


def cases_of(sample: Report) -> dict[tuple[str, str], str]:
    """{("round-trip", "a1"): "failure"}, as a JUnit reader sees it."""
    return {
        (str(suite.name), str(case.name)): "passed" if case.is_passed else str(case.result[0]._tag)
        for suite in JUnitXml.fromstring(render(sample).encode())
        for case in suite
    }


def test_there_is_a_case_for_each_check_and_each_revision_with_findings() -> None:
    assert cases_of(report(finding(), finding(revision="b2"), finding(revision=None))) == {
        ("upgrade", "history"): "passed",
        ("round-trip", "a1"): "failure",
        ("round-trip", "b2"): "failure",
        ("round-trip", "history"): "failure",
        ("schema-drift", "history"): "skipped",
    }


def test_what_does_not_fail_the_run_is_no_failure() -> None:
    cases = cases_of(report(finding(severity=Severity.WARNING), finding(revision="b2", allowed="for a reason")))

    assert cases["round-trip", "a1"] == "passed"
    assert cases["round-trip", "b2"] == "passed"


def test_a_warning_is_a_failure_where_warnings_fail_the_run() -> None:
    cases = cases_of(report(finding(severity=Severity.WARNING), verdict=Verdict.FAIL))

    assert cases["round-trip", "a1"] == "failure"


def test_an_error_is_an_error() -> None:
    read = JUnitXml.fromstring(render(report(verdict=Verdict.ERROR, reason="there is no server")).encode())

    assert read.errors == 1
    assert cases_of(report(verdict=Verdict.ERROR, reason="x"))["verification", "verify"] == "error"


def test_the_findings_of_a_case_that_fails_are_counted_and_all_in_its_text() -> None:
    one, two, three = (render(report(*(finding(f"No {at}.") for at in range(number)))) for number in (1, 2, 3))

    assert 'message="No 0." type="error">versions/a1.py:20: error: No 0.</failure>' in one
    assert (
        'message="No 0. (and 1 more finding)" type="error">versions/a1.py:20: error: No 0.\n\nversions/a1.py:20: error: No 1.</failure>'
        in two
    )
    assert "(and 2 more findings)" in three


@given(reports())
def test_it_loads_in_a_reader_with_the_words_of_each_finding_and_counts_that_agree(sample: Report) -> None:
    read = JUnitXml.fromstring(render(sample).encode())

    cases = [case for suite in read for case in suite]
    assert read.tests == len(cases)
    assert read.failures == sum(case.is_failure for case in cases)
    texts_shown = "".join(
        text for case in cases for text in [case.system_out or "", *((result.text or "") for result in case.result)]
    )
    suites = {suite.name for suite in read}
    for each in sample.findings:
        if each.check in suites and each.message.strip():
            assert visible(each.message).strip() in texts_shown
