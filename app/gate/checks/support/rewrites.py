"""Why a table was rewritten, and how to get the same without."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from app.gate.checks.support import ddl
from app.gate.checks.support.batches import fill_in_batches
from app.gate.checks.support.concurrently import constrain, require
from app.gate.checks.support.schema import Schema
from app.gate.checks.support.script import autocommit, execute, shortened
from app.gate.postgres.quoting import quote, unquoted
from app.gate.recording.model import Change, Definition, Key, Statement, Step
from app.gate.recording.names import full_name, table_of


@dataclass(frozen=True)
class Cause:
    """Why a table was rewritten, and how to avoid it."""

    subject: str  # "type of total"
    why: str  # "to change total from integer to bigint"
    advice: str
    code: str = ""
    later: Sequence[str] = ()  # lines of the next revision


IN_GENERAL = (
    "Do it in steps that each hold the lock only briefly: add a new column or table, fill it in batches outside the "
    "transaction (op.get_context().autocommit_block()), and let the code move to it."
)
_COMPUTED = (
    "PostgreSQL computes the value of each row as it adds the column. Where a default or a query will do, add an ordinary column, "
    "and fill the existing rows in batches outside the transaction (op.get_context().autocommit_block())"
)
_NEW_COLUMN = (
    "Add a column for the new values, let the code write both columns, and drop the old one in a later release"
)
_TIMES = {"timestamp without time zone", "timestamp with time zone"}


def refreshed(table: str, schema: Schema) -> Cause:
    """REFRESH MATERIALIZED VIEW."""
    refresh = execute(f"REFRESH MATERIALIZED VIEW CONCURRENTLY {schema.sql(table)}")
    code = "\n".join(autocommit([refresh]))
    if schema.definition_of(table) is None or any(map(_is_of_all_rows, schema.parts_of("index", table))):
        return Cause("refresh", "to refresh it", "With a unique index on it, reads do not wait", code)
    need = "First create a unique index on it, over columns and all rows (no WHERE). Then reads do not wait"
    return Cause("refresh", "to refresh it", need, code)


def _is_of_all_rows(part: tuple[Key, Definition]) -> bool:
    return bool(part[1].get("unique")) and " WHERE " not in str(part[1].get("definition"))


def retyped(change: Change, sql: str, step: Step, schema: Schema) -> Cause:
    """A column of another type. `schema` is the one after it."""
    before, after, name = change.before or {}, change.after or {}, change.key.name
    old_type, new_type = (schema.unqualified(str(each.get("type"))) for each in (before, after))
    why, subject, table = f"to change {name} from {old_type} to {new_type}", f"type of {name}", table_of(change.key)
    if {old_type, new_type} == _TIMES:
        return _in_utc(subject, why, f"ALTER TABLE {schema.sql(table)} ALTER COLUMN {quote(name)} TYPE {new_type}")
    if after.get("generated"):
        return Cause(subject, why, f"{_COMPUTED}, in place of a generated one")
    if (labels := _more_labels(str(before.get("type")), str(after.get("type")), step, schema)) is not None:
        return labels
    domain = schema.domain_of(str(after.get("type")))
    if domain is not None:
        return _checked(Change(change.key, before, after), domain, why, subject, schema)
    using = _using(sql, quote(name))
    if using is None:
        return Cause(subject, why, _NEW_COLUMN)  # one of several, and only a parser could find out which
    lines = ddl.what_does_not_fit(schema.named(change.key), old_type, new_type) if using == quote(name) else []
    code = "\n".join([*lines, _filled(table, name, _type(after, schema), using, schema)])
    return Cause(subject, why, _NEW_COLUMN, code)


def _type(definition: Definition, schema: Schema) -> str:
    collation = f" COLLATE {definition['collation']}" if definition.get("collation") else ""
    return schema.unqualified(f"{definition.get('type')}{collation}")


def _filled(table: str, name: str, type_: str, value: str, schema: Schema) -> str:
    """Code for a new column with the values of the old one. Without a cast of ours, a text that is too long is refused,
    and not cut."""
    new = quote(shortened(f"{name}_new", schema.names_on(table)))
    add = execute(f"ALTER TABLE {schema.sql(table)} ADD COLUMN IF NOT EXISTS {new} {type_}")
    return f"{add}\n{fill_in_batches(table, new, value, f'{new} IS NULL AND ({value}) IS NOT NULL', schema)}"


def _in_utc(subject: str, why: str, alter: str) -> Cause:
    # https://www.postgresql.org/docs/12/release-12.html: no rewrite "if the session time zone is UTC".
    advice = "If the existing values are meant as UTC, PostgreSQL needs no rewrite in that time zone and without USING"
    return Cause(subject, why, advice, "\n".join([execute("SET LOCAL TimeZone = 'UTC'"), execute(alter)]))


def _using(sql: str, column: str) -> str | None:
    """The value of the new column: the old one, which PostgreSQL converts, unless the statement says more."""
    if not re.search(r"\bUSING\b", sql, re.IGNORECASE):
        return column
    found = _USING.fullmatch(sql)
    return found[1] if found is not None else None


# A statement of one action alone.
_USING = re.compile(
    r"\s*ALTER\s+TABLE\b(?:(?!\b(?:USING|ADD|DROP)\b).)*?\bTYPE\b(?:(?!\bUSING\b).)*\bUSING\s+((?:(?!\b(?:ALTER|ADD|DROP)\b).)*?)\s*;?\s*",
    re.IGNORECASE | re.DOTALL,
)


def added(change: Change, step: Step, schema: Schema) -> Cause:
    """A new column. `schema` is the one before it."""
    after, key = change.after or {}, change.key
    subject, default = f"new column {key.name}", after.get("default")
    domain = schema.domain_of(str(after.get("type"))) or _new_domain(step, str(after.get("type")))
    if domain is not None and default is None and not after.get("generated"):
        return _checked(change, domain, f"to fill the new column {key.name}", subject, schema, step)
    if default is None:  # identity, or a generated column
        return Cause(subject, f"to fill the new column {key.name}", _COMPUTED)
    table, name = table_of(key), quote(key.name)
    default = schema.unqualified(str(default))
    made, owned = _sequences(key, step, schema)
    lines = [
        *made,
        execute(f"ALTER TABLE {schema.sql(table)} ADD COLUMN IF NOT EXISTS {name} {_type(after, schema)}"),
        *owned,
        *ddl.alter_column(schema.named(key), {}, {"default": default}),
        fill_in_batches(table, name, default, f"{name} IS NULL", schema),
    ]
    required = require(table, key.name, schema) if after.get("nullable") is False else None
    if required is not None:
        lines += required.now
    return Cause(
        subject,
        f"because the default of {key.name} ({default}) differs for each row",
        "Add the column, then its default, which only new rows get, and fill the existing rows in batches",
        "\n".join(lines),
        required.later if required is not None else (),
    )


def _sequences(column: Key, step: Step, schema: Schema) -> tuple[list[str], list[str]]:
    """Lines for what `serial` creates with the column: before the column, and after it."""
    owner = f"{quote(column.schema)}.{quote(column.table)}.{quote(column.name)}"
    before, after = [], []
    for each in step.changes:
        if each.key.kind == "sequence" and each.before is None and (each.after or {}).get("owned_by") == owner:
            name, type_ = schema.sql(full_name(each.key)), (each.after or {}).get("type", "bigint")
            before.append(execute(f"CREATE SEQUENCE IF NOT EXISTS {name} AS {type_}"))
            after.append(execute(f"ALTER SEQUENCE {name} OWNED BY {schema.unqualified(owner)}"))
    return before, after


# Domains: PostgreSQL rewrites a table for a column of one with constraints, though all that it does is to check them.

_OF_A_DOMAIN = (
    "PostgreSQL rewrites a table for a column of a domain with constraints, also for a new one. Use the domain's own type, and "
    "put its rules on the table, for new rows first"
)


def _new_domain(step: Step, type_: str) -> Key | None:
    """A domain that the revision itself creates."""
    changes = {change.key: change.after for change in step.changes if change.after is not None}
    return Schema(changes).domain_of(type_)


def _checked(change: Change, domain: Key, why: str, subject: str, schema: Schema, step: Step | None = None) -> Cause:
    table, name, column = table_of(change.key), change.key.name, quote(change.key.name)
    objects = {**schema.objects, **{each.key: each.after for each in (step.changes if step else ()) if each.after}}
    known = Schema(objects, schema.implied, schema.major)
    definition, base = known.objects[domain], known.unqualified(str(known.objects[domain].get("type")))
    now: list[str] = []
    if change.before is None:
        now.append(execute(f"ALTER TABLE {schema.sql(table)} ADD COLUMN {column} {base}"))
    elif change.before.get("type") != definition.get("type"):
        now.append(_filled(table, name, base, column, schema))
        name = shortened(f"{name}_new", schema.names_on(table))
        column = quote(name)
    later: list[str] = []
    for key, rule in known.parts_of("domain constraint", full_name(domain)):
        text = re.sub(r"(?<![\w\"'])VALUE(?![\w\"'])", lambda _: column, known.unqualified(str(rule["definition"])))
        check = shortened(f"{change.key.table}_{name}_{key.name}", schema.names_on(table))
        steps = constrain(table, check, text, schema)
        now, later = now + steps.now, later + steps.later
    if definition.get("nullable") is False:
        steps = require(table, name, schema)
        now, later = now + steps.now, later + steps.later
    return Cause(subject, why, _OF_A_DOMAIN, "\n".join(now), later)


# Enums: a new type in the place of the old one, for a label that could be added.


def with_new_labels(step: Step, statement: Statement, schema: Schema) -> Cause | None:
    """The column got a type of the same name as before, which is the old enum with more labels."""
    if not re.search(r"\bTYPE\b", statement.sql, re.IGNORECASE):
        return None
    for change in step.changes:
        if change.key.kind == "enum" and change.before and change.after and change.key.name in statement.sql:
            return _with_labels(change.key, change.before, change.after, schema)
    return None


def _more_labels(old_type: str, new_type: str, step: Step, schema: Schema) -> Cause | None:
    """The column got another enum, which has all labels of the old one."""
    enums = {full_name(key): (key, each) for key, each in schema.objects.items() if key.kind == "enum"}
    for change in step.changes:
        if change.key.kind == "enum" and change.after is None and change.before is not None:
            enums[full_name(change.key)] = (change.key, change.before)
    old, new = enums.get(unquoted(old_type)), enums.get(unquoted(new_type))
    return _with_labels(old[0], old[1], new[1], schema) if old and new else None


def _with_labels(key: Key, before: Definition, after: Definition, schema: Schema) -> Cause | None:
    code = ddl.alter_enum(schema.named(key), before, after)
    if not code:
        return None
    advice = "Add the labels to the type that is there, which rewrites nothing"
    return Cause(f"labels of {key.name}", f"for other labels of enum {key.name}", advice, "\n".join(code))
