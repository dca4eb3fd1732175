"""GitLab's Code Quality report, for the widget of a merge request and the lines of its changes.

https://docs.gitlab.com/ci/testing/code_quality/#code-quality-report-format
"""

from __future__ import annotations

import hashlib
import json
from typing import Any

from app.gate.report.model import FindingEntry, Report
from app.gate.report.verdict import Severity, Verdict
from app.gate.reporters._grouping import place_of
from app.gate.reporters.escaping import one_line
from app.gate.reporters.json import without_risks

SEVERITIES = {Severity.ERROR: "critical", Severity.WARNING: "major", Severity.NOTICE: "info"}
NOT_VERIFIED = "blocker"
CONFIGURATION = "alembic.ini"  # where nothing is known of the scripts: GitLab drops an entry without a path


def render(report: Report) -> str:
    """An entry for each open finding. GitLab compares two reports by the fingerprints, and lists what is new."""
    entries = [_entry(finding, report) for finding in report.open_findings]
    if report.verdict is Verdict.ERROR:
        # An empty report would say that everything is fixed.
        entries.insert(0, _error_entry(report))
    return without_risks(json.dumps(entries, indent=2, ensure_ascii=False)) + "\n"


def _entry(finding: FindingEntry, report: Report) -> dict[str, Any]:
    path, line = place_of(finding, report)
    about = f" ({one_line(finding.revision)})" if finding.revision else ""
    return {
        "description": f"{one_line(finding.message)}{about}",
        "check_name": finding.check,
        "fingerprint": finding.fingerprint,
        "severity": SEVERITIES[finding.severity],
        "location": _location(path or report.target.script_location, line),
    }


def _error_entry(report: Report) -> dict[str, Any]:
    return {
        "description": f"Overproof could not verify the migrations: {one_line(report.reason or '')}",
        "check_name": "verify",
        "fingerprint": hashlib.sha256(b"could not verify").hexdigest()[:32],
        "severity": NOT_VERIFIED,
        "location": _location(report.target.script_location, None),
    }


def _location(path: str | None, line: int | None) -> dict[str, Any]:
    """A path relative to the repository's root, without "./"."""
    return {"path": (path or "").removeprefix("./") or CONFIGURATION, "lines": {"begin": line or 1}}
