"""Values for columns, as expressions in SQL: ordinary ones, extreme ones, and what might meet a CHECK.

A value follows from the column and a number alone, so that two runs make the same rows. Columns get different values (the third
column's integers begin at 3001), so that a value can be found again when a migration moves it to another place.
"""

from __future__ import annotations

import datetime
import itertools
import json
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace

from app.gate import rows_patterns
from app.gate.rows_catalog import Column, Type, literal

UNLIMITED_TEXT = (
    300  # letters of the longest text where there is no limit; more than the 255 to which texts are cut most often
)
LONGEST_TEXT = 2000  # an index holds no more than some 2700 bytes
_FIRST_DAY = datetime.date(2001, 1, 1)
_LATE_DAY = datetime.date(2040, 2, 29)  # its seconds since 1970 do not fit an integer


class NoValue(Exception):
    """No value of that type is known. The argument is the type's name."""


@dataclass(frozen=True)
class Want:
    """Which of the many values of a type is wanted."""

    number: int  # of the row, from 0
    salt: int = 1  # of the column: keeps its values apart from those of others
    word: str = "text"  # with which texts begin
    is_extreme: bool = False
    shape: str = ""  # what a default looks like: "[" for a JSON list
    is_document: bool = False  # a text without a limit is to hold JSON

    @property
    def integer(self) -> int:
        """1001, 1002, … for the first column, 2001, … for the second: they fit a smallint."""
        return 1000 * ((self.salt - 1) % 30 + 1) + self.number % 999 + 1

    @property
    def text(self) -> str:
        return f"{self.word}-{self.number + 1}"


def want(column: Column, number: int, *, is_extreme: bool = False, is_document: bool = False) -> Want:
    """The value for that column in the row of that number."""
    word = re.sub(r"[^a-z0-9]+", "-", column.name.lower()).strip("-") or "text"
    shape = re.match(r"'([\[{])", column.default or "")
    return Want(number, column.number, word, is_extreme, shape[1] if shape else "", is_document)


