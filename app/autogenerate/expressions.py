"""SQL expressions of the models (defaults, CHECKs, indexes), as a script says them."""

from __future__ import annotations

import re
from typing import Any

from alembic.ddl.postgresql import PostgresqlImpl
from sqlalchemy.sql import ClauseElement

from app.autogenerate.types import POSTGRESQL


def for_text(statement: str) -> str:
    """`sa.text`, and whatever takes a string like it, reads a colon before a word as a parameter; not one of two."""
    return re.sub(r"(?<![:\w\\]):(?=\w)", r"\\:", statement)


def in_sql(expression: ClauseElement) -> str:
    """With its values in it, and columns by their names alone."""
    options = {"literal_binds": True, "include_table": False}
    return str(expression.compile(dialect=POSTGRESQL, compile_kwargs=options))


class ScriptImpl(PostgresqlImpl):
    """Alembic takes the class that was defined last for a system. Its own writes each % twice, as a driver needs it,
    and a colon as it is; the script then stores LIKE '%%', and stops at the colon."""

    __dialect__ = "postgresql"

    def render_ddl_sql_expr(
        self, expr: ClauseElement, is_server_default: bool = False, is_index: bool = False, **kw: Any
    ) -> str:
        if is_index:  # written as a literal_column, which reads nothing into it
            return super().render_ddl_sql_expr(expr, is_index=True, **kw).replace("%%", "%")
        return for_text(in_sql(expr))
