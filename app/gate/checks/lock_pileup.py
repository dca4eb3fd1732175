"""Tables stay locked longer than their own change takes, because of other work in the transaction.

Catches
    Strong locks on several older tables, taken by several statements of one transaction, with a statement among them
    that works through a table (a scan, a rewrite, an index); and a statement that reads a whole table (a backfill, a
    large DELETE) while such a lock is held. DETACH PARTITION, which locks a table with all its partitions behind every
    query on any of them, where CONCURRENTLY would not.

Why it hurts
    Locks are released at the commit. A fast change therefore blocks everything else until the slowest statement of the
    transaction has ended; and while it waits for the lock on the second table, the first one stays locked. An
    application that uses the two tables in the opposite order runs into a deadlock.

How to fix
    Write one revision for each table, and one for the rows, with `transaction_per_migration=True` in env.py so that
    each is committed separately. Fill rows in batches that are committed one by one::

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
    One statement locks several tables because it must, as ADD FOREIGN KEY does. The revision creates the tables. Each
    statement is committed on its own. Two tables are locked for no more than an entry in the catalog each; three or
    more are a notice. A partition is detached from a table with a default partition, where CONCURRENTLY is refused.
"""

from __future__ import annotations

import re
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
from app.gate.checks.support.script import python
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
        yield from _detached_partitions(recording, transaction)


def _several_tables(transaction: Transaction) -> Iterator[Finding]:
    last = transaction.held_locks[-1]
    statements = list({id(statement): statement for statement in last.since.values()}.values())
    if len(last.since) < 2 or (len(statements) < 2 and not does_several_things(statements[0])):
        return
    is_quick = not any(_works_through_a_table(held) for held in transaction.held_locks)
    if is_quick and len(last.since) < _MANY_TABLES:
        return
    waits = {who_waits(last.modes[table]) for table in list(last.since)[:-1]}
    what = "write to" if waits == {"writes"} else "use"
    yield Finding(
        f"{transaction.revision.revision} locks {listed([shorten(table) for table in last.since], limit=4)} one after the other, and keeps the "
        f"locks until it commits: while it waits for one table, no session can {what} the ones before it.",
        "several-tables",
        revision=transaction.revision.revision,
        object=", ".join(sorted(last.since)),
        detail="\n".join(sql_of(statement) for statement in statements),
        help="Change each table in a separate revision, with transaction_per_migration=True in env.py's context.configure().",
        line=statements[min(1, len(statements) - 1)].line,
        severity=Severity.NOTICE if is_quick else None,
    )


def _works_through_a_table(held: HeldLocks) -> bool:
    """Whether it takes longer than a moment while strong locks are held, its own included."""
    statement = held.statement
    return bool(held.since) and bool(statement.scans or statement.rewrites or statement.index_builds)


def _long_work(transaction: Transaction) -> Iterator[Finding]:
    """The first statement that works through a table while the lock of another statement is held: the others add
    nothing."""
    for held in transaction.held_locks:
        statement = held.statement
        worked_through = [
            table
            for table in statement.scans
            if not is_blocking_scan(held, table) and table not in (*statement.rewrites, *statement.index_builds)
        ]
        # A statement that changes rows takes no strong lock itself: it is from an earlier statement, or from another
        # part of the same DO block.
        has_its_own = any(changes_rows(statement, table) for table in worked_through)
        locked = sorted(table for table, first in held.since.items() if first is not statement or has_its_own)
        if locked and worked_through:
            yield _finding(transaction, held, locked, worked_through)
            return


def _finding(transaction: Transaction, held: HeldLocks, locked: list[str], tables: list[str]) -> Finding:
    statement = held.statement
    word = _WORDS.get(first_word(statement), first_word(statement))
    lines = [str(held.since[table].line) for table in locked if held.since[table].line]
    who = waiting({table: held.modes[table] for table in locked}, f"locked since line {lines[0]}" if lines else "")
    return Finding(
        f"{who} wait until this {word} has worked through {listed([shorten(table) for table in tables])}.",
        "long-work",
        revision=transaction.revision.revision,
        object=", ".join(tables),
        detail=sql_of(statement),
        help="Move it into a separate revision, with transaction_per_migration=True in env.py's context.configure(). Fill a large table in "
        "batches that are committed one by one, in op.get_context().autocommit_block().",
        line=statement.line,
    )


def _detached_partitions(recording: Recording, transaction: Transaction) -> Iterator[Finding]:
    """A plain DETACH PARTITION, where PostgreSQL could do it without the strong lock on the parent."""
    if int(recording.postgres.partition(".")[0]) < _FIRST_WITH_DETACH_CONCURRENTLY:
        return
    for held in transaction.held_locks:
        statement = held.statement
        if not _DETACH.fullmatch(statement.sql):
            continue
        parents = [table for table, modes in statement.locks.items() if "AccessExclusiveLock" in modes]
        if not parents or any(_has_default_partition(recording, table) for table in parents):
            continue
        names = listed([shorten(table) for table in sorted(parents)])
        concurrently = f"{statement.sql.strip().rstrip('; ')} CONCURRENTLY"
        yield Finding(
            f"Reads and writes on {names} and all partitions wait behind this DETACH PARTITION, which waits for all queries that "
            "are running on any of them.",
            "detach-partition",
            revision=transaction.revision.revision,
            object=", ".join(sorted(parents)),
            detail=sql_of(statement),
            help="Detach it concurrently, outside the transaction, as the only statement of its revision:\n\n"
            f"    with op.get_context().autocommit_block():\n        op.execute({python(concurrently, is_sql=True)})",
            line=statement.line,
        )


def _has_default_partition(recording: Recording, table: str) -> bool:
    """Whether PostgreSQL refuses to detach partitions of that table concurrently. One that goes later counts too."""
    changes = [each for trip in recording.trips if trip.up is not None for each in trip.up.changes]
    objects = [*(recording.head.objects.values() if recording.head else ()), *(each.before or {} for each in changes)]
    wanted = {f"{name} DEFAULT" for name in (table, shorten(table), table.partition(".")[2])}
    return any(str(each.get("partition_of", "")).replace('"', "") in wanted for each in objects)


_FIRST_WITH_DETACH_CONCURRENTLY = 14
_DETACH = re.compile(r'\s*ALTER\s+TABLE\s+[^;]*?\bDETACH\s+PARTITION\s+(?:"[^"]+"|[\w.])+\s*;?\s*', re.IGNORECASE)
_MANY_TABLES = 3
_WORDS = {"DO": "DO block", "WITH": "query", "(STATEMENTS": "script"}

CHECK = Check(id="lock-pileup", severity=Severity.WARNING, examine=examine, needs=frozenset({Evidence.LOCKS}))
