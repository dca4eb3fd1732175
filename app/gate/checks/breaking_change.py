"""Code of the previous release fails on the new schema, or cannot rely on what it relied on.

Catches
    With a base, what the previous release really does. Its code is checked out, the project's command is started
    with it, and from its models are compiled the statements that an ORM sends: SELECT of all mapped columns, INSERT
    of all and of the required ones, UPDATE of each column, DELETE, ON CONFLICT on each unique key, joins along
    relationships. A statement that PostgreSQL accepts on the schema of the base, and refuses on the new one, is a
    finding, with the class and PostgreSQL's words. So is a column of which the model would read another type, and
    a value that the revision writes and an enum of the model does not list, so that reading the row fails.

    Where no models can be asked (no base, a command that fails there, no models), and for what models do not name,
    what the catalog shows: A table, view, column, function, type, sequence, extension or schema that is dropped or
    renamed; a column whose type becomes narrower or different; a column that INSERTs must now provide (NOT NULL
    without a default), that is now generated, or no longer; a unique key that is dropped, which ON CONFLICT may
    name; a published table that is left without a replica identity, so that PostgreSQL refuses UPDATE and DELETE; a
    child that no longer inherits from its parent; a trigger that goes although no statement drops it; a label that
    is removed from an enum; a foreign key that no longer has its ON DELETE CASCADE or SET NULL, so that deletes fail; a
    trigger that raises an error, or a rule DO INSTEAD NOTHING, for each write; a materialized view left WITH NO DATA.

    With `--statements FILE`, a statement that was recorded in production and that only the new schema refuses.

    As a notice, what older code might mind: a new CHECK, unique constraint or foreign key on columns that it
    writes, NOT NULL on an older column or domain, a trigger or a rule for some rows, another action of a foreign key,
    a partition that is detached, a trigger that is dropped, a view or a function that is defined in another way,
    REPLICA IDENTITY FULL.

Why it hurts
    During a deployment, and after a rollback of the code, the previous release runs on the new schema. It selects the
    dropped column, inserts rows without the column that is now required, and fails until its last process has stopped.

How to fix
    Split the change over two releases: first make the code and the schema work with both forms, then remove the old
    one. Drop a column only after no running code uses it. Add a required column with a default, or make it nullable::

        op.add_column("orders", sa.Column("channel", sa.Text(), nullable=False, server_default="web"))

    If older code is known to be unaffected, say so::

        # overproof: allow breaking-change: no release has read this column since 4.2

Stays quiet when
    No model of the base names what goes, as one release after the code let go of it: the column may be dropped. A view
    or a trigger has the statements of the base's models accepted all the same. (Raw SQL in the code is not known.)

    The branch only adds columns that fill themselves and ordinary indexes, and no trigger, rule, policy or function
    could see them: then the base's code is not started.

    The same revision creates the table, or another one of the branch. The type only becomes wider (a longer varchar,
    integer to bigint), or has another name. A constraint involves a new column, is an older one under another name,
    was that of a partition's parent, or takes over a unique index. Another unique key has the same columns. A new
    unique key contains the columns of an older one. A CHECK had already proved NOT NULL. A new trigger fills the
    required column. A view replaces a table of the same name. A foreign key replaces one with the same actions.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence

from app.gate.checks.base import Check, Finding
from app.gate.checks.breaks.columns import column
from app.gate.checks.breaks.constraints import constraint, domain, domain_constraint
from app.gate.checks.breaks.names import enum, extension, named_type, schema, sequence
from app.gate.checks.breaks.proof import proved, shown
from app.gate.checks.breaks.recorded import recorded_statements
from app.gate.checks.breaks.refusals import rule
from app.gate.checks.breaks.replication import has_publications, tables_without_identity
from app.gate.checks.breaks.routines import function, trigger
from app.gate.checks.breaks.tables import exchanged, table
from app.gate.checks.breaks.upgrade import IN_TWO_RELEASES, Break, Upgrade, upgrades_of_branch
from app.gate.checks.breaks.values import unreadable_values
from app.gate.checks.support.statements import find_statement, sql_of
from app.gate.checks.support.subjects import named, together
from app.gate.recording.model import TABLE_KINDS, Change, Evidence, Key, Recording
from app.gate.recording.names import full_name, shorten, table_of
from app.gate.recording.running import RunningCode
from app.gate.report.verdict import Severity
from app.gate.wording import bulleted, counted, listed

_TABLES_ONE_BY_ONE = 3  # of one revision; more are one finding with a list
_LONGEST_LIST = 40


def examine(recording: Recording) -> Iterator[Finding]:
    publishes = has_publications(recording)
    for upgrade in upgrades_of_branch(recording):
        seen = [*_breaks(upgrade), *exchanged(upgrade), *(tables_without_identity(upgrade) if publishes else ())]
        found = [*proved(upgrade, seen), *unreadable_values(upgrade)]
        for severity in (Severity.WARNING, Severity.NOTICE):
            by_table: dict[str, list[Break]] = {}
            for each in found:
                if each.severity is severity:
                    by_table.setdefault(table_of(each.change.key), []).append(each)
            if len(by_table) > _TABLES_ONE_BY_ONE:
                yield _finding(upgrade, None, [each for table in sorted(by_table) for each in by_table[table]])
            else:
                yield from (_finding(upgrade, table, breaks) for table, breaks in sorted(by_table.items()))
        yield from recorded_statements(upgrade)


def _breaks(upgrade: Upgrade) -> Iterator[Break]:
    for change in upgrade.step.changes:
        if _is_part_of_another(upgrade, change):
            continue
        describe = _BY_KIND.get(change.key.kind)
        found = describe(upgrade, change) if describe is not None else None
        if found is not None:
            yield found


def _is_part_of_another(upgrade: Upgrade, change: Change) -> bool:
    """Whether older code does not know the object, or whether it goes with its table or schema, or is what the parents
    of its table have: that is reported."""
    key, table = change.key, table_of(change.key)
    if key in upgrade.new_in_branch and key.kind != "column":
        return True
    if key.table and (table in upgrade.unknown_tables or table in upgrade.dropped):
        return True
    if Key("schema", "", key.schema) in upgrade.schemas_gone and key.kind != "schema":
        return True
    return any(parent in upgrade.before_and_after for parent in upgrade.of_parents(key))


def _finding(upgrade: Upgrade, table: str | None, breaks: Sequence[Break]) -> Finding:
    """What happens to one table, or without `table` to many."""
    first, step = breaks[0], upgrade.step
    statement = find_statement(step, first.change)
    message = f"{first.words}." if len(breaks) == 1 else f"{_summary(table, breaks)}."
    return Finding(
        message[0].upper() + message[1:],
        together(f"{named(each.change.key)} {_outcome(each.change)}" for each in breaks),
        revision=step.revision,
        object=full_name(first.change.key) if len(breaks) == 1 else table,
        detail=_list(breaks) if len(breaks) > 1 else _evidence(first) or (sql_of(statement) if statement else None),
        help=f"{_with_basis(_advice(breaks), upgrade, breaks)}\n\n    # overproof: allow breaking-change: <why>",
        line=statement.line if statement else None,
        severity=None if first.severity is Severity.WARNING else first.severity,
    )


def _evidence(found: Break) -> str | None:
    """The statement that is refused."""
    return None if found.refusal is None else shown(found.refusal)


def _with_basis(advice: str, upgrade: Upgrade, breaks: Sequence[Break]) -> str:
    """The advice, and after it, in a paragraph of its own if it ends with code, what the finding rests on."""
    between = "\n\n" if advice.rpartition("\n")[2].startswith("    ") else " "
    return f"{advice}{between}{_basis(upgrade, breaks)}"


def _basis(upgrade: Upgrade, breaks: Sequence[Break]) -> str:
    """What the finding rests on, and what to do if that is not so."""
    recording = upgrade.recording
    if any(each.refusal for each in breaks):
        return f"{_order(recording.running)}If that code does not run any more, say so in the script:"
    reason = recording.not_observed.get("running") or (
        None if recording.base else "there is no base to load models from"
    )
    reason = None if recording.running is not None else reason
    guess = f"It is a guess by the schema alone, since {reason}. " if reason else ""
    return f"{guess}If no running code is affected, say so in the script:"


def _order(running: RunningCode | None) -> str:
    """Whether it helps to start the branch's code before the upgrade."""
    if running is None or running.too_early is None:
        return ""
    if not running.too_early:
        return (
            "The models of this branch work on the schema before it: if their code runs everywhere before the upgrade,"
            " only a return to the code before them fails. "
        )
    first = running.too_early[0]
    what = f"{first.action} of {first.model or shorten(first.table)}"
    return f"To start the code of this branch first does not help: on the schema before it, {what} fails. "


