"""Literals and identifiers as PostgreSQL reads them."""

from __future__ import annotations

import functools
import re

# Letters that some driver or other takes for the beginning of a parameter, or that end a literal, or that are not ASCII.
_TRAPS = re.compile('[^ !"#()*+,\\-./0-9;<=>@A-Z\\[\\]^_`a-z{|}~]')


def literal(text: str) -> str:
    """A text as it is written in SQL, in letters that mean the same to every driver and under every setting.

    Raises ValueError for a NUL, which PostgreSQL cannot store.
    """
    if "\0" in text:
        raise ValueError("a text in PostgreSQL holds no NUL")
    escaped = _TRAPS.sub(lambda found: _escape(found[0]), text)
    return f"'{text}'" if escaped == text else f"E'{escaped}'"


def _escape(letter: str) -> str:
    code = ord(letter)
    if code < 0x80:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


@functools.lru_cache(maxsize=10_000)
def identifier(name: str) -> str:
    """A name as it is written in SQL. Raises ValueError for a name that PostgreSQL cannot have."""
    if not name or "\0" in name:
        raise ValueError(f"no name in PostgreSQL: {name!r}")
    quoted = name.replace('"', '""')
    if not _TRAPS.search(name):
        return f'"{quoted}"'
    # With & in front, a backslash begins a code point: https://www.postgresql.org/docs/current/sql-syntax-lexical.html
    escaped = _TRAPS.sub(lambda found: f"\\+{ord(found[0]):06x}", quoted)
    return f'U&"{escaped}"'
