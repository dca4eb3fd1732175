"""SQL expressions of the models (defaults, CHECK constraints, indexes), as a script writes them."""

from __future__ import annotations

import re
from typing import Any

from alembic.ddl.postgresql import PostgresqlImpl
from sqlalchemy.sql import ClauseElement

from app.autogenerate.types import POSTGRESQL


def for_text(statement: str) -> str:
    """Escapes for `sa.text`, which reads a single colon before a word as a parameter."""
    return re.sub(r"(?<![:\w\\]):(?=\w)", r"\\:", statement)


def in_sql(expression: ClauseElement) -> str:
    """With literal values, and unqualified columns."""
    options = {"literal_binds": True, "include_table": False}
    return str(expression.compile(dialect=POSTGRESQL, compile_kwargs=options))


class ScriptImpl(PostgresqlImpl):
    """Alembic uses the class that was defined last for a dialect. Its own doubles each %, as a driver needs it, and
    does not escape a colon: the script would store LIKE '%%', and fail at the colon."""

    __dialect__ = "postgresql"

    def render_ddl_sql_expr(
        self, expr: ClauseElement, is_server_default: bool = False, is_index: bool = False, **kw: Any
    ) -> str:
        if is_index:  # written as a literal_column, which has no parameters
            return super().render_ddl_sql_expr(expr, is_index=True, **kw).replace("%%", "%")
        return for_text(in_sql(expr))
