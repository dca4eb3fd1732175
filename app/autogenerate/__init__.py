"""Makes `alembic revision --autogenerate` write scripts that run as they stand, and that stay true.

Alembic by itself, asked to write a script for a change of a SQLModel class,

- names the types of SQLModel and of the application, so that a script means something else when those change
  (`types.py`: a column has the type that PostgreSQL will see, and a script imports only Alembic and SQLAlchemy);
- never creates the type of an enum column that is added, never drops the type of one that goes, and does not notice
  a label that comes or goes (`enums.py`: a statement for each, in the right order, with its way back);
- adds a NOT NULL column in a way that fails on the first table with rows, though the model knows a default, and
  changes a column's type in a way that PostgreSQL refuses where it knows no cast to take by itself (`columns.py`);
- doubles each % of an expression, and lets a colon stand where it means a parameter (`expressions.py`);
- does not compare CHECKs, and if asked to, their names alone (`checks.py`: what they say, in PostgreSQL's words).

`migrations/env.py` hands `OPTIONS` to Alembic. All this is used when a script is written or compared, never when one
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
    """Adds what Alembic left out. Runs after its own comparisons; the downgrade is derived from the result."""
    enums.complete(context, upgrade)
    columns.complete(context, upgrade)
    return PriorityDispatchResult.CONTINUE


def render_item(kind: str, item: Any, context: AutogenContext) -> str | bool | None:
    """How a script writes a part of a table. None: not at all. False: as Alembic does."""
    if kind == "type":
        return types.render_type(item, context)
    if kind == "check":
        return checks.render_check(item, context)
    return False


def write_nothing_if_nothing_changed(
    context: MigrationContext, revision: str | Iterable[str | None], scripts: list[ops.MigrationScript]
) -> None:
    """Alembic would write a script that does nothing."""
    environment = context.environment_context
    if environment is None or not scripts or not all(each.is_empty() for each in scripts[0].upgrade_ops_list):
        return
    # `alembic check` comes by here as well, and takes an empty list of scripts for an error.
    command = context.opts["revision_context"].command_args
    if command["message"] is not None or getattr(environment.config.cmd_opts, "autogenerate", False):
        scripts.clear()
        environment.config.print_stdout("The database is what the models say. There is nothing to write.")


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
