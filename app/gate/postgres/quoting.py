"""Literals and identifiers in SQL.

`literal` and `identifier` are for the statements that the gate runs itself: safe with every driver and under every
setting. `readable_literal`, `quote` and `quote_table` are for the code that a report shows, which a person reads and
pastes.
"""

from __future__ import annotations

import functools
import re

# Characters that a driver may take for the beginning of a parameter, that end a literal, or that are not ASCII.
_TRAPS = re.compile('[^ !"#()*+,\\-./0-9;<=>@A-Z\\[\\]^_`a-z{|}~]')


def literal(text: str) -> str:
    """A text in SQL, in characters that mean the same to every driver and under every setting.

    Raises ValueError for a NUL, which PostgreSQL cannot store.
    """
    if "\0" in text:
        raise ValueError("PostgreSQL stores no NUL in a text")
    escaped = _TRAPS.sub(lambda found: _escape(found[0]), text)
    return f"'{text}'" if escaped == text else f"E'{escaped}'"


def _escape(letter: str) -> str:
    code = ord(letter)
    if code < 0x80:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


@functools.lru_cache(maxsize=10_000)
def identifier(name: str) -> str:
    """A name in SQL, in double quotes. Raises ValueError for a name that PostgreSQL cannot have."""
    if not name or "\0" in name:
        raise ValueError(f"PostgreSQL has no such name: {name!r}")
    quoted = name.replace('"', '""')
    if not _TRAPS.search(name):
        return f'"{quoted}"'
    # With & in front, a backslash begins a code point: https://www.postgresql.org/docs/current/sql-syntax-lexical.html
    escaped = _TRAPS.sub(lambda found: f"\\+{ord(found[0]):06x}", quoted)
    return f'U&"{escaped}"'


# From https://www.postgresql.org/docs/current/sql-keywords-appendix.html: those that must be quoted as names.
_RESERVED_WORDS = """
    all analyse analyze and any array as asc asymmetric both case cast check collate column constraint create
    current_catalog current_date current_role current_time current_timestamp current_user default deferrable desc distinct
    do else end except false fetch for foreign from grant group having in initially intersect into lateral leading limit
    localtime localtimestamp not null offset on only or order placing primary references returning select session_user
    some symmetric system_user table then to trailing true union unique user using variadic when where window with
    authorization binary collation concurrently cross current_schema freeze full ilike inner is isnull join left like
    natural notnull outer overlaps right similar tablesample verbose
"""
_RESERVED = frozenset(_RESERVED_WORDS.split())


def quote(name: str) -> str:
    """A name in SQL, in double quotes only where PostgreSQL needs them."""
    if re.fullmatch(r"[a-z_][a-z0-9_]*", name) and name not in _RESERVED:
        return name
    return '"' + name.replace('"', '""') + '"'


# A pattern for an identifier in SQL, as PostgreSQL reads it: quoted, or not beginning with a digit.
IDENTIFIER = r'(?:"(?:[^"]|"")+"|[^\W\d][\w$]*)'


def name_of(identifier: str) -> str:
    """The name that an identifier in SQL stands for: `Order` for `"Order"`, and `orders` for `Orders`."""
    return identifier[1:-1].replace('""', '"') if identifier.startswith('"') else identifier.lower()


def unquoted(name: str) -> str:
    """`shop.Order` for `shop."Order"`: a name as PostgreSQL prints it, in which it has not left out capital letters."""
    parts = re.findall(r'"(?:[^"]|"")+"|[^".\s]+', name)
    return ".".join(part[1:-1].replace('""', '"') if part.startswith('"') else part for part in parts)


def quote_table(name: str) -> str:
    """`public.orders` in SQL: `orders`. Other schemas are named: `shop."Order"`."""
    schema, _, table = name.partition(".")
    return quote(table) if schema == "public" else f"{quote(schema)}.{quote(table)}"


def readable_literal(text: str) -> str:
    """A text in SQL, for `standard_conforming_strings = on`, which is the default."""
    return "'" + text.replace("'", "''") + "'"
