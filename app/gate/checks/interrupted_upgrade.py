"""An upgrade that was killed half way cannot be run again, or leaves an index that no query uses.

Catches
    A revision that commits before its end, as an autocommit block does, and that fails when it is run again after it
    was killed between two of its statements; and a statement that commits between its own phases (CREATE INDEX
    CONCURRENTLY, REINDEX CONCURRENTLY, DETACH PARTITION CONCURRENTLY), cancelled in the middle. The gate stops it
    there, and runs the revision again: it may fail, or pass over the INVALID index that the first run left.

Why it hurts
    A stopped deployment, a lost connection or a lock timeout leaves the first half behind, while Alembic still
    considers the revision as not applied. From then on every attempt fails in the first half, until the database is
    repaired by hand. With IF NOT EXISTS the attempt succeeds, and the index that a cancelled build left stays INVALID:
    every write maintains it, no query uses it, and nothing says so.

How to fix
    Put a statement that commits on its own into a separate revision, so that nothing can be interrupted between two
    statements; or make each statement repeatable. A cancelled index build leaves an INVALID index behind, hence the
    drop, also where the build is alone in its revision, and in place of IF NOT EXISTS::

        with op.get_context().autocommit_block():
            op.drop_index("ix_orders_note", "orders", postgresql_concurrently=True, if_exists=True)
            op.create_index("ix_orders_note", "orders", ["note"], postgresql_concurrently=True)

Stays quiet when
    The revision is one transaction: PostgreSQL rolls all of it back. The revision is a single statement that does not
    commit before its end. What was cancelled needs a person in any case is a notice: a unique index, whose build ends
    with the first duplicate, and a partition that is half detached, for which there is FINALIZE; so is what a
    cancelled REINDEX CONCURRENTLY leaves next to the index itself.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from app.gate.checks.base import Check, Finding
from app.gate.checks.support.failures import failure_detail
from app.gate.checks.support.naming import failure_reason
from app.gate.checks.support.schema import Schema, SchemaHistory
from app.gate.checks.support.script import execute
from app.gate.checks.support.subjects import cause, named, together
from app.gate.recording.model import Evidence, Failure, Interruption, Recording, RoundTrip
from app.gate.recording.names import shorten
from app.gate.report.verdict import Severity
from app.gate.wording import indented, listed


def examine(recording: Recording) -> Iterator[Finding]:
    history = SchemaHistory.of(recording)
    for trip in recording.trips:
        for interruption in trip.interruptions:
            if not interruption.is_inside and interruption.failure is not None:
                yield _between(trip, interruption, interruption.failure)
            elif interruption.failure is not None:
                yield _inside(trip, interruption, interruption.failure, history.after(trip.revision))
            else:
                yield _left_invalid(trip, interruption, history.after(trip.revision))


def _between(trip: RoundTrip, interruption: Interruption, failure: Failure) -> Finding:
    return Finding(
        f"{trip.revision} cannot be run again after it was killed half way: {failure_reason(failure)}.",
        f"fails {cause(failure)}",
        revision=trip.revision,
        detail=f"Killed after:\n{interruption.after}\n\nThe second run fails at:\n{failure_detail(failure) or '(no statement)'}",
        help="Put a statement that commits on its own into a separate revision, or make it repeatable: if_not_exists=True, if_exists=True, "
        "ADD VALUE IF NOT EXISTS; for an index, drop what a cancelled build left behind first.",
        line=interruption.line,
    )


def _inside(trip: RoundTrip, interruption: Interruption, failure: Failure, schema: Schema) -> Finding:
    """The second run fails. That of a unique index or of a DETACH is only a notice: see the module."""
    sql = interruption.after
    needs_a_person = _DETACH.search(sql) or _UNIQUE.match(sql)
    return Finding(
        f"{trip.revision} cannot be run again after its {_phrase(sql)} was cancelled in the middle: {failure_reason(failure)}.",
        f"cancelled inside, fails {cause(failure)}",
        revision=trip.revision,
        detail=f"Cancelled inside:\n{sql}\n\nThe second run fails at:\n{failure_detail(failure) or '(no statement)'}",
        help=_finalize(trip, sql) if _DETACH.search(sql) else _help(trip, interruption, schema),
        line=interruption.line,
        severity=Severity.NOTICE if needs_a_person else None,
    )


def _left_invalid(trip: RoundTrip, interruption: Interruption, schema: Schema) -> Finding:
    """The second run succeeds, and nothing says that an index cannot be used."""
    sql = interruption.after
    names = listed(
        [
            f"{shorten(f'{key.schema}.{key.name}')} on {shorten(f'{key.schema}.{key.table}')}"
            for key in interruption.invalid
        ]
    )
    is_unique = _UNIQUE.match(sql) is not None
    outcome = (
        "no query uses it, and duplicates may remain" if is_unique else "every write maintains it, and no query uses it"
    )
    return Finding(
        f"After {_phrase(sql)} was cancelled in the middle, {trip.revision} can be run again, but index {names} stays INVALID: {outcome}.",
        together(f"leaves {named(key)}" for key in interruption.invalid),
        revision=trip.revision,
        detail=f"Cancelled inside:\n{sql}",
        help=_help(trip, interruption, schema),
        line=interruption.line,
        severity=Severity.NOTICE if _REINDEX.match(sql) else None,
    )


# What to do

_CREATE = re.compile(
    r"\s*CREATE\s+(?:UNIQUE\s+)?INDEX\s+CONCURRENTLY\s+(?P<absent>IF\s+NOT\s+EXISTS\s+)?"
    r'(?!ON\b)(?P<name>"(?:[^"]|"")+"|\w+)\s+ON\s+(?:ONLY\s+)?(?:(?P<schema>"(?:[^"]|"")+"|\w+)\s*\.)?',
    re.IGNORECASE,
)
_UNIQUE = re.compile(r"\s*CREATE\s+UNIQUE\b", re.IGNORECASE)
_REINDEX = re.compile(r"\s*REINDEX\b", re.IGNORECASE)
_DETACH = re.compile(r"\bDETACH\s+PARTITION\b", re.IGNORECASE)


def _phrase(sql: str) -> str:
    if _REINDEX.match(sql):
        return "REINDEX CONCURRENTLY"
    return "DETACH PARTITION CONCURRENTLY" if _DETACH.search(sql) else "CREATE INDEX CONCURRENTLY"


def _finalize(trip: RoundTrip, sql: str) -> str:
    complete = f"{re.sub(r'[; ]*CONCURRENTLY[; ]*$', '', sql.strip(), flags=re.IGNORECASE)} FINALIZE;"
    return (
        "It is alone in its revision, so that there is nothing else to repair. Should it be cancelled, complete it by hand, in SQL:\n\n"
        f"{indented(complete)}\n\nand tell Alembic:\n\n    alembic stamp {trip.revision}"
    )


def _help(trip: RoundTrip, interruption: Interruption, schema: Schema) -> str:
    lines = [*_drops_of_copies(interruption, schema), *_builds(trip)]
    if not lines:
        return "Give the index a name, so that what a cancelled build left can be dropped before the next."
    code = "\n".join(["with op.get_context().autocommit_block():", *(f"    {line}" for line in lines)])
    return f"Drop what a cancelled build left, before the build:\n\n{indented(code)}"


def _drops_of_copies(interruption: Interruption, schema: Schema) -> Iterator[str]:
    """Lines that drop what REINDEX left, and run it again."""
    if _REINDEX.match(interruption.after):
        for key in interruption.invalid:
            yield execute(f"DROP INDEX CONCURRENTLY IF EXISTS {schema.sql(f'{key.schema}.{key.name}')}")
        yield execute(interruption.after.strip().rstrip(";"))


def _builds(trip: RoundTrip) -> Iterator[str]:
    """Lines for all indexes that the revision builds concurrently: each of them may be the one that is cancelled."""
    for statement in trip.up.statements if trip.up is not None else ():
        found = _CREATE.match(statement.sql)
        if found is None:
            continue
        schema = f"{found['schema']}." if found["schema"] else ""
        yield execute(f"DROP INDEX CONCURRENTLY IF EXISTS {schema}{found['name']}")
        sql = statement.sql.strip().rstrip(";")
        yield execute(sql.replace(found["absent"], "", 1) if found["absent"] else sql)


CHECK = Check(
    id="interrupted-upgrade", severity=Severity.WARNING, examine=examine, needs=frozenset({Evidence.INTERRUPTIONS})
)
