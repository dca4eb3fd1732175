"""A table that is already in use is read from end to end under a lock that keeps others out.

Catches
    A statement that must look at every row of an older table before it can promise something about them all, while it holds a lock that
    blocks writes, or reads too: a CHECK or a foreign key that is validated at once, `SET NOT NULL` without a CHECK that
    proves it, a partition that is attached. Also `VALIDATE CONSTRAINT` in the transaction that added it: the lock is still held.

Why it hurts
    The scan takes as long as the table is large, and everything that the lock keeps out waits as long.

How to fix
    Make the promise for new rows first, which takes a moment, and check the old ones in the next revision, which keeps nobody
    out ::

        def upgrade() -> None:  # first revision
            op.create_check_constraint("ck_orders_total", "orders", "total > 0", postgresql_not_valid=True)

        def upgrade() -> None:  # second revision
            op.execute("ALTER TABLE orders VALIDATE CONSTRAINT ck_orders_total")

    A foreign key takes `postgresql_not_valid=True` too. For NOT NULL, validate a CHECK (note IS NOT NULL) like this; then
    PostgreSQL takes its word for it ::

        op.alter_column("orders", "note", nullable=False)
        op.drop_constraint("ck_orders_note", "orders", type_="check")

    env.py must run each revision in a transaction of its own: `transaction_per_migration=True`.

Stays quiet when
    The same revision creates the table. Nothing that others need is locked, as by VALIDATE CONSTRAINT. The scan belongs to a
    rewrite or to an index, which have checks of their own, or to an UPDATE (lock-pileup).
"""

from __future__ import annotations

from collections.abc import Iterator

from app.gate.checks.base import Check, Finding
from app.gate.checks.hazards import Moment, Transaction, changes_by, is_blocking_scan, moments, shown, who_waits
from app.gate.checks.remedy import python, quote, quote_table
from app.gate.checks.words import indented, noun, shorten
from app.gate.recording import Change, Recording, Statement
from app.gate.report import Severity


def examine(recording: Recording) -> Iterator[Finding]:
    for transaction, moment in moments(recording):
        statement = moment.statement
        tables = [
            table
            for table in statement.scans
            if is_blocking_scan(moment, table) and not _has_a_check_of_its_own(statement, table)
        ]
        for table in tables[:1]:  # a foreign key may read both of its tables: one statement is one finding
            yield _finding(transaction, moment, table)


def _has_a_check_of_its_own(statement: Statement, table: str) -> bool:
    return table in statement.rewrites or table in statement.index_builds


def _finding(transaction: Transaction, moment: Moment, table: str) -> Finding:
    statement = moment.statement
    locked = sorted({table, *(other for other in statement.locks if other in moment.held)})
    tables = " and ".join(shorten(each) for each in locked)
    waits = who_waits(moment.held[table])
    cause = next(filter(_is_a_promise, changes_by(transaction.step, statement, table)), None)
    earlier = moment.since[table]
    why = f", for {noun(cause)}" if cause is not None and cause.key.kind != "column" else ""
    if earlier is not statement:
        since = f"since line {earlier.line}" if earlier.line else "by an earlier statement"
        why += f"; they are locked out {since}"
    return Finding(
        f"{waits[0].upper()}{waits[1:]} on {tables} wait until PostgreSQL has read the whole of {shorten(table)}{why}.",
        revision=transaction.revision.revision,
        object=table,
        detail=shown(statement),
        help=_advice(cause, table),
        line=statement.line,
    )


def _is_a_promise(change: Change) -> bool:
    if change.key.kind == "column":
        was_promised = change.before is not None and change.before.get("nullable") is False
        return (change.after or {}).get("nullable") is False and not was_promised
    return change.key.kind == "constraint" and change.before is None


def _advice(cause: Change | None, table: str) -> str:
    if cause is None:
        return "Promise it for new rows first (NOT VALID), and check the old ones in a revision after it (VALIDATE CONSTRAINT)."
    now, later = _not_null(cause, table) if cause.key.kind == "column" else _constraint(cause, table)
    return (
        f"Promise it for new rows in this revision, which takes a moment:\n\n{indented(now)}\n\n"
        f"and check the old ones in the next, which keeps nobody out:\n\n{indented(later)}"
    )


def _constraint(change: Change, table: str) -> tuple[str, str]:
    definition = str((change.after or {}).get("definition", "")).removesuffix(" NOT VALID")
    name = quote(change.key.name)
    return (
        f"op.execute({python(f'ALTER TABLE {quote_table(table)} ADD CONSTRAINT {name} {definition} NOT VALID', is_sql=True)})",
        f"op.execute({python(f'ALTER TABLE {quote_table(table)} VALIDATE CONSTRAINT {name}')})",
    )


def _not_null(change: Change, table: str) -> tuple[str, str]:
    column, check = change.key.name, f"{change.key.table}_{change.key.name}_not_null"
    alter = f"ALTER TABLE {quote_table(table)}"
    schema = "" if change.key.schema == "public" else f", schema={python(change.key.schema)}"
    return (
        f"op.execute({python(f'{alter} ADD CONSTRAINT {quote(check)} CHECK ({quote(column)} IS NOT NULL) NOT VALID')})",
        "\n".join(
            [
                f"op.execute({python(f'{alter} VALIDATE CONSTRAINT {quote(check)}')})",
                f"op.alter_column({python(change.key.table)}, {python(column)}, nullable=False{schema})",
                f'op.drop_constraint({python(check)}, {python(change.key.table)}, type_="check"{schema})',
            ]
        ),
    )


CHECK = Check(id="blocking-scan", severity=Severity.WARNING, examine=examine)
