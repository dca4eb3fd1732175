"""What PostgreSQL can do while others write, as code: an index that is built, a constraint that is validated later.

On a partitioned table it refuses CONCURRENTLY, USING INDEX and, before version 18, a foreign key that is NOT VALID.
There the same is done partition by partition, and the partitioned table takes it over.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace

from app.gate.checks.support import ddl
from app.gate.checks.support.schema import Schema
from app.gate.checks.support.script import autocommit, execute, python, shortened
from app.gate.postgres.quoting import quote
from app.gate.recording.model import Change, Key
from app.gate.recording.names import table_of

LONGEST_LIST = 10  # partitions that are written out


@dataclass(frozen=True)
class Index:
    """An index on a table, and the constraint that it is for, if it is for one."""

    table: str  # "public.orders"
    name: str
    body: str  # "USING btree (note)"
    unique: bool = False
    constraint: str = ""  # "UNIQUE": what precedes USING INDEX
    declared: str = ""  # "UNIQUE (a, b)": as the constraint is added without an index
    timing: str = ""  # " DEFERRABLE": what follows USING INDEX

    def sql(self, schema: Schema, words: str = "", on: str = "") -> str:
        unique = "UNIQUE " if self.unique else ""
        return f"CREATE {unique}INDEX {words}{quote(self.name)} ON {on}{schema.sql(self.table)} {self.body}"


_CONSTRAINT = re.compile(
    r"(?P<kind>UNIQUE|PRIMARY KEY)(?P<nulls> NULLS NOT DISTINCT)? (?P<columns>\((?:[^()\"]|\"(?:[^\"]|\"\")*\")*\))"
    r"(?P<include> INCLUDE \((?:[^()\"]|\"(?:[^\"]|\"\")*\")*\))?(?P<timing>(?: DEFERRABLE)?(?: INITIALLY DEFERRED)?)"
)


def index_of(change: Change) -> Index | None:
    """The index that a change creates or drops. None for a constraint whose index PostgreSQL cannot build concurrently,
    such as that of EXCLUDE."""
    key, definition = change.key, change.after or change.before or {}
    body, table = str(definition.get("definition", "")).rstrip("; \n"), table_of(key)
    if key.kind == "index":
        return Index(table, key.name, body, bool(definition.get("unique")))
    found = _CONSTRAINT.fullmatch(body)
    if found is None or "WITHOUT OVERLAPS" in body:
        return None
    built = f"USING btree {found['columns']}{found['include'] or ''}{found['nulls'] or ''}"
    return Index(table, key.name, built, True, found["kind"], body, found["timing"])


def build(index: Index, schema: Schema) -> str:
    """The code that builds it concurrently. What a cancelled build left behind is dropped first, so that the revision
    can be run again."""
    if schema.is_partitioned(index.table):
        return _build_on_partitions(index, schema)
    lines = autocommit([_drop_remains(index, schema), _create(index, schema)])
    if index.constraint:
        lines.append(_take_over(index, schema))
    return "\n".join(lines)


def drop(change: Change, schema: Schema) -> str:
    """The code that drops an index: concurrently, unless it is that of a partitioned table."""
    if schema.is_partitioned(table_of(change.key)):
        lines = [execute("SET LOCAL lock_timeout = '2s'"), *ddl.drop(schema.named(change.key), change.before or {})]
    else:
        name = schema.sql(f"{change.key.schema}.{change.key.name}")
        lines = autocommit([execute(f"DROP INDEX CONCURRENTLY IF EXISTS {name}")])
    return "\n".join(lines)


def _create(index: Index, schema: Schema) -> str:
    space, _, table = index.table.partition(".")
    key = schema.named(Key("index", space, index.name, table))
    return ddl.create_index(key, {"definition": index.body, "unique": index.unique}, is_concurrent=True)


def _drop_remains(index: Index, schema: Schema) -> str:
    space = index.table.partition(".")[0]
    return execute(f"DROP INDEX CONCURRENTLY IF EXISTS {schema.sql(f'{space}.{index.name}')}")


def _take_over(index: Index, schema: Schema) -> str:
    add = f"ALTER TABLE {schema.sql(index.table)} ADD CONSTRAINT {quote(index.name)}"
    return execute(f"{add} {index.constraint} USING INDEX {quote(index.name)}{index.timing}")


def _build_on_partitions(index: Index, schema: Schema) -> str:
    """An index for each partition that holds rows, concurrently; then, from below, one ON ONLY each partitioned table,
    to which those of its partitions are attached."""
    leaves = schema.leaves(index.table)
    indexes = {table: _of_partition(index, table, schema) for table in [index.table, *_below(index.table, schema)]}
    shown = [indexes[leaf] for leaf in leaves[:LONGEST_LIST]]
    builds = [
        line for each in shown for line in (_drop_remains(each, schema), execute(each.sql(schema, "CONCURRENTLY ")))
    ]
    if not leaves:
        builds.append(_NO_PARTITIONS)
    if len(leaves) > LONGEST_LIST:
        builds.append(f"# … and the same for the other {len(leaves) - LONGEST_LIST} partitions")
    lines = [*_drop_older(index, schema), *(autocommit(builds) if leaves else builds)]
    if index.constraint:
        lines += [_take_over(each, schema) for each in shown]
    for table in reversed([index.table, *_below(index.table, schema)]):
        if schema.is_partitioned(table):
            lines += _join(indexes[table], [indexes[each] for each in schema.partitions(table)], schema)
    return "\n".join(lines)


_NO_PARTITIONS = "# The history creates no partitions. For each that there is, build the index concurrently before this, and attach it after it."


def _drop_older(index: Index, schema: Schema) -> list[str]:
    """Lines that drop the index which has the name so far, where one takes the place of another."""
    space, _, table = index.table.partition(".")
    key = Key("index", space, index.name, table)
    return drop(Change(key, schema.objects[key], None), schema).splitlines() if key in schema.objects else []


def _join(whole: Index, parts: list[Index], schema: Schema) -> list[str]:
    add = f"ALTER TABLE ONLY {schema.sql(whole.table)} ADD CONSTRAINT {quote(whole.name)} {whole.declared}"
    lines = [execute(add if whole.constraint else whole.sql(schema, on="ONLY "))]
    space = whole.table.partition(".")[0]
    attach = f"ALTER INDEX {schema.sql(f'{space}.{whole.name}')} ATTACH PARTITION"
    for part in parts[:LONGEST_LIST]:
        space = part.table.partition(".")[0]
        lines.append(execute(f"{attach} {schema.sql(f'{space}.{part.name}')}"))
    if len(parts) > LONGEST_LIST:
        lines.append(f"# … and the same for the other {len(parts) - LONGEST_LIST}: until then the index is INVALID")
    return lines


def _below(table: str, schema: Schema) -> list[str]:
    """All partitions, those of partitions included, each after the one that it is a part of."""
    return [each for part in schema.partitions(table) for each in (part, *_below(part, schema))]


def _of_partition(index: Index, table: str, schema: Schema) -> Index:
    """`ix_hit_path_2024` on `hit_2024`, for `ix_hit_path` on `hit`. Another index of that name is left alone: what a
    cancelled build has left is dropped by its name."""
    if table == index.table:
        return index
    whole, part = index.table.partition(".")[2], table.partition(".")[2]
    suffix = part.removeprefix(f"{whole}_")
    space, _, label = table.partition(".")
    name = shortened(f"{index.name}_{suffix}")
    there = schema.objects.get(Key("index", space, name, label))
    if there is None or str(there.get("definition")) != index.body:
        name = shortened(name, schema.relations_in(space))
    return replace(index, table=table, name=name)


@dataclass(frozen=True)
class TwoSteps:
    """A constraint for new rows now, and for the existing ones later. Lines of code."""

    now: list[str]
    later: list[str]


def constrain(table: str, name: str, rule: str, schema: Schema) -> TwoSteps:
    """A CHECK or a foreign key in two steps. `rule` is SQL."""
    add = f"ADD CONSTRAINT {quote(name)} {rule.removesuffix(' NOT VALID')}"
    is_refused = rule.upper().startswith("FOREIGN") and schema.is_partitioned(table) and 0 < schema.major < 18
    tables = schema.leaves(table) if is_refused else [table]
    shown = [f"ALTER TABLE {schema.sql(each)}" for each in tables[:LONGEST_LIST]]
    now = [execute(f"{alter} {add} NOT VALID") for alter in shown]
    later = [execute(f"{alter} VALIDATE CONSTRAINT {quote(name)}") for alter in shown]
    if len(tables) > LONGEST_LIST:
        rest = f"# … and the same for the other {len(tables) - LONGEST_LIST} partitions"
        now, later = [*now, rest], [*later, rest]
    if is_refused:
        later.append(execute(f"ALTER TABLE {schema.sql(table)} {add}"))  # takes those of the partitions over
    return TwoSteps(now, later)


def require(table: str, column: str, schema: Schema) -> TwoSteps:
    """NOT NULL in two steps: PostgreSQL does not scan where a CHECK proves it."""
    label = table.partition(".")[2]
    check = shortened(f"ck_{label}_{column}_not_null", schema.names_on(table))
    steps = constrain(table, check, f"CHECK ({quote(column)} IS NOT NULL)", schema)
    space = schema.named(Key("table", table.partition(".")[0], label)).schema
    named = f", schema={python(space)}" if space else ""
    return TwoSteps(
        steps.now,
        [
            *steps.later,
            f"op.alter_column({python(label)}, {python(column)}, nullable=False{named})",
            f'op.drop_constraint({python(check)}, {python(label)}, type_="check"{named})',
        ],
    )
