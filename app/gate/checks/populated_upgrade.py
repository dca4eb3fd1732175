"""A revision that applies to empty tables, but not to tables with rows.

Catches
    An upgrade that fails once the older tables that it touches hold rows. It is first tried with edge cases: NULLs,
    duplicates, extreme values, and values that the revision removes (a label of an enum, what a CHECK allowed), as far
    as the older schema allows them (a warning). If it fails even with ordinary rows, every database in use will refuse
    it (an error). Where nothing was proved, because no row could be inserted into a table, or because the script looks
    for something in its rows that generated rows do not contain, that is a notice. So is a unique index that is built
    concurrently over duplicates: no session waits for it, and nothing else has changed when it fails.

Why it hurts
    Tests run migrations on empty databases, where nearly everything applies. On the production database the upgrade
    stops half way, in the middle of a deployment.

How to fix
    Give existing rows what the new schema requires before it requires it. Add a required column with a default::

        op.add_column("orders", sa.Column("channel", sa.Text(), nullable=False, server_default="web"))

    Fill a column before it becomes NOT NULL::

        op.execute("UPDATE orders SET note = '' WHERE note IS NULL")
        op.alter_column("orders", "note", nullable=False)

    Before a unique key, make duplicates differ; before a foreign key, delete references to nothing; before a narrower
    type, shorten what does not fit.

    The rows are generated from the catalog. If yours look different, put some into `overproof_rows/<revision>.sql`,
    next to the revision's script: that file is loaded before the revision is tried, and no other rows are put into its
    tables::

        INSERT INTO orders (id, payload) VALUES (1, '[{"sku": "A1"}]');

    If the revision is right all the same, say so::

        # overproof: allow populated-upgrade: the duplicates were merged by hand in May

Stays quiet when
    The revision creates the tables. Rows violate only rules that the revision itself adds (a new CHECK where there was
    none, a new foreign key): the rows are generated to meet those. The revision fails without rows too.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence

from app.gate.checks.base import Check, CheckSkipped, Finding
from app.gate.checks.support.failures import failure_detail
from app.gate.checks.support.naming import failure_reason
from app.gate.checks.support.row_advice import NO_LABEL, find_column_change, help_for, help_for_new_table
from app.gate.checks.support.schema import SchemaHistory
from app.gate.checks.support.subjects import cause, together
from app.gate.postgres import sqlstates
from app.gate.postgres.quoting import quote_table
from app.gate.recording.model import (
    Change,
    Evidence,
    Failure,
    Populated,
    Recording,
    Revision,
    RoundTrip,
    RowKind,
)
from app.gate.recording.names import full_name, shorten, table_of
from app.gate.report.verdict import Severity
from app.gate.wording import bulleted, counted, first_line, indented, listed

# https://www.postgresql.org/docs/current/errcodes-appendix.html
# What generated rows violate because their values are not related to each other.
_ABOUT_RELATIONS = (sqlstates.FOREIGN_KEY_VIOLATION, sqlstates.CHECK_VIOLATION, sqlstates.EXCLUSION_VIOLATION)


def examine(recording: Recording) -> Iterator[Finding]:
    if "populated" in recording.not_observed:
        raise CheckSkipped(f"no upgrade was tried over rows: {recording.not_observed['populated']}")
    revisions = {each.revision: each for each in recording.graph.revisions}
    history = SchemaHistory(recording)
    uncovered: dict[str, dict[str, list[str]]] = {}  # reason -> revision -> tables
    for trip in recording.trips:
        revision = revisions[trip.revision]
        if not revision.is_new:
            continue
        if trip.rows_failure is not None:
            yield _not_loaded(revision, trip.rows_failure)
        if trip.populated is not None and trip.populated.step.failure is not None:
            yield _finding(revision, trip, trip.populated, trip.populated.step.failure, history)
        for table, reason in trip.tables_without_rows.items():
            uncovered.setdefault(reason, {}).setdefault(trip.revision, []).append(table)
    for reason, tables_by_revision in uncovered.items():
        yield _uncovered(reason, tables_by_revision)


# Apart from the names of the kinds: a subject never changes.
_SUBJECTS = {
    RowKind.EDGE_CASES: "edge-case-rows",
    RowKind.ORDINARY: "ordinary-rows",
    RowKind.OWN: "own-rows",
}


def _finding(
    revision: Revision, trip: RoundTrip, populated: Populated, failure: Failure, history: SchemaHistory
) -> Finding:
    table, column = _place(trip, populated, failure)
    is_new = table in _tables_made(trip)
    sources = _sources(populated, failure) if is_new else [shorten(table)]
    rows_of = listed(sources)
    severity = _severity(populated, failure)
    is_left_empty = failure.sqlstate == sqlstates.NOT_NULL_VIOLATION and _is_filled_before(trip, failure, table, column)
    if is_left_empty and severity is Severity.ERROR and populated.rows != RowKind.OWN:
        severity = Severity.WARNING  # by an UPDATE that reaches some rows, but not the generated ones
    if populated.rows == RowKind.OWN:
        message = f"{revision.revision} fails on the rows of overproof_rows/{revision.revision}.sql"
    elif is_left_empty:
        message = f"{revision.revision} fails where its UPDATE leaves {shorten(table)}.{column} NULL"
    elif populated.rows == RowKind.EDGE_CASES:
        trouble = _outcome(trip, failure, table, column) if is_new else _trouble(trip, failure, table, column)
        message = f"{revision.revision} fails where {f'rows of {rows_of} lead to {trouble}' if is_new else trouble}"
    elif severity is Severity.ERROR:
        message = f"{revision.revision} fails as soon as {rows_of} {'has' if len(sources) == 1 else 'have'} rows"
    elif severity is Severity.NOTICE:
        names = listed([shorten(each) for each in populated.tables], limit=3)
        message = f"Could not verify {revision.revision} over rows in {names}: it fails on the generated rows"
    else:
        message = f"{revision.revision} fails on the rows that were generated for {rows_of}"
    return Finding(
        f"{message}: {failure_reason(failure)}.",
        f"{_SUBJECTS[populated.rows]} {cause(failure)}",
        revision=revision.revision,
        object=f"{table}.{column}" if column else table,
        detail=failure_detail(failure),
        help=help_for_new_table(revision, table, rows_of)
        if is_new
        else help_for(revision, trip, failure, table, column, history.after(revision.revision)),
        line=failure.line,
        severity=severity,
    )


def _severity(populated: Populated, failure: Failure) -> Severity:
    """Only what fails with any rows, or with the project's own, is certain to fail."""
    if populated.rows == RowKind.OWN:
        return Severity.ERROR
    if populated.rows == RowKind.EDGE_CASES:
        # It ends with the first duplicate, while no session waits for it and code finds the schema that it knows.
        return Severity.NOTICE if _UNIQUE_CONCURRENTLY.match(failure.sql or "") else Severity.WARNING
    if failure.sqlstate in (sqlstates.FOREIGN_KEY_VIOLATION, sqlstates.UNIQUE_VIOLATION) and re.match(
        r"\s*INSERT\b", failure.sql or "", re.IGNORECASE
    ):
        return Severity.NOTICE  # what the script inserts meets generated keys and references only
    if failure.sqlstate in _ABOUT_RELATIONS:
        return Severity.WARNING
    # A script that expects JSON or a number in a text finds neither in a generated one. Nor does a library find what it
    # expects (39: external_routine_exception): https://www.postgresql.org/docs/current/errcodes-appendix.html
    if failure.sqlstate is None or failure.sqlstate.startswith(("22", "39")):
        return Severity.NOTICE
    # What an UPDATE computes from generated values may be NULL or not unique; a definition does not depend on them.
    return Severity.WARNING if _COMPUTES_VALUES.match(failure.sql or "") else Severity.ERROR


