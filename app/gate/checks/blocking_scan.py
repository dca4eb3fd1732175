"""A table that is already in use is scanned under a lock that blocks others.

Catches
    A statement that reads every row of an older table to verify something about all of them, while it holds a lock that
    blocks writes, or reads as well: a CHECK or a foreign key that is validated immediately, `SET NOT NULL` without a
    CHECK that proves it, a partition that is attached. Also `VALIDATE CONSTRAINT` in the transaction that added the
    constraint: its lock is still held.

Why it hurts
    The larger the table, the longer the scan, and everything that the lock blocks waits until it ends.

How to fix
    Add the constraint for new rows first, which is fast, and validate the existing rows in the next revision, which
    blocks no reads or writes::

        def upgrade() -> None:  # first revision
            op.create_check_constraint("ck_orders_total", "orders", "total > 0", postgresql_not_valid=True)

        def upgrade() -> None:  # second revision
            op.execute("ALTER TABLE orders VALIDATE CONSTRAINT ck_orders_total")

    A foreign key takes `postgresql_not_valid=True` too. For NOT NULL, validate a CHECK (note IS NOT NULL) in the same
    way; PostgreSQL then relies on it and does not scan::

        op.alter_column("orders", "note", nullable=False)
        op.drop_constraint("ck_orders_note", "orders", type_="check")

    The type of a column under a CHECK changes without a scan if the CHECK is dropped before and added NOT VALID after
    it. A partition is attached without one if a CHECK proves its bounds.

    env.py must run each revision in a separate transaction: `transaction_per_migration=True`.

Stays quiet when
    The same revision creates the table. The lock blocks neither reads nor writes, as that of VALIDATE CONSTRAINT. The
    scan is part of a rewrite or of an index build, which have checks of their own, or of an UPDATE (lock-pileup). A
    required column is added without a default: that fails unless the table is empty, and an empty table is scanned in
    no time.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from app.gate.checks.base import Check, Finding
from app.gate.checks.support.column_types import is_required
from app.gate.checks.support.concurrently import TwoSteps, constrain, require
from app.gate.checks.support.locks import HeldLocks, Transaction, by_table, is_blocking_scan, transactions, waiting
from app.gate.checks.support.naming import short_noun
from app.gate.checks.support.renames import is_renamed
from app.gate.checks.support.scans import advise_on_scan
from app.gate.checks.support.schema import Schema
from app.gate.checks.support.script import execute
from app.gate.checks.support.statements import changes_by, sql_of
from app.gate.checks.support.subjects import together
from app.gate.postgres.quoting import name_of, unquoted
from app.gate.recording.model import Change, Evidence, Key, Recording, Statement
from app.gate.recording.names import shorten, table_of
from app.gate.report.verdict import Severity
from app.gate.wording import indented, listed


@dataclass(frozen=True)
class Constraint:
    """What the scan verifies, and how to do it in two steps."""

    subject: str  # "constraint ck_total", "not-null total"
    words: str  # "check constraint ck_total"
    steps: TwoSteps


def examine(recording: Recording) -> Iterator[Finding]:
    for transaction in transactions(recording):
        scans = [(table, held) for held in transaction.held_locks for table in _scanned(transaction, held)]
        for table, found in by_table(scans):
            yield _finding(transaction, table, found)


def _scanned(transaction: Transaction, held: HeldLocks) -> list[str]:
    """The table, if any, that a statement scans to verify a constraint. A foreign key may scan both of its tables: one
    is named."""
    statement = held.statement
    return [
        table
        for table in statement.scans
        if is_blocking_scan(held, table)
        and table not in (*statement.rewrites, *statement.index_builds)
        and not _wants_an_empty_table(transaction, statement, table)
    ][:1]


def _wants_an_empty_table(transaction: Transaction, statement: Statement, table: str) -> bool:
    return not re.search(r"\bSET\s+NOT\s+NULL\b", statement.sql, re.IGNORECASE) and any(
        change.before is None
        and change.key.kind == "column"
        and is_required(change.after or {})
        and not is_renamed(transaction.step, change.key)
        for change in changes_by(transaction.step, statement, table)
    )


def _finding(transaction: Transaction, table: str, found: Sequence[HeldLocks]) -> Finding:
    first = found[0]
    statement, earlier = first.statement, first.since[table]
    locked = {table, *(other for other in statement.locks if other in first.modes)}
    who = waiting({each: first.modes[each] for each in locked})
    by_statement = [list(_constraints(transaction, held.statement, table)) for held in found]
    constraints = [constraint for each in by_statement for constraint in each]
    times = f" {len(found)} times" if len(found) > 1 and (all(by_statement) or not constraints) else ""
    why = f", for {listed([constraint.words for constraint in constraints])}" if constraints else ""
    if earlier.line is not None and earlier.line != statement.line:
        why += f"; blocked since line {earlier.line}"
    return Finding(
        f"{who} wait until PostgreSQL has scanned the whole of {shorten(table)}{times}{why}.",
        together(constraint.subject for constraint in constraints) or "scan",
        revision=transaction.revision.revision,
        object=table,
        detail="\n".join(sql_of(held.statement) for held in found),
        help=_advice(constraints)
        if constraints
        else advise_on_scan(transaction, table, [each.statement for each in found]),
        line=statement.line,
    )


def _constraints(transaction: Transaction, statement: Statement, table: str) -> Iterator[Constraint]:
    schema = transaction.schema
    changes = [
        change for change in changes_by(transaction.step, statement, table) if _is_added_constraint(change, statement)
    ]
    for change in changes:
        yield _not_null(change, schema) if change.key.kind == "column" else _add_constraint(change, statement, schema)
    # Dropped and recreated, or renamed afterwards: only the statement shows it.
    if not changes and (found := _SET_NOT_NULL.fullmatch(statement.sql)):
        space, _, label = table.partition(".")
        yield _not_null(Change(Key("column", space, name_of(found["column"]), label), {}, {}), schema)
    if not changes and (found := _ADD_CONSTRAINT.fullmatch(statement.sql)):
        altered = _find_table(found["table"], [table, *statement.locks]) or table
        columns = re.findall(r"\w+", found["columns"] or "")
        called = "_".join([altered.rpartition(".")[2], *columns, "fkey" if columns else "check"])  # as PostgreSQL does
        name = name_of(found["name"]) if found["name"] else called[:63]
        kind = f"foreign key of {listed(columns)}" if columns else "a check constraint"
        words = name if found["name"] else kind
        yield Constraint(f"constraint {name}", words, constrain(altered, name, found["rule"], schema))


def _find_table(name: str, tables: Sequence[str]) -> str | None:
    """The one of the tables that a statement names."""
    return next((each for each in tables if each.rpartition(".")[2] == unquoted(name).rpartition(".")[2]), None)


_ADD_CONSTRAINT = re.compile(
    r"\s*ALTER\s+TABLE\s+(ONLY\s+)?(?P<table>[\w.\"]+)\s+ADD\s+(CONSTRAINT\s+(?P<name>[\w\"]+)\s+)?"
    r"(?P<rule>(CHECK\b|FOREIGN\s+KEY\s*\((?P<columns>[^()]*)\)).*?)\s*;?\s*",
    re.IGNORECASE | re.DOTALL,
)
_SET_NOT_NULL = re.compile(
    r"\s*ALTER\s+TABLE\s+(ONLY\s+)?[\w.\"]+\s+ALTER\s+(COLUMN\s+)?(?P<column>\w+|\"[^\"]+\")\s+SET\s+NOT\s+NULL\s*;?\s*",
    re.IGNORECASE,
)


def _is_added_constraint(change: Change, statement: Statement) -> bool:
    if change.key.kind == "column":
        was_not_null = change.before is not None and change.before.get("nullable") is False
        is_mentioned = re.search(r"\bNOT\s+NULL\b", statement.sql, re.IGNORECASE) is not None
        return is_mentioned and (change.after or {}).get("nullable") is False and not was_not_null
    kind = (change.after or {}).get("type")
    return change.key.kind == "constraint" and change.before is None and kind in ("check", "foreign key")


def _advice(constraints: Sequence[Constraint]) -> str:
    now, later = (
        "\n".join(dict.fromkeys(line for lines in each for line in lines))
        for each in zip(*((each.steps.now, each.steps.later) for each in constraints), strict=True)
    )
    return (
        f"Add it for new rows in this revision, which is fast:\n\n{indented(now)}\n\n"
        f"Then validate the existing rows in the next revision, which blocks no reads or writes:\n\n{indented(later)}"
    )


def _add_constraint(change: Change, statement: Statement, schema: Schema) -> Constraint:
    table, after = table_of(change.key), change.after or {}
    rule = schema.unqualified(str(after.get("definition", "")).removesuffix(" NOT VALID"))
    steps = constrain(table, change.key.name, rule, schema)
    if found := _ADD_COLUMN.match(statement.sql):  # the constraint came with its column
        column = found["column"].rstrip(" ,")
        add = execute(f"ALTER TABLE {schema.sql(table)} ADD COLUMN {column}")
        steps = replace(steps, now=[add, *steps.now])
    return Constraint(f"constraint {change.key.name}", short_noun(change), steps)


# A column with its type, less the constraint that comes with it.
_ADD_COLUMN = re.compile(
    r"\s*ALTER\s+TABLE\s+(?:ONLY\s+)?[\w.\"]+\s+ADD\s+(?:COLUMN\s+)?(?!CONSTRAINT\b|CHECK\b|FOREIGN\b)"
    r"(?P<column>.*?)\s+(?:CONSTRAINT\b|CHECK\b|REFERENCES\b)",
    re.IGNORECASE | re.DOTALL,
)


def _not_null(change: Change, schema: Schema) -> Constraint:
    column = change.key.name
    steps = require(table_of(change.key), column, schema)
    return Constraint(f"not-null {column}", f"NOT NULL of {column}", steps)


CHECK = Check(id="blocking-scan", severity=Severity.WARNING, examine=examine, needs=frozenset({Evidence.LOCKS}))
