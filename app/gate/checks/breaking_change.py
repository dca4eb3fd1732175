"""Code of the previous release fails on the new schema.

Catches
    A table, view, column or function that is dropped or renamed; a column whose type becomes narrower or different; a
    column that INSERTs must now provide (NOT NULL without a default); a new CHECK, unique constraint or foreign key on
    columns that older code writes; a label that is removed from an enum.

Why it hurts
    During a deployment, and after a rollback of the code, the previous release runs on the new schema. It selects the
    dropped column, inserts rows without the column that is now required, and fails until its last process has stopped.

How to fix
    Split the change over two releases: first make the code and the schema work with both forms, then remove the old
    one. Drop a column only after no running code uses it. Add a required column with a default, or make it nullable::

        op.add_column("orders", sa.Column("channel", sa.Text(), nullable=False, server_default="web"))

    If older code is known to be unaffected, say so::

        # overproof: allow breaking-change: no release has read this column since 4.2

Stays quiet when
    The same revision creates the table. The type only becomes wider (a longer varchar, integer to bigint). A constraint
    involves a new column, is an older one under another name, or takes over a unique index. A new unique key contains
    the columns of an older one. A CHECK had already proved NOT NULL. A new trigger fills the required column. A view
    replaces a table of the same name.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from app.gate.checks.base import Check, Finding
from app.gate.checks.support.column_types import is_required, is_wider
from app.gate.checks.support.constraints import (
    follows_from_a_unique_key,
    has_narrower_bounds,
    involves_new_columns,
    literals,
    replaces_another,
    replaces_partition_bounds,
)
from app.gate.checks.support.locks import upgrades
from app.gate.checks.support.naming import noun
from app.gate.checks.support.renames import find_new_column, find_new_table, is_renamed_column, statements_on_column
from app.gate.checks.support.statements import find_statement, first_word, sql_of
from app.gate.checks.support.subjects import named, together
from app.gate.recording.model import TABLE_KINDS, Change, Definition, Evidence, Key, Recording, Step
from app.gate.recording.names import full_name, shorten, table_of
from app.gate.report.verdict import Severity
from app.gate.wording import bulleted, listed


@dataclass(frozen=True)
class Upgrade:
    """One upgrade, as seen by code that knows the schema before it."""

    step: Step
    recording: Recording
    unknown_tables: frozenset[str]  # to older code: created by this revision, or by another one of the branch

    @property
    def created(self) -> set[str]:
        return {full_name(each.key) for each in self.step.changes if each.before is None}

    @property
    def dropped(self) -> set[str]:
        return {full_name(each.key) for each in self.step.changes if each.after is None}


@dataclass(frozen=True)
class Break:
    """One change that makes older code fail."""

    change: Change
    words: str  # a sentence without its full stop


def examine(recording: Recording) -> Iterator[Finding]:
    for revision, step, new_in_branch in upgrades(recording):
        created = {full_name(each.key) for each in step.changes if each.key.kind in TABLE_KINDS and each.before is None}
        upgrade = Upgrade(step, recording, frozenset(new_in_branch | created))
        by_table: dict[str, list[Break]] = {}
        for found in _breaks(upgrade):
            by_table.setdefault(table_of(found.change.key), []).append(found)
        for table, breaks in sorted(by_table.items()):
            yield _finding(revision.revision, step, table, breaks)


def _breaks(upgrade: Upgrade) -> Iterator[Break]:
    for change in upgrade.step.changes:
        table = table_of(change.key)
        if change.key.table and (table in upgrade.unknown_tables or table in upgrade.dropped):
            continue
        describe = _BY_KIND.get(change.key.kind)
        words = describe(upgrade, change) if describe is not None else None
        if words is not None:
            yield Break(change, words)


def _finding(revision: str, step: Step, table: str, breaks: Sequence[Break]) -> Finding:
    first = breaks[0]
    statement = find_statement(step, first.change)
    if len(breaks) == 1:
        message = f"{first.words}."
    else:
        ways = listed([each.words.partition(": ")[0] for each in breaks])
        message = f"Code of the previous release breaks on {shorten(table)} in {len(breaks)} ways: {ways}."
    return Finding(
        message[0].upper() + message[1:],
        together(f"{named(each.change.key)} {_outcome(each.change)}" for each in breaks),
        revision=revision,
        object=table if len(breaks) > 1 else full_name(first.change.key),
        detail=bulleted(each.words for each in breaks) if len(breaks) > 1 else sql_of(statement) if statement else None,
        help=f"{_advice(breaks)} If no running code is affected, say so in the script:\n\n"
        "    # overproof: allow breaking-change: <why>",
        line=statement.line if statement else None,
    )


def _outcome(change: Change) -> str:
    return "added" if change.before is None else "gone" if change.after is None else "altered"


# What to do


def _advice(breaks: Sequence[Break]) -> str:
    kinds = {_advice_on(each.change) for each in breaks}
    return kinds.pop() if len(kinds) == 1 else _IN_TWO_RELEASES


def _advice_on(change: Change) -> str:
    before, after = change.before, change.after
    if change.key.kind != "column" or after is None or (before or {}).get("type", after["type"]) != after["type"]:
        return _IN_TWO_RELEASES
    if is_required(after) and (before is None or not before.get("nullable")):
        return "Give it a default (server_default) as long as code runs that does not provide a value, and drop the default in a later release."
    if before is not None and before.get("nullable") and not after.get("nullable"):
        return "Make it NOT NULL in a later release, when no running code leaves it NULL; or give it a default (server_default) now."
    return _IN_TWO_RELEASES


_IN_TWO_RELEASES = "Split the change over two releases: first make the code and the schema work with both forms, then remove the old one."


# What breaks, by kind of object. Each returns a sentence without its full stop, or None.


def _table(upgrade: Upgrade, change: Change) -> str | None:
    name = full_name(change.key)
    if change.after is not None or name in upgrade.created or name in upgrade.unknown_tables:
        return None  # a view of that name can serve older code
    new = find_new_table(upgrade.step, change.key)
    what = f"is renamed to {shorten(new)}" if new else "is dropped"
    return f"{noun(change)} {what}: code that still uses it fails"


def _column(upgrade: Upgrade, change: Change) -> str | None:
    before, after = change.before, change.after
    if after is None:
        new = find_new_column(upgrade.step, change)
        what = f"is renamed to {new}" if new else "is dropped"
        return f"{noun(change)} {what}: code that still reads or writes it fails"
    if before is None:
        return _new_column(upgrade, change, after)
    return _retyped_column(upgrade, change, before, after) or _restricted_column(upgrade, change, before, after)


def _new_column(upgrade: Upgrade, change: Change, after: Definition) -> str | None:
    if not is_required(after) or is_renamed_column(upgrade.step, change.key) or _is_filled_by_trigger(upgrade, change):
        return None
    return f"{noun(change)} is required and has no default: INSERTs of older code fail"


def _retyped_column(upgrade: Upgrade, change: Change, before: Definition, after: Definition) -> str | None:
    old, new = str(before.get("type")), str(after.get("type"))
    if _accepts_all_of(upgrade, change, old, new):
        return None
    return f"{noun(change)} changes from {old} to {new}: older code reads or writes other values{_zone_left_open(upgrade.step, old, new)}"


def _restricted_column(upgrade: Upgrade, change: Change, before: Definition, after: Definition) -> str | None:
    if before.get("nullable") and not after.get("nullable") and not _was_proved(upgrade.step, change):
        return f"{noun(change)} is now NOT NULL: older code that leaves it NULL fails"
    if is_required(after) and not before.get("nullable") and not is_required(before):
        return f"{noun(change)} has lost its default: INSERTs of older code that omit it fail"
    if (after.get("generated") or after.get("identity") == "always") and not (
        before.get("generated") or before.get("identity")
    ):
        return f"{noun(change)} is now generated: older code that writes it fails"
    return None


def _constraint(upgrade: Upgrade, change: Change) -> str | None:
    before, after, step = change.before, change.after, upgrade.step
    if after is None or (change.key.kind == "index" and not after.get("unique")):
        return None
    if str(after.get("definition", "")).endswith(" NOT ENFORCED") or replaces_partition_bounds(step, change):
        return None
    if before is not None:
        if lost := literals(before) - literals(after):
            return f"{noun(change)} no longer allows {listed(sorted(lost))}: older code that writes it fails"
        if has_narrower_bounds(after, before):
            return f"{noun(change)} has narrower bounds: older code that writes values outside them fails"
        return None
    if (
        involves_new_columns(step, change)
        or replaces_another(step, change)
        or follows_from_a_unique_key(upgrade.recording, step, change)
    ):
        return None
    return f"{noun(change)} is new: it may refuse what older code writes"


def _domain_constraint(upgrade: Upgrade, change: Change) -> str | None:
    if change.before is not None or table_of(change.key) in upgrade.created:
        return None
    return f"{noun(change)} is new: it may refuse what older code writes"


def _enum(upgrade: Upgrade, change: Change) -> str | None:
    if not (change.before and change.after):
        return None
    labels = change.after.get("labels") or ()
    lost = [repr(label) for label in change.before.get("labels") or () if label not in labels]
    return f"{noun(change)} no longer has {listed(lost)}: older code that writes it fails" if lost else None


def _function(upgrade: Upgrade, change: Change) -> str | None:
    if not change.before or change.after is not None or change.before.get("returns") == "trigger":
        return None
    return f"{noun(change)} is dropped: code that still calls it fails"


_BY_KIND: Mapping[str, Callable[[Upgrade, Change], str | None]] = {
    **dict.fromkeys(TABLE_KINDS, _table),
    "column": _column,
    "constraint": _constraint,
    "index": _constraint,
    "domain constraint": _domain_constraint,
    "enum": _enum,
    "function": _function,
    "procedure": _function,
}


# What a column accepts


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


def _accepts_all_of(upgrade: Upgrade, change: Change, old: str, new: str) -> bool:
    if old == new or is_wider(old, new):
        return True
    # Only for a domain with a constraint does PostgreSQL read the rows.
    base = _base_type(upgrade.recording, new)
    return base is not None and (old == base or is_wider(old, base)) and not _is_read(upgrade.step, change)


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


CHECK = Check(id="breaking-change", severity=Severity.WARNING, examine=examine, needs=frozenset({Evidence.LOCKS}))
