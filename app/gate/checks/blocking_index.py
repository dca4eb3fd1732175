"""An index is built, rebuilt or dropped while nobody may write to its table.

Catches
    CREATE INDEX, REINDEX, a unique constraint or a primary key (each builds an index) on a table that is older than the
    revision, without CONCURRENTLY; and DROP INDEX, which needs ACCESS EXCLUSIVE on the table.

Why it hurts
    Each insert, update and delete waits until the build is over: minutes on a large table. For a constraint, reads wait too.
    A DROP INDEX is short, but it waits behind the longest query on the table, and everything else waits behind it.

How to fix
    Build it beside the traffic, outside of the transaction. A build that was cancelled leaves an index that is INVALID, so
    that one is dropped first::

        with op.get_context().autocommit_block():
            op.execute("DROP INDEX CONCURRENTLY IF EXISTS ix_orders_placed_at")
            op.create_index("ix_orders_placed_at", "orders", ["placed_at"], postgresql_concurrently=True)

    A constraint takes over an index that was built so ::

        with op.get_context().autocommit_block():
            op.execute("DROP INDEX CONCURRENTLY IF EXISTS uq_orders_number")
            op.create_index("uq_orders_number", "orders", ["number"], unique=True, postgresql_concurrently=True)
        op.execute("ALTER TABLE orders ADD CONSTRAINT uq_orders_number UNIQUE USING INDEX uq_orders_number")

Stays quiet when
    The same revision creates the table: nobody can be waiting for it yet. The index is rebuilt because the table is: that is for
    table-rewrite to tell.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from app.gate.checks.base import Check, Finding
from app.gate.checks.hazards import Moment, Transaction, changes_by, moments, shown, who_waits
from app.gate.checks.remedy import concurrently, python, quote_table
from app.gate.checks.words import indented, noun, shorten
from app.gate.recording import Change, Recording
from app.gate.report import Severity

_CONCURRENTLY = re.compile(r"\bCONCURRENTLY\b", re.IGNORECASE)
_DROP_INDEX = re.compile(r"\A\s*DROP\s+INDEX\b", re.IGNORECASE)


def examine(recording: Recording) -> Iterator[Finding]:
    for transaction, moment in moments(recording):
        statement = moment.statement
        if _CONCURRENTLY.search(statement.sql):
            continue
        for table in statement.index_builds:
            if table not in statement.rewrites and (table in moment.held or not statement.transactional):
                yield _built(transaction, moment, table)
        if _DROP_INDEX.search(statement.sql):
            for table, modes in statement.locks.items():
                if "AccessExclusiveLock" in modes:
                    yield _dropped(transaction, moment, table)


def _built(transaction: Transaction, moment: Moment, table: str) -> Finding:
    statement = moment.statement
    made = [
        change
        for change in changes_by(transaction.step, statement, table)
        if change.key.kind in ("index", "constraint")
    ]
    cause = next((change for change in made if change.before is None), None)
    what = noun(cause) if cause else "its index"
    if cause is not None and cause.key.kind == "constraint":
        what = f"the index of {what}"
    # Outside of a transaction the locks are gone before they can be seen. A build takes SHARE at the least.
    waits = who_waits(moment.held.get(table, ()))
    return Finding(
        f"{waits[0].upper()}{waits[1:]} on {shorten(table)} wait until {what} is built.",
        revision=transaction.revision.revision,
        object=table,
        detail=shown(statement),
        help=_advice(cause, table),
        line=statement.line,
    )


def _dropped(transaction: Transaction, moment: Moment, table: str) -> Finding:
    statement = moment.statement
    gone = [
        change
        for change in changes_by(transaction.step, statement, table)
        if change.key.kind == "index" and change.after is None
    ]
    advice = "Drop it outside of the transaction, with CONCURRENTLY."
    if gone:
        advice = f"Drop it beside the traffic, outside of the transaction:\n\n{indented(concurrently(gone[0]))}"
    return Finding(
        f"Reads and writes on {shorten(table)} wait behind this DROP INDEX, which waits for every query that runs on the table.",
        revision=transaction.revision.revision,
        object=table,
        detail=shown(statement),
        help=advice,
        line=statement.line,
    )


def _advice(cause: Change | None, table: str) -> str:
    code = concurrently(cause) if cause is not None else ""
    if not code and cause is None:
        code = f"with op.get_context().autocommit_block():\n    op.execute({python(f'REINDEX TABLE CONCURRENTLY {quote_table(table)}')})"
        return f"Build it outside of the transaction, with CONCURRENTLY; for a REINDEX:\n\n{indented(code)}"
    if not code:
        return "PostgreSQL cannot build this one concurrently: do it while nobody needs the table, under a short lock_timeout."
    return f"Build it beside the traffic, outside of the transaction:\n\n{indented(code)}"


CHECK = Check(id="blocking-index", severity=Severity.WARNING, examine=examine)
