"""A constraint that is not validated, an invalid index or a disabled trigger is left behind at head.

Catches
    A constraint that is NOT VALID after the last revision, an index that is INVALID, a trigger that is disabled, a
    table for which autovacuum is off, and a materialized view WITH NO DATA.

Why it hurts
    PostgreSQL enforces a NOT VALID constraint for new rows only: existing rows may violate it, the planner does not
    rely on it, and a dump of the database may fail to restore. No query uses an invalid index, but every write still
    maintains it. A trigger that was disabled to load rows, and not enabled again, misses all that is written from then
    on: that is a warning. Without autovacuum a table grows, its statistics age, and VACUUM has to be run by hand.
    A query of a materialized view without data fails.

How to fix
    Validate the existing rows in a separate revision; writes continue meanwhile::

        op.execute("ALTER TABLE orders VALIDATE CONSTRAINT ck_orders_total")

    Drop an invalid index and build it again::

        with op.get_context().autocommit_block():
            op.execute("DROP INDEX CONCURRENTLY IF EXISTS ix_orders_note")
            op.create_index("ix_orders_note", "orders", ["note"], postgresql_concurrently=True)

    Enable a trigger again in the same revision::

        op.execute("ALTER TABLE orders ENABLE TRIGGER touch")

Stays quiet when
    A later revision validates it, or enables it again.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from app.gate.checks.base import Check, CheckSkipped, Finding
from app.gate.checks.support.concurrently import build, index_of
from app.gate.checks.support.locks import changes_rows
from app.gate.checks.support.naming import noun
from app.gate.checks.support.schema import Schema, SchemaHistory
from app.gate.checks.support.script import execute
from app.gate.checks.support.statements import mentions
from app.gate.postgres.quoting import name_of, quote
from app.gate.recording.model import Change, Definition, Evidence, Key, Recording, RoundTrip
from app.gate.recording.names import full_name, table_of
from app.gate.report.verdict import Severity
from app.gate.wording import indented


def examine(recording: Recording) -> Iterator[Finding]:
    if recording.head is None:
        raise CheckSkipped(recording.not_observed.get("head", "the history was not walked to its head"))
    schema = SchemaHistory.of(recording).at_head()
    for key, definition in sorted(recording.head.objects.items()):
        if (found := _finding(recording, schema, key, definition) or _switched_off(schema, key, definition)) is None:
            continue
        subject, message, advice = found
        origin = _find_origin(recording, key)
        revision = recording.get_revision(origin.revision) if origin is not None else None
        if revision is None or revision.is_new:
            yield Finding(
                f"{message[0].upper()}{message[1:]}.",
                subject,
                revision=revision.revision if revision else None,
                object=full_name(key),
                detail=str(definition["definition"]) if "definition" in definition else None,
                help=advice,
                severity=Severity.WARNING if origin is not None and _was_in_the_way(key, origin) else None,
            )


def _finding(recording: Recording, schema: Schema, key: Key, definition: Definition) -> tuple[str, str, str] | None:
    """Its subject, what is wrong, and the advice."""
    if _is_valid(definition):
        return None  # nearly everything: it needs no name
    if key.kind in ("constraint", "column") and any(
        _is_left(schema, key, each) for each in schema.parents(table_of(key))
    ):
        return None  # validated with that of the parent
    what = noun(Change(key, None, definition))
    if str(definition.get("definition", "")).endswith(" NOT ENFORCED"):
        return None  # PostgreSQL calls it not valid, and would not check it in any case
    if key.kind in ("constraint", "domain constraint") and definition.get("validated") is False:
        alter = "DOMAIN" if key.kind == "domain constraint" else "TABLE"
        code = execute(f"ALTER {alter} {schema.sql(table_of(key))} VALIDATE CONSTRAINT {quote(key.name)}")
        return (
            f"{key.kind} not-valid",
            f"{what} is still NOT VALID at head: existing rows were never checked",
            f"{_OF_A_DOMAIN if alter == 'DOMAIN' else _OF_A_TABLE}:\n\n{indented(code)}",
        )
    if definition.get("valid") is False or definition.get("index_valid") is False:
        index = index_of(Change(key, None, definition))
        code = build(index, schema) if index is not None else ""
        return (
            f"{key.kind} invalid",
            f"{what} is INVALID at head: no query uses it, but every write maintains it",
            f"Drop it and build it again:\n\n{indented(code)}"
            if key.kind == "index"
            else "Drop the constraint and add it again.",
        )
    if key.kind == "column" and "NOT VALID" in str(definition.get("not_null", "")):
        name = quote(_name_of_not_null(recording, key))
        code = execute(f"ALTER TABLE {schema.sql(table_of(key))} VALIDATE CONSTRAINT {name}")
        return (
            "not-null not-valid",
            f"NOT NULL of {what} is still NOT VALID at head: existing rows were never checked",
            f"{_OF_A_TABLE}:\n\n{indented(code)}",
        )
    return None


_NAME = r'"(?:[^"]|"")+"|\w+'
_NAMED_NOT_NULL = re.compile(rf"\bCONSTRAINT\s+(?P<name>{_NAME})\s+NOT\s+NULL\s+(?P<column>{_NAME})", re.IGNORECASE)


def _name_of_not_null(recording: Recording, column: Key) -> str:
    """The name that a statement gives to the constraint, else the one that PostgreSQL does."""
    for trip in recording.trips:
        for statement in trip.up.statements if trip.up is not None else ():
            for found in _NAMED_NOT_NULL.finditer(statement.sql):
                if name_of(found["column"]) == column.name and mentions(statement, column.table):
                    return name_of(found["name"])
    return f"{column.table}_{column.name}_not_null"


def _is_valid(definition: Definition) -> bool:
    is_marked = any(definition.get(name) is False for name in ("validated", "valid", "index_valid"))
    return not is_marked and "NOT VALID" not in str(definition.get("not_null", ""))


def _is_left(schema: Schema, key: Key, parent: str) -> bool:
    """Whether the parent's constraint or column of that name is not valid either."""
    space, _, table = parent.partition(".")
    found = schema.objects.get(Key(key.kind, space, key.name, table))
    return found is not None and not _is_valid(found)


