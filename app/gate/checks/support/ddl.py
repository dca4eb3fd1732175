"""One change to a schema as lines of an Alembic script.

Keys have no schema where the script leaves it out of names: see `Schema.named`. Where an `op` function can express a
change it is used; else it is `op.execute` with PostgreSQL's own definition, which is right in any case. What neither
can do, such as removing a label from an enum, has no lines.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from app.gate.checks.support.column_types import is_string, split_type
from app.gate.checks.support.script import autocommit, execute, python
from app.gate.postgres.quoting import quote, readable_literal
from app.gate.recording.model import Definition, Key

# Creating


def create(key: Key, definition: Definition) -> list[str]:
    body = str(definition.get("definition", "")).rstrip("; \n")
    if key.kind == "constraint":
        return [_create_constraint(key, definition, body)]
    if key.kind == "index":
        return [create_index(key, definition)]
    if key.kind in ("view", "materialized view"):
        options = f" WITH ({', '.join(definition['options'])})" if definition.get("options") else ""
        data = " WITH NO DATA" if definition.get("populated") is False else ""
        sql = f"CREATE {key.kind.upper()} {name_of(key)}{options} AS {body}{data}"
        return [execute(sql), *_grants(key, definition.get("privileges") or {})]
    labels = ", ".join(map(readable_literal, definition.get("labels") or ()))
    statements = {
        "column": lambda: f"ALTER TABLE {table_of(key)} ADD COLUMN {quote(key.name)} {column(definition)}",
        "domain constraint": lambda: f"ALTER DOMAIN {table_of(key)} ADD CONSTRAINT {quote(key.name)} {body}",
        "enum": lambda: f"CREATE TYPE {name_of(key)} AS ENUM ({labels})",
        "extension": lambda: f"CREATE EXTENSION IF NOT EXISTS {quote(key.name)}",
        "schema": lambda: f"CREATE SCHEMA {quote(key.name)}",
        "owner of a sequence": lambda: f"ALTER SEQUENCE {name_of(key)} OWNED BY {definition['owned_by']}",
        "sequence": lambda: f"CREATE SEQUENCE {name_of(key)} AS {definition.get('type', 'bigint')}",
        "trigger": lambda: (
            f"CREATE {'CONSTRAINT ' if definition.get('constraint') else ''}TRIGGER {quote(key.name)} {body}"
        ),
    }
    return [execute(statements[key.kind]())] if key.kind in statements else []


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
    return execute(f"ALTER TABLE {table_of(key)} ADD CONSTRAINT {quote(key.name)} {body}")


def create_index(key: Key, definition: Definition, *, is_concurrent: bool = False) -> str:
    body, unique = str(definition.get("definition", "")).rstrip("; \n"), bool(definition.get("unique"))
    simple = re.fullmatch(r"USING btree \(([a-z_][a-z0-9_]*(?:, [a-z_][a-z0-9_]*)*)\)", body)
    if simple:
        arguments = f"{_arguments(key.name, key.table)}, {python(simple[1].split(', '))}"
        options = f"{', unique=True' if unique else ''}{', postgresql_concurrently=True' if is_concurrent else ''}"
        return f"op.create_index({arguments}{options}{_schema(key)})"
    words = f"CREATE {'UNIQUE ' if unique else ''}INDEX {'CONCURRENTLY ' if is_concurrent else ''}"
    return execute(f"{words}{quote(key.name)} ON {table_of(key)} {body}")


def column(definition: Definition) -> str:
    """What follows the name of a new column."""
    words = [str(definition.get("type", "text"))]
    if definition.get("collation"):
        words.append(f"COLLATE {definition['collation']}")
    if definition.get("generated"):
        words.append(f"GENERATED ALWAYS AS ({definition['generated']}){'' if definition.get('virtual') else ' STORED'}")
    if definition.get("identity"):
        words.append(f"GENERATED {str(definition['identity']).upper()} AS IDENTITY{_identity_options(definition)}")
    if definition.get("default") is not None:
        words.append(f"DEFAULT {definition['default']}")
    if definition.get("nullable") is False:
        words.append("NOT NULL")
    return " ".join(words)


_IDENTITY_WORDS = {
    "start": "START WITH",
    "increment": "INCREMENT BY",
    "minimum": "MINVALUE",
    "maximum": "MAXVALUE",
    "cache": "CACHE",
}


def _identity_options(definition: Definition) -> str:
    options = definition.get("sequence") or {}
    words = [f"{_IDENTITY_WORDS[name]} {value}" for name, value in options.items() if name in _IDENTITY_WORDS]
    return f" ({' '.join([*words, *(['CYCLE'] if options.get('cycle') else [])])})" if options else ""


def _grants(key: Key, privileges: Mapping[str, str]) -> list[str]:
    """What a view that is dropped and created again has lost: `GRANT SELECT ON notes TO reader`."""
    lines = []
    for role, rights in privileges.items():
        if role == "the owner" or rights == "nothing":
            continue
        for option in (" with grant option", ""):
            words = [each.removesuffix(option) for each in rights.split(", ") if each.endswith(option or each)]
            words = [each for each in words if option or not each.endswith(" with grant option")]
            if words:
                sql = f"GRANT {', '.join(words)} ON {name_of(key)} TO {role}{option.upper()}"
                lines.append(execute(sql))
    return lines


# Dropping


def drop(key: Key, definition: Definition) -> list[str]:
    if key.kind == "table":
        return [f"op.drop_table({python(key.name)}{_schema(key)})"]
    if key.kind == "column":
        return [f"op.drop_column({_arguments(key.table, key.name)}{_schema(key)})"]
    if key.kind == "index":
        return [f"op.drop_index({python(key.name)}, table_name={python(key.table)}{_schema(key)})"]
    if key.kind == "constraint":
        types = {"primary key": "primary", "foreign key": "foreignkey", "unique": "unique", "check": "check"}
        given = types.get(str(definition.get("type")))
        type_ = f", type_={python(given)}" if given else ""
        return [f"op.drop_constraint({_arguments(key.name, key.table)}{type_}{_schema(key)})"]
    if key.kind == "domain constraint":
        return [execute(f"ALTER DOMAIN {table_of(key)} DROP CONSTRAINT {quote(key.name)}")]
    if key.kind in {"trigger", "policy", "rule"}:
        return [execute(f"DROP {key.kind.upper()} {quote(key.name)} ON {table_of(key)}")]
    if key.kind in {"enum", "composite type", "range type", "base type"}:
        return [execute(f"DROP TYPE {name_of(key)}")]
    if key.kind in {"function", "procedure", "aggregate"}:
        schema = f"{quote(key.schema)}." if key.schema else ""
        name, arguments, rest = key.name.partition("(")
        return [execute(f"DROP {key.kind.upper()} {schema}{quote(name)}{arguments}{rest}")]
    if key.kind in _DROPPED_BY_NAME:
        return [execute(f"DROP {key.kind.upper()} {name_of(key)}")]
    return []


_DROPPED_BY_NAME = frozenset(
    {"view", "materialized view", "foreign table", "sequence", "domain", "extension", "schema", "statistics"}
)

# Altering


def alter_column(key: Key, before: Definition, after: Definition) -> list[str]:
    changed = {name for name in {*before, *after} if before.get(name) != after.get(name)}
    if not before.get("identity") or not after.get("identity"):
        changed -= {"sequence"}  # which comes and goes with the identity
    if not changed <= _ALTERABLE:
        return []
    alter = f"ALTER TABLE {table_of(key)} ALTER COLUMN {quote(key.name)}"
    lines, arguments = [], []
    if changed & {"type", "collation"}:
        lines += _retype(key, alter, before, after, "default" in changed)
    if "identity" in changed:
        lines.append(execute(f"{alter} {_identity_change(before, after)}"))
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
        altered = f"op.alter_column({_arguments(key.table, key.name)}, {', '.join(arguments)}{_schema(key)})"
        # A column with a default cannot become an identity, and one that may be NULL cannot either.
        lines.insert(0 if "identity" in changed and after.get("identity") else len(lines), altered)
    return lines


# Not what can be had only by dropping the column, such as another expression of a generated one.
_ALTERABLE = frozenset({"type", "collation", "identity", "nullable", "not_null", "default", "comment"})


def _identity_change(before: Definition, after: Definition) -> str:
    if not after.get("identity"):
        return "DROP IDENTITY"
    kind = str(after["identity"]).upper()
    if before.get("identity"):
        return f"SET GENERATED {kind}"
    return f"ADD GENERATED {kind} AS IDENTITY{_identity_options(after)}"


def _retype(key: Key, alter: str, before: Definition, after: Definition, has_new_default: bool) -> list[str]:
    """Without USING wherever PostgreSQL converts by itself: `status::varchar(7)` would cut what is longer, where the
    conversion of an assignment refuses it."""
    old, new = str(before.get("type")), str(after.get("type"))
    collation = f" COLLATE {after['collation']}" if after.get("collation") else ""
    if not needs_using(old, new):
        return [*what_does_not_fit(key, old, new), execute(f"{alter} TYPE {new}{collation}")]
    retyped = execute(f"{alter} TYPE {new}{collation} USING {quote(key.name)}::text::{new}")
    if before.get("default") is None:
        return [retyped]
    lines = [execute(f"{alter} DROP DEFAULT"), retyped]
    return lines if has_new_default else [*lines, execute(f"{alter} SET DEFAULT {after.get('default')}")]


def what_does_not_fit(key: Key, old: str, new: str) -> list[str]:
    """A comment with the query for the rows that stop the change to a shorter type."""
    limits = split_type(new)[1]
    if not (is_string(old) and is_string(new) and limits) or (0, *split_type(old)[1])[-1] in range(1, limits[0] + 1):
        return []
    query = f"SELECT * FROM {table_of(key)} WHERE length({quote(key.name)}) > {limits[0]}"
    return [f"# A longer text stops this, so look first: {query}"]


_ASSIGNED = (
    {"smallint", "integer", "bigint", "numeric", "real", "double precision"},
    {"date", "timestamp without time zone", "timestamp with time zone"},
    {"time without time zone", "time with time zone"},
    {"json", "jsonb"},
    {"cidr", "inet"},
    {"bit", "bit varying"},
)


def needs_using(old: str, new: str) -> bool:
    """Whether PostgreSQL converts the values of a column only with USING. It assigns anything to a text."""
    before, after = split_type(old)[0], split_type(new)[0]
    return not (before == after or is_string(new) or any(before in family and after in family for family in _ASSIGNED))


def alter_enum(key: Key, before: Definition, after: Definition) -> list[str]:
    """PostgreSQL can add labels to an enum, but neither remove nor move them."""
    old, new = list(before.get("labels") or ()), list(after.get("labels") or ())
    if [label for label in new if label in old] != old:
        return []
    lines = []
    for index, label in enumerate(new):
        if label not in old:
            following = next((each for each in new[index:] if each in old), None)
            place = f" BEFORE {readable_literal(following)}" if following is not None else ""
            lines.append(execute(f"ALTER TYPE {name_of(key)} ADD VALUE IF NOT EXISTS {readable_literal(label)}{place}"))
    return autocommit(lines)


_ROW_SECURITY = {
    None: ("DISABLE", "NO FORCE"),
    "enabled": ("ENABLE", "NO FORCE"),
    "forced": ("DISABLE", "FORCE"),
    "enabled and forced": ("ENABLE", "FORCE"),
}


def alter_table(key: Key, before: Definition, after: Definition) -> list[str]:
    changed = {name for name in {*before, *after} if before.get(name) != after.get(name)}
    table = name_of(key)
    lines = []
    if "partition_of" in changed and (old := before.get("partition_of")):
        lines.append(execute(f"ALTER TABLE {_first_name(old)} DETACH PARTITION {table}"))
    if "partition_of" in changed and (new := after.get("partition_of")):
        parent = _first_name(new)
        lines.append(execute(f"ALTER TABLE {parent} ATTACH PARTITION {table} {str(new)[len(parent) :].strip()}"))
    if "inherits" in changed:
        old_parents, new_parents = list(before.get("inherits") or ()), list(after.get("inherits") or ())
        lines += [execute(f"ALTER TABLE {table} NO INHERIT {each}") for each in old_parents if each not in new_parents]
        lines += [execute(f"ALTER TABLE {table} INHERIT {each}") for each in new_parents if each not in old_parents]
    if "row_security" in changed:
        is_on, is_forced = _ROW_SECURITY[after.get("row_security")]
        lines.append(execute(f"ALTER TABLE {table} {is_on} ROW LEVEL SECURITY, {is_forced} ROW LEVEL SECURITY"))
    return lines if changed <= {"partition_of", "inherits", "row_security"} else []


def _first_name(partition_of: object) -> str:
    found = re.match(r'(?:"(?:[^"]|"")+"|[^"\s.]+)(?:\.(?:"(?:[^"]|"")+"|[^"\s.]+))?', str(partition_of))
    return found[0] if found else ""


# Names


def name_of(key: Key) -> str:
    """The object in SQL."""
    return f"{quote(key.schema)}.{quote(key.name)}" if key.schema else quote(key.name)


def table_of(key: Key) -> str:
    """The table, or domain, that it belongs to in SQL."""
    return f"{quote(key.schema)}.{quote(key.table)}" if key.schema else quote(key.table)


def _arguments(*values: str) -> str:
    return ", ".join(python(value) for value in values)


def _schema(key: Key) -> str:
    return f", schema={python(key.schema)}" if key.schema else ""


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
