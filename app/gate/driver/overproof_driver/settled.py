"""Tables on which there is nothing new to find: what tells them, and how autogenerate and the models' creation pass them over.

A table is settled if the recorder saw that its model and its schema are the same in every respect, and both are as they were then.
The recorder knows the schema; here is the other half: a fingerprint of each model.
"""

import functools
import hashlib
import os
import sys

import sqlalchemy
from alembic import autogenerate
from sqlalchemy import schema
from sqlalchemy.engine.mock import MockConnection
from sqlalchemy.types import Boolean, Enum, SchemaType, TypeDecorator


def fingerprints(context, metadatas, name_of):
    """{"public.orders": [fingerprint, ["public.order_state"]]}: of each table's model, and the enums that it uses.

    A table that cannot be told by what SQLAlchemy makes of it is left out. Where the project decides by code of its own what
    counts as a difference, there is no telling at all, and nothing is given.
    """
    options = [context.opts.get(name) for name in ("compare_type", "compare_server_default", "include_schemas")]
    if any(callable(option) for option in options) or _has_other_comparators(context):
        return {}
    shared = repr(options)
    told = {}
    for metadata in metadatas:
        for table in metadata.tables.values():
            try:
                found = _fingerprint(table, context.dialect, shared)
            except Exception:  # whoever creates the table will be told
                found = None
            name = name_of(table.schema, table.name)
            # Of two models of one table, one hides the other.
            told[name] = None if name in told else found
    return {name: found for name, found in told.items() if found is not None}


def _has_other_comparators(context):
    """Whether an extension of autogenerate compares things by itself, perhaps with a look at all tables."""
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


def _fingerprint(table, dialect, shared):
    """[SHA-256, names of enums], or None if the table's creation is not all that there is to it."""
    if _has_listeners(table) or table.dialect_options["postgresql"].get("inherits"):
        return None
    parts = [shared, str(schema.CreateTable(table).compile(dialect=dialect)), repr(table.comment)]
    enums = set()
    for column in table.columns:
        kind = _plain_type(column.type, dialect)
        if isinstance(column.default, sqlalchemy.Sequence):
            return None
        if isinstance(kind, Enum):
            enums.add(f"{kind.schema or 'public'}.{kind.name}")
            parts.append(repr((kind.name, kind.enums)))
        elif isinstance(kind, SchemaType) and not isinstance(kind, Boolean):
            return None
        # What a type of the project's own compares, or makes of its values, is in its class.
        parts.append(repr((column.name, column.comment, _origin(type(column.type)))))
    parts += sorted(str(schema.CreateIndex(index).compile(dialect=dialect)) for index in table.indexes)
    for constraint in table.constraints:
        if getattr(constraint, "use_alter", False):
            parts.append(str(schema.AddConstraint(constraint).compile(dialect=dialect)))
    parts += sorted(repr(each.comment) for each in table.constraints if getattr(each, "comment", None))
    return [hashlib.sha256("\n".join(parts).encode("utf-8", "surrogatepass")).hexdigest(), sorted(enums)]


def _has_listeners(item):
    """Whether something of the project's own happens when the table or the metadata is created, such as a DDL event."""
    for listeners in (item.dispatch.before_create, item.dispatch.after_create):
        for listener in listeners:
            listener = getattr(listener, "func", listener)  # of a functools.partial
            owner = getattr(listener, "target", None) or getattr(listener, "__self__", None)
            if not isinstance(owner, SchemaType):  # an enum creates its type in this way
                return True
    return False


def _plain_type(kind, dialect):
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
def _origin(kind):
    """The class of a type, and of one that is not SQLAlchemy's the text that it is written in."""
    name = f"{kind.__module__}.{kind.__qualname__}"
    if not kind.__module__.startswith("sqlalchemy."):
        with open(os.path.abspath(sys.modules[kind.__module__].__file__), "rb") as file:
            name += " " + hashlib.sha256(file.read()).hexdigest()
    return name


class Filters:
    """The project's include_name and include_object, and before them ours, which passes over the settled tables.

    Names of the tables about which one of the project's said no are in `refused`.
    """

    def __init__(self, context, settled, name_of):
        self._options = context.opts
        self._own = {name: context.opts.get(name) for name in ("include_name", "include_object")}
        self._settled = frozenset(settled)
        self._name_of = name_of
        self.refused = set()

    def __enter__(self):
        self._options.update(include_name=self._include_name, include_object=self._include_object)
        return self

    def __exit__(self, kind, error, trace):
        self._options.update(self._own)

    def _include_name(self, name, kind, parents):
        place = self._name_of(parents.get("schema_name"), name if kind == "table" else parents.get("table_name"))
        if kind == "table" and place in self._settled:
            return False
        own = self._own["include_name"]
        return own is None or self._noted(own(name, kind, parents), place)

    def _include_object(self, item, name, kind, is_reflected, counterpart):
        table = item if kind == "table" else getattr(item, "table", None)
        place = None if table is None else self._name_of(table.schema, table.name)
        if kind == "table" and place in self._settled:
            return False
        own = self._own["include_object"]
        return own is None or self._noted(own(item, name, kind, is_reflected, counterpart), place)

    def _noted(self, answer, place):
        if not answer and place is not None:
            self.refused.add(place)
        return answer


def not_settled(tables, settled, name_of):
    """Those of the tables that are not settled, and what they refer to, so that they can be created without the others."""
    by_name = {name_of(table.schema, table.name): table for table in tables}
    wanted = {}
    left = [name for name in by_name if name not in settled]
    while left:
        name = left.pop()
        table = by_name.get(name)
        if table is None or name in wanted:
            continue
        wanted[name] = table
        for key in table.foreign_keys:
            other = key.column.table
            left.append(name_of(other.schema, other.name))
    return [table for table in tables if name_of(table.schema, table.name) in wanted]


def statements(context, wanted, told, name_of):
    """The SQL that creates [(metadata, tables)], for whoever has a database at hand; None if only the project itself can do that.

    `told` are the tables that have a fingerprint: there is no more to their creation than their SQL.
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
    found = []
    mock = MockConnection(context.dialect, lambda ddl, *_: found.append(str(ddl.compile(dialect=context.dialect))))
    for metadata, tables in wanted:
        if any(name_of(table.schema, table.name) not in told for table in tables):
            return None
        metadata.create_all(bind=mock, tables=tables, checkfirst=False)
    # A driver halves the percent signs that SQLAlchemy doubles, or not.
    return None if any("%" in statement for statement in found) else found
