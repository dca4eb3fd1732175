"""An SQL statement without the values in it.

pg_stat_statements replaces constants by `$1`, but keeps the text as it came where it has lost the statement's parse in
the meantime, and always keeps comments, in which libraries write requests and users. So what is left is taken out here:
comments go, and constants become further parameters. Numbers stay where PostgreSQL takes no parameter: positions in
ORDER BY and GROUP BY, and the sizes of types.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

_TOKEN = re.compile(
    r"""
    (?P<blank>\s+|--[^\r\n]*)
  | (?P<comment>/\*)
  | (?P<string>(?:[eE]'(?:[^'\\]|''|\\.)*(?:'|\Z)|(?:[bBxXnN]|[uU]&)?'(?:[^']|'')*(?:'|\Z)|\$(?P<tag>[A-Za-z_]\w*)\$.*?(?:\$(?P=tag)\$|\Z)|\$\$.*?(?:\$\$|\Z)))
  | (?P<quoted>(?:[uU]&)?"(?:[^"]|"")*")
  | (?P<parameter>\$\d+)
  | (?P<number>0[xXoObB][0-9a-fA-F_]+|(?:\d[\d_]*(?:\.[\d_]*)?|\.\d[\d_]*)(?:[eE][+-]?\d+)?)
  | (?P<word>[^\W\d]\w*)
  | (?P<other>.)
    """,
    re.VERBOSE | re.DOTALL,
)
_SIZED_TYPES = {
    "bit", "char", "character", "varying", "varchar", "bpchar", "numeric", "decimal", "dec", "float", "time", "timestamp",
    "timestamptz", "timetz", "interval", "second",
}  # fmt: skip
_POSITIONS_BEGIN = {("order", "by"), ("group", "by")}
_POSITIONS_END = {
    "union",
    "intersect",
    "except",
    "returning",
}  # what else follows them lists nothing outside of brackets


class _Token(NamedTuple):
    kind: str
    text: str


def mask(sql: str) -> str:
    """The statement without comments and constants. It stays one that can be prepared, wherever it was one."""
    tokens = list(_tokens(sql))
    highest = max((int(each.text[1:]) for each in tokens if each.kind == "parameter"), default=0)
    written = []
    context = _Context()
    for token in tokens:
        if token.kind == "string" or (token.kind == "number" and not context.keeps_number()):
            highest += 1
            written.append(f"${highest}")
        else:
            written.append(token.text)
        context.follow(token)
    lines = (line.rstrip() for line in _preparable("".join(written)).strip().splitlines())
    return "\n".join(line for line in lines if line).rstrip("; \n")


def is_single(sql: str) -> bool:
    """Whether it is one statement, without another one behind a semicolon."""
    return not any(token == ("other", ";") for token in _tokens(sql.rstrip().rstrip(";")))


# Where PostgreSQL's grammar wants a constant, and pg_stat_statements has put a parameter all the same.
_TYPED = re.compile(
    r"\b(interval|date|(?:timestamp|time)(?: with(?:out)? time zone)?|timestamptz)\s+(\$\d+)", re.IGNORECASE
)
_EXTRACTED = re.compile(r"\bextract\s*\(\s*\$\d+\s+from\b", re.IGNORECASE)


def _preparable(sql: str) -> str:
    """`interval $1` as a cast, and some field for that of `extract($1 FROM at)`, which is not known any more."""
    return _EXTRACTED.sub("extract(epoch FROM", _TYPED.sub(r"CAST(\2 AS \1)", sql))


class _Context:
    """Where in the statement a number is."""

    def __init__(self) -> None:
        self._last = ""  # word, in lower case
        # What each bracket follows, and whether positions are listed before it.
        self._brackets: list[tuple[str, bool]] = []
        self._is_listing = False  # positions of ORDER BY or GROUP BY
        self._is_item = False  # at the beginning of one

    def keeps_number(self) -> bool:
        is_size = bool(self._brackets) and self._brackets[-1][0] in _SIZED_TYPES
        return is_size or (self._is_listing and self._is_item)

    def follow(self, token: _Token) -> None:
        if token.kind in ("blank", "comment"):
            return
        word = token.text.lower() if token.kind == "word" else token.text
        if word in ("(", "["):
            self._brackets.append((self._last, self._is_listing))
            self._is_listing = False
        elif word in (")", "]") and self._brackets:
            _, self._is_listing = self._brackets.pop()
        elif (self._last, word) in _POSITIONS_BEGIN:
            self._is_listing = True
        elif word in _POSITIONS_END:
            self._is_listing = False
        self._is_item = word in ("by", ",")
        self._last = word


def _tokens(sql: str) -> Iterator[_Token]:
    at = 0
    while (found := _TOKEN.match(sql, at)) is not None:  # its last alternative takes any character
        kind = next(name for name, text in found.groupdict().items() if text is not None)
        end = _end_of_comment(sql, at) if kind == "comment" else found.end()
        text = sql[at:end]
        if kind == "comment" or text.startswith("--"):
            yield _Token("comment", " ")
        else:
            yield _Token(kind, text)
        at = end


def _end_of_comment(sql: str, start: int) -> int:
    """Comments are nested: https://www.postgresql.org/docs/current/sql-syntax-lexical.html#SQL-SYNTAX-COMMENTS"""
    depth = 0
    for found in re.finditer(r"/\*|\*/", sql[start:]):
        depth += (found[0] == "/*") - (found[0] == "*/")
        if depth == 0:
            return start + found.end()
    return len(sql)
