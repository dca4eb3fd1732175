"""Makes `alembic revision --autogenerate` write scripts that run without edits, and that do not depend on the models.

By default, for a change of a SQLModel class, Alembic

- writes the types of SQLModel and of the application, so that the meaning of a script changes when those change
  (`types.py`: a column has the type that PostgreSQL will see, and a script imports only Alembic and SQLAlchemy);
- never creates the type of an added enum column, never drops the type of a removed one, and does not detect added or
  removed labels (`enums.py`: a statement for each, in the right order, and its downgrade);
- adds a NOT NULL column without the model's default, which fails on a table with rows, and changes a column's type
  without the USING clause that PostgreSQL requires where it has no implicit cast (`columns.py`);
- doubles each % of an expression, and leaves a colon that SQLAlchemy would read as a parameter (`expressions.py`);
- does not compare CHECK constraints, or only their names (`checks.py`: compares their expressions as PostgreSQL
  prints them).

`migrations/env.py` passes `OPTIONS` to Alembic. They are used when a script is written or compared, never when one
runs: a script imports nothing of the application.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from alembic.autogenerate.api import AutogenContext
from alembic.operations import ops
from alembic.runtime.migration import MigrationContext
from alembic.runtime.plugins import Plugin
from alembic.util import DispatchPriority, PriorityDispatchResult

from app.autogenerate import checks, columns, enums, types

PLUGIN = "app.autogenerate"


def complete(context: AutogenContext, upgrade: ops.UpgradeOps) -> PriorityDispatchResult:
    """Adds what Alembic omits. Runs after its own comparisons; the downgrade is derived from the result."""
    enums.complete(context, upgrade)
    columns.complete(context, upgrade)
    return PriorityDispatchResult.CONTINUE


def render_item(kind: str, item: Any, context: AutogenContext) -> str | bool | None:
    """How a script writes a part of a table. None: not at all. False: as Alembic writes it."""
    if kind == "type":
        return types.render_type(item, context)
    if kind == "check":
        return checks.render_check(item, context)
    return False


def write_nothing_if_nothing_changed(
    context: MigrationContext, revision: str | Iterable[str | None], scripts: list[ops.MigrationScript]
) -> None:
    """Alembic would write an empty script."""
    environment = context.environment_context
    if environment is None or not scripts or not all(each.is_empty() for each in scripts[0].upgrade_ops_list):
        return
    # `alembic check` calls this as well, and takes an empty list of scripts for an error.
    command = context.opts["revision_context"].command_args
    if command["message"] is not None or getattr(environment.config.cmd_opts, "autogenerate", False):
        scripts.clear()
        environment.config.print_stdout("The database matches the models, so no script was written.")


plugin = Plugin(PLUGIN)
plugin.add_autogenerate_comparator(checks.compare_expressions, "table", "checks")
plugin.add_autogenerate_comparator(complete, "autogenerate", priority=DispatchPriority.LAST)

OPTIONS: dict[str, Any] = {
    "compare_type": types.compare_type,
    "compare_server_default": True,
    "include_object": checks.include_object,
    "render_item": render_item,
    "process_revision_directives": write_nothing_if_nothing_changed,
    "autogenerate_plugins": ["alembic.autogenerate.*", "alembic.ext.checkconstraint_byname", PLUGIN],
}
