"""What to do about an upgrade that fails over rows."""

from __future__ import annotations

import re

from app.gate.checks.support import fix_code as remedy
from app.gate.postgres import sqlstates
from app.gate.recording.model import Change, Failure, Key, Revision, RoundTrip, Snapshot
from app.gate.recording.names import shorten, table_of
from app.gate.wording import indented

# PostgreSQL's words for a value that an enum has not.
NO_LABEL = re.compile(r'^invalid input value for enum [^:]+: "(.*)"$')


def _help(
    revision: Revision, trip: RoundTrip, failure: Failure, table: str, column: str | None, head: Snapshot | None
) -> str:
    is_told = failure.sqlstate != sqlstates.UNIQUE_VIOLATION or _is_text(head, table, column)
    code = _code(trip, failure, table, column, head) if is_told else None
    parts = [f"{_FIRST[code[0]]}\n\n{indented(code[1])}"] if code else []
    if not parts and (NO_LABEL.search(failure.message) or failure.sqlstate == sqlstates.CHECK_VIOLATION):
        parts.append(f"Give such rows of {shorten(table)} another value before, by an UPDATE.")
    if not parts and failure.sqlstate in (sqlstates.STRING_DATA_RIGHT_TRUNCATION, sqlstates.NUMERIC_VALUE_OUT_OF_RANGE):
        parts.append(
            f"Make what does not fit fit, by an UPDATE of {shorten(table)} before the change, or keep the wider type."
        )
    if not parts and failure.sqlstate in (sqlstates.UNIQUE_VIOLATION, sqlstates.EXCLUSION_VIOLATION):
        parts.append(f"Tell such rows of {shorten(table)} apart before, or keep one of them.")
    return "\n\n".join([*parts, _other_rows(revision, shorten(table))])


def _help_with_new(revision: Revision, table: str, rows_of: str) -> str:
    first = f"Leave such rows of {rows_of} out of the new {shorten(table)}, or give them there what it asks for."
    return f"{first}\n\n{_other_rows(revision, rows_of)}"


def _other_rows(revision: Revision, rows_of: str) -> str:
    return (
        f"If rows of {rows_of} look different, put some into overproof_rows/{revision.revision}.sql, beside the script: "
        "they are used instead."
    )


_FIRST = {
    "default": "Let existing rows have a value from the start (choose the right one):",
    "fill": "Fill the column before it is made NOT NULL (choose the right value):",
    "refer": "Let each row refer to one that exists before the column is made NOT NULL (choose the right one), or delete such rows:",
    "duplicates": "Tell duplicates apart before, in a way that suits them; for a text, say:",
}


def _code(
    trip: RoundTrip, failure: Failure, table: str, column: str | None, head: Snapshot | None
) -> tuple[str, str] | None:
    """Which advice, and the code for it, with the user's own names."""
    schema, _, label = table.partition(".")
    named = f", schema={remedy.python(schema)}" if schema != "public" else ""
    if failure.sqlstate == sqlstates.NOT_NULL_VIOLATION and column is not None:
        change = _column_change(trip, table, column)
        if change is None or change.after is None:
            return None
        type_ = str(change.after.get("type", "text"))
        referred = _referred_value(trip, head, table, column)
        value = referred or _some_value(type_)
        statement = (failure.sql or "").upper()
        if "PRIMARY KEY" in statement:
            return None  # no one value will do
        add = f"ALTER TABLE {remedy.quote_table(table)} ADD COLUMN {remedy.quote(column)} {type_}"
        is_added = change.before is None and "SET NOT NULL" not in statement
        if is_added and not referred:
            add += f" NOT NULL DEFAULT {value}"
            drop = f"op.alter_column({remedy.python(label)}, {remedy.python(column)}, server_default=None{named})  # in a later release"
            return "default", f"op.execute({remedy.python(add, is_sql=True)})\n{drop}"
        fill = f"UPDATE {remedy.quote_table(table)} SET {remedy.quote(column)} = {value} WHERE {remedy.quote(column)} IS NULL"
        alter = f"op.alter_column({remedy.python(label)}, {remedy.python(column)}, nullable=False{named})"
        lines = [*([add] if is_added else []), fill]
        code = "\n".join(f"op.execute({remedy.python(line, is_sql=True)})" for line in lines)
        return "refer" if referred else "fill", f"{code}\n{alter}"
    if failure.sqlstate == sqlstates.UNIQUE_VIOLATION and column is not None:
        one, sql = remedy.quote(column), remedy.quote_table(table)
        lines = [
            f"UPDATE {sql} AS o SET {one} = o.{one} || '-' || d.n",
            f"FROM (SELECT ctid, row_number() OVER (PARTITION BY {one}) AS n FROM {sql} WHERE {one} IS NOT NULL) AS d",
            "WHERE o.ctid = d.ctid AND d.n > 1",
        ]
        body = "\n".join(f"    {remedy.python(line + ' ', is_sql=True)}" for line in lines)
        return "duplicates", f"op.execute(\n{body}\n)"
    return None


def _referred_value(trip: RoundTrip, head: Snapshot | None, table: str, column: str) -> str | None:
    """A value that the column's foreign key allows, as SQL; None if it is in no foreign key."""
    changed = [(each.key, each.after) for each in (trip.up.changes if trip.up is not None else ())]
    for key, definition in [*changed, *(head.objects.items() if head is not None else ())]:
        columns = list((definition or {}).get("columns") or ())
        if key.kind != "constraint" or table_of(key) != table or definition is None or column not in columns:
            continue
        found = re.search(r"\bREFERENCES (.+?)\s*\(([^()]*)\)", str(definition.get("definition")))
        if found is not None:
            target = found[1].removeprefix("public.")
            return f"(SELECT {found[2]} FROM {target} LIMIT 1)" if len(columns) == 1 else "…"
    return None


def _is_text(head: Snapshot | None, table: str, column: str | None) -> bool:
    """Whether that column holds texts at head, as far as is known."""
    schema, _, label = table.partition(".")
    definition = head.objects.get(Key("column", schema, column or "", label)) if head is not None else None
    return definition is None or str(definition.get("type")).startswith(("character", "text", "citext"))


def _column_change(trip: RoundTrip, table: str, column: str | None) -> Change | None:
    """What the revision did to that column."""
    for change in trip.up.changes if trip.up is not None else ():
        if change.key.kind == "column" and change.key.name == column and table_of(change.key) == table and change.after:
            return change
    return None


def _some_value(type_: str) -> str:
    """A default of that type that can be read as the placeholder that it is."""
    for pattern, value in _VALUES:
        if re.match(pattern, type_):
            return value
    return "…"


_VALUES = (
    (r"(character|text|citext)", "''"),
    (r"(smallint|integer|bigint|numeric|real|double)(?!.*\[\])", "0"),
    (r"boolean$", "false"),
    (r"timestamp", "now()"),
    (r"date$", "current_date"),
    (r"jsonb?$", "'{}'"),
    (r"uuid$", "gen_random_uuid()"),
    (r".*\[\]$", "'{}'"),
)
