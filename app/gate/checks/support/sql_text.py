"""SQL as a text of which strings, quoted names and comments are whole pieces: lists, parentheses, names and clauses."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence

from app.gate.postgres.quoting import name_of

_PIECE = re.compile(
    r"""(?P<text>[eE]'(?:[^'\\]|''|\\.)*'|'(?:[^']|'')*'|\$(?P<tag>\w*)\$.*?\$(?P=tag)\$)
    |(?P<name>"(?:[^"]|"")*"|[^\W\d][\w$]*)
    |(?P<comment>--[^\n]*|/\*.*?\*/)
    |(?P<other>::|\d[\w.]*|.)""",
    re.VERBOSE | re.DOTALL,
)


def pieces(sql: str) -> Iterator[re.Match[str]]:
    return _PIECE.finditer(sql)


def _with_depth(sql: str) -> Iterator[tuple[re.Match[str], int]]:
    """Each piece with the number of parentheses and brackets around it; those that open or close are outside."""
    depth = 0
    for piece in pieces(sql):
        closes, opens = piece[0] in (")", "]"), piece[0] in ("(", "[")
        depth -= closes
        yield piece, depth
        depth += opens


def split_list(sql: str) -> list[str]:
    """The members of a list that is separated by commas."""
    ends = [piece.start() for piece, depth in _with_depth(sql) if depth == 0 and piece[0] == ","]
    starts = [0, *(end + 1 for end in ends)]
    return [part for start, end in zip(starts, [*ends, len(sql)], strict=True) if (part := sql[start:end].strip())]


def in_parentheses(sql: str, start: int) -> str | None:
    """What is between the parenthesis at that place and the one that closes it."""
    for piece, depth in _with_depth(sql[start:]):
        if piece[0] == ")" and depth == 0:
            return sql[start + 1 : start + piece.start()]
    return None


def enclosed(expression: str) -> str:
    """The expression in parentheses, which it mostly has as PostgreSQL prints it."""
    expression = expression.strip()
    inner = in_parentheses(expression, 0) if expression.startswith("(") else None
    return expression if inner is not None and len(inner) + 2 == len(expression) else f"({expression})"


def clauses(sql: str, *keywords: str) -> dict[str, str]:
    """{"UPDATE": "t", "SET": "a = 1", "WHERE": "b"}: the parts outside parentheses that begin with those words, in
    order, each once. The FROM of IS DISTINCT FROM begins none."""
    found: list[tuple[str, int, int]] = []
    previous = ""
    for piece, depth in _with_depth(sql):
        word = piece[0].upper()
        begins = word in keywords and (previous, word) != ("DISTINCT", "FROM")
        if depth == 0 and piece["name"] and begins and word not in {name for name, *_ in found}:
            found.append((word, piece.start(), piece.end()))
        previous = word if word.strip() else previous
    ends = [*(start for _, start, _ in found[1:]), len(sql)] if found else []
    return {word: sql[start:end].strip() for (word, _, start), end in zip(found, ends, strict=True)}


def replace_names(sql: str, replacements: Mapping[str, str]) -> str:
    """The expression with other texts in place of some names of columns."""
    return _replaced(sql, replacements.get)


def names_in(sql: str) -> set[str]:
    """The names in an expression that may be those of columns, function names apart."""
    found: set[str] = set()

    def note(name: str) -> None:
        found.add(name)

    _replaced(sql, note)
    return found


def names_with_neighbours(parts: Sequence[re.Match[str]]) -> Iterator[tuple[int, int | None, int | None]]:
    """The index of each name, and those of the pieces before and after it, blanks and comments apart."""
    solid = [at for at, piece in enumerate(parts) if piece[0].strip() and not piece["comment"]]
    for before, at, after in zip([None, *solid], solid, [*solid[1:], None], strict=False):
        if parts[at]["name"]:
            yield at, before, after


def _replaced(sql: str, replacement: Callable[[str], str | None]) -> str:
    parts = list(pieces(sql))
    texts = [piece[0] for piece in parts]
    for at, before, after in names_with_neighbours(parts):
        # What follows :: is a type, what follows a dot belongs to what is before it, and ( makes it a function.
        follows = before is not None and texts[before] in ("::", ".")
        leads = after is not None and texts[after] in ("(", ".")
        if not follows and not leads:
            new = replacement(name_of(texts[at]))
            if new is not None:
                texts[at] = new
    return "".join(texts)
