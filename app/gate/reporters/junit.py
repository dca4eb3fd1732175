"""JUnit XML, which nearly every CI system can show: a suite per check, a test case per revision with findings.

A check without findings is one test case that passed. What fails the run is a failure; what does not is in the output
of a test case that passed.
"""

from __future__ import annotations

from collections.abc import Iterator
from xml.etree import ElementTree

from app.gate.report.model import CheckEntry, FindingEntry, Report
from app.gate.report.verdict import Outcome, Verdict
from app.gate.reporters.escaping import visible
from app.gate.reporters.text import location
from app.gate.wording import counted

WHOLE = "history"  # the name of the case about the whole history


def render(report: Report) -> str:
    root = ElementTree.Element("testsuites", name="overproof", time=_seconds(report.duration_ms))
    for check in report.checks:
        root.append(_suite(check, report))
    if report.verdict is Verdict.ERROR:
        suite = ElementTree.SubElement(root, "testsuite", name="verification")
        case = ElementTree.SubElement(suite, "testcase", name="verify", classname="overproof.verification", time="0")
        ElementTree.SubElement(case, "error", message=visible(report.reason or ""), type="CannotVerify")
        _count(suite, 0.0)
    for name in ("tests", "failures", "errors", "skipped"):
        root.set(name, str(sum(int(suite.get(name, "0")) for suite in root)))
    ElementTree.indent(root)
    # A closing bracket ends a command of the older form in the log of a GitHub Actions job.
    body = ElementTree.tostring(root, encoding="unicode").replace("##[", "##&#91;")
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{body}\n'


def _suite(check: CheckEntry, report: Report) -> ElementTree.Element:
    suite = ElementTree.Element("testsuite", name=check.id)
    by_revision: dict[str, list[FindingEntry]] = {}
    for finding in report.findings:
        if finding.check == check.id:
            by_revision.setdefault(finding.revision or WHOLE, []).append(finding)
    for revision, findings in by_revision.items():
        case = _case(suite, check, revision)
        failing = [each for each in findings if each.allowed is None and each.severity in report.failing_severities]
        for finding in failing[:1]:
            more = f" (and {counted(len(failing) - 1, 'more finding')})" if len(failing) > 1 else ""
            failure = ElementTree.SubElement(
                case, "failure", message=visible(finding.message + more), type=finding.severity
            )
            failure.text = "\n\n".join(_text_of(each) for each in failing)
        others = "\n\n".join(_text_of(each) for each in findings if each not in failing)
        if others:
            ElementTree.SubElement(case, "system-out").text = others
    if not by_revision:
        case = _case(suite, check, WHOLE)
        if check.outcome is Outcome.SKIPPED:
            ElementTree.SubElement(case, "skipped", message=visible(check.reason or ""))
    _count(suite, check.duration_ms)
    return suite


def _case(suite: ElementTree.Element, check: CheckEntry, name: str) -> ElementTree.Element:
    return ElementTree.SubElement(suite, "testcase", name=visible(name), classname=f"overproof.{check.id}", time="0")


def _text_of(finding: FindingEntry) -> str:
    return "\n".join(visible(line) for line in _lines(finding))


def _lines(finding: FindingEntry) -> Iterator[str]:
    place = location(finding)
    yield f"{place}: {finding.severity}: {finding.message}" if place else f"{finding.severity}: {finding.message}"
    if finding.detail:
        yield finding.detail
    if finding.help:
        yield f"Fix: {finding.help}"
    if finding.allowed is not None:
        yield f"Accepted: {finding.allowed}"


def _count(suite: ElementTree.Element, duration_ms: float) -> None:
    suite.set("tests", str(len(suite)))
    suite.set("failures", str(len(suite.findall("testcase/failure"))))
    suite.set("errors", str(len(suite.findall("testcase/error"))))
    suite.set("skipped", str(len(suite.findall("testcase/skipped"))))
    suite.set("time", _seconds(duration_ms))


def _seconds(duration_ms: float) -> str:
    return f"{duration_ms / 1000:.3f}"
