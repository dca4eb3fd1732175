"""Recordings in a few words. What a test does not name is as uneventful as can be."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from app.gate.recording.model import (
    AlternativePath,
    Change,
    Definition,
    Direction,
    Drift,
    Failure,
    Graph,
    GraphProblem,
    GraphProblemKind,
    Key,
    Recording,
    Rename,
    Revision,
    RoundTrip,
    Snapshot,
    Statement,
    Step,
    UnregisteredModel,
)


def recording(
    *trips: RoundTrip, revisions: Iterable[Revision] | None = None, heads: Iterable[str] | None = None, **fields: Any
) -> Recording:
    """A walk of those trips. Without `revisions` each trip's revision follows the one before it."""
    scripts = list(revisions) if revisions is not None else []
    if revisions is None:
        for trip in trips:
            scripts.append(revision(trip.revision, scripts[-1].revision if scripts else None))
    parents = {parent for each in scripts for parent in each.down_revisions}
    found = tuple(each.revision for each in scripts if each.revision not in parents)
    graph = Graph(
        revisions=tuple(scripts),
        heads=tuple(heads) if heads is not None else found,
        bases=tuple(each.revision for each in scripts if not each.down_revisions),
        problems=fields.pop("problems", ()),
        refusal=fields.pop("refusal", None),
    )
    return Recording("migrations", "18.6", "1.20.1", "2.1.9", graph, trips=trips, **fields)


def revision(name: str, *parents: str | None, labels: Iterable[str] = (), **fields: Any) -> Revision:
    """The script of a revision, at versions/NAME.py, with `def upgrade` in line 10 and `def downgrade` in line 20."""
    return Revision(
        name,
        f"versions/{name}.py",
        down_revisions=tuple(parent for parent in parents if parent),
        branch_labels=tuple(labels),
        **{"upgrade_line": 10, "downgrade_line": 20, **fields},
    )


def trip(
    name: str = "a1",
    *,
    changes: Iterable[Change] = (),
    statements: Iterable[Statement] = (),
    renamed: Iterable[tuple[Key, Key]] = (),
    undo: Iterable[Statement] | None = None,
    up_failure: Failure | None = None,
    down_failure: Failure | None = None,
    again_failure: Failure | None = None,
    left_behind: Iterable[Change] = (),
    second_up_differences: Iterable[Change] = (),
) -> RoundTrip:
    """Up, down and up again. The downgrade undoes the changes with one statement, unless `undo` says with which."""
    changes = tuple(changes)
    if undo is None:
        undo = [Statement("SELECT 'undone'", 1.0)] if changes else []
    undo = tuple(undo)
    up = Step(
        name,
        Direction.UPGRADE,
        1.0,
        statements=tuple(statements),
        changes=changes,
        renamed=tuple(Rename(before, after) for before, after in renamed),
        failure=up_failure,
    )
    if up_failure is not None:
        return RoundTrip(name, up=up)
    undone = (
        tuple(Change(each.key, each.after, each.before) for each in changes) if undo and down_failure is None else ()
    )
    down = Step(name, Direction.DOWNGRADE, 1.0, statements=undo, changes=undone, failure=down_failure)
    again = Step(name, Direction.UPGRADE, 1.0, changes=changes, failure=again_failure) if down_failure is None else None
    return RoundTrip(
        name,
        up=up,
        down=down,
        second_up=again,
        left_behind=tuple(left_behind),
        second_up_differences=tuple(second_up_differences),
    )


def statement(
    sql: str = "ALTER TABLE orders …", *, locks: Mapping[str, str | Iterable[str]] | None = None, **fields: Any
) -> Statement:
    """A statement. `locks`: {"orders": "AccessExclusiveLock"}. Tables without a schema are in `public`."""
    for name in ("rewrites", "scans", "index_builds"):
        if name in fields:
            fields[name] = tuple(_qualified(table) for table in fields[name])
    for name in {"written", "updated"} & fields.keys():
        fields[name] = {_qualified(table): rows for table, rows in fields[name].items()}
    taken = {
        _qualified(table): frozenset([modes] if isinstance(modes, str) else modes)
        for table, modes in (locks or {}).items()
    }
    return Statement(sql, fields.pop("duration_ms", 1.0), locks=taken, **fields)


def failure(
    message: str = "it broke",
    *,
    error: str = "psycopg2.errors.UndefinedTable",
    sqlstate: str | None = "42P01",
    **fields: Any,
) -> Failure:
    """An error that PostgreSQL raised."""
    return Failure(error, message, sqlstate, **fields)


def python_failure(error: str, message: str = "", **fields: Any) -> Failure:
    """An error that the script raised by itself."""
    return Failure(error, message, **fields)


def key(kind: str, name: str, table: str = "", schema: str = "public") -> Key:
    return Key(kind, schema, name, table)


def added(key: Key, **definition: Any) -> Change:
    return Change(key, None, definition)


def removed(key: Key, **definition: Any) -> Change:
    return Change(key, definition, None)


def altered(key: Key, before: Definition, after: Definition) -> Change:
    return Change(key, before, after)


def snapshot(objects: Mapping[Key, Definition]) -> Snapshot:
    return Snapshot(objects)


def drift(*operations: str) -> tuple[Drift, ...]:
    """From `add column public.orders.note`: the object is the last word."""
    return tuple(
        Drift(operation, operation.rpartition(" ")[2], "-".join(operation.split()[:-1])) for operation in operations
    )


def attempt(*failures: Failure, differences: Iterable[Change] = ()) -> AlternativePath:
    return AlternativePath(failures, tuple(differences))


def problem(kind: str, message: str, **fields: Any) -> GraphProblem:
    return GraphProblem(GraphProblemKind(kind), message, **fields)


def unregistered(module: str, name: str, table: str, line: int = 5) -> UnregisteredModel:
    return UnregisteredModel(module, name, table, f"{module.replace('.', '/')}.py", line)


def _qualified(table: str) -> str:
    return table if "." in table else f"public.{table}"
