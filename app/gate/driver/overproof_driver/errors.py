"""What went wrong, as the gate reports it."""

from __future__ import annotations

import os
import re
import traceback
from typing import TYPE_CHECKING, Any, Callable, NamedTuple

from .naming import undoubled

if TYPE_CHECKING:
    from . import protocol


class CommitInRollbackOnly(BaseException):
    """A step that is to be rolled back wants to commit. Not an Exception, so that no script swallows it."""


class Stopped(BaseException):
    """A step is ended as if it were killed. Not an Exception, so that no script swallows it."""


class RightsMissing(BaseException):
    """A step is to be taken again, with a superuser's rights where it needs them. Not an Exception, so that no script
    swallows it."""


class DatabaseError(NamedTuple):
    """An error that the database raised in a step, whatever the script made of it."""

    error: BaseException
    statement: str | None
    line: int | None  # in the script


def describe_failure(
    error: BaseException, path: str | None, first: DatabaseError | None, paramstyle: str = "named"
) -> protocol.Failure:
    """What went wrong. `first` is the first database error of the step: a script may have swallowed that and
    continued. `paramstyle` is that of the driver which ran the statement."""
    line = line_of(error, path) if path else None
    error = _without_wrapping(error)
    statement = getattr(error, "statement", None)
    original: BaseException = getattr(error, "orig", None) or error
    if first is not None and sqlstate(original) == "25P02" and sqlstate(first.error) != "25P02":
        original, statement, line = first.error, first.statement, first.line or line
    is_adapted = "asyncpg" in type(original).__module__
    named = original.__cause__ if is_adapted and original.__cause__ else original
    failure: protocol.Failure = {
        "error": f"{type(named).__module__}.{type(named).__qualname__}".replace("builtins.", ""),
        "message": last_line(named) if isinstance(named, SystemExit) else first_line(named),
        "sqlstate": sqlstate(original),
        "sql": undoubled(str(statement), paramstyle)[:20000] if statement else None,
        "line": line,
        **error_fields(named),
    }
    if not str(named).strip() and not isinstance(named, SystemExit):
        _add_place(failure, named, path)
    return failure


def _add_place(failure: protocol.Failure, error: BaseException, path: str | None) -> None:
    """Where a library raised an error without words, which is all that is known of it."""
    frames = [frame for frame, _ in traceback.walk_tb(error.__traceback__)]
    if not frames or frames[-1].f_code.co_filename == path:
        return
    function = f"{frames[-1].f_globals.get('__name__')}.{frames[-1].f_code.co_name}"
    code = traceback.extract_tb(error.__traceback__)[-1].line
    failure["message"] = f"`{code}`, in {function}" if code else f"raised in {function}"
    failure["raised_in"] = function


def describe_noted(noted: DatabaseError) -> protocol.Failure:
    """An error after which the step continued."""
    failure = describe_failure(noted.error, None, None)
    failure["sql"] = noted.statement[:20000] if noted.statement else None
    failure["line"] = noted.line
    return failure


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
    return state or _fields_of_pg8000(error).get("C")


# How pg8000, whose errors have a dictionary in place of words, calls what others have as attributes: by the letters of
# PostgreSQL's protocol.
_LETTERS = {
    "schema_name": "s",
    "table_name": "t",
    "column_name": "c",
    "constraint_name": "n",
    "detail": "D",
    "hint": "H",
    "context": "W",
}


def _fields_of_pg8000(error: BaseException) -> dict[str, str]:
    given = error.args[0] if getattr(error, "args", ()) else None
    return given if isinstance(given, dict) and type(error).__module__.startswith("pg8000") else {}


def error_fields(error: BaseException) -> protocol.ErrorFields:
    """{"table": "public.orders", "column": "note", "hint": "…"}:
    https://www.postgresql.org/docs/current/protocol-error-fields.html

    psycopg2 and psycopg have them in `diag`, asyncpg in the error itself, pg8000 in its argument.
    """
    diag, letters = getattr(error, "diag", None), _fields_of_pg8000(error)
    fields: protocol.ErrorFields = {}
    if diag is None and sqlstate(error) is None:
        return fields  # not PostgreSQL's: another library's errors may have a `detail`, too

    def text(name: str) -> str:
        value = letters.get(_LETTERS[name]) if letters else getattr(error if diag is None else diag, name, None)
        return value[:_LONGEST_FIELD] if isinstance(value, str) else ""

    if schema := text("schema_name"):
        if table := text("table_name"):
            fields["table"] = f"{schema}.{table}"
        if column := text("column_name"):
            fields["column"] = column
        if constraint := text("constraint_name"):
            fields["constraint"] = constraint
    if detail := text("detail" if diag is None else "message_detail"):
        fields["detail"] = detail
    if hint := text("hint" if diag is None else "message_hint"):
        fields["hint"] = hint
    if context := text("context"):
        fields["context"] = context
    return fields


_LONGEST_FIELD = 4000


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
    said = _fields_of_pg8000(error).get("M") or str(error)
    text = (said.strip().splitlines() or [type(error).__name__])[0][:2000]
    return _ADDRESS.sub("", text)


def last_line(error: BaseException) -> str:
    """The error as the last line of a traceback shows it."""
    if isinstance(error, SystemExit):
        return f"the script called sys.exit({error.code!r})"
    return f"{type(error).__name__}: {first_line(error)}"
