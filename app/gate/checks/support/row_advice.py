"""How to fix an upgrade that fails over rows."""

from __future__ import annotations

import re

from app.gate.checks.support import ddl
from app.gate.checks.support.schema import Schema
from app.gate.checks.support.script import execute, python
from app.gate.postgres import sqlstates
from app.gate.postgres.quoting import quote, readable_literal, unquoted
from app.gate.recording.model import Change, Failure, FailureInHistory, Key, RefusedInsert, Revision, RoundTrip
from app.gate.recording.names import shorten, table_of
from app.gate.wording import indented

# PostgreSQL's message for a value that an enum does not have.
NO_LABEL = re.compile(r'^invalid input value for enum [^:]+: "(.*)"$')


def help_for(
    revision: Revision, trip: RoundTrip, failure: Failure, table: str | None, column: str | None, schema: Schema
) -> str:
    """What to do about the rows. `schema` is the one in which the statement failed."""
    if failure.sqlstate == sqlstates.CARDINALITY_VIOLATION:
        rows_of = shorten(table) if table is not None else "these tables"
        return f"Say which of the rows counts, or merge them first.\n\n{_other_rows(revision, rows_of)}"
    if table is None:
        return _other_rows(revision, "these tables")
    is_known = failure.sqlstate != sqlstates.UNIQUE_VIOLATION or _is_text(schema, table, column)
    code = _code(trip, failure, table, column, schema) if is_known else None
    parts = [f"{_FIRST[code[0]]}\n\n{indented(code[1])}"] if code else []
    is_value = failure.sqlstate in (sqlstates.CHECK_VIOLATION, *_BAD_VALUES)
    if not parts and failure.sqlstate == sqlstates.NOT_NULL_VIOLATION:
        parts.append(f"Give such rows of {shorten(table)} a value first, by a default or an UPDATE.")
    if not parts and (NO_LABEL.search(failure.message) or is_value):
        parts.append(f"Give such rows of {shorten(table)} another value first, by an UPDATE.")
    if not parts and failure.sqlstate == sqlstates.FOREIGN_KEY_VIOLATION:
        parts.append(f"Let such rows of {shorten(table)} refer to an existing row first, or to none, or delete them.")
    if not parts and failure.sqlstate in (sqlstates.STRING_DATA_RIGHT_TRUNCATION, sqlstates.NUMERIC_VALUE_OUT_OF_RANGE):
        parts.append(
            f"Shorten what does not fit, by an UPDATE of {shorten(table)} before the change, or keep the wider type."
        )
    if not parts and failure.sqlstate in (sqlstates.UNIQUE_VIOLATION, sqlstates.EXCLUSION_VIOLATION):
        parts.append(f"Make such rows of {shorten(table)} differ first, or keep one of them.")
    return "\n\n".join([*parts, _other_rows(revision, shorten(table))])


# https://www.postgresql.org/docs/current/errcodes-appendix.html: what a cast refuses.
_BAD_VALUES = ("22P02", "22007", "22008", "22P03", "22030", "22032")


def help_for_assumption(advice: str, sql: str | None) -> str:
    """The advice, and how to find out whether it is needed."""
    if sql is None:
        return advice
    return f"{advice}\n\nIt is right as it stands where this gives no rows, before the revision:\n\n{indented(sql)}"


def help_for_insert(refused: RefusedInsert, schema: Schema) -> str:
    is_behind = refused.sequence is not None and refused.failure.sqlstate == sqlstates.UNIQUE_VIOLATION
    if refused.next_value is None and not is_behind:
        first = "Let the table accept what it accepted before."
        if (function := _FUNCTION.search(refused.failure.context or "")) is not None:
            first = (
                f"A trigger calls {function[1]}, which needs what the revision changes: replace the function in the same"
                " revision, with CREATE OR REPLACE FUNCTION."
            )
        return f"{first} To see the error, after the upgrade:\n\n    {refused.failure.sql}"
    sequence = readable_literal(schema.unqualified(refused.sequence or ""))
    code = _behind_the_rows(sequence, refused.column or "", refused.table, schema)
    return f"Move the sequence behind the rows, in the same revision:\n\n{indented(code)}"


# https://www.postgresql.org/docs/current/plpgsql-control-structures.html: the innermost call comes first.
_FUNCTION = re.compile(r"function (\S+\(.*?\))")


def help_for_history(found: FailureInHistory, table: str | None, schema: Schema) -> str:
    if found.in_one_go:
        return (
            "Constraints are still to be checked for the rows that the transaction has changed. Have them checked first:\n\n"
            '    op.execute("SET CONSTRAINTS ALL IMMEDIATE")\n\n'
            "or give each revision a transaction: transaction_per_migration=True in env.py's context.configure()."
        )
    advice = (
        f"Rows of {shorten(table or 'the table')} have ids that its sequence still has to give: an earlier revision put them there with"
        " their ids. Move the sequence behind them there, or before this INSERT"
    )
    lines = _code_for_sequences(table, schema) if table is not None else []
    code = indented("\n".join(lines))
    return f"{advice}:\n\n{code}" if lines else f"{advice} (setval)."


def _code_for_sequences(table: str, schema: Schema) -> list[str]:
    """Lines that move the sequences of the table's columns behind its rows."""
    lines = []
    for key, definition in schema.parts_of("column", table):
        drawn = re.search(r"nextval\(('(?:[^']|'')+')::regclass\)", str(definition.get("default")))
        if definition.get("identity"):
            named = f"pg_get_serial_sequence({readable_literal(schema.sql(table))}, {readable_literal(key.name)})"
            lines.append(_behind_the_rows(named, key.name, table, schema))
        elif drawn is not None:
            named = schema.unqualified(f"{drawn[1]}::regclass").removesuffix("::regclass")
            lines.append(_behind_the_rows(named, key.name, table, schema))
    return lines


