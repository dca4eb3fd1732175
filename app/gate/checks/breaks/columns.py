"""Columns that go, change their type, or take fewer values from an INSERT."""

from __future__ import annotations

import re

from app.gate.checks.breaks.upgrade import Break, Upgrade
from app.gate.checks.support.column_types import is_required, is_wider
from app.gate.checks.support.naming import noun
from app.gate.checks.support.renames import find_new_key, is_renamed, statements_on_column
from app.gate.checks.support.statements import first_word
from app.gate.recording.model import Change, Definition, Key, Recording, Step
from app.gate.recording.names import table_of
from app.gate.report.verdict import Severity

_GIVE_A_DEFAULT = "Give it a default (server_default) as long as code runs that does not provide a value, and drop the default in a later release."
_REQUIRE_LATER = "Make it NOT NULL in a later release, when no running code leaves it NULL; or give it a default (server_default) now."
_COMPUTE_LATER = "Keep the expression until all running code writes the column, or have a trigger fill it meanwhile."


def column(upgrade: Upgrade, change: Change) -> Break | None:
    before, after = change.before, change.after
    if change.key in upgrade.new_in_branch:
        return _new_column_later(upgrade, change, before or {}, after or {"nullable": True})
    if after is None:
        new = find_new_key(upgrade.step, change.key)
        what = f"is renamed to {new.name}" if new else "is dropped"
        return Break(change, f"{noun(change)} {what}: code that still reads or writes it fails")
    if before is None:
        return _new_column(upgrade, change, after)
    return (
        _retyped_column(upgrade, change, before, after)
        or _required_column(upgrade, change, before, after)
        or _generated_column(upgrade, change, before, after)
    )


def _new_column(upgrade: Upgrade, change: Change, after: Definition) -> Break | None:
    if not is_required(after) or is_renamed(upgrade.step, change.key) or _is_filled_by_trigger(upgrade, change):
        return None
    return Break(
        change, f"{noun(change)} is required and has no default: INSERTs of older code fail", advice=_GIVE_A_DEFAULT
    )


def _new_column_later(upgrade: Upgrade, change: Change, before: Definition, after: Definition) -> Break | None:
    """An earlier revision of the branch created the column: older code never gives it a value."""
    if not is_required(after) or is_required(before) or _is_filled_by_trigger(upgrade, change):
        return None
    words = f"{noun(change)}, which is new, is now required and has no default: INSERTs of older code fail"
    return Break(change, words, advice=_GIVE_A_DEFAULT)


# Types


def _retyped_column(upgrade: Upgrade, change: Change, before: Definition, after: Definition) -> Break | None:
    old, new = str(before.get("type")), str(after.get("type"))
    if _accepts_all_of(upgrade, change, old, new):
        return None
    zone = _zone_left_open(upgrade.step, old, new)
    return Break(change, f"{noun(change)} changes from {old} to {new}: older code reads or writes other values{zone}")


def _accepts_all_of(upgrade: Upgrade, change: Change, old: str, new: str) -> bool:
    if old == new or is_wider(old, new) or _with_new_names(upgrade.step, old) == new:
        return True
    freed = _dropped_domain(upgrade, old)
    if freed is not None and (freed == new or is_wider(freed, new)):
        return True
    # Only for a domain with a constraint does PostgreSQL read the rows.
    base = _base_type(upgrade.recording, new)
    return base is not None and (old == base or is_wider(old, base)) and not _is_read(upgrade.step, change)


def _with_new_names(step: Step, type_: str) -> str:
    """The type as it is printed after the step, if only its own name has changed. See `types` for that."""
    for each in step.renamed:
        for old in (f"{each.before.schema}.{each.before.name}", each.before.name):
            if type_.removesuffix("[]") == old:
                schema = (
                    "" if old == each.before.name and each.after.schema == each.before.schema else each.after.schema
                )
                return type_.replace(old, f"{schema}.{each.after.name}" if schema else each.after.name, 1)
    return type_


def _dropped_domain(upgrade: Upgrade, type_: str) -> str | None:
    """The base type of a domain that this revision drops."""
    for change in upgrade.step.changes:
        names = (change.key.name, f"{change.key.schema}.{change.key.name}")
        if change.key.kind == "domain" and change.before and change.after is None and type_ in names:
            return str(change.before.get("type"))
    return None


