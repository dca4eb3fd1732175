"""Which columns an INSERT must provide, and which types accept all values of another."""

from __future__ import annotations

import re

from app.gate.recording.model import Definition


def is_required(column: Definition) -> bool:
    """Whether an INSERT must provide a value: NOT NULL, and neither a default, identity nor a generated value."""
    given = (column.get("default"), column.get("identity"), column.get("generated"))
    return column.get("nullable") is False and all(each is None for each in given)


# Not numeric after bigint: code that reads an int would get a Decimal.
_FAMILIES = (("smallint", "integer", "bigint"), ("real", "double precision"), ("json", "jsonb"), ("cidr", "inet"))


def is_wider(before: str, after: str) -> bool:
    """Whether every value of the one type is a value of the other, and code reads it as the same."""
    if before.endswith("[]") and after.endswith("[]"):
        return is_wider(before.removesuffix("[]"), after.removesuffix("[]"))
    old, old_limits = split_type(before)
    new, new_limits = split_type(after)
    if old in ("character varying", "character", "text") and new in ("character varying", "text"):
        return new != "character varying" or not new_limits or (bool(old_limits) and new_limits[0] >= old_limits[0])
    if old == new == "numeric" and old_limits and new_limits:
        (digits, scale), (new_digits, new_scale) = (*old_limits, 0)[:2], (*new_limits, 0)[:2]
        return new_scale >= scale and new_digits - new_scale >= digits - scale
    if old == new:
        return not new_limits or (bool(old_limits) and new_limits >= old_limits)
    return (
        any(old in family and new in family and family.index(old) < family.index(new) for family in _FAMILIES)
        and not new_limits
    )


def is_string(type_: str) -> bool:
    """Whether it holds texts: PostgreSQL converts a value of any type to it by itself."""
    return split_type(type_)[0] in ("character varying", "character", "text", "name") or type_.endswith("citext")


def split_type(type_: str) -> tuple[str, tuple[int, ...]]:
    """`numeric(10,2)` as ("numeric", (10, 2)); `timestamp(3) without time zone` as ("timestamp without time zone",
    (3,))."""
    limits = re.search(r"\(([\d,]+)\)", type_)
    return re.sub(r"\([\d,]+\)", "", type_), tuple(int(each) for each in limits[1].split(",")) if limits else ()