class Values:
    """Makes values of the types of a catalog."""

    def __init__(self, types: Mapping[int, Type]) -> None:
        self._types = types

    def type(self, oid: int) -> Type:
        """The type below all domains."""
        found = self._types[oid]
        while found.kind == "domain":
            found = self._types[found.of]
        return found

    def modifier(self, oid: int, modifier: int) -> int:
        """The modifier below all domains: the 20 of a domain over varchar(20)."""
        found = self._types[oid]
        while found.kind == "domain":
            modifier, found = found.modifier, self._types[found.of]
        return modifier

    def domain_checks(self, oid: int) -> tuple[str, ...]:
        """Expressions of VALUE that the column's domain demands."""
        found = self._types[oid]
        checks: tuple[str, ...] = ()
        while found.kind == "domain":
            checks += found.checks
            found = self._types[found.of]
        return checks

    def allows_null(self, oid: int) -> bool:
        found = self._types[oid]
        while found.kind == "domain":
            if found.not_null:
                return False
            found = self._types[found.of]
        return True

    def one(self, oid: int, modifier: int, want: Want) -> str:
        """An expression of the type below all domains. Raises NoValue."""
        modifier = self.modifier(oid, modifier)
        found = self.type(oid)
        if found.kind == "enum":
            if not found.labels:
                raise NoValue(found.sql)
            return _cast(found.labels[(want.number + (-1 if want.is_extreme else 0)) % len(found.labels)], found)
        if found.kind == "array":
            return self._array(found, modifier, [replace(want, number=want.number + step) for step in (0, 100)])
        if found.kind == "composite":
            parts = [
                self.one(type_, part, replace(want, salt=want.salt + index))
                for index, (type_, part) in enumerate(found.attributes, start=1)
            ]
            return f"ROW({', '.join(parts)})::{found.sql}"
        if found.kind == "range":
            lower, upper = (
                self.one(found.of, -1, replace(want, number=number, is_extreme=False))
                for number in (2 * want.number, 2 * want.number + 1)
            )
            return f"{found.sql}({lower}, {upper})"
        if found.kind == "multirange":
            return f"{found.sql}({self.one(found.of, -1, want)})"
        maker = _MAKERS.get(found.name)
        if maker is None:
            maker = _BY_CATEGORY.get(found.category)
        if maker is None:
            raise NoValue(found.sql)
        return maker(want, modifier, found)

    def _array(self, found: Type, modifier: int, wants: Iterable[Want]) -> str:
        parts = [self.one(found.of, modifier, want) for want in wants]
        return f"ARRAY[{', '.join(parts)}]::{found.sql}"

    # What might meet a CHECK.

    def candidates(self, oid: int, modifier: int, want: Want, expressions: Iterable[str]) -> list[str]:
        """Expressions of the type below all domains, the likeliest first. A CHECK's own constants are among them.

        Rows of different numbers begin with different ones. Raises NoValue.
        """
        constants = Constants.of(expressions)
        found, below = self.type(oid), self.modifier(oid, modifier)
        made = [self._or_none(oid, modifier, want)]
        if want.is_extreme:
            made.append(self._or_none(oid, modifier, replace(want, is_extreme=False)))
        special = self._special(found, below, want, constants)
        turn = want.number % len(special) if special and found.category != "N" else 0  # numbers differ of themselves
        made += special[turn:] + special[:turn]
        made += self._usual(found, below, want)
        candidates = [each for each in dict.fromkeys(made) if each is not None]
        if not candidates:
            raise NoValue(found.sql)
        return candidates

    def _or_none(self, oid: int, modifier: int, want: Want) -> str | None:
        try:
            return self.one(oid, modifier, want)
        except NoValue:
            return None

    def _special(self, found: Type, modifier: int, want: Want, constants: Constants) -> list[str]:
        """What the constants of a CHECK suggest."""
        if found.kind == "enum":
            return [_cast(label, found) for label in found.labels]
        if found.kind == "array":
            return self._arrays(found, modifier, want, constants)
        if found.kind in ("range", "multirange"):
            return [f"'empty'::{found.sql}"] if found.kind == "range" else []
        if found.category == "B":
            return ["true", "false"]
        if found.category == "N":
            return _numbers(constants.around(want), found)
        if found.category == "S":
            limit = _limit(modifier, found)
            texts = [*constants.texts(want.number), *(_text(want, length) for length in constants.lengths())]
            return [_cast(text, found) for text in texts if limit is None or len(text) <= limit]
        if found.category in ("D", "T"):
            return [each for text in constants.strings for each in _around_a_time(text, found)]
        if found.name in ("json", "jsonb"):
            return [_cast(json.dumps(each), found) for each in constants.documents()]
        if found.name == "bytea":
            return [_bytes(want.text.encode().ljust(length, b".")[-length:]) for length in constants.lengths()]
        if found.name == "uuid":
            return [_cast(text, found) for text in constants.strings if re.fullmatch(r"[0-9a-fA-F-]{36}", text)]
        return []

    def _arrays(self, found: Type, modifier: int, want: Want, constants: Constants) -> list[str]:
        inner = self.type(found.of)
        below = self.modifier(found.of, modifier)
        elements = [each for each in (*self._special(inner, below, want, constants),) if each is not None]
        lengths = [
            self._array(found, modifier, [replace(want, number=want.number + step) for step in range(length)])
            for length in sorted({1, 3, *(each for each in constants.lengths() if each <= 20)})
            if length
        ]
        whole = [f"ARRAY[{', '.join(elements[:20])}]::{found.sql}"] if elements else []
        return [*(f"ARRAY[{each}]::{found.sql}" for each in elements[:10]), *lengths, f"ARRAY[]::{found.sql}", *whole]

    def _usual(self, found: Type, modifier: int, want: Want) -> list[str]:
        """What CHECKs ask for without saying so."""
        if found.category == "N":
            return _numbers([str(each) for each in (want.number + 1, 1, 0, 10, 50, 100, 0.5, -1, 2020)], found)
        if found.category == "S":
            limit = _limit(modifier, found)
            number, word = want.number + 1, want.word
            texts = [
                f"{word}-{number}".upper(), f"{word.replace('-', '_')}_{number}", f"{word}-{number}@example.org",
                f"https://example.org/{word}-{number}", f"{number:04}", _uuid(want), "a", "A", f"/{word}/{number}",
                f"{word.replace('-', '')}{number}", f"2001-01-{number:02}", "{}", "[]", f"#{number:06x}", "+12025550123", "en", "",
            ]  # fmt: skip
            return [_cast(text, found) for text in texts if limit is None or len(text) <= limit]
        if found.category == "D":
            texts = ["2001-01-01", f"20{want.number + 10:02}-01-01", "2001-01-31"]
            return [_cast(text, found) for text in texts if not found.name.startswith("time") or "stamp" in found.name]
        if found.category == "T":
            return [f"interval '{want.number + 1} days'", "interval '1 hour'", "interval '0'"]
        if found.name in ("json", "jsonb"):
            documents: list[object] = [{}, [], {want.word: want.number}, [want.text], want.text, want.number, True]
            return [_cast(json.dumps(each), found) for each in documents]
        return []

    def guesses(self, oid: int, want: Want) -> list[str]:
        """For a type of which nothing is known: texts that many types can read."""
        found = self.type(oid)
        number = want.number + 1
        texts = [
            f"{number}", f"a{number}", f"({number},{number})", "{}", f"[{number},{number},{number}]", f"POINT({number} {number})",
            f"{number}.{number}", "", f"978-0-{number:02}-000000-0!",
        ]  # fmt: skip
        return [_cast(text, found) for text in texts]


