"""For a pull request's comment or a job's summary, as GitHub and others show Markdown."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from app.gate.checks.pages import find_url
from app.gate.report.model import FindingEntry, Report, RevisionEntry
from app.gate.report.verdict import Outcome, Severity, Verdict
from app.gate.reporters._effects import effects_of
from app.gate.reporters._grouping import groups_of, header_of, totals
from app.gate.reporters._paragraphs import language_of, runs_of, without_indent
from app.gate.reporters.escaping import one_line, shortened, visible, without_commands
from app.gate.reporters.text import location
from app.gate.wording import counted, listed

COMMENT_LIMIT_BYTES = 65_000  # GitHub refuses a comment of more than 65,536 characters.
DETAIL_LINES = 30
DETAIL_COLUMNS = 400
STATUS_LIMIT = 50  # lines of the table of findings

VERDICTS = {
    Verdict.PASS: "✅ The migrations pass",
    Verdict.FAIL: "❌ The migrations fail",
    Verdict.ERROR: "⚠️ The migrations could not be verified",
}
MARKS = {Severity.ERROR: "❌", Severity.WARNING: "⚠️", Severity.NOTICE: "ℹ️"}


@dataclass(frozen=True)
class Block:
    """A piece that is shown completely or not at all."""

    text: str
    heading: str = ""  # shown before the first block of its group that is shown
    is_finding: bool = False


def render(report: Report, limit_bytes: int = COMMENT_LIMIT_BYTES) -> str:
    """Never longer than the limit: what does not fit is left out, the last findings first, and counted."""
    kept: list[str] = []
    left_out = 0
    shown_headings: set[str] = set()
    room = limit_bytes - 400  # for the line that counts what was left out
    for block in _blocks(report):
        heading = block.heading if block.heading not in shown_headings else ""
        text = without_commands(f"{heading}\n\n{block.text}" if heading else block.text)
        size = len(text.encode()) + 2
        if size > room:
            left_out += block.is_finding
            continue
        room -= size
        kept.append(text)
        shown_headings.add(heading)
    if left_out:
        kept.append(f"{counted(left_out, 'more finding')} did not fit here; the text and JSON reports list all.")
    return "\n\n".join(kept) + "\n"


def _blocks(report: Report) -> Iterator[Block]:
    sums = totals(report.open_findings)
    yield Block(f"## {VERDICTS[report.verdict]}" + (f": {sums}" if sums else ""))
    if report.reason:
        yield Block(prose(shortened(report.reason, 1)))
    yield from _status(report)
    for group in groups_of(report, report.open_findings):
        title = f"{code(group.revision)} {prose(group.message)}".strip() if group.revision else "The history as a whole"
        for finding in group.findings:
            yield Block(_finding(finding), f"### {title}", is_finding=True)
    yield from _effects(report)
    yield from _accepted(report.accepted_findings)
    if report.not_covered:
        lines = [f"- {prose(each[:2000])}" for each in report.not_covered]
        yield Block(_folded("Not covered", "\n".join(lines)))
    yield from _checks(report)
    yield Block(_summary(report))


def _status(report: Report) -> Iterator[Block]:
    """What was judged, and a table with a line for each finding, errors first."""
    if header := header_of(report):
        yield Block("<br>".join(f"**{name}** {prose(value)}" for name, value in header))
    findings = report.open_findings
    if not findings:
        return
    rows = [
        f"| {MARKS[each.severity]} | {_check(each.check)} | {code_in_cell(each.object) if each.object else ''} |"
        f" {code_in_cell(location(each) or each.revision or 'the whole history')} |"
        for each in findings[:STATUS_LIMIT]
    ]
    if len(findings) > STATUS_LIMIT:
        rows.append(f"| | … and {totals(findings[STATUS_LIMIT:])} | | |")
    yield Block("\n".join(["| | check | object | place |", "| --- | --- | --- | --- |", *rows]))


def _finding(finding: FindingEntry) -> str:
    """Folded, but for errors."""
    place = location(finding)
    where = f" {code_in_cell(place)}" if place else ""
    title = f"{MARKS[finding.severity]} <strong>{finding.severity}</strong> {code_in_cell(finding.check)}{where}"
    url = find_url(finding.check)
    parts = [prose(finding.message) + (f" ([about this check]({url}))" if url else "")]
    if finding.excerpt is not None:
        parts.append(fenced("\n".join(_excerpt(finding)), "python"))
    if finding.detail:
        parts.append(fenced(finding.detail))
    if finding.help:
        parts.append(paragraphs(f"Fix: {finding.help}"))
    return _folded(title, "\n\n".join(parts), is_open=finding.severity is Severity.ERROR)


def _excerpt(finding: FindingEntry) -> Iterator[str]:
    """The script's lines, with a comment at the place, since a block of code shows no other mark."""
    if finding.excerpt is not None:
        for number, line in enumerate(finding.excerpt.lines, finding.excerpt.first_line):
            yield f"{line}  # <-- line {number}" if number == finding.line else line


def _check(check_id: str) -> str:
    """The id of a check, as a link to its page if this version knows the check."""
    url = find_url(check_id)
    return f"[{code(check_id)}]({url})" if url else code(check_id)


def _effects(report: Report) -> Iterator[Block]:
    """What each revision of a pull request does to the database, whether or not anything is wrong with it."""
    effects = effects_of(report)
    if effects:
        names = list(effects[0][1])
        table = [f"| revision | {' | '.join(names)} |", "| --- " * (len(names) + 1) + "|"]
        rows = [_effect(revision, effect) for revision, effect in effects]
        yield Block(_folded("What the revisions do", "\n".join([*table, *rows])))


