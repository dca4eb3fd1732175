"""Which rows a partition's bounds refuse, as a query."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from app.gate.checks.support.older import Older
from app.gate.checks.support.schema import Schema, bounds_of, parent_of
from app.gate.checks.support.sql_text import enclosed, in_parentheses, split_list
from app.gate.postgres.quoting import quote_table, readable_literal
from app.gate.recording.model import Failure, RoundTrip
from app.gate.recording.names import full_name

_STRATEGY = re.compile(r"(RANGE|LIST|HASH) (?=\()")
_RANGE = re.compile(r"FOR VALUES FROM (?=\()")
_HASH = re.compile(r"FOR VALUES WITH \(modulus (\d+), remainder (\d+)\)")


def find_rows(schema: Schema, trip: RoundTrip, failure: Failure, older: Older) -> str | None:
    """The rows of a table that cannot be attached as a partition, or those of a default partition that belong into
    another."""
    bounds = dict(_bounds(trip))
    if failure.table in bounds:
        parent, bound = bounds[failure.table]
        condition = _within(schema, parent, bound, older)
        return older.query(f"({condition}) IS NOT TRUE") if condition else None
    conditions = [_within(schema, parent, bound, older) for parent, bound in bounds.values() if bound != "DEFAULT"]
    if not conditions or None in conditions:
        return None
    return older.query(" OR ".join(f"({each})" for each in conditions if each))


def _bounds(trip: RoundTrip) -> Iterator[tuple[str, tuple[str, str]]]:
    """(partition, (parent, its bounds)) for what becomes a partition."""
    for change in trip.up.changes if trip.up is not None else ():
        of = str((change.after or {}).get("partition_of") or "")
        if change.key.kind in ("table", "foreign table") and of and of != (change.before or {}).get("partition_of"):
            parent = parent_of(change.after or {}) or ""
            yield (
                full_name(change.key),
                (parent if "." in parent else f"public.{parent}", bounds_of(change.after or {})),
            )


def _within(schema: Schema, parent: str, bound: str, older: Older) -> str | None:
    """The condition that rows of that partition meet."""
    found_parent = schema.definition_of(parent)
    partition_by = str(found_parent[1].get("partition_by") or "") if found_parent is not None else ""
    found = _STRATEGY.match(partition_by)
    if found is None:
        return None
    listed = in_parentheses(partition_by, found.end()) or ""
    keys = [older.expression(_plain(part)) for part in split_list(listed)]
    if not keys or None in keys:
        return None
    known = [enclosed(key) if not re.fullmatch(r'\w+|"(?:[^"]|"")+"', key) else key for key in keys if key]
    if found[1] == "RANGE":
        return _in_range(known, bound)
    if found[1] == "LIST":
        return _in_list(known[0], bound)
    numbers = _HASH.fullmatch(bound)
    table = f"{readable_literal(quote_table(parent))}::regclass"
    return f"satisfies_hash_partition({table}, {numbers[1]}, {numbers[2]}, {', '.join(known)})" if numbers else None


def _plain(part: str) -> str:
    """A key without its collation and operator class."""
    return re.sub(r"(?:\s+COLLATE\s+\S+)?(?:\s+\w+_ops)?\Z", "", part)


def _in_list(key: str, bound: str) -> str | None:
    listed = in_parentheses(bound, bound.index("(")) if bound.startswith("FOR VALUES IN (") else None
    if listed is None:
        return None
    values = [each for each in split_list(listed) if each != "NULL"]
    conditions = [f"{key} IN ({', '.join(values)})"] if values else []
    return " OR ".join([*conditions, *([f"{key} IS NULL"] if "NULL" in split_list(listed) else [])])


def _in_range(keys: Sequence[str], bound: str) -> str | None:
    found = _RANGE.match(bound)
    low = in_parentheses(bound, found.end()) if found else None
    if found is None or low is None:
        return None
    high = in_parentheses(bound, bound.index("(", found.end() + len(low) + 2))
    ends = [_end(keys, split_list(low), is_low=True), _end(keys, split_list(high or ""), is_low=False)]
    return " AND ".join([*(f"{key} IS NOT NULL" for key in keys), *(each for each in ends if each)])


def _end(keys: Sequence[str], values: Sequence[str], *, is_low: bool) -> str:
    """What a bound of a range says: of values that are compared one after the other, the infinite ones end it."""
    finite = [value for value in values if value not in ("MINVALUE", "MAXVALUE")]
    rest = values[len(finite) : len(finite) + 1]
    if not finite:
        return ""
    if is_low:
        operator = ">" if rest == ["MAXVALUE"] else ">="
    else:
        operator = "<=" if rest == ["MAXVALUE"] else "<"
    if len(finite) == 1:
        return f"{keys[0]} {operator} {finite[0]}"
    return f"({', '.join(keys[: len(finite)])}) {operator} ({', '.join(finite)})"
