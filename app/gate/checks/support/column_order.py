"""Which columns an INSERT without a list of columns fills: the first of the table, in the order of its CREATE TABLE."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

from app.gate.checks.support.sql_text import clauses, in_parentheses, pieces, split_list
from app.gate.postgres.quoting import IDENTIFIER, name_of

_TABLE = rf"(?:(?P<schema>{IDENTIFIER})\s*\.\s*)?(?P<table>{IDENTIFIER})"
_CREATE = re.compile(rf"\s*CREATE\s+TABLE\s+(?:IF\s+NOT\s+EXISTS\s+)?{_TABLE}\s*(?=\()", re.IGNORECASE)
_ALTER = re.compile(rf"\s*ALTER\s+TABLE\s+(?:IF\s+EXISTS\s+)?(?:ONLY\s+)?{_TABLE}", re.IGNORECASE)
_FROM = re.compile(rf"\s*(?:ONLY\s+)?{_TABLE}(?:\s+(?:AS\s+)?{IDENTIFIER})?\s*\Z", re.IGNORECASE)
_RULES = {"CONSTRAINT", "PRIMARY", "UNIQUE", "CHECK", "FOREIGN", "EXCLUDE"}
CountColumns = Callable[[str], int | None]  # of a table before the revision: "public.orders"


def filled_columns(table: str, query: str, earlier: Sequence[str], count: CountColumns) -> list[str] | None:
    """The columns of a new table that the query fills. None where that is not known.

    `earlier`: the revision's statements before the INSERT, without their comments.
    """
    order = _order(table, earlier)
    number = _number_of_columns(query, earlier, count)
    return order[:number] if order is not None and number is not None and number <= len(order) else None


def _order(table: str, statements: Sequence[str]) -> list[str] | None:
    order: list[str] | None = None
    for sql in statements:
        if (found := _CREATE.match(sql)) is not None and _full_name(found) == table:
            order = _columns_of_create(sql, found.end())
        elif (found := _ALTER.match(sql)) is not None and _full_name(found) == table:
            return None
    return order


def _columns_of_create(sql: str, start: int) -> list[str] | None:
    body = in_parentheses(sql, start)
    if body is None or re.match(r"\s*(?:INHERITS|AS)\b", sql[start + len(body) + 2 :], re.IGNORECASE):
        return None
    columns = []
    for item in split_list(body):
        first = next((piece[0] for piece in pieces(item) if piece["name"]), "")
        if first.upper() == "LIKE":
            return None
        if first.upper() not in _RULES:
            columns.append(name_of(first))
    return columns


def _number_of_columns(query: str, earlier: Sequence[str], count: CountColumns) -> int | None:
    query = query.strip()
    while query.startswith("(") and (inner := in_parentheses(query, 0)) is not None and len(inner) + 2 == len(query):
        query = inner.strip()
    parts = clauses(query, "SELECT", "FROM", "WHERE", "GROUP", "ORDER", "LIMIT", "UNION", "EXCEPT", "INTERSECT")
    listed = re.sub(r"\A(?:ALL\b|DISTINCT\b(?!\s+ON\b))\s*", "", parts.get("SELECT", ""), flags=re.IGNORECASE)
    if not re.match(r"SELECT\b", query, re.IGNORECASE) or re.match(r"DISTINCT\b", listed, re.IGNORECASE):
        return None
    items = split_list(listed)
    if items != ["*"]:
        return None if any(item.endswith("*") for item in items) else len(items)
    source = _FROM.match(parts.get("FROM", ""))
    if source is None or any(
        (found := _ALTER.match(sql)) and _full_name(found) == _full_name(source) for sql in earlier
    ):
        return None
    return count(_full_name(source))


def _full_name(found: re.Match[str]) -> str:
    return f"{name_of(found['schema']) if found['schema'] else 'public'}.{name_of(found['table'])}"
