"""Unchanged tables: what identifies them, and how autogenerate and the creation of the models pass them over.

A table is unchanged if the gate saw at the base that its model and its schema are the same in every respect, and
neither has changed since. The gate knows the schema; here is the other half: a fingerprint of each model.
"""

from __future__ import annotations

import functools
import hashlib
import os
import sys
from typing import TYPE_CHECKING, Any, Collection, Iterable

import sqlalchemy
from alembic import autogenerate
from sqlalchemy import schema
from sqlalchemy.engine.mock import MockConnection
from sqlalchemy.types import Boolean, Enum, SchemaType, TypeDecorator

from .naming import full_name

if TYPE_CHECKING:
    from sqlalchemy import MetaData, Table


def fingerprints(context: Any, metadatas: Iterable[MetaData]) -> dict[str, tuple[str, list[str]]]:
    """{"public.orders": (fingerprint, ["public.order_state"])}: of each table's model, and the enums that it uses.

    A table that is not identified by what SQLAlchemy makes of it is left out. Where the project has code that decides
    what counts as a difference, no table is identified, and nothing is returned.
    """
    options = [context.opts.get(name) for name in ("compare_type", "compare_server_default", "include_schemas")]
    if any(callable(option) for option in options) or _has_other_comparators(context):
        return {}
    shared = repr(options)
    known: dict[str, tuple[str, list[str]] | None] = {}
    for metadata in metadatas:
        for table in metadata.tables.values():
            try:
                found = _fingerprint(table, context.dialect, shared)
            except Exception:  # creating the table will report it
                found = None
            name = full_name(table.schema, table.name)
            # Of two models of one table, one hides the other.
            known[name] = None if name in known else found
    return {name: found for name, found in known.items() if found is not None}


def _has_other_comparators(context: Any) -> bool:
    """Whether an extension of autogenerate adds comparisons, perhaps of all tables."""
    comparators: Any
    try:
        comparators = autogenerate.api.AutogenContext(context).comparators
    except AttributeError:  # before Alembic 1.18, there is only one set of them
        comparators = autogenerate.comparators
    for entries in comparators._registry.values():
        for entry in entries if isinstance(entries, list) else [entries]:
            function = entry[0] if isinstance(entry, tuple) else entry
            if not function.__module__.startswith("alembic."):
                return True
    return False


def _fingerprint(table: Table, dialect: Any, shared: str) -> tuple[str, list[str]] | None:
    """(SHA-256, names of enums), or None if the table's creation is not all that there is to it."""
    if _has_listeners(table) or table.dialect_options["postgresql"].get("inherits"):
        return None
    parts = [shared, str(schema.CreateTable(table).compile(dialect=dialect)), repr(table.comment)]
    enums: set[str] = set()
    for column in table.columns:
        declared: Any = type(column.type)
        kind = _plain_type(column.type, dialect)
        if isinstance(column.default, sqlalchemy.Sequence):
            return None
        if isinstance(kind, Enum):
            enums.add(full_name(kind.schema, kind.name))
            parts.append(repr((kind.name, kind.enums)))
        elif isinstance(kind, SchemaType) and not isinstance(kind, Boolean):
            return None
        # What a type that the project defines compares, or makes of its values, is in its class.
        parts.append(repr((column.name, column.comment, _origin(declared))))
    parts += sorted(str(schema.CreateIndex(index).compile(dialect=dialect)) for index in table.indexes)
    for constraint in table.constraints:
        if getattr(constraint, "use_alter", False):
            parts.append(str(schema.AddConstraint(constraint).compile(dialect=dialect)))
    parts += sorted(repr(each.comment) for each in table.constraints if getattr(each, "comment", None))
    return hashlib.sha256("\n".join(parts).encode("utf-8", "surrogatepass")).hexdigest(), sorted(enums)


def _has_listeners(item: Any) -> bool:
    """Whether code of the project runs when the table or the metadata is created, such as a DDL event."""
    for listeners in (item.dispatch.before_create, item.dispatch.after_create):
        for listener in listeners:
            listener = getattr(listener, "func", listener)  # of a functools.partial
            owner = getattr(listener, "target", None) or getattr(listener, "__self__", None)
            if not isinstance(owner, SchemaType):  # an enum creates its type in this way
                return True
    return False


