"""Whether a revision fills a column before it requires values in it."""

from __future__ import annotations

import re

from app.gate.recording.model import Failure, RoundTrip


def is_filled_before(trip: RoundTrip, failure: Failure, table: str | None, column: str | None) -> bool:
    """Whether the revision fills the column, from another table or in the rows that it knows, before it requires
    values."""
    if column is None or table is None or trip.up is None:
        return False
    for statement in trip.up.statements:
        if statement.sql == failure.sql:
            return False
        update = _UPDATE.match(_without_parentheses(statement.sql))
        is_here = update is not None and update["table"] == table.rpartition(".")[2]
        if update and is_here and re.search(rf'(?<!\w){re.escape(column)}"?\s*=', update["values"]):
            return True
    return False


_UPDATE = re.compile(
    r"""\s*UPDATE\s+(?:ONLY\s+)?(?:"?\w+"?\.)?"?(?P<table>\w+)"?\s.*?\bSET\b(?P<values>.*?)(?:\b(?:FROM|WHERE|RETURNING)\b|\Z)""",
    re.IGNORECASE | re.DOTALL,
)


def _without_parentheses(sql: str) -> str:
    """The statement without its subqueries and calls."""
    found = 1
    while found:
        sql, found = re.subn(r"\([^()]*\)", "", sql)
    return sql