_UNIQUE_CONCURRENTLY = re.compile(r"\s*CREATE\s+UNIQUE\s+INDEX\s+CONCURRENTLY\b", re.IGNORECASE)
_COMPUTES_VALUES = re.compile(r"\s*(?:UPDATE|INSERT|MERGE|WITH|DO|SELECT|CALL)\b", re.IGNORECASE)


def _is_filled_before(trip: RoundTrip, failure: Failure, table: str, column: str | None) -> bool:
    """Whether the revision fills the column, from another table or in the rows that it knows, before it requires
    values."""
    if column is None or trip.up is None:
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


def _place(trip: RoundTrip, populated: Populated, failure: Failure) -> tuple[str, str | None]:
    """The table, and the column if there is one, with the rows on which the upgrade fails."""
    tables = list(populated.tables)
    known = [*tables, *_tables_made(trip)]
    target = _TARGET.search(failure.sql or "")
    table = failure.table if failure.table in known else None
    table = table or next((each for each in known if target and each.rpartition(".")[2] == target[1]), None)
    altered = _ALTERED.search(failure.sql or "")
    # What is not a column (42703: undefined_column) is a value in the wrong quotes.
    named = altered[1] if altered and failure.sqlstate != sqlstates.UNDEFINED_COLUMN else None
    column = failure.column or named
    change = _violated_rule(trip, failure)
    if change is not None and change.key.table:
        table = table or table_of(change.key)
        columns = _columns(change) if change.key.kind != "column" else [change.key.name]
        column = column or (columns[0] if len(columns) == 1 else None)
    changed = trip.up.changes if trip.up is not None else ()
    touched = [each for each in tables if any(table_of(change.key) == each for change in changed)]
    return table or (touched or tables)[0], column


