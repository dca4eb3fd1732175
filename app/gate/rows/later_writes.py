"""Whether a revision may make PostgreSQL refuse what an application has been writing: if not, no INSERT is tried."""

from __future__ import annotations

import re
from collections.abc import Iterable

from app.gate.recording.model import Change, Definition, Snapshot, Step
from app.gate.recording.names import table_of
from app.gate.rows._statement_text import is_plain
from app.gate.rows.touched import MOVES_SEQUENCE, new_tables, source_of_values

# They run when a row is written, and may mention anything that a revision changes.
RUN_BY_WRITES = frozenset({"trigger", "rule", "policy", "function", "procedure", "event trigger"})
_OF_TABLES = frozenset({"column", "constraint", "index"})


def may_refuse_writes(up: Step, before: Snapshot, down: Step | None = None) -> bool:
    """Whether the upgrade might be the reason for a refused INSERT, UPDATE or DELETE. False where that is certain.

    It is certain where no code runs in PostgreSQL, what changes is no rule for values that come from a default, and no
    statement, of the downgrade neither, inserts rows or moves a sequence: then these give the same values as before,
    and meet the same rows.
    """
    made = new_tables(up.changes)
    changes = [each for each in up.changes if each.key.kind not in _OF_TABLES or table_of(each.key) not in made]
    if up.renamed or any(map(_may_refuse, changes)):
        return True
    if any(key.kind in RUN_BY_WRITES for key in before.objects):
        return True
    numbered = {
        key.name
        for key, definition in before.objects.items()
        if key.kind == "column" and source_of_values(definition) is not None
    }
    steps = [up] if down is None else [up, down]
    return any(_may_insert(each.sql, numbered) for step in steps for each in step.statements)


def _may_refuse(change: Change) -> bool:
    kind, before, after = change.key.kind, change.before, change.after
    if kind in ("table", "sequence"):
        is_partition = any(each is not None and each.get("partition_of") for each in (before, after))
        return is_partition or (before is not None and after is not None and _differing(before, after) != {"comment"})
    if kind == "column":
        if before is None or after is None:
            return after is not None and _is_demanded(after)
        return _gives_others(before, after)
    if kind in ("constraint", "index"):
        is_rule = kind == "constraint" or (after or {}).get("unique")
        return after is not None and after.get("type") != "foreign key" and bool(is_rule)
    return kind != "enum"


def _is_demanded(column: Definition) -> bool:
    """Whether a new column has to be named by an INSERT, or is computed when a row is written."""
    is_filled = column.get("nullable") or column.get("default")
    is_numbered = source_of_values(column) is not None
    return not is_filled or is_numbered or bool(column.get("generated") or column.get("privileges"))


def _gives_others(before: Definition, after: Definition) -> bool:
    """Whether an altered column may have other values than before. A text of another length may not."""
    differing = _differing(before, after)
    if all(_TEXT.fullmatch(str(each.get("type"))) for each in (before, after)):
        differing -= {"type"}
    return not differing <= {"nullable", "not_null", "comment", "storage", "statistics"}


def _differing(before: Definition, after: Definition) -> set[str]:
    return {name for name in {*before, *after} if before.get(name) != after.get(name)}


_TEXT = re.compile(r"text|character varying(?:\(\d+\))?")


def _may_insert(sql: str, numbered: Iterable[str]) -> bool:
    """Whether a statement may insert rows, move a sequence, or change a column that takes values from one."""
    if not is_plain(sql) or MOVES_SEQUENCE.search(sql):
        return True
    if not _UPDATES.match(sql):
        return False
    assigned = sql if _SELECTS.search(sql) else _AFTER_ASSIGNMENTS.split(sql, maxsplit=1)[0]
    return not set(numbered).isdisjoint(re.findall(r"\w+", assigned))


_UPDATES = re.compile(r"\s*UPDATE\b", re.IGNORECASE)
_SELECTS = re.compile(r"\bSELECT\b", re.IGNORECASE)
_AFTER_ASSIGNMENTS = re.compile(r"\b(?:FROM|WHERE|RETURNING)\b", re.IGNORECASE)
