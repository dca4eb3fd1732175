"""CHECK constraints, of tables and of types: compared by their expressions and not only by their names.

Alembic compares only the names, because PostgreSQL prints an expression in another form than it was written. Here
PostgreSQL prints the models' expressions as well, on a temporary table, so that both sides have the same form.
"""

from __future__ import annotations

import logging
from typing import Any, cast

import sqlalchemy as sa
from alembic.autogenerate import render
from alembic.autogenerate.api import AutogenContext
from alembic.operations import ops
from alembic.util import PriorityDispatchResult, sqla_compat
from sqlalchemy.exc import DBAPIError

from app.autogenerate.expressions import for_text, in_sql
from app.autogenerate.types import POSTGRESQL, quote

logger = logging.getLogger(__name__)

SCRATCH = "overproof_check"  # a temporary table, within a savepoint

COMPILER = POSTGRESQL.ddl_compiler(POSTGRESQL, cast("Any", None))


def is_stored(check: sa.CheckConstraint) -> bool:
    """Whether it is created on PostgreSQL. That of a Boolean, or of a native enum, is for other database systems."""
    rule = check._create_rule
    return rule is None or bool(rule(COMPILER))


def include_object(item: Any, name: str | None, kind: str, reflected: bool, compare_to: Any) -> bool:
    """Which objects Alembic compares."""
    return kind != "check_constraint" or reflected or is_stored(item)


def render_check(check: sa.CheckConstraint, context: AutogenContext) -> str | bool | None:
    """A constraint of a type is written separately, as the types in a script have none. False: as Alembic writes it."""
    if not check._type_bound:
        return False
    if not is_stored(check):
        return None
    name = render._render_gen_name(context, cast("Any", check.name))
    return f"sa.CheckConstraint({for_text(in_sql(check.sqltext))!r}, name={name!r})"


def compare_expressions(
    context: AutogenContext,
    changes: ops.ModifyTableOps,
    schema: str | None,
    name: str,
    found: sa.Table | None,
    model: sa.Table | None,
) -> PriorityDispatchResult:
    """Replaces constraints that have the same name and another expression."""
    if found is None or model is None:
        return PriorityDispatchResult.CONTINUE
    connection = cast("sa.Connection", context.connection)
    table = ".".join(quote(part) for part in (schema, name) if part)
    stored = _expressions(connection, table)
    checks = {
        str(POSTGRESQL.identifier_preparer.format_constraint(check)): check
        for check in sqla_compat.all_table_check_constraints(model)
        if is_stored(check)
    }
    wanted = _as_postgresql_prints(connection, table, {each: checks[each] for each in checks if each in stored})
    for each in sorted(checks.keys() & stored.keys()):
        if wanted.get(each) != stored[each]:
            logger.info("Detected changed check constraint %s on %s", each, table)
            before = sa.CheckConstraint(for_text(stored[each]), name=sa.schema.conv(each), table=found)
            changes.ops += [
                ops.DropConstraintOp.from_constraint(before),
                ops.AddConstraintOp.from_constraint(checks[each]),
            ]
    return PriorityDispatchResult.CONTINUE


def _expressions(connection: sa.Connection, table: str) -> dict[str, str]:
    rows = connection.execute(
        sa.text(
            "SELECT quote_ident(conname) AS name, pg_get_expr(conbin, conrelid) AS expression FROM pg_constraint "
            "WHERE conrelid = to_regclass(:table) AND contype = 'c'"
        ),
        {"table": table},
    )
    return {row.name: row.expression for row in rows}


def _as_postgresql_prints(
    connection: sa.Connection, table: str, checks: dict[str, sa.CheckConstraint]
) -> dict[str, str]:
    """Without those that do not fit the stored table: they name a column that this revision adds, so they cannot be
    the stored ones."""
    if not checks:
        return {}
    plain = {"no_parameters": True}  # otherwise the driver would read each % as a parameter
    with connection.begin_nested() as scratch:
        connection.exec_driver_sql(f"CREATE TEMPORARY TABLE {SCRATCH} (LIKE {table})")
        for name, check in checks.items():
            try:
                with connection.begin_nested():
                    statement = f"ALTER TABLE {SCRATCH} ADD CONSTRAINT {name} CHECK ({in_sql(check.sqltext)})"
                    connection.exec_driver_sql(statement, execution_options=plain)
            except DBAPIError:
                continue
        printed = _expressions(connection, SCRATCH)
        scratch.rollback()
    return printed
