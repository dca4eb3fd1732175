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
    A script of the history had put the rows there itself. Every value is found again: in another type, under another name, in another column or table. Different values stay different,
    whatever they are now called. A NULL got a value. A trigger wrote the time of the migration. On the way back, besides:
    the upgrade lost it already; the downgrade does nothing, which for a data migration means that the new values suit the older code.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence

from app.gate.checks.base import Check, CheckSkipped, Finding
from app.gate.checks.support import fix_code as remedy
from app.gate.checks.support.downgrades import find_omission
from app.gate.checks.support.subjects import together
from app.gate.recording.model import Evidence, Loss, LossKind, Populated, Recording, Revision, RoundTrip
from app.gate.recording.names import shorten
from app.gate.report.verdict import Severity
from app.gate.wording import bulleted, counted, indented, listed


def examine(recording: Recording) -> Iterator[Finding]:
    if "populated" in recording.not_observed:
        raise CheckSkipped(f"no rows were tried: {recording.not_observed['populated']}")
    revisions = {each.revision: each for each in recording.graph.revisions}
    for trip in recording.trips:
        revision = revisions[trip.revision]
        if trip.populated is None or not revision.is_new:
            continue
        if trip.populated.lost_upwards:
            yield _upwards(revision, trip, trip.populated.lost_upwards)
        if (lost := _only_downwards(trip.populated)) and not _does_nothing_down(revision, trip):
            yield _downwards(revision, lost)


def _only_downwards(populated: Populated) -> list[Loss]:
    """What the upgrade had not lost already."""
    gone = {(loss.table, loss.column) for loss in populated.lost_upwards}
    return [
        loss
        for loss in populated.lost_downwards
        if (loss.table, loss.column) not in gone and (loss.table, None) not in gone
    ]


def _does_nothing_down(revision: Revision, trip: RoundTrip) -> bool:
    return find_omission(revision, trip) is not None or (trip.down is not None and not trip.down.statements)


def _clauses(told: Sequence[str]) -> str:
    """`drops column a, with the values in it; and deletes rows of b`."""
    return "; and ".join(filter(None, ["; ".join(told[:-1]), told[-1]]))


def _upwards(revision: Revision, trip: RoundTrip, losses: Sequence[Loss]) -> Finding:
    by_kind = _by_kind(losses)
    told = [_WORDS[what](_names(some), len(some) > 1) for what, some in by_kind.items()]
    return Finding(
        f"{revision.revision} {_clauses(told)}.",
        f"upgrade {_subject(losses)}",
        revision=revision.revision,
        object=_object(losses),
        detail=bulleted(map(_example, losses)),
        help=_help(revision, by_kind),
        line=_line(trip, losses[0]),
    )


def _downwards(revision: Revision, losses: Sequence[Loss]) -> Finding:
    rows = [loss for loss in losses if loss.column is None]
    values = [loss for loss in losses if loss.column is not None]
    told = [f"rows of {_names(rows)} are gone that were there before it"] if rows else []
    if values:
        told.append(f"{_names(values)} {'is not what it was' if len(values) == 1 else 'are not what they were'}")
    return Finding(
        f"After {revision.revision} and its downgrade, {_clauses(told)}.",
        f"downgrade {_subject(losses)}",
        revision=revision.revision,
        object=_object(losses),
        detail=bulleted(map(_example, losses)),
        help="Let the downgrade bring the values back: keep in the upgrade what it needs for that, in a column or a table of its own.\n\n"
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


# What happens to one or to several, to go on after the revision's name.
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
    LossKind.VALUES_TRUNCATED: lambda names, many: f"cuts off texts in {names}",
    LossKind.HOSTS_CUT_OFF: lambda names, many: f"cuts the host's part off addresses in {names}",
    LossKind.VALUES_ROUNDED: lambda names, many: f"rounds values of {names}",
    LossKind.VALUES_MERGED: lambda names, many: f"makes different values of {names} the same",
    LossKind.VALUES_CHANGED: lambda names, many: f"changes values of {names}",
}


