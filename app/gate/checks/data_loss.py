"""An upgrade that destroys rows or values, or a downgrade that does not bring them back.

Catches
    On the way up: rows that are deleted or truncated; values that become NULL, are cut off or rounded; different values that become
    the same one; a time that becomes another instant as its column changes type; columns and tables dropped with values in them.
    On the way down: rows that were there before the upgrade and are gone, or not as they were, after up and down.

Why it hurts
    No downgrade brings values back that are nowhere any more; what is left is the last backup. Reviews see `drop_column`, but not
    the rounding in a change of type, and nobody runs a downgrade on a database with rows before the day on which it is needed.

How to fix
    Keep the values until it is certain that nobody wants them: drop the column in a later release than the code that used it, and keep
    a copy ::

        op.execute("CREATE TABLE orders_note AS SELECT id, note FROM orders WHERE note IS NOT NULL")
        op.drop_column("orders", "note")

    A downgrade then has something to bring back ::

        op.add_column("orders", sa.Column("note", sa.Text()))
        op.execute("UPDATE orders SET note = n.note FROM orders_note AS n WHERE n.id = orders.id")
        op.drop_table("orders_note")

    Where the values may go, say so ::

        # overproof: allow data-loss: nothing has written this column since 4.2

Stays quiet when
    Every value is found again: in another type, under another name, in another column or table. Different values stay different,
    whatever they are now called. A NULL got a value. A trigger wrote the time of the migration. On the way back, besides:
    the upgrade lost it already; the downgrade does nothing, which for a data migration means that the new values suit the older code.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from app.gate.checks import remedy
from app.gate.checks.base import Check, Finding
from app.gate.checks.downgrades import find_omission
from app.gate.checks.words import bulleted, counted, indented, listed, shorten
from app.gate.recording import Loss, Recording, Revision, Trip
from app.gate.report import Severity


def examine(recording: Recording) -> Iterator[Finding]:
    revisions = {each.revision: each for each in recording.graph.revisions}
    for trip in recording.trips:
        revision = revisions[trip.revision]
        if trip.populated is None or not revision.is_new:
            continue
        for losses in _by_table(trip.populated.lost_upwards):
            yield _upwards(revision, trip, losses)
        if not _does_nothing_down(revision, trip):
            for losses in _by_table(_only_downwards(trip)):
                yield _downwards(revision, trip, losses)


def _by_table(losses: Sequence[Loss]) -> list[list[Loss]]:
    tables: dict[str, list[Loss]] = {}
    for loss in losses:
        tables.setdefault(loss.table, []).append(loss)
    return list(tables.values())


def _only_downwards(trip: Trip) -> list[Loss]:
    """What the upgrade had not lost already."""
    if trip.populated is None:
        return []
    gone = {(loss.table, loss.column) for loss in trip.populated.lost_upwards}
    return [
        loss
        for loss in trip.populated.lost_downwards
        if (loss.table, loss.column) not in gone and (loss.table, None) not in gone
    ]


def _does_nothing_down(revision: Revision, trip: Trip) -> bool:
    return find_omission(revision, trip) is not None or (trip.down is not None and not trip.down.statements)


def _upwards(revision: Revision, trip: Trip, losses: Sequence[Loss]) -> Finding:
    first = losses[0]
    words = [_words(loss) for loss in losses]
    return Finding(
        f"{revision.revision} {listed(words, limit=2)}.",
        revision=revision.revision,
        object=_object(losses),
        detail=bulleted(map(_example, losses)),
        help=_help(revision, losses),
        line=_line(trip, first),
    )


def _downwards(revision: Revision, trip: Trip, losses: Sequence[Loss]) -> Finding:
    first = losses[0]
    name = shorten(first.table)
    if first.column is None:
        what = f"rows of {name} are gone that were there before it"
    else:
        what = f"{listed([f'{name}.{loss.column}' for loss in losses if loss.column])} {'is' if len(losses) == 1 else 'are'} not what it was"
        what = what.replace("are not what it was", "are not what they were")
    return Finding(
        f"After {revision.revision} and its downgrade, {what}.",
        revision=revision.revision,
        object=_object(losses),
        detail=bulleted(map(_example, losses)),
        help="Let the downgrade bring the values back: keep in the upgrade what it needs for that, in a column or a table of its own.\n\n"
        + _ALLOW,
        direction="downgrade",
    )


def _object(losses: Sequence[Loss]) -> str:
    columns = {loss.column for loss in losses}
    column = columns.pop() if len(columns) == 1 else None
    return f"{losses[0].table}.{column}" if column else losses[0].table


def _words(loss: Loss) -> str:
    """What happens, to go on after the revision's name."""
    table = shorten(loss.table)
    name = f"{table}.{loss.column}"
    return {
        "table dropped": f"drops table {table} with the rows in it",
        "rows deleted": f"deletes rows of {table}" if loss.count < loss.total else f"deletes every row of {table}",
        "column dropped": f"drops column {name} with the values in it",
        "values removed": f"sets {name} to NULL where it has a value",
        "values truncated": f"cuts off texts in {name}",
        "values rounded": f"rounds values of {name}",
        "values merged": f"makes different values of {name} the same",
        "values changed": f"changes values of {name}",
    }.get(loss.what, f"loses values of {name}")


