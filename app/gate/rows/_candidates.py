"""What might satisfy a CHECK: candidates for a column, as expressions in SQL.

PostgreSQL decides which of them do. So only the constants of a condition are read here: candidates are equal to them,
next to them or between them, have the length that they state, or match their patterns.
"""

from __future__ import annotations

import itertools
import json
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace

from app.gate.rows import _patterns
from app.gate.rows._catalog import Type
from app.gate.rows._values import (
    LONGEST_TEXT,
    NoValue,
    Want,
    bytes_of,
    cast,
    limit_of,
    make_array,
    make_value,
    text_of,
    uuid_of,
)


def find_candidates(
    type_: Type, modifier: int, want: Want, expressions: Iterable[str], around: Iterable[str] = ()
) -> list[str]:
    """Expressions of the type below all domains, the likeliest first.

    They include the constants in `expressions`, of the column's CHECKs, and those in `around`, of CHECKs on the columns
    with which it is compared. Rows of different numbers begin with different ones. Raises NoValue.
    """
    found, below = type_.base, type_.base_modifier(modifier)
    made = [_value_or_none(found, below, want)]
    if want.is_extreme:
        made.append(_value_or_none(found, below, replace(want, is_extreme=False)))
    constants, compared = Constants.of(expressions), Constants.of(around)
    special = _special(found, below, want, constants)
    of_others = [*_apart(compared, found, want), *_special(found, below, want, compared)]
    turn = want.number % len(special) if special and found.category != "N" else 0  # numbers differ anyway
    made += special[turn:] + special[:turn]
    usual = _usual(found, below, want)
    made += [*usual, *of_others] if special else [*of_others, *usual]
    candidates = [each for each in dict.fromkeys(made) if each is not None]
    if not candidates:
        raise NoValue(found.sql)
    return candidates


def _value_or_none(found: Type, modifier: int, want: Want) -> str | None:
    try:
        return make_value(found, modifier, want)
    except NoValue:
        return None


def _special(found: Type, modifier: int, want: Want, constants: Constants) -> list[str]:
    """What the constants of a CHECK suggest."""
    if found.kind == "enum":
        return [cast(label, found) for label in found.labels]
    if found.kind == "array":
        return _arrays(found, modifier, want, constants)
    if found.kind == "range":
        return [f"'empty'::{found.sql}"]
    if found.category == "B":
        return ["true", "false"]
    if found.category == "N":
        return _numbers(constants.around(want), found)
    if found.category == "S":
        limit = limit_of(modifier, found)
        texts = [*constants.texts(want.number), *(text_of(want, length) for length in constants.lengths())]
        texts += constants.around(want) if constants.are_cast else []
        return [cast(text, found) for text in texts if limit is None or len(text) <= limit]
    if found.category in ("D", "T"):
        return [each for text in constants.strings for each in _around_a_time(text, found)]
    if found.name in ("json", "jsonb"):
        return [cast(json.dumps(each), found) for each in constants.documents()]
    if found.name == "bytea":
        return [bytes_of(want.text.encode().ljust(length, b".")[-length:]) for length in constants.lengths()]
    if found.name == "uuid":
        return [cast(text, found) for text in constants.strings if re.fullmatch(r"[0-9a-fA-F-]{36}", text)]
    return []


def _arrays(found: Type, modifier: int, want: Want, constants: Constants) -> list[str]:
    elements: list[str] = []
    if found.of is not None:
        elements = _special(found.of.base, found.of.base_modifier(modifier), want, constants)
    lengths = [
        make_array(found, modifier, [replace(want, number=want.number + step) for step in range(length)])
        for length in sorted({1, 3, *(each for each in constants.lengths() if each <= 20)})
    ]
    whole = [f"ARRAY[{', '.join(elements[:20])}]::{found.sql}"] if elements else []
    return [*(f"ARRAY[{each}]::{found.sql}" for each in elements[:10]), *lengths, f"ARRAY[]::{found.sql}", *whole]


