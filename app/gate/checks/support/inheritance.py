"""From which tables a table inherits, or of which it is a partition."""

from __future__ import annotations

from app.gate.checks.support.schema import parent_of
from app.gate.postgres.quoting import unquoted
from app.gate.recording.model import Change, Definition


def parents_of(definition: Definition) -> list[str]:
    """The tables from which it inherits, or of which it is a partition."""
    partitioned = parent_of(definition)
    return [unquoted(each) for each in definition.get("inherits") or ()] + ([partitioned] if partitioned else [])


def parents_left(change: Change) -> set[str]:
    """The tables that a table no longer belongs to, though it is still there: `public.events`."""
    if change.key.kind != "table" or change.before is None or change.after is None:
        return set()
    left = set(parents_of(change.before)) - set(parents_of(change.after))
    return {each if "." in each else f"public.{each}" for each in left}
