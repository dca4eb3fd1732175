"""Which revisions may fail over rows that earlier ones have changed, by what they were seen to do on an empty database.

An INSERT by a sequence meets ids that did not come from it: an earlier statement has written them, or has moved the
sequence. An ALTER TABLE meets a deferred constraint that is still to be checked.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from app.gate.postgres.quoting import IDENTIFIER, name_of
from app.gate.recording.model import Change, Definition, Key, RoundTrip, Snapshot, Step
from app.gate.rows.later_writes import RUN_BY_WRITES
from app.gate.rows.touched import MOVES_SEQUENCE, sequence_words, source_of_values

_INSERT = re.compile(
    rf"\s*INSERT\s+INTO\s+(?:{IDENTIFIER}\.)?(?P<table>{IDENTIFIER})\s*(?:AS\s+{IDENTIFIER}\s*)?"
    r"\((?!\s*(?:SELECT|WITH|VALUES|TABLE)\b)(?P<columns>[^()]*)\)",
    re.IGNORECASE,
)
_WRITES = re.compile(r"\b(?:INSERT|UPDATE|MERGE|COPY|INTO|DO|CALL|EXECUTE)\b", re.IGNORECASE)
_RUNS_TEXTS = re.compile(r"\b(?:CALL|EXECUTE)\b", re.IGNORECASE)


def columns_named(sql: str) -> set[str]:
    """The columns that an INSERT names; none for what is no INSERT, or names none."""
    found = _INSERT.match(sql)
    return {name_of(name.strip()) for name in found["columns"].split(",")} if found else set()


def last_at_risk(start: Snapshot | None, trips: Iterable[tuple[int, RoundTrip]]) -> int:
    """The place of the last revision that may fail so; -1 if there is none. The rest need not be applied."""
    seen = _Seen()
    seen.add({} if start is None else start.objects)
    last = -1
    for index, trip in trips:
        had_deferrable = seen.has_deferrable
        seen.add({each.key: each.after for each in (trip.up.changes if trip.up else ()) if each.after is not None})
        if _may_meet_ids(seen, trip) or had_deferrable:
            last = index
    return last


@dataclass
class _Seen:
    """What the revisions so far have left. Tables are known by their names alone, whatever their schema is."""

    has_deferrable: bool = False
    runs_code: bool = False  # triggers and functions may write what no statement says
    tables: set[str] = field(default_factory=set)
    numbered: dict[str, set[str]] = field(default_factory=dict)  # table -> columns with values from a sequence
    sequences: dict[str, set[str]] = field(default_factory=dict)  # table -> words that name them
    suspects: set[str] = field(default_factory=set)  # tables with ids that may not be from their sequences

    def add(self, objects: Mapping[Key, Definition]) -> None:
        for key, definition in objects.items():
            self.runs_code |= key.kind in RUN_BY_WRITES
            if key.kind == "table":
                self.tables.add(key.name)
            elif key.kind == "column" and source_of_values(definition) is not None:
                self.numbered.setdefault(key.table, set()).add(key.name)
                self.sequences.setdefault(key.table, set()).update(sequence_words(key, definition))
            elif key.kind == "constraint":
                text = str(definition.get("definition", "")).replace("NOT DEFERRABLE", "")
                self.has_deferrable |= " DEFERRABLE" in text


def _may_meet_ids(seen: _Seen, trip: RoundTrip) -> bool:
    """Whether the revision may insert by a sequence into a table with other ids. Notes what it writes itself."""
    over_rows = trip.populated.step if trip.populated is not None else None
    # One upgrade, on an empty database and over rows.
    found = [_writes_of(step, seen) for step in (trip.up, over_rows) if step is not None]
    seen.suspects.update(*(suspects for _, suspects in found))
    return any(may_meet for may_meet, _ in found)


def _writes_of(step: Step, seen: _Seen) -> tuple[bool, set[str]]:
    """Whether it may insert by a sequence into a table with other ids, and all tables with such ids after it."""
    suspects = seen.suspects | {table for change in step.changes if (table := _renumbered(change))}
    suspects |= {rename.after.name for rename in step.renamed if rename.after.kind == "table"}
    may_meet = False
    for statement in step.statements:
        insert = _INSERT.match(statement.sql)
        table = name_of(insert["table"]) if insert else None
        may_meet |= insert is not None and (seen.runs_code or table in suspects)
        if table is None or not columns_named(statement.sql).isdisjoint(seen.numbered.get(table, ())):
            suspects |= _written_with_ids(statement.sql, seen)
    return may_meet, suspects


def _renumbered(change: Change) -> str | None:
    """The table of a column that takes its values from another sequence than before."""
    before, after = change.before, change.after
    if change.key.kind != "column" or before is None or after is None:
        return None
    return change.key.table if source_of_values(before) != source_of_values(after) else None


def _written_with_ids(sql: str, seen: _Seen) -> set[str]:
    """The tables to which a statement may write ids, or whose sequence it may move."""
    words = set(re.findall(r"\w+", sql))
    if MOVES_SEQUENCE.search(sql):
        return {table for table in seen.tables if words & {table, *seen.sequences.get(table, ())}}
    if not _WRITES.search(sql):
        return set()
    if _RUNS_TEXTS.search(sql):
        return set(seen.tables)
    named = {table for table in seen.tables if table in words or table.lower() in words}
    if re.match(r"\s*UPDATE\b", sql, re.IGNORECASE):
        return {table for table in named if not words.isdisjoint(seen.numbered.get(table, ()))}
    return named
