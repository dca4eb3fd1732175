"""A revision that applies to empty tables, but not to tables with rows.

Catches
    An upgrade that fails once the older tables that it touches hold rows. First with NULLs, duplicates, extreme values, and values
    that it takes away (a label of an enum, what a CHECK allowed), wherever the schema before it allows them (a warning); if it fails even with ordinary rows, every database in use will refuse it
    (an error). Where nothing is known, since no row could be put into a table, or since the script reads something out of its rows that
    made-up ones do not hold, that is a notice.

Why it hurts
    Tests run migrations on empty databases, where nearly everything applies. On the database that matters it stops half
    way, in the middle of a deployment.

How to fix
    Give existing rows what the new schema demands before it demands it. A required column starts with a default ::

        op.add_column("orders", sa.Column("channel", sa.Text(), nullable=False, server_default="web"))

    A column that becomes NOT NULL is filled first ::

        op.execute("UPDATE orders SET note = '' WHERE note IS NULL")
        op.alter_column("orders", "note", nullable=False)

    Before a unique key, duplicates are told apart; before a foreign key, what refers to nothing is cleared away; before a
    narrower type, what does not fit is made to fit.

    The rows are made from the catalog. Where yours look different, put some into `overproof_rows/<revision>.sql`, beside the
    revision's script: that file is loaded before the revision is tried, and its tables get no other rows ::

        INSERT INTO orders (id, payload) VALUES (1, '[{"sku": "A1"}]');

    A revision that is right all the same says so ::

        # overproof: allow populated-upgrade: the duplicates were merged by hand in May

Stays quiet when
    The tables are the revision's own. Rows break only rules that the revision itself brings (a new CHECK where there was none, a
    new foreign key): those are made to be met. The revision fails without rows too.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence

from app.gate.checks.base import Check, CheckSkipped, Finding
from app.gate.checks.support import fix_code as remedy
from app.gate.checks.support.naming import failure_reason
from app.gate.checks.support.row_advice import NO_LABEL, _column_change, _help, _help_with_new
from app.gate.checks.support.subjects import cause, together
from app.gate.postgres import sqlstates
from app.gate.recording.model import (
    Change,
    Evidence,
    Failure,
    Populated,
    Recording,
    Revision,
    RoundTrip,
    RowKind,
    Snapshot,
)
from app.gate.recording.names import full_name, shorten, table_of
from app.gate.report.verdict import Severity
from app.gate.wording import bulleted, counted, first_line, indented, listed

# https://www.postgresql.org/docs/current/errcodes-appendix.html
# What rows break that were made without a knowledge of what belongs together.
_ABOUT_RELATIONS = (sqlstates.FOREIGN_KEY_VIOLATION, sqlstates.CHECK_VIOLATION, sqlstates.EXCLUSION_VIOLATION)


def examine(recording: Recording) -> Iterator[Finding]:
    if "populated" in recording.not_observed:
        raise CheckSkipped(f"no rows were tried: {recording.not_observed['populated']}")
    revisions = {each.revision: each for each in recording.graph.revisions}
    uncovered: dict[str, dict[str, list[str]]] = {}  # reason -> revision -> tables
    for trip in recording.trips:
        revision = revisions[trip.revision]
        if not revision.is_new:
            continue
        if trip.rows_failure is not None:
            yield _not_loaded(revision, trip.rows_failure)
        if trip.populated is not None and trip.populated.step.failure is not None:
            yield _finding(revision, trip, trip.populated, trip.populated.step.failure, recording.head)
        for table, reason in trip.tables_without_rows.items():
            uncovered.setdefault(reason, {}).setdefault(trip.revision, []).append(table)
    for reason, tables_by_revision in uncovered.items():
        yield _uncovered(reason, tables_by_revision)


def _finding(
    revision: Revision, trip: RoundTrip, populated: Populated, failure: Failure, head: Snapshot | None
) -> Finding:
    table, column = _place(trip, populated, failure)
    is_new = table in _tables_made(trip)
    sources = _sources(populated, failure) if is_new else [shorten(table)]
    rows_of = listed(sources)
    severity = _severity(populated, failure)
    is_left_empty = failure.sqlstate == sqlstates.NOT_NULL_VIOLATION and _is_filled_before(trip, failure, table, column)
    if is_left_empty and severity is Severity.ERROR and populated.rows != RowKind.OWN:
        severity = Severity.WARNING  # by an UPDATE that reaches some rows, and not those that were made up
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
        message = f"Whether {revision.revision} gets along with rows in {names} is not known: it fails on those that were made"
    else:
        message = f"{revision.revision} fails on the rows that were made for {rows_of}"
    return Finding(
        f"{message}: {failure_reason(failure)}.",
        f"{populated.rows}-rows {cause(failure)}",
        revision=revision.revision,
        object=f"{table}.{column}" if column else table,
        detail=failure.sql,
        help=_help_with_new(revision, table, rows_of)
        if is_new
        else _help(revision, trip, failure, table, column, head),
        line=failure.line,
        severity=severity,
    )


def _severity(populated: Populated, failure: Failure) -> Severity:
    """Only what no rows at all would get along with, or the project's own rows do not, is certain to fail."""
    if populated.rows == RowKind.OWN:
        return Severity.ERROR
    if populated.rows == RowKind.EDGE_CASES:
        return Severity.WARNING
    if failure.sqlstate in (sqlstates.FOREIGN_KEY_VIOLATION, sqlstates.UNIQUE_VIOLATION) and re.match(
        r"\s*INSERT\b", failure.sql or "", re.IGNORECASE
    ):
        return Severity.NOTICE  # what the script inserts meets keys and references that were made up, and no others
    if failure.sqlstate in _ABOUT_RELATIONS:
        return Severity.WARNING
    # A script that reads JSON in a text, or a number, finds neither in a text that was made up. What a library refuses to work on
    # (39: external_routine_exception) is as little as what it expects: https://www.postgresql.org/docs/current/errcodes-appendix.html
    if failure.sqlstate is None or failure.sqlstate.startswith(("22", "39")):
        return Severity.NOTICE
    # What an UPDATE works out of made-up contents may be NULL or twice the same; a definition asks nothing of them.
    return Severity.WARNING if _WORKS_VALUES_OUT.match(failure.sql or "") else Severity.ERROR


