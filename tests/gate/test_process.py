"""What a command's output says of why it ended."""

import pytest

from app.gate.process import last_line


@pytest.mark.parametrize(
    ("output", "told"),
    [
        ("one\ntwo\n\n", "two"),
        ("", ""),
        ("Traceback (most recent call last):\n  File \"x\"\nKeyError: 'url'\n", "KeyError: 'url'"),
        (
            "sqlalchemy.exc.ProgrammingError: (psycopg2.errors.UndefinedTable) no\n[SQL: SELECT 1]\n(Background on this error at: x)\n",
            "sqlalchemy.exc.ProgrammingError: (psycopg2.errors.UndefinedTable) no",
        ),
        ("12:00 1 ERROR shop Traceback\n12:00 1 ERROR shop ValueError: no\n12:00 1 ERROR shop\n", "ValueError: no"),
        (
            "ERROR: (psycopg2.errors.UniqueViolation) no\nDETAIL:  Key\n\n[SQL: CREATE]\n(Background on this error at: x)\n",
            "(psycopg2.errors.UniqueViolation) no",
        ),
        (
            "Traceback:\npydantic_core.ValidationError: 1 validation error for Settings\nsecret\n  Field required\n",
            "pydantic_core.ValidationError: 1 validation error for Settings secret Field required",
        ),
        ("2026-11-22 11:01:20.611 27943 ERROR shop [-] no table\n", "ERROR shop [-] no table"),
        ("[12:00:01] no table\n", "no table"),
        ("FAILED: Can't locate revision identified by 'x'\n", "FAILED: Can't locate revision identified by 'x'"),
        ("x" * 900, "x" * 500),
    ],
)
def test_the_line_that_says_what_happened_is_told(output: str, told: str) -> None:
    assert last_line(output) == told
