"""The schema that a script finds, and the names by which it calls what is in it.

What can be done to a table depends on its shape: PostgreSQL builds no index concurrently on a partitioned table, and a
ctid names a row in one partition alone. So what prints code asks here what the table is.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import ClassVar

from app.gate.postgres.quoting import quote, unquoted
from app.gate.recording.model import TABLE_KINDS, Change, Definition, Key, Recording
from app.gate.recording.names import full_name

PUBLIC = frozenset({"public"})


@dataclass(frozen=True)
class Schema:
    """The objects at one point of the history. Tables are named "schema.table", without quotes."""

    objects: Mapping[Key, Definition] = field(default_factory=dict)
    implied: frozenset[str] = PUBLIC  # schemas that the scripts leave out of names, since search_path leads there
    major: int = 0  # PostgreSQL's version; 0 is the newest

    # Names

    def sql(self, table: str) -> str:
        """The table as the script calls it, in SQL."""
        schema, _, name = table.partition(".")
        return quote(name) if schema in self.implied else f"{quote(schema)}.{quote(name)}"

    def named(self, key: Key) -> Key:
        """The key as the script names it: without a schema that search_path gives."""
        return key._replace(schema="") if key.schema in self.implied else key

    def named_change(self, change: Change) -> Change:
        """The change as the script names it, in its definitions too."""
        return Change(self.named(change.key), self._unqualified(change.before), self._unqualified(change.after))

    def unqualified(self, sql: str) -> str:
        """SQL of PostgreSQL's, which names every schema, without those that search_path gives."""
        return _PIECES.sub(lambda found: self._shorter(found[0]), sql)

    def _shorter(self, piece: str) -> str:
        if piece.endswith("::regclass"):
            name = piece[1:].removesuffix("'::regclass")
            return f"'{self.unqualified(name)}'::regclass"
        if piece.startswith("'"):
            return piece
        return "" if unquoted(piece[:-1]) in self.implied else piece

    def _unqualified(self, definition: Definition | None) -> Definition | None:
        if definition is None:
            return None
        return {
            name: self.unqualified(value) if isinstance(value, str) and name != "comment" else value
            for name, value in definition.items()
        }

    # Shapes

    def definition_of(self, table: str) -> tuple[str, Definition] | None:
        """The kind of the table and its definition, if it is known."""
        schema, _, name = table.partition(".")
        for kind in TABLE_KINDS:
            if (found := self.objects.get(Key(kind, schema, name))) is not None:
                return kind, found
        return None

    def is_partitioned(self, table: str) -> bool:
        found = self.definition_of(table)
        return found is not None and bool(found[1].get("partition_by"))

    def partitions(self, table: str) -> list[str]:
        """Those directly below it."""
        return self._children[0].get(table, [])

    def leaves(self, table: str) -> list[str]:
        """The partitions that hold rows, or the table itself."""
        if not self.is_partitioned(table):
            return [table]
        return [leaf for each in self.partitions(table) for leaf in self.leaves(each)]

    def with_children(self, table: str) -> list[str]:
        """The table and all that inherit from it, other than as its partitions."""
        found = [table]
        for each in self._children[1].get(table, []):
            found += [child for child in self.with_children(each) if child not in found]
        return found

    @cached_property
    def _children(self) -> tuple[dict[str, list[str]], dict[str, list[str]]]:
        """Partitions, and tables that inherit, by their parent."""
        partitions: dict[str, list[str]] = {}
        inheriting: dict[str, list[str]] = {}
        for key, definition in sorted(self.objects.items()):
            if key.kind not in TABLE_KINDS:
                continue
            if (parent := parent_of(definition)) is not None:
                partitions.setdefault(parent, []).append(full_name(key))
            for each in definition.get("inherits") or ():
                inheriting.setdefault(unquoted(str(each)), []).append(full_name(key))
        return partitions, inheriting

    def column(self, table: str, column: str) -> Definition | None:
        schema, _, name = table.partition(".")
        return self.objects.get(Key("column", schema, column, name))

    def parts_of(self, kind: str, table: str) -> Iterator[tuple[Key, Definition]]:
        """The table's constraints, indexes, triggers …, by name."""
        schema, _, name = table.partition(".")
        yield from self._parts.get((kind, schema, name), ())

    @cached_property
    def _parts(self) -> dict[tuple[str, str, str], list[tuple[Key, Definition]]]:
        """Those of all tables, by their kind, schema and table."""
        parts: dict[tuple[str, str, str], list[tuple[Key, Definition]]] = {}
        for key, definition in sorted(self.objects.items()):
            if key.table:
                parts.setdefault((key.kind, key.schema, key.table), []).append((key, definition))
        return parts

    def names_on(self, table: str) -> set[str]:
        """The names that are taken in the table: of its columns and constraints."""
        return {key.name for kind in ("column", "constraint") for key, _ in self.parts_of(kind, table)}

    def relations_in(self, schema: str) -> set[str]:
        """The names of tables, views, indexes and sequences, of which no two in a schema are alike."""
        kinds = (*TABLE_KINDS, "index", "constraint", "sequence")
        return {key.name for key in self.objects if key.schema == schema and key.kind in kinds}

    def views_on(self, table: str, column: str | None = None) -> list[Key]:
        """The views that read the table, and the column if one is given, each before those that are built on it.

        PostgreSQL writes every table with its schema into the definition of a view.
        """
        found: list[Key] = []
        for key, definition in sorted(self.objects.items()):
            text = str(definition.get("definition", ""))
            if key.kind not in ("view", "materialized view") or not is_read_by(text, table):
                continue
            if column is None or re.search(rf'(?<!\w)"?{re.escape(quote(column))}"?(?!\w)', text):
                found.append(key)
                found += [each for each in self.views_on(full_name(key)) if each not in found]
        return list(dict.fromkeys(found))

    def parents(self, table: str) -> list[str]:
        """Those of which it is a partition, or from which it inherits."""
        found = self.definition_of(table)
        if found is None:
            return []
        parent = parent_of(found[1])
        return [*([parent] if parent else []), *(unquoted(str(each)) for each in found[1].get("inherits") or ())]

    def domain_of(self, type_: str) -> Key | None:
        """The domain that a column's type names, if it is one with constraints of its own."""
        schema, _, name = unquoted(type_).rpartition(".")
        key = Key("domain", schema or "public", name)
        definition = self.objects.get(key)
        if definition is None:
            return None
        is_checked = definition.get("nullable") is False or any(self.parts_of("domain constraint", full_name(key)))
        return key if is_checked else None


