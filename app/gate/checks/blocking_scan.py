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
    rewrite or to an index, which have checks of their own, or to an UPDATE (lock-pileup). A required column is added
    without a default: that fails unless the table is empty, and nobody waits long for an empty table.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from app.gate.checks.base import Check, Finding
from app.gate.checks.support.column_types import is_required
from app.gate.checks.support.fix_code import python, quote, quote_table
from app.gate.checks.support.locks import HeldLocks, Transaction, by_table, is_blocking_scan, transactions, waiting
from app.gate.checks.support.naming import short_noun
from app.gate.checks.support.statements import changes_by, sql_of
from app.gate.checks.support.subjects import together
from app.gate.recording.model import Change, Evidence, Recording, Statement
from app.gate.recording.names import shorten
from app.gate.report.verdict import Severity
from app.gate.wording import indented, listed


@dataclass(frozen=True)
class Promise:
    """What the scan was for, and how to make it in two steps."""

    subject: str  # "constraint ck_total", "not-null total"
    words: str  # "check constraint ck_total"
    now: str  # code
    later: str


def examine(recording: Recording) -> Iterator[Finding]:
    for transaction in transactions(recording):
        scans = [(table, moment) for moment in transaction.moments for table in _scanned(transaction, moment)]
        for table, found in by_table(scans):
            yield _finding(transaction, table, found)


def _scanned(transaction: Transaction, moment: HeldLocks) -> list[str]:
    """The table, if any, that a statement reads to make a promise. A foreign key may read both of its tables: one is named."""
    statement = moment.statement
    return [
        table
        for table in statement.scans
        if is_blocking_scan(moment, table)
        and table not in (*statement.rewrites, *statement.index_builds)
        and not _wants_an_empty_table(transaction, statement, table)
    ][:1]


def _wants_an_empty_table(transaction: Transaction, statement: Statement, table: str) -> bool:
    return not re.search(r"\bSET\s+NOT\s+NULL\b", statement.sql, re.IGNORECASE) and any(
        change.before is None and change.key.kind == "column" and is_required(change.after or {})
        for change in changes_by(transaction.step, statement, table)
    )


def _finding(transaction: Transaction, table: str, found: Sequence[HeldLocks]) -> Finding:
    first = found[0]
    statement, earlier = first.statement, first.since[table]
    locked = {table, *(other for other in statement.locks if other in first.held)}
    who = waiting({each: first.held[each] for each in locked})
    told = [list(_promises(transaction, moment.statement, table)) for moment in found]
    promises = [promise for each in told for promise in each]
    times = f" {len(found)} times" if len(found) > 1 and (all(told) or not promises) else ""
    why = f", for {listed([promise.words for promise in promises])}" if promises else ""
    if earlier.line is not None and earlier.line != statement.line:
        why += f"; they are locked out since line {earlier.line}"
    return Finding(
        f"{who} wait until PostgreSQL has read the whole of {shorten(table)}{times}{why}.",
        together(promise.subject for promise in promises) or "scan",
        revision=transaction.revision.revision,
        object=table,
        detail="\n".join(sql_of(moment.statement) for moment in found),
        help=_advice(promises),
        line=statement.line,
    )


def _promises(transaction: Transaction, statement: Statement, table: str) -> Iterator[Promise]:
    changes = [change for change in changes_by(transaction.step, statement, table) if _is_promise(change, statement)]
    for change in changes:
        yield _not_null(change.key.name, table) if change.key.kind == "column" else _constraint(change, table)
    # Dropped and made again, or renamed afterwards: only the statement tells.
    if not changes and (found := _SET_NOT_NULL.fullmatch(statement.sql)):
        yield _not_null(found["column"].strip('"'), table)
    if not changes and (found := _ADD_CONSTRAINT.fullmatch(statement.sql)):
        alter, rule, columns = found["alter"], found["rule"], re.findall(r"\w+", found["columns"] or "")
        called = "_".join([table.rpartition(".")[2], *columns, "fkey" if columns else "check"])  # as PostgreSQL does
        name = found["name"] or quote(called[:63])
        kind = f"foreign key of {listed(columns)}" if columns else "a check constraint"
        yield Promise(
            subject=f"constraint {found['name'] or called}".replace('"', ""),
            words=(found["name"] or kind).strip('"'),
            now=f"op.execute({python(f'{alter} ADD CONSTRAINT {name} {rule} NOT VALID', is_sql=True)})",
            later=f"op.execute({python(f'{alter} VALIDATE CONSTRAINT {name}')})",
        )


