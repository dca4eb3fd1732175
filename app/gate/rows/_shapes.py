"""The rows that are made for a table: which there are, and how they differ."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

from app.gate.rows._catalog import CatalogTable, CheckConstraint
from app.gate.rows._plan import Rules

ORDINARY_ROWS = 3


class Shape(StrEnum):
    ORDINARY = "ordinary"  # every column filled
    NULLS = "nulls"  # NULL in every column that allows it
    DUPLICATE = "duplicate"  # equal to an ordinary row, but for its keys
    EXTREME = "extreme"  # the longest, finest and largest values
    RETIRED_VALUE = "retired value"  # a value that the revision no longer allows
    DEFERRED_KEY = "deferred key"  # not a row: a foreign key that is filled in once its parent has rows


@dataclass(frozen=True)
class Row:
    """A row to be made of some table."""

    shape: Shape
    number: int  # of its values
    varied: frozenset[str] = frozenset()  # duplicate: columns whose values have the number `own` instead
    own: int = 0
    refused_by: CheckConstraint | None = None  # retired value: a new CHECK that replaces one which this row satisfies

    def number_for(self, columns: Iterable[str]) -> int:
        return self.own if self.varied.intersection(columns) else self.number


def ordinary_rows() -> list[Row]:
    return [Row(Shape.ORDINARY, number) for number in range(ORDINARY_ROWS)]


def edge_case_rows(table: CatalogTable, rules: Rules) -> list[Row]:
    rows = [Row(Shape.NULLS, ORDINARY_ROWS)]
    varied = dict.fromkeys(frozenset(_separating_columns(table, end)) for end in (0, -1))
    rows += [Row(Shape.DUPLICATE, 0, columns, own) for own, columns in enumerate(varied, start=ORDINARY_ROWS + 1)]
    rows.append(Row(Shape.EXTREME, ORDINARY_ROWS + 3))
    retiring: list[CheckConstraint | None] = [*rules.narrowing] or [None] * bool(rules.labels)
    rows += [
        Row(Shape.RETIRED_VALUE, number, refused_by=check)
        for number, check in enumerate(retiring, start=ORDINARY_ROWS + 4)
    ]
    return rows


def _separating_columns(table: CatalogTable, end: int) -> set[str]:
    """The fewest columns by which a row differs from its duplicate in every key: the first, or the last, of each."""
    varied: set[str] = set()
    for key in table.keys:
        if key.columns and not varied & set(key.columns):
            varied.add(key.columns[end])
    return varied