_WORKS_VALUES_OUT = re.compile(r"\s*(?:UPDATE|INSERT|MERGE|WITH|DO|SELECT|CALL)\b", re.IGNORECASE)


def _is_filled_before(trip: RoundTrip, failure: Failure, table: str, column: str | None) -> bool:
    """Whether the revision gives the column values, from another table or to the rows that it knows, before it demands them."""
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
    """The table, and the column if there is one, in which the rows are that the upgrade fails on."""
    tables = list(populated.tables)
    known = [*tables, *_tables_made(trip)]
    target = _TARGET.search(failure.sql or "")
    table = failure.table if failure.table in known else None
    table = table or next((each for each in known if target and each.rpartition(".")[2] == target[1]), None)
    altered = _ALTERED.search(failure.sql or "")
    # What is no column (42703: undefined_column) is a value in the wrong quotes.
    named = altered[1] if altered and failure.sqlstate != sqlstates.UNDEFINED_COLUMN else None
    column = failure.column or named
    change = _broken_promise(trip, failure)
    if change is not None and change.key.table:
        table = table or table_of(change.key)
        columns = _columns(change) if change.key.kind != "column" else [change.key.name]
        column = column or (columns[0] if len(columns) == 1 else None)
    changed = trip.up.changes if trip.up is not None else ()
    touched = [each for each in tables if any(table_of(change.key) == each for change in changed)]
    return table or (touched or tables)[0], column


def _tables_made(trip: RoundTrip) -> list[str]:
    """The revision's own tables, which held no rows before it."""
    changes = trip.up.changes if trip.up is not None else ()
    return [full_name(each.key) for each in changes if each.key.kind == "table" and each.before is None]


def _sources(populated: Populated, failure: Failure) -> list[str]:
    """The older tables whose rows the statement reads, as far as its text tells; else all that hold rows."""
    holding = [shorten(table) for table, rows in populated.tables.items() if rows] or list(populated.tables)
    words = set(re.findall(r"\w+", failure.sql or ""))
    return [each for each in holding if each.rpartition(".")[2] in words] or holding


_TARGET = re.compile(
    r'\A\s*(?:ALTER\s+TABLE(?:\s+IF\s+EXISTS)?(?:\s+ONLY)?|UPDATE(?:\s+ONLY)?|INSERT\s+INTO|DELETE\s+FROM)\s+(?:"?\w+"?\.)?"?(\w+)',
    re.IGNORECASE,
)
_ALTERED = re.compile(r'\bALTER\s+COLUMN\s+"?(\w+)', re.IGNORECASE)


