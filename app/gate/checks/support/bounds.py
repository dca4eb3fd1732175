"""The bounds of a partition as a CHECK, which proves to PostgreSQL that it need not read the rows.

PostgreSQL compares conditions by their form, so they are written as it writes the constraint of a partition itself.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from itertools import takewhile

from app.gate.postgres.quoting import name_of, quote

_KEY = re.compile(r'(?P<strategy>RANGE|LIST) \((?P<columns>(?:\w+|"(?:[^"]|"")+")(?:, (?:\w+|"(?:[^"]|"")+"))*)\)')
_COLUMN = re.compile(r'\w+|"(?:[^"]|"")+"')
_VALUE = re.compile(r"'(?:[^']|'')*'|-?[\w.]+")
_VALUES = rf"(?:{_VALUE.pattern})(?:, (?:{_VALUE.pattern}))*"
_RANGE = re.compile(rf"FOR VALUES FROM \((?P<low>{_VALUES})\) TO \((?P<high>{_VALUES})\)")
_LIST = re.compile(r"FOR VALUES IN \((?P<values>.*)\)", re.DOTALL)
_ENDLESS = ("MINVALUE", "MAXVALUE")


def within(partition_by: str, bounds: str) -> str | None:
    """The condition that every row of a partition with those bounds meets."""
    if (found := _list(partition_by, bounds)) is not None:
        column, values = found
        return f"{column} IS NOT NULL AND {column} IN ({values})"
    parts = _range(partition_by, bounds)
    return " AND ".join(parts) if parts is not None else None


def outside(partition_by: str, bounds: str) -> str | None:
    """The condition that no row within those bounds meets."""
    if (found := _list(partition_by, bounds)) is not None:
        column, values = found
        return f"{column} NOT IN ({values})"
    parts = _range(partition_by, bounds)
    if parts is None or not any(_is_bound(each) for each in parts):
        return None
    return f"NOT ({' AND '.join(parts)})"


def _is_bound(part: str) -> bool:
    return not part.endswith(" IS NOT NULL")


def _list(partition_by: str, bounds: str) -> tuple[str, str] | None:
    """The column, and the values of a list; None if that is not all, as with NULL in it."""
    key, found = _KEY.fullmatch(partition_by), _LIST.fullmatch(bounds)
    if key is None or found is None or key["strategy"] != "LIST":
        return None
    has_null = re.search(r"\bNULL\b", re.sub(r"'(?:[^']|'')*'", "", found["values"]))
    return None if has_null else (key["columns"], found["values"])


def _range(partition_by: str, bounds: str) -> list[str] | None:
    """What a row of a range meets: no column is NULL, and it is between the ends."""
    key, found = _KEY.fullmatch(partition_by), _RANGE.fullmatch(bounds)
    if key is None or found is None or key["strategy"] != "RANGE":
        return None
    columns = [quote(name_of(each)) for each in _COLUMN.findall(key["columns"])]
    low, high = _VALUE.findall(found["low"]), _VALUE.findall(found["high"])
    if not len(columns) == len(low) == len(high):
        return None
    same = len(list(takewhile(_are_one, zip(low, high, strict=True))))
    parts = [f"{column} IS NOT NULL" for column in columns]
    parts += [f"{column} = {value}" for column, value in zip(columns[:same], low[:same], strict=True)]
    for sign, ends in ((">", low), ("<", high)):
        if arms := list(_arms(columns[same:], ends[same:], sign)):
            parts.append(arms[0] if len(arms) == 1 else f"({' OR '.join(arms)})")
    return parts


def _are_one(ends: tuple[str, str]) -> bool:
    return ends[0] == ends[1] and ends[0] not in _ENDLESS


def _arms(columns: Sequence[str], ends: Sequence[str], sign: str) -> Iterator[str]:
    """The ways in which a row is beyond that end: by the first column, or, where that is equal, by the second …"""
    all_below = "MINVALUE" if sign == ">" else "MAXVALUE"
    for index, (column, end) in enumerate(zip(columns, ends, strict=True)):
        if end in _ENDLESS:
            return
        after = ends[index + 1] if index + 1 < len(ends) else None
        takes_equal = after == all_below or (after is None and sign == ">")
        equal = [f"{each} = {value}" for each, value in zip(columns[:index], ends[:index], strict=True)]
        arm = " AND ".join([*equal, f"{column} {sign}{'=' if takes_equal else ''} {end}"])
        yield f"({arm})" if equal else arm
