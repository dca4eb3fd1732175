"""What IF NOT EXISTS does not make, since something else has its name."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from app.gate.checks.base import Finding
from app.gate.checks.support.locks import upgrades
from app.gate.checks.support.schema import SchemaHistory
from app.gate.postgres.quoting import IDENTIFIER, name_of
from app.gate.recording.model import Definition, Key, Recording
from app.gate.recording.names import shorten
from app.gate.report.verdict import Severity

_CREATE_INDEX = re.compile(
    rf"\s*CREATE\s+(?:UNIQUE\s+)?INDEX\s+(?:CONCURRENTLY\s+)?IF\s+NOT\s+EXISTS\s+(?P<index>{IDENTIFIER})"
    rf"\s+ON\s+(?:ONLY\s+)?(?:(?P<schema>{IDENTIFIER})\s*\.\s*)?(?P<table>{IDENTIFIER})",
    re.IGNORECASE,
)
# PostgreSQL has one set of names for these, and for the indexes of the last: one in each schema.
_RELATIONS = ("index", "table", "view", "materialized view", "sequence", "foreign table")


def skipped_indexes(recording: Recording) -> Iterator[Finding]:
    """The indexes that are not made on one table, because that of another one, or another relation, has the name."""
    history = SchemaHistory.of(recording)
    for revision, step, _ in upgrades(recording):
        for statement in step.statements:
            found = _CREATE_INDEX.match(statement.sql)
            if found is None:
                continue
            index, table = name_of(found["index"]), name_of(found["table"])
            is_made = any(each.key.name == index and each.before is None for each in step.changes)
            if is_made or any(each.before.name == table for each in step.renamed):
                continue
            schema = name_of(found["schema"]) if found["schema"] else None
            other = _other_of_that_name(history.after(revision.revision).objects, schema, index, table)
            if other is not None:
                yield Finding(
                    f"{revision.revision} makes no index {index} on {table}: {other} has that name, and IF NOT EXISTS"
                    " skips the statement.",
                    f"skipped index {index}",
                    revision=revision.revision,
                    object=table,
                    detail=statement.sql,
                    help="Give the index a name that no other relation of the schema has.",
                    line=statement.line,
                    severity=Severity.WARNING,
                )


def _other_of_that_name(objects: Mapping[Key, Definition], schema: str | None, index: str, table: str) -> str | None:
    """In words, what has the name of that index; None if the table has such an index."""
    schemas = {key.schema for key in objects if key.kind in _RELATIONS and key.name == table}
    schema = schema or (next(iter(schemas)) if len(schemas) == 1 else None)
    others = [key for key, definition in objects.items() if key.schema == schema and _is_called(key, definition, index)]
    if len(others) != 1 or others[0].table == table:
        return None
    (other,) = others
    return f"an index of {shorten(f'{other.schema}.{other.table}')}" if other.table else f"a {other.kind}"


def _is_called(key: Key, definition: Definition, name: str) -> bool:
    """Whether it is a relation of that name, or the constraint of an index."""
    is_relation = key.kind in _RELATIONS or definition.get("type") in ("primary key", "unique", "exclude")
    return is_relation and key.name == name
