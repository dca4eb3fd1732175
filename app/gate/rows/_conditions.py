"""Which rows a revision's own statements select: the conditions of its UPDATEs, DELETEs, SELECTs and partial indexes.

Only conditions on the columns of one table are read. PostgreSQL decides for which values they are true.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace

from app.gate.postgres.quoting import identifier, name_of
from app.gate.rows._catalog import CatalogTable, CheckConstraint, Column
from app.gate.rows._statement_text import without_texts

_MOST = 4  # conditions of one table
PREDICATE = "a predicate"  # the name of the condition of a partial index; of others:
_CONDITION = "a condition"

_TOKEN = re.compile(
    r"""(?P<comment>--[^\n]*|/\*.*?\*/)
    |(?P<string>E?'(?:[^'\\]|''|\\.)*')
    |(?P<quoted>"(?:[^"]|"")+")
    |(?P<number>\d+(?:\.\d+)?(?!\w))
    |(?P<word>\w+)
    |(?P<other>\S)""",
    re.VERBOSE | re.DOTALL,
)
_ENDS = {"RETURNING", "ORDER", "LIMIT", "OFFSET", "GROUP", "FOR", "UNION", "HAVING", "ON", "LOOP", "THEN", "WHEN"}
# A subquery, a parameter, or what is decided row by row.
_NOT_READ = {"SELECT", "CURRENT", "NEW", "OLD"}


def conditions_of(table: CatalogTable, statements: Iterable[str]) -> tuple[CheckConstraint, ...]:
    """The conditions by which these statements select rows of the table, each with the columns in it."""
    found: dict[str, CheckConstraint] = {}
    for sql in statements:
        selected: list[CheckConstraint] = []
        if re.search(r"\bWHERE\b", sql, re.IGNORECASE):
            tokens = [(each.lastgroup, each[0]) for each in _TOKEN.finditer(sql.replace("%%", "%"))]
            selected = list(_conditions([token for token in tokens if token[0] != "comment"], table))
        for condition in (*selected, *_zeros(table, sql, selected)):
            found.setdefault(condition.expression, condition)
    return tuple(found.values())[:_MOST]


def _zeros(table: CatalogTable, sql: str, selected: Sequence[CheckConstraint]) -> Iterator[CheckConstraint]:
    """That a column by which the statement divides is 0, where the statement selects the row."""
    numbers = {column.name for column in table.columns if column.type.base.category == "N" and not column.is_generated}
    text = without_texts(sql.replace("%%", "%"))
    if not _CHANGES_OR_READS.match(text) or table.label not in map(name_of, _NAME.findall(text)):
        return
    for column in dict.fromkeys(map(name_of, _DIVISOR.findall(text))):
        if column in numbers:
            is_zero = f"{identifier(column)} = 0"
            for each in selected or [CheckConstraint(_CONDITION, (), "")]:
                columns = tuple(dict.fromkeys((*each.columns, column)))
                both = f"({each.expression}) AND {is_zero}" if each.expression else is_zero
                yield CheckConstraint(_CONDITION, columns, both)


_NAME = re.compile(r'"(?:[^"]|"")+"|\w+')
_CHANGES_OR_READS = re.compile(r"\s*(?:UPDATE|INSERT|WITH|SELECT|CREATE|DO)\b", re.IGNORECASE)
_DIVISOR = re.compile(rf"(?:/|%)\s*\(?\s*(?:(?:{_NAME.pattern})\.)?({_NAME.pattern})(?!\s*[(.])")


def within(table: CatalogTable, bounds: str) -> CheckConstraint:
    """The condition that a row belongs to a partition with those bounds, as PostgreSQL prints them."""
    named = set(map(name_of, _NAME.findall(without_texts(bounds))))
    return CheckConstraint(_CONDITION, tuple(each.name for each in table.columns if each.name in named), bounds)


def converted(now: Column, later: Column) -> str | None:
    """The value that a column will have once it has another type, as SQL. None if that is not known: a type that the
    revision makes, or a conversion that only its USING knows."""
    name, old, new = identifier(now.name), now.type.base, later.type
    if new.kind != "base":
        return None
    if old.category == new.category:
        return f"({name})::{later.sql}"
    if (old.category, new.category) != ("S", "N"):
        return None
    fraction = "" if re.search("int", new.name) else r"(\.[0-9]+)?"
    return f"(CASE WHEN ({name})::text ~ '^ *-?[0-9]{{1,4}}{fraction} *$' THEN ({name})::text::{later.sql} END)"


def replace_columns(check: CheckConstraint, values: Mapping[str, str]) -> CheckConstraint:
    """The condition with those values in the place of columns."""
    text = check.expression

    def value(found: re.Match[str]) -> str:
        word = found[0]
        is_name = found.lastgroup in ("quoted", "word") and not text[: found.start()].endswith((":", "."))
        is_called = text[found.end() :].lstrip().startswith("(")
        return values.get(name_of(word), word) if is_name and not is_called else word

    return replace(check, expression=_TOKEN.sub(value, text))


Token = tuple[str | None, str]  # its kind: a group of _TOKEN; and its text


def _conditions(tokens: Sequence[Token], table: CatalogTable) -> Iterator[CheckConstraint]:
    for index, (_, text) in enumerate(tokens):
        if text.upper() in ("UPDATE", "FROM", "ON"):
            start = _after_name(tokens, index + 1, table)
            if start is None:
                continue
            begin, alias = _where(tokens, start, text.upper())
            if begin is None:
                continue
            condition = _condition(tokens[begin : _end(tokens, begin)], table, alias)
            if condition is not None:
                yield replace(condition, name=PREDICATE) if text.upper() == "ON" else condition


def _after_name(tokens: Sequence[Token], index: int, table: CatalogTable) -> int | None:
    """The index after the table's name, if that is what stands there."""
    if index < len(tokens) and tokens[index][1].upper() == "ONLY":
        index += 1
    names = []
    while index < len(tokens) and (name := _name(tokens[index])) is not None:
        names.append(name)
        index += 1
        if index < len(tokens) and tokens[index][1] == ".":
            index += 1
            continue
        break
    return index if names in ([table.label], [table.schema, table.label]) else None


