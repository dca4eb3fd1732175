"""Which columns the indexes of a schema lead with: what PostgreSQL can find rows by."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence

from app.gate.checks.support.schema import parent_of
from app.gate.postgres.quoting import name_of
from app.gate.recording.model import Definition, Key
from app.gate.recording.names import table_of


class Indexes:
    """What the whole indexes of a schema lead with, by table."""

    def __init__(self, objects: Mapping[Key, Definition]) -> None:
        self._objects = objects
        self._by_table: dict[str, list[tuple[str, ...]]] = {}
        for key, definition in objects.items():
            if (columns := _led_by(key, definition)) is not None:
                self._by_table.setdefault(table_of(key), []).append(columns)

    def lead_with(self, key: Key, columns: Sequence[str]) -> bool:
        """Whether an index of the key's table, or of one that it is a partition of, begins with those columns."""
        wanted = set(columns)
        return any(
            set(found[: len(wanted)]) == wanted
            for table in self._with_parents(table_of(key))
            for found in self._by_table.get(table, ())
        )

    def _with_parents(self, table: str) -> Iterator[str]:
        while table:
            yield table
            schema, _, name = table.partition(".")
            definition = self._objects.get(Key("table", schema, name), {})
            table = parent_of(definition) or ""


def _led_by(key: Key, definition: Definition) -> tuple[str, ...] | None:
    """The columns at the beginning of an index that finds every row by them; None for what is no such index."""
    if key.kind == "constraint" and definition.get("index_valid") is not False:
        if definition.get("type") in ("primary key", "unique"):
            return tuple(definition.get("columns") or ())
        if definition.get("type") == "exclude":
            return _columns_in(str(definition.get("definition")), [])
    if key.kind == "index" and definition.get("valid") is not False:
        text = str(definition.get("definition"))
        if not text.startswith("USING brin"):  # which finds pages, and not rows
            return _columns_in(text, _NOT_NULL.findall(text.partition(" WHERE ")[2]))
    return None


_NOT_NULL = re.compile(r'\(?("(?:[^"]|"")+"|\w+) IS NOT NULL\)?')
_COLUMN = re.compile(r'\s*("(?:[^"]|"")+"|[\w$]+)(?P<rest>(?:\s.*)?)', re.DOTALL)


def _columns_in(definition: str, not_null: Sequence[str]) -> tuple[str, ...] | None:
    """The columns before the first expression. None if the index leaves out rows that are not NULL in them."""
    items, rest = _items(definition)
    columns: list[str] = []
    for item in items:
        found = _COLUMN.fullmatch(item)
        if (
            found is None
            or "COLLATE" in found["rest"]
            or (" WITH " in found["rest"] and not found["rest"].endswith(" WITH ="))
        ):
            break
        columns.append(name_of(found[1]))
    condition = rest.partition(" WHERE ")[2]
    if condition and not (
        _NOT_NULL.sub("", condition).replace(" AND ", "").strip("() ") == ""
        and set(map(name_of, not_null)) <= set(columns)
    ):
        return None
    return tuple(columns)


def _items(definition: str) -> tuple[list[str], str]:
    """`["a", "lower(b)"]` and what follows them, of `USING btree (a, lower(b)) WHERE …`."""
    items, depth, is_quoted, start = [], 0, False, 0
    for position, letter in enumerate(definition):
        if letter == '"' or (letter == "'" and depth > 1):
            is_quoted = not is_quoted
        elif is_quoted:
            continue
        elif letter == "(":
            depth += 1
            start = position + 1 if depth == 1 else start
        elif letter == ")" or (letter == "," and depth == 1):
            if depth == 1:
                items.append(definition[start:position])
                start = position + 1
            depth -= letter == ")"
            if depth == 0:
                return items, definition[position + 1 :]
    return items, ""
