"""The value of one column in one row, where no CHECK and no foreign key decides it."""

from __future__ import annotations

from dataclasses import dataclass

from app.gate.postgres.quoting import literal
from app.gate.rows._casts import document_with
from app.gate.rows._catalog import CatalogTable, Column, Type
from app.gate.rows._plan import Labels, Rules
from app.gate.rows._shapes import Row, Shape
from app.gate.rows._values import NoValue, Want, cast, guess_values, limit_of, make_value, text_of, want


@dataclass(frozen=True)
class ColumnValues:
    """Makes the values of columns."""

    json_in_text: bool = False

    def wanted(self, column: Column, row: Row) -> Want:
        is_extreme = row.shape is Shape.EXTREME
        return want(column, row.number_for([column.name]), is_extreme=is_extreme, json_in_text=self.json_in_text)

    def fixed(self, table: CatalogTable, column: Column, row: Row, rules: Rules, guess: int | None) -> str:
        """The column's only value in this row; with `guess`, one of the guesses if its type is not known.

        Raises NoValue.
        """
        if row.matched is not None and row.matched.column == column.name:
            source = row.matched.source
            value = make_value(source.type, source.modifier, want(source, row.matched.number))
            return value if source.sql == column.sql else f"({value})::{column.sql}"
        is_foreign = any(column.name in key.columns for key in table.foreign_keys)  # to a table that gets no rows
        if (row.is_sparse or is_foreign) and column.may_be_null and column.name != row.unconverted:
            return f"NULL::{column.sql}"
        wanted = self.wanted(column, row)
        document = None if wanted.is_extreme else _document(column, row, rules, wanted)
        if document is not None:
            return document
        try:
            if column.name == row.unconverted:
                return make_value(column.type, column.modifier, wanted)
            if column.name in rules.labels:
                return _label(column, row, rules.labels[column.name])
            if column.name in rules.types:
                is_text = rules.types[column.name][0].base.category == "S"
                if is_text and (variant := _variant(column, row)) is not None:
                    return variant
                return _value_of_both(column, wanted, *rules.types[column.name])
            if not wanted.json_in_text and (variant := _variant(column, row)) is not None:
                return variant
            return make_value(column.type, column.modifier, wanted)
        except NoValue:
            if guess is not None:
                return guess_values(column.type, wanted)[guess]
            if column.may_be_null:
                return f"NULL::{column.sql}"
            raise


def own_value(column: Column, row: Row) -> str:
    """What an ordinary row of that number has in the column. Raises NoValue."""
    return make_value(column.type, column.modifier, want(column, row.number_for([column.name])))


def _document(column: Column, row: Row, rules: Rules, wanted: Want) -> str | None:
    """The JSON that the revision's statements ask for."""
    if column.name in rules.documents:
        return rules.documents[column.name][column.name == row.unconverted]
    paths = rules.unique_in_json.get(column.name)
    return document_with(column, paths, wanted.text) if paths else None


def _variant(column: Column, row: Row) -> str | None:
    """The text of the first ordinary row in another case, or with a blank more, if the row is to have that."""
    if column.name not in row.texts:
        return None
    found = column.type.base
    limit = limit_of(column.type.base_modifier(column.modifier), found)
    text = text_of(want(column, 0), limit)
    text = {
        Shape.OTHER_CASE: text.upper(),
        Shape.TRAILING_BLANK: f"{text} ",
        Shape.INNER_BLANK: f"{text[:1]} {text[1:]}",
    }[row.shape]
    return None if limit is not None and len(text) > limit else cast(text, found)


def has_few_values(table: CatalogTable, column: Column) -> bool:
    """Whether a key on the column may soon have used all values of its type."""
    if not any(column.name in key.columns for key in table.keys):
        return False
    return column.type.base.kind == "enum" or column.type.base.category == "B"


def _label(column: Column, row: Row, labels: Labels) -> str:
    """A label that stays; for a retired value, one that is removed."""
    few = labels.gone if row.shape is Shape.RETIRED_VALUE or not labels.kept else labels.kept
    return cast(few[row.number_for([column.name]) % len(few)], column.type.base)


def _value_of_both(column: Column, wanted: Want, type_after: Type, modifier_after: int) -> str:
    """A value that survives the column's change of type, as far as that is known; an extreme one need not."""
    now, later = column.type.base, type_after.base
    may_be_own = wanted.is_extreme and now.category == later.category
    if later.kind == "enum" and not may_be_own:  # whose type may not exist yet
        return f"{literal(later.labels[wanted.number % len(later.labels)])}::{now.sql}"
    own = make_value(column.type, column.modifier, wanted)
    if may_be_own:
        return own
    made = make_value(type_after, modifier_after, want(column, wanted.number))
    if now.category == "S" and later.category != "S":
        return f"({made})::text::{now.sql}"
    if now.category == later.category and now.category in ("N", "S"):
        return f"({made})::{now.sql}" if len(made.split("::")[0]) < len(own.split("::")[0]) else own
    return own
