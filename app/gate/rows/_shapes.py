"""The rows that are made for a table: which there are, and how they differ."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from enum import StrEnum

from app.gate.rows._catalog import CatalogTable, CheckConstraint, Column, ForeignKey
from app.gate.rows._matches import Match
from app.gate.rows._plan import Rules

ORDINARY_ROWS = 3


class Shape(StrEnum):
    ORDINARY = "ordinary"  # every column filled
    NULLS = "nulls"  # NULL in every column that allows it
    DUPLICATE = "duplicate"  # equal to an ordinary row, but for its keys
    EXTREME = "extreme"  # the longest, finest and largest values
    OTHER_CASE = "other case"  # the texts of the first ordinary row in capital letters
    TRAILING_BLANK = "trailing blank"  # the same texts with a blank behind them
    INNER_BLANK = "inner blank"  # the same texts with a blank within them
    SELECTED = "selected"  # a condition of the revision's own statements is true
    NOT_SELECTED = "not selected"  # it is false
    MATCHED = "matched"  # it has a value of rows of another table, with which the revision compares it
    RETIRED_VALUE = "retired value"  # a value that the revision no longer allows
    HOSTILE = "hostile"  # breaks a rule that the revision adds, and none before it
    NEXT = "next"  # what an application would insert next
    DEFERRED_KEY = "deferred key"  # not a row: a foreign key that is filled in once its parent has rows


@dataclass(frozen=True)
class Row:
    """A row to be made of some table."""

    shape: Shape
    number: int  # of its values
    varied: frozenset[str] = frozenset()  # duplicate: columns whose values have the number `own` instead
    own: int = 0
    texts: frozenset[str] = frozenset()  # other case, blanks: the columns with such a text
    refused_by: CheckConstraint | None = None  # retired value, hostile: a new CHECK that this row breaks
    selected_by: CheckConstraint | None = None  # selected, not selected: the condition
    orphan_of: ForeignKey | None = None  # hostile: a new foreign key, to no row of the parent
    unconverted: str | None = None  # hostile: a column that keeps a value of its old type
    is_bare: bool = False  # hostile: what a statement converts is often selected by what is still NULL
    matched: Match | None = None  # matched: the column, and whose value it has

    @property
    def is_sparse(self) -> bool:
        """Whether it has NULL in every column that allows it, but for the one that it is made for."""
        is_second = self.matched is not None and self.number != self.matched.number
        return self.shape is Shape.NULLS or is_second or self.is_bare

    def number_for(self, columns: Iterable[str]) -> int:
        return self.own if self.varied.intersection(columns) else self.number


def ordinary_rows() -> list[Row]:
    return [Row(Shape.ORDINARY, number) for number in range(ORDINARY_ROWS)]


_OWN_OF_NULLS = 15
_FIRST_OF_TEXTS = 20
_FIRST_SELECTED = 60


def edge_case_rows(table: CatalogTable, rules: Rules) -> list[Row]:
    rows = [Row(Shape.NULLS, ORDINARY_ROWS), *_equal_but_for_null(table)]
    varied = dict.fromkeys(frozenset(_separating_columns(table, end)) for end in (0, -1))
    rows += [Row(Shape.DUPLICATE, 0, columns, own) for own, columns in enumerate(varied, start=ORDINARY_ROWS + 1)]
    rows.append(Row(Shape.EXTREME, ORDINARY_ROWS + 3))
    retiring: list[CheckConstraint | None] = [*rules.narrowing] or [None] * bool(rules.labels)
    rows += [
        Row(Shape.RETIRED_VALUE, number, refused_by=check)
        for number, check in enumerate(retiring, start=ORDINARY_ROWS + 4)
    ]
    rows += _texts(table)
    for number, condition in enumerate(rules.conditions):
        rows += _selected(condition, _FIRST_SELECTED + 3 * number, next(iter(varied)))
    rows += [Row(Shape.MATCHED, number, matched=match) for match in rules.matches for number in match.numbers]
    return rows


def _equal_but_for_null(table: CatalogTable) -> Iterator[Row]:
    """A second row with NULL in every column that allows it, where only that makes the two different in a key: an
    UPDATE that fills the column makes them equal, and so does NULLS NOT DISTINCT."""
    nullable = {column.name for column in table.columns if column.may_be_null}
    strict = replace(table, keys=tuple(key for key in table.keys if not nullable & set(key.columns)))
    if strict.keys != table.keys:
        varied = frozenset(_separating_columns(strict, 0))
        yield Row(Shape.NULLS, ORDINARY_ROWS, varied, _OWN_OF_NULLS)


def _texts(table: CatalogTable) -> Iterator[Row]:
    """Rows that differ from the first ordinary one in how a text is written, and where a key without texts demands it.

    A key of several texts has rows that differ in one of them alone.
    """
    texts = {column.name for column in table.columns if is_text(column)}
    in_keys = [[name for name in key.columns if name in texts] for key in table.keys]
    own = itertools.count(_FIRST_OF_TEXTS)
    for turn in range(max(map(len, in_keys), default=0) or bool(texts)):
        bound = {name for names in in_keys for name in names}
        written = frozenset(texts - bound | {names[turn % len(names)] for names in in_keys if names})
        varied = frozenset(_separating_columns(table, 0, written))
        shapes = [Shape.OTHER_CASE, Shape.TRAILING_BLANK, *[Shape.INNER_BLANK] * any(in_keys)]
        yield from (Row(shape, 0, varied, next(own), written) for shape in shapes)


def _selected(condition: CheckConstraint, number: int, varied: frozenset[str]) -> list[Row]:
    """Two rows that the condition selects, equal but for their keys, and one that it does not."""
    return [
        Row(Shape.SELECTED, number, varied, number + 1, selected_by=condition),
        Row(Shape.SELECTED, number, varied, number + 2, selected_by=condition),
        Row(Shape.NOT_SELECTED, number, selected_by=condition),
    ]


def is_text(column: Column) -> bool:
    """Whether it holds texts that may differ in case, or in blanks at their end."""
    return column.type.base.name in ("text", "varchar", "bpchar", "citext") and not column.is_generated


def _separating_columns(table: CatalogTable, end: int, known: Iterable[str] = ()) -> set[str]:
    """The fewest columns by which a row differs from its duplicate in every key: the first, or the last, of each, with
    those that differ in any case."""
    varied = set(known)
    for key in table.keys:
        if key.columns and not varied & set(key.columns):
            varied.add(key.columns[end])
    return varied