def _name(token: Token) -> str | None:
    kind, text = token
    return name_of(text) if kind in ("quoted", "word") else None


def _where(tokens: Sequence[Token], index: int, verb: str) -> tuple[int | None, str | None]:
    """The index after the WHERE that belongs to the table, and the table's alias."""
    alias = None
    if index < len(tokens) and tokens[index][1].upper() == "AS":
        index += 1
    # Another word than an alias, such as SET, is as good as one: no column stands behind it and a dot.
    if index < len(tokens) and (name := _name(tokens[index])) and name.upper() != "WHERE":
        alias, index = name, index + 1
    depth = 0
    for place in range(index, len(tokens)):
        text = tokens[place][1]
        depth += (text == "(") - (text == ")")
        if depth < 0 or text == ";":
            return None, None
        if depth or tokens[place][0] != "word":
            continue
        if text.upper() == "WHERE":
            return place + 1, alias
        # Between them are the values of an UPDATE, or an index's columns. Else the condition is one of several tables.
        if "FROM" in (verb, text.upper()):
            return None, None
    return None, None


def _end(tokens: Sequence[Token], begin: int) -> int | None:
    """The index after the condition that begins there; None if it is the last of the statement."""
    depth = 0
    for place in range(begin, len(tokens)):
        text = tokens[place][1]
        depth += (text == "(") - (text == ")")
        if depth < 0 or text == ";" or (depth == 0 and text.upper() in _ENDS):
            return place
    return None


def _condition(tokens: Sequence[Token], table: CatalogTable, alias: str | None) -> CheckConstraint | None:
    """None if it is about more than the table's own columns and constants."""
    owners = {name for name in (alias, table.label, table.schema) if name}
    columns = {column.name for column in table.columns if not column.is_generated}
    found: dict[str, None] = {}
    parts: list[str] = []
    nothing: Token = (None, "")
    for before, token, (_, after) in zip([nothing, *tokens], tokens, [*tokens[1:], nothing], strict=False):
        text, name = token[1], _name(token)
        is_cast = text == ":" and ":" in (before[1], after)
        if text.upper() in _NOT_READ or (text in ("$", "?", "@", ":", "%") and not is_cast):
            return None
        if name in owners and after == ".":
            continue
        if text == ".":
            if _name(before) not in owners:
                return None
            continue
        if name in columns and after != "(":
            found[name] = None
            parts.append(identifier(name))
        else:
            parts.append(text)
    if not found:
        return None
    return CheckConstraint(_CONDITION, tuple(found), _joined(parts))


def _joined(parts: Sequence[str]) -> str:
    """The tokens with blanks between them, apart from operators, which are of several."""
    text = ""
    for part in parts:
        is_operator = not re.match(r"[\w\"'(),]", part)
        was_operator = bool(text) and not re.search(r"[\w\"'(),]\Z", text)
        text += part if is_operator and was_operator else f" {part}"
    return text.strip()
