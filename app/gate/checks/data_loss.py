"""An upgrade destroys rows or values, or its downgrade does not restore them.

Catches
    In the upgrade: rows that are deleted or truncated; values that become NULL, are truncated or rounded; different
    values that become equal; timestamps that become another point in time when the type of their column changes;
    columns and tables that are dropped with values in them, also where they are created again alike. In the downgrade:
    rows that existed before the upgrade and are missing or changed after up and down.

Why it hurts
    No downgrade restores values that are stored nowhere any more; what remains is the last backup. Reviewers notice
    `drop_column`, but not the rounding in a change of type, and a downgrade is rarely tried on a database with rows
    before it is needed.

How to fix
    Keep the values until it is certain that they are not needed: drop the column in a later release than the code that
    used it, and keep a copy::

        op.execute("CREATE TABLE orders_note AS SELECT id, note FROM orders WHERE note IS NOT NULL")
        op.drop_column("orders", "note")

    The downgrade can then restore them::

        op.add_column("orders", sa.Column("note", sa.Text()))
        op.execute("UPDATE orders SET note = n.note FROM orders_note AS n WHERE n.id = orders.id")
        op.drop_table("orders_note")

    If the values may go, say so::

        # overproof: allow data-loss: nothing has written this column since 4.2

Stays quiet when
    A script of the history inserted the rows. Every value is still found: in another type, under another name, in
    another column or table, or in a partition that was detached. Different values stay different, whatever their new
    names are. A NULL is replaced by a value. A trigger writes the time of the migration. For the downgrade also: the
    upgrade already lost the value; the downgrade does nothing, which for a data migration means that older code works
    with the new values.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace

from app.gate.checks.base import Check, CheckSkipped, Finding
from app.gate.checks.support.downgrades import find_omission
from app.gate.checks.support.inheritance import parents_left
from app.gate.checks.support.schema import Schema, SchemaHistory
from app.gate.checks.support.script import execute, python, shortened
from app.gate.checks.support.statements import drops, mentions
from app.gate.checks.support.subjects import together
from app.gate.postgres.quoting import quote
from app.gate.recording.model import Evidence, Key, Loss, LossKind, Populated, Recording, Revision, RoundTrip
from app.gate.recording.names import shorten
from app.gate.report.verdict import Severity
from app.gate.wording import bulleted, counted, indented, listed


def examine(recording: Recording) -> Iterator[Finding]:
    if "populated" in recording.not_observed:
        raise CheckSkipped(f"no upgrade was tried over rows: {recording.not_observed['populated']}")
    revisions = {each.revision: each for each in recording.graph.revisions}
    schemas = SchemaHistory.of(recording)
    for trip in recording.trips:
        revision = revisions[trip.revision]
        if trip.populated is None or not revision.is_new:
            continue
        if up := [loss for loss in trip.populated.lost_upwards if not _is_detached(trip, loss)]:
            yield _upwards(revision, trip, up, schemas.before(trip.revision))
        if (lost := _only_downwards(trip.populated)) and not _does_nothing_down(revision, trip):
            yield _downwards(revision, lost)


def _only_downwards(populated: Populated) -> list[Loss]:
    """Without what the upgrade had already lost."""
    gone = {(loss.table, loss.column) for loss in populated.lost_upwards}
    return [
        loss
        for loss in populated.lost_downwards
        if (loss.table, loss.column) not in gone and (loss.table, None) not in gone
    ]


def _is_detached(trip: RoundTrip, loss: Loss) -> bool:
    """Whether the rows that a table has lost are those of a partition or a child, which is a table by itself now."""
    if trip.up is None or loss.kind is not LossKind.ROWS_DELETED:
        return False
    has_left = any(loss.table in parents_left(change) for change in trip.up.changes)
    return has_left and not any(_DELETES.search(statement.sql) for statement in trip.up.statements)


_DELETES = re.compile(r"\b(?:DELETE|TRUNCATE|MERGE)\b", re.IGNORECASE)


def _does_nothing_down(revision: Revision, trip: RoundTrip) -> bool:
    return find_omission(revision, trip) is not None or (trip.down is not None and not trip.down.statements)


def _clauses(clauses: Sequence[str]) -> str:
    """`drops column a, with the values in it; and deletes rows of b`."""
    return "; and ".join(filter(None, ["; ".join(clauses[:-1]), clauses[-1]]))


def _upwards(revision: Revision, trip: RoundTrip, losses: Sequence[Loss], schema: Schema) -> Finding:
    losses = [_as_dropped(trip, loss) for loss in losses]
    by_kind = _by_kind(losses)
    clauses = [_clause(trip, what, some) for what, some in by_kind.items()]
    return Finding(
        f"{revision.revision} {_clauses(clauses)}.",
        f"upgrade {_subject(losses)}",
        revision=revision.revision,
        object=_object(losses),
        detail=bulleted(map(_example, losses)),
        help=_help(revision, by_kind, schema),
        line=_line(trip, losses[0]),
    )


def _as_dropped(trip: RoundTrip, loss: Loss) -> Loss:
    """A column that is dropped and added again alike has NULL where it had values: what happened is that it went."""
    column = re.escape(loss.column or "")
    sought = re.compile(rf'\bDROP\s+(?:COLUMN\s+)?(?:IF\s+EXISTS\s+)?"?{column}"?(?!\w)', re.IGNORECASE)
    is_dropped = loss.kind is LossKind.VALUES_REMOVED and any(
        sought.search(statement.sql) and mentions(statement, loss.table.rpartition(".")[2])
        for statement in (trip.up.statements if trip.up is not None else ())
    )
    return replace(loss, kind=LossKind.COLUMN_DROPPED) if is_dropped else loss


def _clause(trip: RoundTrip, kind: LossKind, losses: Sequence[Loss]) -> str:
    """What happens to the tables or columns, to follow the revision's name."""
    statements = trip.up.statements if trip.up is not None else ()
    labels = [loss.table.rpartition(".")[2] for loss in losses]
    if kind is LossKind.ROWS_DELETED and all(any(drops(each, label) for each in statements) for label in labels):
        return f"drops {_names(losses)} and creates {'them' if len(losses) > 1 else 'it'} again, without the rows"
    return _WORDS[kind](_names(losses), len(losses) > 1)