def _example(loss: Loss) -> str:
    """One of the values, before and after, and how many of the rows tried it befell."""
    table = shorten(loss.table)
    where = table if loss.column is None else f"{table}.{loss.column}"
    what = "the row " if loss.column is None else ""
    shown = what + (f"{loss.old!r}" if loss.column else str(loss.old))
    became = "is gone" if loss.what in _GONE else f"became {loss.new!r}" if loss.new is not None else "became NULL"
    return f"{where}: {shown} {became} ({loss.count} of {counted(loss.total, 'row')} tried)"


_GONE = frozenset({"table dropped", "rows deleted", "column dropped"})


def _line(trip: Trip, loss: Loss) -> int | None:
    """The line of the statement that names the table, and the column."""
    words = [loss.table.rpartition(".")[2], *([loss.column] if loss.column else [])]
    for statement in trip.up.statements if trip.up is not None else ():
        if all(word in statement.sql for word in words):
            return statement.line
    return None


_ALLOW = "If nobody needs them, say so in the script:\n\n    # overproof: allow data-loss: <why>"
_KEEP = "Keep a copy until it is certain that nobody needs it, for the way back too:"
_ADVICE = {
    "values rounded": "Choose a type that holds them (numeric with as many decimals, timestamptz(6)), or keep the old values in a column beside.",
    "values truncated": "Find out how long the texts are (SELECT max(length(…))), and choose a length that holds them.",
    "values changed": "Say which time zone is meant, so that the result does not depend on the session: USING … AT TIME ZONE 'UTC'.",
    "values merged": "Write the new values into a new column, and drop the old one in a later release.",
    "values removed": "Leave the old values where they are until a later release.",
}


def _help(revision: Revision, losses: Sequence[Loss]) -> str:
    code = _copy(revision, losses)
    if code:
        return f"{_KEEP}\n\n{indented(code)}\n\n{_ALLOW}"
    advice = _ADVICE.get(losses[0].what, "Copy the rows to another place first.")
    return f"{advice}\n\n{_ALLOW}"


def _copy(revision: Revision, losses: Sequence[Loss]) -> str | None:
    table = losses[0].table
    schema, _, label = table.partition(".")
    copied = remedy.quote_table(f"{schema}.{label}_before_{revision.revision}"[:63])
    sql = remedy.quote_table(table)
    if losses[0].what == "table dropped":
        named = "" if schema == "public" else f", schema={remedy.python(schema)}"
        kept = f"{label}_before_{revision.revision}"[:63]
        return f"op.rename_table({remedy.python(label)}, {remedy.python(kept)}{named})"
    if losses[0].what == "rows deleted":
        return f"op.execute({remedy.python(f'CREATE TABLE {copied} AS SELECT * FROM {sql}', is_sql=True)})"
    dropped = [loss.column for loss in losses if loss.what == "column dropped" and loss.column]
    if not dropped:
        return None
    columns = ", ".join(map(remedy.quote, dict.fromkeys([*losses[0].key, *dropped])))
    return f"op.execute({remedy.python(f'CREATE TABLE {copied} AS SELECT {columns} FROM {sql}', is_sql=True)})"


CHECK = Check(id="data-loss", severity=Severity.WARNING, examine=examine)
