"""Values for columns, as expressions in SQL: ordinary and extreme ones.

A value depends on the column and a number alone, so that two runs make the same rows. Columns get different values (the
third column's integers begin at 3001), so that a value can be found again after a migration has moved it.
"""

from __future__ import annotations

import datetime
import json
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace

from app.gate.postgres.quoting import literal
from app.gate.rows._catalog import Column, Type

GUESSES = 9  # of values, for a type that is not known
# In characters. Where a type sets no limit: more than the 255 to which texts are truncated most often.
UNLIMITED_TEXT = 300
LONGEST_TEXT = 2000  # an index entry holds no more than some 2700 bytes
_FIRST_DAY = datetime.date(2001, 1, 1)
_LATE_DAY = datetime.date(2040, 2, 29)  # its seconds since 1970 do not fit an integer


class NoValue(Exception):
    """No value of that type is known. The argument is the type's name."""


@dataclass(frozen=True)
class Want:
    """Which value of a type is requested."""

    number: int  # of the row, from 0
    salt: int = 1  # of the column: makes its values differ from those of others
    word: str = "text"  # the beginning of texts
    is_extreme: bool = False
    shape: str = ""  # of the default: "[" for a JSON list
    json_in_text: bool = False  # a text without a limit is to hold JSON

    @property
    def integer(self) -> int:
        """1001, 1002, … for the first column, 2001, … for the second: they fit a smallint."""
        return 1000 * ((self.salt - 1) % 30 + 1) + self.number % 999 + 1

    @property
    def text(self) -> str:
        return f"{self.word}-{self.number + 1}"


def want(column: Column, number: int, *, is_extreme: bool = False, json_in_text: bool = False) -> Want:
    """The value for that column in the row of that number."""
    word = re.sub(r"[^a-z0-9]+", "-", column.name.lower()).strip("-") or "text"
    shape = re.match(r"'([\[{])", column.default or "")
    return Want(number, column.number, word, is_extreme, shape[1] if shape else "", json_in_text)


def make_value(type_: Type, modifier: int, want: Want) -> str:
    """An expression of the type below all domains. Raises NoValue."""
    found, modifier = type_.base, type_.base_modifier(modifier)
    if found.kind == "enum":
        if not found.labels:
            raise NoValue(found.sql)
        return cast(found.labels[(want.number + (-1 if want.is_extreme else 0)) % len(found.labels)], found)
    if found.kind == "array":
        steps = (0, 0, 100) if want.is_extreme else (0, 100)  # a list may hold something twice
        return make_array(found, modifier, [replace(want, number=want.number + step) for step in steps])
    if found.kind == "composite":
        parts = [
            make_value(part, part_modifier, replace(want, salt=want.salt + index))
            for index, (part, part_modifier) in enumerate(found.attributes, start=1)
        ]
        return f"ROW({', '.join(parts)})::{found.sql}"
    if found.kind == "range":
        lower, upper = (
            make_value(_inner(found), -1, replace(want, number=number, is_extreme=False))
            for number in (2 * want.number, 2 * want.number + 1)
        )
        return f"{found.sql}({lower}, {upper})"
    if found.kind == "multirange":
        return f"{found.sql}({make_value(_inner(found), -1, want)})"
    maker = _MAKERS.get(found.name) or _BY_CATEGORY.get(found.category)
    if maker is None:
        raise NoValue(found.sql)
    return maker(want, modifier, found)


def make_array(found: Type, modifier: int, wants: Iterable[Want]) -> str:
    parts = [make_value(_inner(found), modifier, want) for want in wants]
    return f"ARRAY[{', '.join(parts)}]::{found.sql}"


def _inner(found: Type) -> Type:
    """The type of an array's elements, of a range's bounds, or of a multirange's ranges. Raises NoValue."""
    if found.of is None:
        raise NoValue(found.sql)
    return found.of


def guess_values(type_: Type, want: Want) -> list[str]:
    """For a type that is not known here: so many texts that many types can read."""
    number = want.number + 1
    texts = [
        f"{number}", f"a{number}", f"({number},{number})", "{}", f"[{number},{number},{number}]", f"POINT({number} {number})",
        f"{number}.{number}", "", f"978-0-{number:02}-000000-0!",
    ]  # fmt: skip
    return [cast(text, type_.base) for text in texts]


def cast(text: str, found: Type) -> str:
    return f"{literal(text)}::{found.sql}"


# Makers, by the type's name in the catalog.

Maker = Callable[[Want, int, Type], str]


