"""The bounds of a partition as a CHECK, which proves to PostgreSQL that it need not read the rows."""

from __future__ import annotations

import re

_KEY = re.compile(r'(?P<strategy>RANGE|LIST) \((?P<column>\w+|"(?:[^"]|"")+")\)')
_LITERAL = r"'(?:[^']|'')*'|-?[\w.]+"
_RANGE = re.compile(rf"FOR VALUES FROM \((?P<low>{_LITERAL})\) TO \((?P<high>{_LITERAL})\)")
_LIST = re.compile(r"FOR VALUES IN \((?P<values>.*)\)", re.DOTALL)


def within(partition_by: str, bounds: str) -> str | None:
    """The condition that every row of a partition with those bounds meets, for a key of one column."""
    key = _KEY.fullmatch(partition_by)
    if key is None:
        return None
    column = key["column"]
    if key["strategy"] == "LIST":
        found = _LIST.fullmatch(bounds)
        if found is None or re.search(r"\bNULL\b", re.sub(r"'(?:[^']|'')*'", "", found["values"])):
            return None
        return f"{column} IS NOT NULL AND {column} IN ({found['values']})"
    found = _RANGE.fullmatch(bounds)
    if found is None:
        return None
    low = [] if found["low"] == "MINVALUE" else [f"{column} >= {found['low']}"]
    high = [] if found["high"] == "MAXVALUE" else [f"{column} < {found['high']}"]
    return " AND ".join([f"{column} IS NOT NULL", *low, *high])


def outside(partition_by: str, bounds: str) -> str | None:
    """The condition that no row within those bounds meets, for a key of one column."""
    key = _KEY.fullmatch(partition_by)
    if key is None:
        return None
    column = key["column"]
    if key["strategy"] == "LIST":
        found = _LIST.fullmatch(bounds)
        return f"{column} NOT IN ({found['values']})" if found and within(partition_by, bounds) else None
    found = _RANGE.fullmatch(bounds)
    if found is None:
        return None
    low = [] if found["low"] == "MINVALUE" else [f"{column} < {found['low']}"]
    high = [] if found["high"] == "MAXVALUE" else [f"{column} >= {found['high']}"]
    return " OR ".join([*low, *high]) or None
