"""How an error is described to the gate."""

from types import SimpleNamespace
from typing import Any

import pytest

from app.gate.driver.overproof_driver.errors import DatabaseError, call_projects, describe_failure, is_defect_of_ours


class RefusedByPostgres(Exception):
    """As psycopg2 raises it."""

    def __init__(self, message: str, pgcode: str, **fields: str) -> None:
        super().__init__(message)
        self.pgcode = pgcode
        self.diag = SimpleNamespace(**fields)


def wrapped(original: Exception, statement: str = "ALTER …") -> Any:
    """As SQLAlchemy raises it."""
    error: Any = Exception("(psycopg2) …")
    error.orig, error.statement = original, statement
    return error


class RefusedByPg8000(Exception):
    """As pg8000 raises it."""

    __module__ = "pg8000.exceptions"


def test_an_error_of_pg8000_has_its_words_in_a_dictionary():
    fields = {
        "S": "ERROR",
        "C": "23502",
        "M": "no\nmore",
        "s": "public",
        "t": "orders",
        "c": "note",
        "D": "x",
        "H": "y",
    }

    failure = describe_failure(wrapped(RefusedByPg8000(fields)), None, None)

    assert failure == {
        "error": "pg8000.exceptions.RefusedByPg8000",
        "message": "no",
        "sqlstate": "23502",
        "sql": "ALTER …",
        "line": None,
        "table": "public.orders",
        "column": "note",
        "detail": "x",
        "hint": "y",
    }


def test_the_database_s_error_is_taken_out_of_sqlalchemy_s():
    original = RefusedByPostgres(
        "no\nDETAIL: x", "23502", schema_name="public", table_name="orders", column_name="note"
    )

    failure = describe_failure(wrapped(original), None, None)

    assert failure == {
        "error": f"{__name__}.RefusedByPostgres",
        "message": "no",
        "sqlstate": "23502",
        "sql": "ALTER …",
        "line": None,
        "table": "public.orders",
        "column": "note",
    }


def test_the_database_s_error_is_taken_out_of_another_library_s():
    error: Any = ValueError("in between")
    error.inner_exception = SimpleNamespace(inner_exception=wrapped(RefusedByPostgres("no", "42P01")))

    assert describe_failure(error, None, None)["sqlstate"] == "42P01"


def test_of_an_aborted_transaction_the_first_error_is_described():
    first = DatabaseError(RefusedByPostgres("the cause", "42P01"), "SELECT nonsense", 7)

    failure = describe_failure(wrapped(RefusedByPostgres("aborted", "25P02")), None, first)

    assert (failure["message"], failure["sql"], failure["line"]) == ("the cause", "SELECT nonsense", 7)
    assert describe_failure(ValueError("another"), None, first)["message"] == "another"


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (SystemExit(3), "the script called sys.exit(3)"),
        (ValueError(), "ValueError"),
        (ValueError("<object at 0x7f91fd51fbd0>"), "<object>"),
    ],
)
def test_a_message_is_one_line(error, message):
    assert describe_failure(error, None, None)["message"] == message


def test_the_line_is_that_of_the_script():
    with pytest.raises(ZeroDivisionError) as raised:
        1 / 0  # noqa: B018

    line = describe_failure(raised.value, __file__, None)["line"]

    assert line == test_the_line_is_that_of_the_script.__code__.co_firstlineno + 2
    assert describe_failure(raised.value, "/another.py", None)["line"] is None


def needs_no_arguments() -> None:
    """As `def downgrade():` where env.py calls `run_migrations(prefix="")`."""


@pytest.mark.parametrize("function", [needs_no_arguments, 5, None, len])
def test_what_cannot_be_called_so_is_a_failure_of_the_script(function):
    with pytest.raises(TypeError) as raised:
        call_projects(function, prefix="")

    assert not is_defect_of_ours(raised.value)


def test_an_error_of_a_script_is_no_defect_of_the_driver():
    with pytest.raises(TypeError) as in_a_script:
        "1" + 1  # type: ignore[operator]  # noqa: B018
    with pytest.raises(AttributeError) as in_the_driver:
        describe_failure(None, "x", None)  # type: ignore[arg-type]

    assert not is_defect_of_ours(in_a_script.value)
    assert is_defect_of_ours(in_the_driver.value)


def test_what_postgres_says_beyond_its_message_is_kept_whichever_driver_raised_it():
    said = {"detail": "Key (id)=(1) exists.", "hint": "Try another.", "context": "SQL statement …"}
    of_psycopg = RefusedByPostgres(
        "no", "23505", message_detail=said["detail"], message_hint=said["hint"], context=said["context"]
    )
    of_asyncpg: Any = Exception("no")
    of_asyncpg.sqlstate = "23505"
    of_asyncpg.__dict__.update(said)

    for error in (of_psycopg, of_asyncpg):
        failure = describe_failure(error, None, None)
        assert {name: failure[name] for name in said} == said  # type: ignore[literal-required]


def test_what_another_library_says_is_not_postgres_s():
    error: Any = ValueError("no")
    error.detail = "a detail of its own"

    assert "detail" not in describe_failure(error, None, None)


def test_of_an_error_without_words_it_is_said_where_it_was_raised():
    with pytest.raises(AssertionError) as raised:
        _assert_something(False)
    wordless = AssertionError().with_traceback(raised.value.__traceback__)

    failure = describe_failure(wordless, "/versions/a1.py", None)

    assert failure["message"] == f"`assert is_right`, in {__name__}._assert_something"
    assert failure["raised_in"] == f"{__name__}._assert_something"


def test_of_an_error_that_the_script_raises_the_line_says_where():
    with pytest.raises(AssertionError) as raised:
        _assert_something(False)
    wordless = AssertionError().with_traceback(raised.value.__traceback__)

    assert describe_failure(wordless, __file__, None)["message"] == "AssertionError"


def _assert_something(is_right: bool) -> None:
    assert is_right


@pytest.mark.parametrize(("paramstyle", "shown"), [("pyformat", "LIKE '5%'"), ("numeric_dollar", "LIKE '5%%'")])
def test_a_percent_sign_is_shown_as_the_database_got_it(paramstyle, shown):
    error = wrapped(RefusedByPostgres("no", "42P01"), "LIKE '5%%'")

    assert describe_failure(error, None, None, paramstyle)["sql"] == shown
