"""What the code of the release before uses is gone, or accepts less than it did.

Catches
    A table, view, column or function that is dropped or renamed; a column of a narrower or another type; a column that must be given
    and was not before (NOT NULL, and no default); a new CHECK, unique or foreign key on columns that older code
    writes; a label that an enum no longer has.

Why it hurts
    While a deployment is under way, and whenever one is rolled back, the old code runs on the new schema. It selects the column
    that is gone, inserts without the one that is now required, and fails until the last old process has ended.

How to fix
    In two releases: first the schema and the code get along with both, then the old goes. A column is dropped once no code
    that runs names it. A required column starts with a default, or nullable ::

        op.add_column("orders", sa.Column("channel", sa.Text(), nullable=False, server_default="web"))

    Where the old code is known not to care, say so ::

        # overproof: allow breaking-change: no release has read this column since 4.2

Stays quiet when
    The same revision creates the table. The type only gets wider (a longer varchar, integer to bigint). A constraint is on new columns
    only, or is the old one by another name, or takes over a unique index. A new unique key contains an older one. NOT NULL was
    proved by a CHECK. A new trigger fills the column that must be given. A view takes the place of a table under its name.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from app.gate.checks.base import Check, Finding
from app.gate.checks.support.column_types import is_required, is_wider
from app.gate.checks.support.constraints import (
    _has_closer_bounds,
    _is_column_of,
    _literals,
    _plainly_unique,
    _says_no_more,
    _unique_columns,
)
from app.gate.checks.support.locks import upgrades
from app.gate.checks.support.naming import columns_in, noun
from app.gate.checks.support.statements import (
    column_renamed_to,
    drops,
    find_statement,
    first_word,
    mentions,
    renamed_to,
    sql_of,
)
from app.gate.checks.support.subjects import named, together
from app.gate.recording.model import TABLE_KINDS, Change, Evidence, Key, Recording, Step
from app.gate.recording.names import full_name, shorten, table_of
from app.gate.report.verdict import Severity
from app.gate.wording import bulleted, listed

_FILLS_ROWS = re.compile(
    r'BEFORE (?:\w+ OR )*INSERT\b.* FOR EACH ROW\b.* EXECUTE FUNCTION (?P<schema>\w+|"[^"]+")\.(?P<name>\w+|"[^"]+")\(',
    re.DOTALL,
)
_TIMES = {"timestamp without time zone", "timestamp with time zone"}
_SAYS_ZONE = re.compile(r"\b(SET|LOCAL|SESSION|AT)\s+TIME\s*ZONE\b|'timezone'", re.IGNORECASE)


@dataclass(frozen=True)
class Break:
    """One thing on which older code stumbles."""

    change: Change
    words: str  # a sentence without its full stop


def examine(recording: Recording) -> Iterator[Finding]:
    for revision, step, young in upgrades(recording):
        by_table: dict[str, list[Break]] = {}
        for found in _Step(step, young, recording).breaks():
            by_table.setdefault(table_of(found.change.key), []).append(found)
        for table, breaks in sorted(by_table.items()):
            yield _finding(revision.revision, step, table, breaks)


def _finding(revision: str, step: Step, table: str, breaks: Sequence[Break]) -> Finding:
    first = breaks[0]
    statement = find_statement(step, first.change)
    if len(breaks) == 1:
        message = f"{first.words}."
    else:
        ways = listed([each.words.partition(": ")[0] for each in breaks])
        message = f"Code of the release before breaks on {shorten(table)} in {len(breaks)} ways: {ways}."
    return Finding(
        message[0].upper() + message[1:],
        together(f"{named(each.change.key)} {_what_became_of(each.change)}" for each in breaks),
        revision=revision,
        object=table if len(breaks) > 1 else full_name(first.change.key),
        detail=bulleted(each.words for each in breaks) if len(breaks) > 1 else sql_of(statement) if statement else None,
        help=f"{_advice(breaks)} If no running code minds, say so in the script:\n\n    # overproof: allow breaking-change: <why>",
        line=statement.line if statement else None,
    )


def _what_became_of(change: Change) -> str:
    return "added" if change.before is None else "gone" if change.after is None else "altered"


def _advice(breaks: Sequence[Break]) -> str:
    kinds = {_what_to_do(each.change) for each in breaks}
    return kinds.pop() if len(kinds) == 1 else _IN_TWO_RELEASES


def _what_to_do(change: Change) -> str:
    before, after = change.before, change.after
    if change.key.kind != "column" or after is None or (before or {}).get("type", after["type"]) != after["type"]:
        return _IN_TWO_RELEASES
    if is_required(after) and (before is None or not before.get("nullable")):
        return "Leave it a default (server_default) for as long as code runs that does not give it, and drop that in a later release."
    if before is not None and before.get("nullable") and not after.get("nullable"):
        return "Make it NOT NULL in a later release, when no code runs that leaves it empty; or give it a default (server_default) now."
    return _IN_TWO_RELEASES


_IN_TWO_RELEASES = (
    "Split it over two releases: first let the schema and the code get along with both, then take the old away."
)


class _Step:
    """The changes of one upgrade, seen with the eyes of code that knows the schema before it."""

    def __init__(self, step: Step, young: set[str], recording: Recording) -> None:
        self._step = step
        self._changes = step.changes
        self._recording = recording
        self._head = recording.head
        self._new = {full_name(each.key) for each in step.changes if each.before is None}
        self._gone = {full_name(each.key) for each in step.changes if each.after is None}
        # Tables that nobody knows yet: made by this revision, or by another of the same branch.
        self._young = young | {
            full_name(each.key) for each in step.changes if each.key.kind in TABLE_KINDS and each.before is None
        }

    def breaks(self) -> Iterator[Break]:
        for change in self._changes:
            words = self._words(change)
            if words is not None:
                yield Break(change, words)

    def _words(self, change: Change) -> str | None:
        key = change.key
        belongs = table_of(key)
        if key.table and (belongs in self._young or belongs in self._gone):
            return None
        if key.kind in TABLE_KINDS:
            return self._table(change)
        if key.kind == "column":
            return self._column(change)
        if key.kind in ("constraint", "index"):
            return self._constraint(change)
        if key.kind == "domain constraint" and change.before is None and belongs not in self._new:
            return f"{noun(change)} is new: what older code writes may be refused"
        if key.kind == "enum" and change.before and change.after:
            return _labels(change)
        if key.kind in ("function", "procedure") and change.before and change.after is None:
            if change.before.get("returns") == "trigger":
                return None
            return f"{noun(change)} is gone: code that still calls it fails"
        return None

    def _table(self, change: Change) -> str | None:
        name = full_name(change.key)
        if change.after is not None or name in self._new or name in self._young:
            return None  # a view of that name can be what older code goes on with
        heir = self._heir_of_table(change.key)
        what = f"is now called {shorten(heir)}" if heir else "is gone"
        return f"{noun(change)} {what}: code that still uses it fails"

    def _heir_of_table(self, key: Key) -> str | None:
        """The new table that a statement made of this one, else the one with exactly the columns that this one had."""
        for statement in self._step.statements:
            name = renamed_to(statement, key.name)
            if name is not None and f"{key.schema}.{name}" in self._new:
                return f"{key.schema}.{name}"
        if any(drops(statement, key.name) for statement in self._step.statements):
            return None
        had = {each.key.name for each in self._changes if _is_column_of(each, key) and each.before is not None}
        for candidate in self._changes:
            if candidate.before is None and candidate.key.kind == key.kind:
                has = {
                    each.key.name
                    for each in self._changes
                    if _is_column_of(each, candidate.key) and each.after is not None
                }
                if had and has == had:
                    return full_name(candidate.key)
        return None

    def _column(self, change: Change) -> str | None:
        before, after, name = change.before, change.after, shorten(full_name(change.key))
        if after is None:
            heir = self._heir_of_column(change)
            what = f"is now called {heir}" if heir else "is gone"
            return f"column {name} {what}: code that still reads or writes it fails"
        if before is None:
            required = is_required(after) and not (
                self._was_called_otherwise(change.key) or self._is_filled_by_trigger(change.key)
            )
            return f"column {name} must be given and has no default: INSERTs of older code fail" if required else None
        if not self._takes_what_it_took(change, str(before.get("type")), str(after.get("type"))):
            zone = self._zone_left_open(str(before.get("type")), str(after.get("type")))
            return f"column {name} was {before.get('type')} and is now {after.get('type')}: older code reads or writes something else{zone}"
        if before.get("nullable") and not after.get("nullable") and not self._was_proved(change):
            return f"column {name} is now NOT NULL: older code that leaves it empty fails"
        if is_required(after) and not before.get("nullable") and not is_required(before):
            return f"column {name} has lost its default: INSERTs of older code that leave it out fail"
        if (after.get("generated") or after.get("identity") == "always") and not (
            before.get("generated") or before.get("identity")
        ):
            return f"column {name} is now generated: older code that writes it fails"
        return None

    def _is_filled_by_trigger(self, column: Key) -> bool:
        """Whether a new trigger acts on each row before it is inserted, and names the column, or its function does."""
        functions = {
            **(self._recording.head.objects if self._recording.head else {}),
            **{each.key: each.after for each in self._changes if each.after is not None},
        }
        for each in self._changes:
            text = str((each.after or {}).get("definition", ""))
            if each.before is not None or each.key.kind != "trigger" or table_of(each.key) != table_of(column):
                continue
            if found := _FILLS_ROWS.match(text):
                name = Key("function", found["schema"].strip('"'), found["name"].strip('"') + "()")
                text += str(functions.get(name, {}).get("body", ""))
                if re.search(rf"(?<!\w){re.escape(column.name)}(?!\w)", text):
                    return True
        return False

    def _was_called_otherwise(self, key: Key) -> bool:
        gone = [each for each in self._changes if each.key.kind == "column" and each.after is None]
        return any(table_of(each.key) == table_of(key) and self._heir_of_column(each) == key.name for each in gone)

    def _takes_what_it_took(self, change: Change, before: str, after: str) -> bool:
        if before == after or is_wider(before, after):
            return True
        # PostgreSQL reads the rows for a domain that has a rule, and only then.
        base = self._base_of(after)
        return base is not None and (before == base or is_wider(before, base)) and not self._is_read(change)

    def _base_of(self, type_: str) -> str | None:
        """The type below a domain, of those that are there at head."""
        schema, _, name = type_.rpartition(".")
        domain = self._head.objects.get(Key("domain", schema or "public", name)) if self._head else None
        return str(domain.get("type")) if domain else None

    def _zone_left_open(self, old: str, new: str) -> str:
        """What to add where a time gets or loses its zone, and nothing says which zone is meant."""
        kinds = {re.sub(r"\(\d+\)", "", each) for each in (old, new)}
        is_left_open = kinds == _TIMES and not any(_SAYS_ZONE.search(each.sql) for each in self._step.statements)
        return (
            ". Its times are taken in the session's zone: in another one than UTC they shift, and the table is rewritten"
            * is_left_open
        )

    def _was_proved(self, change: Change) -> bool:
        """Whether PostgreSQL did not have to read the rows to know that none is NULL, for a CHECK had said so before."""
        is_left_open = "NOT VALID" in str((change.after or {}).get("not_null", ""))
        table = table_of(change.key)
        is_observed = any(table in statement.locks for statement in self._step.statements)
        return is_observed and not is_left_open and not self._is_read(change)

    def _is_read(self, change: Change) -> bool:
        """Whether the statement that made the change read its table; if none is known for it, whether any did."""
        table = table_of(change.key)
        telling = [
            each
            for each in self._step.statements
            if mentions(each, change.key.name) and mentions(each, change.key.table)
        ]
        return any(
            table in (*statement.scans, *statement.rewrites)
            for statement in [each for each in telling if first_word(each) == "ALTER"] or self._step.statements
        )

    def _heir_of_column(self, change: Change) -> str | None:
        """The column that a statement made of this one; where none tells, the one new column of its type, if just one of that type went."""
        key, before = change.key, change.before or {}
        telling = [each for each in self._step.statements if mentions(each, key.name) and mentions(each, key.table)]
        for statement in telling:
            if (name := column_renamed_to(statement, key.name)) is not None:
                return name
        if telling:
            return None
        same_type = [
            each
            for each in self._changes
            if each.key.kind == "column"
            and table_of(each.key) == table_of(key)
            and (each.before is None or each.after is None)
            and (each.before or each.after or {}).get("type") == before.get("type")
        ]
        new = [each for each in same_type if each.before is None]
        return new[0].key.name if len(new) == 1 and len(same_type) == 2 else None

    def _constraint(self, change: Change) -> str | None:
        before, after = change.before, change.after
        if after is None or (change.key.kind == "index" and not after.get("unique")):
            return None
        if str(after.get("definition", "")).endswith(" NOT ENFORCED") or self._was_the_bounds(change):
            return None
        if before is not None:
            if lost := _literals(before) - _literals(after):
                return f"{noun(change)} no longer allows {listed(sorted(lost))}: older code that writes it fails"
            if _has_closer_bounds(after, before):
                return f"{noun(change)} has closer bounds: older code that writes what is beyond them fails"
            return None
        if self._is_on_new_columns(change) or self._replaces_another(change) or self._was_unique(change):
            return None
        return f"{noun(change)} is new: what older code writes may be refused"

    def _is_on_new_columns(self, change: Change) -> bool:
        """Whether at least one of its columns is new: code that does not know it cannot break a promise about it.

        A unique key or a foreign key of which one column is NULL, or one default for all, promises something all the same, but
        that is the new column's affair.
        """
        own = {
            each.key.name
            for each in self._changes
            if each.key.kind == "column" and each.before is None and table_of(each.key) == table_of(change.key)
        }
        return bool(own & columns_in(change.after or {}))

    def _replaces_another(self, change: Change) -> bool:
        """Whether a constraint that went said the same, or one that allowed less; or a unique index, which it may have taken over."""
        for each in self._changes:
            if each.after is not None or each.before is None or table_of(each.key) != table_of(change.key):
                continue
            new, old = change.after or {}, each.before
            if each.key.kind == change.key.kind and (_says_no_more(new, old) or _has_closer_bounds(new, old) is False):
                return True
            if (unique := _unique_columns(each.key, each.before)) and unique == _unique_columns(
                change.key, change.after or {}
            ):
                return True
        return False

    def _was_unique(self, change: Change) -> bool:
        """Whether it has the columns of another unique key in it, which is there before this revision and still at head."""
        columns = _plainly_unique(change.key, change.after or {})
        since = self._recording.trips[[each.revision for each in self._recording.trips].index(self._step.revision) :]
        if not columns or self._head is None or any(each.up is None or each.up.failure for each in since):
            return False
        touched = {each.key for trip in since if trip.up is not None for each in trip.up.changes}
        return any(
            key not in touched and bool(unique := _plainly_unique(key, definition)) and unique <= columns
            for key, definition in self._head.objects.items()
            if table_of(key) == table_of(change.key)
        )

    def _was_the_bounds(self, change: Change) -> bool:
        """Whether it is the CHECK that a partition keeps of its bounds as it is detached concurrently."""
        key = Key("table", change.key.schema, change.key.table)
        detached = next(
            (each for each in self._changes if each.key == key and each.before and each.after is not None), None
        )
        if detached is None or (change.after or {}).get("type") != "check":
            return False
        return "partition_of" in (detached.before or {}) and "partition_of" not in (detached.after or {})


def _labels(change: Change) -> str | None:
    lost = [
        repr(label)
        for label in (change.before or {}).get("labels") or ()
        if label not in ((change.after or {}).get("labels") or ())
    ]
    return f"{noun(change)} no longer has {listed(lost)}: older code that writes it fails" if lost else None


CHECK = Check(id="breaking-change", severity=Severity.WARNING, examine=examine, needs=frozenset({Evidence.LOCKS}))