_OF_A_TABLE = "Validate them in a separate revision; writes continue meanwhile"
_OF_A_DOMAIN = (
    "New values are checked. For the older ones PostgreSQL reads every table that uses the domain, and writes to it wait meanwhile: look "
    "for them with a query, and validate where that takes no time, with a short lock_timeout, or leave it NOT VALID"
)


def _switched_off(schema: Schema, key: Key, definition: Definition) -> tuple[str, str, str] | None:
    """The same of what somebody has switched off."""
    if key.kind == "trigger" and definition.get("enabled") == "never":
        sql = f"ALTER TABLE {schema.sql(table_of(key))} ENABLE TRIGGER {quote(key.name)}"
        return (
            "trigger disabled",
            f"{noun(Change(key, None, definition))} is disabled at head: it misses what is written",
            f"Enable it, or drop it if it is not needed any more:\n\n    {execute(sql)}",
        )
    if key.kind == "table" and _AUTOVACUUM_OFF & {str(each).lower() for each in definition.get("options") or ()}:
        sql = f"ALTER TABLE {schema.sql(full_name(key))} RESET (autovacuum_enabled)"
        return (
            "autovacuum off",
            f"autovacuum is off at head for {noun(Change(key, None, definition))}: it grows, and its statistics age",
            f"Switch it on again once the rows are loaded, or tune it (autovacuum_vacuum_scale_factor):\n\n    {execute(sql)}",
        )
    if key.kind == "materialized view" and definition.get("populated") is False:
        return (
            "no data",
            f"{noun(Change(key, None, definition))} holds no data at head: what reads it fails until it is refreshed",
            f"Refresh it in the same revision:\n\n    {execute(f'REFRESH MATERIALIZED VIEW {schema.sql(full_name(key))}')}",
        )
    return None


_AUTOVACUUM_OFF = {f"autovacuum_enabled={off}" for off in ("false", "off", "no", "0", "f", "n")}


def _was_in_the_way(key: Key, origin: RoundTrip) -> bool:
    """Whether a trigger was disabled by a revision that writes rows of its table: to load them, and not for good."""
    statements = origin.up.statements if origin.up is not None else ()
    table = table_of(key)
    return key.kind == "trigger" and any(changes_rows(each, table) or table in each.written for each in statements)


def _find_origin(recording: Recording, key: Key) -> RoundTrip | None:
    """The last revision that created or changed the object."""
    for trip in reversed(recording.trips):
        if trip.up is not None and any(change.key == key for change in trip.up.changes):
            return trip
    return None


CHECK = Check(id="not-validated", severity=Severity.NOTICE, examine=examine, needs=frozenset({Evidence.LOCKS}))
