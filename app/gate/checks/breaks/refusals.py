"""Triggers and rules that refuse, or skip, what code writes."""

from __future__ import annotations

import re

from app.gate.checks.breaks.upgrade import Break, Upgrade
from app.gate.checks.support.naming import noun
from app.gate.checks.support.renames import is_renamed
from app.gate.postgres.quoting import name_of
from app.gate.recording.model import Change, Definition, Key
from app.gate.recording.names import shorten, table_of
from app.gate.report.verdict import Severity
from app.gate.wording import listed

_OBEY_FIRST = "Create it once no running code writes what it refuses: first release the code that obeys it."
_NAME = r'"(?:[^"]|"")+"|\w+'
_EVENTS = re.compile(r"(?:BEFORE|AFTER|INSTEAD OF) (?P<events>.+?) ON ", re.DOTALL)
_CALLS = re.compile(rf"EXECUTE FUNCTION (?P<schema>{_NAME})\.(?P<name>{_NAME})\((?P<rest>.*)\Z", re.DOTALL)
_COMMENTS = re.compile(r"--[^\n]*|/\*.*?\*/", re.DOTALL)
_TEXTS = re.compile(r"'(?:[^']|'')*'")
# An error, also without a level: https://www.postgresql.org/docs/current/plpgsql-errors-and-messages.html
_ERROR = r"RAISE\b(?!\s+(?:DEBUG|LOG|INFO|NOTICE|WARNING)\b)"
_BEGIN = r"\A\s*(?:DECLARE\b.*?)?BEGIN\s+"
_RAISES = re.compile(rf"\b{_ERROR}", re.IGNORECASE)
_RAISES_AT_ONCE = re.compile(_BEGIN + _ERROR, re.IGNORECASE | re.DOTALL)
_SKIPS_AT_ONCE = re.compile(rf"{_BEGIN}RETURN\s+NULL\s*;", re.IGNORECASE | re.DOTALL)


def new_trigger(upgrade: Upgrade, change: Change) -> Break | None:
    """A trigger whose function raises an error, or skips the row."""
    if is_renamed(upgrade.step, change.key):
        return None
    text = str((change.after or {}).get("definition", ""))
    events = _EVENTS.match(text)
    writes = [
        each for each in ("INSERT", "UPDATE", "DELETE") if events and each in re.findall(r"\w+", events["events"])
    ]
    body = _COMMENTS.sub(" ", _TEXTS.sub("''", str(_function_of(upgrade, text).get("body", ""))))
    if not writes or _takes_over(upgrade, change, text):
        return None
    table = shorten(table_of(change.key))
    is_of_all = " WHEN (" not in text and " OF " not in (events["events"] if events else "")
    if is_of_all and text.startswith("BEFORE") and " FOR EACH ROW" in text and _SKIPS_AT_ONCE.match(body):
        return Break(
            change,
            f"{noun(change)} is new: each {listed(writes)} of older code on {table} does nothing",
            advice=_OBEY_FIRST,
        )
    if not _RAISES.search(body):
        return None
    if is_of_all and _RAISES_AT_ONCE.match(body):
        words = f"{noun(change)} is new: it refuses each {listed(writes)} of older code on {table}"
        return Break(change, words, advice=_OBEY_FIRST)
    return Break(change, f"{noun(change)} is new: it may refuse what older code writes", Severity.NOTICE, _OBEY_FIRST)


def _function_of(upgrade: Upgrade, text: str) -> Definition:
    """The definition of the function that a trigger calls, after the upgrade."""
    found = _CALLS.search(text)
    if found is None:
        return {}
    key = Key("function", name_of(found["schema"]), f"{name_of(found['name'])}()")
    change = upgrade.before_and_after.get(key)
    return (change.after if change is not None else (upgrade.schema or {}).get(key)) or {}


def _takes_over(upgrade: Upgrade, change: Change, text: str) -> bool:
    """Whether an older trigger of the table, which is gone, called the same function."""
    called = _CALLS.search(text)
    return any(
        each.after is None
        and each.key.kind == "trigger"
        and table_of(each.key) == table_of(change.key)
        and called is not None
        and called[0] in str((each.before or {}).get("definition"))
        for each in upgrade.step.changes
    )


_RULE = re.compile(r"\bON (?P<event>INSERT|UPDATE|DELETE) TO .*? DO (?P<instead>INSTEAD)? *(?P<action>.*)\Z", re.DOTALL)


def rule(upgrade: Upgrade, change: Change) -> Break | None:
    """A rule by which something else is done than what code writes."""
    found = _RULE.search(str((change.after or {}).get("definition", "")))
    if change.before is not None or found is None or not found["instead"] or is_renamed(upgrade.step, change.key):
        return None
    if any(
        Key(kind, change.key.schema, change.key.table) in (upgrade.schema or {}) for kind in ("view", "foreign table")
    ):
        return None  # by which a view can be written
    table, event = shorten(table_of(change.key)), found["event"]
    if found["action"].startswith("NOTHING") and " WHERE " not in found[0].replace("\n", " ").partition(" DO ")[0]:
        words = (
            f"{noun(change)} is new: each {event} of older code on {table} does nothing, and one with RETURNING fails"
        )
        return Break(change, words)
    words = f"{noun(change)} is new: something else is done than the {event} of older code on {table}"
    return Break(change, words, Severity.NOTICE)
