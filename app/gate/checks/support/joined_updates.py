"""What UPDATE … FROM puts into a column, as an expression in the rows of the table alone."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from app.gate.checks.support.sql_text import names_in, names_with_neighbours, pieces
from app.gate.postgres.quoting import name_of


def requalified(sql: str, names: Iterable[str], qualifier: str) -> str:
    """The expression with another word, or none, in place of those names where they stand before a column's."""
    parts = list(pieces(sql))
    texts = [piece[0] for piece in parts]
    for at, before, after in names_with_neighbours(parts):
        if after is None or texts[after] != "." or (before is not None and texts[before] == "."):
            continue  # it qualifies nothing
        if name_of(parts[at][0]) in names:
            texts[at] = qualifier
            if not qualifier:
                texts[after] = ""
    return "".join(texts)


def columns_in(sql: str, qualifier: str) -> set[str]:
    """The names that may be those of the table's columns: bare ones, and those behind the qualifier."""
    solid = [piece for piece in pieces(sql) if piece[0].strip() and not piece["comment"]]
    behind = {
        name_of(after[0])
        for before, dot, after in zip(solid, solid[1:], solid[2:], strict=False)
        if before["name"] and before[0] == qualifier and dot[0] == "." and after["name"]
    }
    return names_in(sql) | behind


def joined_value(value: str, source: str, condition: str, now: str) -> str:
    """What the column holds after `SET a = value FROM source WHERE condition`. PostgreSQL refuses the expression where
    a row meets several of the source, since which of them the UPDATE takes is not said."""
    found = f"(SELECT {value} FROM {source} WHERE {condition})"
    if now == "NULL":
        return found
    return f"CASE WHEN EXISTS (SELECT FROM {source} WHERE {condition}) THEN {found} ELSE {now} END"


def is_changed_by(statements: Sequence[str], source: str) -> bool:
    """Whether one of those statements names what is in FROM."""
    return any(
        re.search(rf'(?<![\w$"]){re.escape(name)}(?![\w$"])', sql.replace('"', "")) is not None
        for name in names_in(source)
        for sql in statements
    )
