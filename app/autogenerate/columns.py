"""Columns that are added to a table with rows, or whose type changes there."""

from __future__ import annotations

import json
import logging
import re
from datetime import datetime
from typing import Any, cast
from uuid import UUID

import sqlalchemy as sa
from alembic.autogenerate import render, renderers
from alembic.autogenerate.api import AutogenContext
from alembic.operations import ops
from sqlalchemy.types import TypeEngine

from app.autogenerate.expressions import for_text
from app.autogenerate.types import POSTGRESQL, native_enum, quote, stored_type, type_in_sql

logger = logging.getLogger(__name__)


class AddRequiredColumnOp(ops.AddColumnOp):
    """A NOT NULL column whose default only the model has. The script sets it in existing rows."""

    def __init__(self, table_name: str, column: sa.Column[Any], *, schema: str | None) -> None:
        super().__init__(table_name, column, schema=schema)
        self.filling = filling_of(column)


class ConvertColumnOp(ops.AlterColumnOp):
    """A change of type that needs a USING clause. `info["using"]` is its expression, or None if it needs none."""

    def reverse(self) -> ops.AlterColumnOp:
        back = super().reverse()
        back.info["using"] = self.info["using_back"]
        back.info["using_back"] = self.info["using"]
        return back


def complete(context: AutogenContext, upgrade: ops.UpgradeOps) -> None:
    """Replaces the operations that would fail on a table with rows."""
    connection = cast("sa.Connection", context.connection)  # it is None only in offline mode
    for op in upgrade.ops:
        if isinstance(op, ops.ModifyTableOps):
            op.ops[:] = [_completed(connection, each) for each in op.ops]


def _completed(connection: sa.Connection, op: ops.MigrateOperation) -> ops.MigrateOperation:
    if isinstance(op, ops.AddColumnOp):
        given = op.column.server_default is not None  # a computed column and an identity among others
        return op if given or op.column.nullable else AddRequiredColumnOp(op.table_name, op.column, schema=op.schema)
    if isinstance(op, ops.AlterColumnOp) and op.modify_type is not None:
        using, back = (
            _using(connection, op.column_name, source, target)
            for source, target in ((op.existing_type, op.modify_type), (op.modify_type, op.existing_type))
        )
        if using or back or native_enum(op.existing_type) or native_enum(op.modify_type):
            op.__class__ = ConvertColumnOp
            op.info.update(using=using, using_back=back)
    return op


def filling_of(column: sa.Column[Any]) -> str | None:
    """The value for existing rows when `column` is added, in SQL. None: the model has no default.

    A function as default may return another value each time. For UUIDs and times PostgreSQL has an equivalent function;
    any other one is called once.
    """
    default = column.default
    if not isinstance(default, sa.ColumnDefault) or not (default.is_scalar or default.is_callable):
        return None
    value = default.arg if default.is_scalar else cast("Any", default.arg)(None)
    if default.is_callable and isinstance(value, UUID):
        return "gen_random_uuid()"
    if default.is_callable and isinstance(value, datetime):
        return "now()"
    return _literal(value, column)


def _literal(value: Any, column: sa.Column[Any]) -> str | None:
    type_ = stored_type(column.type)
    if isinstance(type_, sa.String) and not isinstance(type_, sa.Enum):
        value = str(value)  # SQLModel stores paths and addresses as strings
    if isinstance(type_, sa.JSON):
        return "'" + json.dumps(value).replace("'", "''") + "'"
    if isinstance(type_, sa.LargeBinary):
        return rf"'\x{value.hex()}'"
    if isinstance(type_, sa.ARRAY) and not value:
        return "'{}'"
    try:
        literal = sa.literal(value, column.type)
        return str(literal.compile(dialect=POSTGRESQL, compile_kwargs={"literal_binds": True}))
    except sa.exc.SQLAlchemyError:  # a type without literals: left to the author of the script
        return None


@renderers.dispatch_for(AddRequiredColumnOp)
def _render_add_required_column(context: AutogenContext, op: AddRequiredColumnOp) -> list[str]:
    column = op.column._copy()
    if op.filling is None:
        name = f"{op.table_name}.{column.name}"
        logger.warning("%s is NOT NULL and has no default: the script will fail if the table has rows.", name)
        return [
            "# Fails if the table has rows: the column is NOT NULL, and the model has no default for it.",
            *render.render_op(context, ops.AddColumnOp(op.table_name, column, schema=op.schema)),
        ]
    column.server_default = sa.DefaultClause(sa.text(for_text(op.filling)))
    add = ops.AddColumnOp(op.table_name, column, schema=op.schema)
    forget = ops.AlterColumnOp(
        op.table_name, column.name, schema=op.schema, existing_type=column.type, modify_server_default=None
    )
    return [
        "# The default is for existing rows. Later ones get it from the model, which sets it in Python.",
        *render.render_op(context, add),
        *render.render_op(context, forget),
    ]


def _using(
    connection: sa.Connection, column: str, source: TypeEngine[Any] | None, target: TypeEngine[Any] | None
) -> str | None:
    """The expression that PostgreSQL requires after USING, or None if it converts implicitly.

    It does so with an assignment cast, and from any type to a string. A type that this revision creates does not exist
    yet, but only strings are converted to an enum, and only explicitly.
    """
    if source is None or target is None:
        return None
    rows = connection.execute(
        sa.text("""
            SELECT s.typcategory = 'S' AS from_string,
                   t.typcategory = 'S' OR s.oid = t.oid OR coalesce(c.castcontext IN ('a', 'i'), false) AS is_implicit,
                   c.oid IS NOT NULL AS is_cast
            FROM (SELECT CAST(to_regtype(:source) AS oid) AS source, CAST(to_regtype(:target) AS oid) AS target) AS
            named LEFT JOIN pg_type s ON s.oid = named.source LEFT JOIN pg_type t ON t.oid = named.target LEFT JOIN
            pg_cast c ON c.castsource = s.oid AND c.casttarget = t.oid
        """),
        {"source": type_in_sql(source), "target": type_in_sql(target)},
    ).one()
    if rows.is_implicit:
        return None
    through_text = "" if rows.from_string or rows.is_cast else "::text"
    return f"{quote(column)}{through_text}::{type_in_sql(target)}"


@renderers.dispatch_for(ConvertColumnOp)
def _render_convert_column(context: AutogenContext, op: ConvertColumnOp) -> list[str]:
    using, lines = op.info["using"], []
    default = op.existing_server_default
    if default:
        # PostgreSQL would convert the default too, without USING, and the result would still depend on the enum's type,
        # which could not be dropped then.
        lines = [f"op.alter_column({op.table_name!r}, {op.column_name!r}, schema={op.schema!r}, server_default=None)"]
        if op.modify_server_default is False:
            text = re.sub(r"::[\w\s.\"\[\]()]+$", "", str(getattr(default, "arg", default)))
            op.modify_server_default = sa.DefaultClause(sa.text(for_text(text)))
    written = render._alter_column(context, op)
    return [*lines, f"{written[:-1]},\n{' ' * 11}postgresql_using={using!r})" if using else written]