def _behind_the_rows(sequence: str, column: str, table: str, schema: Schema) -> str:
    highest = f"max({quote(column)})"
    return execute(f"SELECT setval({sequence}, {highest}) FROM {schema.sql(table)} HAVING {highest} IS NOT NULL")


def help_for_folded(revision: Revision, table: str) -> str:
    name = shorten(table)
    return f"Merge such rows of {name} first, or make their texts differ in more than that.\n\n{_other_rows(revision, name)}"


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


def _code(trip: RoundTrip, failure: Failure, table: str, column: str | None, schema: Schema) -> tuple[str, str] | None:
    """Which advice, and the code for it, with the user's own names."""
    if failure.sqlstate == sqlstates.NOT_NULL_VIOLATION and column is not None:
        return _code_for_nulls(trip, failure, table, column, schema)
    if failure.sqlstate == sqlstates.UNIQUE_VIOLATION and column is not None:
        return "duplicates", _code_for_duplicates(table, column, schema)
    return None


def _code_for_nulls(
    trip: RoundTrip, failure: Failure, table: str, column: str, schema: Schema
) -> tuple[str, str] | None:
    change, statement = find_column_change(trip, table, column), (failure.sql or "").upper()
    if change is None or change.after is None or "PRIMARY KEY" in statement:
        return None  # for a primary key no single value will do
    type_, key = str(change.after.get("type", "text")), schema.named(change.key)
    referred = _referred_value(trip, schema, table, column)
    filled = referred or (quote(column), _some_value(type_, schema))
    if filled[1] is None:
        return None
    add = f"ALTER TABLE {schema.sql(table)} ADD COLUMN {quote(column)} {schema.unqualified(type_)}"
    is_added = change.before is None and "SET NOT NULL" not in statement
    if is_added and not referred:
        drop = ddl.alter_column(key, {"default": filled[1]}, {})[0]
        return "default", f"{execute(f'{add} NOT NULL DEFAULT {filled[1]}')}\n{drop}  # in a later release"
    fill = f"UPDATE {schema.sql(table)} SET {filled[0]} = {filled[1]} WHERE {quote(column)} IS NULL"
    lines = [*([execute(add)] if is_added else []), execute(fill)]
    lines += ddl.alter_column(key, {"nullable": True}, {"nullable": False})
    return "refer" if referred else "fill", "\n".join(lines)


def _code_for_duplicates(table: str, column: str, schema: Schema) -> str:
    """Rows are identified by `tableoid` too, for a ctid names a row within one partition alone."""
    one, sql = quote(column), schema.sql(table)
    numbered = f"row_number() OVER (PARTITION BY {one}) AS n"
    lines = [
        f"UPDATE {sql} AS o SET {one} = o.{one} || '-' || d.n",
        f"FROM (SELECT tableoid AS part, ctid AS row, {numbered} FROM {sql} WHERE {one} IS NOT NULL) AS d",
        "WHERE o.tableoid = d.part AND o.ctid = d.row AND d.n > 1",
    ]
    body = "\n".join(f"    {python(line + ' ', is_sql=True)}" for line in lines)
    return f"op.execute(\n{body}\n)"


def _referred_value(trip: RoundTrip, schema: Schema, table: str, column: str) -> tuple[str, str] | None:
    """The columns of the column's foreign key and values that it allows, as SQL; None if it is in no foreign key."""
    changed = [(each.key, each.after) for each in (trip.up.changes if trip.up is not None else ())]
    for key, definition in [*changed, *schema.objects.items()]:
        columns = list((definition or {}).get("columns") or ())
        if key.kind != "constraint" or table_of(key) != table or definition is None or column not in columns:
            continue
        found = re.search(r"\bREFERENCES (.+?)\s*\(([^()]*)\)", str(definition.get("definition")))
        if found is not None:
            names = ", ".join(map(quote, columns))
            query = f"(SELECT {found[2]} FROM {schema.unqualified(found[1])} LIMIT 1)"
            return names if len(columns) == 1 else f"({names})", query
    return None


def _is_text(schema: Schema, table: str, column: str | None) -> bool:
    """Whether that column holds texts, if its type is known."""
    definition = schema.column(table, column or "")
    return definition is None or str(definition.get("type")).startswith(("character", "text", "citext"))


def find_column_change(trip: RoundTrip, table: str, column: str | None) -> Change | None:
    """What the revision did to that column."""
    for change in trip.up.changes if trip.up is not None else ():
        if change.key.kind == "column" and change.key.name == column and table_of(change.key) == table and change.after:
            return change
    return None


def _some_value(type_: str, schema: Schema) -> str | None:
    """A default of that type that can be read as the placeholder that it is."""
    for pattern, value in _VALUES:
        if re.match(pattern, type_):
            return value
    space, _, name = unquoted(type_).rpartition(".")
    enum = schema.objects.get(Key("enum", space or "public", name), {})
    if enum.get("labels"):
        return readable_literal(enum["labels"][0])
    domain = schema.objects.get(Key("domain", space or "public", name), {})
    return _some_value(str(domain["type"]), schema) if "type" in domain else None


_VALUES = (
    (r".*\[\]$", "'{}'"),
    (r"(character|text|citext|bytea)", "''"),
    (r"(smallint|integer|bigint|numeric|real|double)", "0"),
    (r"boolean$", "false"),
    (r"timestamp", "now()"),
    (r"date$", "current_date"),
    (r"time\b", "localtime"),
    (r"interval", "'0'"),
    (r"jsonb?$", "'{}'"),
    (r"uuid$", "gen_random_uuid()"),
)
