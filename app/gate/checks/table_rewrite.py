"""A table that is already in use is rewritten, under a lock that blocks reads and writes.

Catches
    A statement after which an older table is stored in new files: a column that changes its type, or is added with a
    default that must be computed for each row; `VACUUM FULL`, `CLUSTER`, `SET LOGGED`. What counts is what PostgreSQL
    did: `varchar(10)` to `varchar(20)` rewrites nothing, `integer` to `bigint` does.

Why it hurts
    PostgreSQL copies every row and rebuilds every index, and holds ACCESS EXCLUSIVE all the time: each query on the
    table waits, and soon every connection of the application does. On a large table that takes minutes or hours.

How to fix
    Add a column for the new values, fill it in batches of a few thousand rows, and let the code move to it::

        def upgrade() -> None:
            op.execute("ALTER TABLE orders ADD COLUMN IF NOT EXISTS total_new bigint")
            with op.get_context().autocommit_block():
                op.execute('''
                    DO $$
                    DECLARE page bigint := 0;
                    BEGIN
                        WHILE page * current_setting('block_size')::bigint < pg_relation_size('orders') LOOP
                            UPDATE orders SET total_new = total
                                WHERE total_new IS NULL AND ctid >= ('(' || page || ',0)')::tid
                                    AND ctid < ('(' || page + 500 || ',0)')::tid;
                            COMMIT;
                            page := page + 500;
                        END LOOP;
                    END $$
                ''')

    The block commits what was done before it, hence IF NOT EXISTS: the revision can be run again if it is stopped half
    way. A ctid names a row within one table, so the partitions of a partitioned table are filled one after the other;
    the finding shows how. Release the code that writes both columns before the code that reads the new one, and drop
    the old column last. Set a default separately, which rewrites no row, and fill the existing rows in batches::

        op.execute("ALTER TABLE orders ADD COLUMN IF NOT EXISTS token uuid")
        op.execute("ALTER TABLE orders ALTER COLUMN token SET DEFAULT gen_random_uuid()")

    A timestamp without time zone becomes one with a time zone without a rewrite if the session's time zone is UTC, and
    the values are meant as UTC::

        op.execute("SET LOCAL TimeZone = 'UTC'")
        op.execute("ALTER TABLE orders ALTER COLUMN placed_at TYPE timestamp with time zone")

Stays quiet when
    The same revision creates the table. PostgreSQL changes only the catalog (a longer varchar, a constant default).
    TRUNCATE emptied the table, which data-loss reports. A timestamp gains or loses its time zone in a session whose
    time zone is UTC, as it is on the throwaway server unless the project sets another: if production has another one,
    the table is rewritten and the values shift. breaking-change reports that until the script names the time zone as
    above.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from app.gate.checks.base import Check, Finding
from app.gate.checks.support.locks import Transaction, by_table, transactions
from app.gate.checks.support.rewrites import IN_GENERAL, Cause, added, refreshed, retyped, with_new_labels
from app.gate.checks.support.statements import changes_by, mentions, sql_of
from app.gate.checks.support.subjects import together
from app.gate.recording.model import Change, Evidence, Recording, Statement
from app.gate.recording.names import shorten
from app.gate.report.verdict import Severity
from app.gate.wording import indented, listed


def examine(recording: Recording) -> Iterator[Finding]:
    for transaction in transactions(recording):
        rewrites = [
            (table, held)
            for held in transaction.held_locks
            for table in held.statement.rewrites
            if not _empties(held.statement) and not _is_unreadable(transaction, table)
        ]
        for table, found in by_table(rewrites):
            yield _finding(transaction, table, [held.statement for held in found])


def _empties(statement: Statement) -> bool:
    return re.search(r"\bTRUNCATE\b", statement.sql, re.IGNORECASE) is not None


def _is_unreadable(transaction: Transaction, table: str) -> bool:
    """Whether it is a materialized view without data: each read of it fails, and it is refreshed in no other way."""
    found = transaction.schema.definition_of(table)
    return found is not None and found[1].get("populated") is False


def _finding(transaction: Transaction, table: str, statements: Sequence[Statement]) -> Finding:
    every = [cause for statement in statements for cause in _causes(transaction, statement, table)]
    causes = list({cause.why: cause for cause in every}.values())
    times = f" {len(statements)} times" if len(statements) > 1 else ""
    why = f", {listed([cause.why for cause in causes], limit=2)}" if causes else ""
    return Finding(
        f"Reads and writes on {shorten(table)} wait until PostgreSQL has rewritten the whole table{times}{why}.",
        together(cause.subject for cause in causes) or "rewrite",
        revision=transaction.revision.revision,
        object=table,
        detail="\n".join(map(sql_of, statements)),
        help=_advice(causes, "\n".join(map(sql_of, statements))),
        line=statements[0].line,
    )


def _advice(causes: Sequence[Cause], sql: str) -> str:
    if not causes:
        return _GIVING_SPACE_BACK if _COMPACTS.search(sql) else IN_GENERAL
    alike = [cause for cause in causes if cause.advice == causes[0].advice]
    lines = [line for cause in alike for line in cause.code.splitlines()]
    code = "\n".join(line for index, line in enumerate(lines) if "SET LOCAL" not in line or line not in lines[:index])
    parts = [f"{causes[0].advice}:\n\n{indented(code)}" if code else f"{causes[0].advice}."]
    if later := "\n".join(line for cause in alike for line in cause.later):
        parts.append(f"and, in the next revision, which blocks no reads or writes:\n\n{indented(later)}")
    return "\n\n".join(parts)


_COMPACTS = re.compile(r"\bVACUUM\b|\bCLUSTER\b", re.IGNORECASE)
_GIVING_SPACE_BACK = (
    "An ordinary VACUUM makes the space usable again, and no session waits for it. To give it back to the system, or to sort the rows, while "
    "the table is in use, there is pg_repack, an extension; it is no task of a migration."
)


def _causes(transaction: Transaction, statement: Statement, table: str) -> Iterator[Cause]:
    schema = transaction.schema
    if re.search(r"\bREFRESH\s+MATERIALIZED\b", statement.sql, re.IGNORECASE):
        yield refreshed(table, schema)
    found = 0
    for change in changes_by(transaction.step, statement, table):
        if change.key.kind != "column" or change.after is None:
            continue
        if change.before is None:
            found += 1
            yield added(change, transaction.step, schema)
        elif change.before.get("type") != change.after.get("type") and _is_retyped_by(transaction, statement, change):
            found += 1
            yield retyped(change, statement.sql, transaction.step, transaction.schema_after)
    if not found and (cause := with_new_labels(transaction.step, statement, schema)) is not None:
        yield cause


def _is_retyped_by(transaction: Transaction, statement: Statement, change: Change) -> bool:
    """Whether it is the statement that alters the column, and not one whose USING reads the column."""
    name = re.escape(change.key.name)
    alters = re.compile(rf'\bALTER\s+(?:COLUMN\s+)?"?{name}"?\s+(?:SET\s+DATA\s+)?TYPE\b', re.IGNORECASE)
    altering = [
        each for each in transaction.step.statements if mentions(each, change.key.table) and alters.search(each.sql)
    ]
    return statement in altering or not altering


CHECK = Check(id="table-rewrite", severity=Severity.ERROR, examine=examine, needs=frozenset({Evidence.LOCKS}))
