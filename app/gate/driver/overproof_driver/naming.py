"""Names of tables and of what belongs to them, as the gate writes them."""

from __future__ import annotations


def undoubled(statement: str, paramstyle: str) -> str:
    """A statement with `%` where SQLAlchemy doubles it, for a driver that takes `%` for the beginning of a
    parameter."""
    return statement.replace("%%", "%") if paramstyle in ("format", "pyformat") else statement


def full_name(schema: str | None, *parts: object) -> str:
    """ "public.orders.note": what has no schema is created in public, the first one of the search path."""
    return ".".join([schema or "public"] + [str(part) for part in parts])
