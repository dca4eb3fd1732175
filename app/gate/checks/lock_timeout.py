"""A table that is in use is locked without a limit to the waiting.

Catches
    A lock that keeps others from writing or reading, on a table that is older than the revision, taken while `lock_timeout` is 0: for as
    long as it takes.

Why it hurts
    The ALTER TABLE of a millisecond waits for the report that has been running for an hour, and every query that comes after waits
    behind it, as PostgreSQL serves locks in the order in which they were asked for. One slow query and one quick migration are
    an outage.

How to fix
    In env.py, for all revisions::

        engine = create_engine(url, connect_args={"options": "-c lock_timeout=2000"})

    or for one::

        def upgrade() -> None:
            op.execute("SET LOCAL lock_timeout = '2s'")

    A migration that gives up after two seconds harms nobody, and can be started again.

Stays quiet when
    A limit is set, wherever: the role, the database, the connection, the script.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from app.gate.checks.base import Check, CheckSkipped, Finding
from app.gate.checks.support.locks import HeldLocks, Transaction, listed_tables, moments
from app.gate.checks.support.statements import sql_of
from app.gate.recording.model import Evidence, Recording
from app.gate.report.verdict import Severity
from app.gate.wording import listed


def examine(recording: Recording) -> Iterator[Finding]:
    locking = [
        (transaction, moment)
        for transaction, moment in moments(recording)
        if any(first is moment.statement for first in moment.since.values())
    ]
    told = [each for each in locking if each[1].statement.lock_timeout_ms is not None]
    if locking and not told:
        raise CheckSkipped("which lock_timeout was in force was not observed")
    without: dict[str, list[tuple[Transaction, HeldLocks]]] = {}
    for transaction, moment in told:
        if moment.statement.lock_timeout_ms == 0:
            without.setdefault(transaction.revision.revision, []).append((transaction, moment))
    if len(without) >= 3 and len(without) == len({transaction.revision.revision for transaction, _ in told}):
        yield _of_the_project(recording)
        return
    for revision, found in without.items():
        yield _of_a_revision(revision, found)


def _of_the_project(recording: Recording) -> Finding:
    """Said once, and in the same words for each walk of a command that makes several: whoever never sets it does not set it
    in env.py, and that is where it is mended."""
    return Finding(
        "No revision that locks tables in use sets a lock_timeout: if one has to wait, everything else on its table waits behind it.",
        "history",
        help="Set it where env.py makes its engine:\n\n"
        '    engine = create_engine(url, connect_args={"options": "-c lock_timeout=2000"})',
        path=recording.env_path,
        is_of_all=True,
    )


def _of_a_revision(revision: str, found: Sequence[tuple[Transaction, HeldLocks]]) -> Finding:
    tables = {table for _, moment in found for table, first in moment.since.items() if first is moment.statement}
    statement = found[0][1].statement
    return Finding(
        f"{revision} locks {listed(listed_tables(tables))} without a lock_timeout: if it has to wait, everything else on the table "
        "waits behind it.",
        "no-lock-timeout",
        revision=revision,
        object=", ".join(sorted(tables)),
        detail=sql_of(statement),
        help="Set one at the start of the upgrade, or in env.py for all:\n\n    op.execute(\"SET LOCAL lock_timeout = '2s'\")",
        line=statement.line,
    )


CHECK = Check(id="lock-timeout", severity=Severity.NOTICE, examine=examine, needs=frozenset({Evidence.LOCKS}))
