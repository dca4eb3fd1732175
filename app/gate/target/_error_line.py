"""The one line of a command's output that says why it failed."""

from __future__ import annotations

import itertools
import re
from collections.abc import Sequence

from app.gate.wording import listed

# "sqlalchemy.exc.ProgrammingError: (psycopg2.errors.UndefinedTable) ...", perhaps behind what a logger puts before it.
_EXCEPTION = re.compile(
    r"(?:^|\s)((?:\w+\.)*\w*(?:Error|Exception|Exit|Interrupt|Violation)\w*: .+|\((?:psycopg2?|asyncpg|pg8000)\.[\w.]+\) .+)"
)
# What a logger puts before what it has to say: "2026-11-22 11:01:20.611 27943 ERROR ", "[11:01:20] ".
_STAMP = re.compile(
    r"^\[?(?:\d{4}-\d\d-\d\d[T ])?\d\d:\d\d(?::\d\d(?:[.,]\d+)?)?(?:Z|[+-]\d\d:?\d\d)?\]?[\s:,-]+(?:\d+\s+(?=[A-Z]))?(?=\S)"
)


def last_line(text: str) -> str:
    """The line that says what happened: the last that names an exception, else the last that is not blank.

    With the lines that go with it: pydantic and others name the setting that is missing in the second.
    """
    lines = _without_boxes([line.strip() for line in text.splitlines() if line.strip()])
    named = [(number, found[1]) for number, line in enumerate(lines) if (found := _EXCEPTION.search(line))]
    if not named:
        return _STAMP.sub("", lines[-1])[:500] if lines else ""
    if lines[-1].startswith("Error: "):
        # Of Flask's two, the first is why there is no such command as the second one says.
        return " ".join(line for line in lines if line.startswith("Error: "))[:500]
    number, reason = named[-1]
    if _OF_PYDANTIC.search(reason):
        return _with_all_fields(reason, lines[number + 1 :])[:500]
    if _OF_A_DATABASE.search(reason):
        # Its statement and its parameters follow, unless the line itself is too long already.
        following = itertools.takewhile(lambda line: line[0].islower(), lines[number + 1 : number + 3])
        reason = " ".join([reason, *following])
    elif reason == lines[number]:
        reason = " ".join([reason, *lines[number + 1 : number + 4]])
    return reason[:500]


# Typer's way to print an error, by Rich: a box, of ASCII where the output is no UTF-8.
_EDGE = re.compile(r"[╭╰┌└┏┗+][─━-].*[─━-][╮╯┐┘┓┛+]")
_IN_A_BOX = re.compile(r"[│┃|]\s*(.*?)\s*[│┃|]")


def _without_boxes(lines: Sequence[str]) -> list[str]:
    """The lines, with the text of each box in one of its own."""
    found: list[str] = []
    is_inside = False
    for line in lines:
        inner = _IN_A_BOX.fullmatch(line) if is_inside else None
        if _EDGE.fullmatch(line):
            is_inside = not is_inside
            found += [""] if is_inside else []
        elif inner is not None:
            found[-1] = f"{found[-1]} {inner[1]}".strip()
        else:
            is_inside = False
            found.append(line)
    return [line for line in found if line]


_OF_PYDANTIC = re.compile(r"ValidationError: \d+ validation errors? for ")
_HINT = re.compile(r"For further information visit ")


def _with_all_fields(reason: str, following: Sequence[str]) -> str:
    """pydantic's error with each field that is wrong, and why, in one line: two lines follow for each of them."""
    lines = [line for line in following if not _HINT.match(line)]
    whys: dict[str, list[str]] = {}
    for field, why in zip(lines[::2], lines[1::2], strict=False):
        whys.setdefault(re.sub(r" \[type=.*", "", why), []).append(field)
    return f"{reason}: {'; '.join(f'{listed(fields, len(fields))}: {why}' for why, fields in whys.items())}"


_OF_A_DATABASE = re.compile(r"psycopg|sqlalchemy|asyncpg|pg8000")
