"""What rows have over which an upgrade fails, in words."""

from __future__ import annotations

import re

from app.gate.checks.support.failures import failure_detail
from app.gate.checks.support.naming import failure_reason
from app.gate.checks.support.row_advice import NO_LABEL, find_column_change
from app.gate.checks.support.row_place import Place, folds_texts, rule_columns, violated_rule
from app.gate.postgres import sqlstates
from app.gate.recording.model import Failure, RoundTrip, RowKind
from app.gate.recording.names import shorten, table_of
from app.gate.wording import listed


def trouble(trip: RoundTrip, failure: Failure, place: Place, rows_of: str) -> str:
    """What the edge cases have that ordinary rows do not, and why they may have it."""
    change = find_column_change(trip, place.table, place.column) if place.table else None
    if failure.sqlstate == sqlstates.NOT_NULL_VIOLATION and change is not None and change.before is None:
        return f"it leaves the new {place.name} NULL"
    if failure.sqlstate == sqlstates.NOT_NULL_VIOLATION and place.column and _UPDATES.match(failure.sql or ""):
        return f"its UPDATE makes {place.name} NULL"
    is_of_older_key = failure.sqlstate == sqlstates.UNIQUE_VIOLATION and violated_rule(trip, failure) is None
    if is_of_older_key and place.table and _INSERTS.match(failure.sql or ""):
        return f"its INSERT puts equal rows into {shorten(place.table)}"
    return f"{_trait(trip, failure, place, rows_of)}, which the older schema allows"


_INSERTS = re.compile(r"\s*(?:WITH\b.*?)?\bINSERT\b", re.IGNORECASE | re.DOTALL)
_UPDATES = re.compile(r"\s*UPDATE\b", re.IGNORECASE)


def outcome(trip: RoundTrip, failure: Failure, place: Place) -> str:
    """What older rows become in a table that the revision creates, and that refuses it."""
    table = shorten(place.table or "")
    if failure.sqlstate == sqlstates.NOT_NULL_VIOLATION:
        return f"NULL in the new {place.name}"
    if failure.sqlstate in (sqlstates.UNIQUE_VIOLATION, sqlstates.EXCLUSION_VIOLATION):
        change = violated_rule(trip, failure)
        columns = rule_columns(change) if change is not None else []
        return f"equal {listed(columns)} in the new {table}" if columns else f"duplicates in the new {place.name}"
    return f"what the new {place.name} refuses"


def _trait(trip: RoundTrip, failure: Failure, place: Place, rows_of: str) -> str:
    name = place.name or rows_of
    table = shorten(place.table) if place.table else rows_of
    if failure.sqlstate == sqlstates.NOT_NULL_VIOLATION:
        return f"{name} is NULL" if place.column else f"{name} holds NULLs"
    if folds_texts(trip, failure):
        return f"texts in {name} differ in case or blanks only"
    if failure.sqlstate in (sqlstates.UNIQUE_VIOLATION, sqlstates.EXCLUSION_VIOLATION):
        change = violated_rule(trip, failure)
        columns = rule_columns(change) if change is not None else []
        return f"rows of {table} are equal in {listed(columns)}" if columns else f"{name} holds duplicates"
    if failure.sqlstate == sqlstates.STRING_DATA_RIGHT_TRUNCATION:
        return f"texts in {name} are as long as their type allows"
    if failure.sqlstate == sqlstates.NUMERIC_VALUE_OUT_OF_RANGE:
        return f"numbers in {name} are as large as their type allows"
    if found := NO_LABEL.search(failure.message):
        return f"a row of {table} holds '{found[1]}'"
    if failure.sqlstate == sqlstates.CHECK_VIOLATION and (rule := _narrowed(trip, failure)):
        return f"a row of {table} holds what {rule} no longer allows"
    if "default partition" in failure.message:
        return f"{table} has rows that belong to the new partition"
    if failure.sqlstate in (sqlstates.FOREIGN_KEY_VIOLATION, sqlstates.CHECK_VIOLATION) and failure.constraint:
        return f"a row of {table} breaks {failure.constraint}"
    if failure.sqlstate == sqlstates.DIVISION_BY_ZERO:
        return f"what it divides by is 0 in {name}"
    if failure.sqlstate == sqlstates.CARDINALITY_VIOLATION:
        return f"several rows match one in {rows_of}"
    verb = "hold" if place.table is None and " and " in rows_of else "holds"
    return f"{name} {verb} NULLs, duplicates or extreme values"


def _narrowed(trip: RoundTrip, failure: Failure) -> str | None:
    """The CHECK that the error is about, if it replaced another."""
    new = violated_rule(trip, failure)
    gone = [change for change in (trip.up.changes if trip.up is not None else ()) if change.before is not None]
    is_narrowed = new is not None and any(
        change.key.kind == "constraint" and table_of(change.key) == table_of(new.key) for change in gone
    )
    return new.key.name if new is not None and is_narrowed else None


def reason_of(failure: Failure, rows: RowKind) -> str:
    """PostgreSQL's words; a value in them is said to be generated where it is."""
    reason = failure_reason(failure)
    has_value = (failure.sqlstate or "").startswith("22") and re.search(r': "', reason) is not None
    return f"{reason} (a generated value)" if has_value and rows is not RowKind.OWN else reason


def detail_of(failure: Failure, rows: RowKind) -> str | None:
    """The statement and PostgreSQL's words; the values in these are generated, unless the rows are the project's."""
    detail = failure_detail(failure)
    has_values = rows is not RowKind.OWN and failure.detail is not None
    return f"{detail}\n(The values are those of generated rows.)" if has_values else detail
