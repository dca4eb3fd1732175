"""How to fix an upgrade that fails over rows."""

from __future__ import annotations

import re

from app.gate.checks.support import fix_code
from app.gate.postgres import sqlstates
from app.gate.postgres.quoting import quote, quote_table
from app.gate.recording.model import Change, Failure, Key, Revision, RoundTrip, Snapshot
from app.gate.recording.names import shorten, table_of
from app.gate.wording import indented

# PostgreSQL's message for a value that an enum does not have.
NO_LABEL = re.compile(r'^invalid input value for enum [^:]+: "(.*)"$')


def help_for(
    revision: Revision, trip: RoundTrip, failure: Failure, table: str, column: str | None, head: Snapshot | None
) -> str:
    is_known = failure.sqlstate != sqlstates.UNIQUE_VIOLATION or _is_text(head, table, column)
    code = _code(trip, failure, table, column, head) if is_known else None
    parts = [f"{_FIRST[code[0]]}\n\n{indented(code[1])}"] if code else []
    if not parts and (NO_LABEL.search(failure.message) or failure.sqlstate == sqlstates.CHECK_VIOLATION):
        parts.append(f"Give such rows of {shorten(table)} another value first, by an UPDATE.")
    if not parts and failure.sqlstate in (sqlstates.STRING_DATA_RIGHT_TRUNCATION, sqlstates.NUMERIC_VALUE_OUT_OF_RANGE):
        parts.append(
            f"Shorten what does not fit, by an UPDATE of {shorten(table)} before the change, or keep the wider type."
        )
    if not parts and failure.sqlstate in (sqlstates.UNIQUE_VIOLATION, sqlstates.EXCLUSION_VIOLATION):
        parts.append(f"Make such rows of {shorten(table)} differ first, or keep one of them.")
    return "\n\n".join([*parts, _other_rows(revision, shorten(table))])


def help_for_new_table(revision: Revision, table: str, rows_of: str) -> str:
    first = f"Leave such rows of {rows_of} out of the new {shorten(table)}, or give them there what it requires."
    return f"{first}\n\n{_other_rows(revision, rows_of)}"


def _other_rows(revision: Revision, rows_of: str) -> str:
    return (
        f"If rows of {rows_of} look different, put some into overproof_rows/{revision.revision}.sql, next to the script: "
        "they are used instead."
    )


_FIRST = {
    "default": "Give existing rows a value from the start (choose the right one):",
    "fill": "Fill the column before it is made NOT NULL (choose the right value):",
    "refer": "Let each row refer to an existing one before the column is made NOT NULL (choose the right one), or delete such rows:",
    "duplicates": "Make duplicates differ first, in a way that suits them; for a text, for example:",
}


def _code(
    trip: RoundTrip, failure: Failure, table: str, column: str | None, head: Snapshot | None
) -> tuple[str, str] | None:
    """Which advice, and the code for it, with the user's own names."""
    schema, _, label = table.partition(".")
    named = f", schema={fix_code.python(schema)}" if schema != "public" else ""
    if failure.sqlstate == sqlstates.NOT_NULL_VIOLATION and column is not None:
        change = find_column_change(trip, table, column)
        if change is None or change.after is None:
            return None
        type_ = str(change.after.get("type", "text"))
        referred = _referred_value(trip, head, table, column)
        value = referred or _some_value(type_)
        statement = (failure.sql or "").upper()
        if "PRIMARY KEY" in statement:
            return None  # no single value will do
        add = f"ALTER TABLE {quote_table(table)} ADD COLUMN {quote(column)} {type_}"
        is_added = change.before is None and "SET NOT NULL" not in statement
        if is_added and not referred:
            add += f" NOT NULL DEFAULT {value}"
            drop = f"op.alter_column({fix_code.python(label)}, {fix_code.python(column)}, server_default=None{named})  # in a later release"
            return "default", f"op.execute({fix_code.python(add, is_sql=True)})\n{drop}"
        fill = f"UPDATE {quote_table(table)} SET {quote(column)} = {value} WHERE {quote(column)} IS NULL"
        alter = f"op.alter_column({fix_code.python(label)}, {fix_code.python(column)}, nullable=False{named})"
        lines = [*([add] if is_added else []), fill]
        code = "\n".join(f"op.execute({fix_code.python(line, is_sql=True)})" for line in lines)
        return "refer" if referred else "fill", f"{code}\n{alter}"
    if failure.sqlstate == sqlstates.UNIQUE_VIOLATION and column is not None:
        one, sql = quote(column), quote_table(table)
        lines = [
            f"UPDATE {sql} AS o SET {one} = o.{one} || '-' || d.n",
            f"FROM (SELECT ctid, row_number() OVER (PARTITION BY {one}) AS n FROM {sql} WHERE {one} IS NOT NULL) AS d",
            "WHERE o.ctid = d.ctid AND d.n > 1",
        ]
        body = "\n".join(f"    {fix_code.python(line + ' ', is_sql=True)}" for line in lines)
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
    """Whether that column holds texts at head, if its type is known."""
    schema, _, label = table.partition(".")
    definition = head.objects.get(Key("column", schema, column or "", label)) if head is not None else None
    return definition is None or str(definition.get("type")).startswith(("character", "text", "citext"))


def find_column_change(trip: RoundTrip, table: str, column: str | None) -> Change | None:
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
