"""Statements that read a whole table, and do the same whatever rows are in it: a plain index, a key of new columns."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from app.gate.postgres.quoting import IDENTIFIER, name_of
from app.gate.recording.model import Definition, Key, Snapshot, Statement, Step
from app.gate.rows._statement_text import is_plain

# https://www.postgresql.org/docs/current/btree.html: an entry takes a third of a page at most, which is 2704 bytes.
_LARGEST_ENTRY = 2600
_SIZES = {
    "boolean": 1,
    "smallint": 2,
    "integer": 4,
    "bigint": 8,
    "real": 4,
    "double precision": 8,
    "date": 4,
    "time without time zone": 8,
    "time with time zone": 12,
    "timestamp without time zone": 8,
    "timestamp with time zone": 8,
    "interval": 16,
    "uuid": 16,
}
_NUMERIC = re.compile(r"numeric\((\d+),\d+\)")
_OF_CHARACTERS = re.compile(r"character(?: varying)?\((\d+)\)")
_BYTES_OF_CHARACTER = 4
_HEADER = 8  # of a value, with what aligns it

_CREATED = re.compile(
    rf"""\s*(?:CREATE\s+INDEX\s+(?:IF\s+NOT\s+EXISTS\s+)?(?P<index>{IDENTIFIER})\s+ON\b
    |ALTER\s+TABLE\s+(?:{IDENTIFIER}\.)?{IDENTIFIER}\s+ADD\s+CONSTRAINT\s+(?P<key>{IDENTIFIER})\s+FOREIGN\s+KEY\b)""",
    re.IGNORECASE | re.VERBOSE,
)


class RowFree:
    """What an upgrade creates that no row can violate.

    Nothing, where it reads rows, on which the rest may depend, or commits, since what its downgrade does is not known.
    """

    def __init__(self, up: Step, before: Snapshot) -> None:
        self._names: frozenset[str] = frozenset()
        if up.transactional and all(is_plain(each.sql) for each in up.statements):
            added = {each.key: each.after for each in up.changes if each.before is None and each.after is not None}
            after = {each.key: each.after for each in up.changes if each.after is not None}
            self._names = frozenset(_row_free(added, {**before.objects, **after}))

    def creates(self, statement: Statement) -> bool:
        """Whether the statement does nothing but create one of those."""
        found = _CREATED.match(statement.sql) if self._names else None
        if found is None or "," in re.sub(r"\([^()]*\)", "", statement.sql):
            return False
        return name_of(found["index"] or found["key"]) in self._names


def _row_free(added: Mapping[Key, Definition], objects: Mapping[Key, Definition]) -> Iterator[str]:
    for key, definition in added.items():
        if key.kind == "index" and not definition.get("unique") and _is_small(key, definition, objects):
            yield key.name
        elif key.kind == "constraint" and definition.get("type") == "foreign key":
            columns = [Key("column", key.schema, name, key.table) for name in definition.get("columns") or ()]
            if columns and all(_is_null(added.get(column)) for column in columns):
                yield key.name


def _is_null(column: Definition | None) -> bool:
    """Whether each row has NULL in a new column."""
    return (
        column is not None and bool(column.get("nullable")) and not {"default", "generated", "identity"} & set(column)
    )


def _is_small(index: Key, definition: Definition, objects: Mapping[Key, Definition]) -> bool:
    """Whether each entry of a B-tree over columns fits, whatever their values are."""
    listed = re.fullmatch(r"USING btree \(([^()]+)\)", str(definition.get("definition")))
    if listed is None:
        return False
    total = 0
    for part in re.findall(rf"(?:^|,) ?({IDENTIFIER})", listed[1]):
        column = objects.get(Key("column", index.schema, name_of(part), index.table), {})
        size = _size(str(column.get("type")), objects)
        if size is None:
            return False
        total += size
    return total <= _LARGEST_ENTRY


def _size(type_: str, objects: Mapping[Key, Definition]) -> int | None:
    """Of its largest value, in bytes. None if it has no limit, or an unknown one."""
    characters = _OF_CHARACTERS.fullmatch(type_)
    if characters is not None:
        return int(characters[1]) * _BYTES_OF_CHARACTER + _HEADER
    digits = _NUMERIC.fullmatch(type_)
    if digits is not None:
        return int(digits[1]) + _HEADER
    if type_ in _SIZES:
        return _SIZES[type_] + _HEADER
    schema, _, name = type_.rpartition(".")
    return 4 + _HEADER if Key("enum", schema or "public", name_of(name)) in objects else None
