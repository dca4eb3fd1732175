"""Unchanged tables: what identifies them, and how autogenerate passes them over.

A table is unchanged if the gate saw at the base that its model and its schema are the same in every respect, and
neither has changed since. The gate knows the schema; here is the other half: a fingerprint of each model.
"""

from __future__ import annotations

import functools
import hashlib
import os
import sys
from typing import TYPE_CHECKING, Any, Collection, Iterable

from alembic import autogenerate
from sqlalchemy import schema
from sqlalchemy.types import Enum

from .creation import takes_more_than_sql, type_on_postgresql
from .naming import full_name

if TYPE_CHECKING:
    from sqlalchemy import MetaData, Table


def fingerprints(context: Any, metadatas: Iterable[MetaData]) -> dict[str, tuple[str, list[str]]]:
    """{"public.orders": (fingerprint, ["public.order_state"])}: of each table's model, and the enums that it uses.

    A table that is not identified by what SQLAlchemy makes of it is left out. Where the project has code that decides
    what counts as a difference, no table is identified, and nothing is returned.
    """
    options = [context.opts.get(name) for name in ("compare_type", "compare_server_default", "include_schemas")]
    if any(callable(option) for option in options) or has_other_comparators(context):
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


def has_other_comparators(context: Any) -> bool:
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
    """(SHA-256, names of enums), or None if the table is not identified by what SQLAlchemy makes of it."""
    if takes_more_than_sql(table, dialect):
        return None
    parts = [shared, str(schema.CreateTable(table).compile(dialect=dialect)), repr(table.comment)]
    enums: set[str] = set()
    for column in table.columns:
        declared: Any = type(column.type)
        kind = type_on_postgresql(column.type, dialect)
        if isinstance(kind, Enum):
            enums.add(full_name(kind.schema, kind.name))
            parts.append(repr((kind.name, kind.enums)))
        # What a type that the project defines compares, or makes of its values, is in its class.
        parts.append(repr((column.name, column.comment, _origin(declared))))
    parts += sorted(str(schema.CreateIndex(index).compile(dialect=dialect)) for index in table.indexes)
    for constraint in table.constraints:
        if getattr(constraint, "use_alter", False):
            parts.append(str(schema.AddConstraint(constraint).compile(dialect=dialect)))
    parts += sorted(repr(each.comment) for each in table.constraints if getattr(each, "comment", None))
    return hashlib.sha256("\n".join(parts).encode("utf-8", "surrogatepass")).hexdigest(), sorted(enums)


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
        table: Any = item if kind == "table" else getattr(item, "table", None)
        # An entity of alembic_utils may have the table's name.
        place = full_name(table.schema, table.name) if hasattr(table, "schema") else None
        if kind == "table" and place in self._unchanged:
            return False
        own = self._own["include_object"]
        return own is None or self._noted(own(item, name, kind, is_reflected, counterpart), place)

    def _noted(self, is_included: Any, place: str | None) -> bool:
        if not is_included and place is not None:
            self.refused.add(place)
        return bool(is_included)
