"""What an ORM sends for the project's models: each statement compiled by the project's SQLAlchemy and dialect.

A statement is handed over in pieces, with places for values: `[["INSERT INTO orders (note) VALUES ("], ["new", "note"],
[")"]]`. A place has the name of the row from which its value comes, `new` for one that is not in the table and `there`
for one that is, and the column. Or it has a value that the model allows: `label` and one of an enum's, `extreme` and
the longest or largest.
"""

from __future__ import annotations

import copy
import re
import sys
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Collection, Iterable, Iterator

import sqlalchemy
from sqlalchemy import Table
from sqlalchemy.dialects.postgresql import insert as postgresql_insert

from . import checkout, metadata
from .declared_columns import (
    extreme_value,
    has_to_be_given,
    is_always_generated,
    is_computed,
    is_left_empty,
    labels_of,
    unique_keys,
)
from .naming import full_name, undoubled

if TYPE_CHECKING:
    from . import protocol
    from .state import State

_PLACE = re.compile(r":(overproof_\d+_)(?![A-Za-z0-9_])")
_MOST_LABELS = 50  # of one enum


def model_statements(state: State, tables: Collection[str] | None = None) -> protocol.ModelStatementsAnswer:
    """The statements about those tables ("public.orders"), or about all, and what the models say of these."""
    schema, path = state.connection.scalar_outside(
        "SELECT coalesce(current_schema(), 'public') || ' ' || current_setting('search_path')"
    ).split(" ", 1)
    core = [table for each in metadata.metadatas(state.context) for table in each.tables.values()]
    models = Models(state.context.dialect, core, _all_mappers(), schema)
    wanted = [each for each in models.tables if tables is None or models.name_of(each) in tables]
    return {
        "tables": [models.describe(table) for table in wanted],
        "count": len(models.tables),
        "statements": list(models.statements(wanted)),
        "search_path": path,
        "strays": checkout.strays(),
    }


def _all_mappers() -> list[Any]:
    """The mappers of all registries, configured as far as they can be."""
    module: Any = sys.modules.get("sqlalchemy.orm.mapper")
    registries = sorted(module._all_registries(), key=id) if module is not None else []
    for registry in registries:
        with suppress(Exception):  # a relationship to a class that was not imported
            registry.configure()
    return [mapper for registry in registries for mapper in registry.mappers]


def _class_name(mapper: Any) -> str:
    return f"{mapper.class_.__module__}.{mapper.class_.__qualname__}"


