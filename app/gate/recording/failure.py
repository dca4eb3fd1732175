"""Why something failed, with what PostgreSQL said."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Failure:
    """Why a step, or another attempt, failed."""

    error: str  # "psycopg2.errors.UndefinedTable", "NotImplementedError", "Timeout"
    message: str  # its first line, e.g. 'relation "users" does not exist'
    sqlstate: str | None = None
    sql: str | None = None  # the statement at fault, if one was running
    line: int | None = None  # in the revision's script
    revision: str | None = None  # if the attempt spans several of them
    # The fields of PostgreSQL's message: https://www.postgresql.org/docs/current/protocol-error-fields.html
    table: str | None = None  # "public.orders"
    column: str | None = None
    constraint: str | None = None  # or an index
    detail: str | None = None
    hint: str | None = None
    context: str | None = None  # the statements and functions that were running, innermost first
    raised_in: str | None = None  # of an error without words: "alembic.runtime.migration.autocommit_block"
