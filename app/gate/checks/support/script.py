"""Python and SQL as they are written in a script."""

from __future__ import annotations

import json
import re
from collections.abc import Collection


def python(value: object, *, is_sql: bool = False) -> str:
    """A value as it is written in Python, with double quotes."""
    if isinstance(value, list):
        return f"[{', '.join(python(each) for each in value)}]"
    if not isinstance(value, str):
        return repr(value)
    if is_sql:
        value = escape_colons(value)
    return json.dumps(value, ensure_ascii=False)


def escape_colons(sql: str) -> str:
    """SQLAlchemy's text() takes a word after a colon for a parameter, unless the colon is escaped or doubled."""
    return re.sub(r"(?<![:\w\\]):(?=\w)", r"\\:", sql)


def execute(sql: str) -> str:
    return f"op.execute({python(sql, is_sql=True)})"


def autocommit(lines: list[str]) -> list[str]:
    """Lines that run outside of the transaction."""
    return ["with op.get_context().autocommit_block():", *(f"    {line}" for line in lines)] if lines else []


_LONGEST_NAME_BYTES = 63


def shortened(name: str, taken: Collection[str] = ()) -> str:
    """A name that PostgreSQL does not cut, and that is none of those that are taken."""
    encoded, suffix, number = name.encode(), "", 0
    while len(encoded) + len(suffix) > _LONGEST_NAME_BYTES or encoded.decode("utf-8", "ignore") + suffix in taken:
        number += 1
        suffix = f"_{number}"
        encoded = encoded[: _LONGEST_NAME_BYTES - len(suffix)]
    return encoded.decode("utf-8", "ignore") + suffix
