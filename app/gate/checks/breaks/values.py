"""Values that a revision writes, and that the models of the running code cannot read: SQLAlchemy raises LookupError for
a row whose enum holds a label that the model does not list, whatever the type of the column.

Only what a statement says in so many words is known: `SET status = 'late'`, `CASE … THEN 'late' END`, VALUES ('late').
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from app.gate.checks.breaks.upgrade import Break, Upgrade
from app.gate.checks.support.sql_text import clauses, in_parentheses, pieces, split_list
from app.gate.checks.support.statements import without_comments
from app.gate.postgres.quoting import IDENTIFIER, name_of
from app.gate.recording.model import Change, Key
from app.gate.recording.names import shorten
from app.gate.recording.running import ModelTable

_READ_FIRST = "Let a release read the new value first, and write it in the next one."
_TABLE = rf"(?:ONLY\s+)?(?:(?P<schema>{IDENTIFIER})\s*\.\s*)?(?P<table>{IDENTIFIER})"
_UPDATE = re.compile(rf"\s*UPDATE\s+{_TABLE}(?:\s+(?:AS\s+)?(?!SET\b){IDENTIFIER})?\s+(?=SET\b)", re.IGNORECASE)
_INSERT = re.compile(rf"\s*INSERT\s+INTO\s+{_TABLE}\s*(?=\()", re.IGNORECASE)
_ASSIGNMENT = re.compile(rf"\s*(?P<column>{IDENTIFIER})\s*=\s*(?P<value>.+)\Z", re.DOTALL)
_TEXT = r"'(?P<text>(?:[^']|'')*)'"
_LITERAL = re.compile(rf"\s*(?:CAST\s*\(\s*)?{_TEXT}(?:\s*::\s*[\w.\" ]+|\s+AS\s+[\w.\" ]+\))*\s*\Z", re.IGNORECASE)
_OF_CASE = re.compile(rf"\b(?:THEN|ELSE)\s+{_TEXT}", re.IGNORECASE)


def unreadable_values(upgrade: Upgrade) -> Iterator[Break]:
    running = upgrade.recording.running
    tables = {each.name: each for each in running.tables} if running is not None else {}
    seen: set[tuple[str, str, str]] = set()
    for statement in upgrade.step.statements if tables else ():
        for place, column, value in _written(without_comments(statement.sql)):
            table = _model_of(place, tables)
            labels = table.columns[column].labels if table is not None and column in table.columns else ()
            if table is not None and labels and value not in labels and (table.name, column, value) not in seen:
                seen.add((table.name, column, value))
                yield _break(table, column, value)


def _break(table: ModelTable, column: str, value: str) -> Break:
    schema, _, name = table.name.partition(".")
    reader = table.model or shorten(table.name)
    words = (
        f"Column {shorten(table.name)}.{column} gets {value!r}, which {reader} does not list: reading such a row fails"
    )
    return Break(Change(Key("column", schema, column, name), {}, {}), words, advice=_READ_FIRST)


def _model_of(place: re.Match[str], tables: Mapping[str, ModelTable]) -> ModelTable | None:
    """Without a schema, that of the only table of this name."""
    name = name_of(place["table"])
    if place["schema"]:
        return tables.get(f"{name_of(place['schema'])}.{name}")
    found = [each for each in tables.values() if each.name.partition(".")[2] == name]
    return found[0] if len(found) == 1 else None


def _written(sql: str) -> Iterator[tuple[re.Match[str], str, str]]:
    """The table, the column and the text."""
    if (update := _UPDATE.match(sql)) is not None:
        for assignment in split_list(clauses(sql, "SET", "FROM", "WHERE", "RETURNING").get("SET", "")):
            if (found := _ASSIGNMENT.match(assignment)) is not None:
                for text in _texts(found["value"]):
                    yield update, name_of(found["column"]), text
    elif (insert := _INSERT.match(sql)) is not None:
        listed = in_parentheses(sql, insert.end()) or ""
        columns = [name_of(each) for each in split_list(listed)]
        for row in _rows(sql[insert.end() + len(listed) + 2 :]):
            for column, value in zip(columns, row, strict=False):
                for text in _texts(value):
                    yield insert, column, text


def _texts(value: str) -> Iterator[str]:
    literal = _LITERAL.match(value)
    found = [literal] if literal is not None else _OF_CASE.finditer(value) if _is_case(value) else ()
    for each in found:
        yield each["text"].replace("''", "'").replace("%%", "%")


def _is_case(value: str) -> bool:
    words = [piece[0].upper() for piece in pieces(value) if piece[0].strip()]
    return words[:1] == ["CASE"] and words[-1] == "END" and words.count("CASE") == 1


def _rows(after: str) -> Iterator[list[str]]:
    """The rows of VALUES (…), (…)."""
    begin = re.match(r"\s*(?:OVERRIDING\s+\w+\s+VALUE\s+)?VALUES\s*", after, re.IGNORECASE)
    at = begin.end() if begin is not None else len(after)
    while (row := in_parentheses(after, at) if after[at : at + 1] == "(" else None) is not None:
        yield split_list(row)
        at += len(row) + 2
        comma = re.match(r"\s*,\s*", after[at:])
        at += comma.end() if comma is not None else len(after)