def _plain_type(kind: Any, dialect: Any) -> Any:
    """The type behind decorators and arrays."""
    while True:
        if isinstance(kind, TypeDecorator):
            kind = kind.load_dialect_impl(dialect)
        elif isinstance(kind, sqlalchemy.ARRAY):
            kind = kind.item_type
        else:
            variants = getattr(kind, "_variant_mapping", None) or getattr(kind, "mapping", None) or {}
            if "postgresql" not in variants:
                return getattr(kind, "impl", kind) if type(kind).__name__ == "Variant" else kind
            kind = variants["postgresql"]


@functools.lru_cache(maxsize=None)
def _origin(kind: Any) -> str:
    """The class of a type, and of one that is not SQLAlchemy's the text that it is written in."""
    name = f"{kind.__module__}.{kind.__qualname__}"
    if not kind.__module__.startswith("sqlalchemy."):
        path: Any = sys.modules[kind.__module__].__file__
        with open(os.path.abspath(path), "rb") as file:
            name += " " + hashlib.sha256(file.read()).hexdigest()
    return name


class Filters:
    """The project's include_name and include_object, and before them ours, which pass over the unchanged tables.

    `refused` names the tables of which one of the project's left something out.
    """

    def __init__(self, context: Any, unchanged: Collection[str]) -> None:
        self._options = context.opts
        self._own = {name: context.opts.get(name) for name in ("include_name", "include_object")}
        self._unchanged = frozenset(unchanged)
        self.refused: set[str] = set()

    def __enter__(self) -> Filters:
        self._options.update(include_name=self._include_name, include_object=self._include_object)
        return self

    def __exit__(self, *error: object) -> None:
        self._options.update(self._own)

    def _include_name(self, name: str | None, kind: str, parents: Any) -> bool:
        place = full_name(parents.get("schema_name"), name if kind == "table" else parents.get("table_name"))
        if kind == "table" and place in self._unchanged:
            return False
        own = self._own["include_name"]
        return own is None or self._noted(own(name, kind, parents), place)

    def _include_object(self, item: Any, name: str, kind: str, is_reflected: bool, counterpart: Any) -> bool:
        table = item if kind == "table" else getattr(item, "table", None)
        place = None if table is None else full_name(table.schema, table.name)
        if kind == "table" and place in self._unchanged:
            return False
        own = self._own["include_object"]
        return own is None or self._noted(own(item, name, kind, is_reflected, counterpart), place)

    def _noted(self, is_included: Any, place: str | None) -> bool:
        if not is_included and place is not None:
            self.refused.add(place)
        return bool(is_included)


def without_unchanged(tables: list[Table], unchanged: Collection[str]) -> list[Table]:
    """Those of the tables that are not unchanged, and what they refer to, so that they can be created without the
    others."""
    by_name = {full_name(table.schema, table.name): table for table in tables}
    wanted: dict[str, Table] = {}
    left = [name for name in by_name if name not in unchanged]
    while left:
        name = left.pop()
        table = by_name.get(name)
        if table is None or name in wanted:
            continue
        wanted[name] = table
        for key in table.foreign_keys:
            other = key.column.table
            left.append(full_name(other.schema, other.name))
    return [table for table in tables if full_name(table.schema, table.name) in wanted]


def statements(context: Any, wanted: list[tuple[MetaData, list[Table]]], known: Collection[str]) -> list[str] | None:
    """The SQL that creates [(metadata, tables)] in any database; None if only the project itself can do that.

    `known` are the tables that have a fingerprint: there is no more to their creation than their SQL.
    """
    connection = context.connection
    if connection.get_execution_options().get("schema_translate_map") or any(
        _has_listeners(each) for each, _ in wanted
    ):
        return None
    for listeners in (connection.dispatch.before_execute, connection.dispatch.before_cursor_execute):
        # One that cannot change a statement is wrapped by SQLAlchemy.
        if any(not listener.__module__.startswith("sqlalchemy.engine.") for listener in listeners):
            return None
    found: list[str] = []

    def note(ddl: Any, *_: Any) -> None:
        found.append(str(ddl.compile(dialect=context.dialect)))

    mock: Any = MockConnection(context.dialect, note)
    for metadata, tables in wanted:
        if any(full_name(table.schema, table.name) not in known for table in tables):
            return None
        metadata.create_all(bind=mock, tables=tables, checkfirst=False)
    # A driver halves the percent signs that SQLAlchemy doubles, or not.
    return None if any("%" in statement for statement in found) else found
