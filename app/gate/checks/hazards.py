"""What an upgrade locks while it runs, as the checks on locks need to know it.

A lock is held until its transaction ends, so what a statement makes people wait for depends on the statements before it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace

from app.gate.checks.support.naming import columns_in
from app.gate.recording.model import TABLE_KINDS, Change, Recording, Revision, Statement, Step
from app.gate.recording.names import full_name, shorten, table_of
from app.gate.wording import listed

# https://www.postgresql.org/docs/current/explicit-locking.html: SHARE and what is stronger stands in the way of INSERT,
# UPDATE and DELETE; only ACCESS EXCLUSIVE stands in the way of SELECT.
_BLOCKS_WRITES = frozenset({"ShareLock", "ShareRowExclusiveLock", "ExclusiveLock", "AccessExclusiveLock"})
_BLOCKS_READS = frozenset({"AccessExclusiveLock"})


@dataclass(frozen=True)
class Moment:
    """One statement, and the strong locks on tables that are older than the revision while it runs, its own included."""

    statement: Statement
    held: Mapping[str, frozenset[str]]  # "public.orders" -> {"AccessExclusiveLock"}
    since: Mapping[str, Statement]  # the statement that locked the table first, in this transaction


@dataclass(frozen=True)
class Transaction:
    """Statements of one upgrade whose locks are released together. Outside of a transaction each is one by itself."""

    revision: Revision
    step: Step
    moments: tuple[Moment, ...]


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


def by_table(found: Iterable[tuple[str, Moment]]) -> Iterator[tuple[str, list[Moment]]]:
    """What was found, together by table: one finding for each table of a transaction."""
    together: dict[str, list[Moment]] = {}
    for table, moment in found:
        together.setdefault(table, []).append(moment)
    yield from together.items()


def moments(recording: Recording) -> Iterator[tuple[Transaction, Moment]]:
    """Each statement with the transaction that it is in."""
    for transaction in transactions(recording):
        for moment in transaction.moments:
            yield transaction, moment


def is_blocking_scan(moment: Moment, table: str) -> bool:
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


def who_waits(modes: Iterable[str]) -> str:
    """`reads and writes` or `writes`, to begin a sentence or to go on in one."""
    return "reads and writes" if _BLOCKS_READS & set(modes) else "writes"


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


def changes_by(step: Step, statement: Statement, table: str) -> list[Change]:
    """The changes of the step to that table which the statement made, as far as its text tells."""
    told = [change for change in step.changes if table_of(change.key) == table and _tells_of(statement, change)]
    return [change for change in told if says(statement, change.key.name) or not _is_named_by_any(step, change)]


def _is_named_by_any(step: Step, change: Change) -> bool:
    return any(says(statement, change.key.name) for statement in step.statements)


def find_statement(step: Step, change: Change) -> Statement | None:
    """The statement of the step whose text tells of the change: where an object went, the last that took it away."""
    telling = [statement for statement in step.statements if _tells_of(statement, change)]
    if change.after is None:
        return next(iter([each for each in telling if _takes_away(each, change)][-1:] or telling), None)
    # What drops the rest of a former try made nothing, nor did what fills a column before it is changed.
    making = [
        each for each in telling if first_word(each) not in ("DROP", "INSERT", "UPDATE", "DELETE", "SELECT", "WITH")
    ]
    if change.before is not None and change.before.get("nullable") and not change.after.get("nullable"):
        making = [each for each in making if _NOT_NULL.search(each.sql)] or making
    return next(iter(making or telling), None)


_NOT_NULL = re.compile(r"\bNOT\s+NULL\b", re.IGNORECASE)


def renamed_to(statement: Statement, table: str) -> str | None:
    """The new name, if the statement renames that table or view. Both without their schema, which stays."""
    found = _RENAME.search(statement.sql)
    return _bare(found["new"]) if found and _bare(found["old"]) == table else None


def column_renamed_to(statement: Statement, column: str) -> str | None:
    """The new name, if the statement renames that column."""
    for found in _RENAME_COLUMN.finditer(statement.sql):
        if _bare(found["old"]) == column:
            return _bare(found["new"])
    return None


def drops(statement: Statement, table: str) -> bool:
    """Whether the statement drops that table or view, called by its bare name."""
    return re.search(_DROPS.format(name=_word(table)), statement.sql, re.IGNORECASE) is not None


_NAME = r'(?:"(?:[^"]|"")+"|\w+)'
_RENAME = re.compile(
    rf"\b(?:TABLE|VIEW)\s+(?:IF\s+EXISTS\s+)?(?:ONLY\s+)?(?:{_NAME}\s*\.\s*)?(?P<old>{_NAME})\s+RENAME\s+TO\s+(?P<new>{_NAME})",
    re.IGNORECASE,
)


_RENAME_COLUMN = re.compile(
    rf"\bRENAME\s+(?:COLUMN\s+)?(?!COLUMN\b|TO\b|CONSTRAINT\b)(?P<old>{_NAME})\s+TO\s+(?P<new>{_NAME})", re.IGNORECASE
)
_DROPS = r"\bDROP\s+(?:MATERIALIZED\s+|FOREIGN\s+)?(?:TABLE|VIEW)\b[^;]*{name}"


def _word(name: str) -> str:
    """A pattern for a name that is not part of a longer one."""
    return rf'(?<![\w"])"?{re.escape(name)}"?(?![\w"])'


def _bare(name: str) -> str:
    return name[1:-1].replace('""', '"') if name.startswith('"') else name.lower()


def _takes_away(statement: Statement, change: Change) -> bool:
    """Whether it drops or renames that very object, as far as its text tells."""
    if change.key.kind in TABLE_KINDS:
        gives_away = rf"{_word(change.key.name)}\s+(?:RENAME\s+TO|SET\s+SCHEMA)\b"
        return drops(statement, change.key.name) or re.search(gives_away, statement.sql, re.IGNORECASE) is not None
    return re.search(r"\b(?:DROP|RENAME)\b", statement.sql, re.IGNORECASE) is not None


_WORDS = re.compile(r"\w+")
_SAID_BY_POSTGRES = frozenset({"using", "btree", "not", "valid"})


def says(statement: Statement, name: str) -> bool:
    """Whether the words of a name are in a statement's text."""
    return _words_in(statement.sql).issuperset(_words_in(name.partition("(")[0]))


