"""CHECK constraints: those that types bring as well as those of tables, and what they say as well as their names.

Alembic compares the names alone, because PostgreSQL gives an expression back in its own words. Here the models'
expressions are given to PostgreSQL too, on a table that is gone a moment later, so that both sides are in its words.
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
    """Whether PostgreSQL is given it. That of a Boolean, or of an enum with a type of its own, is for other systems."""
    rule = check._create_rule
    return rule is None or bool(rule(COMPILER))


def include_object(item: Any, name: str | None, kind: str, reflected: bool, compare_to: Any) -> bool:
    """What takes part in Alembic's comparisons."""
    return kind != "check_constraint" or reflected or is_stored(item)


def render_check(check: sa.CheckConstraint, context: AutogenContext) -> str | bool | None:
    """Those that types bring stand in a script by themselves, as the types in it bring none. False: as Alembic does."""
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
    """Replaces those that are called the same and say something else."""
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
    wanted = _as_postgresql_says(connection, table, {each: checks[each] for each in checks if each in stored})
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


def _as_postgresql_says(connection: sa.Connection, table: str, checks: dict[str, sa.CheckConstraint]) -> dict[str, str]:
    """Without those that do not fit the table as it is: they speak of a column which is only now to come, and so cannot
    be what is stored."""
    if not checks:
        return {}
    plain = {"no_parameters": True}  # else the driver would look for parameters behind each %
    with connection.begin_nested() as scratch:
        connection.exec_driver_sql(f"CREATE TEMPORARY TABLE {SCRATCH} (LIKE {table})")
        for name, check in checks.items():
            try:
                with connection.begin_nested():
                    statement = f"ALTER TABLE {SCRATCH} ADD CONSTRAINT {name} CHECK ({in_sql(check.sqltext)})"
                    connection.exec_driver_sql(statement, execution_options=plain)
            except DBAPIError:
                continue
        said = _expressions(connection, SCRATCH)
        scratch.rollback()
    return said
