"""Lines of plain text for a terminal of some width, each with a style."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterator
from typing import NamedTuple

from app.gate.reporters.escaping import shortened

CODE_COLUMNS = 500


class Line(NamedTuple):
    text: str
    style: str = ""  # as rich names it


def wrapped(text: str, indent: str, width: int, style: str = "", hanging: str | None = None) -> Iterator[Line]:
    for line in textwrap.wrap(
        text,
        width,
        initial_indent=indent,
        subsequent_indent=indent if hanging is None else hanging,
        break_long_words=False,
        break_on_hyphens=False,
    ):
        yield Line(line, style)


def verbatim(text: str, indent: str, width: int, style: str = "") -> Iterator[Line]:
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


def paragraphs(text: str, indent: str, width: int, *, with_code: bool = True) -> Iterator[Line]:
    """Prose, in which indented lines are code, which may be left out."""
    paragraph: list[str] = []
    for line in [*text.split("\n"), ""]:
        if line and not line[0].isspace():
            paragraph.append(line)
            continue
        prose = " ".join(paragraph)
        yield from wrapped(prose if with_code else re.sub(r":$", ".", prose), indent, width)
        paragraph = []
        if line.strip() and with_code:
            # Code is to be copied: only the terminal wraps it.
            yield Line(shortened(f"{indent}{line.expandtabs(4).rstrip()}", 1, CODE_COLUMNS))
