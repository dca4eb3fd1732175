"""Changes to a schema as lines of an Alembic script, so that advice can be pasted rather than read.

What depends on what is changed goes with it: a view, with its indexes and grants, is dropped before the type of a
column that it reads changes, and created again after it. See `ddl.py` for the lines of one change.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from app.gate.checks.support import ddl
from app.gate.checks.support.naming import VIEW_KINDS
from app.gate.checks.support.schema import Schema, is_read_by, parent_of
from app.gate.checks.support.script import execute
from app.gate.postgres.quoting import unquoted
from app.gate.recording.model import TABLE_KINDS, Change, Definition, Key
from app.gate.recording.names import full_name, table_of

_PLAIN = Schema()


def reversed_changes(changes: Iterable[Change]) -> list[Change]:
    """The changes that undo these."""
    return [Change(change.key, change.after, change.before) for change in changes]


def code(changes: Iterable[Change], limit: int = 12, schema: Schema = _PLAIN) -> str:
    """The code that makes the changes, in an order that PostgreSQL accepts; empty if there is none for any of them.

    `schema` is the one in which it is run.
    """
    given = list(changes)
    every = list(_with_dependents(given, schema))
    steps = _without_parts({_identity(step): step for change in every for step in _steps(change)}.values(), schema)
    depths = _depths_of_views(steps)
    steps.sort(key=lambda step: (_turn(step), depths.get(_identity(step), 0)))
    lines = [line for step in steps for line in lines_for(step, schema)]
    if len(lines) > limit and len(every) <= len(given):  # half of what drops and recreates a view would do harm
        lines = [*lines[:limit], f"# … and {len(lines) - limit} more"]
    return "\n".join(lines)


def _without_parts(steps: Iterable[Change], schema: Schema) -> list[Change]:
    """Less what goes with its table or view, and the columns of views. A foreign key may keep another table."""
    steps = list(steps)
    gone = {full_name(each.key) for each in steps if each.key.kind in TABLE_KINDS and each.after is None}
    views = {full_name(each.key) for each in steps if each.key.kind in VIEW_KINDS}
    kept = []
    for step in steps:
        found = schema.definition_of(table_of(step.key)) if step.key.table else None
        is_on_view = table_of(step.key) in views or (found is not None and found[0] in VIEW_KINDS)
        is_foreign_key = (step.before or {}).get("type") == "foreign key"
        if step.after is None and step.key.table and table_of(step.key) in gone and not is_foreign_key:
            continue
        if step.key.kind == "index" and is_on_view and step.after is not None:
            kept.append(Change(step.key, step.before, {**step.after, "is_on_view": True}))
        elif step.key.kind != "column" or not is_on_view:
            kept.append(step)
    return kept


def _identity(change: Change) -> tuple[Key, bool, bool]:
    return change.key, change.before is None, change.after is None


def lines_for(change: Change, schema: Schema = _PLAIN) -> list[str]:
    """The lines of code that make one change."""
    named = schema.named_change(change)
    key, before, after = named.key, named.before, named.after
    if before is None:
        return ddl.create(key, after or {})
    if after is None:
        return ddl.drop(key, before)
    if key.kind == "column":
        return ddl.alter_column(key, before, after)
    if key.kind == "enum":
        return ddl.alter_enum(key, before, after)
    if key.kind == "table":
        return ddl.alter_table(key, before, after)
    if key.kind == "sequence" and before.get("type") != after.get("type"):
        return [execute(f"ALTER SEQUENCE {ddl.name_of(key)} AS {after.get('type')}")]
    return [*ddl.drop(key, before), *ddl.create(key, after)] if key.kind in _REPLACED else []


# What is dropped and created again where another object would be altered.
_REPLACED = frozenset({"constraint", "index", "trigger", "view", "materialized view", "domain constraint"})


def _steps(change: Change) -> Iterator[Change]:
    """The change, or its dropping and its creating."""
    if change.key.kind in _REPLACED and change.before is not None and change.after is not None:
        yield Change(change.key, change.before, None)
        yield Change(change.key, None, change.after)
    elif change.key.kind == "sequence" and change.before is None and (change.after or {}).get("owned_by"):
        # It exists before the column that uses it, and belongs to that column afterwards.
        yield Change(change.key, None, {**(change.after or {}), "owned_by": None})
        yield Change(change.key._replace(kind="owner of a sequence"), None, change.after)
    else:
        yield change


# What depends on another object is dropped before it, and created after it. A column is altered once its new type
# exists and while its old one still does.
_TURNS = """
    drop view, drop trigger, drop policy, drop rule, drop foreign key,
    alter table, drop table, drop column, drop constraint, drop index,
    create schema, create extension, create enum, create sequence,
    create column, create owner of a sequence, alter, create constraint, create foreign key, create index, create view, create index on a view,
    create trigger,
    drop, drop schema, drop extension
