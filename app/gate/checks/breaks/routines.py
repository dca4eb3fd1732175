"""Functions, procedures and triggers."""

from __future__ import annotations

import re

from app.gate.checks.breaks.refusals import new_trigger
from app.gate.checks.breaks.upgrade import Break, Upgrade
from app.gate.checks.support.naming import noun
from app.gate.checks.support.renames import find_new_key, is_renamed
from app.gate.checks.support.statements import mentions
from app.gate.recording.model import Change, Definition, Key
from app.gate.recording.names import full_name, shorten, table_of
from app.gate.report.verdict import Severity


def function(upgrade: Upgrade, change: Change) -> Break | None:
    before, after = change.before, change.after
    if before is None:
        return None
    if after is not None:
        return _changed_function(upgrade, change, before, after)
    if before.get("returns") == "trigger" or _takes_the_same_calls(upgrade, change.key):
        return None
    new = find_new_key(upgrade.step, change.key)
    what = f"is renamed to {shorten(full_name(new))}" if new else "is dropped"
    return Break(change, f"{noun(change)} {what}: code that still calls it fails")


def _takes_the_same_calls(upgrade: Upgrade, key: Key) -> bool:
    """Whether a new function of that name has the same arguments, and more of them only with defaults."""
    name, types = _signature(key.name)
    for each in upgrade.step.changes:
        if each.before is not None or each.after is None or (each.key.kind, each.key.schema) != (key.kind, key.schema):
            continue
        other_name, other_types = _signature(each.key.name)
        defaults = str(each.after.get("arguments", "")).count(" DEFAULT ")
        if other_name == name and other_types[: len(types)] == types and defaults >= len(other_types) - len(types):
            return True
    return False


def _signature(name: str) -> tuple[str, list[str]]:
    """`total(integer, text)` as ("total", ["integer", "text"])."""
    bare, _, types = name.partition("(")
    return bare, [each for each in types.removesuffix(")").split(", ") if each]


def _changed_function(upgrade: Upgrade, change: Change, before: Definition, after: Definition) -> Break | None:
    old, new = before.get("returns"), after.get("returns")
    if old != new:
        return Break(change, f"{noun(change)} returns {new} in place of {old}: code that still calls it fails")
    bodies = [" ".join(str(each.get("body", "")).split()) for each in (before, after)]
    name = _signature(change.key.name)[0]
    is_defined = any(_DEFINES.search(each.sql) and mentions(each, name) for each in upgrade.step.statements)
    if bodies[0] == bodies[1] or not is_defined:
        return None
    return Break(
        change, f"{noun(change)} has another body: older code that calls it may get other results", Severity.NOTICE
    )


_DEFINES = re.compile(r"\bCREATE\b[^;]*?\b(?:FUNCTION|PROCEDURE|AGGREGATE)\b", re.IGNORECASE)

# Triggers

_FIRES = re.compile(r"(?P<when>BEFORE|AFTER|INSTEAD OF) (?P<events>.+?) ON ", re.DOTALL)
_CALLS = re.compile(r"EXECUTE FUNCTION (?P<function>[^(]+)\(")


def trigger(upgrade: Upgrade, change: Change) -> Break | None:
    before = change.before
    if before is None:
        return new_trigger(upgrade, change)
    if change.after is not None or _is_replaced(upgrade, change, before):
        return None
    if find_new_key(upgrade.step, change.key) is not None:
        return None
    if any(_DROPS_TRIGGER.search(each.sql) and mentions(each, change.key.name) for each in upgrade.step.statements):
        words = f"{noun(change)} is dropped: what older code writes no longer passes through it"
        return Break(change, words, Severity.NOTICE, "Drop it when no running code relies on what it does.")
    words = f"{noun(change)} is gone, and no statement drops it: what older code writes no longer passes through it"
    return Break(change, words, advice="Create the trigger again in the same revision.")


_DROPS_TRIGGER = re.compile(r"\bDROP\s+TRIGGER\b", re.IGNORECASE)


def _is_replaced(upgrade: Upgrade, change: Change, before: Definition) -> bool:
    """Whether a new trigger of the table calls the same function, or fires at the same events."""
    for each in upgrade.step.changes:
        if each.before is None and each.key.kind == "trigger" and table_of(each.key) == table_of(change.key):
            for pattern in (_FIRES, _CALLS):
                old, new = (pattern.search(str((some or {}).get("definition", ""))) for some in (before, each.after))
                if old and new and old.groups() == new.groups():
                    return not is_renamed(upgrade.step, each.key)
    return False