def _usual(found: Type, modifier: int, want: Want) -> list[str]:
    """What CHECKs often demand without naming it in a constant."""
    if found.category == "N":
        return _numbers([str(each) for each in (want.number + 1, 1, 0, 10, 50, 100, 0.5, -1, 2020)], found)
    if found.category == "S":
        limit = limit_of(modifier, found)
        number, word = want.number + 1, want.word
        texts = [
            f"{word}-{number}".upper(), f"{word.replace('-', '_')}_{number}", f"{word}-{number}@example.org",
            f"https://example.org/{word}-{number}", f"{number:04}", uuid_of(want), "a", "A", f"/{word}/{number}",
            f"{word.replace('-', '')}{number}", f"2001-01-{number:02}", "{}", "[]", f"#{number:06x}", "+12025550123", "en", "",
        ]  # fmt: skip
        return [cast(text, found) for text in texts if limit is None or len(text) <= limit]
    if found.category == "D":
        texts = ["2001-01-01", f"20{want.number + 10:02}-01-01", "2001-01-31"]
        return [cast(text, found) for text in texts if not found.name.startswith("time") or "stamp" in found.name]
    if found.category == "T":
        return [f"interval '{want.number + 1} days'", "interval '1 hour'", "interval '0'"]
    if found.name in ("json", "jsonb"):
        documents: list[object] = [{}, [], {want.word: want.number}, [want.text], want.text, want.number, True]
        return [cast(json.dumps(each), found) for each in documents]
    return []


@dataclass(frozen=True)
class Constants:
    """The constants in a CHECK's expression."""

    strings: tuple[str, ...]
    patterns: tuple[str, ...]  # regular expressions
    likes: tuple[str, ...]
    numbers: tuple[str, ...]
    are_cast: bool = False  # a text is compared with them as a number

    @classmethod
    def of(cls, expressions: Iterable[str]) -> Constants:
        expressions = list(expressions)
        strings: list[str] = []
        patterns: list[str] = []
        likes: list[str] = []
        numbers: list[str] = []
        for expression in expressions:
            for found in _STRING.finditer(expression):
                text = _unquoted(found)
                before = expression[: found.start()].rstrip(" (")
                if re.search(r"~~\*?$", before):
                    likes.append(text)
                elif re.search(r"~\*?$", before):
                    patterns.append(text)
                elif before.endswith("similar_to_escape"):
                    likes.append(text)
                    patterns.append(text.replace("%", ".*").replace("_", "."))
                else:
                    strings.append(text)
                if re.fullmatch(r"-?\d+(\.\d+)?", text):
                    numbers.append(text)
            numbers += re.findall(r"(?<![\w.])-?\d+(?:\.\d+)?(?![\w.])", _STRING.sub("''", expression))
        lists = [tuple(dict.fromkeys(each)) for each in (strings, patterns, likes, numbers)]
        are_cast = any(_CAST_TO_NUMBER.search(each) for each in expressions)
        return cls(lists[0], lists[1], lists[2], lists[3], are_cast)

    def texts(self, number: int) -> list[str]:
        """Texts that are equal to a constant or match a pattern."""
        matching = [_patterns.regular(pattern, number) for pattern in self.patterns]
        alike = [_patterns.like(pattern, number) for pattern in self.likes]
        return [*alike, *(each for each in matching if each is not None), *self.strings]

    def lengths(self) -> list[int]:
        """Lengths next to the numbers, for conditions such as `length(code) = 3`."""
        near = {int(each) + step for each in self.numbers if each.isdigit() and len(each) < 6 for step in (0, 1, -1)}
        return sorted(length for length in near if 0 < length <= LONGEST_TEXT)

    @property
    def _values(self) -> list[float]:
        """The numbers, of which a float holds every digit."""
        return sorted({float(each) for each in self.numbers if len(each) < 16})

    def around(self, want: Want) -> list[str]:
        """The constants, their neighbours, and numbers between them, above the largest and below the smallest."""
        values = self._values
        if not values:
            return []
        between = [low + (high - low) * (want.number % 7 + 1) / 8 for low, high in itertools.pairwise(values)]
        beyond = [values[-1] + want.integer + 0.25, values[0] - want.integer - 0.25]
        near = [value + step for value in values for step in (1, 0, -1)]
        numbers = dict.fromkeys((*between, *beyond, *near))
        return [f"{each:.15g}" for each in numbers]

    def apart(self, want: Want) -> list[str]:
        """Numbers at growing distances, with room for others between them."""
        values = self._values
        steps = [10**power + want.number for power in range(1, 5)] if values else []
        return [
            f"{each:.0f}" for each in (*(values[-1] + step for step in steps), *(values[0] - step for step in steps))
        ]

    def documents(self) -> list[object]:
        """JSON with the keys that the CHECK demands."""
        if not self.strings:
            return []
        shapes: list[Callable[[int], object]] = [lambda n: n, lambda n: f"text-{n}", lambda n: [n], lambda n: {"n": n}]
        return [
            *({key: shape(index) for index, key in enumerate(self.strings)} for shape in shapes),
            *self.strings,
            list(self.strings),
        ]


