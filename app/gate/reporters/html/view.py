"""What the page of a run shows, in the order in which it shows it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from markupsafe import Markup

from app.gate.report.model import CheckEntry, FindingEntry, Report, RevisionEntry, StatementEntry, StepEntry
from app.gate.report.verdict import Outcome, Severity, Verdict
from app.gate.reporters._effects import REVISIONS_LIMIT, first_upgrades
from app.gate.reporters._grouping import groups_of, header_of, totals
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
class ExcerptLine:
    number: int
    text: str
    is_place: bool


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

    @property
    def excerpt(self) -> list[ExcerptLine]:
        if self.entry.excerpt is None:
            return []
        lines = enumerate(self.entry.excerpt.lines, self.entry.excerpt.first_line)
        return [ExcerptLine(number, text, number == self.entry.line) for number, text in lines]


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
    """One report."""

    report: Report
    revisions: Sequence[RevisionView]
    graph: Markup

    @property
    def title(self) -> str:
        return VERDICTS[self.report.verdict]

    @property
    def totals(self) -> str:
        return totals(self.report.open_findings)

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


def run_view(
    report: Report,
    shown: Iterable[FindingEntry] | None = None,
    places: Mapping[str, Sequence[str]] | None = None,
) -> RunView:
    """`shown`: the open findings that are on this page; all of them without it. `places`: what stands at a revision."""
    revisions = list(_revisions(report, report.open_findings if shown is None else list(shown)))
    links = {each.revision: f"#{each.anchor}" for each in revisions if each.revision is not None}
    return RunView(report, revisions, revision_graph(report.graph, places, links))


def _revisions(report: Report, shown: Sequence[FindingEntry]) -> Iterator[RevisionView]:
    """Those with findings, and all new ones of a pull request; in the order of the history, which comes last itself."""
    upgrades = first_upgrades(report)
    new = [each for each in report.graph.revisions if each.new]
    whole = {each.revision for each in new} if len(new) <= REVISIONS_LIMIT else set()
    groups = {group.revision: group.findings for group in groups_of(report, shown)}
    number = 0
    for position, each in enumerate([*_known(report, groups), None], 1):
        revision = each.revision if each else None
        entries = groups.get(revision, [])
        if not entries and revision not in whole:
            continue
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
