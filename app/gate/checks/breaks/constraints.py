"""Constraints that may refuse what older code writes, and unique keys that its ON CONFLICT names."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from app.gate.checks.breaks.foreign_keys import foreign_key, is_foreign_key, takes_place_of_another
from app.gate.checks.breaks.names import named_type
from app.gate.checks.breaks.tables import is_attached, is_detached
from app.gate.checks.breaks.upgrade import Break, Upgrade
from app.gate.checks.support.constraints import (
    UniqueKey,
    follows_from_a_unique_key,
    has_narrower_bounds,
    involves_columns,
    literals,
    replaces_another,
    unique_key,
)
from app.gate.checks.support.naming import columns_in, noun
from app.gate.checks.support.renames import find_new_key, is_renamed
from app.gate.recording.model import Change, Definition, Key
from app.gate.recording.names import table_of
from app.gate.report.verdict import Severity
from app.gate.wording import listed

_OBEY_FIRST = "Add it once no running code writes what it refuses: first release the code that obeys it."
_KEEP_THE_KEY = "Keep the key until no running code names its columns in ON CONFLICT: drop it in a later release."


def constraint(upgrade: Upgrade, change: Change) -> Break | None:
    before, after = change.before, change.after
    if before is not None and is_foreign_key(change):
        return foreign_key(upgrade, change)
    if after is None or (before is not None and unique_key(change.key, before) != unique_key(change.key, after)):
        lost = _lost_key(upgrade, change, before or {})
        if lost is not None or after is None:
            return lost
    if change.key.kind == "index" and not after.get("unique"):
        return None
    if str(after.get("definition", "")).endswith(" NOT ENFORCED") or is_detached(upgrade, change.key):
        return None  # what a partition had from its parent it keeps as its own
    if before is not None and (change.key.kind == "constraint" or before.get("unique")):
        return _narrower(change, before, after)
    if (
        involves_columns(_new_columns(upgrade, change.key), change)
        or is_renamed(upgrade.step, change.key)
        or replaces_another(upgrade.step, change)
        or takes_place_of_another(upgrade, change)
        or follows_from_a_unique_key(upgrade.recording, upgrade.step, change)
    ):
        return None
    return Break(change, f"{noun(change)} is new: it may refuse what older code writes", Severity.NOTICE, _OBEY_FIRST)


def domain_constraint(upgrade: Upgrade, change: Change) -> Break | None:
    if change.before is not None or table_of(change.key) in upgrade.created:
        return None
    return Break(change, f"{noun(change)} is new: it may refuse what older code writes", Severity.NOTICE, _OBEY_FIRST)


def domain(upgrade: Upgrade, change: Change) -> Break | None:
    before, after = change.before, change.after
    if before is None or after is None:
        return named_type(upgrade, change)
    if before.get("nullable") is False or after.get("nullable") is not False:
        return None
    words = f"{noun(change)} is now NOT NULL: it may refuse what older code writes"
    return Break(change, words, Severity.NOTICE, _OBEY_FIRST)


def _narrower(change: Change, before: Definition, after: Definition) -> Break | None:
    if lost := literals(before) - literals(after):
        return Break(change, f"{noun(change)} no longer allows {listed(sorted(lost))}: older code that writes it fails")
    if has_narrower_bounds(after, before):
        return Break(change, f"{noun(change)} has narrower bounds: older code that writes values outside them fails")
    return None


def _new_columns(upgrade: Upgrade, key: Key) -> set[str]:
    """The columns of its table that older code does not know."""
    new = {each.key for each in upgrade.step.changes if each.before is None and not is_renamed(upgrade.step, each.key)}
    return {
        each.name for each in new | upgrade.new_in_branch if each.kind == "column" and table_of(each) == table_of(key)
    }


def _lost_key(upgrade: Upgrade, change: Change, before: Definition) -> Break | None:
    """A unique key that is gone, unless another one serves the same ON CONFLICT."""
    key = unique_key(change.key, before)
    if key is None or is_attached(upgrade, change.key) or find_new_key(upgrade.step, change.key) is not None:
        return None
    if columns_in(before) & _columns_gone(upgrade, change.key):
        return None
    if any(each.serves(key) for each in _unique_keys_after(upgrade, change.key)):
        return None
    if Key("materialized view", change.key.schema, change.key.table) in (upgrade.schema or {}):
        words = f"{noun(Change(change.key, before, None))} is dropped: REFRESH MATERIALIZED VIEW CONCURRENTLY of older code fails"
        return Break(change, words, advice="Keep it as long as running code refreshes the view concurrently.")
    duplicates = (
        "several rows of the same key are accepted"
        if before.get("type") == "primary key"
        else "duplicates are accepted"
    )
    words = f"{noun(Change(change.key, before, None))} is dropped: ON CONFLICT ({key.text}) of older code fails, and {duplicates}"
    return Break(change, words, advice=_KEEP_THE_KEY)


def _unique_keys_after(upgrade: Upgrade, key: Key) -> Iterator[UniqueKey]:
    schema: Mapping[Key, Definition] | None = upgrade.schema
    if schema is None:
        schema = {each.key: each.after for each in upgrade.step.changes if each.after is not None}
    for other, definition in schema.items():
        if table_of(other) == table_of(key) and (found := unique_key(other, definition)) is not None:
            yield found


def _columns_gone(upgrade: Upgrade, key: Key) -> set[str]:
    return {
        each.key.name
        for each in upgrade.step.changes
        if each.key.kind == "column" and each.after is None and table_of(each.key) == table_of(key)
    }
