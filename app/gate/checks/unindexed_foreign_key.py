"""A new foreign key whose columns no index leads with.

Catches
    A foreign key that the branch adds, for which its table has no index at the end of the branch that begins with the
    key's columns, in any order. PostgreSQL makes an index for what a foreign key refers to, but none for its own
    columns.

Why it hurts
    For each row that is deleted from the referenced table, or whose key changes, PostgreSQL looks for rows that refer
    to it, whatever the key says of ON DELETE. Without an index it reads the whole table each time, and holds the locks
    of the deleting transaction meanwhile. Joins along the key read it as well.

How to fix
    Add the index, concurrently if the table is in use::

        with op.get_context().autocommit_block():
            op.execute("DROP INDEX CONCURRENTLY IF EXISTS ix_items_order_id")
            op.create_index("ix_items_order_id", "items", ["order_id"], postgresql_concurrently=True)

    If rows of the referenced table are never deleted and never get another key, or the table is small, say so::

        # overproof: allow unindexed-foreign-key: there are twelve of them

Stays quiet when
    The index is created later in the branch. The primary key, a unique constraint or an exclusion constraint begins
    with the columns. The index leaves out rows in which the columns are NULL, and no others. The foreign key takes the
    place of another one on the same columns.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence

from app.gate.checks.base import Check, CheckSkipped, Finding
from app.gate.checks.support.concurrently import build, index_of
from app.gate.checks.support.fix_code import code
from app.gate.checks.support.indexes import Indexes
from app.gate.checks.support.locks import upgrades
from app.gate.checks.support.naming import noun
from app.gate.checks.support.schema import Schema, SchemaHistory
from app.gate.checks.support.script import shortened
from app.gate.checks.support.statements import find_statement, sql_of
from app.gate.checks.support.subjects import named, together
from app.gate.postgres.quoting import quote, unquoted
from app.gate.recording.model import Change, Key, Recording, Step
from app.gate.recording.names import full_name, shorten, table_of
from app.gate.report.verdict import Severity
from app.gate.wording import bulleted, counted, indented, listed

_SHOWN = 6  # indexes whose code is shown


def examine(recording: Recording) -> Iterator[Finding]:
    if recording.head is None:
        raise CheckSkipped(recording.not_observed.get("head", "the history was not walked to its head"))
    head, schema = recording.head.objects, SchemaHistory.of(recording).at_head()
    covered = Indexes(head)
    seen: set[Key] = set()
    for revision, step, _ in reversed(list(upgrades(recording))):  # the last one that made the key
        keys = [each for each in step.changes if _is_new_key(each, step) and each.key not in seen and each.key in head]
        seen.update(each.key for each in keys)
        bare = [each for each in keys if not covered.lead_with(each.key, _columns(each))]
        bare = [each for each in bare if not _comes_with_its_parent(each, bare, schema)]
        if bare:
            yield _finding(revision.revision, step, bare, schema)


def _is_new_key(change: Change, step: Step) -> bool:
    """Whether it is a foreign key, on columns on which there was none."""
    if change.before is not None or (change.after or {}).get("type") != "foreign key":
        return False
    return not any(
        each.after is None
        and (each.before or {}).get("type") == "foreign key"
        and table_of(each.key) == table_of(change.key)
        and set((each.before or {}).get("columns") or ()) == set(_columns(change))
        for each in step.changes
    )


def _comes_with_its_parent(change: Change, keys: Sequence[Change], schema: Schema) -> bool:
    """Whether it is that of a partition, which the partitioned table has as well."""
    parents = schema.parents(table_of(change.key))
    return any(table_of(each.key) in parents and _columns(each) == _columns(change) for each in keys)


def _columns(change: Change) -> Sequence[str]:
    columns: Sequence[str] = (change.after or {}).get("columns") or ()
    return columns


def _finding(revision: str, step: Step, keys: Sequence[Change], schema: Schema) -> Finding:
    first = keys[0]
    statement = find_statement(step, first)
    more = f" (and {counted(len(keys) - 1, 'more foreign key')} like it)" if len(keys) > 1 else ""
    parent = shorten(unquoted(str((first.after or {}).get("references", ""))))
    return Finding(
        f"No index leads with {listed(_columns(first))} of {shorten(table_of(first.key))}: each DELETE from {parent}, and each change "
        f"of its key, reads the whole table{more}.",
        together(named(each.key) for each in keys),
        revision=revision,
        object=full_name(first.key) if len(keys) == 1 else None,
        tables=tuple(sorted({table_of(each.key) for each in keys})),
        detail=bulleted(f"{noun(each)} ({', '.join(_columns(each))})" for each in keys)
        if len(keys) > 1
        else sql_of(statement)
        if statement
        else None,
        help=_advice(step, keys, schema),
        line=statement.line if statement else None,
    )


def _advice(step: Step, keys: Sequence[Change], schema: Schema) -> str:
    created = {full_name(each.key) for each in step.changes if each.before is None and each.key.kind == "table"}
    lines = [_code(each, created, schema) for each in keys[:_SHOWN]]
    if len(keys) > _SHOWN:
        lines.append(f"# … and {len(keys) - _SHOWN} more")
    shown = "\n".join(dict.fromkeys(lines))
    return f"Add the index: PostgreSQL makes none for the columns of a foreign key:\n\n{indented(shown)}"


def _code(change: Change, created: Collection[str], schema: Schema) -> str:
    wanted = _index_for(change, schema)
    index = index_of(wanted)
    if table_of(change.key) in created or index is None:
        return code([wanted], schema=schema)
    return build(index, schema)


def _index_for(change: Change, schema: Schema) -> Change:
    """Under a name that no other relation has, for what a cancelled build has left is dropped by that name."""
    columns = _columns(change)
    name = shortened(f"ix_{change.key.table}_{'_'.join(columns)}", schema.relations_in(change.key.schema))
    key = Key("index", change.key.schema, name, change.key.table)
    return Change(key, None, {"definition": f"USING btree ({', '.join(map(quote, columns))})"})


CHECK = Check(id="unindexed-foreign-key", severity=Severity.NOTICE, examine=examine)