def _broken_promise(trip: RoundTrip, failure: Failure) -> Change | None:
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
    return [part.strip().strip('"') for part in found[1].split(",")] if found else []


def _trouble(trip: RoundTrip, failure: Failure, table: str, column: str | None) -> str:
    """What the awkward rows have that the plain ones have not, and why they may."""
    change = _column_change(trip, table, column)
    if failure.sqlstate == sqlstates.NOT_NULL_VIOLATION and change is not None and change.before is None:
        return f"it leaves the new {shorten(table)}.{column} empty"
    return f"{_trait(trip, failure, shorten(table), column)}, which the schema before it allows"


def _outcome(trip: RoundTrip, failure: Failure, table: str, column: str | None) -> str:
    """What older rows become in a table of the revision's own, which does not take it."""
    name = f"{shorten(table)}.{column}" if column else shorten(table)
    if failure.sqlstate == sqlstates.NOT_NULL_VIOLATION:
        return f"NULL in the new {name}"
    if failure.sqlstate in (sqlstates.UNIQUE_VIOLATION, sqlstates.EXCLUSION_VIOLATION):
        change = _broken_promise(trip, failure)
        columns = _columns(change) if change is not None else []
        return f"equal {listed(columns)} in the new {shorten(table)}" if columns else f"duplicates in the new {name}"
    return f"what the new {name} does not take"


def _trait(trip: RoundTrip, failure: Failure, table: str, column: str | None) -> str:
    name = f"{table}.{column}" if column else table
    if failure.sqlstate == sqlstates.NOT_NULL_VIOLATION:
        return f"{name} is NULL" if column else f"{name} holds NULLs"
    if failure.sqlstate in (sqlstates.UNIQUE_VIOLATION, sqlstates.EXCLUSION_VIOLATION):
        change = _broken_promise(trip, failure)
        columns = _columns(change) if change is not None else []
        return f"rows of {table} are equal in {listed(columns)}" if columns else f"{name} holds duplicates"
    if failure.sqlstate == sqlstates.STRING_DATA_RIGHT_TRUNCATION:
        return f"texts in {name} are as long as their type holds"
    if failure.sqlstate == sqlstates.NUMERIC_VALUE_OUT_OF_RANGE:
        return f"numbers in {name} are as large as their type holds"
    if found := NO_LABEL.search(failure.message):
        return f"a row of {table} holds '{found[1]}'"
    if failure.sqlstate == sqlstates.CHECK_VIOLATION and (rule := _narrowed(trip, failure)):
        return f"a row of {table} holds what {rule} no longer allows"
    return f"{name} holds NULLs, duplicates or extreme values"


def _narrowed(trip: RoundTrip, failure: Failure) -> str | None:
    """The CHECK that the error is about, if it took the place of another."""
    new = _broken_promise(trip, failure)
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
        detail=failure.sql,
        help="It is run on the schema before the revision, as one script, inside a transaction: what it inserts has to fit that schema.",
        severity=Severity.ERROR,
    )


def _uncovered(reason: str, tables_by_revision: Mapping[str, Sequence[str]]) -> Finding:
    """One finding for a reason, however many tables and revisions it is about."""
    first, *later = tables_by_revision
    tables = list(dict.fromkeys(table for some in tables_by_revision.values() for table in some))
    who = f"{first} and {counted(len(later), 'later revision')} get" if later else f"{first} gets"
    rows = [f"INSERT INTO {remedy.quote_table(table)} (…) VALUES (…);" for table in tables_by_revision[first]]
    told = [f"{name}: {', '.join(map(shorten, some))}" for name, some in tables_by_revision.items()]
    return Finding(
        f"Whether {who} along with rows in {listed([shorten(table) for table in tables])} is not known: {first_line(reason)}.",
        f"not-covered {together(map(shorten, tables))}",
        revision=first,
        object=tables[0],
        detail=bulleted(told) if len(tables) > 1 else None,
        help=f"Put rows of yours into overproof_rows/{first}.sql, beside the script:\n\n"
        + indented("\n".join(rows[:3])),
        severity=Severity.NOTICE,
    )


CHECK = Check(
    id="populated-upgrade",
    severity=Severity.WARNING,
    examine=examine,
    needs=frozenset({Evidence.LOCKS, Evidence.POPULATED}),
)
