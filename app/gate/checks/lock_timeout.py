"""A table that is in use is locked without a short limit on the wait for the lock.

Catches
    A lock that blocks writes or reads, on a table that is older than the revision, taken while `lock_timeout` is 0,
    which means no limit, or a minute and more.

Why it hurts
    An ALTER TABLE that takes a millisecond waits for a report that has been running for an hour, and every later query
    waits behind it, since PostgreSQL grants locks in the order in which they were requested. One slow query and one
    fast migration are an outage.

How to fix
    In env.py, for all revisions::

        engine = create_engine(url, connect_args={"options": "-c lock_timeout=2000"})

    or for one::

        def upgrade() -> None:
            op.execute("SET LOCAL lock_timeout = '2s'")

    A migration that gives up after two seconds does no harm, and can be run again.

Stays quiet when
    A limit of less than a minute is set anywhere: for the role, the database or the connection, or in the script.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from app.gate.checks.base import Check, CheckSkipped, Finding
from app.gate.checks.support.locks import HeldLocks, Transaction, held_locks, listed_tables
from app.gate.checks.support.statements import sql_of
from app.gate.recording.model import Evidence, Recording
from app.gate.report.verdict import Severity
from app.gate.wording import counted, listed


def examine(recording: Recording) -> Iterator[Finding]:
    locking = [
        (transaction, held)
        for transaction, held in held_locks(recording)
        if any(first is held.statement for first in held.since.values())
    ]
    observed = [each for each in locking if each[1].statement.lock_timeout_ms is not None]
    if locking and not observed:
        raise CheckSkipped("the value of lock_timeout was not observed")
    without: dict[str, list[tuple[Transaction, HeldLocks]]] = {}
    patient: dict[str, list[tuple[Transaction, HeldLocks]]] = {}
    for transaction, held in observed:
        limit = held.statement.lock_timeout_ms or 0
        if limit == 0 or limit >= _LONG_MS:
            found = patient if limit else without
            found.setdefault(transaction.revision.revision, []).append((transaction, held))
    if len(without) >= 3 and len(without) == len({transaction.revision.revision for transaction, _ in observed}):
        yield _of_the_project(recording)
        return
    for revision, some in without.items():
        yield _of_a_revision(revision, some)
    for revision, some in patient.items():
        if revision not in without:
            yield _too_patient(revision, some)


_LONG_MS = 60_000


def _of_the_project(recording: Recording) -> Finding:
    """Reported once, and with the same words for each walk of a command that makes several: a project that never sets
    it has to
    set it in env.py."""
    return Finding(
        "No revision that locks tables in use sets a lock_timeout: if one has to wait, all other queries on its table wait behind it.",
        "history",
        help="Set it where env.py creates its engine:\n\n"
        '    engine = create_engine(url, connect_args={"options": "-c lock_timeout=2000"})',
        path=recording.env_path,
        is_of_all=True,
    )


def _tables(found: Sequence[tuple[Transaction, HeldLocks]]) -> set[str]:
    return {table for _, held in found for table, first in held.since.items() if first is held.statement}


def _too_patient(revision: str, found: Sequence[tuple[Transaction, HeldLocks]]) -> Finding:
    tables = _tables(found)
    longest = max(found, key=lambda each: each[1].statement.lock_timeout_ms or 0)[1].statement
    return Finding(
        f"{revision} locks {listed(listed_tables(tables))} with a lock_timeout of {counted(round((longest.lock_timeout_ms or 0) / 60_000), 'minute')}: "
        "that long all other queries on the table wait behind it.",
        "long-lock-timeout",
        revision=revision,
        object=", ".join(sorted(tables)),
        detail=sql_of(longest),
        help="A few seconds are enough: an upgrade that gives up does no harm, and can be run again.\n\n"
        "    op.execute(\"SET LOCAL lock_timeout = '2s'\")",
        line=longest.line,
    )


def _of_a_revision(revision: str, found: Sequence[tuple[Transaction, HeldLocks]]) -> Finding:
    tables = _tables(found)
    statement = found[0][1].statement
    return Finding(
        f"{revision} locks {listed(listed_tables(tables))} without a lock_timeout: if it has to wait, all other queries on the table "
        "wait behind it.",
        "no-lock-timeout",
        revision=revision,
        object=", ".join(sorted(tables)),
        detail=sql_of(statement),
        help="Set one at the start of the upgrade, or in env.py for all:\n\n    op.execute(\"SET LOCAL lock_timeout = '2s'\")",
        line=statement.line,
    )


CHECK = Check(id="lock-timeout", severity=Severity.NOTICE, examine=examine, needs=frozenset({Evidence.LOCKS}))
