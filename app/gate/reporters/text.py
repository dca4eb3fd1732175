"""For a terminal or a log: what was judged, an index of the findings, each of them by revision, and a summary."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from typing import TYPE_CHECKING

from app.gate.report.model import FindingEntry, Report
from app.gate.report.verdict import CODE_STARTS_LATER, NO_OTHER_HISTORY, Outcome, Severity, Verdict
from app.gate.reporters._effects import effects_of
from app.gate.reporters._grouping import FindingGroup, groups_of, header_of, totals
from app.gate.reporters._lines import CODE_COLUMNS, Line, paragraphs, verbatim, wrapped
from app.gate.reporters.escaping import one_line, shortened, visible, without_commands
from app.gate.wording import counted, listed

if TYPE_CHECKING:
    from rich.console import Console

WIDTH = 80  # columns, if the terminal's width is not known
WIDEST = 110  # columns in which prose is still easy to read
INDEX_LINES = 20  # of the index, so that it fits a screen together with the header
DETAIL_LINES = 20
FLOOD = 10  # more findings than a reader goes through one by one

VERDICTS = {Verdict.PASS: "PASSED", Verdict.FAIL: "FAILED", Verdict.ERROR: "NOT VERIFIED"}
VERDICT_STYLES = {Verdict.PASS: "bold green", Verdict.FAIL: "bold red", Verdict.ERROR: "bold red"}
SEVERITY_STYLES = {Severity.ERROR: "bold red", Severity.WARNING: "bold yellow", Severity.NOTICE: "bold cyan"}


def render(report: Report, verbosity: int = 0) -> str:
    """Plain text that fits 80 columns, except for longer names and paths, and for code to be copied.

    `verbosity`: -1 is the index alone, 1 adds the code of all fixes and what each revision does.
    """
    return without_commands("".join(f"{line.text}\n" for line in lines_of(report, WIDTH, verbosity)))


def render_findings(report: Report) -> str:
    """The findings alone, without what was judged and how."""
    lines = _details(report, WIDTH, is_verbose=True)
    return without_commands("".join(f"{line.text}\n" for line in lines).lstrip("\n"))


def print_on(console: Console, report: Report, verbosity: int = 0) -> None:
    """The same in colours, as wide as the terminal within reason."""
    from rich.text import Text

    for line in lines_of(report, min(console.width, WIDEST), verbosity):
        console.print(Text(without_commands(line.text), style=line.style), soft_wrap=True)


def lines_of(report: Report, width: int, verbosity: int) -> Iterator[Line]:
    for name, value in header_of(report):
        yield from wrapped(one_line(value), f"{name:<11}", width, "dim", hanging=" " * 11)
    if report.graph.revisions:
        yield Line("")
    yield Line(f"{VERDICTS[report.verdict]}: {_headline(report)}", VERDICT_STYLES[report.verdict])
    yield from _index(report, width)
    if verbosity >= 0:
        yield from _details(report, width, is_verbose=verbosity > 0)
        if verbosity > 0:
            yield from _effects(report, width)
        yield from _accepted(report, width)
        yield from _undecided(report, width)
        yield from _outlook(report, width, is_verbose=verbosity > 0)
    yield Line("")
    yield from wrapped(_summary(report), "", width, VERDICT_STYLES[report.verdict])


def _headline(report: Report) -> str:
    if report.verdict is Verdict.ERROR:
        return one_line(report.reason or "nothing was verified") + "."
    return f"{_found(report)}."


def _found(report: Report) -> str:
    return totals(report.open_findings) or "nothing to report"


# The index


def _index(report: Report, width: int) -> Iterator[Line]:
    """One line for each finding, errors first; what does not fit a screen is counted."""
    findings = report.open_findings
    if not findings:
        return
    yield Line("")
    shown = findings if len(findings) <= INDEX_LINES else findings[: INDEX_LINES - 1]
    checks = max(len(each.check) for each in shown)
    places = min(max(len(_short_place(each)) for each in shown), 36)
    abouts = min(max(len(_about(each)) for each in shown), max(12, width - checks - places - 15))
    for each in shown:
        about = _clipped(_about(each), abouts)
        start = f"  {each.severity:<7}  {each.check:<{checks}}  {about:<{abouts}}  "
        place = _short_place(each)
        yield Line(f"{start}{_clipped(place, max(places, width - len(start)))}", SEVERITY_STYLES[each.severity])
    if len(shown) < len(findings):
        yield Line(f"  … and {totals(findings[len(shown) :])}")


def _about(finding: FindingEntry) -> str:
    """The tables or other objects, without the schema that most of them are in."""
    return re.sub(r"\bpublic\.", "", one_line(finding.object or "")) or "-"


def _short_place(finding: FindingEntry) -> str:
    """The file's name and line, or the revision."""
    place = location(finding)
    return place.rpartition("/")[2] if place else one_line(finding.revision or "the whole history")


def _clipped(text: str, width: int) -> str:
    return text if len(text) <= width else f"{text[: width - 1]}…"


# Each finding


def _details(report: Report, width: int, *, is_verbose: bool) -> Iterator[Line]:
    helped: set[tuple[str, str]] = set()
    for group in groups_of(report, report.open_findings):
        yield Line("")
        yield from wrapped(_title(group), "", width, "bold")
        for finding in group.findings:
            yield from _finding(finding, width, helped, is_verbose=is_verbose)


def _title(group: FindingGroup) -> str:
    if group.revision is None:
        return "The history as a whole"
    return f"Revision {one_line(group.revision)}{f' ({one_line(group.message)})' if group.message else ''}"