def _tables_made(trip: RoundTrip) -> list[str]:
    """The tables that the revision creates, which held no rows before it."""
    changes = trip.up.changes if trip.up is not None else ()
    return [full_name(each.key) for each in changes if each.key.kind == "table" and each.before is None]


def _sources(populated: Populated, failure: Failure) -> list[str]:
    """The older tables whose rows the statement reads, judging by its SQL text; else all that hold rows."""
    holding = [shorten(table) for table, rows in populated.tables.items() if rows] or list(populated.tables)
    words = set(re.findall(r"\w+", failure.sql or ""))
    return [each for each in holding if each.rpartition(".")[2] in words] or holding


_TARGET = re.compile(
    r'\A\s*(?:ALTER\s+TABLE(?:\s+IF\s+EXISTS)?(?:\s+ONLY)?|UPDATE(?:\s+ONLY)?|INSERT\s+INTO|DELETE\s+FROM)\s+(?:"?\w+"?\.)?"?(\w+)',
    re.IGNORECASE,
)
_ALTERED = re.compile(r'\bALTER\s+COLUMN\s+"?(\w+)', re.IGNORECASE)


def _violated_rule(trip: RoundTrip, failure: Failure) -> Change | None:
    """The constraint, index or column that the error is about."""
    names = {"constraint": failure.constraint, "index": failure.constraint, "column": failure.column}
    for change in trip.up.changes if trip.up is not None else ():
        if change.after is not None and change.key.name == names.get(change.key.kind):
            return change
    return None


def _columns(change: Change) -> list[str]:
    """The columns of a key, if it is one of columns and not of expressions."""
    definition = change.after or {}
    if definition.get("columns"):
        return list(definition["columns"])
    found = re.search(r"USING \w+ \(([^()]*)\)", str(definition.get("definition", "")))
    parts = [re.sub(r"\s+WITH\s+\S+$", "", part.strip()) for part in found[1].split(",")] if found else []
    return [part.strip('"') for part in parts]


def _trouble(trip: RoundTrip, failure: Failure, table: str, column: str | None) -> str:
    """What the edge cases have that ordinary rows do not, and why they may have it."""
    change = find_column_change(trip, table, column)
    if failure.sqlstate == sqlstates.NOT_NULL_VIOLATION and change is not None and change.before is None:
        return f"it leaves the new {shorten(table)}.{column} NULL"
    return f"{_trait(trip, failure, shorten(table), column)}, which the older schema allows"


