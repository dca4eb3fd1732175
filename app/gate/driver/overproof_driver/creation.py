"""The SQL that creates the models' tables, where it is all that their creation takes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import sqlalchemy
from sqlalchemy.engine.mock import MockConnection
from sqlalchemy.types import Boolean, Enum, SchemaType, TypeDecorator

if TYPE_CHECKING:
    from sqlalchemy import MetaData, Table


def statements(context: Any, wanted: list[tuple[MetaData, list[Table]]]) -> list[str] | None:
    """The SQL that creates [(metadata, tables)] in any database; None if only the project itself can create them."""
    connection = context.connection
    if connection.get_execution_options().get("schema_translate_map"):
        return None
    for listeners in (connection.dispatch.before_execute, connection.dispatch.before_cursor_execute):
        # One that cannot change a statement is wrapped by SQLAlchemy.
        if any(not listener.__module__.startswith("sqlalchemy.engine.") for listener in listeners):
            return None
    for metadata, tables in wanted:
        if _has_listeners(metadata) or any(takes_more_than_sql(table, context.dialect) for table in tables):
            return None
    found: list[str] = []

    def note(ddl: Any, *_: Any) -> None:
        found.append(str(ddl.compile(dialect=context.dialect)))

    mock: Any = MockConnection(context.dialect, note)
    for metadata, tables in wanted:
        metadata.create_all(bind=mock, tables=tables, checkfirst=False)
    # A driver halves the percent signs that SQLAlchemy doubles, or not.
    return None if any("%" in statement for statement in found) else found


def takes_more_than_sql(table: Table, dialect: Any) -> bool:
    """Whether more may belong to the table than its own definition: code of the project, a parent, a sequence, a
    domain."""
    if _has_listeners(table) or table.dialect_options["postgresql"].get("inherits"):
        return True
    for column in table.columns:
        kind = type_on_postgresql(column.type, dialect)
        if isinstance(column.default, sqlalchemy.Sequence):
            return True
        if isinstance(kind, SchemaType) and not isinstance(kind, (Boolean, Enum)):
            return True
    return False


def _has_listeners(item: Any) -> bool:
    """Whether code of the project runs when the table or the metadata is created, such as a DDL event."""
    for listeners in (item.dispatch.before_create, item.dispatch.after_create):
        for listener in listeners:
            listener = getattr(listener, "func", listener)  # of a functools.partial
            owner = getattr(listener, "target", None) or getattr(listener, "__self__", None)
            if not isinstance(owner, SchemaType):  # an enum creates its type in this way
                return True
    return False


def type_on_postgresql(kind: Any, dialect: Any) -> Any:
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
