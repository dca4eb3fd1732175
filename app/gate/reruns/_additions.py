"""Additions for which PostgreSQL can refuse nothing that it accepted before: then the running code need not be asked.

A column that fills itself and an ordinary index change nothing for a statement that names other columns, unless code in
the database sees the whole row: a trigger that copies it (`INSERT INTO log SELECT NEW.*`), a rule, a policy, a CHECK of
`orders.*`. What is not listed here may be refused, and is tried.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

from app.gate.recording.model import Change, Snapshot
from app.gate.recording.names import table_of
from app.gate.walk.changed import concerned_tables
from app.gate.walk.state import Walk

_SEE_WHOLE_ROWS = {"trigger", "rule", "policy", "event trigger", "function", "procedure", "foreign table"}
_WHOLE_ROW = re.compile(r"\w\"?\.\*")
_CONSTANT = re.compile(
    r"(NULL|true|false|now\(\)|CURRENT_(DATE|TIMESTAMP)|\(?-?\d+(\.\d+)?\)?|'(?:[^']|'')*')(::[a-z]+( [a-z]+)*(\[\])?)?"
)
# PostgreSQL's own types have no schema in their names: a domain may refuse NULL, and a length the default.
_BUILT_IN = re.compile(r"[a-z]\w*( [a-z]+)*(\(\d+(,\d+)?\))?( [a-z]+)*(\[\])?")
_COLUMN = r"(\w+|\"[^\"]+\")( \w+_ops)?( (ASC|DESC))?( NULLS (FIRST|LAST))?"
_PLAIN_INDEX = re.compile(rf"USING btree \({_COLUMN}(, {_COLUMN})*\)( INCLUDE \([^()]*\))?")


def only_adds(walk: Walk) -> bool:
    """Whether the revisions do no more to older tables than to add such columns and indexes."""
    tables = concerned_tables(walk)
    if tables is None or walk.start is None or walk.head is None or not walk.observes_statements:
        return False
    steps = [trip.up for trip in walk.trips.values() if trip.up is not None]
    if any(step.failure is not None or step.renamed for step in steps) or any(map(walk.changes_rows, walk.trips)):
        return False
    changes = [change for step in steps for change in step.changes if table_of(change.key) in tables]
    return are_harmless(changes, walk.start, walk.head)


def are_harmless(changes: Iterable[Change], before: Snapshot, after: Snapshot) -> bool:
    """Whether those changes of tables, from one schema to the other, are nothing but such additions."""
    return all(map(_is_harmless, changes)) and not any(map(_sees_whole_rows, (before, after)))


def _is_harmless(change: Change) -> bool:
    definition = change.after
    if change.before is not None or definition is None:
        return False
    if change.key.kind == "index":
        return not definition.get("unique") and bool(_PLAIN_INDEX.fullmatch(str(definition["definition"])))
    return change.key.kind == "column" and _fills_itself(definition)


def _fills_itself(column: Mapping[str, Any]) -> bool:
    """Whether a row that says nothing of the column gets NULL, or a constant that its type takes."""
    default, type_ = column.get("default"), column["type"]
    if column.get("generated") or column.get("identity") or not _BUILT_IN.fullmatch(type_):
        return False
    return column["nullable"] if default is None else "(" not in type_ and bool(_CONSTANT.fullmatch(default))


def _sees_whole_rows(schema: Snapshot) -> bool:
    return any(
        key.kind in _SEE_WHOLE_ROWS
        or (key.kind in ("constraint", "index") and _WHOLE_ROW.search(str(definition["definition"])))
        for key, definition in schema.objects.items()
    )
