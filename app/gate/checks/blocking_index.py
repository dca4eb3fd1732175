"""An index is built, rebuilt or dropped while writes to its table are blocked.

Catches
    CREATE INDEX, REINDEX, a unique constraint or a primary key (each of them builds an index) without CONCURRENTLY, on
    a table that is older than the revision; and DROP INDEX, which needs ACCESS EXCLUSIVE on the table.

Why it hurts
    Every INSERT, UPDATE and DELETE waits until the index is built: minutes on a large table. For a constraint, reads
    wait too. A DROP INDEX is fast, but it waits for the longest running query on the table, and everything else waits
    behind it.

How to fix
    Build the index concurrently, outside the transaction. A cancelled build leaves an INVALID index behind, so drop
    that first::

        with op.get_context().autocommit_block():
            op.execute("DROP INDEX CONCURRENTLY IF EXISTS ix_orders_placed_at")
            op.create_index("ix_orders_placed_at", "orders", ["placed_at"], postgresql_concurrently=True)

    A constraint can take over an index that was built concurrently::

        with op.get_context().autocommit_block():
            op.execute("DROP INDEX CONCURRENTLY IF EXISTS uq_orders_number")
            op.create_index("uq_orders_number", "orders", ["number"], unique=True, postgresql_concurrently=True)
        op.execute("ALTER TABLE orders ADD CONSTRAINT uq_orders_number UNIQUE USING INDEX uq_orders_number")

    PostgreSQL does neither on a partitioned table. Build the index of each partition concurrently, create the index ON
    ONLY the partitioned table, and attach the others to it (ALTER INDEX … ATTACH PARTITION); the finding has the code.

Stays quiet when
    The same revision creates the table: no session uses it yet. An index is dropped together with its table, or is that
    of a partitioned table, which cannot be dropped concurrently, and a lock_timeout is set. The index is rebuilt
    because the table is rewritten: table-rewrite reports that.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace

from app.gate.checks.base import Check, Finding
from app.gate.checks.support.concurrently import Index, TwoSteps, build, drop, index_of, require
from app.gate.checks.support.locks import HeldLocks, Transaction, by_table, transactions
from app.gate.checks.support.naming import short_noun
from app.gate.checks.support.renames import find_new_key
from app.gate.checks.support.schema import Schema
from app.gate.checks.support.script import autocommit, execute
from app.gate.checks.support.statements import changes_by, sql_of
from app.gate.checks.support.subjects import named, together
from app.gate.postgres.locks import who_waits
from app.gate.postgres.quoting import name_of, unquoted
from app.gate.recording.model import TABLE_KINDS, Change, Evidence, Recording, Step
from app.gate.recording.names import full_name, shorten
from app.gate.report.verdict import Severity
from app.gate.wording import indented, listed

_CONCURRENTLY = re.compile(r"\bCONCURRENTLY\b", re.IGNORECASE)
_DROP_INDEX = re.compile(r"\s*DROP\s+INDEX\b", re.IGNORECASE)
_CREATE_INDEX = re.compile(
    r"\s*CREATE\s+(?P<unique>UNIQUE\s+)?INDEX\s+(IF\s+NOT\s+EXISTS\s+)?(?P<name>[\w\"]+)\s+ON\s+"
    r"(?:ONLY\s+)?(?:[\w\"]+\.)?(?:\w+|\"[^\"]+\")\s*(?P<body>(?:USING\b|\().*)",
    re.IGNORECASE | re.DOTALL,
)
_ADD_CONSTRAINT = re.compile(
    r"\s*ALTER\s+TABLE\s+.*\bADD\s+(?:CONSTRAINT\s+(?P<name>[\w\"]+)|(?P<kind>PRIMARY\s+KEY|UNIQUE)\b)",
    re.IGNORECASE | re.DOTALL,
)
_RETYPE = re.compile(r"\s*ALTER\s+TABLE\b.*\bALTER\b.*\bTYPE\b", re.IGNORECASE | re.DOTALL)
_REINDEX = re.compile(r"\bREINDEX\s+(?:\([^()]*\)\s*)?(?:INDEX|TABLE|SCHEMA|DATABASE|SYSTEM)\b", re.IGNORECASE)


@dataclass(frozen=True)
class Build:
    """An index that was built, and how to build it concurrently."""

    subject: str  # "index ix_orders_note", "constraint uq_orders_note"
    words: str  # "the index of unique constraint uq_orders_note"
    code: str  # empty if PostgreSQL cannot, or the code is not known
    first: TwoSteps = field(default_factory=lambda: TwoSteps([], []))  # in earlier revisions


def examine(recording: Recording) -> Iterator[Finding]:
    for transaction in transactions(recording):
        held_locks = [held for held in transaction.held_locks if not _CONCURRENTLY.search(held.statement.sql)]
        for table, found in by_table((table, held) for held in held_locks for table in _built(held)):
            yield _build_finding(transaction, table, found)
        gone = _dropped_tables(transaction.step)
        for table, found in by_table((table, held) for held in held_locks for table in _dropped(transaction, held)):
            if table in gone:
                continue  # the revision drops the table too, and no session waits for that
            yield _drop_finding(transaction, table, found)


def _built(held: HeldLocks) -> list[str]:
    statement = held.statement
    return [table for table in statement.index_builds if table not in statement.rewrites and table in held.modes]


def _dropped(transaction: Transaction, held: HeldLocks) -> list[str]:
    if not _DROP_INDEX.match(held.statement.sql):
        return []
    locked = [table for table, modes in held.statement.locks.items() if "AccessExclusiveLock" in modes]
    if held.statement.lock_timeout_ms:
        # There is no better way for the index of a partitioned table.
        schema = transaction.schema if locked else Schema()
        locked = [table for table in locked if not schema.is_partitioned(table)]
    return locked


def _dropped_tables(step: Step) -> set[str]:
    return {
        full_name(each.key)
        for each in step.changes
        if each.after is None and each.key.kind in TABLE_KINDS and find_new_key(step, each.key) is None
    }


def _build_finding(transaction: Transaction, table: str, found: Sequence[HeldLocks]) -> Finding:
    builds = [build for held in found for build in _builds(transaction, held, table)]
    sqls = "\n".join(sql_of(held.statement) for held in found)
    waits = who_waits(mode for held in found for mode in held.modes.get(table, ()))
    what = "its indexes are rebuilt" if _RETYPE.match(sqls) else "its index is built"
    if builds:
        verb = "is" if len(builds) == 1 else "are"
        what = f"{listed([build.words for build in builds])} {verb} built"
    return Finding(
        f"{waits[0].upper()}{waits[1:]} on {shorten(table)} wait until {what}.",
        together(f"build {build.subject}" for build in builds) or "rebuild",
        revision=transaction.revision.revision,
        object=table,
        detail=sqls,
        help=_advice(builds, table, sqls),
        line=found[0].statement.line,
    )


def _builds(transaction: Transaction, held: HeldLocks, table: str) -> Iterator[Build]:
    statement = held.statement
    built = [
        change
        for change in changes_by(transaction.step, statement, table)
        if change.key.kind in ("index", "constraint") and change.before is None and not _needs_no_index(change)
    ]
    for change in built:
        of = "the index of " if change.key.kind == "constraint" else ""
        index = index_of(change)
        code, first = _code(transaction, index), _required_first(index, transaction.schema)
        yield Build(f"{change.key.kind} {change.key.name}", f"{of}{short_noun(change)}", code, first)
    if built:
        return
    # Dropped and recreated, or on a table that was renamed before: only the statement shows it.
    if create := _CREATE_INDEX.match(statement.sql):
        name = name_of(create["name"])
        index = Index(table, name, create["body"].rstrip(" ;"), bool(create["unique"]))
        yield Build(f"index {name}", f"index {name}", _code(transaction, index))
    elif add := _ADD_CONSTRAINT.match(statement.sql):
        kind = "primary key" if str(add["kind"]).upper().startswith("PRIMARY") else "unique constraint"
        called = name_of(add["name"]) if add["name"] else None
        yield Build(f"constraint {called}" if called else kind, f"the index of {called or f'the {kind}'}", "")


def _code(transaction: Transaction, index: Index | None) -> str:
    if index is None:
        return ""
    return build(replace(index, body=transaction.schema.unqualified(index.body)), transaction.schema)


def _required_first(index: Index | None, schema: Schema) -> TwoSteps:
    """What makes the columns of a primary key NOT NULL, for which PostgreSQL would scan the table."""
    steps = [require(index.table, column, schema) for column in _nullable_key(index, schema)] if index else []
    return TwoSteps([line for each in steps for line in each.now], [line for each in steps for line in each.later])


def _nullable_key(index: Index, schema: Schema) -> list[str]:
    """The columns of a primary key that may be NULL so far."""
    if index.constraint != "PRIMARY KEY":
        return []
    definitions = {key.name: each for key, each in schema.parts_of("column", index.table)}
    names = re.findall(r'"(?:[^"]|"")+"|\w+', index.declared.partition("(")[2].partition(")")[0])
    return [each for each in map(unquoted, names) if definitions.get(each, {}).get("nullable")]


def _needs_no_index(change: Change) -> bool:
    return change.key.kind == "constraint" and (change.after or {}).get("type") in ("check", "foreign key")


def _advice(builds: Sequence[Build], table: str, sqls: str) -> str:
    if builds:
        code = "\n".join(build.code for build in builds if build.code)
        parts = []
        if required := [line for build in builds for line in build.first.now]:
            later = [line for build in builds for line in build.first.later]
            parts += [f"First, in an earlier revision:\n\n{indented(chr(10).join(required))}"]
            parts += [f"Then, in the next one, which blocks no reads or writes:\n\n{indented(chr(10).join(later))}"]
        parts += [f"Build it concurrently, outside the transaction:\n\n{indented(code)}"] if code else []
        return "\n\n".join([*parts, *([] if all(build.code for build in builds) else [_TAKE_OVER])])
    if _RETYPE.match(sqls):
        return _RETYPED
    first = "Build it concurrently, outside the transaction"
    if not _REINDEX.search(sqls):
        return f"{first}."
    lines = [_REINDEX.sub(lambda found: f"{found[0]} CONCURRENTLY", sql, count=1) for sql in sqls.splitlines()]
    code = "\n".join(autocommit([execute(line.strip(" ;")) for line in lines if _REINDEX.search(line)]))
    return f"{first}:\n\n{indented(code)}"


_TAKE_OVER = (
    "Build a unique index concurrently, outside the transaction, and let the constraint take it over (ADD CONSTRAINT … USING INDEX). "
    "Where PostgreSQL cannot do that, as for EXCLUDE, add it while the table is not in use, with a short lock_timeout."
)
_RETYPED = (
    "The rows are unchanged, but the index on the column is rebuilt, and PostgreSQL cannot do that concurrently. "
    "For a large table, add a new column whose index is built concurrently, let the code write both columns, and drop the old one "
    "in a later release."
)


def _drop_finding(transaction: Transaction, table: str, found: Sequence[HeldLocks]) -> Finding:
    gone = [
        change
        for held in found
        for change in changes_by(transaction.step, held.statement, table)
        if change.key.kind == "index" and change.after is None
    ]
    schema = transaction.schema
    advice = "Drop it concurrently, outside the transaction"
    if schema.is_partitioned(table):
        advice = (
            "PostgreSQL cannot drop the index of a partitioned table concurrently. With a short lock_timeout the statement gives up "
            "instead of keeping others waiting, and can be tried again"
        )
    code = (
        "\n".join(dict.fromkeys(line for change in gone for line in drop(change, schema).splitlines())) if gone else ""
    )
    return Finding(
        f"Reads and writes on {shorten(table)} wait behind this DROP INDEX, which waits for all queries that are running on the table.",
        together(f"drop {named(change.key)}" for change in gone) or "drop",
        revision=transaction.revision.revision,
        object=table,
        detail="\n".join(sql_of(held.statement) for held in found),
        help=f"{advice}:\n\n{indented(code)}" if code else f"{advice}.",
        line=found[0].statement.line,
    )


CHECK = Check(id="blocking-index", severity=Severity.WARNING, examine=examine, needs=frozenset({Evidence.LOCKS}))