def _effect(revision: RevisionEntry, effect: Mapping[str, Sequence[str]]) -> str:
    title = f"{code_in_cell(revision.revision)} {cell(revision.message)}".strip()
    return f"| {' | '.join([title, *('<br>'.join(_some(words)) for words in effect.values())])} |"


def _some(words: Iterable[str], limit: int = 12) -> list[str]:
    words = list(words)
    kept = [cell(word[:DETAIL_COLUMNS]) for word in words[:limit]]
    return kept if len(words) <= limit else [*kept, f"… {len(words) - limit} more"]


def _accepted(findings: list[FindingEntry]) -> Iterator[Block]:
    if not findings:
        return
    lines = [
        f"- {code(each.check)}{f' in {code(each.revision)}' if each.revision else ''}: {prose((each.allowed or '')[:2000])}"
        for each in findings
        if not each.is_in_baseline
    ]
    known = [each for each in findings if each.is_in_baseline]
    if known:
        reasons = listed(sorted({prose(each.allowed or "") for each in known}))
        lines.append(f"- {counted(len(known), 'finding')} {reasons}")
    lines = lines[:100] + [f"- … {len(lines) - 100} more"] * (len(lines) > 100)
    yield Block(_folded(f"{counted(len(findings), 'accepted finding')}", "\n".join(lines)))


def _checks(report: Report) -> Iterator[Block]:
    if not report.checks:
        return
    rows = [
        f"| {code_in_cell(check.id)} | {check.outcome} | {cell((check.reason or '')[:2000])} |"
        for check in report.checks
    ]
    undecided = sum(check.outcome is Outcome.SKIPPED for check in report.checks)
    title = counted(len(report.checks), "check") + (f", {undecided} of them skipped" if undecided else "")
    yield Block(_folded(title, "\n".join(["| check | outcome | |", "| --- | --- | --- |", *rows])))


def _summary(report: Report) -> str:
    versions = (("PostgreSQL", report.postgres), ("Alembic", report.alembic), ("SQLAlchemy", report.sqlalchemy))
    parts = [
        f"Overproof {prose(report.tool.version)}",
        *(f"{name} {prose(version)}" for name, version in versions if version),
        counted(len(report.graph.revisions), "revision"),
        f"{report.duration_ms / 1000:.1f} s",
    ]
    return f"<sub>{' · '.join(parts)}</sub>"


def _folded(title: str, body: str, *, is_open: bool = False) -> str:
    return f"<details{' open' if is_open else ''}>\n<summary>{title}</summary>\n\n{body}\n\n</details>"


# Quoting. https://github.github.com/gfm/


# A backslash does not keep GitHub from notifying a person or linking an issue; a zero-width space does.
SPECIAL = re.compile(r"[\\`*_{}\[\]<>|~&$^]|(?<=@)(?=\w)|(?<=#)(?=\d)")
ENTITIES = {
    "": "&#8203;",
    "<": "&lt;",
    ">": "&gt;",
    "&": "&amp;",
    "|": "&#124;",  # a bar would end a table's cell, even after a backslash
}
BLOCK_START = re.compile(r"^(?:([-+=#:])|(\d+)([.)]))")


def escaped(text: str) -> str:
    """Text in which nothing is Markdown or HTML."""
    return SPECIAL.sub(lambda match: ENTITIES.get(match[0], f"\\{match[0]}"), text)


def code(text: str) -> str:
    """A code span, whatever backticks are in the text."""
    text = one_line(text)
    ticks = "`" * (_longest_run(text) + 1)
    padding = " " if not text or text[0] == "`" or text[-1] == "`" else ""
    return f"{ticks}{padding}{text}{padding}{ticks}"


def code_in_cell(text: str) -> str:
    """The same within a table, where a bar ends even a code span."""
    return f"<code>{escaped(one_line(text))}</code>"


def cell(text: str) -> str:
    return prose(text, code_in_cell)


def prose(text: str, code: Callable[[str], str] = code) -> str:
    """One line. Of all Markdown only `code` keeps its meaning, because our own messages use it."""
    parts = re.split(r"`([^`]+)`", one_line(text))
    quoted = "".join(code(part) if at % 2 else escaped(part) for at, part in enumerate(parts))
    return BLOCK_START.sub(lambda match: f"\\{match[1]}" if match[1] else f"{match[2]}\\{match[3]}", quoted)


def fenced(text: str, language: str | None = None) -> str:
    """A block of code, whatever backticks are in the text."""
    text = shortened(visible(text), DETAIL_LINES, DETAIL_COLUMNS)
    fence = "`" * max(3, _longest_run(text) + 1)
    language = language_of(text) if language is None else language
    return f"{fence}{language}\n{text}\n{fence}"


def paragraphs(text: str) -> str:
    """Prose in which indented lines are code."""
    parts: list[str] = []
    for is_code, lines in runs_of(shortened(visible(text), 2 * DETAIL_LINES, DETAIL_COLUMNS).split("\n")):
        parts.append(fenced(without_indent(lines)) if is_code else prose(" ".join(lines)))
    return "\n\n".join(parts)


def _longest_run(text: str) -> int:
    return max((len(run) for run in re.findall("`+", text)), default=0)
