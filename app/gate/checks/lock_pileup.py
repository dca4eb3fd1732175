"""Tables stay locked longer than their own change takes, because of what else is in the transaction.

Catches
    Strong locks on several older tables, taken by several statements of one transaction; and a statement that reads
    the whole of a table (a backfill, a big DELETE) while such a lock is held.

Why it hurts
    Locks are released at the commit. A change that takes a moment then keeps everybody out until the slowest statement of
    the transaction is done; and while it waits for the lock on the second table, the first one stays closed. An
    application that uses the two tables in the other order makes a deadlock of it.

How to fix
    One revision for each table, and one for the rows, with `transaction_per_migration=True` in env.py so that each commits
    by itself. Rows are best filled in batches that each commit ::

        with op.get_context().autocommit_block():
            op.execute('''
                DO $$ BEGIN
                    LOOP
                        UPDATE orders SET status = 'new' WHERE ctid = ANY (ARRAY(
                            SELECT ctid FROM orders WHERE status IS NULL LIMIT 5000));
                        EXIT WHEN NOT FOUND;
                        COMMIT;
                    END LOOP;
                END $$
            ''')

Stays quiet when
    One statement locks several tables because it must, as ADD FOREIGN KEY does. The tables are the revision's own. Each
    statement commits by itself.
"""

from __future__ import annotations

from collections.abc import Iterator

from app.gate.checks.base import Check, Finding
from app.gate.checks.support.locks import (
    HeldLocks,
    Transaction,
    changes_rows,
    does_several_things,
    is_blocking_scan,
    transactions,
    waiting,
)
from app.gate.checks.support.statements import first_word, sql_of
from app.gate.postgres.locks import who_waits
from app.gate.recording.model import Evidence, Recording
from app.gate.recording.names import shorten
from app.gate.report.verdict import Severity
from app.gate.wording import listed


def examine(recording: Recording) -> Iterator[Finding]:
    for transaction in transactions(recording):
        yield from _several_tables(transaction)
        yield from _long_work(transaction)


def _several_tables(transaction: Transaction) -> Iterator[Finding]:
    last = transaction.moments[-1]
    statements = list({id(statement): statement for statement in last.since.values()}.values())
    if len(last.since) < 2 or (len(statements) < 2 and not does_several_things(statements[0])):
        return
    waits = {who_waits(last.held[table]) for table in list(last.since)[:-1]}
    what = "write to" if waits == {"writes"} else "use"
    yield Finding(
        f"{transaction.revision.revision} locks {listed([shorten(table) for table in last.since], limit=4)} one after the other, and keeps the "
        f"locks until it commits: while it waits for one table, nobody can {what} those before it.",
        "several-tables",
        revision=transaction.revision.revision,
        object=", ".join(sorted(last.since)),
        detail="\n".join(sql_of(statement) for statement in statements),
        help="Change each table in a revision of its own, with transaction_per_migration=True in env.py's context.configure().",
        line=statements[min(1, len(statements) - 1)].line,
    )


def _long_work(transaction: Transaction) -> Iterator[Finding]:
    """The first statement that works through a table while another statement's lock is held: the rest is more of the same."""
    for moment in transaction.moments:
        statement = moment.statement
        worked_through = [
            table
            for table in statement.scans
            if not is_blocking_scan(moment, table) and table not in (*statement.rewrites, *statement.index_builds)
        ]
        # What changes rows has its strong locks from elsewhere: from before, or from another part of the same DO block.
        has_its_own = any(changes_rows(statement, table) for table in worked_through)
        locked = sorted(table for table, first in moment.since.items() if first is not statement or has_its_own)
        if locked and worked_through:
            yield _finding(transaction, moment, locked, worked_through)
            return


def _finding(transaction: Transaction, moment: HeldLocks, locked: list[str], tables: list[str]) -> Finding:
    statement = moment.statement
    word = _WORDS.get(first_word(statement), first_word(statement))
    lines = [str(moment.since[table].line) for table in locked if moment.since[table].line]
    who = waiting({table: moment.held[table] for table in locked}, f"locked since line {lines[0]}" if lines else "")
    return Finding(
        f"{who} wait until this {word} has worked through {listed([shorten(table) for table in tables])}.",
        "long-work",
        revision=transaction.revision.revision,
        object=", ".join(tables),
        detail=sql_of(statement),
        help="Move it into a revision of its own, with transaction_per_migration=True in env.py's context.configure(); a large table is best "
        "filled in batches that each commit, in op.get_context().autocommit_block().",
        line=statement.line,
    )


_WORDS = {"DO": "DO block", "WITH": "query", "(STATEMENTS": "script"}

CHECK = Check(id="lock-pileup", severity=Severity.WARNING, examine=examine, needs=frozenset({Evidence.LOCKS}))
