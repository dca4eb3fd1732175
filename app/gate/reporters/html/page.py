"""Jinja's environment for our pages: everything that a report quotes is escaped, and shown as it is written."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from functools import cache
from importlib import resources

from jinja2 import BaseLoader, ChoiceLoader, Environment, PackageLoader, StrictUndefined
from markupsafe import Markup, escape

from app.gate.checks.pages import find_url
from app.gate.report.model import FindingEntry
from app.gate.reporters._paragraphs import runs_of, without_indent
from app.gate.reporters.escaping import one_line, shortened, visible
from app.gate.reporters.html.timeline import SQL_WORDS
from app.gate.wording import counted, duration, readable_number
from app.help import plain

BLOCK_LINES, BLOCK_COLUMNS, BLOCK_LENGTH = 80, 1_000, 10_000
CODE = Markup('<pre tabindex="0"><code>%s</code></pre>')
LINE_LENGTH, PROSE_LENGTH = 300, 4_000  # a name of megabytes must not fill the page


def environment(*loaders: BaseLoader) -> Environment:
    """The templates of the report, and those of `loaders`, which are looked through first."""
    made = Environment(
        loader=ChoiceLoader([*loaders, PackageLoader("app.gate.reporters.html")]),
        autoescape=True,
        auto_reload=False,  # a template belongs to the code that is running
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.globals["check_url"] = find_url
    made.filters |= {
        "prose": prose,
        "paragraphs": paragraphs,
        "block": block,
        "docs": docs,
        "prose_of_docs": prose_of_docs,
        "line": line,
        "excerpt": excerpt,
        "lock_mode": lock_mode,
        "duration": lambda ms: duration(ms / 1000),
        "moment": moment,
        "counted": counted,
        "quantity": readable_number,
    }
    return made


@cache
def style() -> str:
    """The style sheet of all pages."""
    return style_of_pictures() + _sheet("style.css")


@cache
def style_of_pictures() -> str:
    """What a picture needs as a file of its own."""
    return _sheet("pictures.css")


def _sheet(name: str) -> str:
    return (resources.files("app.gate.reporters.html") / "templates" / name).read_text("utf-8")


def prose(text: str) -> Markup:
    """One line, in which our own `code` is code."""
    words = cut(one_line(text), PROSE_LENGTH)
    if "`" not in words:
        return escape(words)
    parts = re.split(r"`([^`]+)`", words)
    return Markup("").join(
        Markup("<code>%s</code>") % part if at % 2 else escape(part) for at, part in enumerate(parts)
    )


def paragraphs(text: str) -> Markup:
    """Prose in which indented lines are code."""
    return Markup("\n").join(_paragraphs(_short_block(text).split("\n")))


def _paragraphs(lines: list[str]) -> Iterator[Markup]:
    for is_code, run in runs_of(lines):
        if is_code:
            yield CODE % without_indent(run).strip("\n")
        else:
            yield Markup("<p>%s</p>") % prose(" ".join(run))


def block(text: str) -> Markup:
    """Code to read and to copy: a click selects all of it."""
    return CODE % _short_block(text)


def _short_block(text: str) -> str:
    return cut(shortened(visible(text), BLOCK_LINES, BLOCK_COLUMNS), BLOCK_LENGTH)


def line(text: str) -> str:
    """One line, of which the beginning is enough to know it."""
    return cut(one_line(text), LINE_LENGTH)


def cut(text: str, length: int) -> str:
    return text if len(text) <= length else f"{text[:length]}…"


def docs(text: str) -> Markup:
    """A part of a check's documentation, with its paragraphs, lists and code."""
    return Markup("\n").join(
        block(without_indent(run).strip("\n")) if is_code else _paragraph_or_list(run)
        for is_code, run in runs_of(text.split("\n"))
    )


def _paragraph_or_list(lines: Sequence[str]) -> Markup:
    items = re.split(r"(?m)^[-*] ", "\n".join(lines))
    if len(items) == 1:
        return Markup("<p>{}</p>").format(prose_of_docs(items[0]))
    before = Markup("<p>{}</p>").format(prose_of_docs(items[0])) if items[0].strip() else Markup("")
    return before + Markup("<ul>{}</ul>").format(
        Markup("").join(Markup("<li>{}</li>").format(prose_of_docs(each)) for each in items[1:])
    )


def prose_of_docs(text: str) -> Markup:
    return prose(plain(" ".join(text.split())))


def excerpt(finding: FindingEntry) -> Markup:
    """The lines around the finding's place, with their numbers. Its own line is marked."""
    if finding.excerpt is None:
        return Markup("")
    text = "\n".join(cut(each.replace("\n", " "), BLOCK_COLUMNS) for each in finding.excerpt.lines)
    lines = str(escape(visible(text))).split("\n")  # in one step, since each has a price
    return Markup('<pre class="excerpt" tabindex="0">%s</pre>') % Markup(  # noqa: S704 - of numbers and escaped lines
        "".join(
            f'<span class="code-line{" place" * (number == finding.line)}"><span class="number">{number}</span>{line}\n</span>'
            for number, line in enumerate(lines, finding.excerpt.first_line)
        )
    )


def lock_mode(name: str) -> str:
    """ "ACCESS EXCLUSIVE" for "AccessExclusiveLock"."""
    return SQL_WORDS.get(name, line(name))


def moment(when: datetime) -> Markup:
    """A time in UTC, with the exact one for programs."""
    utc = when.astimezone(UTC)
    return Markup('<time datetime="{}">{} UTC</time>').format(
        utc.isoformat(timespec="milliseconds"), utc.strftime("%Y-%m-%d %H:%M")
    )
