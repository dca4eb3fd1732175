"""What an upgrade locks while it runs, as the checks on locks need to know it.

A lock is held until its transaction ends, so what a statement makes people wait for depends on the statements before it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace

from app.gate.checks.support.statements import first_word
from app.gate.postgres.locks import _BLOCKS_WRITES, who_waits
from app.gate.recording.model import TABLE_KINDS, Change, Recording, Revision, Statement, Step
from app.gate.recording.names import full_name, shorten
from app.gate.wording import listed


@dataclass(frozen=True)
class HeldLocks:
    """One statement, and the strong locks on tables that are older than the revision while it runs, its own included."""

    statement: Statement
    held: Mapping[str, frozenset[str]]  # "public.orders" -> {"AccessExclusiveLock"}
    since: Mapping[str, Statement]  # the statement that locked the table first, in this transaction


@dataclass(frozen=True)
class Transaction:
    """Statements of one upgrade whose locks are released together. Outside of a transaction each is one by itself."""

    revision: Revision
    step: Step
    moments: tuple[HeldLocks, ...]


def upgrades(recording: Recording) -> Iterator[tuple[Revision, Step, set[str]]]:
    """The upgrades that are under judgement and ran to their end, each with the tables that only this branch knows yet."""
    revisions = {each.revision: each for each in recording.graph.revisions}
    judges_a_branch = not all(each.is_new for each in revisions.values())
    young: set[str] = set()
    for trip in recording.trips:
        revision = revisions[trip.revision]
        if trip.up is None or trip.up.failure is not None or not revision.is_new:
            continue
        yield revision, trip.up, set(young)
        if judges_a_branch:
            young.update(_tables_made(trip.up.changes))


def transactions(recording: Recording) -> Iterator[Transaction]:
    """The transactions of those upgrades."""
    for revision, step, young in upgrades(recording):
        for together in _split(_overlooking(statement, young) for statement in step.statements):
            yield Transaction(revision, step, tuple(_moments(together)))


def by_table(found: Iterable[tuple[str, HeldLocks]]) -> Iterator[tuple[str, list[HeldLocks]]]:
    """What was found, together by table: one finding for each table of a transaction."""
    together: dict[str, list[HeldLocks]] = {}
    for table, moment in found:
        together.setdefault(table, []).append(moment)
    yield from together.items()


def moments(recording: Recording) -> Iterator[tuple[Transaction, HeldLocks]]:
    """Each statement with the transaction that it is in."""
    for transaction in transactions(recording):
        for moment in transaction.moments:
            yield transaction, moment


def is_blocking_scan(moment: HeldLocks, table: str) -> bool:
    """Whether a statement reads the whole of a table because it must, to lock others out of it at the same time.

    An UPDATE under a lock is another matter: it need not be in that transaction.
    """
    if table not in moment.held or changes_rows(moment.statement, table):
        return False
    takes_it_itself = bool(moment.statement.locks.get(table, frozenset()) & _BLOCKS_WRITES)
    return takes_it_itself or first_word(moment.statement) == "ALTER"


def changes_rows(statement: Statement, table: str) -> bool:
    """Whether a statement, maybe a DO block, inserts, updates or deletes rows of a table that was not written to before."""
    return "RowExclusiveLock" in statement.locks.get(table, frozenset())


def does_several_things(statement: Statement) -> bool:
    """Whether it is a string of several statements, a loop, or a call of who knows what."""
    return first_word(statement) in ("CALL", "SELECT", "(STATEMENTS") or len(_WHAT_LOCKS.findall(statement.sql)) > 1


# https://www.postgresql.org/docs/current/explicit-locking.html#LOCKING-TABLES: what takes a strong lock begins like this.
_WHAT_LOCKS = re.compile(
    r"\b(?:ALTER|DROP|LOCK|TRUNCATE)\s+TABLE\b|\b(?:CREATE|DROP)\s+(?:UNIQUE\s+)?INDEX\b"
    r"|\b(?:CREATE|DROP)\s+(?:OR\s+REPLACE\s+)?(?:CONSTRAINT\s+)?TRIGGER\b|\bLOOP\b",
    re.IGNORECASE,
)


def waiting(modes_by_table: Mapping[str, Iterable[str]], aside: str = "") -> str:
    """The subject of a sentence: `Reads and writes on orders`, `Reads and writes on orders, and writes on users,`."""
    tables_by_waits: dict[str, list[str]] = {}
    for table, modes in sorted(modes_by_table.items()):
        tables_by_waits.setdefault(who_waits(modes), []).append(shorten(table))
    told = ", and ".join(f"{waits} on {listed(tables)}" for waits, tables in sorted(tables_by_waits.items()))
    if aside:
        told += f", {aside},"
    elif len(tables_by_waits) > 1:
        told += ","
    return told[0].upper() + told[1:]


def listed_tables(tables: Iterable[str]) -> list[str]:
    return [shorten(table) for table in sorted(tables)]


def _split(statements: Iterable[Statement]) -> Iterator[list[Statement]]:
    together: list[Statement] = []
    for statement in statements:
        if statement.transactional and first_word(statement).rstrip(";") not in ("COMMIT", "END"):
            together.append(statement)
            continue
        if together:
            yield together
        yield [statement]
        together = []
    if together:
        yield together


def _moments(statements: Iterable[Statement]) -> Iterator[HeldLocks]:
    held: dict[str, frozenset[str]] = {}
    since: dict[str, Statement] = {}
    for statement in statements:
        for table, modes in statement.locks.items():
            if strong := modes & _BLOCKS_WRITES:
                held[table] = held.get(table, frozenset()) | strong
                since.setdefault(table, statement)
        yield HeldLocks(statement, dict(held), dict(since))


def _overlooking(statement: Statement, young: set[str]) -> Statement:
    if not young:
        return statement
    return replace(
        statement,
        locks={table: modes for table, modes in statement.locks.items() if table not in young},
        rewrites=tuple(table for table in statement.rewrites if table not in young),
        scans=tuple(table for table in statement.scans if table not in young),
        index_builds=tuple(table for table in statement.index_builds if table not in young),
    )


def _tables_made(changes: Iterable[Change]) -> set[str]:
    return {full_name(change.key) for change in changes if change.before is None and change.key.kind in TABLE_KINDS}
