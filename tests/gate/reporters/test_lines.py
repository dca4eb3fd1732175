"""Lines of plain text, and what language a piece of code is."""

from __future__ import annotations

import pytest

from app.gate.reporters._lines import paragraphs, verbatim, wrapped
from app.gate.reporters._paragraphs import language_of, runs_of, without_indent


@pytest.mark.parametrize(
    ("text", "width", "lines"),
    [
        ("  a = 1", 40, ["| " + "  a = 1"]),
        ("\ta  ", 40, ["|     a"]),
        ("", 40, ["|"]),
        ("   ", 40, ["|"]),
        ("  one two", 9, ["|   one", "|       two"]),
        ("            one two", 18, ["|       one two"]),
        ("x" * 30, 10, ["| " + "x" * 30]),
        ("one-two three", 9, ["| one-two", "|     three"]),
    ],
)
def test_a_line_of_code_keeps_its_indentation_and_goes_on_further_in(text: str, width: int, lines: list[str]) -> None:
    assert [line.text for line in verbatim(text, "| ", width, "dim")] == lines
    assert {line.style for line in verbatim(text, "| ", width, "dim")} == {"dim"}


def test_prose_is_wrapped_between_words() -> None:
    assert [line.text for line in wrapped("one two-three four", "  ", 8)] == ["  one", "  two-three", "  four"]
    assert [line.text for line in wrapped("one two", "a: ", 6, hanging="   ")] == ["a: one", "   two"]
    assert [line.text for line in wrapped("x" * 20, "", 8, "bold")] == ["x" * 20]
    assert list(wrapped("", "  ", 8)) == []


def test_code_between_prose_may_be_left_out() -> None:
    text = "Do\nthis: so:\n\n    a()\n\tb()  \n\nThen\nthat:"

    with_code, without = ([line.text for line in paragraphs(text, "  ", 80, with_code=each)] for each in (True, False))

    assert with_code == ["  Do this: so:", "      a()", "      b()", "  Then that:"]
    assert without == ["  Do this: so.", "  Then that."]


@pytest.mark.parametrize(
    ("lines", "runs"),
    [
        (["a", "b", "", "c"], [(False, "a b"), (False, " c")]),
        (["a:", "", "    x", "", "    y", "", "b"], [(False, "a:"), (True, "    x      y "), (False, "b")]),
        (["    x", "a", "    y"], [(True, "    x"), (False, "a"), (True, "    y")]),
        (["", "", "a", ""], [(False, " a")]),
        (["   ", ""], []),
        (["a", "  "], [(False, "a")]),
    ],
)
def test_code_goes_on_over_blank_lines_and_prose_does_not(lines: list[str], runs: list[tuple[bool, str]]) -> None:
    assert [(is_code, " ".join(run)) for is_code, run in runs_of(lines)] == runs


def test_four_blanks_are_the_indentation_of_code() -> None:
    assert without_indent(["    a", "        b", "  c", ""]) == "a\n    b\n  c\n"


@pytest.mark.parametrize(
    ("text", "language"),
    [
        ("SELECT 1", "sql"), (" -- why", "sql"), ("with x as (select 1)", "sql"), ("truncate t", "sql"), ("SELECTED", ""),
        ("with op.get_context().autocommit_block():", "python"), ("alembic upgrade head", "console"), ("$ git log", "console"),
        ("python x", "console"), ("python3 x", "console"), ("gitx y", ""), ("# overproof: allow", "python"), ("@decorated", "python"),
        ("op.execute()", "python"), ("async def f():", "python"), ("def f():", "python"), ("x = 'a'", "python"), ("x = Nothing", "python"),
        ("x = 1", ""), ("for each in all:", "python"), ("import os", "python"), ("words", ""), ("", ""),
    ],
)  # fmt: skip
def test_the_language_of_code_is_told_by_its_beginning(text: str, language: str) -> None:
    assert language_of(text) == language
