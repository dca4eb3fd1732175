"""For a terminal or a log: the verdict, the findings by revision, and a summary of the run."""

from __future__ import annotations

import textwrap
from collections import Counter
from collections.abc import Iterator
from typing import TYPE_CHECKING, NamedTuple

from app.gate.report.model import FindingEntry, Report
from app.gate.report.verdict import Outcome, Severity, Verdict
from app.gate.reporters._grouping import FindingGroup, groups_of, totals
from app.gate.reporters.escaping import one_line, shortened, visible, without_commands
from app.gate.wording import counted, listed

if TYPE_CHECKING:
    from rich.console import Console

WIDTH = 80  # columns, if the terminal's width is not known
DETAIL_LINES = 20
CODE_COLUMNS = 500
FLOOD = 10  # more findings than a reader goes through one by one

VERDICTS = {Verdict.PASS: "PASSED", Verdict.FAIL: "FAILED", Verdict.ERROR: "NOT VERIFIED"}
VERDICT_STYLES = {Verdict.PASS: "bold green", Verdict.FAIL: "bold red", Verdict.ERROR: "bold red"}
SEVERITY_STYLES = {Severity.ERROR: "bold red", Severity.WARNING: "bold yellow", Severity.NOTICE: "bold cyan"}


class Line(NamedTuple):
    text: str
    style: str = ""  # as rich names it


def render(report: Report) -> str:
    """Plain text that fits 80 columns, except for longer names and paths, and for code to be copied."""
    return without_commands("".join(f"{line.text}\n" for line in lines_of(report, WIDTH)))


def print_on(console: Console, report: Report) -> None:
    """The same in colours, as wide as the terminal within reason."""
    from rich.text import Text

    for line in lines_of(report, min(console.width, 110)):
        console.print(Text(without_commands(line.text), style=line.style), soft_wrap=True)


def lines_of(report: Report, width: int) -> Iterator[Line]:
    yield Line(f"{VERDICTS[report.verdict]}: {_headline(report)}", VERDICT_STYLES[report.verdict])
    helped: set[tuple[str, str]] = set()
    for group in groups_of(report, report.open_findings):
        yield Line("")
        yield from _wrapped(_title(group), "", width, "bold")
        for finding in group.findings:
            yield from _finding(finding, width, helped)
    yield from _accepted(report, width)
    yield from _undecided(report, width)
    yield from _outlook(report, width)
    yield Line("")
    yield from _wrapped(_summary(report), "", width)


def _headline(report: Report) -> str:
    if report.verdict is Verdict.ERROR:
        return one_line(report.reason or "nothing was verified") + "."
    return f"{_found(report)}."


def _found(report: Report) -> str:
    return totals(report.open_findings) or "nothing to report"


def _title(group: FindingGroup) -> str:
    if group.revision is None:
        return "The history as a whole"
    return f"Revision {one_line(group.revision)}{f' ({one_line(group.message)})' if group.message else ''}"


def _finding(finding: FindingEntry, width: int, helped: set[tuple[str, str]]) -> Iterator[Line]:
    yield Line("")
    name = f"  {finding.severity} {finding.check}"
    place = location(finding)
    if len(name) + len(place) + 4 <= width:
        yield Line(f"{name} at {place}" if place else name, SEVERITY_STYLES[finding.severity])
    else:
        yield Line(name, SEVERITY_STYLES[finding.severity])
        yield Line(f"  at {place}", SEVERITY_STYLES[finding.severity])
    yield from _wrapped(one_line(finding.message), "    ", width)
    if finding.severity is Severity.NOTICE:
        return
    if finding.detail:
        for line in shortened(visible(finding.detail), DETAIL_LINES).split("\n"):
            yield from _verbatim(line, "      | ", width, "dim")
    if finding.help and (finding.check, finding.help) not in helped:
        # The same fix is shown once, whatever the number of findings.
        helped.add((finding.check, finding.help))
        yield from _paragraphs(visible(f"Fix: {finding.help}"), "    ", width)


def location(finding: FindingEntry) -> str:
    """ "migrations/versions/a1_orders.py:23", which terminals and editors turn into a link."""
    if finding.path is None:
        return ""
    return one_line(finding.path) + (f":{finding.line}" if finding.line is not None else "")


