"""Changes to a schema as lines of an Alembic script, so that advice can be pasted rather than read.

Where an `op` function can express a change it is used; else it is `op.execute` with PostgreSQL's own definition, which
is right in any case. What neither can do, such as removing a label from an enum, has no code.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable

from app.gate.postgres.quoting import quote, quote_table, readable_literal
from app.gate.recording.model import Change, Definition, Key
from app.gate.recording.names import table_of


def reversed_changes(changes: Iterable[Change]) -> list[Change]:
    """The changes that undo these."""
    return [Change(change.key, change.after, change.before) for change in changes]


def children_first(dropped: Iterable[Change], among: Iterable[Change]) -> list[Change]:
    """The changes, with tables in an order in which they can be dropped. Foreign keys are known from the changes
    `among`."""
    changes = list(dropped)
    parents: dict[str, set[str]] = {}
    for change in among:
        definition = change.after or change.before or {}
        if change.key.kind == "constraint" and definition.get("references"):
            parents.setdefault(_regclass(change.key.schema, change.key.table), set()).add(str(definition["references"]))
    depths: dict[str, int] = {}

    def depth(table: str, above: tuple[str, ...] = ()) -> int:
        if table in above:
            return 0  # a circle: no order is right
        if table not in depths:
            depths[table] = 1 + max((depth(each, (*above, table)) for each in parents.get(table, ())), default=0)
        return depths[table]

    return sorted(changes, key=lambda change: -depth(_regclass(change.key.schema, change.key.name)))


def _regclass(schema: str, name: str) -> str:
    return f"{quote(schema)}.{quote(name)}"


def code(changes: Iterable[Change], limit: int = 12) -> str:
    """The code that makes the changes, in an order that PostgreSQL accepts; empty if there is none for any of them."""
    lines = [line for change in sorted(changes, key=_turn) for line in lines_for(change)]
    if len(lines) > limit:
        lines = [*lines[:limit], f"# … and {len(lines) - limit} more"]
    return "\n".join(lines)


# What depends on another object is dropped before it, and created after it. A column is altered once its new type
# exists and while its old one still does.
_TURNS = """
    drop view, drop materialized view, drop trigger, drop policy, drop rule,
    drop table, drop column, drop constraint, drop index,
    create schema, create extension, create enum, create sequence,
    create column, alter, create constraint, create index, create view, create materialized view, create trigger,
    drop, drop schema, drop extension
