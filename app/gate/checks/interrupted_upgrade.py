"""An upgrade that was killed half way cannot be run again.

Catches
    A revision that commits before its end, as an autocommit block does, and that fails when it is run again after it
    was killed between two of its statements. The gate kills it there, and runs it again.

Why it hurts
    A stopped deployment, a lost connection or a lock timeout leaves the first half behind, while Alembic still
    considers the revision as not applied. From then on every attempt fails in the first half, until the database is
    repaired by hand.

How to fix
    Put a statement that commits on its own into a separate revision, so that nothing can be interrupted between two
    statements; or make each statement repeatable. A cancelled index build leaves an INVALID index behind, hence the
    drop::

        with op.get_context().autocommit_block():
            op.drop_index("ix_orders_note", "orders", postgresql_concurrently=True, if_exists=True)
            op.create_index("ix_orders_note", "orders", ["note"], postgresql_concurrently=True)

Stays quiet when
    The revision is one transaction: PostgreSQL rolls all of it back. The revision is a single statement.
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
                f"{trip.revision} cannot be run again after it was killed half way: {failure_reason(interruption.failure)}.",
                f"fails {cause(interruption.failure)}",
                revision=trip.revision,
                detail=f"Killed after:\n{interruption.after}\n\nThe second run fails at:\n{interruption.failure.sql or '(no statement)'}",
                help="Put a statement that commits on its own into a separate revision, or make it repeatable: if_not_exists=True, if_exists=True, "
                "ADD VALUE IF NOT EXISTS; for an index, drop what a cancelled build left behind first.",
                line=interruption.line,
            )


CHECK = Check(
    id="interrupted-upgrade", severity=Severity.WARNING, examine=examine, needs=frozenset({Evidence.INTERRUPTIONS})
)