def _words_in(text: str) -> set[str]:
    return set(_WORDS.findall(text.lower()))


def _tells_of(statement: Statement, change: Change) -> bool:
    """Whether a statement names the object and its table; of what nobody named, whether it says all that the definition says."""
    key = change.key
    if says(statement, key.name):
        return not key.table or says(statement, key.table) or key.kind in ("constraint", "index")
    if key.kind not in ("constraint", "index") or not says(statement, key.table):
        return False
    words = {word.lower() for word in columns_in(change.after or change.before or {})}
    return bool(words) and words <= _words_in(statement.sql) | _SAID_BY_POSTGRES


def first_word(statement: Statement) -> str:
    """`ALTER`, `UPDATE`, `DO`: what kind of statement it is."""
    text = re.sub(r"\A(\s+|--[^\n]*\n|/\*.*?\*/)+", "", statement.sql, flags=re.DOTALL)
    return (text.split(maxsplit=1) or [""])[0].upper()


def shown(statement: Statement) -> str:
    """The statement for a finding's detail."""
    return statement.sql.strip()


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


def _moments(statements: Iterable[Statement]) -> Iterator[Moment]:
    held: dict[str, frozenset[str]] = {}
    since: dict[str, Statement] = {}
    for statement in statements:
        for table, modes in statement.locks.items():
            if strong := modes & _BLOCKS_WRITES:
                held[table] = held.get(table, frozenset()) | strong
                since.setdefault(table, statement)
        yield Moment(statement, dict(held), dict(since))


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
