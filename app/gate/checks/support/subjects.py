"""What distinguishes two findings of one check, revision and object: the `subject` of a finding, and so part of its
fingerprint.

It is made of names, of SQLSTATEs and of words that never change. A sentence is not suitable: with a better one, another
driver, or a server of another version or language, every accepted finding would be a new one.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterable

from app.gate.checks.support.naming import is_one_sided
from app.gate.recording.model import Change, Failure, Key
from app.gate.recording.names import full_name, shorten

_LONGEST = 160


def cause(failure: Failure) -> str:
    """`42P01`, which is the same in every version and language of PostgreSQL; for other errors, `KeyError`."""
    return failure.sqlstate or failure.error.rpartition(".")[2]


def named(key: Key) -> str:
    """`index orders.ix_orders_note`, `table orders`."""
    return f"{key.kind} {shorten(full_name(key))}"


def changed(changes: Collection[Change]) -> str:
    """The objects that differ. One with a random name is identified by its kind and table."""
    return together(_lasting_name(change, changes) for change in changes)


def find_lasting_object(changes: Collection[Change]) -> str | None:
    """The first object that differs, or its table if its name is random."""
    first = next(iter(changes))
    if not _has_random_name(first, changes):
        return full_name(first.key)
    return f"{first.key.schema}.{first.key.table}" if first.key.table else None


def together(subjects: Iterable[str]) -> str:
    """Several as one, sorted. A long list is cut, and what is cut off still counts."""
    parts = sorted(set(subjects))
    text = ", ".join(parts)
    if len(text) <= _LONGEST:
        return text
    rest = hashlib.sha256(text.encode("utf-8", "backslashreplace")).hexdigest()[:12]
    return f"{text[:_LONGEST].rpartition(', ')[0] or text[:_LONGEST]}, … {rest}"


def _lasting_name(change: Change, changes: Iterable[Change]) -> str:
    if not _has_random_name(change, changes):
        return named(change.key)
    return f"{change.key.kind} of {change.key.table}" if change.key.table else change.key.kind


def _has_random_name(change: Change, changes: Iterable[Change]) -> bool:
    """Whether another object of its kind, on the same table, replaced it or was replaced by it: only their names
    differ."""
    return is_one_sided(change) and any(
        is_one_sided(other)
        and (other.before is None) != (change.before is None)
        and (other.key.kind, other.key.schema, other.key.table)
        == (change.key.kind, change.key.schema, change.key.table)
        and (other.before or other.after) == (change.before or change.after)
        for other in changes
    )
