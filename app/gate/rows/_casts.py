"""Which texts and JSON values a revision's own statements convert: an UPDATE that casts ends at the first it cannot.

And which a unique index of theirs is about.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from app.gate.postgres.quoting import literal, name_of
from app.gate.rows._catalog import CatalogTable, Column, Type
from app.gate.rows._statement_text import NAME, without_comments

_WRITES = re.compile(r"\s*(?:UPDATE|INSERT|DELETE|MERGE|WITH|SELECT|DO)\b", re.IGNORECASE)
_TYPE = r"(?P<type>double\s+precision|timestamp\s+with\s+time\s+zone|[A-Za-z_]\w*)"
# A text as it is, or within functions that change little of it: nullif(trim(code), '').
_OF_TEXT = re.compile(
    rf"(?:{NAME}\s*\.\s*)?(?P<column>{NAME})\s*(?:\)\s*|,\s*'[^']*'\s*\)\s*)*(?:::\s*|\bAS\s+){_TYPE}", re.IGNORECASE
)
_PLACE_IN_JSON = rf"(?P<column>{NAME})\s*(?P<path>(?:->>?\s*'[^']+'\s*)+)"
_IN_JSON = re.compile(_PLACE_IN_JSON)
_OF_JSON = re.compile(rf"(?:{NAME}\s*\.\s*)?{_PLACE_IN_JSON}\)*\s*(?:::\s*|\bAS\s+){_TYPE}", re.IGNORECASE)
_UNIQUE_INDEX = re.compile(r"\s*CREATE\s+UNIQUE\s+INDEX\b", re.IGNORECASE)


_EXAMPLES: dict[str, object] = {
    "N": 7,
    "D": "2001-02-03",
    "T": "1 day",
    "B": True,
    "I": "10.0.0.1",
    "U": "00000001-0000-4000-8000-000000000001",
}


def _types(*entries: tuple[str, str, str, str]) -> dict[str, tuple[Type, object]]:
    """By each way to write a type, the type and a value of it in JSON."""
    return {
        spelling: (Type(name, sql, "base", category), _EXAMPLES[category])
        for name, sql, category, spellings in entries
        for spelling in (*spellings.split(), sql)
    }


_TYPES = _types(
    ("int2", "smallint", "N", "int2"),
    ("int4", "integer", "N", "int int4"),
    ("int8", "bigint", "N", "int8"),
    ("numeric", "numeric", "N", "decimal"),
    ("float4", "real", "N", "float4"),
    ("float8", "double precision", "N", "float float8"),
    ("bool", "boolean", "B", "bool"),
    ("date", "date", "D", ""),
    ("timestamp", "timestamp without time zone", "D", "timestamp"),
    ("timestamptz", "timestamp with time zone", "D", "timestamptz"),
    ("interval", "interval", "T", ""),
    ("uuid", "uuid", "U", ""),
    ("inet", "inet", "I", ""),
)


Paths = tuple[tuple[str, ...], ...]  # the names that lead to each value in a document


@dataclass(frozen=True)
class Casts:
    """What the statements convert of one table."""

    texts: Mapping[str, Type]  # column -> the type
    documents: Mapping[str, tuple[str, str]]  # column -> JSON with what can be converted, and with what cannot, as SQL


def casts_of(table: CatalogTable, statements: Iterable[str]) -> Casts:
    texts: dict[str, Type] = {}
    documents: dict[str, tuple[str, str]] = {}
    free = table.free_columns
    for sql in statements:
        text = without_comments(sql)
        if not _WRITES.match(text) or table.label not in re.findall(r"\w+", text):
            continue
        for column, type_, _, _ in _converted(_OF_TEXT, text, free):
            if column.type.base.category == "S":
                texts.setdefault(column.name, type_)
        for column, _, example, found in _converted(_OF_JSON, text, free):
            if column.type.base.name in ("json", "jsonb"):
                paths = (_path_in(found),)
                both = document_with(column, paths, example), document_with(column, paths, "text-1")
                documents.setdefault(column.name, both)
    return Casts(texts, documents)


def unique_in_json(table: CatalogTable, statements: Iterable[str]) -> dict[str, Paths]:
    """By column of JSON, the values in it that a unique index of the statements is about."""
    found: dict[str, Paths] = {}
    free = table.free_columns
    for sql in map(without_comments, statements):
        if _UNIQUE_INDEX.match(sql) and table.label in re.findall(r"\w+", sql):
            for place in _IN_JSON.finditer(sql):
                column = free.get(name_of(place["column"]))
                if column is not None and column.type.base.name in ("json", "jsonb"):
                    found[column.name] = (*found.get(column.name, ()), _path_in(place))
    return found


def _path_in(place: re.Match[str]) -> tuple[str, ...]:
    return tuple(re.findall(r"'([^']+)'", place["path"]))


def document_with(column: Column, paths: Paths, value: object) -> str:
    """JSON that has the value at each of those places, as SQL."""
    document: dict[str, object] = {}
    for path in paths:
        place = document
        for name in path[:-1]:
            inner = place.setdefault(name, {})
            place = inner if isinstance(inner, dict) else {}
        place[path[-1]] = value
    return f"{literal(json.dumps(document))}::{column.sql}"


def _converted(
    pattern: re.Pattern[str], text: str, columns: Mapping[str, Column]
) -> Iterator[tuple[Column, Type, object, re.Match[str]]]:
    """Each cast of one of the columns: the column, the type, a value of it in JSON, and the place."""
    for found in pattern.finditer(text):
        column, known = columns.get(name_of(found["column"])), _TYPES.get(" ".join(found["type"].lower().split()))
        if column is not None and known is not None:
            yield column, *known, found