def _finding(finding: FindingEntry, width: int, helped: set[tuple[str, str]], *, is_verbose: bool) -> Iterator[Line]:
    yield Line("")
    name = f"  {finding.severity} {finding.check}"
    place = location(finding)
    if len(name) + len(place) + 4 <= width:
        yield Line(f"{name} at {place}" if place else name, SEVERITY_STYLES[finding.severity])
    else:
        yield Line(name, SEVERITY_STYLES[finding.severity])
        yield Line(f"  at {place}", SEVERITY_STYLES[finding.severity])
    yield from wrapped(one_line(finding.message), "    ", width)
    if finding.severity is Severity.NOTICE and not is_verbose:
        return
    yield from _excerpt(finding, width)
    if finding.detail:
        for line in shortened(visible(finding.detail), DETAIL_LINES).split("\n"):
            yield from verbatim(line, "      | ", width, "dim")
    if finding.help and (finding.check, finding.help) not in helped:
        # The same fix is shown once, whatever the number of findings.
        helped.add((finding.check, finding.help))
        with_code = is_verbose or finding.severity is Severity.ERROR
        yield from paragraphs(visible(f"Fix: {finding.help}"), "    ", width, with_code=with_code)
        if finding.assumption is not None and not with_code:
            yield from verbatim(one_line(finding.assumption.sql), "        ", width)  # the end of the help


def _excerpt(finding: FindingEntry, width: int) -> Iterator[Line]:
    """The script's lines, with the place marked: that one in full, since what is wrong may stand at its end."""
    if finding.excerpt is None:
        return
    numbers = len(str(finding.excerpt.first_line + len(finding.excerpt.lines) - 1))
    for number, line in enumerate(finding.excerpt.lines, finding.excerpt.first_line):
        mark = ">" if number == finding.line else " "
        text = f"    {mark} {number:>{numbers}} | {visible(line)}".rstrip()
        if number == finding.line:
            yield Line(_clipped(text, CODE_COLUMNS))
        else:
            yield Line(_clipped(text, max(width, 60)), "dim")


def location(finding: FindingEntry) -> str:
    """ "migrations/versions/a1_orders.py:23", which terminals and editors turn into a link."""
    if finding.path is None:
        return ""
    return one_line(finding.path) + (f":{finding.line}" if finding.line is not None else "")


# What else there is


def _effects(report: Report, width: int) -> Iterator[Line]:
    """What each new revision does to the database, whether or not anything is wrong with it."""
    effects = effects_of(report)
    if not effects:
        return
    yield Line("")
    yield Line("What the revisions do", "bold")
    for revision, effect in effects:
        title = f"{one_line(revision.revision)} {one_line(revision.message)}".strip()
        yield from wrapped(title, "  ", width)
        for name, words in effect.items():
            if words:
                yield from wrapped(f"{name}: {'; '.join(map(one_line, words))}", "    ", width, hanging="      ")


def _accepted(report: Report, width: int) -> Iterator[Line]:
    known = [each for each in report.accepted_findings if each.is_in_baseline]
    in_scripts = [each for each in report.accepted_findings if not each.is_in_baseline]
    if not known and not in_scripts:
        return
    yield Line("")
    yield Line("Accepted", "bold")
    for finding in in_scripts:
        where = f" in {one_line(finding.revision)}" if finding.revision else ""
        yield from wrapped(f"{finding.check}{where}: {one_line(finding.allowed or '')}", "  ", width)
    if known:
        reasons = listed(sorted({one_line(each.allowed or "") for each in known}))
        yield from wrapped(f"{counted(len(known), 'finding')} {reasons}", "  ", width)


def _undecided(report: Report, width: int) -> Iterator[Line]:
    """Each reason once, with the checks that it holds for; those that were not selected come last."""
    names_by_reason: dict[str, list[str]] = {}
    for check in sorted(report.checks, key=lambda check: check.is_deselected):
        if check.reason not in (None, CODE_STARTS_LATER, NO_OTHER_HISTORY):  # an option that was not used is no news
            partly = "" if check.is_deselected or check.outcome is Outcome.SKIPPED else " (in part)"
            names_by_reason.setdefault(one_line(check.reason), []).append(f"{check.id}{partly}")
    if not names_by_reason and not report.not_covered:
        return
    yield Line("")
    yield Line("Not judged", "bold")
    for sentence in report.not_covered:
        yield from wrapped(one_line(sentence), "  ", width)
    for reason, names in names_by_reason.items():
        yield from wrapped(f"{', '.join(names)}: {reason}", "  ", width)


def _outlook(report: Report, width: int, *, is_verbose: bool) -> Iterator[Line]:
    """What to do next."""
    findings = report.open_findings
    if not findings:
        return
    yield Line("")
    if len(findings) > FLOOD:
        numbers = Counter(finding.check for finding in findings).most_common()
        counts = [f"{name} {number}" for name, number in numbers]
        yield from wrapped(f"By check: {listed(counts, len(counts))}.", "", width)
        if not any(finding.is_in_baseline for finding in report.findings):
            hint = "To accept all current findings: --baseline FILE --write-baseline"
            yield from wrapped(hint, "", width)
    has_code = any(each.severity is Severity.WARNING and "\n    " in (each.help or "") for each in findings)
    if has_code and not is_verbose:
        yield Line("Code for the fixes of warnings: --verbose")
    yield Line(f"Details of each check: overproof explain {findings[0].check}")


def _summary(report: Report) -> str:
    judged = sum(check.outcome is not Outcome.SKIPPED for check in report.checks)
    revisions, checks = counted(len(report.graph.revisions), "revision"), counted(judged, "check")
    server = f" on PostgreSQL {one_line(report.postgres)}" if report.postgres else ""
    time = f"{report.duration_ms / 1000:.1f} s"
    return f"{revisions} and {checks}{server} in {time}: {_found(report)}; {VERDICTS[report.verdict].lower()}."
