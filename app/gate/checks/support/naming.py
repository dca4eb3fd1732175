"""How the checks name things: one way, so that a reader can search a report for a table."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable

from app.gate.postgres.quoting import name_of
from app.gate.recording.model import COMMAND_FAILED, TABLE_KINDS, Change, Definition, Failure, Key, Recording, RoundTrip
from app.gate.recording.names import full_name, shorten, table_of
from app.gate.wording import first_line

VIEW_KINDS = ("view", "materialized view")


def noun(change: Change) -> str:
    """`index ix_orders_note on orders`, `check constraint ck_total on orders`, `column orders.note`, `function
    touch()`."""
    if not change.key.table or change.key.kind == "column":
        return f"{change.key.kind} {shorten(full_name(change.key))}"
    return f"{short_noun(change)} on {shorten(table_of(change.key))}"


def short_noun(change: Change) -> str:
    """`index ix_orders_note`, where the sentence already names the table."""
    return f"{_kind(change.key, change.after or change.before or {})} {change.key.name}"


def _kind(key: Key, definition: Definition) -> str:
    if key.kind != "constraint":
        return key.kind
    words = {"primary key": "primary key", "foreign key": "foreign key", "exclude": "exclusion constraint"}
    given = str(definition.get("type", ""))
    return words.get(given, f"{given} constraint".strip())


def script_of(recording: Recording, revision: str) -> str:
    """`3f2a (migrations/versions/3f2a_add_note.py)`, or the bare id where the script is not known."""
    try:
        return f"{revision} ({recording.get_revision(revision).path})"
    except KeyError:
        return revision


def failure_reason(failure: Failure) -> str:
    """What an error says, as part of a sentence."""
    name, said = failure.error.rpartition(".")[2], first_line(failure.message)
    if failure.error in {"Timeout", "Gone", COMMAND_FAILED}:
        return f"it {said}" if said.startswith("did not ") else said or name
    if failure.sqlstate is not None:
        return said or name  # PostgreSQL's own words need no class name
    if name.lower() == "error":  # zlib.error, binascii.Error
        name = ".".join(failure.error.split(".")[-2:])
    return f"{name}: {said}" if said else name


def principal(changes: Iterable[Change]) -> list[Change]:
    """The changes without those that are part of another: the columns of a new table, the index on a new column.

    Tables come first, then columns, then the rest, so that the first one named is the cause of most others.
    """
    changes = list(changes)
    whole = {(change.before is None, *change.key) for change in changes if is_one_sided(change)}
    rank = {"schema": 0, "table": 1, "view": 2, "materialized view": 2, "column": 3, "constraint": 4, "index": 5}
    views = [change.key for change in changes if change.key.kind in VIEW_KINDS]
    kept = [change for change in changes if not _is_part_of_another(change, whole, views)]
    return sorted(kept, key=lambda change: (rank.get(change.key.kind, 6), change.key))


def is_one_sided(change: Change) -> bool:
    """Whether the object was created or dropped, rather than altered."""
    return change.before is None or change.after is None


def _is_part_of_another(
    change: Change, whole: Collection[tuple[bool, str, str, str, str]], views: Collection[Key]
) -> bool:
    comes, key = change.before is None, change.key
    if key.kind == "column" and any((key.schema, key.table) == (view.schema, view.name) for view in views):
        return True
    if not is_one_sided(change):
        return False
    if key.kind != "schema" and (comes, "schema", "", key.schema, "") in whole:
        return True
    if key.table and any((comes, kind, key.schema, key.table, "") in whole for kind in (*TABLE_KINDS, "domain")):
        return True
    definition = change.after or change.before or {}
    if key.kind == "sequence" and definition.get("owned_by"):
        table, _, column = str(definition["owned_by"]).rpartition(".")
        schema, _, table = table.rpartition(".")
        owners = {(comes, "table", schema, table, ""), (comes, "column", schema, column, table)}
        return any(owner in whole for owner in owners)
    return key.kind in ("constraint", "index") and any(
        (comes, "column", key.schema, column, key.table) in whole for column in columns_in(definition)
    )


def columns_in(definition: Definition) -> set[str]:
    """The columns that a constraint or an index is on, among other words of its definition."""
    columns = set(definition.get("columns") or ())
    words = re.findall(r'"(?:[^"]|"")+"|\w+', str(definition.get("definition", "")).partition(" REFERENCES ")[0])
    return columns | {name_of(word) for word in words}


def tables_made_by(trip: RoundTrip) -> list[str]:
    """The tables that the revision creates, which held no rows before it."""
    changes = trip.up.changes if trip.up is not None else ()
    return [full_name(each.key) for each in changes if each.key.kind == "table" and each.before is None]
