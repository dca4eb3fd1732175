"""Which columns a revision's own statements compare with each other, so that rows can be made that belong together.

`UPDATE events SET topic_id = (SELECT id FROM topics WHERE topics.name = events.topic)` passes over any rows whose names
differ from all topics, and fails as soon as two topics have the name of one event.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from app.gate.postgres.quoting import name_of
from app.gate.rows._catalog import CatalogTable, Column
from app.gate.rows._statement_text import NAME, without_texts

_MOST = 3  # pairs of columns of one revision
_NUMBER = 90  # of the first pair's rows

_NO_ALIAS = (
    r"(?!(?:JOIN|LEFT|RIGHT|INNER|FULL|CROSS|NATURAL|ON|USING|WHERE|SET|GROUP|ORDER|LIMIT|RETURNING|AS|VALUES|SELECT|"
    r"UNION|HAVING|DEFAULT|OVERRIDING|LATERAL|WHEN|FOR|LOOP)\b)"
)
_WRITES = re.compile(r"\s*(?:UPDATE|INSERT|DELETE|MERGE|WITH|SELECT|DO|CREATE)\b", re.IGNORECASE)
_TABLE = re.compile(
    rf"\b(?:FROM|JOIN|UPDATE|USING|INTO)\s+(?:ONLY\s+|LATERAL\s+)?(?:({NAME})\s*\.\s*)?({NAME})"
    rf"(?:\s+(?:AS\s+)?{_NO_ALIAS}({NAME}))?"
    rf"|,\s*(?:({NAME})\s*\.\s*)?({NAME})\s+(?:AS\s+)?{_NO_ALIAS}({NAME})(?=\s*(?:,|WHERE\b|\Z))",
    re.IGNORECASE,
)
_EQUALITY = re.compile(rf"(?:({NAME})\s*\.\s*)?({NAME})\s*=\s*(?:({NAME})\s*\.\s*)?({NAME})(?![\w(.\"])", re.IGNORECASE)


@dataclass(frozen=True)
class Match:
    """A column of a table that gets two rows with one value, which rows of another table have too."""

    column: str
    source: Column  # whose value that is
    number: int  # of the value, and of the first of the rows

    @property
    def numbers(self) -> tuple[int, int]:
        """Of the rows with that value: one is filled, and one has nothing else that may be NULL."""
        return self.number, self.number + 1


def read_tables(sql: str) -> set[tuple[str | None, str]]:
    """(schema or None, name) of the tables from which a statement that writes takes rows, judging by its text."""
    text = without_texts(sql)
    if not _WRITES.match(text):
        return set()
    named = list(_TABLE.finditer(text))
    taken = [
        each for each in named if each[0].startswith(",") or each[0].split()[0].upper() in ("FROM", "JOIN", "USING")
    ]
    places = [(each[1] or each[4], each[2] or each[5]) for each in taken]
    return {(name_of(schema) if schema else None, name_of(label)) for schema, label in places}


def matches_of(tables: Sequence[CatalogTable], statements: Iterable[str]) -> dict[int, tuple[Match, ...]]:
    """By the table's oid, the columns that the statements compare with those of another table."""
    pairs = dict.fromkeys(pair for sql in statements for pair in _pairs(tables, sql))
    found: dict[int, tuple[Match, ...]] = {}
    for turn, (one, column, other, another) in enumerate(list(pairs)[:_MOST]):
        number, source = _NUMBER + 4 * turn, one.get_column(column)
        found[one.oid] = (*found.get(one.oid, ()), Match(column, source, number))
        found[other.oid] = (*found.get(other.oid, ()), Match(another, source, number))
    return found


def _pairs(tables: Sequence[CatalogTable], sql: str) -> Iterator[tuple[CatalogTable, str, CatalogTable, str]]:
    text = without_texts(sql)
    if not _WRITES.match(text):
        return
    for some in _by_schema(tables, text):
        for found in _EQUALITY.finditer(text):
            one, other = _owner(some, found[1], found[2]), _owner(some, found[3], found[4])
            if one is None or other is None or one.oid == other.oid:
                continue
            column, another = one.free_columns.get(name_of(found[2])), other.free_columns.get(name_of(found[4]))
            if column is not None and another is not None and _is_of_one_kind(column, another):
                yield one, column.name, other, another.name


def _by_schema(tables: Sequence[CatalogTable], text: str) -> Iterator[dict[str, CatalogTable]]:
    """The tables in a statement, by their names and their aliases: once for each schema in which they may be."""
    for schema in dict.fromkeys(table.schema for table in tables):
        named: dict[str, CatalogTable] = {}
        for found in _TABLE.finditer(text):
            given, label, alias = (found[1] or found[4], found[2] or found[5], found[3] or found[6])
            place = (name_of(given) if given else schema, name_of(label))
            for table in tables:
                if (table.schema, table.label) == place:
                    named[table.label] = named[name_of(alias or label)] = table
        yield named


def _owner(named: Mapping[str, CatalogTable], qualifier: str | None, column: str) -> CatalogTable | None:
    """The table whose column that is; None if it may be that of several."""
    name, known = name_of(column), name_of(qualifier) if qualifier is not None else None
    owners = {
        table.oid: table
        for alias, table in named.items()
        if known in (None, alias) and any(each.name == name for each in table.columns)
    }
    return next(iter(owners.values())) if len(owners) == 1 else None


def _is_of_one_kind(column: Column, other: Column) -> bool:
    one, another = column.type.base, other.type.base
    return one.name == another.name or (one.category == another.category and one.category in ("S", "N"))
