"""Names of schema objects in text."""

from __future__ import annotations

from app.gate.recording.model import Key


def full_name(key: Key) -> str:
    """`public.orders.note` for the column, `public.orders` for the table, `pgcrypto` for an extension."""
    return ".".join(part for part in (key.schema, key.table, key.name) if part)


def table_of(key: Key) -> str:
    """`public.orders`, for the table and for what belongs to it; the object's own name for what belongs to none."""
    return f"{key.schema}.{key.table}" if key.table else full_name(key)


def shorten(name: str) -> str:
    """`public.orders` for readers: `orders`."""
    return name.removeprefix("public.")