"""
_TURN_BY_ACTION = {action.strip(): turn for turn, action in enumerate(_TURNS.split(","))}


def _turn(change: Change) -> int:
    verb = "create" if change.before is None else "drop" if change.after is None else "alter"
    turn = _TURN_BY_ACTION.get(f"{verb} {change.key.kind}")
    return turn if turn is not None else _TURN_BY_ACTION.get(verb, _TURN_BY_ACTION["alter"])


def lines_for(change: Change) -> list[str]:
    """The lines of code that make one change."""
    if change.before is None:
        return [line for line in [_create(change.key, change.after or {})] if line]
    if change.after is None:
        return [line for line in [_drop(change.key, change.before)] if line]
    if change.key.kind == "column":
        return _alter_column(change.key, change.before, change.after)
    if change.key.kind == "enum":
        return _alter_enum(change.key, change.before, change.after)
    if change.key.kind == "sequence" and change.before.get("type") != change.after.get("type"):
        return [_execute(f"ALTER SEQUENCE {_name(change.key)} AS {change.after.get('type')}")]
    if change.key.kind in {"constraint", "index", "trigger", "view", "materialized view", "domain constraint"}:
        return [line for line in [_drop(change.key, change.before), _create(change.key, change.after)] if line]
    return []


# Creating


def _create(key: Key, definition: Definition) -> str | None:
    body = str(definition.get("definition", "")).rstrip("; \n")
    if key.kind == "constraint":
        return _create_constraint(key, definition, body)
    if key.kind == "index":
        return _create_index(key, definition, body)
    statements = {
        "column": lambda: f"ALTER TABLE {_table(key)} ADD COLUMN {quote(key.name)} {_column(definition)}",
        "domain constraint": lambda: f"ALTER DOMAIN {_table(key)} ADD CONSTRAINT {quote(key.name)} {body}",
        "enum": lambda: (
            f"CREATE TYPE {_name(key)} AS ENUM ({', '.join(map(readable_literal, definition.get('labels') or ()))})"
        ),
        "extension": lambda: f"CREATE EXTENSION IF NOT EXISTS {quote(key.name)}",
        "materialized view": lambda: f"CREATE MATERIALIZED VIEW {_name(key)} AS {body}",
        "schema": lambda: f"CREATE SCHEMA {quote(key.name)}",
        "sequence": lambda: f"CREATE SEQUENCE {_name(key)} AS {definition.get('type', 'bigint')}{_owner(definition)}",
        "trigger": lambda: (
            f"CREATE {'CONSTRAINT ' if definition.get('constraint') else ''}TRIGGER {quote(key.name)} {body}"
        ),
        "view": lambda: f"CREATE VIEW {_name(key)} AS {body}",
    }
    return _execute(statements[key.kind]()) if key.kind in statements else None


def _create_constraint(key: Key, definition: Definition, body: str) -> str:
    kind, table = definition.get("type"), _arguments(key.name, key.table)
    columns = list(definition.get("columns") or ())
    if kind == "check" and (found := re.fullmatch(r"CHECK \((.*)\)", body, re.DOTALL)):
        return (
            f"op.create_check_constraint({table}, {python(_without_parentheses(found[1]), is_sql=True)}{_schema(key)})"
        )
    if kind == "unique" and body == f"UNIQUE ({', '.join(map(quote, columns))})":
        return f"op.create_unique_constraint({table}, {python(columns)}{_schema(key)})"
    if kind == "primary key" and body == f"PRIMARY KEY ({', '.join(map(quote, columns))})":
        return f"op.create_primary_key({table}, {python(columns)}{_schema(key)})"
    return _execute(f"ALTER TABLE {_table(key)} ADD CONSTRAINT {quote(key.name)} {body}")


def _create_index(key: Key, definition: Definition, body: str, *, is_concurrent: bool = False) -> str:
    unique = bool(definition.get("unique"))
    simple = re.fullmatch(r"USING btree \(([a-z_][a-z0-9_]*(?:, [a-z_][a-z0-9_]*)*)\)", body)
    if simple:
        arguments = f"{_arguments(key.name, key.table)}, {python(simple[1].split(', '))}"
        options = f"{', unique=True' if unique else ''}{', postgresql_concurrently=True' if is_concurrent else ''}"
        return f"op.create_index({arguments}{options}{_schema(key)})"
    words = f"CREATE {'UNIQUE ' if unique else ''}INDEX {'CONCURRENTLY ' if is_concurrent else ''}"
    return _execute(f"{words}{quote(key.name)} ON {_table(key)} {body}")


def _column(definition: Definition) -> str:
    words = [str(definition.get("type", "text"))]
    if definition.get("collation"):
        words.append(f"COLLATE {definition['collation']}")
    if definition.get("generated"):
        words.append(f"GENERATED ALWAYS AS ({definition['generated']}){'' if definition.get('virtual') else ' STORED'}")
    if definition.get("identity"):
        words.append(f"GENERATED {str(definition['identity']).upper()} AS IDENTITY")
    if definition.get("default") is not None:
        words.append(f"DEFAULT {definition['default']}")
    if definition.get("nullable") is False:
        words.append("NOT NULL")
    return " ".join(words)


def concurrently(change: Change) -> str:
    """The code that builds or drops an index concurrently, or builds that of a new constraint; empty if PostgreSQL
    cannot.

    What a cancelled build left behind is dropped first, so that the revision can be run again.
    """
    key, definition = change.key, change.after or change.before or {}
    schema = "" if key.schema == "public" else f"{quote(key.schema)}."
    drop = _execute(f"DROP INDEX CONCURRENTLY IF EXISTS {schema}{quote(key.name)}")
    if key.kind == "index" and change.after is None:
        return f"with op.get_context().autocommit_block():\n    {drop}"
    lines = ["with op.get_context().autocommit_block():", f"    {drop}"]
    if key.kind == "index":
        lines.append(f"    {_create_index(key, definition, str(definition.get('definition', '')), is_concurrent=True)}")
        return "\n".join(lines)
    columns = list(definition.get("columns") or ())
    kind = {"unique": "UNIQUE", "primary key": "PRIMARY KEY"}.get(str(definition.get("type")))
    if kind is None or definition.get("definition") != f"{kind} ({', '.join(map(quote, columns))})":
        return ""  # an exclusion constraint, say, whose index PostgreSQL cannot build concurrently
    arguments = f"{_arguments(key.name, key.table)}, {python(columns)}, unique=True, postgresql_concurrently=True"
    lines.append(f"    op.create_index({arguments}{_schema(key)})")
    lines.append(
        _execute(f"ALTER TABLE {_table(key)} ADD CONSTRAINT {quote(key.name)} {kind} USING INDEX {quote(key.name)}")
    )
    return "\n".join(lines)


def _owner(sequence: Definition) -> str:
    return f" OWNED BY {sequence['owned_by']}" if sequence.get("owned_by") else ""


# Dropping


def _drop(key: Key, definition: Definition) -> str | None:
    if key.kind == "table":
        return f"op.drop_table({python(key.name)}{_schema(key)})"
    if key.kind == "column":
        return f"op.drop_column({_arguments(key.table, key.name)}{_schema(key)})"
    if key.kind == "index":
        return f"op.drop_index({python(key.name)}, table_name={python(key.table)}{_schema(key)})"
    if key.kind == "constraint":
        types = {"primary key": "primary", "foreign key": "foreignkey", "unique": "unique", "check": "check"}
        given = types.get(str(definition.get("type")))
        type_ = f", type_={python(given)}" if given else ""
        return f"op.drop_constraint({_arguments(key.name, key.table)}{type_}{_schema(key)})"
    if key.kind == "domain constraint":
        return _execute(f"ALTER DOMAIN {_table(key)} DROP CONSTRAINT {quote(key.name)}")
    if key.kind in {"trigger", "policy", "rule"}:
        return _execute(f"DROP {key.kind.upper()} {quote(key.name)} ON {_table(key)}")
    if key.kind in {"enum", "composite type", "range type", "base type"}:
        return _execute(f"DROP TYPE {_name(key)}")
    if key.kind in {"function", "procedure", "aggregate"}:
        schema = "" if key.schema == "public" else f"{quote(key.schema)}."
        return _execute(f"DROP {key.kind.upper()} {schema}{key.name}")
    if key.kind in {
        "view",
        "materialized view",
        "foreign table",
        "sequence",
        "domain",
        "extension",
        "schema",
        "statistics",
    }:
        return _execute(f"DROP {key.kind.upper()} {_name(key)}")
    return None


# Altering


def _alter_column(key: Key, before: Definition, after: Definition) -> list[str]:
    changed = {name for name in {*before, *after} if before.get(name) != after.get(name)}
    lines, arguments = [], []
    if changed & {"type", "collation"}:
        column, type_ = quote(key.name), after.get("type")
        collation = f" COLLATE {after['collation']}" if after.get("collation") else ""
        lines.append(
            _execute(f"ALTER TABLE {_table(key)} ALTER COLUMN {column} TYPE {type_}{collation} USING {column}::{type_}")
        )
    if "nullable" in changed:
        arguments.append(f"nullable={after.get('nullable')}")
    if "default" in changed:
        default = after.get("default")
        arguments.append(
            "server_default=None" if default is None else f"server_default=sa.text({python(default, is_sql=True)})"
        )
    if "comment" in changed:
        arguments.append(f"comment={python(after.get('comment'))}")
    if arguments:
        lines.append(f"op.alter_column({_arguments(key.table, key.name)}, {', '.join(arguments)}{_schema(key)})")
    return lines


def _alter_enum(key: Key, before: Definition, after: Definition) -> list[str]:
    """PostgreSQL can add labels to an enum, but neither remove nor move them."""
    old, new = list(before.get("labels") or ()), list(after.get("labels") or ())
    if [label for label in new if label in old] != old:
        return []
    lines = []
    for index, label in enumerate(new):
        if label not in old:
            following = next((each for each in new[index:] if each in old), None)
            place = f" BEFORE {readable_literal(following)}" if following is not None else ""
            lines.append(
                f"    {_execute(f'ALTER TYPE {_name(key)} ADD VALUE IF NOT EXISTS {readable_literal(label)}{place}')}"
            )
    return ["with op.get_context().autocommit_block():", *lines] if lines else []


# Writing Python and SQL


def python(value: object, *, is_sql: bool = False) -> str:
    """A value as it is written in Python, with double quotes."""
    if isinstance(value, list):
        return f"[{', '.join(python(each) for each in value)}]"
    if not isinstance(value, str):
        return repr(value)
    if is_sql:
        value = escape_colons(value)
    return json.dumps(value, ensure_ascii=False)


def escape_colons(sql: str) -> str:
    """SQLAlchemy's text() takes a word after a colon for a parameter, unless the colon is escaped or doubled."""
    return re.sub(r"(?<![:\w\\]):(?=\w)", r"\\:", sql)


def _execute(sql: str) -> str:
    return f"op.execute({python(sql, is_sql=True)})"


def _name(key: Key) -> str:
    return quote_table(f"{key.schema}.{key.name}") if key.schema else quote(key.name)


def _table(key: Key) -> str:
    return quote_table(table_of(key))


def _arguments(*values: str) -> str:
    return ", ".join(python(value) for value in values)


def _schema(key: Key) -> str:
    return "" if key.schema == "public" else f", schema={python(key.schema)}"


def _without_parentheses(expression: str) -> str:
    """`(a > 0)` without the parentheses, if they match each other."""
    if not (expression.startswith("(") and expression.endswith(")")):
        return expression
    depth = 0
    for index, character in enumerate(expression):
        depth += {"(": 1, ")": -1}.get(character, 0)
        if depth == 0 and index < len(expression) - 1:
            return expression
    return expression[1:-1]
