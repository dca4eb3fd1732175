"""How an error is described to the gate."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from app.gate.driver.overproof_driver import errors
from app.gate.driver.overproof_driver.errors import (
    DatabaseError,
    call_projects,
    describe_failure,
    describe_noted,
    error_fields,
    is_defect_of_ours,
    last_line,
    line_of,
    sqlstate,
)


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
        "n": "ck_note",
        "D": "x",
        "H": "y",
        "W": "z",
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
        "constraint": "ck_note",
        "detail": "x",
        "hint": "y",
        "context": "z",
    }
    assert sqlstate(RefusedByPg8000("no")) is None
    assert sqlstate(RefusedByPg8000()) is None
    assert sqlstate(RefusedByPg8000({"C": "23502"}, "more")) == "23502"


def test_only_the_dictionary_of_pg8000_is_one_of_fields():
    failure = describe_failure(ValueError({"C": "23502", "M": "no"}), None, None)

    assert (failure["error"], failure["message"], failure["sqlstate"]) == (
        "ValueError",
        "{'C': '23502', 'M': 'no'}",
        None,
    )
    assert failure["sql"] is None


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


def test_an_error_within_another_is_left_there_unless_it_is_the_database_s():
    error: Any = ValueError("in between")
    error.inner_exception = OSError("no")

    assert describe_failure(error, None, None)["message"] == "in between"
    error.inner_exception = RefusedByPostgres("no", "42P01")
    assert describe_failure(error, None, None)["message"] == "no"


class AdaptedByAsyncpg(Exception):
    """As SQLAlchemy's adapter for asyncpg raises it, from asyncpg's own."""

    __module__ = "sqlalchemy.dialects.postgresql.asyncpg"
    sqlstate = "42P01"


class AdaptedOtherwise(AdaptedByAsyncpg):
    __module__ = "another"


@pytest.mark.parametrize(
    ("kind", "has_cause", "told"),
    [
        (AdaptedByAsyncpg, True, ("LookupError", "the cause")),
        (AdaptedByAsyncpg, False, ("sqlalchemy.dialects.postgresql.asyncpg.AdaptedByAsyncpg", "adapted")),
        (AdaptedOtherwise, True, ("another.AdaptedOtherwise", "adapted")),
    ],
)
def test_asyncpg_s_own_error_is_the_cause_of_the_one_that_is_adapted(kind, has_cause, told):
    error = kind("adapted")
    error.__cause__ = LookupError("the cause") if has_cause else None

    failure = describe_failure(wrapped(error), None, None)

    assert (failure["error"], failure["message"]) == told
    assert failure["sqlstate"] == "42P01"


def test_of_an_aborted_transaction_the_first_error_is_described():
    first = DatabaseError(RefusedByPostgres("the cause", "42P01"), "SELECT nonsense", 7)

    failure = describe_failure(wrapped(RefusedByPostgres("aborted", "25P02")), None, first)

    assert (failure["message"], failure["sql"], failure["line"]) == ("the cause", "SELECT nonsense", 7)
    assert describe_failure(ValueError("another"), None, first)["message"] == "another"


def test_where_the_first_error_is_that_of_an_aborted_transaction_the_last_is_described():
    aborted = DatabaseError(RefusedByPostgres("first", "25P02"), "SELECT 1", 7)

    failure = describe_failure(wrapped(RefusedByPostgres("last", "25P02")), None, aborted)

    assert (failure["message"], failure["line"]) == ("last", None)


def test_the_line_is_that_of_the_last_error_where_that_of_the_first_is_not_known():
    with pytest.raises(Exception) as raised:
        raise wrapped(RefusedByPostgres("aborted", "25P02"))
    line = line_of(raised.value, __file__)

    assert isinstance(line, int)
    for first, expected in ((None, line), (7, 7)):
        noted = DatabaseError(RefusedByPostgres("the cause", "42P01"), None, first)
        failure = describe_failure(raised.value, __file__, noted)
        assert (failure["message"], failure["sql"], failure["line"]) == ("the cause", None, expected)


def test_an_error_after_which_the_step_continued_is_described_with_its_statement_and_its_line():
    error = RefusedByPostgres("no\nmore", "42P01")

    noted = describe_noted(DatabaseError(error, "LIKE '5%%'", 7))

    assert (noted["message"], noted["sqlstate"], noted["sql"], noted["line"]) == ("no", "42P01", "LIKE '5%%'", 7)
    assert describe_noted(DatabaseError(error, None, None))["sql"] is None


def test_what_is_long_is_cut():
    error = RefusedByPostgres("m" * 3000, "42P01", message_detail="d" * 5000)
    long = "s" * 30000

    failure = describe_failure(wrapped(error, long), None, None)

    assert (failure["message"], failure["detail"], failure["sql"]) == ("m" * 2000, "d" * 4000, "s" * 20000)
    assert describe_noted(DatabaseError(error, long, 1))["sql"] == "s" * 20000


def test_fields_are_those_that_are_texts_and_a_table_has_its_schema():
    assert error_fields(RefusedByPostgres("no", "1", table_name="orders", constraint_name="c", column_name="x")) == {}
    assert error_fields(
        RefusedByPostgres("no", "1", schema_name="shop", table_name=None, constraint_name="c", context=5)  # type: ignore[arg-type]
    ) == {"constraint": "c"}
    assert error_fields(RefusedByPostgres("no", "", message_hint="h")) == {"hint": "h"}


def test_an_error_as_the_last_line_of_a_traceback():
    assert last_line(ValueError("a\nb")) == "ValueError: a"
    assert last_line(ValueError()) == "ValueError: ValueError"
    assert last_line(SystemExit("x")) == "the script called sys.exit('x')"


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (SystemExit(3), "the script called sys.exit(3)"),
        (SystemExit(), "the script called sys.exit(None)"),
        (ValueError(" \n"), "ValueError"),
        (ValueError("\n a\nb"), "a"),
        (ValueError("at 0x7f91fd51fbd0"), "at 0x7f91fd51fbd0"),
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
    with pytest.raises(AssertionError) as inner:
        _assert_something(False)
    assert line_of(inner.value, __file__) == _assert_something.__code__.co_firstlineno + 1


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


@pytest.mark.parametrize(
    ("error", "file", "is_ours"),
    [
        ("AttributeError", "steps.py", True),
        ("IndexError", "steps.py", True),
        ("KeyError", "steps.py", True),
        ("NameError", "steps.py", True),
        ("TypeError", "steps.py", True),
        ("ValueError", "steps.py", True),
        ("RuntimeError", "steps.py", False),
        ("ValueError", "../steps.py", False),
        ("ValueError", "deeper/steps.py", False),
    ],
)
def test_a_defect_of_the_driver_is_a_slip_in_one_of_its_files(error, file, is_ours):
    code = compile(f"raise {error}", str(Path(errors.__file__).parent / file), "exec")
    with pytest.raises(Exception) as raised:
        exec(code)

    assert is_defect_of_ours(raised.value) is is_ours
    assert not is_defect_of_ours(raised.value.with_traceback(None))


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


def test_of_an_error_without_words_in_code_that_is_not_there_the_function_is_told():
    namespace: dict[str, Any] = {"__name__": "shop.models"}
    exec(compile("def load():\n    raise ValueError", "/nowhere/models.py", "exec"), namespace)
    with pytest.raises(ValueError) as raised:
        namespace["load"]()

    failure = describe_failure(raised.value, "/versions/a1.py", None)

    assert (failure["message"], failure["raised_in"]) == ("raised in shop.models.load", "shop.models.load")
    assert describe_failure(raised.value, __file__, None)["message"] == "raised in shop.models.load"
    with_words = ValueError("no").with_traceback(raised.value.__traceback__)
    assert describe_failure(with_words, "/versions/a1.py", None)["message"] == "no"
    exit_of_script = SystemExit().with_traceback(raised.value.__traceback__)
    assert describe_failure(exit_of_script, "/versions/a1.py", None)["message"] == "the script called sys.exit(None)"


def _assert_something(is_right: bool) -> None:
    assert is_right


@pytest.mark.parametrize(("paramstyle", "shown"), [("pyformat", "LIKE '5%'"), ("numeric_dollar", "LIKE '5%%'")])
def test_a_percent_sign_is_shown_as_the_database_got_it(paramstyle, shown):
    error = wrapped(RefusedByPostgres("no", "42P01"), "LIKE '5%%'")

    assert describe_failure(error, None, None, paramstyle)["sql"] == shown
