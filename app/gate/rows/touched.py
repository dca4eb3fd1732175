"""Which tables a revision touches, so that its upgrade has to be tried over rows in them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from pathlib import Path

from app.gate.recording.model import Change, Definition, Key, Loss, Snapshot, Statement, Step
from app.gate.rows._matches import read_tables
from app.gate.rows._row_free import RowFree

FOLDER = "overproof_rows"


def find_rows(script: Path, script_location: str | None, revision: str) -> Path | None:
    """The project's own rows: `overproof_rows/<revision>.sql` next to the script, or in the folder of `env.py`."""
    places = [script.parent, *([Path(script_location)] if script_location else [])]
    return next((found for place in places if (found := place / FOLDER / f"{revision}.sql").is_file()), None)


def touched_tables(up: Step, before: Snapshot, down: Step | None = None) -> frozenset[str]:
    """The older tables whose rows an upgrade concerns, or to which its downgrade writes: "public.orders".

    PostgreSQL reads, writes or rewrites a table if its rows must satisfy something new, also while it is empty. A
    change in the catalog alone concerns rows where it removes values or gives them another meaning. Of the locks, only
    that of INSERT, UPDATE and DELETE counts: a new table with a foreign key locks the table that it refers to. What is
    the same whatever rows there are concerns none.

    What is dropped and created again alike is no change, and has lost its values: so a statement that drops columns or
    tables counts for each table that it names or locks.
    """
    older = {f"{key.schema}.{key.name}" for key in before.objects if key.kind == "table"}
    touched = {_table_of(change.key) for change in up.changes if _concerns_values(change)}
    touched.update(_with_another_insert(up, before))
    touched.update(_with_functions_on(up.changes, before))
    locked: set[str] = set()
    row_free = RowFree(up, before)
    for statement in up.statements:
        if row_free.creates(statement):
            continue
        touched.update(statement.rewrites, statement.scans, statement.index_builds, _written(statement))
        touched.update(_joined(statement, older))
        newly_locked = {table for table, modes in statement.locks.items() if "AccessExclusiveLock" in modes}
        locked |= newly_locked
        if not statement.transactional:
            # Nothing was counted of it; only its text is known.
            touched.update(_named_in(statement.sql, older))
        elif _DROPS_VALUES.search(statement.sql):
            touched.update(newly_locked, _named_in(statement.sql, locked & older) or _named_in(statement.sql, older))
    for statement in down.statements if down is not None else ():
        touched.update(_written(statement))
    return frozenset(touched & older)


# https://www.postgresql.org/docs/current/sql-altertable.html: the word COLUMN may be left out. What else is dropped
# takes values with it only by CASCADE.
_DROPS_VALUES = re.compile(
    r"""\bDROP\s+(?:TABLE|COLUMN|SCHEMA)\b
    |\bDROP\s+[^;]*\bCASCADE\b
    |\bALTER\s+TABLE\b[^;]*\bDROP\s+(?!CONSTRAINT\b|DEFAULT\b|NOT\b|IDENTITY\b|EXPRESSION\b)""",
    re.IGNORECASE | re.VERBOSE,
)


def _with_another_insert(up: Step, before: Snapshot) -> Iterator[str]:
    """The tables into which the next INSERT may do something else: by a default that takes values from a sequence, or
    a trigger."""
    for change in up.changes:
        if change.key.kind == "trigger" and change.after is not None:
            yield _table_of(change.key)
        if change.key.kind == "column" and change.before is not None and change.after is not None:
            one, other = (source_of_values(definition) for definition in (change.before, change.after))
            if one != other:
                yield _table_of(change.key)
    moving = [each.sql for each in up.statements if MOVES_SEQUENCE.search(each.sql)]
    for key, definition in before.objects.items() if moving else ():
        if key.kind == "column" and source_of_values(definition) is not None:
            words = sequence_words(key, definition)
            if any(words & set(_WORDS.findall(sql)) for sql in moving):
                yield _table_of(key)


def _with_functions_on(changes: Iterable[Change], before: Snapshot) -> set[str]:
    """The tables with a trigger, a default or a CHECK whose function mentions one of those that the changes are about,
    or calls another one that does: what is written to them may fail there."""
    structural = ("table", "column", "constraint", "enum", "view", "function", "procedure", "sequence")
    affected = {
        (each.key.schema, (each.key.table or each.key.name).partition("(")[0])
        for each in changes
        if each.key.kind in structural
    }
    words_of: dict[tuple[str, str], set[str]] = {}
    for key, definition in before.objects.items() if affected else ():
        if key.kind in ("function", "procedure"):
            place = (key.schema, key.name.partition("(")[0])
            words_of.setdefault(place, set()).update(_WORDS.findall(str(definition.get("body"))))
    while more := {place for place, words in words_of.items() if _mentions(place[0], words, affected)} - affected:
        affected |= more
    called = affected & words_of.keys()
    return {
        _table_of(key)
        for key, definition in before.objects.items()
        if called
        and key.kind in _CALLERS
        and _mentions(key.schema, set(_WORDS.findall(str(definition.get(_CALLERS[key.kind])))), called)
    }