def _base_type(recording: Recording, type_: str) -> str | None:
    """The base type of a domain that exists at head."""
    schema, _, name = type_.rpartition(".")
    domain = recording.head.objects.get(Key("domain", schema or "public", name)) if recording.head else None
    return str(domain.get("type")) if domain else None


_TIMES = {"timestamp without time zone", "timestamp with time zone"}
_NAMES_ZONE = re.compile(r"\b(SET|LOCAL|SESSION|AT)\s+TIME\s*ZONE\b|'timezone'", re.IGNORECASE)


def _zone_left_open(step: Step, old: str, new: str) -> str:
    """What to add where a timestamp gains or loses its time zone, and no statement names the zone."""
    kinds = {re.sub(r"\(\d+\)", "", each) for each in (old, new)}
    if kinds != _TIMES or any(_NAMES_ZONE.search(each.sql) for each in step.statements):
        return ""
    return ". PostgreSQL converts the values by the session's time zone: unless that is UTC, they shift, and the table is rewritten"


# What an INSERT has to provide


def _required_column(upgrade: Upgrade, change: Change, before: Definition, after: Definition) -> Break | None:
    if after.get("nullable"):
        return None
    if before.get("nullable"):
        if _was_proved(upgrade.step, change):
            return None
        words = f"{noun(change)} is now NOT NULL: older code that leaves it NULL fails"
        return Break(change, words, Severity.NOTICE, _REQUIRE_LATER)
    if is_required(after) and not is_required(before) and not before.get("generated"):
        words = f"{noun(change)} has lost its default: INSERTs of older code that omit it fail"
        return Break(change, words, advice=_GIVE_A_DEFAULT)
    return None


def _generated_column(upgrade: Upgrade, change: Change, before: Definition, after: Definition) -> Break | None:
    old, new = before.get("generated"), after.get("generated")
    if (new and not old) or (after.get("identity") == "always" and before.get("identity") != "always"):
        how = "generated" if new else "GENERATED ALWAYS"
        return Break(change, f"{noun(change)} is now {how}: older code that writes it fails")
    if old and not new and not _is_filled_by_trigger(upgrade, change):
        what = "INSERTs of older code fail" if is_required(after) else "rows that older code writes have no value in it"
        return Break(change, f"{noun(change)} is no longer generated: {what}", advice=_COMPUTE_LATER)
    if old and new and old != new and not upgrade.step.renamed:
        words = f"{noun(change)} is generated from another expression: older code reads other values"
        return Break(change, words, Severity.NOTICE)
    return None


_FILLS_ROWS = re.compile(
    r'BEFORE (?:\w+ OR )*INSERT\b.* FOR EACH ROW\b.* EXECUTE FUNCTION (?P<schema>\w+|"[^"]+")\.(?P<name>\w+|"[^"]+")\(',
    re.DOTALL,
)


def _is_filled_by_trigger(upgrade: Upgrade, change: Change) -> bool:
    """Whether a new trigger acts on each row before it is inserted, and it or its function mentions the column."""
    head, changes = upgrade.recording.head, upgrade.step.changes
    functions = {
        **(head.objects if head else {}),
        **{each.key: each.after for each in changes if each.after is not None},
    }
    for each in changes:
        text = str((each.after or {}).get("definition", ""))
        if each.before is not None or each.key.kind != "trigger" or table_of(each.key) != table_of(change.key):
            continue
        if found := _FILLS_ROWS.match(text):
            name = Key("function", found["schema"].strip('"'), found["name"].strip('"') + "()")
            text += str(functions.get(name, {}).get("body", ""))
            if re.search(rf"(?<!\w){re.escape(change.key.name)}(?!\w)", text):
                return True
    return False


def _was_proved(step: Step, change: Change) -> bool:
    """Whether PostgreSQL did not have to read the rows to know that none is NULL, because a CHECK had proved it."""
    is_not_valid = "NOT VALID" in str((change.after or {}).get("not_null", ""))
    is_observed = any(table_of(change.key) in statement.locks for statement in step.statements)
    return is_observed and not is_not_valid and not _is_read(step, change)


def _is_read(step: Step, change: Change) -> bool:
    """Whether the statement that made the change read its table; if that statement is not known, whether any did."""
    altering = [each for each in statements_on_column(step, change.key) if first_word(each) == "ALTER"]
    return any(
        table_of(change.key) in (*statement.scans, *statement.rewrites) for statement in altering or step.statements
    )
