"""A revision that applies to empty tables but not to tables with rows, or after which an INSERT fails.

Catches
    An upgrade that fails once the older tables that it touches hold rows. It is first tried with edge cases: NULLs,
    duplicates, texts that differ in case or blanks only, extreme values, values on both sides of what the revision's
    own statements compare with, and values that the revision removes (a label of an enum, what a CHECK allowed), as far
    as the older schema allows them (a warning). If it fails even with ordinary rows, every database in use will refuse
    it (an error).

    A rule that the revision adds and that rows of the older schema may break: a new CHECK, a new foreign key, a cast.
    It is tried with a row that breaks it; a warning says what the revision assumes, with the SQL that gives the rows
    for which that does not hold. `overproof preflight` asks a live database for these before a deployment.

    An ordinary INSERT, by the table's defaults, that PostgreSQL accepted before the upgrade over rows and refuses after
    it: a sequence that starts again below the rows, a default that is lost, a trigger that fails.

    An upgrade that fails only on a database with rows from earlier releases, such as an INSERT whose sequence gives an
    id that an earlier revision has copied.

    Where nothing was proved, because no row could be inserted into a table, or because the script looks for something
    in its rows that generated rows do not contain, that is a notice. So is a unique index that is built concurrently
    over duplicates: no session waits for it, and nothing else has changed when it fails.

Why it hurts
    Tests run migrations on empty databases, where nearly everything applies. On the production database the upgrade
    stops half way, in the middle of a deployment.

How to fix
    Give existing rows what the new schema requires before it requires it. Add a required column with a default::

        op.add_column("orders", sa.Column("channel", sa.Text(), nullable=False, server_default="web"))

    Fill a column before it becomes NOT NULL::

        op.execute("UPDATE orders SET note = '' WHERE note IS NULL")
        op.alter_column("orders", "note", nullable=False)

    Before a unique key, make duplicates differ; before a CHECK or a foreign key, correct or delete the rows that break
    it; before a narrower type, shorten what does not fit. Where a sequence starts again, or rows come with their ids,
    move it behind them::

        op.execute("SELECT setval(pg_get_serial_sequence('orders', 'id'), max(id)) FROM orders")

    The rows are generated from the catalog. If yours look different, put some into `overproof_rows/<revision>.sql`,
    next to the revision's script: that file is loaded before the revision is tried, and no other rows are put into its
    tables::

        INSERT INTO orders (id, payload) VALUES (1, '[{"sku": "A1"}]');

    If the revision is right all the same, say so::

        # overproof: allow populated-upgrade: the duplicates were merged by hand in May

Stays quiet when
    The revision creates the tables. The same or an earlier revision corrects or deletes the rows that break a new rule.
    The rule is NOT VALID. The revision fails without rows too.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence

from app.gate.checks.base import Assumption, Check, CheckSkipped, Finding
from app.gate.checks.support.assumptions import find_assumption
from app.gate.checks.support.failures import failure_detail
from app.gate.checks.support.fillings import is_filled_before
from app.gate.checks.support.naming import failure_reason, tables_made_by
from app.gate.checks.support.row_advice import (
    help_for,
    help_for_assumption,
    help_for_folded,
    help_for_history,
    help_for_insert,
    help_for_new_table,
)
from app.gate.checks.support.row_place import (
    Place,
    find_place,
    find_statement_on,
    folds_texts,
    source_tables,
)
from app.gate.checks.support.row_traits import detail_of, outcome, reason_of, trouble
from app.gate.checks.support.schema import SchemaHistory
from app.gate.checks.support.subjects import cause, together
from app.gate.postgres import sqlstates
from app.gate.recording.model import (
    Evidence,
    Failure,
    FailureInHistory,
    Populated,
    Recording,
    RefusedInsert,
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
    history = SchemaHistory.of(recording)
    uncovered: dict[str, dict[str, list[str]]] = {}  # reason -> revision -> tables
    for trip in recording.trips:
        revision = revisions[trip.revision]
        if not revision.is_new:
            continue
        if trip.rows_failure is not None:
            yield _not_loaded(revision, trip.rows_failure)
        if trip.populated is not None:
            yield from _over_rows(recording, revision, trip, trip.populated, history)
        if trip.in_history is not None:
            yield _in_history(recording, revision, trip, trip.in_history, history)
        for table, reason in trip.tables_without_rows.items():
            uncovered.setdefault(reason, {}).setdefault(trip.revision, []).append(table)
    for reason, tables_by_revision in uncovered.items():
        yield _uncovered(reason, tables_by_revision, history)


def _over_rows(
    recording: Recording, revision: Revision, trip: RoundTrip, populated: Populated, history: SchemaHistory
) -> Iterator[Finding]:
    if populated.step.failure is not None:
        yield _finding(recording, revision, trip, populated, populated.step.failure, history)
    for failure in populated.assumptions:
        yield _assumed(recording, revision, trip, populated, failure, history)
    for refused in populated.refused_inserts:
        yield _next_insert(revision, trip, refused, history)


# Apart from the names of the kinds: a subject never changes.
_SUBJECTS = {
    RowKind.EDGE_CASES: "edge-case-rows",
    RowKind.ORDINARY: "ordinary-rows",
    RowKind.OWN: "own-rows",
}


def _finding(
    recording: Recording,
    revision: Revision,
    trip: RoundTrip,
    populated: Populated,
    failure: Failure,
    history: SchemaHistory,
) -> Finding:
    place = find_place(trip, populated, failure, recording.head)
    is_new = place.table in tables_made_by(trip)
    sources = [shorten(place.table)] if place.table and not is_new else source_tables(populated, failure)
    severity = _severity(populated, failure)
    is_left_empty = failure.sqlstate == sqlstates.NOT_NULL_VIOLATION and is_filled_before(
        trip, failure, place.table, place.column
    )
    if is_left_empty and severity is Severity.ERROR and populated.rows != RowKind.OWN:
        severity = Severity.WARNING  # by an UPDATE that reaches some rows, but not the generated ones
    message = _message(revision, trip, populated, failure, place, sources, severity, is_left_empty=is_left_empty)
    assumption = find_assumption(recording, trip, failure, place)
    if folds_texts(trip, failure) and place.table and not is_new:
        advice = help_for_folded(revision, place.table)
    elif is_new and place.table:
        advice = help_for_new_table(revision, place.table, listed(sources))
    else:
        advice = help_for(revision, trip, failure, place.table, place.column, history.after(revision.revision))
    return Finding(
        f"{message}: {reason_of(failure, populated.rows)}.",
        f"{_SUBJECTS[populated.rows]} {cause(failure)}",
        revision=revision.revision,
        object=place.object,
        detail=detail_of(failure, populated.rows),
        help=help_for_assumption(advice, assumption),
        line=failure.line,
        severity=severity,
        assumption=Assumption(assumption) if assumption else None,
    )


def _message(
    revision: Revision,
    trip: RoundTrip,
    populated: Populated,
    failure: Failure,
    place: Place,
    sources: Sequence[str],
    severity: Severity,
    *,
    is_left_empty: bool,
) -> str:
    name, rows_of = revision.revision, listed(sources)
    if populated.rows == RowKind.OWN:
        return f"{name} fails on the rows of overproof_rows/{name}.sql"
    if is_left_empty:
        return f"{name} fails where its UPDATE leaves {place.name} NULL"
    if populated.rows == RowKind.EDGE_CASES:
        if place.table in tables_made_by(trip):
            return f"{name} fails where rows of {rows_of} lead to {outcome(trip, failure, place)}"
        return f"{name} fails where {trouble(trip, failure, place, rows_of)}"
    if severity is Severity.ERROR:
        return f"{name} fails as soon as {rows_of} {'has' if len(sources) == 1 else 'have'} rows"
    if severity is Severity.NOTICE:
        names = listed([shorten(each) for each in populated.tables], limit=3)
        return f"Could not verify {name} over rows in {names}: it fails on the generated rows"
    return f"{name} fails on the rows that were generated for {rows_of}"


# Rules that rows of the older schema may break, and INSERTs after the upgrade.


def _assumed(
    recording: Recording,
    revision: Revision,
    trip: RoundTrip,
    populated: Populated,
    failure: Failure,
    history: SchemaHistory,
) -> Finding:
    place = find_place(trip, populated, failure, recording.head)
    sql = find_assumption(recording, trip, failure, place)
    name = place.name or listed(source_tables(populated, failure))
    is_value = (failure.sqlstate or "").startswith("22")
    broken = "holds what its new type refuses" if is_value else f"breaks {failure.constraint or 'a new rule'}"
    if is_value and _COMPUTES_VALUES.match(failure.sql or ""):
        name, broken = listed(source_tables(populated, failure)), "holds what it cannot convert"
    is_validated = _is_validated(trip, failure)
    allowed = "as one from before that constraint may" if is_validated else "which the older schema allows"
    return Finding(
        f"{revision.revision} fails where a row of {name} {broken}, {allowed}: {reason_of(failure, populated.rows)}.",
        f"assumption {cause(failure)} {failure.constraint or place.column or ''}".rstrip(),
        revision=revision.revision,
        object=place.object,
        detail=detail_of(failure, RowKind.ORDINARY),
        help=help_for_assumption(
            help_for(revision, trip, failure, place.table, place.column, history.after(revision.revision)), sql
        ),
        line=failure.line,
        # It changes nothing, and can be run again: that is why a constraint is validated in a revision of its own.
        severity=Severity.NOTICE if is_validated else Severity.WARNING,
        assumption=Assumption(sql) if sql else None,
    )


def _is_validated(trip: RoundTrip, failure: Failure) -> bool:
    """Whether it failed by a constraint that was NOT VALID before the revision."""
    return any(
        each.key.kind == "constraint"
        and each.key.name == failure.constraint
        and table_of(each.key) == failure.table
        and (each.before or {}).get("validated") is False
        for each in (trip.up.changes if trip.up is not None else ())
    )


def _in_history(
    recording: Recording, revision: Revision, trip: RoundTrip, found: FailureInHistory, history: SchemaHistory
) -> Finding:
    failure = found.failure
    place = (
        find_place(trip, Populated(trip.up, RowKind.ORDINARY), failure, recording.head)
        if trip.up
        else Place(None, None)
    )
    since = next((name for name in found.tables.values() if name is not None), None)
    rows = f"rows from {since} on" if since is not None else "rows from before"
    others = found.in_one_go
    if others:
        end = (
            f"in one transaction with {others[0]}"
            if len(others) == 1
            else f"in one transaction with {others[0]} to {others[-1]}"
        )
        message = f"{revision.revision} fails over {rows} {end}"
    else:
        message = f"{revision.revision} fails on a database with {rows}"
    return Finding(
        f"{message}: {failure_reason(failure)}.",
        f"in-history {cause(failure)}",
        revision=revision.revision,
        object=place.table,
        detail=failure_detail(failure),
        help=help_for_history(found, place.table, history.after(revision.revision)),
        line=failure.line,
        severity=Severity.ERROR,
    )


def _next_insert(revision: Revision, trip: RoundTrip, refused: RefusedInsert, history: SchemaHistory) -> Finding:
    table, failure, column = shorten(refused.table), refused.failure, refused.column
    before_table = {"UPDATE": "UPDATE of", "DELETE": "DELETE from"}.get(refused.verb, "INSERT into")
    message = f"After {revision.revision} an ordinary {before_table} {table} fails"
    if refused.next_value is not None:
        message = (
            f"After {revision.revision} the next INSERT into {table} takes {column} {refused.next_value} from its sequence, while"
            f" rows from before have larger ones: INSERTs fail once it gives one of theirs"
        )
    elif failure.sqlstate == sqlstates.NOT_NULL_VIOLATION:
        message = f"After {revision.revision} an INSERT into {table} that leaves {column} to its default fails"
    sql, line = find_statement_on(trip, refused)
    # Where a sequence is set to a value of the author's choice, it depends on the rows whether that is free.
    is_certain = refused.next_value == 1 or (refused.next_value is None and not _has_another_type(trip, refused))
    return Finding(
        f"{message}: {failure_reason(failure)}.",
        f"next-{refused.verb.lower()} {cause(failure)}",
        revision=revision.revision,
        object=f"{refused.table}.{column}" if column else refused.table,
        detail="\n".join(filter(None, [sql, failure.context and f"CONTEXT:  {failure.context}"])) or None,
        help=help_for_insert(refused, history.after(trip.revision)),
        line=line,
        severity=Severity.ERROR if is_certain else Severity.WARNING,
    )


def _has_another_type(trip: RoundTrip, refused: RefusedInsert) -> bool:
    """Whether the column that lost its default has another type too: code that gives such values must be new."""
    changes = trip.up.changes if trip.up is not None else ()
    return any(
        each.key.kind == "column"
        and full_name(each.key) == f"{refused.table}.{refused.column}"
        and (each.before or {}).get("type") != (each.after or {}).get("type")
        for each in changes
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


def _uncovered(reason: str, tables_by_revision: Mapping[str, Sequence[str]], history: SchemaHistory) -> Finding:
    """One finding for a reason, whatever the number of tables and revisions."""
    first, *later = tables_by_revision
    tables = list(dict.fromkeys(table for some in tables_by_revision.values() for table in some))
    revisions = f"{first} and {counted(len(later), 'later revision')}" if later else first
    schema = history.before(first)
    rows = [f"INSERT INTO {schema.sql(table)} (…) VALUES (…);" for table in tables_by_revision[first]]
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
