"""What tells two findings of one check, revision and object apart: the `subject` of a finding, and so part of its fingerprint.

It is made of names, of SQLSTATEs and of words that never change. A sentence would not do: a better one, a server of
another version or language, or another driver would make every accepted finding a new one.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterable

from app.gate.checks.support.naming import is_one_sided
from app.gate.recording.model import Change, Failure, Key
from app.gate.recording.names import full_name, shorten

_LONGEST = 160


def cause(failure: Failure) -> str:
    """`42P01`, which PostgreSQL says in every version and language; of what it did not raise, `KeyError`."""
    return failure.sqlstate or failure.error.rpartition(".")[2]


def named(key: Key) -> str:
    """`index orders.ix_orders_note`, `table orders`."""
    return f"{key.kind} {shorten(full_name(key))}"


def changed(changes: Collection[Change]) -> str:
    """The objects that differ, of which one whose name is made at random is told by its kind and table."""
    return together(_lasting_name(change, changes) for change in changes)


def find_lasting_object(changes: Collection[Change]) -> str | None:
    """The first object that differs, or its table if its name is made at random."""
    first = next(iter(changes))
    if not _is_named_at_random(first, changes):
        return full_name(first.key)
    return f"{first.key.schema}.{first.key.table}" if first.key.table else None


def together(subjects: Iterable[str]) -> str:
    """Several as one, in an order of their own. Many are cut short, and what is cut off still counts."""
    parts = sorted(set(subjects))
    text = ", ".join(parts)
    if len(text) <= _LONGEST:
        return text
    rest = hashlib.sha256(text.encode("utf-8", "backslashreplace")).hexdigest()[:12]
    return f"{text[:_LONGEST].rpartition(', ')[0] or text[:_LONGEST]}, … {rest}"


def _lasting_name(change: Change, changes: Iterable[Change]) -> str:
    if not _is_named_at_random(change, changes):
        return named(change.key)
    return f"{change.key.kind} of {change.key.table}" if change.key.table else change.key.kind


def _is_named_at_random(change: Change, changes: Iterable[Change]) -> bool:
    """Whether another object of its kind, on the same table, came where it went: nothing but the name tells them apart."""
    return is_one_sided(change) and any(
        is_one_sided(other)
        and (other.before is None) != (change.before is None)
        and (other.key.kind, other.key.schema, other.key.table)
        == (change.key.kind, change.key.schema, change.key.table)
        and (other.before or other.after) == (change.before or change.after)
        for other in changes
    )
