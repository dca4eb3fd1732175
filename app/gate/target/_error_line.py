"""The one line of a command's output that says why it failed."""

from __future__ import annotations

import itertools
import re

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
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    named = [(number, found[1]) for number, line in enumerate(lines) if (found := _EXCEPTION.search(line))]
    if not named:
        return _STAMP.sub("", lines[-1])[:500] if lines else ""
    if lines[-1].startswith("Error: "):
        # Of Flask's two, the first is why there is no such command as the second one says.
        return " ".join(line for line in lines if line.startswith("Error: "))[:500]
    number, reason = named[-1]
    if _OF_A_DATABASE.search(reason):
        # Its statement and its parameters follow, unless the line itself is too long already.
        following = itertools.takewhile(lambda line: line[0].islower(), lines[number + 1 : number + 3])
        reason = " ".join([reason, *following])
    elif reason == lines[number]:
        reason = " ".join([reason, *lines[number + 1 : number + 4]])
    return reason[:500]


_OF_A_DATABASE = re.compile(r"psycopg|sqlalchemy|asyncpg|pg8000")