"""
_TURN_BY_ACTION = {" ".join(action.split()): turn for turn, action in enumerate(_TURNS.split(","))}


def _turn(change: Change) -> int:
    verb = "create" if change.before is None else "drop" if change.after is None else "alter"
    kind, definition = change.key.kind, change.before or change.after or {}
    if kind == "materialized view":
        kind = "view"
    elif kind == "constraint" and definition.get("type") == "foreign key":
        kind = "foreign key"
    elif kind == "index" and verb == "create" and definition.get("is_on_view"):
        kind = "index on a view"
    turn = _TURN_BY_ACTION.get(f"{verb} {kind}")
    return turn if turn is not None else _TURN_BY_ACTION.get(verb, _TURN_BY_ACTION["alter"])


def _with_dependents(changes: list[Change], schema: Schema) -> Iterator[Change]:
    """Less what a change to a parent brings with it, and with the views that are in the way."""
    together = set(map(_identity, changes))
    known = {change.key for change in changes}
    views = [change.key for change in changes if change.key.kind == "materialized view" and change.after is not None]
    for change in changes:
        if _comes_with_its_parent(change, together, schema):
            continue
        yield change
        if not _keeps_no_view(change):
            continue
        for view in schema.views_on(table_of(change.key), change.key.name):
            if view not in known:
                yield Change(view, schema.objects[view], None)
                yield Change(view, None, schema.objects[view])
                views.append(view)
    for view in dict.fromkeys(views):
        yield from _parts_of_view(view, known, schema)


def between_views(table: str, column: str, lines: list[str], schema: Schema) -> list[str]:
    """The lines, after the views that read the column are dropped and before they are created again."""
    views = schema.views_on(table, column)
    dropped = [line for key in reversed(views) for line in lines_for(Change(key, schema.objects[key], None), schema)]
    made = [line for key in views for line in lines_for(Change(key, None, schema.objects[key]), schema)]
    for view in views:
        for change in _parts_of_view(view, set(), schema):
            made += lines_for(change, schema)
    return [*dropped, *lines, *made]


def _depths_of_views(changes: Iterable[Change]) -> dict[tuple[Key, bool, bool], int]:
    """The order of the views: created after those that they read, and dropped before them."""
    views = {_identity(change): change for change in changes if change.key.kind in VIEW_KINDS}

    def depth(change: Change) -> int:
        text = str((change.before or change.after or {}).get("definition", ""))
        below = [each for each in views.values() if each.key != change.key and is_read_by(text, full_name(each.key))]
        return 1 + max((depth(each) for each in below if (each.after is None) == (change.after is None)), default=0)

    return {each: depth(view) * (1 if view.before is None else -1) for each, view in views.items()}


def _parts_of_view(view: Key, known: set[Key], schema: Schema) -> Iterator[Change]:
    """What went with the view, and is created again after it."""
    if view not in schema.objects:
        return
    for kind in ("index", "trigger"):
        for key, definition in schema.parts_of(kind, full_name(view)):
            if key not in known:
                yield Change(key, None, definition)


def _keeps_no_view(change: Change) -> bool:
    """Whether PostgreSQL refuses it while a view reads the column."""
    if change.key.kind != "column" or change.before is None or change.after is None:
        return False
    return any(change.before.get(name) != change.after.get(name) for name in ("type", "collation"))


def _comes_with_its_parent(change: Change, together: set[tuple[Key, bool, bool]], schema: Schema) -> bool:
    """Whether it is of a partition, or of a table that inherits, and the same is done to the table above."""
    key = change.key
    if key.kind not in ("column", "constraint", "trigger", "index"):
        return False
    return any(
        (key._replace(schema=above[0], table=above[1]), change.before is None, change.after is None) in together
        for above in _tables_above(key, schema)
    )


def _tables_above(key: Key, schema: Schema) -> Iterator[tuple[str, str]]:
    found = schema.definition_of(table_of(key))
    for parent in _parents(found[1]) if found else ():
        name, _, table = parent.partition(".")
        yield name, table
        yield from _tables_above(key._replace(schema=name, table=table), schema)


def _parents(definition: Definition) -> list[str]:
    parent = parent_of(definition)
    return [*([parent] if parent else []), *(unquoted(str(each)) for each in definition.get("inherits") or ())]


def children_first(dropped: Iterable[Change], among: Iterable[Change]) -> list[Change]:
    """The changes, with tables in an order in which they can be dropped: a partition, or a table that refers to
    another, before the other. Foreign keys are known from the changes `among`."""
    changes, among = list(dropped), list(among)
    parents: dict[str, set[str]] = {}
    for change in among:
        definition = change.after or change.before or {}
        if change.key.kind == "constraint" and definition.get("references"):
            parents.setdefault(table_of(change.key), set()).add(unquoted(str(definition["references"])))
        elif change.key.kind in TABLE_KINDS:
            parents.setdefault(full_name(change.key), set()).update(_parents(definition))
    order = {
        name: index for index, name in enumerate(_lowest_first((full_name(each.key) for each in changes), parents))
    }
    changes.sort(key=lambda change: order[full_name(change.key)])
    return [*_in_a_circle(among, order), *changes]


def _lowest_first(tables: Iterable[str], parents: Mapping[str, set[str]]) -> list[str]:
    depths: dict[str, int] = {}

    def depth(table: str, above: tuple[str, ...] = ()) -> int:
        if table in above:
            return 0  # a circle: no order is right
        if table not in depths:
            depths[table] = 1 + max((depth(each, (*above, table)) for each in parents.get(table, ())), default=0)
        return depths[table]

    return sorted(dict.fromkeys(tables), key=lambda table: -depth(table))


def _in_a_circle(among: Iterable[Change], order: Mapping[str, int]) -> Iterator[Change]:
    """The foreign keys that keep a table which is dropped first, so that they must be dropped before it."""
    for change in among:
        definition = change.after or change.before or {}
        if change.key.kind == "constraint" and definition.get("references"):
            last, first = order.get(table_of(change.key)), order.get(unquoted(str(definition["references"])))
            if last is not None and first is not None and last > first:
                yield Change(change.key, definition, None)
