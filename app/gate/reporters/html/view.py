"""What the page of a run shows, in the order in which it shows it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from markupsafe import Markup

from app.gate.report.model import CheckEntry, FindingEntry, Report, RevisionEntry, StatementEntry, StepEntry
from app.gate.report.verdict import Outcome, Severity, Verdict
from app.gate.reporters._effects import REVISIONS_LIMIT, first_upgrades
from app.gate.reporters._grouping import groups_of, header_of, totals_of
from app.gate.reporters.html.graph import revision_graph
from app.gate.reporters.html.timeline import lock_timeline
from app.gate.reporters.text import location

VERDICTS = {
    Verdict.PASS: "The migrations pass",
    Verdict.FAIL: "The migrations fail",
    Verdict.ERROR: "The migrations could not be verified",
}
STATEMENTS_LIMIT = 200  # listed of one revision


@dataclass(frozen=True)
class FindingView:
    """A finding with its number on the page, which its link ends in."""

    number: int
    entry: FindingEntry

    @property
    def place(self) -> str:
        return location(self.entry)

    @property
    def is_open(self) -> bool:
        """Whether its details are shown at first: those of notices are one click away."""
        return self.entry.severity is not Severity.NOTICE


@dataclass(frozen=True)
class RevisionView:
    """A revision with its findings, and what its upgrade did. Without an id: the history as a whole."""

    anchor: str
    revision: str | None
    message: str
    findings: Sequence[FindingView]
    step: StepEntry | None = None
    timeline: Markup | None = None

    @property
    def statements(self) -> Sequence[StatementEntry]:
        return self.step.statements[:STATEMENTS_LIMIT] if self.step else ()

    @property
    def statements_left_out(self) -> int:
        return max(0, len(self.step.statements) - STATEMENTS_LIMIT) if self.step else 0


@dataclass(frozen=True)
class RunView:
    """One report, or what a page shows of a long one."""

    report: Report
    revisions: Sequence[RevisionView]
    graph: Markup
    open_counts: Mapping[Severity, int]
    accepted_count: int

    @property
    def title(self) -> str:
        return VERDICTS[self.report.verdict]

    @property
    def totals(self) -> str:
        return counts_in_words(self.open_counts)

    @property
    def header(self) -> list[tuple[str, str]]:
        return header_of(self.report)

    @property
    def findings(self) -> list[FindingView]:
        """Of all revisions, the most severe first."""
        weights = list(Severity)
        found = [each for revision in self.revisions for each in revision.findings]
        return sorted(found, key=lambda each: weights.index(each.entry.severity))

    @property
    def accepted(self) -> list[FindingEntry]:
        return self.report.accepted_findings

    @property
    def skipped(self) -> list[CheckEntry]:
        return [each for each in self.report.checks if each.outcome is Outcome.SKIPPED]


def counts_in_words(counts: Mapping[Severity, int]) -> str:
    """ "2 errors and 1 notice"; empty if there are none."""
    return totals_of(counts)


def run_view(report: Report, places: Mapping[str, Sequence[str]] | None = None) -> RunView:
    """All of a report. `places`: what stands at a revision, {"7b39e1f5a0c4": ["production"]}."""
    open_counts = Counter(each.severity for each in report.open_findings)
    return view_of_part(report, open_counts, len(report.accepted_findings), places)


def view_of_part(
    part: Report,
    open_counts: Mapping[Severity, int],
    accepted_count: int,
    places: Mapping[str, Sequence[str]] | None = None,
) -> RunView:
    """A page of a report. `part` is the report with the findings of this page; the numbers are of all of them."""
    revisions = list(_revisions(part))
    links = {each.revision: f"#{each.anchor}" for each in revisions if each.revision is not None}
    return RunView(part, revisions, revision_graph(part.graph, places, links), open_counts, accepted_count)


def shown_revisions(report: Report) -> set[str | None]:
    """Those with open findings, and all new ones of a pull request. None: the history as a whole."""
    new = [each.revision for each in report.graph.revisions if each.new]
    with_findings = {each.revision for each in report.open_findings}
    return with_findings.union(new) if len(new) <= REVISIONS_LIMIT else with_findings


def _revisions(report: Report) -> Iterator[RevisionView]:
    """In the order of the history, which comes last itself."""
    upgrades = first_upgrades(report)
    groups = {group.revision: group.findings for group in groups_of(report, report.open_findings)}
    shown = shown_revisions(report)
    number = 0
    for position, each in enumerate([*_known(report, groups), None], 1):
        revision = each.revision if each else None
        if revision not in shown:
            continue
        entries = groups.get(revision, [])
        upgrade = upgrades.get(revision or "")
        anchor = f"revision-{position}" if each else "history"
        findings = [FindingView(number + place, entry) for place, entry in enumerate(entries, 1)]
        number += len(findings)
        timeline = lock_timeline(upgrade, f"{anchor}-statement") if upgrade else None
        yield RevisionView(anchor, revision, each.message if each else "", findings, upgrade, timeline)


def _known(report: Report, groups: dict[str | None, list[FindingEntry]]) -> list[RevisionEntry]:
    """The revisions of the graph, and those that only findings name, such as one that the branch removed."""
    known = {each.revision for each in report.graph.revisions}
    others = [RevisionEntry(revision=each, new=False) for each in groups if each is not None and each not in known]
    return [*report.graph.revisions, *others]
