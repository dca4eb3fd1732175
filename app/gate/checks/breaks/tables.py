"""Tables and views that go, leave their parent, or are defined in another way."""

from __future__ import annotations

import re
from collections.abc import Iterator

from app.gate.checks.breaks.upgrade import Break, Upgrade
from app.gate.checks.support.naming import VIEW_KINDS, noun
from app.gate.checks.support.renames import find_new_key
from app.gate.checks.support.schema import parent_of
from app.gate.checks.support.statements import mentions
from app.gate.recording.model import TABLE_KINDS, Change, Definition, Key
from app.gate.recording.names import full_name, shorten
from app.gate.report.verdict import Severity
from app.gate.wording import listed


def table(upgrade: Upgrade, change: Change) -> Break | None:
    if change.after is None:
        return _gone(upgrade, change, change.before or {})
    if change.before is None:
        return None
    return (
        _without_parent(change, change.before, change.after)
        or _whole_rows_in_wal(change, change.before, change.after)
        or _emptied(change, change.before, change.after)
        or _defined_anew(upgrade, change, change.before, change.after)
    )


def _gone(upgrade: Upgrade, change: Change, before: Definition) -> Break | None:
    name = full_name(change.key)
    if name in upgrade.created or name in upgrade.unknown_tables:
        return None  # a view of that name can serve older code
    if parent_of(before) in {printed for each in upgrade.dropped for printed in (each, shorten(each))}:
        return None  # a partition goes with its parent
    new = find_new_key(upgrade.step, change.key)
    what = f"is renamed to {shorten(full_name(new))}" if new else "is dropped"
    return Break(change, f"{noun(change)} {what}: code that still uses it fails")


def is_detached(upgrade: Upgrade, key: Key) -> bool:
    """Whether the table to which a key belongs was a partition and is none any more."""
    change = upgrade.before_and_after.get(Key("table", key.schema, key.table))
    if change is None or change.before is None or change.after is None:
        return False
    return parent_of(change.before) is not None and parent_of(change.after) is None


def is_attached(upgrade: Upgrade, key: Key) -> bool:
    """Whether the table to which a key belongs is a partition now, whose keys may be those of its parent."""
    own = Key("table", key.schema, key.table)
    change = upgrade.before_and_after.get(own)
    after = change.after if change is not None else (upgrade.schema or {}).get(own)
    return parent_of(after or {}) is not None


def _without_parent(change: Change, before: Definition, after: Definition) -> Break | None:
    parent = parent_of(before)
    if parent is not None and parent_of(after) is None:
        words = f"{noun(change)} is detached from {shorten(parent)}: queries on that do not return its rows, and rows within its bounds are refused"
        return Break(change, words, Severity.NOTICE)
    lost = [each for each in before.get("inherits") or () if each not in (after.get("inherits") or ())]
    if not lost:
        return None
    names = listed([shorten(each) for each in lost])
    return Break(change, f"{noun(change)} no longer inherits from {names}: queries on that do not return its rows")


def _whole_rows_in_wal(change: Change, before: Definition, after: Definition) -> Break | None:
    if after.get("replica_identity") != "full" or before.get("replica_identity") == "full":
        return None
    words = f"{noun(change)} has REPLICA IDENTITY FULL: each UPDATE and DELETE writes the whole old row to the WAL"
    return Break(
        change,
        f"{words}, and a subscriber without a fitting index scans its table for it",
        Severity.NOTICE,
        "Prefer a unique index on NOT NULL columns (REPLICA IDENTITY USING INDEX) where there is one.",
    )


def _emptied(change: Change, before: Definition, after: Definition) -> Break | None:
    """A materialized view that was made again, or refreshed, WITH NO DATA."""
    if after.get("populated") is not False or before.get("populated") is False:
        return None
    return Break(
        change,
        f"{noun(change)} holds no data: code that reads it fails until it is refreshed",
        advice="Refresh it in the same revision (REFRESH MATERIALIZED VIEW), or make it WITH DATA.",
    )


def _defined_anew(upgrade: Upgrade, change: Change, before: Definition, after: Definition) -> Break | None:
    """A view that a statement of the script defines. A rename changes the text of a view too, but not its rows."""
    if change.key.kind not in VIEW_KINDS or _returns_all_of(
        str(after.get("definition")), str(before.get("definition"))
    ):
        return None
    if not any(_DEFINES_VIEW.search(each.sql) and mentions(each, change.key.name) for each in upgrade.step.statements):
        return None
    if upgrade.step.renamed or any(_is_retyped(each) for each in upgrade.step.changes):
        return None  # which shows in the text of every view on it
    return Break(change, f"{noun(change)} has another query: older code may read other rows from it", Severity.NOTICE)


def _is_retyped(change: Change) -> bool:
    return bool(change.key.kind == "column" and change.before and change.after) and (
        (change.before or {}).get("type") != (change.after or {}).get("type")
    )


def exchanged(upgrade: Upgrade) -> Iterator[Break]:
    """Tables and columns whose name another one has now: a new table that takes the place of an old one, say."""
    gone = {each.key for each in upgrade.step.changes if each.after is None}
    moved_tables = {each.before for each in upgrade.step.renamed if each.before.kind in TABLE_KINDS}
    for each in upgrade.step.renamed:
        key, is_column = each.before, each.before.kind == "column"
        if key in gone or key in upgrade.new_in_branch or not (is_column or key.kind in TABLE_KINDS):
            continue
        if is_column and {Key(kind, key.schema, key.table) for kind in TABLE_KINDS} & moved_tables:
            continue  # its table has another name, which is reported
        what = f"{noun(Change(key, {}, {}))} is called {each.after.name if is_column else shorten(full_name(each.after))} now"
        words = f"{what}, and another one has its name: older code reads and writes other values"
        yield Break(Change(key, {}, {}), words, Severity.WARNING if is_column else Severity.NOTICE)


def _returns_all_of(new: str, old: str) -> bool:
    """Whether two queries, as PostgreSQL prints them, differ at most in columns that the new one has besides."""
    (old_columns, *old_rest), (new_columns, *new_rest) = (each.split("\n   FROM ", 1) for each in (old, new))
    columns = [{each.strip() for each in some.split(",\n")} for some in (old_columns, new_columns)]
    return old_rest == new_rest and columns[0] <= columns[1]


_DEFINES_VIEW = re.compile(r"\bCREATE\b[^;]*?\bVIEW\b", re.IGNORECASE)