_CALLERS = {"trigger": "definition", "column": "default", "constraint": "definition"}  # and where it is


def _mentions(schema: str, words: set[str], places: Iterable[tuple[str, str]]) -> bool:
    """Whether the words name one of the places: without a schema, that is most often one in the text's own."""
    return any(label in words and (of == schema or of in words) for of, label in places)


_WORDS = re.compile(r"\w+")


MOVES_SEQUENCE = re.compile(r"\b(?:setval|nextval|RESTART|SEQUENCE|IDENTITY)\b", re.IGNORECASE)


def source_of_values(definition: Definition) -> str | None:
    """Where a column's default takes a new value for each row from."""
    default = str(definition.get("default") or "")
    if definition.get("identity"):
        return f"identity {definition.get('sequence')}"
    return default if "nextval(" in default else None


def sequence_words(key: Key, definition: Definition) -> set[str]:
    """By which a statement names a column's sequence, or its table. That of an identity is not in the definition; by
    default it is called as that of a serial column."""
    words = {key.table, f"{key.table}_{key.name}_seq", *_WORDS.findall(str(definition.get("default") or ""))}
    return words - {"nextval", "regclass", key.schema}


def _named_in(sql: str, tables: Iterable[str]) -> set[str]:
    """Those of the tables whose names are words of a statement's text, with or without their schemas."""
    words = {word for plain, quoted in _WORD.findall(sql) for word in (plain, quoted, plain.lower()) if word}
    return {name for name in tables if name.partition(".")[2] in words or name.rpartition(".")[2] in words}


_WORD = re.compile(r'(\w+)|"((?:[^"]|"")+)"')


def _written(statement: Statement) -> set[str]:
    """The tables to which it writes, or would write if there were rows.

    An INSERT without rows to insert does not count.
    """
    is_insert = re.match(r"\s*INSERT\b", statement.sql, re.IGNORECASE)
    locked = () if is_insert else (table for table, modes in statement.locks.items() if "RowExclusiveLock" in modes)
    return {*statement.written, *locked}


def _joined(statement: Statement, older: Iterable[str]) -> set[str]:
    """The tables from whose rows it would change others, if there were any."""
    read = read_tables(statement.sql)
    locked = {name.partition(".")[0] for name in statement.locks}
    found = set()
    for name in older:
        schema, _, label = name.partition(".")
        if (schema, label) in read or ((None, label) in read and (not locked or schema in locked)):
            found.add(name)
    return found


_MODIFIER = re.compile(r"\(.*?\)")  # of a type: "(20)"


def _concerns_values(change: Change) -> bool:
    """Whether a change removes values or gives them another type. Another length of the type does not count."""
    if change.key.kind not in ("table", "column") or change.before is None:
        return False
    if change.after is None:
        return True
    types = [_MODIFIER.sub("", str(definition.get("type", ""))) for definition in (change.before, change.after)]
    return types[0] != types[1] or change.before.get("partition_of") != change.after.get("partition_of")


def new_tables(changes: Iterable[Change]) -> frozenset[str]:
    """The tables that the changes create."""
    return frozenset(_table_of(each.key) for each in changes if each.key.kind == "table" and each.before is None)


def new_partitions(changes: Iterable[Change]) -> frozenset[str]:
    """The tables that the changes make partitions."""
    return frozenset(
        _table_of(each.key)
        for each in changes
        if each.key.kind == "table"
        and (each.after or {}).get("partition_of")
        and not (each.before or {}).get("partition_of")
    )


def _table_of(key: Key) -> str:
    return f"{key.schema}.{key.table or key.name}"


def with_new_key(changes: Iterable[Change]) -> frozenset[str]:
    """The tables to which the changes add a unique key."""
    return frozenset(
        _table_of(each.key)
        for each in changes
        if each.before is None
        and each.after is not None
        and (each.after.get("type") == "unique" or (each.key.kind == "index" and each.after.get("unique")))
    )


def columns_of(lost: Iterable[Loss]) -> frozenset[tuple[str, str | None]]:
    """The (table, column) of each loss."""
    return frozenset((loss.table, loss.column) for loss in lost)


def binds_rows(change: Change) -> bool:
    """Whether a change may be a rule for existing rows: a CHECK, a foreign key, a type, fewer labels, other bounds."""
    before, after = change.before, change.after
    if after is None:
        return False
    if change.key.kind in ("domain", "domain constraint"):
        return True
    if change.key.kind == "constraint":
        return after.get("type") in ("check", "foreign key")
    if change.key.kind == "enum" and before is not None:
        return not set(before.get("labels", ())).issubset(after.get("labels", ()))
    return before is not None and any(before.get(name) != after.get(name) for name in ("type", "partition_of"))
