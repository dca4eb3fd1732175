"""What a foreign key does to rows when those that they refer to go or get another key: code may rely on it."""

from __future__ import annotations

import re

from app.gate.checks.breaks.upgrade import Break, Upgrade
from app.gate.checks.support.naming import noun
from app.gate.checks.support.renames import find_new_key
from app.gate.postgres.quoting import unquoted
from app.gate.recording.model import Change, Definition
from app.gate.recording.names import shorten, table_of
from app.gate.report.verdict import Severity

_KEEP_THE_ACTION = "Keep the action until all running code deletes such rows, or has them refer to something else, before it deletes what they refer to."
_CHANGES_ROWS = "CASCADE|SET NULL|SET DEFAULT"


def is_foreign_key(change: Change) -> bool:
    return (change.before or change.after or {}).get("type") == "foreign key"


def takes_place_of_another(upgrade: Upgrade, change: Change) -> bool:
    """Whether it is a new one for another on the same columns, which is compared with that."""
    return any(each.after is None and _are_alike(each, change) for each in upgrade.step.changes)


def foreign_key(upgrade: Upgrade, change: Change) -> Break | None:
    """One that is gone, or has other actions. `change` is of the one that was there."""
    before, after, shown = change.before or {}, change.after, change
    if after is None:
        if find_new_key(upgrade.step, change.key) is not None or _goes_with_more(upgrade, change):
            return None
        shown = next(
            (each for each in upgrade.step.changes if each.before is None and _are_alike(change, each)), change
        )
        after = shown.after
    return _gone(change, before) if after is None else _with_other_actions(shown, before, after)


def _are_alike(gone: Change, new: Change) -> bool:
    """Whether both are foreign keys of one table, on the same columns, that refer to the same."""
    if not (is_foreign_key(gone) and is_foreign_key(new)) or table_of(gone.key) != table_of(new.key):
        return False
    old, others = gone.before or {}, new.after or {}
    same = all(old.get(name) == others.get(name) for name in ("columns", "references"))
    return same and gone.key != new.key


def _goes_with_more(upgrade: Upgrade, change: Change) -> bool:
    """Whether its column goes too, or the table that it refers to: that is reported."""
    columns = set((change.before or {}).get("columns") or ())
    return unquoted(str((change.before or {}).get("references"))) in upgrade.dropped or any(
        each.key.kind == "column"
        and each.after is None
        and each.key.name in columns
        and table_of(each.key) == table_of(change.key)
        for each in upgrade.step.changes
    )


def _action(definition: Definition, event: str) -> str:
    """`CASCADE`, `SET NULL`, `SET DEFAULT`; empty where PostgreSQL refuses the change of the other row."""
    found = re.search(rf" ON {event} ({_CHANGES_ROWS})", str(definition.get("definition")))
    return found[1] if found else ""


def _parent(definition: Definition) -> str:
    return shorten(unquoted(str(definition.get("references", ""))))


def _gone(change: Change, before: Definition) -> Break | None:
    if not (action := _action(before, "DELETE")):
        return None
    words = (
        f"{noun(change)} is dropped, and its ON DELETE {action}: rows of {shorten(table_of(change.key))} stay when older code deletes those"
        f" of {_parent(before)} that they refer to"
    )
    return Break(change, words, Severity.NOTICE, _KEEP_THE_ACTION)


def _with_other_actions(change: Change, before: Definition, after: Definition) -> Break | None:
    parent, rows = _parent(after), f"rows of {shorten(table_of(change.key))}"
    old, new = _action(before, "DELETE"), _action(after, "DELETE")
    if old and not new:
        words = f"no longer has ON DELETE {old}: a DELETE from {parent} by older code fails where {rows} refer to it"
        return Break(change, f"{noun(change)} {words}", advice=_KEEP_THE_ACTION)
    if new == "CASCADE" and old != new:
        if old:
            words = f"has ON DELETE CASCADE in place of {old}: a DELETE from {parent} by older code deletes {rows}, which it expects to stay"
            return Break(change, f"{noun(change)} {words}", advice=_KEEP_THE_ACTION)
        words = f"now has ON DELETE CASCADE: a DELETE from {parent} by older code, which was refused, deletes {rows}"
        return Break(change, f"{noun(change)} {words}", Severity.NOTICE)
    if new != old:
        was = f"in place of {old}: " if old else "now: "
        words = f"has ON DELETE {new} {was}after a DELETE from {parent} by older code, {rows} stay without it"
        return Break(change, f"{noun(change)} {words}", Severity.NOTICE)
    old, new = _action(before, "UPDATE"), _action(after, "UPDATE")
    if old and not new:
        words = f"no longer has ON UPDATE {old}: older code cannot change the key of a row of {parent} to which {rows} refer"
        return Break(change, f"{noun(change)} {words}", advice=_KEEP_THE_ACTION)
    return None
