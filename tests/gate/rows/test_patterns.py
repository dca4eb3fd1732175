"""Texts that match patterns."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.gate.rows._patterns import like, regular


@pytest.mark.parametrize(
    "pattern",
    [
        "^[A-Z]{3}-\\d+$",
        "^[a-z0-9]+(?:-[a-z0-9]+)*$",
        "^(GET|POST|PUT)$",
        "^\\+?[1-9]\\d{1,14}$",
        "^#[0-9a-fA-F]{6}$",
        "^https?://[^/ ]+/",
        "^[^@\\s]+@[^@\\s]+\\.[^@\\s]+$",
        "^[a-z]{2}(_[A-Z]{2})?$",
        "^\\S+$",
        "a|b|c",
        "^v\\d+\\.\\d+\\.\\d+$",
        "^[\\w.-]+$",
        "^(a(b|c)){2,3}?$",
        "x",
        "",
        "^[]a]$",
    ],
)
def test_a_pattern_as_it_stands_in_checks_is_matched_in_several_ways(pattern: str) -> None:
    texts = [regular(pattern, number) for number in range(4)]

    assert all(text is not None and re.search(pattern, text) for text in texts), texts


def test_different_numbers_give_different_texts() -> None:
    assert len({regular("^[A-Z]{3}$", number) for number in range(100)}) == 100


@pytest.mark.parametrize("pattern", ["(?=a)b", "(a)\\1", "[a", "(a", "a{", "*", "a{x}", "(?<n>a)"])
def test_what_is_not_understood_is_left_alone(pattern: str) -> None:
    assert regular(pattern, 0) is None


@pytest.mark.parametrize("pattern", ["[[:alpha:]]+", "[[:digit:]]{4}", "\\m[[:upper:]]\\M"])
def test_classes_of_posix_are_understood(pattern: str) -> None:
    assert regular(pattern, 0)


@given(st.text(alphabet="ab01()[]{}*+?|^$.\\-,:dw", max_size=12), st.integers(0, 1000))
def test_no_pattern_is_too_strange(pattern: str, number: int) -> None:
    text = regular(pattern, number)

    assert text is None or len(text) <= 300


@given(st.text(alphabet="ab%_\\", max_size=8), st.integers(0, 9))
def test_a_like_pattern_is_matched(pattern: str, number: int) -> None:
    pieces = re.findall(r"\\.|[^\\]", pattern)
    expression = "".join({"%": ".*", "_": "."}.get(piece, re.escape(piece[-1])) for piece in pieces)

    assert re.fullmatch(expression, like("".join(pieces), number))