def _accepted(report: Report, width: int) -> Iterator[Line]:
    known = [each for each in report.accepted_findings if each.is_in_baseline]
    in_scripts = [each for each in report.accepted_findings if not each.is_in_baseline]
    if not known and not in_scripts:
        return
    yield Line("")
    yield Line("Accepted", "bold")
    for finding in in_scripts:
        where = f" in {one_line(finding.revision)}" if finding.revision else ""
        yield from _wrapped(f"{finding.check}{where}: {one_line(finding.allowed or '')}", "  ", width)
    if known:
        reasons = listed(sorted({one_line(each.allowed or "") for each in known}))
        yield from _wrapped(f"{counted(len(known), 'finding')} {reasons}", "  ", width)


def _undecided(report: Report, width: int) -> Iterator[Line]:
    """Each reason once, with the checks that it holds for; those that were not selected come last."""
    names_by_reason: dict[str, list[str]] = {}
    for check in sorted(report.checks, key=lambda check: check.is_deselected):
        if check.reason is not None:
            partly = "" if check.is_deselected or check.outcome is Outcome.SKIPPED else " (in part)"
            names_by_reason.setdefault(one_line(check.reason), []).append(f"{check.id}{partly}")
    if not names_by_reason:
        return
    yield Line("")
    yield Line("Not judged", "bold")
    for reason, names in names_by_reason.items():
        yield from _wrapped(f"{', '.join(names)}: {reason}", "  ", width)


def _outlook(report: Report, width: int) -> Iterator[Line]:
    """What to do next."""
    findings = report.open_findings
    if not findings:
        return
    yield Line("")
    if len(findings) > FLOOD:
        numbers = Counter(finding.check for finding in findings).most_common()
        yield from _wrapped(f"By check: {listed([f'{name} {number}' for name, number in numbers], 99)}.", "", width)
        if not any(finding.is_in_baseline for finding in report.findings):
            hint = "To accept all current findings: --baseline FILE --write-baseline"
            yield from _wrapped(hint, "", width)
    yield from _wrapped(f"Details of each check: `overproof explain {findings[0].check}`", "", width)


def _summary(report: Report) -> str:
    judged = sum(check.outcome is not Outcome.SKIPPED for check in report.checks)
    revisions, checks = counted(len(report.graph.revisions), "revision"), counted(judged, "check")
    server = f" on PostgreSQL {one_line(report.postgres)}" if report.postgres else ""
    time = f"{report.duration_ms / 1000:.1f} s"
    return f"{revisions} and {checks}{server} in {time}: {_found(report)}; {VERDICTS[report.verdict].lower()}."


# Lines


def _wrapped(text: str, indent: str, width: int, style: str = "") -> Iterator[Line]:
    for line in textwrap.wrap(
        text,
        width,
        initial_indent=indent,
        subsequent_indent=indent,
        break_long_words=False,
        break_on_hyphens=False,
    ):
        yield Line(line, style)


def _verbatim(text: str, indent: str, width: int, style: str = "") -> Iterator[Line]:
    """A line of code: its indentation is kept, and what is too long continues on the next line, further indented."""
    text = text.expandtabs(4).rstrip()
    margin = text[: len(text) - len(text.lstrip())][: width // 3]
    lines = textwrap.wrap(
        text.strip(),
        width,
        initial_indent=indent + margin,
        subsequent_indent=f"{indent}{margin}    ",
        break_long_words=False,
        break_on_hyphens=False,
    )
    for line in lines or [indent.rstrip()]:
        yield Line(line, style)


def _paragraphs(text: str, indent: str, width: int) -> Iterator[Line]:
    """Prose, in which indented lines are code."""
    paragraph: list[str] = []
    for line in [*text.split("\n"), ""]:
        if line and not line[0].isspace():
            paragraph.append(line)
            continue
        yield from _wrapped(" ".join(paragraph), indent, width)
        paragraph = []
        if line.strip():
            # Code is to be copied: only the terminal wraps it.
            yield Line(shortened(f"{indent}{line.expandtabs(4).rstrip()}", 1, CODE_COLUMNS))
