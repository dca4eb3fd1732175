"""What several reporters need: findings by revision, and totals."""

from __future__ import annotations

import shlex
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from app.gate.report.model import FindingEntry, Report
from app.gate.report.verdict import Severity
from app.gate.wording import counted, listed


@dataclass(frozen=True)
class FindingGroup:
    """The findings about one revision, the most severe first. Without a revision: about the history as a whole."""

    revision: str | None
    message: str  # the revision's own, maybe empty
    findings: list[FindingEntry]


def groups_of(report: Report, findings: Iterable[FindingEntry]) -> list[FindingGroup]:
    """The revisions in the order in which they are applied, then the history as a whole."""
    messages = {each.revision: each.message for each in report.graph.revisions}
    by_revision: dict[str | None, list[FindingEntry]] = {revision: [] for revision in messages}
    for finding in findings:
        by_revision.setdefault(finding.revision, []).append(finding)
    by_revision[None] = by_revision.pop(None, [])
    return [
        FindingGroup(revision, messages.get(revision or "", ""), members)
        for revision, members in by_revision.items()
        if members
    ]


def place_of(finding: FindingEntry, report: Report) -> tuple[str | None, int | None]:
    """The path and line at which a tool shows the finding. One about the history as a whole is shown at its head."""
    if finding.path is not None:
        return finding.path, finding.line
    heads = set(report.graph.heads)
    return next(
        ((each.path, 1) for each in report.graph.revisions if each.revision in heads and each.path), (None, None)
    )


def totals(findings: Iterable[FindingEntry]) -> str:
    """ "2 errors, 1 warning and 3 notices"; empty if there are none."""
    return totals_of(Counter(finding.severity for finding in findings))


def totals_of(numbers: Mapping[Severity, int]) -> str:
    """The same where their numbers are known."""
    return listed([counted(numbers[severity], severity.value) for severity in Severity if numbers.get(severity)])


def header_of(report: Report) -> list[tuple[str, str]]:
    """What was judged: each line of it with its name. Empty if nothing is known of the history."""
    if not report.graph.revisions:
        return []
    versions = (("Alembic", report.alembic), ("SQLAlchemy", report.sqlalchemy), ("PostgreSQL", report.postgres))
    base, commit = report.judged.base, report.target.commit
    lines = [
        ("Command", shlex.join(report.target.command)),
        ("Versions", ", ".join(f"{name} {version}" for name, version in versions if version)),
        ("Commit", commit[:12] if commit else ""),
        ("Base", f"{base} at {(report.judged.commit or '')[:12]}" if base else "none: every revision is judged as new"),
        ("Judged", _judged(report)),
        ("Deployed", _deployed(report)),
    ]
    return [(name, value) for name, value in lines if value]


def _deployed(report: Report) -> str:
    """By whose sizes the findings were weighed."""
    if report.deployed is None:
        return ""
    at = f" at {listed(report.deployed.revisions)}" if report.deployed.revisions else ""
    taken = f", as of {report.deployed.taken_at}" if report.deployed.taken_at else ""
    return f"{report.deployed.source}{at}{taken}"


def _judged(report: Report) -> str:
    number = len(report.graph.revisions)
    judged = set(report.judged.revisions)
    new = sum(each.new for each in report.graph.revisions)
    text = f"{len(report.judged.revisions)} of {counted(number, 'revision')}"
    stops = any(
        each.check == "upgrade" and each.severity is Severity.ERROR and each.revision for each in report.findings
    )
    if stops and (untried := len(judged - {step.revision for step in report.steps})):
        text += f"; {untried} of them could not be tried"
    if report.judged.base is None or len(judged) < number or new:
        return text
    return f"{text}; none is new, so hazards were not tried"
