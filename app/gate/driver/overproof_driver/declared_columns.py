"""What a model says of its columns: which values they take, and which of them an INSERT has to have."""

from __future__ import annotations

from typing import Any, Iterator

import sqlalchemy
from sqlalchemy import UniqueConstraint

from .creation import type_on_postgresql

_LONGEST_TEXT = 1000  # of a type without a limit
_LARGEST = ((sqlalchemy.SmallInteger, "32767"), (sqlalchemy.BigInteger, "9223372036854775807"))


def labels_of(column: Any, dialect: Any) -> list[str]:
    """What an enum allows, as it is stored."""
    kind = type_on_postgresql(column.type, dialect)
    return [str(label) for label in kind.enums] if isinstance(kind, sqlalchemy.Enum) else []


def extreme_value(column: Any, dialect: Any) -> str | None:
    """The longest text or the largest number that the model allows. None if that is not known, or says nothing."""
    if column.type is not type_on_postgresql(column.type, dialect) or column.foreign_keys:
        return None  # what a decorator writes is not known; a foreign key takes few values
    kind = column.type
    if isinstance(kind, sqlalchemy.Enum):
        return None
    if isinstance(kind, sqlalchemy.String):
        return "x" * (min(kind.length, 100000) if kind.length else _LONGEST_TEXT)
    if isinstance(kind, sqlalchemy.Integer):
        return next((largest for each, largest in _LARGEST if isinstance(kind, each)), "2147483647")
    if isinstance(kind, sqlalchemy.Numeric) and not isinstance(kind, sqlalchemy.Float):
        return "9" * (kind.precision - (kind.scale or 0)) if kind.precision is not None else None
    return None


def unique_keys(table: Any) -> Iterator[tuple[list[Any], Any]]:
    """(columns, predicate) of what ON CONFLICT may name."""
    keys = [(list(table.primary_key.columns), None)]
    constraints = [each for each in table.constraints if isinstance(each, UniqueConstraint)]
    keys += [(list(each.columns), None) for each in sorted(constraints, key=lambda each: str(each.name))]
    for index in sorted(table.indexes, key=lambda each: str(each.name)):
        columns = [getattr(each, "element", each) for each in index.expressions]  # of `column.desc()`
        if index.unique and all(isinstance(each, sqlalchemy.Column) for each in columns):
            keys.append((columns, index.dialect_options["postgresql"].get("where")))
    seen: list[set[Any]] = []
    for columns, where in keys:
        if columns and (where is not None or set(columns) not in seen):
            seen.append(set(columns))
            yield columns, where


def is_computed(column: Any) -> bool:
    return getattr(column, "computed", None) is not None


def is_always_generated(column: Any) -> bool:
    return bool(getattr(getattr(column, "identity", None), "always", False))


def has_to_be_given(column: Any, table: Any) -> bool:
    """Whether an INSERT has a value for it whatever the code leaves out: it is required, or the model has a value."""
    default = column.default
    if default is not None:
        return not default.is_sequence and not default.is_clause_element
    if column.server_default is not None:  # an identity, too
        return False
    return not column.nullable and column is not table._autoincrement_column


def is_left_empty(column: Any) -> bool:
    """Whether the ORM sends NULL for it where the code gives it no value."""
    return bool(column.nullable) and column.default is None and column.server_default is None
