"""A revision that cannot be undone.

Catches
    An upgrade that changes the schema, with a downgrade that is missing, empty, or raises an exception on purpose.

Why it hurts
    When a deployment goes wrong, the downgrade stops here: an older release needs the older schema. An empty downgrade
    is the worst of the three: `alembic downgrade` reports success, the database says that it is at the older revision,
    and the next upgrade fails on what still exists.

How to fix
    Write the downgrade: undo the steps of the upgrade in reverse order::

        def upgrade() -> None:
            op.add_column("orders", sa.Column("note", sa.Text()))

        def downgrade() -> None:
            op.drop_column("orders", "note")

    If a downgrade is impossible, say so, and accept the finding in the script::

        # overproof: allow irreversible: the old values are gone for good
        def downgrade() -> None:
            raise NotImplementedError("the old values are gone for good")

Stays quiet when
    The revision does nothing, such as a merge. It only changes rows, and its downgrade is empty: older code works with
    the new values. It only creates an extension, which may have existed before, or it only validates constraints, and
    its downgrade is empty. A downgrade that refuses and says why is a notice.
"""

from __future__ import annotations

from collections.abc import Iterator

from app.gate.checks.base import Check, Finding
from app.gate.checks.support import fix_code
from app.gate.checks.support.downgrades import Omission, find_omission
from app.gate.checks.support.naming import noun, principal
from app.gate.checks.support.schema import Schema, SchemaHistory
from app.gate.recording.model import Recording, Revision, RoundTrip
from app.gate.report.verdict import Severity
from app.gate.snapshot.describe import describe
from app.gate.wording import bulleted, counted, first_line, indented, listed


def examine(recording: Recording) -> Iterator[Finding]:
    omissions: list[tuple[Revision, RoundTrip, Omission]] = []
    undoable = 0
    for trip in recording.trips:
        revision = recording.get_revision(trip.revision)
        omission = find_omission(revision, trip)
        if omission is not None:
            omissions.append((revision, trip, omission))
        elif trip.up is not None and trip.up.changes:
            undoable += 1
    if not undoable and len(omissions) >= 3:
        # Some projects never downgrade, by decision. Reported once, it can also be accepted once.
        yield Finding(
            f"No revision of this history can be undone: none of the {counted(len(omissions), 'script')} that change something "
            "has a working downgrade.",
            "history",
            help=_ALLOW_ALL,
            is_of_all=True,
            severity=Severity.NOTICE if all(_is_explained(trip, omission) for _, trip, omission in omissions) else None,
        )
        return
    history = SchemaHistory.of(recording)
    for revision, trip, omission in omissions:
        yield _finding(revision, trip, omission, history)


def _finding(revision: Revision, trip: RoundTrip, omission: Omission, history: SchemaHistory) -> Finding:
    return Finding(
        f"{revision.revision} cannot be undone: {_reason(trip, omission)}.",
        f"downgrade {omission.value}",
        revision=revision.revision,
        detail=_left(trip),
        help=_ACCEPT
        if _is_explained(trip, omission)
        else f"{_help(revision, trip, history.after(revision.revision))}\n\n{_ACCEPT}",
        severity=Severity.NOTICE if _is_explained(trip, omission) else None,
        direction="upgrade" if omission is Omission.MISSING else "downgrade",
    )


def _reason(trip: RoundTrip, omission: Omission) -> str:
    if omission is Omission.MISSING:
        return "its script has no downgrade"
    if omission is Omission.REFUSED:
        said = _words_of_refusal(trip)
        return "its downgrade raises an exception on purpose" + (f" ({said})" if said else "")
    if trip.second_up is not None and trip.second_up.failure is not None:
        return f"its downgrade does nothing, and the next upgrade fails ({first_line(trip.second_up.failure.message)})"
    return f"its downgrade does nothing about {_made(trip)}"


def _words_of_refusal(trip: RoundTrip) -> str:
    return first_line(trip.down.failure.message) if trip.down is not None and trip.down.failure is not None else ""


def _is_explained(trip: RoundTrip, omission: Omission) -> bool:
    """Whether the downgrade refuses and says why: the author has thought about it."""
    return omission is Omission.REFUSED and bool(_words_of_refusal(trip))


def _made(trip: RoundTrip) -> str:
    changes = principal(trip.up.changes) if trip.up is not None else []
    return listed([noun(change) for change in changes], limit=2) or "the schema"


def _left(trip: RoundTrip) -> str | None:
    changes = principal(trip.up.changes) if trip.up is not None else []
    return f"What the upgrade does:\n{bulleted(map(describe, changes))}" if changes else None


def _help(revision: Revision, trip: RoundTrip, schema: Schema) -> str:
    """The downgrade, if it can be written from what is known."""
    changes = trip.up.changes if trip.up is not None else ()
    cleanup = fix_code.children_first(fix_code.reversed_changes(principal(changes)), changes)
    text = "Write a downgrade that undoes the steps of the upgrade in reverse order."
    if cleanup and all(fix_code.lines_for(change, schema) for change in cleanup):
        code = indented(f"def downgrade() -> None:\n{indented(fix_code.code(cleanup, 40, schema))}")
        text = f"A downgrade that restores the schema, in {revision.path}:\n\n{code}"
    return text


_ACCEPT = (
    "If a downgrade is not needed, say so in the script:\n\n    # overproof: allow irreversible: <why it is not needed>"
)


_ALLOW_ALL = (
    "If this project never downgrades, say so once, in the [overproof] section of its configuration:\n\n"
    "    ignore = irreversible"
)

CHECK = Check(id="irreversible", severity=Severity.WARNING, examine=examine)