def limit_of(modifier: int, found: Type) -> int | None:
    """How many characters fit."""
    if found.name in ("varchar", "bpchar"):
        return modifier - 4 if modifier >= 4 else None
    return {"name": 63, "char": 1}.get(found.name)


def text_of(want: Want, limit: int | None) -> str:
    """A text of at most so many characters, different for each number as far as the limit allows."""
    if want.is_extreme:
        length = min(limit or UNLIMITED_TEXT, LONGEST_TEXT)
        text = f"O'Neill é {want.text} "
        return (text + "x" * length)[:length] if length > len(text) else text_of(replace(want, is_extreme=False), limit)
    if limit is None or len(want.text) <= limit:
        return want.text
    number = str(want.number + 1)
    if limit == 1:
        return chr(ord("a") + want.number % 26)
    return (want.word[: limit - len(number)] + number)[-limit:] if len(number) < limit else number[-limit:]


def _make_text(want: Want, modifier: int, found: Type) -> str:
    if want.json_in_text and found.name in ("text", "varchar") and limit_of(modifier, found) is None:
        return _make_json(want, modifier, found)
    return cast(text_of(want, limit_of(modifier, found)), found)


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
        whole = ("987654321" * 4)[: min(digits, 30)] or "0"
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
    return cast(_day(want).isoformat(), found)


def _day(want: Want) -> datetime.date:
    if want.is_extreme:
        return _LATE_DAY + datetime.timedelta(days=want.salt)
    return _FIRST_DAY + datetime.timedelta(days=40 * want.salt + want.number)


def _clock(want: Want) -> str:
    seconds = "06.789012" if want.is_extreme else "06"
    return f"{want.salt % 24:02}:{(want.number + 1) % 60:02}:{seconds}"


def _make_time(want: Want, modifier: int, found: Type) -> str:
    return cast(_clock(want) + ("+00" if found.name == "timetz" else ""), found)


def _make_timestamp(want: Want, modifier: int, found: Type) -> str:
    return cast(f"{_day(want).isoformat()} {_clock(want)}" + ("+00" if found.name == "timestamptz" else ""), found)


def _make_interval(want: Want, modifier: int, found: Type) -> str:
    rest = " 2 months 04:05:06.789012" if want.is_extreme else f" {want.salt} hours"
    return cast(f"{want.number + 1} days{rest}", found)


def uuid_of(want: Want) -> str:
    return f"{want.salt:08x}-0000-4000-8000-{want.number + 1:012x}"


def _make_json(want: Want, modifier: int, found: Type) -> str:
    document: object = [want.text] if want.shape == "[" else {want.word: want.text}
    if want.is_extreme:
        nested: dict[str, object] = {"a": [1, 2.5, {"b": None}], "c": want.text}
        document = [nested] if want.shape == "[" else nested
    return cast(json.dumps(document), found)


def _make_bytes(want: Want, modifier: int, found: Type) -> str:
    content = want.text.encode() + (bytes(range(256)) if want.is_extreme else b"")
    return bytes_of(content)


def bytes_of(content: bytes) -> str:
    return f"decode('{content.hex()}', 'hex')"


def _make_bits(want: Want, modifier: int, found: Type) -> str:
    length = modifier if modifier > 0 else 8  # `"bit"` in quotes, and `bit varying`, have no length
    value = (1 << length) - 1 - want.number if want.is_extreme else want.number + 1
    return f"B'{format(value % (1 << length), f'0{length}b')}'::{found.sql}"


def _make_vector(want: Want, modifier: int, found: Type) -> str:
    size = modifier if modifier > 0 else 3
    return cast(f"[{','.join(str(want.number + 1 + index % 7) for index in range(size))}]", found)


def _written(form: str) -> Maker:
    """A type that is read from a text: `a` is the row's number, `b` the column's, `t` the text."""

    def make(want: Want, modifier: int, found: Type) -> str:
        number, salt = want.number + 1, want.salt % 200 + 1
        return cast(form.format(a=number, b=salt, t=want.text, h=f"{number % 256:02x}", s=f"{salt:02x}"), found)

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
    "uuid": lambda want, modifier, found: cast(uuid_of(want), found),
    "json": _make_json,
    "jsonb": _make_json,
    "jsonpath": _written("$.a{a}"),
    "xml": _written("<note>{t}</note>"),
    "bit": _make_bits,
    "varbit": _make_bits,
    "inet": lambda want, modifier, found: _written("10.{b}.0.{a}/16" if want.is_extreme else "10.{b}.0.{a}")(
        want, modifier, found
    ),
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