def _downwards(revision: Revision, losses: Sequence[Loss]) -> Finding:
    rows = [loss for loss in losses if loss.column is None]
    values = [loss for loss in losses if loss.column is not None]
    clauses = [f"rows of {_names(rows)} are missing"] if rows else []
    if values:
        clauses.append(f"{_names(values)} {'has' if len(values) == 1 else 'have'} other values than before")
    return Finding(
        f"After {revision.revision} and its downgrade, {_clauses(clauses)}.",
        f"downgrade {_subject(losses)}",
        revision=revision.revision,
        object=_object(losses),
        detail=bulleted(map(_example, losses)),
        help="Restore the values in the downgrade: have the upgrade keep what that needs, in a separate column or table.\n\n"
        + _ALLOW,
        direction="downgrade",
    )


def _by_kind(losses: Sequence[Loss]) -> dict[LossKind, list[Loss]]:
    kinds: dict[LossKind, list[Loss]] = {}
    for loss in losses:
        kinds.setdefault(loss.kind, []).append(loss)
    return kinds


def _subject(losses: Sequence[Loss]) -> str:
    return together(f"{loss.kind.replace(' ', '-')} {_name(loss)}" for loss in losses)


def _object(losses: Sequence[Loss]) -> str:
    """The column, if it is one, or the table, or the first of several."""
    columns = {(loss.table, loss.column) for loss in losses}
    column = losses[0].column if len(columns) == 1 else None
    return f"{losses[0].table}.{column}" if column else losses[0].table


def _name(loss: Loss) -> str:
    return shorten(loss.table) if loss.column is None else f"{shorten(loss.table)}.{loss.column}"


def _names(losses: Sequence[Loss]) -> str:
    return listed([_name(loss) for loss in losses])


# What happens to one or to several, to follow the revision's name.
_WORDS: dict[str, Callable[[str, bool], str]] = {
    LossKind.TABLE_DROPPED: lambda names, many: (
        f"drops the tables {names}, with the rows in them" if many else f"drops table {names}, with the rows in it"
    ),
    LossKind.ROWS_DELETED: lambda names, many: f"deletes rows of {names}",
    LossKind.COLUMN_DROPPED: lambda names, many: (
        f"drops the columns {names}, with the values in them"
        if many
        else f"drops column {names}, with the values in it"
    ),
    LossKind.VALUES_REMOVED: lambda names, many: (
        f"sets {names} to NULL where {'they have' if many else 'it has'} a value"
    ),
    LossKind.VALUES_TRUNCATED: lambda names, many: f"truncates texts in {names}",
    LossKind.HOSTS_CUT_OFF: lambda names, many: f"drops the host part of addresses in {names}",
    LossKind.VALUES_ROUNDED: lambda names, many: f"rounds values of {names}",
    LossKind.VALUES_MERGED: lambda names, many: f"makes different values of {names} equal",
    LossKind.VALUES_CHANGED: lambda names, many: f"changes values of {names}",
}


