"""What several reporters need: findings by revision, and totals."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
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
    """The history as a whole first, then the revisions in the order in which they are applied."""
    messages = {each.revision: each.message for each in report.graph.revisions}
    by_revision: dict[str | None, list[FindingEntry]] = {None: [], **{revision: [] for revision in messages}}
    for finding in findings:
        by_revision.setdefault(finding.revision, []).append(finding)
    return [
        FindingGroup(revision, messages.get(revision or "", ""), members)
        for revision, members in by_revision.items()
        if members
    ]


def totals(findings: Iterable[FindingEntry]) -> str:
    """ "2 errors, 1 warning and 3 notices"; empty if there are none."""
    numbers = Counter(finding.severity for finding in findings)
    return listed([counted(numbers[severity], severity.value) for severity in Severity if numbers[severity]])
