"""Values for foreign keys, taken from the parents' rows."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field

from app.gate.postgres.quoting import identifier
from app.gate.rows._catalog import CatalogTable, Column, ForeignKey
from app.gate.rows._column_values import has_few_values, own_value
from app.gate.rows._plan import Plan, Rules
from app.gate.rows._shapes import ORDINARY_ROWS, Row, Shape
from app.gate.rows._sources import IS_NULL, RANK, Source


@dataclass
class ForeignKeys:
    """The foreign keys of a plan's tables."""

    plan: Plan
    except_for: frozenset[str]  # tables into which nothing is inserted, as they have rows
    filled: set[int] = field(default_factory=set)  # tables whose rows exist when the next table's are inserted

    def sources(self, table: CatalogTable, row: Row, rules: Rules) -> Iterator[Source]:
        """Foreign keys as sources; those that must have a value first."""
        keys = [*table.foreign_keys, *rules.foreign_keys]
        keys.sort(key=lambda key: any(not table.get_column(name).not_null for name in key.columns))
        for key in keys:
            parent = self.plan.catalog.tables.get(key.parent)
            columns = [table.get_column(name) for name in key.columns]
            if parent is not None and not any(column.is_generated for column in columns):
                yield _source(table, key, parent, columns, row)

    def known_values(self, table: CatalogTable, row: Row, rules: Rules, bound: Collection[str]) -> dict[str, str]:
        """The values of all foreign keys, if the values of the parents' rows are known; otherwise none.

        `bound` are the columns in CHECKs.
        """
        keys = [*table.foreign_keys, *rules.foreign_keys]
        names = [name for key in keys for name in key.columns]
        unique = {name for key in table.keys for name in key.columns}
        is_usual = row.shape in (Shape.ORDINARY, Shape.DUPLICATE)
        if not is_usual or len(set(names)) < len(names) or set(names) & (set(bound) | unique):
            return {}
        values: dict[str, str] = {}
        for key in keys:
            parent = self.plan.catalog.tables.get(key.parent)
            if parent is None or parent.oid not in self.filled or parent.name in self.except_for:
                return {}
            for name, parent_name in zip(key.columns, key.parent_columns, strict=True):
                column = parent.get_column(parent_name)
                if not self._is_fixed(parent, column) or table.get_column(name).is_generated:
                    return {}
                values[name] = own_value(column, Row(Shape.ORDINARY, row.number % ORDINARY_ROWS))
        return values

    def _is_fixed(self, table: CatalogTable, column: Column) -> bool:
        """Whether the column's value depends on nothing but the row's number."""
        rules = self.plan.rules.get(table.oid, Rules())
        checks = (*table.checks, *rules.checks)
        is_bound = any(column.name in check.columns for check in checks)
        is_bound = is_bound or any(column.name in key.columns for key in table.foreign_keys)
        return not (
            is_bound
            or column.is_generated
            or column.type.domain_checks
            or has_few_values(table, column)
            or column.name in rules.types
            or column.name in rules.labels
        )

    def deferred(self, table: CatalogTable) -> Iterator[tuple[Row, str]]:
        """Updates of ordinary rows whose foreign key stayed NULL, to be run once its parent has rows."""
        primary = next((key for key in table.keys if key.is_primary), None)
        if primary is None:
            return
        referring = {name for key in table.foreign_keys for name in key.columns}
        for key in table.foreign_keys:
            parent = self.plan.catalog.tables.get(key.parent)
            is_deferred = parent is not None and parent.oid != table.oid and parent.oid not in self.filled
            if parent is None or not is_deferred or referring & set(primary.columns):
                continue
            for number in range(ORDINARY_ROWS):
                identity = [table.get_column(name) for name in primary.columns]
                yield Row(Shape.DEFERRED_KEY, number), _deferred(table, identity, key, parent, number)


def _deferred(
    table: CatalogTable, identity: Sequence[Column], key: ForeignKey, parent: CatalogTable, number: int
) -> str:
    row = Row(Shape.ORDINARY, number)
    select = _parent_rows(key, parent, [table.get_column(name) for name in key.columns], row)
    names = ", ".join(map(identifier, key.columns))
    own = " AND ".join(f"t.{identifier(column.name)} = {own_value(column, row)}" for column in identity)
    empty = " AND ".join(f"t.{identifier(name)} IS NULL" for name in key.columns)
    return (
        f"UPDATE {table.sql} AS t SET ({names}) = (SELECT {names} FROM ({select}) AS few"
        f" ORDER BY {RANK} LIMIT 1 OFFSET $1) WHERE {own} AND {empty}"
    )


def _source(table: CatalogTable, key: ForeignKey, parent: CatalogTable, columns: Sequence[Column], row: Row) -> Source:
    select = _parent_rows(key, parent, columns, row)
    if any(column.may_be_null for column in columns):
        rank = -1 if row.is_sparse else 1000
        nulls = ", ".join(f"NULL::{column.sql}" if column.may_be_null else own_value(column, row) for column in columns)
        select += f" UNION ALL SELECT {nulls}, {rank}, true"
    elif parent.oid == table.oid:
        # The first row of a table that must refer to a row of its own table refers to itself.
        itself = ", ".join(own_value(table.get_column(name), row) for name in key.parent_columns)
        select += f" UNION ALL SELECT {itself}, 500, false"
    return Source(
        key.columns,
        lambda most: f"SELECT * FROM ({select}) AS few ORDER BY {RANK} LIMIT {most}",
        is_key=True,
    )


def _parent_rows(key: ForeignKey, parent: CatalogTable, columns: Sequence[Column], row: Row) -> str:
    """A SELECT of the parent's rows to which the key may refer; each row of the child begins with another one."""
    number = row.number_for(key.columns)
    theirs = [identifier(name) for name in key.parent_columns]
    ours = [f"{their} AS {identifier(column.name)}" for their, column in zip(theirs, columns, strict=True)]
    turn = f"mod(row_number() OVER (ORDER BY {', '.join(theirs)}) - 1 - {number} + {number} * count(*) OVER (), count(*) OVER ())"
    filled = " AND ".join(f"{their} IS NOT NULL" for their in theirs)
    return (
        f"SELECT {', '.join(ours)}, {turn} AS {RANK}, false AS {IS_NULL}"
        f" FROM (SELECT {', '.join(theirs)} FROM {parent.sql} WHERE {filled} ORDER BY {', '.join(theirs)} LIMIT 50) AS p"
    )