def _summary(table: str | None, breaks: Sequence[Break]) -> str:
    verb = "breaks" if breaks[0].severity is Severity.WARNING else "may break"
    if table is None:
        tables = list(dict.fromkeys(shorten(table_of(each.change.key)) for each in breaks))
        return f"Code of the previous release {verb} on {counted(len(tables), 'object')}: {listed(tables)}"
    ways = listed([each.words.partition(": ")[0] for each in breaks])
    return f"Code of the previous release {verb} on {shorten(table)} in {len(breaks)} ways: {ways}"


def _list(breaks: Sequence[Break]) -> str:
    return bulleted((each.words for each in breaks), _LONGEST_LIST)


def _outcome(change: Change) -> str:
    return "added" if change.before is None else "gone" if change.after is None else "altered"


def _advice(breaks: Sequence[Break]) -> str:
    """That of the breaks, if it is one; else in general, and what there is code for."""
    advice = list(dict.fromkeys(each.advice for each in breaks))
    return (
        advice[0]
        if len(advice) == 1
        else "\n\n".join([IN_TWO_RELEASES, *(each for each in advice if "\n    " in each)])
    )


# What breaks, by kind of object.
_BY_KIND: Mapping[str, Callable[[Upgrade, Change], Break | None]] = {
    **dict.fromkeys(TABLE_KINDS, table),
    "column": column,
    "constraint": constraint,
    "index": constraint,
    "domain constraint": domain_constraint,
    "enum": enum,
    "domain": domain,
    **dict.fromkeys(("composite type", "range type", "base type"), named_type),
    "sequence": sequence,
    "extension": extension,
    "schema": schema,
    **dict.fromkeys(("function", "procedure", "aggregate"), function),
    "trigger": trigger,
    "rule": rule,
}

CHECK = Check(
    id="breaking-change",
    severity=Severity.WARNING,
    examine=examine,
    needs=frozenset({Evidence.LOCKS, Evidence.RUNNING}),
)
