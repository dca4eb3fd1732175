"""Where an upgrade fails over rows: the table and the column.

PostgreSQL's own fields of the error come first, then the constraint that it names, then the statement that failed.
Nothing else is blamed: what is not known is None.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from app.gate.checks.support.naming import tables_made_by
from app.gate.checks.support.statements import without_comments
from app.gate.postgres import sqlstates
from app.gate.postgres.quoting import name_of, unquoted
from app.gate.recording.model import Change, Failure, Key, Populated, RefusedInsert, RoundTrip, Snapshot
from app.gate.recording.names import full_name, shorten, table_of

_NAME = r'(?:"(?:[^"]|"")+"|\w+)'
_TARGET = re.compile(
    rf"""\A\s*(?:
        ALTER\s+(?:FOREIGN\s+)?TABLE(?:\s+IF\s+EXISTS)?(?:\s+ONLY)?
        |UPDATE(?:\s+ONLY)?
        |INSERT\s+INTO
        |MERGE\s+INTO(?:\s+ONLY)?
        |DELETE\s+FROM(?:\s+ONLY)?
        |CREATE\s+(?:UNIQUE\s+)?INDEX\b[^(]*?\bON(?:\s+ONLY)?
    )\s+(?:(?P<schema>{_NAME})\s*\.\s*)?(?P<table>{_NAME})""",
    re.IGNORECASE | re.VERBOSE,
)
_ALTERED = re.compile(
    rf"\bALTER\s+(?:COLUMN\s+)?(?!COLUMN\b|CONSTRAINT\b|TABLE\b|INDEX\b)(?P<column>{_NAME})", re.IGNORECASE
)
_SET = re.compile(rf"\bSET\s+(?P<column>{_NAME})\s*=[^,]*?(?:\bWHERE\b|\bFROM\b|\Z)", re.IGNORECASE | re.DOTALL)


@dataclass(frozen=True)
class Place:
    """The table, "public.orders", and the column with the rows on which an upgrade fails, as far as they are known."""

    table: str | None
    column: str | None

    @property
    def object(self) -> str | None:
        return f"{self.table}.{self.column}" if self.table and self.column else self.table

    @property
    def name(self) -> str:
        """For a sentence; only where the table is known."""
        return shorten(self.object or "")


def find_place(trip: RoundTrip, populated: Populated, failure: Failure, head: Snapshot | None) -> Place:
    """Where the upgrade fails: PostgreSQL's fields come first, then the constraint, then the statement's own table."""
    rule = violated_rule(trip, failure)
    target = _target(trip, populated, failure, head)
    of_rule = table_of(rule.key) if rule is not None and rule.key.table else None
    table = failure.table or of_rule or target
    if table is None and failure.sql is None and len(populated.tables) == 1:
        table = next(iter(populated.tables))  # a script's own error over the rows of one table
    if table is None:
        return Place(None, None)
    column = failure.column
    if column is None and rule is not None and of_rule == table:
        columns = [rule.key.name] if rule.key.kind == "column" else rule_columns(rule)
        column = columns[0] if len(columns) == 1 else None
    if column is None and target == table and (failure.sqlstate or "")[:2] in ("22", "23"):
        # What is not a column (42703: undefined_column) is a value in the wrong quotes.
        column = _changed_column(failure.sql or "")
    return Place(table, column)


def _changed_column(sql: str) -> str | None:
    """The only column that the statement changes."""
    if re.match(r"\s*ALTER\b", sql, re.IGNORECASE):
        body = re.sub(r"\A\s*ALTER\s+(?:FOREIGN\s+)?TABLE\b", "", sql, flags=re.IGNORECASE)
        found = {each["column"] for each in _ALTERED.finditer(body)}
    else:
        found = {each["column"] for each in [_SET.search(sql)] if each is not None}
    return name_of(found.pop()) if len(found) == 1 else None


def _target(trip: RoundTrip, populated: Populated, failure: Failure, head: Snapshot | None) -> str | None:
    """The table that the failing statement changes."""
    found = _TARGET.match(without_comments(failure.sql or ""))
    if found is None:
        return None
    name = name_of(found["table"])
    if found["schema"]:
        return f"{name_of(found['schema'])}.{name}"
    known = [*populated.tables, *tables_made_by(trip), *_tables_of(head)]
    return next((each for each in known if each.partition(".")[2] == name), f"public.{name}")


def _tables_of(head: Snapshot | None) -> Iterator[str]:
    return (full_name(key) for key in (head.objects if head is not None else ()) if key.kind == "table")


def violated_rule(trip: RoundTrip, failure: Failure) -> Change | None:
    """The constraint, index or column that the error is about, if the revision made or changed it."""
    names = {"constraint": failure.constraint, "index": failure.constraint, "column": failure.column}
    for change in trip.up.changes if trip.up is not None else ():
        is_named = change.after is not None and change.key.name == names.get(change.key.kind)
        if is_named and failure.table in (None, table_of(change.key)):
            return change
    return None


def rule_columns(change: Change) -> list[str]:
    """The columns of a key, if it is one of columns and not of expressions."""
    definition = change.after or {}
    if definition.get("columns"):
        return list(definition["columns"])
    found = re.search(r"USING \w+ \(([^()]*)\)", str(definition.get("definition", "")))
    names = (re.match(_NAME, part.strip()) for part in (found[1].split(",") if found else ()))
    return [name_of(name[0]) for name in names if name is not None]  # without the order and the operator class


def source_tables(populated: Populated, failure: Failure) -> list[str]:
    """The older tables whose rows the statement reads, judging by its SQL text; else all that hold rows."""
    holding = [shorten(table) for table, rows in populated.tables.items() if rows] or list(
        map(shorten, populated.tables)
    )
    words = set(re.findall(r"\w+", failure.sql or ""))
    return [each for each in holding if each.rpartition(".")[2] in words] or holding


FOLDS = re.compile(r"\b(?:lower|upper|initcap|casefold|trim|btrim|rtrim|citext)\b", re.IGNORECASE)


def folds_texts(trip: RoundTrip, failure: Failure) -> bool:
    """Whether the statement, or the index that it violates, makes texts equal that differ in case or blanks only."""
    if failure.sqlstate not in (sqlstates.UNIQUE_VIOLATION, sqlstates.EXCLUSION_VIOLATION):
        return False
    rule = violated_rule(trip, failure)
    definition = str((rule.after or {}).get("definition", "")) if rule is not None else ""
    return FOLDS.search(f"{failure.sql or ''} {definition}") is not None


def find_constraint(trip: RoundTrip, failure: Failure, head: Snapshot | None) -> tuple[Key, dict[str, object]] | None:
    """The constraint or index that the error names, of the revision or of an earlier one."""
    rule = violated_rule(trip, failure)
    if rule is not None:
        return rule.key, dict(rule.after or {})
    for key, definition in head.objects.items() if head is not None else ():
        if key.kind in ("constraint", "index") and key.name == failure.constraint and table_of(key) == failure.table:
            return key, dict(definition)
    return None


def _statements_on(trip: RoundTrip, refused: RefusedInsert) -> list[tuple[str, int | None]]:
    """Statements of the upgrade that name the table, or a sequence; else those that name what PostgreSQL names."""
    label = refused.table.rpartition(".")[2]
    sought = re.compile(rf"\b(?:{re.escape(label)})\b|\b(?:nextval|setval|SEQUENCE|IDENTITY)\b", re.IGNORECASE)
    statements = trip.up.statements if trip.up is not None else ()
    found = [(each.sql, each.line) for each in statements if sought.search(each.sql)]
    named = set(re.findall(r'"([^"]+)"', refused.failure.message))
    return found or [(each.sql, each.line) for each in statements if named & set(re.findall(r"\w+", each.sql))]


def find_statement_on(trip: RoundTrip, refused: RefusedInsert) -> tuple[str | None, int | None]:
    """The last statement on the table of a refused INSERT, and its line: one that says more of the sequence than its
    name, if there are such."""
    found = [(sql.strip(), line) for sql, line in _statements_on(trip, refused)]
    names = _names_of_sequence(trip, refused)
    of_it = [each for each in found if names & set(map(name_of, _WORD.findall(each[0])))]
    of_it = [each for each in of_it if not _RENAMES.search(each[0])] or of_it
    return next(iter(reversed(of_it or found)), (None, None))


_WORD = re.compile(r'"(?:[^"]|"")+"|[\w$]+')
_RENAMES = re.compile(r"\bRENAME\s+TO\b|\bSET\s+SCHEMA\b|\bOWNED\s+BY\b", re.IGNORECASE)


def _names_of_sequence(trip: RoundTrip, refused: RefusedInsert) -> set[str]:
    """What it is called after the upgrade, and was called before."""
    name = unquoted(refused.sequence or "").rpartition(".")[2]
    renamed = trip.up.renamed if trip.up is not None else ()
    older = {each.before.name for each in renamed if each.after.kind == "sequence" and each.after.name == name}
    return ({name} | older) - {""}
