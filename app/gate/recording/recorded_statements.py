"""Statements that a live database was sent, and the file in which they are kept: plain SQL, one record after the other.

    -- overproof-statements/1
    -- …
    -- overproof: statement
    SELECT id, note FROM orders WHERE id = $1;

    -- overproof: statement, search_path: shop, public
    UPDATE items SET note = $1 WHERE id = $2;

The file has no values, numbers of calls or dates in it, and its records are sorted, so that two of them can be compared
by `diff`. Records can be taken out or written by hand.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

FORMAT: Final = "-- overproof-statements/1"
_RECORD: Final = re.compile(r"-- overproof: statement(?:, search_path: (?P<path>.+))?\s*")


@dataclass(frozen=True, order=True)
class RecordedStatement:
    """A statement with `$1`, `$2` and so on in place of values."""

    sql: str
    search_path: str | None = None  # in which its names are found, if that is not the usual one


def render_statements(statements: Iterable[RecordedStatement], remarks: Sequence[str] = ()) -> str:
    """The text of a file that holds them."""
    lines = [FORMAT, *(f"-- {remark}" for remark in remarks)]
    for each in sorted(set(statements), key=lambda each: (each.sql, each.search_path or "")):
        path = f", search_path: {each.search_path}" if each.search_path is not None else ""
        # A line of the statement's own that looks like the head of a record is none if it is indented.
        body = (f" {line}" if _RECORD.fullmatch(line) else line for line in each.sql.splitlines())
        lines += ["", f"-- overproof: statement{path}", *body]
        lines[-1] += ";"
    return "\n".join([*lines, ""])


def parse_statements(text: str) -> tuple[RecordedStatement, ...]:
    """Raises ValueError if it is no such file."""
    first, _, rest = text.removeprefix("\ufeff").partition("\n")
    if first.strip() != FORMAT:
        raise ValueError(f"its first line is not {FORMAT}")
    found: list[RecordedStatement] = []
    path: str | None = None
    body: list[str] | None = None
    for line in [*rest.splitlines(), "-- overproof: statement"]:
        head = _RECORD.fullmatch(line)
        if head is None:
            if body is not None:
                body.append(line)
            continue
        sql = "\n".join(body or ()).strip().rstrip(";").rstrip()
        if sql:
            found.append(RecordedStatement(sql, path))
        path, body = head["path"], []
    return tuple(found)
