"""The bounds of a partition as a CHECK, which proves to PostgreSQL that it need not read the rows."""

from __future__ import annotations

import re

_KEY = re.compile(r'(?P<strategy>RANGE|LIST) \((?P<column>\w+|"(?:[^"]|"")+")\)')
_LITERAL = r"'(?:[^']|'')*'|-?[\w.]+"
_RANGE = re.compile(rf"FOR VALUES FROM \((?P<low>{_LITERAL})\) TO \((?P<high>{_LITERAL})\)")
_LIST = re.compile(r"FOR VALUES IN \((?P<values>.*)\)", re.DOTALL)


def within(partition_by: str, bounds: str) -> str | None:
    """The condition that every row of a partition with those bounds meets, for a key of one column."""
    found = _read(partition_by, bounds)
    if found is None:
        return None
    column, values, low, high = found
    if values is not None:
        return f"{column} IS NOT NULL AND {column} IN ({values})"
    low_and_high = ([f"{column} >= {low}"] if low else []) + ([f"{column} < {high}"] if high else [])
    return " AND ".join([f"{column} IS NOT NULL", *low_and_high])


def outside(partition_by: str, bounds: str) -> str | None:
    """The condition that no row within those bounds meets, for a key of one column."""
    found = _read(partition_by, bounds)
    if found is None:
        return None
    column, values, low, high = found
    if values is not None:
        return f"{column} NOT IN ({values})"
    return " OR ".join(([f"{column} < {low}"] if low else []) + ([f"{column} >= {high}"] if high else [])) or None


def _read(partition_by: str, bounds: str) -> tuple[str, str | None, str | None, str | None] | None:
    """The column, and the values of a list or the ends of a range; None if that is not all, as with NULL in a list."""
    key = _KEY.fullmatch(partition_by)
    found = (_LIST if key and key["strategy"] == "LIST" else _RANGE).fullmatch(bounds)
    if key is None or found is None:
        return None
    if key["strategy"] == "LIST":
        has_null = re.search(r"\bNULL\b", re.sub(r"'(?:[^']|'')*'", "", found["values"]))
        return None if has_null else (key["column"], found["values"], None, None)
    low = None if found["low"] == "MINVALUE" else found["low"]
    return key["column"], None, low, None if found["high"] == "MAXVALUE" else found["high"]
