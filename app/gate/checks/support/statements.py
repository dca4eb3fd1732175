"""What the text of a statement mentions: which change, which table, which name."""

from __future__ import annotations

import re

from app.gate.checks.support.naming import columns_in
from app.gate.postgres.quoting import name_of, quote
from app.gate.recording.model import TABLE_KINDS, Change, Definition, Statement, Step
from app.gate.recording.names import table_of


def changes_by(step: Step, statement: Statement, table: str) -> list[Change]:
    """The changes of the step to that table which the statement made, judging by its SQL text, with the names that the
    columns have at that point of the script."""
    mentioned = [change for change in _changes_as_of(step, statement, table) if _mentions_change(statement, change)]
    return [
        change for change in mentioned if mentions(statement, change.key.name) or not _is_named_by_any(step, change)
    ]


def _changes_as_of(step: Step, statement: Statement, table: str) -> list[Change]:
    """The changes to the table, less the renaming of columns by later statements."""
    changes = [change for change in step.changes if table_of(change.key) == table]
    positions = [each.sql == statement.sql and each.line == statement.line for each in step.statements]
    later = step.statements[positions.index(True) + 1 :] if any(positions) else ()
    for each in reversed(later):
        if table.rpartition(".")[2].lower() not in each.sql.lower():
            continue
        for old, new in columns_renamed_by(each):
            changes = _with_older_name(changes, old, new)
    return changes


def _with_older_name(changes: list[Change], old: str, new: str) -> list[Change]:
    """The changes before a column was renamed. What seemed to be a column that goes and one that comes is one."""
    word = re.compile(_word(new))
    gone = next((each for each in changes if each.key.kind == "column" and each.key.name == old), None)

    def earlier(definition: Definition | None) -> Definition | None:
        if definition is None or not {"definition", "columns"} & definition.keys():
            return definition
        columns = [old if each == new else each for each in definition.get("columns") or ()]
        text = word.sub(lambda _: quote(old), str(definition.get("definition", "")))
        return {**definition, "definition": text, **({"columns": columns} if columns else {})}

    found = []
    for change in changes:
        if change is gone:
            continue
        if change.key.kind == "column" and change.key.name == new:
            before = gone.before if gone is not None and change.before is None else change.before
            found.append(Change(change.key._replace(name=old), before, change.after))
        else:
            found.append(Change(change.key, change.before, earlier(change.after)))
    return found


def _is_named_by_any(step: Step, change: Change) -> bool:
    return any(mentions(statement, change.key.name) for statement in step.statements)


def find_statement(step: Step, change: Change) -> Statement | None:
    """The statement of the step whose text mentions the change: for a dropped object, the last one that drops it."""
    mentioning = [statement for statement in step.statements if _mentions_change(statement, change)]
    if change.after is None:
        return next(iter([each for each in mentioning if _removes(each, change)][-1:] or mentioning), None)
    # What drops the rest of an earlier attempt creates nothing, nor does what fills a column before it is changed.
    creating = [
        each for each in mentioning if first_word(each) not in ("DROP", "INSERT", "UPDATE", "DELETE", "SELECT", "WITH")
    ]
    if change.before is not None and change.before.get("nullable") and not change.after.get("nullable"):
        creating = [each for each in creating if _NOT_NULL.search(each.sql)] or creating
    return next(iter(creating or mentioning), None)


_NOT_NULL = re.compile(r"\bNOT\s+NULL\b", re.IGNORECASE)


def columns_renamed_by(statement: Statement) -> list[tuple[str, str]]:
    """The old and the new name of each column that the statement renames."""
    return [(name_of(found["old"]), name_of(found["new"])) for found in _RENAME_COLUMN.finditer(statement.sql)]


_NAME = r'(?:"(?:[^"]|"")+"|\w+)'
_RENAME_COLUMN = re.compile(
    rf"\bRENAME\s+(?:COLUMN\s+)?(?!COLUMN\b|TO\b|CONSTRAINT\b)(?P<old>{_NAME})\s+TO\s+(?P<new>{_NAME})", re.IGNORECASE
)


def drops(statement: Statement, table: str) -> bool:
    """Whether the statement drops that table or view, called by its bare name."""
    return re.search(_DROPS.format(name=_word(table)), statement.sql, re.IGNORECASE) is not None


_DROPS = r"\bDROP\s+(?:MATERIALIZED\s+|FOREIGN\s+)?(?:TABLE|VIEW)\b[^;]*{name}"


def _word(name: str) -> str:
    """A pattern for a name that is not part of a longer one."""
    return rf'(?<![\w"])"?{re.escape(name)}"?(?![\w"])'


def _removes(statement: Statement, change: Change) -> bool:
    """Whether it drops or renames that object, judging by its SQL text."""
    if change.key.kind in TABLE_KINDS:
        moves_away = rf"{_word(change.key.name)}\s+(?:RENAME\s+TO|SET\s+SCHEMA)\b"
        return drops(statement, change.key.name) or re.search(moves_away, statement.sql, re.IGNORECASE) is not None
    return re.search(r"\b(?:DROP|RENAME)\b", statement.sql, re.IGNORECASE) is not None


_WORDS = re.compile(r"\w+")
_ADDED_BY_POSTGRES = frozenset({"using", "btree", "not", "valid"})


def mentions(statement: Statement, name: str) -> bool:
    """Whether the words of a name are in a statement's text."""
    return _words_in(statement.sql).issuperset(_words_in(name.partition("(")[0]))


def _words_in(text: str) -> set[str]:
    return set(_WORDS.findall(text.lower()))


def _mentions_change(statement: Statement, change: Change) -> bool:
    """Whether a statement names the object and its table; for an unnamed object, whether it contains all words of the
    definition."""
    key = change.key
    if mentions(statement, key.name):
        return not key.table or mentions(statement, key.table) or key.kind in ("constraint", "index")
    if key.kind not in ("constraint", "index") or not mentions(statement, key.table):
        return False
    words = {word.lower() for word in columns_in(change.after or change.before or {})}
    return bool(words) and words <= _words_in(statement.sql) | _ADDED_BY_POSTGRES


def first_word(statement: Statement) -> str:
    """`ALTER`, `UPDATE`, `DO`: what kind of statement it is."""
    return (without_comments(statement.sql).split(maxsplit=1) or [""])[0].upper()


def without_comments(sql: str) -> str:
    """The statement less the comments before it."""
    return re.sub(r"\A(\s+|--[^\n]*\n|/\*.*?\*/)+", "", sql, flags=re.DOTALL)


def sql_of(statement: Statement) -> str:
    """The statement for a finding's detail."""
    return statement.sql.strip()
