"""A column's type as PostgreSQL will see it, and how a script writes it."""

from __future__ import annotations

from typing import Any, cast

import sqlalchemy as sa
from alembic.autogenerate import render
from alembic.autogenerate.api import AutogenContext
from alembic.runtime.migration import MigrationContext
from sqlalchemy.dialects import postgresql
from sqlalchemy.types import TypeDecorator, TypeEngine

# The statements are for scripts, so nothing is doubled or escaped for a driver.
POSTGRESQL = postgresql.dialect(paramstyle="named")
quote = POSTGRESQL.identifier_preparer.quote


def stored_type(type_: TypeEngine[Any]) -> TypeEngine[Any]:
    """SQLModel's AutoString(80) is stored as String(80)."""
    variant = type_._variant_mapping.get("postgresql")
    if variant is not None:
        return stored_type(variant)
    # SQLAlchemy has its own decorators, such as Interval. Those may appear in a script.
    if isinstance(type_, TypeDecorator) and not type(type_).__module__.startswith("sqlalchemy."):
        return stored_type(type_.load_dialect_impl(POSTGRESQL))
    return type_


def native_enum(type_: TypeEngine[Any] | None) -> sa.Enum | None:
    """The enum type that must exist before a column of this type: the type itself, or the element type of an array."""
    if type_ is None:
        return None
    type_ = stored_type(type_)
    if isinstance(type_, sa.ARRAY):
        return native_enum(type_.item_type)
    return type_ if isinstance(type_, sa.Enum) and type_.native_enum and type_.name else None


def type_in_sql(type_: TypeEngine[Any]) -> str:
    """ "VARCHAR(80)" """
    return stored_type(type_).compile(dialect=POSTGRESQL)


def render_type(type_: TypeEngine[Any], context: AutogenContext) -> str | bool:
    """How a script writes a type. False: as Alembic writes it."""
    plain = stored_type(type_)
    if isinstance(plain, sa.Enum) and not plain.native_enum:
        return f"sa.String(length={plain.length})"
    if isinstance(plain, sa.Enum):
        context.imports.add("from sqlalchemy.dialects import postgresql")
        schema = f", schema={str(plain.schema)!r}" if plain.schema else ""
        labels = ", ".join(map(repr, plain.enums))
        # A separate statement creates the type; Alembic would create it for a new table, but not for a new column.
        return f"postgresql.ENUM({labels}, name={str(plain.name)!r}{schema}, create_type=False)"
    if isinstance(plain, sa.ARRAY):
        dimensions = f", dimensions={plain.dimensions}" if plain.dimensions else ""
        return f"sa.ARRAY({render._repr_type(plain.item_type, context)}{dimensions})"
    return False if plain is type_ else render._repr_type(plain, context)


def compare_type(
    context: MigrationContext,
    found_column: sa.Column[Any],
    model_column: sa.Column[Any],
    found: TypeEngine[Any],
    wanted: TypeEngine[Any],
) -> bool | None:
    """True for differences that Alembic overlooks: to it, `varchar` equals `varchar(80)`. None: let Alembic decide."""
    found, wanted = stored_type(found), stored_type(wanted)
    if isinstance(found, sa.String) and isinstance(wanted, sa.String) and not isinstance(wanted, sa.Enum):
        return found.length != wanted.length or None
    if isinstance(found, sa.DateTime | sa.Time) and isinstance(wanted, sa.DateTime | sa.Time):
        return found.timezone != wanted.timezone or None
    if isinstance(found, sa.ARRAY) and isinstance(wanted, sa.ARRAY):
        connection = cast("sa.Connection", context.connection)
        same = sa.text("SELECT to_regtype(:found) IS NOT DISTINCT FROM to_regtype(:wanted)")
        items = {"found": type_in_sql(found.item_type), "wanted": type_in_sql(wanted.item_type)}
        if not connection.scalar(same, items):
            return True
        return compare_type(context, found_column, model_column, found.item_type, wanted.item_type)
    # In SQLAlchemy a float is a Numeric; in PostgreSQL it has no scale.
    if isinstance(found, sa.NUMERIC) and isinstance(wanted, sa.Numeric) and not isinstance(wanted, sa.Float):
        return (found.precision, found.scale or 0) != (wanted.precision, wanted.scale or 0) or None
    return None
