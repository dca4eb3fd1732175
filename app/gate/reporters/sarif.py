"""SARIF 2.1.0, for code scanning and other tools that collect the findings of many checkers.

https://docs.oasis-open.org/sarif/sarif/v2.1.0/sarif-v2.1.0.html
"""

from __future__ import annotations

import json
import re
from pathlib import PurePosixPath
from typing import Any
from urllib.parse import quote

from app.gate.checks.pages import find_url, page_of
from app.gate.checks.registry import UnknownCheck, get_check
from app.gate.report.model import FindingEntry, Report
from app.gate.report.verdict import Severity, Verdict
from app.gate.reporters._grouping import place_of
from app.gate.reporters.escaping import visible
from app.gate.reporters.json import without_risks

SCHEMA = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/os/schemas/sarif-schema-2.1.0.json"
ROOT = "SRCROOT"  # the repository's root, which only the reader of the log knows
FINGERPRINT = "overproof/v2"

LINK = re.compile(r"\[(?=[^\[\]]*\]\()")

LEVELS = {Severity.ERROR: "error", Severity.WARNING: "warning", Severity.NOTICE: "note"}


def render(report: Report) -> str:
    log = {"$schema": SCHEMA, "version": "2.1.0", "runs": [_run(report)]}
    return without_risks(json.dumps(log, indent=2, ensure_ascii=False)) + "\n"


def _run(report: Report) -> dict[str, Any]:
    checks = list(dict.fromkeys([*(each.id for each in report.checks), *(each.check for each in report.findings)]))
    return {
        "tool": {
            "driver": {
                "name": "Overproof",
                "semanticVersion": report.tool.version,
                "rules": [_rule(check) for check in checks],
            }
        },
        "invocations": [_invocation(report)],
        "columnKind": "unicodeCodePoints",
        "originalUriBaseIds": {ROOT: {"description": {"text": "The root of the repository."}}},
        "results": [_result(finding, checks.index(finding.check), report) for finding in report.findings],
    }


def _rule(check_id: str) -> dict[str, Any]:
    name = "".join(word.capitalize() for word in check_id.split("-"))
    try:
        check = get_check(check_id)
    except UnknownCheck:  # The report is of another version.
        return {"id": check_id, "name": name}
    page = page_of(check)
    return {
        "id": check.id,
        "name": name,
        "shortDescription": {"text": f"{page.title}."},
        "fullDescription": {"text": page.sections.get("Catches", page.title)},
        "help": {"text": page.text},
        "helpUri": find_url(check.id),
        "defaultConfiguration": {"level": LEVELS[check.severity]},
        "properties": {"tags": ["database", "migration"]},
    }


def _invocation(report: Report) -> dict[str, Any]:
    invocation: dict[str, Any] = {"executionSuccessful": report.verdict is not Verdict.ERROR}
    if report.reason:
        invocation["toolExecutionNotifications"] = [{"level": "error", "message": {"text": visible(report.reason)}}]
    return invocation


def _result(finding: FindingEntry, rule_index: int, report: Report) -> dict[str, Any]:
    result: dict[str, Any] = {
        "ruleId": finding.check,
        "ruleIndex": rule_index,
        "level": LEVELS[finding.severity],
        "message": {"text": _message(finding)},
        "locations": _locations(finding, report),
        "partialFingerprints": {FINGERPRINT: finding.fingerprint},
        # If one result of a log has suppressions, every result must say whether it has any.
        "suppressions": [],
    }
    if finding.allowed is not None:
        kind = "external" if finding.is_in_baseline else "inSource"
        result["suppressions"] = [{"kind": kind, "justification": visible(finding.allowed)}]
    assumption = finding.assumption.sql if finding.assumption else None
    properties = {"revision": finding.revision, "object": finding.object, "assumption": assumption}
    result["properties"] = {name: visible(value) for name, value in properties.items() if value is not None}
    return result


def _message(finding: FindingEntry) -> str:
    """Plain text, in which `[text](target)` would be a link. Braces are arguments only where arguments are given."""
    text = "\n\n".join(
        visible(part)
        for part in (finding.message, finding.detail, f"Fix: {finding.help}" if finding.help else None)
        if part
    )
    return LINK.sub(r"\[", text)


def _locations(finding: FindingEntry, report: Report) -> list[dict[str, Any]]:
    """Where the finding is; code scanning shows no result without a location."""
    path, line = place_of(finding, report)
    if path is None:
        return []
    location: dict[str, Any] = {"artifactLocation": _artifact(path)}
    if line is not None and line > 0:
        location["region"] = {"startLine": line}
    return [{"physicalLocation": location}]


def _artifact(path: str) -> dict[str, str]:
    if PurePosixPath(path).is_absolute():
        return {"uri": f"file://{quote(path)}"}
    return {"uri": quote(path), "uriBaseId": ROOT}