def _example(loss: Loss) -> str:
    """One of the values, before and after, and how many of the rows tried it befell."""
    shown = f"{loss.old!r}" if loss.column else f"the row {loss.old}"
    became = "is gone" if loss.kind in _GONE else f"became {loss.new!r}" if loss.new is not None else "became NULL"
    return f"{_name(loss)}: {shown} {became} ({loss.count} of {counted(loss.total, 'row')} tried)"


_GONE = frozenset({LossKind.TABLE_DROPPED, LossKind.ROWS_DELETED, LossKind.COLUMN_DROPPED})


def _line(trip: RoundTrip, loss: Loss) -> int | None:
    """The line of the statement that names the table, and the column."""
    words = [loss.table.rpartition(".")[2], *([loss.column] if loss.column else [])]
    for statement in trip.up.statements if trip.up is not None else ():
        if all(word in statement.sql for word in words):
            return statement.line
    return None


_ALLOW = "If nobody needs them, say so in the script:\n\n    # overproof: allow data-loss: <why>"
_KEEP = "Keep a copy until it is certain that nobody needs it, for the way back too:"
_ADVICE = {
    LossKind.VALUES_ROUNDED: "Choose a type that holds them (numeric with as many decimals, timestamptz(6)), or keep the old values in a column beside.",
    LossKind.HOSTS_CUT_OFF: "Keep the type inet, which holds an address together with its network; cidr holds the network alone.",
    LossKind.VALUES_TRUNCATED: "Find out how long the texts are (SELECT max(length(…))), and choose a length that holds them.",
    LossKind.VALUES_CHANGED: "Say which time zone is meant, so that the result does not depend on the session: USING … AT TIME ZONE 'UTC'.",
    LossKind.VALUES_MERGED: "Write the new values into a new column, and drop the old one in a later release.",
    LossKind.VALUES_REMOVED: "Leave the old values where they are until a later release.",
}


def _help(revision: Revision, by_kind: Mapping[LossKind, Sequence[Loss]]) -> str:
    code = "\n".join(_copies(revision, [loss for kind in by_kind if kind in _GONE for loss in by_kind[kind]]))
    parts = [f"{_KEEP}\n\n{indented(code)}"] if code else []
    parts += [_ADVICE[kind] for kind in by_kind if kind in _ADVICE]
    return "\n\n".join([*parts, _ALLOW])


def _copies(revision: Revision, losses: Sequence[Loss]) -> Iterator[str]:
    """Code that keeps a copy of what goes, a line for each table."""
    by_table: dict[str, list[Loss]] = {}
    for loss in losses:
        by_table.setdefault(loss.table, []).append(loss)
    for table, lost in list(by_table.items())[:5]:
        schema, _, label = table.partition(".")
        kept = f"{label}_before_{revision.revision}"[:63]
        if any(loss.kind == LossKind.TABLE_DROPPED for loss in lost):
            named = "" if schema == "public" else f", schema={remedy.python(schema)}"
            yield f"op.rename_table({remedy.python(label)}, {remedy.python(kept)}{named})"
            continue
        names = [loss.column for loss in lost if loss.column is not None]
        is_of_columns = len(names) == len(lost)
        chosen = ", ".join(map(remedy.quote, dict.fromkeys([*lost[0].key, *names]))) if is_of_columns else "*"
        sql = (
            f"CREATE TABLE {remedy.quote_table(f'{schema}.{kept}')} AS SELECT {chosen} FROM {remedy.quote_table(table)}"
        )
        yield f"op.execute({remedy.python(sql, is_sql=True)})"


CHECK = Check(
    id="data-loss", severity=Severity.WARNING, examine=examine, needs=frozenset({Evidence.LOCKS, Evidence.POPULATED})
)
