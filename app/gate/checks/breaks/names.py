"""What else code names: types, sequences, extensions and schemas."""

from __future__ import annotations

from app.gate.checks.breaks.upgrade import Break, Upgrade
from app.gate.checks.support.naming import noun
from app.gate.checks.support.renames import find_new_key
from app.gate.recording.model import TABLE_KINDS, Change, Key
from app.gate.recording.names import full_name, shorten
from app.gate.report.verdict import Severity
from app.gate.wording import counted, listed


def enum(upgrade: Upgrade, change: Change) -> Break | None:
    if not (change.before and change.after):
        return named_type(upgrade, change)
    labels = change.after.get("labels") or ()
    lost = [repr(label) for label in change.before.get("labels") or () if label not in labels]
    if not lost:
        return None
    return Break(change, f"{noun(change)} no longer has {listed(lost)}: older code that writes it fails")


def named_type(upgrade: Upgrade, change: Change) -> Break | None:
    """A type that casts and bound parameters name. It can only be dropped where no column has it; if one has lost it in
    this revision, that is reported for the column."""
    if change.after is not None:
        return None
    new = find_new_key(upgrade.step, change.key)
    if new is None and _is_lost_by_a_column(upgrade, change.key):
        return None
    words = "code that names it, as in a cast, fails"
    if new is not None:
        return Break(change, f"{noun(change)} is renamed to {shorten(full_name(new))}: {words}")
    return Break(
        change, f"{noun(change)} is dropped: {words}", Severity.NOTICE, "Drop it when no running code names it."
    )


def _is_lost_by_a_column(upgrade: Upgrade, key: Key) -> bool:
    names = (key.name, f"{key.schema}.{key.name}")
    return any(
        each.key.kind == "column" and str((each.before or {}).get("type", "")).removesuffix("[]") in names
        for each in upgrade.step.changes
    )


def sequence(upgrade: Upgrade, change: Change) -> Break | None:
    """A sequence that a column draws from goes with the column's default, which is reported there."""
    if change.after is not None or (change.before or {}).get("owned_by"):
        return None
    defaults = [str((each.before or {}).get("default")) for each in upgrade.step.changes if each.key.kind == "column"]
    if any(default.startswith("nextval(") and change.key.name in default for default in defaults):
        return None
    new = find_new_key(upgrade.step, change.key)
    what = f"is renamed to {shorten(full_name(new))}" if new else "is dropped"
    return Break(change, f"{noun(change)} {what}: older code that draws numbers from it fails")


def extension(upgrade: Upgrade, change: Change) -> Break | None:
    if change.after is not None:
        return None
    return Break(change, f"{noun(change)} is dropped: code that calls its functions or names its types fails")


def schema(upgrade: Upgrade, change: Change) -> Break | None:
    """A schema, once for all that is in it."""
    if change.after is not None:
        return None
    new = find_new_key(upgrade.step, change.key)
    gone = [each for each in upgrade.step.changes if each.after is None and each.key.schema == change.key.name]
    tables = sum(each.key.kind in TABLE_KINDS for each in gone)
    if not gone:
        return None
    what = f"is renamed to {new.name}" if new else "is dropped"
    contents = f", with {counted(tables, 'table')}" if tables else ""
    return Break(change, f"{noun(change)} {what}{contents}: code that still uses what was in it fails")