@dataclass(frozen=True)
class Constants:
    """What is written in a CHECK's expression."""

    strings: tuple[str, ...]
    patterns: tuple[str, ...]  # regular expressions
    likes: tuple[str, ...]
    numbers: tuple[str, ...]

    @classmethod
    def of(cls, expressions: Iterable[str]) -> Constants:
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
        return cls(*(tuple(dict.fromkeys(each)) for each in (strings, patterns, likes, numbers)))

    def texts(self, number: int) -> list[str]:
        """Texts that are equal to a constant or match a pattern."""
        matching = [rows_patterns.regular(pattern, number) for pattern in self.patterns]
        alike = [rows_patterns.like(pattern, number) for pattern in self.likes]
        return [*alike, *(each for each in matching if each is not None), *self.strings]

    def lengths(self) -> list[int]:
        """Lengths next to the numbers, as `length(code) = 3` wants one."""
        near = {int(each) + step for each in self.numbers if each.isdigit() and len(each) < 6 for step in (0, 1, -1)}
        return sorted(length for length in near if 0 < length <= LONGEST_TEXT)

    def around(self, want: Want) -> list[str]:
        """What lies between two of the numbers, beyond the largest and before the smallest; the numbers and their neighbours."""
        values = sorted({float(each) for each in self.numbers if len(each) < 16})
        if not values:
            return []
        between = [low + (high - low) * (want.number % 7 + 1) / 8 for low, high in itertools.pairwise(values)]
        beyond = [values[-1] + want.integer + 0.25, values[0] - want.integer - 0.25]
        near = [value + step for value in values for step in (1, 0, -1)]
        numbers = dict.fromkeys((*between, *beyond, *near))
        return [f"{each:.10g}" if abs(each) < 1e9 else f"{each:.0f}" for each in numbers]

    def documents(self) -> list[object]:
        """JSON that has the keys which the CHECK asks for."""
        if not self.strings:
            return []
        shapes: list[Callable[[int], object]] = [lambda n: n, lambda n: f"text-{n}", lambda n: [n], lambda n: {"n": n}]
        return [
            *({key: shape(index) for index, key in enumerate(self.strings)} for shape in shapes),
            *self.strings,
            list(self.strings),
        ]


_STRING = re.compile(r"(E?)'((?:[^'\\]|''|\\.)*)'", re.DOTALL)


def _unquoted(found: re.Match[str]) -> str:
    text = found[2].replace("''", "'")
    return re.sub(r"\\(.)", r"\1", text) if found[1] else text


def _cast(text: str, found: Type) -> str:
    return f"{literal(text)}::{found.sql}"


# An expression that cannot be evaluated would spoil the whole statement, so none is made of a constant that does not fit.

_INTEGERS = {"int2": 2**15, "int4": 2**31, "int8": 2**63, "oid": 2**31}
_NUMBERS = {*_INTEGERS, "float4", "float8", "numeric", "money"}


def _numbers(texts: Iterable[str], found: Type) -> list[str]:
    if found.name not in _NUMBERS:
        return []
    limit = _INTEGERS.get(found.name)
    fitting = [
        text
        for text in texts
        if limit is None or (-limit < float(text) < limit - 1 and (found.name != "oid" or text.isdigit()))
    ]
    return [f"({text})::{found.sql}" for text in fitting]


def _around_a_time(text: str, found: Type) -> list[str]:
    constant = _cast(text, found)
    if found.category == "T":
        is_right = re.fullmatch(r"-?\d+ (second|minute|hour|day|week|mon|month|year)s?|-?\d+:\d\d(:\d\d)?", text)
        step = "1 hour"
    elif found.name in ("time", "timetz"):
        is_right = re.fullmatch(r"[012]\d:\d\d(:\d\d)?", text)
        step = "1 hour"
    else:
        is_right = re.fullmatch(r"[12]\d{3}-\d\d-\d\d([ T][012]\d:\d\d(:\d\d(\.\d+)?)?([+-]\d\d(:?\d\d)?)?)?", text)
        step = "1 day"
    if not is_right:
        return []
    return [
        f"({constant} + interval '{step}')::{found.sql}",
        constant,
        f"({constant} - interval '{step}')::{found.sql}",
    ]