_ADD_CONSTRAINT = re.compile(
    r"\s*(?P<alter>ALTER\s+TABLE\s+(ONLY\s+)?[\w.\"]+)\s+ADD\s+(CONSTRAINT\s+(?P<name>[\w\"]+)\s+)?"
    r"(?P<rule>(CHECK\b|FOREIGN\s+KEY\s*\((?P<columns>[^()]*)\)).*?)\s*;?\s*",
    re.IGNORECASE | re.DOTALL,
)
_SET_NOT_NULL = re.compile(
    r"\s*ALTER\s+TABLE\s+(ONLY\s+)?[\w.\"]+\s+ALTER\s+(COLUMN\s+)?(?P<column>\w+|\"[^\"]+\")\s+SET\s+NOT\s+NULL\s*;?\s*",
    re.IGNORECASE,
)


def _is_promise(change: Change, statement: Statement) -> bool:
    if change.key.kind == "column":
        was_promised = change.before is not None and change.before.get("nullable") is False
        says_so = re.search(r"\bNOT\s+NULL\b", statement.sql, re.IGNORECASE) is not None
        return says_so and (change.after or {}).get("nullable") is False and not was_promised
    kind = (change.after or {}).get("type")
    return change.key.kind == "constraint" and change.before is None and kind in ("check", "foreign key")


def _advice(promises: Sequence[Promise]) -> str:
    if not promises:
        return "Promise it for new rows first (NOT VALID), and check the old ones in a revision after it (VALIDATE CONSTRAINT)."
    now, later = (
        "\n".join(dict.fromkeys(each)) for each in zip(*((each.now, each.later) for each in promises), strict=True)
    )
    return (
        f"Promise it for new rows in this revision, which takes a moment:\n\n{indented(now)}\n\n"
        f"and check the old ones in the next, which keeps nobody out:\n\n{indented(later)}"
    )


def _constraint(change: Change, table: str) -> Promise:
    definition = str((change.after or {}).get("definition", "")).removesuffix(" NOT VALID")
    alter, name = f"ALTER TABLE {quote_table(table)}", quote(change.key.name)
    return Promise(
        subject=f"constraint {change.key.name}",
        words=short_noun(change),
        now=f"op.execute({python(f'{alter} ADD CONSTRAINT {name} {definition} NOT VALID', is_sql=True)})",
        later=f"op.execute({python(f'{alter} VALIDATE CONSTRAINT {name}')})",
    )


def _not_null(column: str, table: str) -> Promise:
    schema, _, label = table.partition(".")
    check, alter = f"{label}_{column}_not_null", f"ALTER TABLE {quote_table(table)}"
    named = "" if schema == "public" else f", schema={python(schema)}"
    return Promise(
        subject=f"not-null {column}",
        words=f"NOT NULL of {column}",
        now=f"op.execute({python(f'{alter} ADD CONSTRAINT {quote(check)} CHECK ({quote(column)} IS NOT NULL) NOT VALID')})",
        later="\n".join(
            [
                f"op.execute({python(f'{alter} VALIDATE CONSTRAINT {quote(check)}')})",
                f"op.alter_column({python(label)}, {python(column)}, nullable=False{named})",
                f'op.drop_constraint({python(check)}, {python(label)}, type_="check"{named})',
            ]
        ),
    )


CHECK = Check(id="blocking-scan", severity=Severity.WARNING, examine=examine, needs=frozenset({Evidence.LOCKS}))