class Models:
    """The models that are loaded, and the statements that an ORM sends for them."""

    def __init__(self, dialect: Any, core: Iterable[Any], mappers: Iterable[Any], schema: str) -> None:
        """`core`: the tables of Alembic's metadata. `schema`: in which tables without one are."""
        self._dialect: Any = copy.copy(dialect)
        self._paramstyle = dialect.paramstyle
        self._dialect.paramstyle = "named"  # so that a place for a value can be found again
        self._dialect.positional = False
        self._schema = schema
        self._mappers = sorted({id(each): each for each in mappers}.values(), key=_class_name)
        self._mappers_of: dict[Any, list[Any]] = {}
        for mapper in self._mappers:
            for table in _tables_of(mapper):
                self._mappers_of.setdefault(table, []).append(mapper)
        self.tables = sorted({*core, *self._mappers_of}, key=self.name_of)

    def name_of(self, table: Any) -> str:
        return full_name(table.schema or self._schema, table.name)

    def describe(self, table: Any) -> protocol.ModelTable:
        keys = [[str(column.name) for column in key] for key, _ in unique_keys(table)]
        columns = {str(column.name): self._describe_column(column) for column in self._columns(table)}
        return {"name": self.name_of(table), "model": self._model(table), "columns": columns, "keys": keys}

    def _describe_column(self, column: Any) -> protocol.ModelColumn:
        try:
            kind = str(column.type.compile(dialect=self._dialect))
        except Exception:
            kind = ""
        return {"type": kind, "labels": labels_of(column, self._dialect), "is_optional": is_left_empty(column)}

    def _model(self, table: Any) -> str:
        """The class; of several, the one that the table is for. "" if there is none."""
        mappers = self._mappers_of.get(table, [])
        own = [mapper for mapper in mappers if mapper.local_table is table]
        first = [mapper for mapper in own if mapper.inherits is None]
        return next((_class_name(mapper) for mapper in [*first, *own, *mappers]), "")

    def _columns(self, table: Any) -> list[Any]:
        """The columns that a class maps; of a table without a class, all."""
        mappers = self._mappers_of.get(table, ())
        mapped = {column for mapper in mappers for column in mapper._cols_by_table.get(table, ())}
        return [column for column in table.columns if column in mapped or not mappers]

    def _primary_key(self, table: Any) -> list[Any]:
        """By which a row is found: of a view, what its class says."""
        own = list(table.primary_key.columns)
        for mapper in self._mappers_of.get(table, ()):
            own = own or [column for column in mapper.primary_key if column.table is table]
        return own

    # Statements.

    def statements(self, tables: Collection[Any]) -> Iterator[protocol.ModelStatement]:
        """What is sent for the classes and the tables."""
        for mapper in self._mappers:
            if any(table in tables for table in _tables_of(mapper)):
                yield from self._of_mapper(mapper, tables)
        for table in tables:
            yield from self._of_table(table)

    def _of_mapper(self, mapper: Any, wanted: Collection[Any]) -> Iterator[protocol.ModelStatement]:
        """SELECT of all columns of a class, and joins along its relationships."""
        from sqlalchemy.orm import lazyload, undefer

        tables = _tables_of(mapper)
        local = mapper.local_table if mapper.local_table in tables else tables[0]
        model = _class_name(mapper)
        try:
            select = sqlalchemy.select(mapper.class_).options(undefer("*"), lazyload("*"))
            relationships = list(mapper.relationships)
        except Exception:  # the mapper cannot be configured
            for table in tables:
                columns = self._columns(table)
                yield from self._compiled(table, "SELECT", columns, sqlalchemy.select(*columns))
            return
        yield from self._compiled(local, "SELECT", mapper.columns, select, model=model, tables=tables)
        for relationship in relationships:
            others = _tables_of(relationship.mapper)
            others += [relationship.secondary] if isinstance(relationship.secondary, Table) else []
            if relationship.parent is mapper and any(other in wanted for other in others):
                one: Any = sqlalchemy.literal_column("1")
                join = sqlalchemy.select(one).select_from(mapper.class_).join(relationship.class_attribute)
                yield from self._compiled(local, "JOIN", [], join, model=model, tables=[*tables, *others])

    def _of_table(self, table: Any) -> Iterator[protocol.ModelStatement]:
        columns = self._columns(table)
        if table not in self._mappers_of:
            yield from self._compiled(table, "SELECT", columns, sqlalchemy.select(*columns))
        yield from self._inserts(table, columns)
        keys = self._primary_key(table)
        if not keys:
            return
        for column in columns:
            if column not in keys and not is_computed(column):
                yield from self._updates(table, keys, column)
        places = _Places()
        deletion = table.delete().where(*(key == places.of(key, "new") for key in keys))
        yield from self._compiled(table, "DELETE", keys, deletion, places)

    def _inserts(self, table: Any, columns: list[Any]) -> Iterator[protocol.ModelStatement]:
        written = [column for column in columns if not is_computed(column) and not is_always_generated(column)]
        given = [column for column in written if column is not table._autoincrement_column]
        yield from self._insert(table, "INSERT", given, table.insert())
        required = [column for column in written if has_to_be_given(column, table)]
        empty = [column for column in written if is_left_empty(column)] if table in self._mappers_of else []
        yield from self._insert(table, "INSERT of the required columns", required, table.insert())
        if empty:
            yield from self._insert(table, "INSERT of the required columns", required, table.insert(), empty)
        for key, where in unique_keys(table):
            if set(key) <= set(written):
                yield from self._upsert(table, written, key, where)

    def _insert(
        self, table: Any, action: str, columns: list[Any], insert: Any, empty: Iterable[Any] = ()
    ) -> Iterator[protocol.ModelStatement]:
        places = _Places()
        values = {column: places.of(column, "new") for column in columns}
        values.update((column, sqlalchemy.null()) for column in empty)
        yield from self._compiled(table, action, [*values], insert.values(values), places)

    def _upsert(self, table: Any, columns: list[Any], key: list[Any], where: Any) -> Iterator[protocol.ModelStatement]:
        places = _Places()
        insert: Any = postgresql_insert(table).values({column: places.of(column, "new") for column in columns})
        others = [column for column in columns if column not in key]
        if others:
            changes = {others[0]: insert.excluded[others[0].key]}
            insert = insert.on_conflict_do_update(index_elements=key, index_where=where, set_=changes)
        else:
            insert = insert.on_conflict_do_nothing(index_elements=key, index_where=where)
        yield from self._compiled(table, "ON CONFLICT", key, insert, places)

    def _updates(self, table: Any, keys: list[Any], column: Any) -> Iterator[protocol.ModelStatement]:
        """Of one column: to what it is, to each label, and to the largest value that the model allows."""
        values = [["there", str(column.name)]]
        values += [["label", label] for label in labels_of(column, self._dialect)[:_MOST_LABELS]]
        extreme = extreme_value(column, self._dialect)
        if extreme is not None:
            values.append(["extreme", extreme])
        for value in values:
            yield from self._update(table, keys, column, value)

    def _update(self, table: Any, keys: list[Any], column: Any, value: list[str]) -> Iterator[protocol.ModelStatement]:
        places = _Places()
        values = {column: places.add(column, value)}
        for other in self._columns(table):
            onupdate = other.onupdate
            if onupdate is not None and not onupdate.is_clause_element and not onupdate.is_sequence:
                values.setdefault(other, places.of(other, "there"))
        update = table.update().where(*(key == places.of(key, "there") for key in keys)).values(values)
        yield from self._compiled(table, "UPDATE", [column], update, places)

    def _compiled(
        self,
        table: Any,
        action: str,
        columns: Iterable[Any],
        statement: Any,
        places: _Places | None = None,
        *,
        model: str | None = None,
        tables: Iterable[Any] | None = None,
    ) -> Iterator[protocol.ModelStatement]:
        """The statement. Nothing where the project's SQLAlchemy cannot write it."""
        options: dict[str, Any] = {"render_postcompile": True}
        if places is None:
            options["literal_binds"] = True
        try:
            text = str(statement.compile(dialect=self._dialect, compile_kwargs=options))
        except Exception:
            return
        yield {
            "model": self._model(table) if model is None else model,
            "table": self.name_of(table),
            "tables": sorted({self.name_of(each) for each in tables or [table]}),
            "action": action,
            "columns": [str(getattr(column, "name", column)) for column in columns],
            "sql": _pieces(undoubled(text, self._paramstyle), places),
        }


def _tables_of(mapper: Any) -> list[Any]:
    return [table for table in mapper.tables if isinstance(table, Table)]


class _Places:
    """The places for values in one statement."""

    def __init__(self) -> None:
        self.by_name: dict[str, list[str]] = {}

    def of(self, column: Any, row: str) -> Any:
        """For the column's value in that row."""
        return self.add(column, [row, str(column.name)])

    def add(self, column: Any, place: list[str]) -> Any:
        name = f"overproof_{len(self.by_name)}_"
        self.by_name[name] = place
        return sqlalchemy.bindparam(name, type_=column.type)


def _pieces(text: str, places: _Places | None) -> list[list[str]]:
    parts = _PLACE.split(text) if places is not None else [text]
    return [places.by_name[part] if number % 2 and places is not None else [part] for number, part in enumerate(parts)]