# Makers, by the name of the type in the catalog.

Maker = Callable[[Want, int, Type], str]


def _limit(modifier: int, found: Type) -> int | None:
    """How many letters fit."""
    if found.name in ("varchar", "bpchar"):
        return modifier - 4 if modifier >= 4 else None
    return {"name": 63, "char": 1}.get(found.name)


def _text(want: Want, limit: int | None) -> str:
    """A text of at most so many letters, different for each number as long as there is room."""
    if want.is_extreme:
        length = min(limit or UNLIMITED_TEXT, LONGEST_TEXT)
        text = f"O'Neill é {want.text} "
        return (text + "x" * length)[:length] if length > len(text) else _text(replace(want, is_extreme=False), limit)
    if limit is None or len(want.text) <= limit:
        return want.text
    number = str(want.number + 1)
    if limit == 1:
        return chr(ord("a") + want.number % 26)
    return (want.word[: limit - len(number)] + number)[-limit:] if len(number) < limit else number[-limit:]


def _make_text(want: Want, modifier: int, found: Type) -> str:
    if want.is_document and found.name in ("text", "varchar") and _limit(modifier, found) is None:
        return _make_json(want, modifier, found)
    return _cast(_text(want, _limit(modifier, found)), found)


def _make_integer(large: int) -> Maker:
    return lambda want, modifier, found: f"{want.integer + (large if want.is_extreme else 0)}::{found.sql}"


def _make_numeric(want: Want, modifier: int, found: Type) -> str:
    if modifier < 4:
        return "1234567890123.123456789::numeric" if want.is_extreme else f"{want.integer}.5::numeric"
    precision = (modifier - 4) >> 16 & 0xFFFF
    scale = (modifier - 4) & 0x7FF
    scale = scale - 0x800 if scale >= 0x400 else scale  # may be negative since PostgreSQL 15
    digits, decimals = max(0, precision - scale), max(0, scale)
    if want.is_extreme:
        whole = ("123456789" * 4)[: min(digits, 30)] or "0"
        if scale < 0:
            whole = whole[:precision].ljust(digits, "0")
        fraction = "0" * max(0, scale - precision) + ("123456789" * 4)[: min(decimals, precision, 20)]
        return f"{whole}{'.' + fraction if fraction else ''}::numeric"
    if digits:
        step = 10 ** max(0, -scale)
        whole = str((want.integer * step if digits >= 4 - min(scale, 0) else (want.number + 1) * step) % 10**digits)
        return f"{whole}{'.5' if decimals == 1 else '.25' if decimals else ''}::numeric"
    return f"0.{str((want.number + 1) % 10**precision).rjust(decimals, '0')}::numeric"


def _make_date(want: Want, modifier: int, found: Type) -> str:
    return _cast(_day(want).isoformat(), found)


def _day(want: Want) -> datetime.date:
    if want.is_extreme:
        return _LATE_DAY + datetime.timedelta(days=want.salt)
    return _FIRST_DAY + datetime.timedelta(days=40 * want.salt + want.number)


def _clock(want: Want) -> str:
    seconds = "06.789012" if want.is_extreme else "06"
    return f"{want.salt % 24:02}:{(want.number + 1) % 60:02}:{seconds}"


def _make_time(want: Want, modifier: int, found: Type) -> str:
    return _cast(_clock(want) + ("+00" if found.name == "timetz" else ""), found)


def _make_timestamp(want: Want, modifier: int, found: Type) -> str:
    return _cast(f"{_day(want).isoformat()} {_clock(want)}" + ("+00" if found.name == "timestamptz" else ""), found)


def _make_interval(want: Want, modifier: int, found: Type) -> str:
    rest = " 2 months 04:05:06.789012" if want.is_extreme else f" {want.salt} hours"
    return _cast(f"{want.number + 1} days{rest}", found)


def _uuid(want: Want) -> str:
    return f"{want.salt:08x}-0000-4000-8000-{want.number + 1:012x}"


def _make_json(want: Want, modifier: int, found: Type) -> str:
    document: object = [want.text] if want.shape == "[" else {want.word: want.text}
    if want.is_extreme:
        nested: dict[str, object] = {"a": [1, 2.5, {"b": None}], "c": want.text}
        document = [nested] if want.shape == "[" else nested
    return _cast(json.dumps(document), found)