def _outcome(trip: RoundTrip, failure: Failure, table: str, column: str | None) -> str:
    """What older rows become in a table that the revision creates, and that refuses it."""
    name = f"{shorten(table)}.{column}" if column else shorten(table)
    if failure.sqlstate == sqlstates.NOT_NULL_VIOLATION:
        return f"NULL in the new {name}"
    if failure.sqlstate in (sqlstates.UNIQUE_VIOLATION, sqlstates.EXCLUSION_VIOLATION):
        change = _violated_rule(trip, failure)
        columns = _columns(change) if change is not None else []
        return f"equal {listed(columns)} in the new {shorten(table)}" if columns else f"duplicates in the new {name}"
    return f"what the new {name} refuses"


def _trait(trip: RoundTrip, failure: Failure, table: str, column: str | None) -> str:
    name = f"{table}.{column}" if column else table
    if failure.sqlstate == sqlstates.NOT_NULL_VIOLATION:
        return f"{name} is NULL" if column else f"{name} holds NULLs"
    if failure.sqlstate in (sqlstates.UNIQUE_VIOLATION, sqlstates.EXCLUSION_VIOLATION):
        change = _violated_rule(trip, failure)
        columns = _columns(change) if change is not None else []
        return f"rows of {table} are equal in {listed(columns)}" if columns else f"{name} holds duplicates"
    if failure.sqlstate == sqlstates.STRING_DATA_RIGHT_TRUNCATION:
        return f"texts in {name} are as long as their type allows"
    if failure.sqlstate == sqlstates.NUMERIC_VALUE_OUT_OF_RANGE:
        return f"numbers in {name} are as large as their type allows"
    if found := NO_LABEL.search(failure.message):
        return f"a row of {table} holds '{found[1]}'"
    if failure.sqlstate == sqlstates.CHECK_VIOLATION and (rule := _narrowed(trip, failure)):
        return f"a row of {table} holds what {rule} no longer allows"
    return f"{name} holds NULLs, duplicates or extreme values"


def _narrowed(trip: RoundTrip, failure: Failure) -> str | None:
    """The CHECK that the error is about, if it replaced another."""
    new = _violated_rule(trip, failure)
    gone = [change for change in (trip.up.changes if trip.up is not None else ()) if change.before is not None]
    is_narrowed = new is not None and any(
        change.key.kind == "constraint" and table_of(change.key) == table_of(new.key) for change in gone
    )
    return new.key.name if new is not None and is_narrowed else None


# What could not be tried.


def _not_loaded(revision: Revision, failure: Failure) -> Finding:
    return Finding(
        f"overproof_rows/{revision.revision}.sql cannot be loaded before {revision.revision}: {failure_reason(failure)}.",
        f"own-rows not-loaded {cause(failure)}",
        revision=revision.revision,
        detail=failure_detail(failure),
        help="The file is run on the schema before the revision, as one script, in a transaction: its rows have to fit that schema.",
        severity=Severity.ERROR,
    )


def _uncovered(reason: str, tables_by_revision: Mapping[str, Sequence[str]]) -> Finding:
    """One finding for a reason, whatever the number of tables and revisions."""
    first, *later = tables_by_revision
    tables = list(dict.fromkeys(table for some in tables_by_revision.values() for table in some))
    revisions = f"{first} and {counted(len(later), 'later revision')}" if later else first
    rows = [f"INSERT INTO {quote_table(table)} (…) VALUES (…);" for table in tables_by_revision[first]]
    lines = [f"{name}: {', '.join(map(shorten, some))}" for name, some in tables_by_revision.items()]
    return Finding(
        f"Could not verify {revisions} over rows in {listed([shorten(table) for table in tables])}: {first_line(reason)}.",
        f"not-covered {together(map(shorten, tables))}",
        revision=first,
        object=tables[0],
        detail=bulleted(lines) if len(tables) > 1 else None,
        help=f"Put your own rows into overproof_rows/{first}.sql, next to the script:\n\n"
        + indented("\n".join(rows[:3])),
        severity=Severity.NOTICE,
    )


CHECK = Check(
    id="populated-upgrade",
    severity=Severity.WARNING,
    examine=examine,
    needs=frozenset({Evidence.LOCKS, Evidence.POPULATED}),
)
