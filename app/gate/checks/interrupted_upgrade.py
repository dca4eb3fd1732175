"""An upgrade that was killed half way cannot be run again.

Catches
    A revision that commits before its end, as an autocommit block does, and that fails when it is run again after a kill between
    two of its statements. The gate kills it there, and runs it again.

Why it hurts
    A deployment that is stopped, a lost connection or a lock timeout leaves the first half behind, while Alembic still holds the
    revision to be missing. Every try from then on fails at the first half, until somebody repairs the database by hand.

How to fix
    Leave what commits by itself alone in its revision, so that there is nothing between two statements; or make each of them
    repeatable. An index that was cancelled half way is there and INVALID, hence the drop::

        with op.get_context().autocommit_block():
            op.drop_index("ix_orders_note", "orders", postgresql_concurrently=True, if_exists=True)
            op.create_index("ix_orders_note", "orders", ["note"], postgresql_concurrently=True)

Stays quiet when
    The revision is one transaction: a kill undoes all of it. Or when it is one statement.
"""

from __future__ import annotations

from collections.abc import Iterator

from app.gate.checks.base import Check, Finding
from app.gate.checks.support.naming import failure_reason
from app.gate.checks.support.subjects import cause
from app.gate.recording.model import Evidence, Recording
from app.gate.report.verdict import Severity


def examine(recording: Recording) -> Iterator[Finding]:
    for trip in recording.trips:
        for interruption in trip.interruptions:
            yield Finding(
                f"Killed half way, {trip.revision} cannot be run again: {failure_reason(interruption.failure)}.",
                f"fails {cause(interruption.failure)}",
                revision=trip.revision,
                detail=f"Killed after:\n{interruption.after}\n\nThen it fails at:\n{interruption.failure.sql or '(no statement)'}",
                help="Give what commits by itself a revision of its own, or make it repeatable: if_not_exists=True, if_exists=True, "
                "ADD VALUE IF NOT EXISTS; for an index, drop what a cancelled build left before building it.",
                line=interruption.line,
            )


CHECK = Check(
    id="interrupted-upgrade", severity=Severity.WARNING, examine=examine, needs=frozenset({Evidence.INTERRUPTIONS})
)
