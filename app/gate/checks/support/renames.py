"""Which table or column of the new schema is an older one under another name."""

from __future__ import annotations

from collections.abc import Sequence

from app.gate.checks.support.statements import column_renamed_to, drops, mentions, renamed_to
from app.gate.recording.model import Change, Key, Statement, Step
from app.gate.recording.names import full_name, table_of


def find_new_table(step: Step, key: Key) -> str | None:
    """The table into which a statement renamed this one, else the new one with exactly the same columns."""
    new = {full_name(each.key) for each in step.changes if each.before is None}
    for statement in step.statements:
        name = renamed_to(statement, key.name)
        if name is not None and f"{key.schema}.{name}" in new:
            return f"{key.schema}.{name}"
    if any(drops(statement, key.name) for statement in step.statements):
        return None
    before = {each.key.name for each in _columns_of(step, key) if each.before is not None}
    for candidate in step.changes:
        if candidate.before is None and candidate.key.kind == key.kind:
            after = {each.key.name for each in _columns_of(step, candidate.key) if each.after is not None}
            if before and before == after:
                return full_name(candidate.key)
    return None


def find_new_column(step: Step, change: Change) -> str | None:
    """The column into which a statement renamed this one; if none mentions it, the one new column of its type, if one
    of that type went."""
    key, before = change.key, change.before or {}
    mentioning = statements_on_column(step, key)
    for statement in mentioning:
        if (name := column_renamed_to(statement, key.name)) is not None:
            return name
    if mentioning:
        return None
    same_type = [
        each
        for each in step.changes
        if each.key.kind == "column"
        and table_of(each.key) == table_of(key)
        and (each.before is None or each.after is None)
        and (each.before or each.after or {}).get("type") == before.get("type")
    ]
    new = [each for each in same_type if each.before is None]
    return new[0].key.name if len(new) == 1 and len(same_type) == 2 else None


def is_renamed_column(step: Step, key: Key) -> bool:
    """Whether this new column is an older one of the same table under another name."""
    gone = [each for each in step.changes if each.key.kind == "column" and each.after is None]
    return any(table_of(each.key) == table_of(key) and find_new_column(step, each) == key.name for each in gone)


def statements_on_column(step: Step, key: Key) -> Sequence[Statement]:
    """The statements that mention the column and its table."""
    return [each for each in step.statements if mentions(each, key.name) and mentions(each, key.table)]


def _columns_of(step: Step, table: Key) -> list[Change]:
    return [
        each
        for each in step.changes
        if each.key.kind == "column" and (each.key.schema, each.key.table) == (table.schema, table.name)
    ]
