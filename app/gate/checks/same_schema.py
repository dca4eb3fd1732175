"""The history ends in another schema, or with other rows, than the history that it replaces.

Catches
    With `--same-schema-as REF`, as after a squash: what differs between a database that the revisions of REF have made,
    with the code of REF, and one that the revisions here make. Objects are compared in `pg_catalog` by their meaning;
    rows are those that the migrations themselves put in, in any order. And a database at the heads of REF that is
    marked as being at the heads here, but then fails to upgrade or is changed by it.

Why it hurts
    Production keeps the schema of the old history, and new databases, those of the tests among them, get that of the
    new one. What differs is found when a later revision fails in production alone, or code does.

How to fix
    Bring the new history up to the old one: what the old one has and the new one lacks was often written by hand, such
    as a trigger, a partial index, a default, a row of a lookup table. Autogenerate and a comparison of models do not
    see it.

    If the two are the same but for their revisions, mark each database that is at the old head, once and with the new
    code::

        alembic stamp --purge 9f3c1a

    A database that is older has to be upgraded by the old code first.

Stays quiet when
    Only values differ that no two runs of either history have in common, such as `now()` or a random UUID. The columns
    of a table are in another order. `--same-schema-as` is not given.
"""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Sequence

from app.gate.checks.base import Check, CheckSkipped, Finding
from app.gate.checks.support.failures import failure_detail
from app.gate.checks.support.naming import failure_reason, noun, principal
from app.gate.checks.support.subjects import cause, changed
from app.gate.recording.model import Change, Evidence, Recording
from app.gate.recording.names import full_name, shorten
from app.gate.recording.other_history import OtherHistory, SeedDifference
from app.gate.report.verdict import Severity
from app.gate.snapshot.describe import describe
from app.gate.wording import bulleted, counted, indented, listed


def examine(recording: Recording) -> Iterator[Finding]:
    other = recording.other_history
    if other is None:
        raise CheckSkipped(
            recording.not_observed.get(
                "other_history", "there is no history to compare with; --same-schema-as names one"
            )
        )
    yield from _schema_findings(other)
    yield from (_of_rows(other, each) for each in other.seeds)
    yield from _after_stamp(other)
    if not (other.differences or other.seeds):
        if other.heads_there != other.heads_here:
            yield _how_to_stamp(other)
        elif other.gone:
            yield _nothing_to_stamp(other)


def _schema_findings(other: OtherHistory) -> Iterator[Finding]:
    if differences := principal(other.differences):
        yield _of_schema(
            f"The revisions here make another schema than those of {other.ref}: {_named(differences)}.",
            "schema",
            differences,
            Severity.ERROR,
        )
    if names := principal(other.only_names):
        yield _of_schema(
            f"What PostgreSQL named itself has another name here than with the revisions of {other.ref}: {_named(names)}. A later"
            " revision that uses such a name fails on one of the two.",
            "names",
            names,
            Severity.WARNING,
        )


def _of_schema(message: str, subject: str, differences: Sequence[Change], severity: Severity) -> Finding:
    return Finding(
        message,
        f"{subject} {changed(differences)}",
        object=full_name(differences[0].key),
        detail=bulleted(f"{describe(each)}" for each in differences),
        help="What is gone is missing in the revisions here; what is new, they have in addition.",
        severity=severity,
    )


def _named(differences: Sequence[Change]) -> str:
    return listed([noun(change) for change in differences], limit=2)


def _of_rows(other: OtherHistory, each: SeedDifference) -> Finding:
    table = shorten(each.table)
    counts = f"{counted(each.count_there, 'row')} there, {each.count_here} here"
    if each.columns:
        which = f"the rows are the same but for {listed(list(each.columns))}"
        if each.is_numbering:
            which += ", which a sequence numbers"
    else:
        which = counts
    return Finding(
        f"The revisions here put other rows into {table} than those of {other.ref}: {which}.",
        f"rows {table}",
        object=each.table,
        detail=bulleted(
            [*(f"only there: {row}" for row in each.only_there), *(f"only here: {row}" for row in each.only_here)]
        )
        or counts,
        help="Production has the rows of there. Code and foreign keys that name a row by such a number find another one here."
        if each.is_numbering
        else "Production has the rows of there: put the same ones in here.",
        severity=Severity.WARNING if each.is_numbering else Severity.ERROR,
    )


def _after_stamp(other: OtherHistory) -> Iterator[Finding]:
    heads = listed(list(other.heads_here))
    if failure := other.failure_after_stamp:
        yield Finding(
            f"A database of {other.ref} that is stamped with {heads} cannot be upgraded by the command here: {failure_reason(failure)}.",
            f"stamped fails {cause(failure)}",
            detail=failure_detail(failure),
            help="Compare the two histories, and how the command here finds out what is to be done.",
        )
    elif differences := principal(other.changes_after_stamp):
        yield Finding(
            f"A database of {other.ref} that is stamped with {heads} is changed all the same by the command here: {_named(differences)}.",
            f"stamped changes {changed(differences)}",
            object=full_name(differences[0].key),
            detail=bulleted(map(describe, differences)),
            help="Have the command run Alembic alone, and Alembic run nothing at head.",
        )


def _how_to_stamp(other: OtherHistory) -> Finding:
    before = listed(list(other.heads_there))
    stamp = f"alembic stamp --purge {shlex.join(other.heads_here)}"
    return Finding(
        f"The revisions here end where those of {other.ref} do, under another id: mark each database that is at {before} once, with the"
        f" code here, by `{stamp}`.{_left_out(other)}",
        f"stamp {' '.join(other.heads_here)}",
        help=f"{_older_databases(other)} Then:\n\n{indented(stamp)}",
        severity=Severity.NOTICE,
    )


def _nothing_to_stamp(other: OtherHistory) -> Finding:
    return Finding(
        f"The revisions here end where those of {other.ref} do, under the same id: a database that is there needs nothing, and one at"
        f" {_either(other.gone)} cannot be upgraded any more.{_left_out(other)}",
        f"gone {' '.join(other.heads_here)}",
        help=_older_databases(other),
        severity=Severity.NOTICE,
    )


def _older_databases(other: OtherHistory) -> str:
    return f"Upgrade each database to {listed(list(other.heads_there))} with the code of {other.ref} first."


def _either(revisions: Sequence[str]) -> str:
    return " or ".join(revisions) if len(revisions) < 4 else f"one of the {len(revisions)} revisions that are gone"


def _left_out(other: OtherHistory) -> str:
    columns = listed(list(other.varying), 10)
    return f" Not compared, since they differ from run to run: {columns}." if columns else ""


CHECK = Check(id="same-schema", severity=Severity.ERROR, examine=examine, needs=frozenset({Evidence.OTHER_HISTORY}))
