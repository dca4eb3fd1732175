from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given

from app.gate.reporters.escaping import one_line, shortened, visible, without_commands
from tests.gate.reporters.samples import ATTACKS
from tests.gate.reporters.strategies import texts


def is_workflow_command(line: str) -> bool:
    """As the runner of GitHub Actions reads a line of a job's output (src/Runner.Common/ActionCommand.cs)."""
    return line.lstrip().startswith("::") or "##[" in line


@given(texts)
def test_nothing_unseen_is_left_in_visible_text(text: str) -> None:
    categories = {unicodedata.category(character) for character in visible(text) if character not in "\n\t"}

    assert not categories & {"Cc", "Cs", "Zl", "Zp"}
    assert not set(visible(text)) & set("\u200b\u200e\u202a\u202e\u2066\u2069\ufeff")


def test_ordinary_text_of_any_language_stays_as_it_is() -> None:
    text = "Größe, 数据, данные, ‘quoted’ – 100 %\n\tCHECK (price > 0)"

    assert visible(text) == text


def test_an_escape_sequence_is_spelt_out() -> None:
    assert visible("\x1b[31mred") == r"\x1b[31mred"


def test_the_end_of_a_line_in_other_systems_is_a_line_feed() -> None:
    assert visible("a\r\nb") == "a\nb"


@given(texts)
def test_one_line_is_one_line(text: str) -> None:
    assert len(one_line(text).splitlines()) <= 1


@given(texts)
def test_no_line_of_output_is_a_workflow_command(text: str) -> None:
    output = without_commands(visible(text))

    assert not any(is_workflow_command(line) for line in output.split("\n"))


@pytest.mark.parametrize("attack", ATTACKS)
def test_only_lines_that_would_be_commands_are_changed(attack: str) -> None:
    output = visible(attack)

    if not any(is_workflow_command(line) for line in output.split("\n")):
        assert without_commands(output) == output


def test_a_command_has_a_backslash_before_it_and_is_the_same_behind_it() -> None:
    assert without_commands("a\n  ::error::x\n##[group]y :: z") == "a\n  \\::error::x\n##\\[group]y :: z"


def test_an_empty_line_at_the_ends_of_a_text_is_none_of_its_lines() -> None:
    assert shortened("\n\na\nb\n", 2) == "a\nb"
    assert shortened("abc", 1, columns=3) == "abc"
    assert shortened("x" * 2000, 1) == "x" * 2000
    assert shortened("x" * 2001, 1) == "x" * 2000 + "…"


def test_what_is_left_out_of_a_long_text_is_counted() -> None:
    assert shortened("a\nb\nc\nd", 2) == "a\nb\n… 2 more lines"
    assert shortened("a\nb\nc", 2) == "a\nb\n… 1 more line"
    assert shortened("abc", 2, columns=2) == "ab…"