_CAST_TO_NUMBER = re.compile(r"\)?::(?:smallint|integer|bigint|numeric|real|double precision)\b")
_STRING = re.compile(r"(E?)'((?:[^'\\]|''|\\.)*)'", re.DOTALL)


def _unquoted(found: re.Match[str]) -> str:
    text = found[2].replace("''", "'")
    return re.sub(r"\\(.)", r"\1", text) if found[1] else text


# An expression that cannot be evaluated would make the whole statement fail, so a constant that does not fit is left
# out.

_INTEGERS = {"int2": 2**15, "int4": 2**31, "oid": 2**31}  # the constants that are read all fit a bigint
_NUMBERS = {*_INTEGERS, "int8", "float4", "float8", "numeric", "money"}


def _numbers(texts: Iterable[str], found: Type) -> list[str]:
    if found.name not in _NUMBERS:
        return []
    limit = _INTEGERS.get(found.name)
    fitting = [
        text
        for text in texts
        if limit is None or (-limit <= float(text) <= limit - 1 and (found.name != "oid" or text.isdigit()))
    ]
    return [f"({text})::{found.sql}" for text in fitting]


def _apart(constants: Constants, found: Type, want: Want) -> list[str]:
    """Numbers and days on either side of the constants."""
    if found.category == "N":
        return _numbers(constants.apart(want), found)
    if found.category == "D" and (found.name == "date" or "stamp" in found.name):
        days = [10**power + want.number for power in range(4)]
        times = [cast(text, found) for text in constants.strings if _DAY.fullmatch(text)]
        return [
            f"({time} {sign} interval '{step} days')::{found.sql}" for sign in "+-" for step in days for time in times
        ]
    return []


_DAY = re.compile(r"[12]\d{3}-\d\d-\d\d([ T][012]\d:\d\d(:\d\d(\.\d+)?)?([+-]\d\d(:?\d\d)?)?)?")


def _around_a_time(text: str, found: Type) -> list[str]:
    constant = cast(text, found)
    if found.category == "T":
        is_right = re.fullmatch(r"-?\d+ (second|minute|hour|day|week|mon|month|year)s?|-?\d+:\d\d(:\d\d)?", text)
        step = "1 hour"
    elif found.name in ("time", "timetz"):
        is_right = re.fullmatch(r"[012]\d:\d\d(:\d\d)?", text)
        step = "1 hour"
    else:
        is_right = _DAY.fullmatch(text)
        step = "1 day"
    if not is_right:
        return []
    return [
        f"({constant} + interval '{step}')::{found.sql}",
        constant,
        f"({constant} - interval '{step}')::{found.sql}",
    ]