def _example(loss: Loss) -> str:
    """One of the values, before and after, and how many of the test rows are affected."""
    shown = f"{loss.old!r}" if loss.column else f"the row {loss.old}"
    outcome = "is gone" if loss.kind in _GONE else f"became {loss.new!r}" if loss.new is not None else "became NULL"
    return f"{_name(loss)}: {shown} {outcome} ({loss.count} of {counted(loss.total, 'test row')})"


_GONE = frozenset({LossKind.TABLE_DROPPED, LossKind.ROWS_DELETED, LossKind.COLUMN_DROPPED})


def _line(trip: RoundTrip, loss: Loss) -> int | None:
    """The line of the statement that names the table, and the column."""
    words = [loss.table.rpartition(".")[2], *([loss.column] if loss.column else [])]
    for statement in trip.up.statements if trip.up is not None else ():
        if all(word in statement.sql for word in words):
            return statement.line
    return None


_ALLOW = "If the values are not needed, say so in the script:\n\n    # overproof: allow data-loss: <why>"
_KEEP = "Keep a copy until it is certain that the values are not needed; the downgrade needs it too:"
_ADVICE = {
    LossKind.VALUES_ROUNDED: "Choose a type that holds them (numeric with as many decimals, timestamptz(6)), or keep the old values in another column.",
    LossKind.HOSTS_CUT_OFF: "Keep the type inet, which holds an address with its network; cidr holds the network only.",
    LossKind.VALUES_TRUNCATED: "Find the longest text (SELECT max(length(…))), and choose a length that holds it.",
    LossKind.VALUES_CHANGED: "Name the time zone, so that the result does not depend on the session: USING … AT TIME ZONE 'UTC'.",
    LossKind.VALUES_MERGED: "Write the new values into a new column, and drop the old one in a later release.",
    LossKind.VALUES_REMOVED: "Leave the old values where they are until a later release.",
}


def _help(revision: Revision, by_kind: Mapping[LossKind, Sequence[Loss]], schema: Schema) -> str:
    gone = [loss for kind in by_kind if kind in _GONE for loss in by_kind[kind]]
    code = "\n".join(_copies(revision, gone, schema))
    parts = [f"{_KEEP}\n\n{indented(code)}"] if code else []
    parts += [_ADVICE[kind] for kind in by_kind if kind in _ADVICE]
    return "\n\n".join([*parts, _ALLOW])


def _copies(revision: Revision, losses: Sequence[Loss], schema: Schema) -> Iterator[str]:
    """Code that keeps a copy of what is dropped, a line for each table."""
    by_table: dict[str, list[Loss]] = {}
    for loss in losses:
        by_table.setdefault(loss.table, []).append(loss)
    for table, lost in list(by_table.items())[:5]:
        space, _, label = table.partition(".")
        kept = shortened(f"{label}_before_{revision.revision}", {key.name for key in schema.objects})
        if any(loss.kind == LossKind.TABLE_DROPPED for loss in lost):
            place = schema.named(Key("table", space, label)).schema
            yield from map(execute, _out_of_its_parents(table, schema))
            yield f"op.rename_table({python(label)}, {python(kept)}{f', schema={python(place)}' if place else ''})"
            continue
        names = [loss.column for loss in lost if loss.column is not None]
        is_of_columns = len(names) == len(lost)
        chosen = ", ".join(map(quote, dict.fromkeys([*lost[0].key, *names]))) if is_of_columns else "*"
        yield execute(f"CREATE TABLE {schema.sql(f'{space}.{kept}')} AS SELECT {chosen} FROM {schema.sql(table)}")


def _out_of_its_parents(table: str, schema: Schema) -> Iterator[str]:
    """The statements after which nothing reads the table as a part of another."""
    for parent in schema.parents(table):
        if schema.is_partitioned(parent):
            yield f"ALTER TABLE {schema.sql(parent)} DETACH PARTITION {schema.sql(table)}"
        else:
            yield f"ALTER TABLE {schema.sql(table)} NO INHERIT {schema.sql(parent)}"


CHECK = Check(
    id="data-loss", severity=Severity.WARNING, examine=examine, needs=frozenset({Evidence.LOCKS, Evidence.POPULATED})
)