def is_read_by(definition: str, table: str) -> bool:
    """Whether the definition of a view, as PostgreSQL prints it, names the table."""
    schema, _, name = table.partition(".")
    return re.search(rf'(?<![\w."]){re.escape(f"{quote(schema)}.{quote(name)}")}(?![\w"])', definition) is not None


def parent_of(definition: Definition) -> str | None:
    """The table of which it is a partition."""
    found = _REGCLASS.match(str(definition.get("partition_of") or ""))
    return unquoted(found[0]) if found else None


def bounds_of(definition: Definition) -> str:
    """`FOR VALUES FROM (1) TO (2)` of a partition."""
    return _REGCLASS.sub("", str(definition.get("partition_of") or ""), count=1).strip()


_NAME = r'"(?:[^"]|"")+"|[^".\s]+'
_REGCLASS = re.compile(rf"(?:{_NAME})(?:\.(?:{_NAME}))?")
# A text, maybe the name of a sequence, or a schema with its dot.
_PIECES = re.compile(r"""'(?:[^']|'')*'(?:::regclass)?|(?<![\w."])(?:"(?:[^"]|"")+"|\w+)\.(?=["\w])""")


class SchemaHistory:
    """The schema before and after each revision of a recording."""

    _latest: ClassVar[SchemaHistory | None] = None

    @classmethod
    def of(cls, recording: Recording) -> SchemaHistory:
        """That of the recording. The latest is kept, since one check after the other asks for the same."""
        if cls._latest is None or cls._latest._recording is not recording:
            cls._latest = cls(recording)
        return cls._latest

    def __init__(self, recording: Recording) -> None:
        self._recording = recording
        self._index = 0
        self._objects: dict[Key, Definition] = dict(self._start)  # before the revision of that index

    def before(self, revision: str) -> Schema:
        """As the upgrade of that revision finds it."""
        return self._at(self._index_of(revision))

    def after(self, revision: str) -> Schema:
        """As the upgrade of that revision leaves it."""
        return self._at(self._index_of(revision) + 1)

    def at_head(self) -> Schema:
        return self._head

    @cached_property
    def _head(self) -> Schema:
        if self._recording.head is not None:
            return self._schema(self._recording.head.objects)
        return self._at(len(self._recording.trips))

    def _index_of(self, revision: str) -> int:
        return [trip.revision for trip in self._recording.trips].index(revision)

    @cached_property
    def _start(self) -> Mapping[Key, Definition]:
        """The objects before the first revision: as they were read, else as at head less what the revisions did."""
        recording = self._recording
        if recording.start is not None or recording.head is None:
            return recording.start.objects if recording.start is not None else {}
        objects = dict(recording.head.objects)
        for change in (change for changes in reversed(self._changes) for change in reversed(changes)):
            _put(objects, change.key, change.before)
        return objects

    def _at(self, index: int) -> Schema:
        for changes in self._changes[self._index : index]:
            for change in changes:
                _put(self._objects, change.key, change.after)
        for changes in reversed(self._changes[index : self._index]):
            for change in reversed(changes):
                _put(self._objects, change.key, change.before)
        self._index = index
        return self._schema(dict(self._objects))

    @cached_property
    def _changes(self) -> list[tuple[Change, ...]]:
        """What the upgrade of each revision changed."""
        ups = [trip.up for trip in self._recording.trips]
        return [up.changes if up is not None and up.failure is None else () for up in ups]

    def _schema(self, objects: Mapping[Key, Definition]) -> Schema:
        return Schema(objects, self._implied, self._major)

    @cached_property
    def _major(self) -> int:
        found = re.match(r"\d+", self._recording.postgres)
        return int(found[0]) if found else 0

    @cached_property
    def _implied(self) -> frozenset[str]:
        """The schemas of which the scripts name tables without the schema: a tenant's, to which search_path leads."""
        ups = [trip.up for trip in self._recording.trips if trip.up is not None]
        text = "\n".join(statement.sql for up in ups for statement in up.statements)
        words = set(re.findall(r"\w+", text))
        keys = {change.key for up in ups for change in up.changes if change.key.kind in TABLE_KINDS or change.key.table}
        tables = {(key.schema, key.table or key.name) for key in keys}
        for up in ups:
            tables |= {_split(table) for statement in up.statements for table in statement.locks}
        named = {schema for schema, table in tables if words.issuperset(re.findall(r"\w+", table))} - PUBLIC
        implied = {schema for schema in named if not _qualifies(text, schema)}
        return frozenset(implied if implied and _qualifies(text, "public") else implied | PUBLIC)


def _put(objects: dict[Key, Definition], key: Key, definition: Definition | None) -> None:
    if definition is None:
        objects.pop(key, None)
    else:
        objects[key] = definition


def _split(table: str) -> tuple[str, str]:
    schema, _, name = table.partition(".")
    return schema, name


def _qualifies(text: str, schema: str) -> bool:
    """Whether a name in the text is qualified with the schema."""
    return (
        re.search(rf'(?<![\w."]){re.escape(quote(schema))}\.|"{re.escape(schema)}"\.', text, re.IGNORECASE) is not None
    )
