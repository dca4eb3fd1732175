"""How the checks name things: one way, so that a reader can search a report for a table."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from app.gate.recording import Change, Failure, Key, Recording


def full_name(key: Key) -> str:
    """`public.orders.note` for the column, `public.orders` for the table, `pgcrypto` for an extension."""
    return ".".join(part for part in (key.schema, key.table, key.name) if part)


def short_name(key: Key) -> str:
    """`orders.note`: the schema is left out where it is `public`, where nearly everything lives."""
    return shorten(full_name(key))


def shorten(name: str) -> str:
    """`public.orders` as people say it: `orders`."""
    return name.removeprefix("public.")


def noun(key: Key) -> str:
    """`index ix_orders_note on orders`, `column orders.note`, `function touch()`."""
    if not key.table or key.kind == "column":
        return f"{key.kind} {short_name(key)}"
    return f"{key.kind} {key.name} on {shorten(f'{key.schema}.{key.table}')}"


def listed(items: Sequence[str], limit: int = 3) -> str:
    """`a`, `a and b`, `a, b and c`, `a, b, c and 4 more`."""
    if len(items) > limit + 1:  # "and 1 more" would take the room of the one that it hides
        items = [*items[:limit], f"{len(items) - limit} more"]
    return " and ".join(filter(None, [", ".join(items[:-1]), items[-1]])) if items else ""


def counted(number: int, singular: str, plural: str | None = None) -> str:
    """`1 revision`, `3 revisions`."""
    return f"{number} {singular if number == 1 else plural or singular + 's'}"


def indented(code: str) -> str:
    """Code as it stands out in a plain text."""
    return "\n".join(f"    {line}" if line else "" for line in code.splitlines())


def script_of(recording: Recording, revision: str) -> str:
    """`3f2a (migrations/versions/3f2a_add_note.py)`, or the bare id where the script is not known."""
    try:
        return f"{revision} ({recording.get_revision(revision).path})"
    except KeyError:
        return revision


def first_line(text: str) -> str:
    """An error's first line without the full stop: it goes in the middle of a sentence."""
    return (text.strip().splitlines() or [""])[0].rstrip(". ")


def failure_reason(failure: Failure) -> str:
    """What an error says, to be put into a sentence."""
    name, said = failure.error.rpartition(".")[2], first_line(failure.message)
    if failure.sqlstate is not None or failure.error == "Timeout":
        return said or name  # PostgreSQL's words, and our own, need no class name
    return f"{name}: {said}" if said else name


def principal(changes: Iterable[Change]) -> list[Change]:
    """The changes without those that merely go with another: the columns of a new table, what lies in a new schema.

    Tables come first, then columns, then the rest, so that the first one named is the cause of most others.
    """
    changes = list(changes)
    whole = {
        (change.before is None, change.key.kind, change.key.schema, change.key.name)
        for change in changes
        if _comes_or_goes(change)
    }

    def goes_with_another(change: Change) -> bool:
        comes, key = change.before is None, change.key
        if not _comes_or_goes(change):
            return False
        if key.kind != "schema" and (comes, "schema", "", key.schema) in whole:
            return True
        return bool(key.table) and any((comes, kind, key.schema, key.table) in whole for kind in TABLE_KINDS)

    rank = {"schema": 0, "table": 1, "view": 2, "materialized view": 2, "column": 3, "enum": 4}
    kept = [change for change in changes if not goes_with_another(change)]
    return sorted(kept, key=lambda change: (rank.get(change.key.kind, 5), change.key))


TABLE_KINDS = ("table", "partitioned table", "view", "materialized view", "foreign table")


def _comes_or_goes(change: Change) -> bool:
    return change.before is None or change.after is None
