"""What an upgrade locks while it runs, as the checks on locks need to know it.

A lock is held until its transaction ends, so what a statement blocks depends on the statements before it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace

from app.gate.checks.support.schema import Schema, SchemaHistory
from app.gate.checks.support.statements import first_word
from app.gate.postgres.locks import BLOCKS_WRITES, who_waits
from app.gate.recording.model import TABLE_KINDS, Change, Recording, Revision, Statement, Step
from app.gate.recording.names import full_name, shorten
from app.gate.wording import listed


@dataclass(frozen=True)
class HeldLocks:
    """One statement, and the strong locks on tables that are older than the revision while it runs, its own
    included."""

    statement: Statement
    modes: Mapping[str, frozenset[str]]  # "public.orders" -> {"AccessExclusiveLock"}
    since: Mapping[str, Statement]  # the statement that locked the table first, in this transaction


@dataclass(frozen=True)
class Transaction:
    """Statements of one upgrade whose locks are released together. Outside a transaction block, each statement is
    one."""

    revision: Revision
    step: Step
    held_locks: tuple[HeldLocks, ...]
    history: SchemaHistory = field(compare=False, repr=False)

    @property
    def schema(self) -> Schema:
        """As the upgrade finds it."""
        return self.history.before(self.revision.revision)

    @property
    def schema_after(self) -> Schema:
        """As the upgrade leaves it."""
        return self.history.after(self.revision.revision)


def upgrades(recording: Recording) -> Iterator[tuple[Revision, Step, set[str]]]:
    """The upgrades that are judged and succeeded, each with the tables that earlier revisions of this branch
    created."""
    revisions = {each.revision: each for each in recording.graph.revisions}
    judges_a_branch = not all(each.is_new for each in revisions.values())
    new_in_branch: set[str] = set()
    for trip in recording.trips:
        revision = revisions[trip.revision]
        if trip.up is None or trip.up.failure is not None or not revision.is_new:
            continue
        yield revision, trip.up, set(new_in_branch)
        if judges_a_branch:
            new_in_branch.update(_tables_made(trip.up.changes))


def transactions(recording: Recording) -> Iterator[Transaction]:
    """The transactions of those upgrades."""
    history = SchemaHistory.of(recording)
    for revision, step, new_in_branch in upgrades(recording):
        for together in _split(_without_tables(statement, new_in_branch) for statement in step.statements):
            yield Transaction(revision, step, tuple(_held_locks(_without_emptied(together))), history)


def by_table(found: Iterable[tuple[str, HeldLocks]]) -> Iterator[tuple[str, list[HeldLocks]]]:
    """What was found, grouped by table: one finding for each table of a transaction."""
    together: dict[str, list[HeldLocks]] = {}
    for table, held in found:
        together.setdefault(table, []).append(held)
    yield from together.items()


def held_locks(recording: Recording) -> Iterator[tuple[Transaction, HeldLocks]]:
    """Each statement with the transaction that it is in."""
    for transaction in transactions(recording):
        for held in transaction.held_locks:
            yield transaction, held


def is_blocking_scan(held: HeldLocks, table: str) -> bool:
    """Whether a statement must scan the whole of a table while it holds the lock that blocks others.

    An UPDATE under a lock is different: it could be in another transaction.
    """
    if table not in held.modes or changes_rows(held.statement, table):
        return False
    takes_it_itself = bool(held.statement.locks.get(table, frozenset()) & BLOCKS_WRITES)
    return takes_it_itself or first_word(held.statement) == "ALTER"


def changes_rows(statement: Statement, table: str) -> bool:
    """Whether a statement, maybe a DO block, inserts, updates or deletes rows of a table that was not written
    before."""
    return "RowExclusiveLock" in statement.locks.get(table, frozenset())


def does_several_things(statement: Statement) -> bool:
    """Whether it is a string of several statements, a loop, or a call whose statements are not known."""
    return first_word(statement) in ("CALL", "SELECT", "(STATEMENTS") or len(_WHAT_LOCKS.findall(statement.sql)) > 1


# https://www.postgresql.org/docs/current/explicit-locking.html#LOCKING-TABLES: how statements that take a strong lock
# begin.
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
    subject = ", and ".join(f"{waits} on {listed(tables)}" for waits, tables in sorted(tables_by_waits.items()))
    if aside:
        subject += f", {aside},"
    elif len(tables_by_waits) > 1:
        subject += ","
    return subject[0].upper() + subject[1:]


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


def _held_locks(statements: Iterable[Statement]) -> Iterator[HeldLocks]:
    modes_by_table: dict[str, frozenset[str]] = {}
    since: dict[str, Statement] = {}
    for statement in statements:
        for table, modes in statement.locks.items():
            if strong := modes & BLOCKS_WRITES:
                modes_by_table[table] = modes_by_table.get(table, frozenset()) | strong
                since.setdefault(table, statement)
        yield HeldLocks(statement, dict(modes_by_table), dict(since))


def _without_emptied(statements: Iterable[Statement]) -> Iterator[Statement]:
    """The statements without the work on tables that one before them, in the same transaction, has emptied."""
    emptied: set[str] = set()
    for statement in statements:
        emptied = {table for table in emptied if not changes_rows(statement, table)}
        yield _without_work(statement, emptied) if emptied else statement
        if first_word(statement) == "TRUNCATE":
            emptied |= {table for table, modes in statement.locks.items() if "AccessExclusiveLock" in modes}


def _without_tables(statement: Statement, new_in_branch: set[str]) -> Statement:
    if not new_in_branch:
        return statement
    locks = {table: modes for table, modes in statement.locks.items() if table not in new_in_branch}
    return _without_work(replace(statement, locks=locks), new_in_branch)


def _without_work(statement: Statement, tables: set[str]) -> Statement:
    return replace(
        statement,
        rewrites=tuple(table for table in statement.rewrites if table not in tables),
        scans=tuple(table for table in statement.scans if table not in tables),
        index_builds=tuple(table for table in statement.index_builds if table not in tables),
    )


def _tables_made(changes: Iterable[Change]) -> set[str]:
    return {full_name(change.key) for change in changes if change.before is None and change.key.kind in TABLE_KINDS}
