"""Lists, counts and amounts, as messages and reports write them."""

from __future__ import annotations

import pytest

from app.gate.wording import (
    bulleted,
    counted,
    duration,
    first_line,
    indented,
    listed,
    plural,
    readable_bytes,
    readable_number,
)


@pytest.mark.parametrize(
    ("items", "limit", "expected"),
    [
        ("", 3, ""),
        ("a", 3, "a"),
        ("ab", 3, "a and b"),
        ("abc", 3, "a, b and c"),
        ("abcd", 3, "a, b, c and d"),
        ("abcde", 3, "a, b, c and 2 more"),
        ("abcdef", 3, "a, b, c and 3 more"),
        ("abc", 1, "a and 2 more"),
        ("abcde", 9, "a, b, c, d and e"),
    ],
)
def test_a_list_is_a_part_of_a_sentence(items: str, limit: int, expected: str) -> None:
    assert listed(list(items), limit) == expected
    if limit == 3:
        assert listed(list(items)) == expected


def test_blocks_of_text() -> None:
    assert bulleted(["a", "b"]) == "- a\n- b"
    assert indented("def f():\n\n    pass\n") == "    def f():\n\n        pass"
    assert [first_line(text) for text in ("", " no. \nmore", "a. b..", "\n\nc")] == ["", "no", "a. b", "c"]


@pytest.mark.parametrize(
    ("number", "noun", "expected"),
    [
        (0, "row", "0 rows"), (1, "row", "1 row"), (2, "row", "2 rows"), (1, "default privileges", "1 default privileges"),
        (2, "default privileges", "2 default privileges"), (2, "dictionary", "2 dictionaries"), (2, "day", "2 days"),
    ],
)  # fmt: skip
def test_a_number_has_its_noun(number: int, noun: str, expected: str) -> None:
    assert counted(number, noun) == expected
    assert plural(noun) == (expected.partition(" ")[2] if number != 1 else plural(noun))


@pytest.mark.parametrize(
    ("number", "expected"),
    [
        (0, "0 bytes"), (999, "999 bytes"), (1000, "1 kB"), (1024, "1 kB"), (1536, "1.5 kB"), (10_239, "10 kB"), (10_240, "10 kB"),
        (999 * 1024, "999 kB"), (1000 * 1024, "1 MB"), (12 * 2**20, "12 MB"), (3 * 2**30, "3 GB"), (400 * 2**30, "400 GB"),
        (2 * 2**40, "2 TB"), (5000 * 2**40, "5,000 TB"),
    ],
)  # fmt: skip
def test_an_amount_of_bytes_has_its_unit(number: int, expected: str) -> None:
    assert readable_bytes(number) == expected


@pytest.mark.parametrize(
    ("number", "expected"),
    [
        (0, "0"), (999, "999"), (9_400, "9,400"), (9_999, "9,999"), (10_000, "10,000"), (10_499, "10,000"), (120_400, "120,000"),
        (999_499, "999,000"), (1_000_000, "1 million"), (1_234_567, "1.2 million"), (10_000_000, "10 million"),
        (400_000_000, "400 million"), (3_000_000_000, "3 billion"), (1_500_000_000_000, "1,500 billion"),
    ],
)  # fmt: skip
def test_a_number_of_rows_is_as_exact_as_it_is_known(number: int, expected: str) -> None:
    assert readable_number(number) == expected


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [
        (0, "0.0 ms"), (0.0032, "3.2 ms"), (0.01, "10 ms"), (0.9994, "999 ms"), (0.9995, "1 s"), (9, "9 s"), (9.9, "9.9 s"), (10, "10 s"), (119, "119 s"), (120, "2 min"), (7199, "120 min"),
        (7200, "2 h"), (172_799, "48 h"), (172_800, "2 days"), (1_000_000, "12 days"),
    ],
)  # fmt: skip
def test_a_duration_has_its_unit(seconds: float, expected: str) -> None:
    assert duration(seconds) == expected


def test_a_long_list_of_lines_says_how_many_more_there_are() -> None:
    assert bulleted(["a", "b"]) == bulleted(["a", "b"], 2) == "- a\n- b"
    assert bulleted(iter(["a", "b", "c"]), 2) == "- a\n- b\n- and 1 more"
    assert bulleted([], 2) == ""