def _make_bytes(want: Want, modifier: int, found: Type) -> str:
    content = want.text.encode() + (bytes(range(256)) if want.is_extreme else b"")
    return _bytes(content)


def _bytes(content: bytes) -> str:
    return f"decode('{content.hex()}', 'hex')"


def _make_bits(want: Want, modifier: int, found: Type) -> str:
    length = modifier if modifier > 0 else (1 if found.name == "bit" else 8)
    value = (1 << length) - 1 - want.number if want.is_extreme else want.number + 1
    return f"B'{format(value % (1 << length), f'0{length}b')}'::{found.sql}"


def _make_vector(want: Want, modifier: int, found: Type) -> str:
    size = modifier if modifier > 0 else 3
    return _cast(f"[{','.join(str(want.number + 1 + index % 7) for index in range(size))}]", found)


def _written(form: str) -> Maker:
    """A type that is read from a text: `a` is the row's number, `b` the column's, `t` the text."""

    def make(want: Want, modifier: int, found: Type) -> str:
        number, salt = want.number + 1, want.salt % 200 + 1
        return _cast(form.format(a=number, b=salt, t=want.text, h=f"{number % 256:02x}", s=f"{salt:02x}"), found)

    return make


_MAKERS: dict[str, Maker] = {
    "bool": lambda want, modifier, found: "true" if want.number % 2 == 0 else "false",
    "int2": _make_integer(0),
    "int4": _make_integer(1_000_000),
    "int8": _make_integer(3_000_000_000),
    "oid": _make_integer(0),
    "float4": lambda want, modifier, found: f"{want.integer}.5::{found.sql}",
    "float8": lambda want, modifier, found: (
        f"{want.integer}.123456789012::{found.sql}" if want.is_extreme else f"{want.integer}.5::{found.sql}"
    ),
    "numeric": _make_numeric,
    "money": lambda want, modifier, found: f"{want.integer}.25::numeric::money",
    "bytea": _make_bytes,
    "date": _make_date,
    "time": _make_time,
    "timetz": _make_time,
    "timestamp": _make_timestamp,
    "timestamptz": _make_timestamp,
    "interval": _make_interval,
    "uuid": lambda want, modifier, found: _cast(_uuid(want), found),
    "json": _make_json,
    "jsonb": _make_json,
    "jsonpath": _written("$.a{a}"),
    "xml": _written("<note>{t}</note>"),
    "bit": _make_bits,
    "varbit": _make_bits,
    "inet": _written("10.{b}.0.{a}"),
    "cidr": _written("10.{b}.{a}.0/24"),
    "macaddr": _written("02:00:00:00:{s}:{h}"),
    "macaddr8": _written("02:00:00:00:00:00:{s}:{h}"),
    "point": _written("({a},{b})"),
    "line": _written("{{{a},{b},1}}"),
    "lseg": _written("[({a},{b}),(0,0)]"),
    "box": _written("({a},{b}),(0,0)"),
    "path": _written("(({a},{b}),(0,0))"),
    "polygon": _written("(({a},{b}),(0,0),(1,0))"),
    "circle": _written("<({a},{b}),1>"),
    "tsvector": _written("{t}"),
    "tsquery": _written("{t}"),
    "pg_lsn": _written("{a}/{s}"),
    "pg_snapshot": _written("{a}:{a}:"),
    "txid_snapshot": _written("{a}:{a}:"),
    "xid": _written("{a}"),
    "xid8": _written("{a}"),
    "cid": _written("{a}"),
    "tid": _written("({a},1)"),
    "regclass": _written("pg_class"),
    "regtype": _written("integer"),
    "regproc": _written("now"),
    "regprocedure": _written("now()"),
    "regnamespace": _written("pg_catalog"),
    "regrole": _written("{a}"),
    "regconfig": _written("simple"),
    "regdictionary": _written("simple"),
    "regcollation": _written('"C"'),
    "char": _make_text,
    "hstore": _written('"key"=>"{t}"'),
    "ltree": _written("top.n{b}.n{a}"),
    "lquery": _written("top.*"),
    "ltxtquery": _written("top"),
    "cube": _written("({a},{b})"),
    "seg": _written("{a}"),
    "vector": _make_vector,
    "halfvec": _make_vector,
    "geometry": _written("POINT({a} {b})"),
    "geography": _written("POINT({a} {b})"),
}
_BY_CATEGORY: dict[str, Maker] = {"S": _make_text}
