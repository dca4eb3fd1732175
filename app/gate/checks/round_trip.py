"""A downgrade that fails, or does not restore the schema.

Catches
    A downgrade that raises an error, on empty tables or over rows that were there before the upgrade (a column that it
    adds back NOT NULL, without a default). A downgrade after which `pg_catalog` differs from what it was before the
    upgrade: an enum type that remains; a default, an index or a CHECK that is not restored. An upgrade that fails, or
    gives another schema, when it is run again after the downgrade.

Why it hurts
    A downgrade is run when something is already wrong. One that fails leaves the deployment between two releases; one
    that forgets something reports success, and the next upgrade fails on what still exists, or databases that were
    downgraded once differ from those that never were.

How to fix
    Undo each step of the upgrade, in reverse order. What is forgotten most often is the type that was created with a
    column: dropping the column or the table does not drop it::

        def downgrade() -> None:
            op.drop_column("orders", "status")
            op.execute("DROP TYPE order_status")

    An altered column needs all of its old definition::

            op.alter_column("orders", "note", existing_type=sa.Text(), nullable=False, server_default="")

    A required column that comes back needs a value for the rows that are there::

            op.add_column("orders", sa.Column("note", sa.Text(), nullable=False, server_default=""))

Stays quiet when
    There is no downgrade, or it does nothing or raises an exception on purpose: irreversible reports that. Columns in
    another order, and names that PostgreSQL generates, are no difference. An extension that remains is only a notice,
    and a label that remains in an enum a warning, if the revision can be applied again. What DETACH PARTITION …
    CONCURRENTLY leaves on a partition is a CHECK of its bounds. A constraint that was validated stays so.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace

from app.gate.checks.base import Check, Finding
from app.gate.checks.support import fix_code
from app.gate.checks.support.downgrades import find_omission, is_refusal, is_validation
from app.gate.checks.support.failures import exists_already, explain, failure_detail, is_missing
from app.gate.checks.support.naming import failure_reason, noun, principal
from app.gate.checks.support.schema import Schema, SchemaHistory
from app.gate.checks.support.statements import mentions
from app.gate.checks.support.subjects import cause, changed, find_lasting_object
from app.gate.postgres import sqlstates
from app.gate.recording.model import Change, Failure, Key, Populated, Recording, Revision, RoundTrip, RowKind
from app.gate.recording.names import full_name, shorten
from app.gate.report.verdict import Severity
from app.gate.snapshot.describe import describe
from app.gate.wording import bulleted, first_line, indented, listed


def examine(recording: Recording) -> Iterator[Finding]:
    revisions = {each.revision: each for each in recording.graph.revisions}
    history = SchemaHistory.of(recording)
    for trip in recording.trips:
        revision = revisions[trip.revision]
        if _is_meant_to_work(revision, trip):
            yield from _judge(revision, trip, history)


def _is_meant_to_work(revision: Revision, trip: RoundTrip) -> bool:
    if revision.downgrade_body != "present" or find_omission(revision, trip) is not None:
        return False
    return trip.down is not None and not (trip.down.failure is not None and is_refusal(trip.down.failure))


def _judge(revision: Revision, trip: RoundTrip, history: SchemaHistory) -> Iterator[Finding]:
    """At most one finding: later failures of a round trip follow from the first."""
    left = [each for each in trip.left_behind if not is_validation(each) and not _is_of_detach(each, trip)]
    trip = replace(trip, left_behind=tuple(left))
    failed_again = trip.second_up.failure if trip.second_up is not None else None
    if trip.down is not None and trip.down.failure is not None:
        yield _failed(revision, trip, trip.down.failure, history)
    elif (
        trip.populated is not None and (failure := trip.populated.down_failure) is not None and not is_refusal(failure)
    ):
        yield _failed_over_rows(revision, trip.populated, failure)
    elif trip.left_behind:
        yield _not_restored(revision, trip, failed_again, history)
    elif failed_again is not None:
        yield _not_repeatable(revision, failed_again)
    elif trip.second_up_differences:
        yield _not_repeated(revision, principal(trip.second_up_differences))


def _failed(revision: Revision, trip: RoundTrip, failure: Failure, history: SchemaHistory) -> Finding:
    return Finding(
        f"The downgrade of {revision.revision} fails: {failure_reason(failure)}.",
        f"downgrade fails {cause(failure)}",
        revision=revision.revision,
        detail=failure_detail(failure),
        help=_names_of_constraints(trip, failure, history.after(trip.revision)) or _hint(failure),
        line=failure.line,
        direction="downgrade",
    )


def _failed_over_rows(revision: Revision, populated: Populated, failure: Failure) -> Finding:
    tables = listed([shorten(table) for table, count in populated.tables.items() if count])
    is_any = populated.down_rows is RowKind.ORDINARY
    rows = f"rows in {tables}" if is_any else f"some rows in {tables} (NULLs, duplicates or extreme values)"
    return Finding(
        f"The downgrade of {revision.revision} fails over {rows}: {failure_reason(failure)}.",
        f"downgrade fails-over-rows {cause(failure)}",
        revision=revision.revision,
        object=failure.table and (f"{failure.table}.{failure.column}" if failure.column else failure.table),
        detail=failure_detail(failure),
        help="It was tried with generated rows that were there before the upgrade: have the downgrade give them what the older schema"
        " requires before it requires it (a server_default, an UPDATE).",
        line=failure.line,
        direction="downgrade",
        severity=_severity_over_rows(failure, is_any=is_any),
    )


def _severity_over_rows(failure: Failure, *, is_any: bool) -> Severity:
    """Whether it fails over the rows of users as well. What a script reads in generated values proves little."""
    state = failure.sqlstate
    if state is None or state.startswith(("22", "39")):
        return Severity.WARNING if is_any and state is not None else Severity.NOTICE
    return Severity.ERROR if is_any else Severity.WARNING


def _hint(failure: Failure) -> str:
    if is_missing(failure):
        return "It does not exist at that point: the upgrade never created it, created it under another name, or the downgrade already dropped it."
    if exists_already(failure):
        return "It still exists at that point: the upgrade did not drop it, or the downgrade creates it twice."
    if failure.sqlstate == sqlstates.DEPENDENT_OBJECTS_STILL_EXIST:
        return "Undo the steps of the upgrade in reverse order: drop what depends on it first."
    if explained := explain(failure):
        return explained
    return "Undo what the upgrade did, in reverse order. To reproduce the error, on a database at this revision:\n\n    alembic downgrade -1"


# https://docs.sqlalchemy.org/en/20/errors.html: of `op.drop_constraint(None, …)`, which autogenerate writes.
_WITHOUT_NAME = re.compile(r"DROP CONSTRAINT for constraint (?:<class .*\.)?(?P<kind>\w+).*; it has no name", re.DOTALL)
_TYPES = {
    "ForeignKeyConstraint": "foreign key",
    "UniqueConstraint": "unique",
    "CheckConstraint": "check",
    "PrimaryKeyConstraint": "primary key",
}


def _names_of_constraints(trip: RoundTrip, failure: Failure, schema: Schema) -> str | None:
    """The names that PostgreSQL gave to the constraints which the downgrade drops without one."""
    found = _WITHOUT_NAME.search(failure.message)
    if found is None or trip.up is None:
        return None
    tables = {each.key.name for each in trip.up.changes if each.key.kind == "table" and each.before is None}
    new = [each for each in trip.up.changes if each.key.kind == "constraint" and each.before is None]
    new = [each for each in new if each.key.table not in tables]
    wanted = _TYPES.get(found["kind"])
    new = [each for each in new if (each.after or {}).get("type") == wanted or wanted is None]
    code = fix_code.code(fix_code.reversed_changes(new), schema=schema)
    return (
        f"PostgreSQL named what the upgrade left unnamed. Drop it by that name:\n\n{indented(code)}" if code else None
    )


def _not_restored(revision: Revision, trip: RoundTrip, failed_again: Failure | None, history: SchemaHistory) -> Finding:
    left = principal(trip.left_behind)
    message = f"The downgrade of {revision.revision} does not restore the schema: {listed([_what(change) for change in left], limit=2)}"
    if failed_again is not None:
        message += f"; so the revision cannot be applied again ({first_line(failed_again.message)})"
    return Finding(
        f"{message}.",
        f"not-restored {changed(left)}",
        revision=revision.revision,
        object=full_name(left[0].key),
        detail=bulleted(
            describe(change).replace(" is new", " remains") if change.before is None else _described(change)
            for change in left
        ),
        help=_how_to_restore(revision, trip, left, history.after(trip.revision)),
        direction="downgrade",
        severity=_severity(left, failed_again),
    )


def _not_repeatable(revision: Revision, failure: Failure) -> Finding:
    return Finding(
        f"{revision.revision} cannot be applied again after its downgrade: {failure_reason(failure)}.",
        f"not-repeatable {cause(failure)}",
        revision=revision.revision,
        detail=failure_detail(failure),
        help="The schema is the same as before, so the rows differ: delete in the downgrade what the upgrade inserted, or insert with "
        "ON CONFLICT DO NOTHING.",
        line=failure.line,
    )


def _not_repeated(revision: Revision, changes: list[Change]) -> Finding:
    return Finding(
        f"{revision.revision} gives a different schema when it is applied again after its downgrade: "
        f"{listed([noun(change) for change in changes], limit=2)}.",
        f"not-repeated {changed(changes)}",
        revision=revision.revision,
        object=find_lasting_object(changes),
        detail=bulleted(map(_described, changes)),
        help="The upgrade does something else the second time: it depends on what the downgrade leaves behind (IF NOT EXISTS, an "
        "inspector, rows), or uses random names or values.",
    )


def _how_to_restore(revision: Revision, trip: RoundTrip, left: list[Change], schema: Schema) -> str | None:
    """The code for the downgrade; for what the upgrade took along without a word, for the upgrade."""
    # What went with a column, such as a CHECK, is to be created again with it.
    gone = [change for change in trip.left_behind if change.after is None and change not in left]
    lost = [change for change in left if _is_lost_on_the_way(change, trip)]
    kept = [change for change in [*left, *gone] if change not in lost]
    parts = []
    if code := fix_code.code(fix_code.reversed_changes(lost), schema=schema):
        names = listed([noun(change) for change in lost])
        parts.append(
            f"The upgrade loses {names}, though no line of it says so: what a table that is created again does not bring along. "
            f"In the upgrade of {revision.path}, add at the end:\n\n{indented(code)}"
        )
    if code := fix_code.code(fix_code.reversed_changes(kept), schema=schema):
        parts.append(f"In the downgrade of {revision.path}, add:\n\n{indented(code)}")
    return "\n\n".join(parts) or None


def _is_lost_on_the_way(change: Change, trip: RoundTrip) -> bool:
    """Whether the upgrade dropped something that none of its statements names, from a table that stays."""
    if change.after is not None or change.key.kind not in ("trigger", "policy", "rule") or trip.up is None:
        return False
    is_dropped = any(each.key == change.key and each.after is None for each in trip.up.changes)
    table = Key("table", change.key.schema, change.key.table)
    stays = not any(each.key == table and each.after is None for each in trip.up.changes)
    return is_dropped and stays and not any(mentions(each, change.key.name) for each in trip.up.statements)


def _is_of_detach(change: Change, trip: RoundTrip) -> bool:
    """Whether it is the CHECK of a partition's own bounds that DETACH … CONCURRENTLY leaves: once the partition is
    attached again, it changes nothing."""
    is_check = change.key.kind == "constraint" and (change.after or {}).get("type") == "check"
    if not is_check or change.before is not None or trip.up is None:
        return False
    named = (each for each in trip.up.statements if mentions(each, change.key.table))
    return any(_DETACHES.search(each.sql) for each in named)


_DETACHES = re.compile(r"\bDETACH\s+PARTITION\b.*\bCONCURRENTLY\b", re.IGNORECASE | re.DOTALL)


def _severity(left: list[Change], failed_again: Failure | None) -> Severity:
    """What remains for lack of a choice is less severe, as long as the next upgrade works with it."""
    if failed_again is not None:
        return Severity.ERROR
    if all(change.key.kind == "extension" and change.before is None for change in left):
        return Severity.NOTICE
    return Severity.WARNING if all(_is_kept_label(change) for change in left) else Severity.ERROR


def _is_kept_label(change: Change) -> bool:
    """An enum to which the upgrade added a label: PostgreSQL cannot remove it, and older code is not affected."""
    if change.key.kind == "extension":
        return change.before is None
    if change.key.kind != "enum" or change.before is None or change.after is None:
        return False
    return set(change.before.get("labels") or ()) <= set(change.after.get("labels") or ())


def _what(change: Change) -> str:
    if change.before is None:
        return f"{noun(change)} remains"
    if change.after is None:
        return f"{noun(change)} is gone"
    text = describe(change).partition(": ")[2]
    if "body" in change.before and change.before["body"] != change.after.get("body"):
        return f"{noun(change)} has another body"
    return f"{noun(change)} has changed ({text})" if len(text) <= 200 else f"{noun(change)} has changed"


def _described(change: Change) -> str:
    text = describe(change)
    return text if len(text) <= 1000 else f"{text[:1000]} …"


CHECK = Check(id="round-trip", severity=Severity.ERROR, examine=examine)
