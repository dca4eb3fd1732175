"""What went wrong, as the gate reports it."""

from __future__ import annotations

import os
import re
import traceback
from typing import TYPE_CHECKING, Any, Callable, NamedTuple

if TYPE_CHECKING:
    from . import protocol


class CommitInRollbackOnly(BaseException):
    """A step that is to be rolled back wants to commit. Not an Exception, so that no script swallows it."""


class Stopped(BaseException):
    """A step is ended as if it were killed. Not an Exception, so that no script swallows it."""


class DatabaseError(NamedTuple):
    """An error that the database raised in a step, whatever the script made of it."""

    error: BaseException
    statement: str | None
    line: int | None  # in the script


def describe_failure(error: BaseException, path: str | None, first: DatabaseError | None) -> protocol.Failure:
    """What went wrong. `first` is the first database error of the step: a script may have swallowed that and
    continued."""
    line = line_of(error, path) if path else None
    error = _without_wrapping(error)
    statement = getattr(error, "statement", None)
    original: BaseException = getattr(error, "orig", None) or error
    if first is not None and sqlstate(original) == "25P02" and sqlstate(first.error) != "25P02":
        original, statement, line = first.error, first.statement, first.line or line
    is_adapted = "asyncpg" in type(original).__module__
    named = original.__cause__ if is_adapted and original.__cause__ else original
    return {
        "error": f"{type(named).__module__}.{type(named).__qualname__}".replace("builtins.", ""),
        "message": last_line(named) if isinstance(named, SystemExit) else first_line(named),
        "sqlstate": sqlstate(original),
        "sql": str(statement)[:20000] if statement else None,
        "line": line,
        **named_objects(named),
    }


def line_of(error: BaseException, path: str) -> int | None:
    """The line of the script at that path in which the error arose, or None."""
    line = None
    for frame in traceback.extract_tb(error.__traceback__):
        if frame.filename == path:
            line = frame.lineno
    return line


def sqlstate(error: Any) -> str | None:
    """The five characters by which PostgreSQL names the error, whichever driver raised it."""
    state: str | None = getattr(error, "pgcode", None) or getattr(error, "sqlstate", None)
    return state


def named_objects(error: BaseException) -> protocol.NamedObjects:
    """{"table": "public.orders", "column": "note"}:
    https://www.postgresql.org/docs/current/protocol-error-fields.html"""
    fields = getattr(error, "diag", error)
    schema, table, column, constraint = (
        getattr(fields, name + "_name", None) for name in ("schema", "table", "column", "constraint")
    )
    names: protocol.NamedObjects = {}
    if not schema or not isinstance(schema, str):
        return names
    if table and isinstance(table, str):
        names["table"] = f"{schema}.{table}"
    if column and isinstance(column, str):
        names["column"] = column
    if constraint and isinstance(constraint, str):
        names["constraint"] = constraint
    return names


def call_projects(function: Callable[..., Any], **arguments: Any) -> None:
    """Call a function of the project's. One that does not take the arguments, or is no function, fails right here."""
    function(**arguments)


def is_defect_of_ours(error: BaseException) -> bool:
    """Whether it is a defect of the driver: raised in its own files, and neither by the database nor by a call of the
    project's."""
    if not isinstance(error, (AttributeError, IndexError, KeyError, NameError, TypeError, ValueError)):
        return False
    frames = traceback.extract_tb(error.__traceback__)
    if not frames or frames[-1].name == call_projects.__name__:
        return False
    return os.path.dirname(frames[-1].filename) == os.path.dirname(__file__)


def _without_wrapping(error: BaseException) -> BaseException:
    """The database's error, where a library (oslo.db) has put it into another."""
    wrapped: BaseException | None = getattr(error, "inner_exception", None)
    while wrapped is not None:
        if sqlstate(getattr(wrapped, "orig", None) or wrapped):
            return wrapped
        wrapped = getattr(wrapped, "inner_exception", None)
    return error


_ADDRESS = re.compile(r" at 0x[0-9a-f]{6,}(?=>)")  # of an object that has no better name for itself


def first_line(error: BaseException) -> str:
    """The first line of the error's text, or its class if it has no text."""
    text = (str(error).strip().splitlines() or [type(error).__name__])[0][:2000]
    return _ADDRESS.sub("", text)


def last_line(error: BaseException) -> str:
    """The error as the last line of a traceback shows it."""
    if isinstance(error, SystemExit):
        return f"the script called sys.exit({error.code!r})"
    return f"{type(error).__name__}: {first_line(error)}"
