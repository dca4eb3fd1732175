"""Which upgrades are tried over rows, and when."""

from __future__ import annotations

from app.gate.recording.model import Evidence, RoundTrip, Snapshot
from app.gate.rows.later_writes import may_refuse_writes
from app.gate.rows.touched import find_rows, touched_tables
from app.gate.rows.trial import RowsTrial
from app.gate.walk._cleanups import find_cleanups
from app.gate.walk.client import DriverClient
from app.gate.walk.state import Walk


def rows_trial(walk: Walk, trip: RoundTrip, before: Snapshot) -> RowsTrial | None:
    """The revision's upgrade over rows, if it does something with rows that were there before it."""
    arrival = walk.arrival
    if trip.up is None or not arrival.is_transactional or Evidence.POPULATED not in walk.evidence:
        return None
    touched = touched_tables(trip.up, before, trip.down) - {arrival.version_table}
    path = find_rows(arrival.paths[trip.revision], arrival.handshake["script_location"], trip.revision)
    if not touched and path is None:
        return None
    own_rows = path.read_text("utf-8", "replace") if path else None
    return RowsTrial(
        touched,
        trip.up.changes,
        own_rows,
        trip.up.renamed,
        # One that found rows in an empty database is about those that scripts have put there.
        statements=[each.sql for each in trip.up.statements if not any(each.written.values())],
        cleanups=lambda: find_cleanups(walk, trip.revision, touched),
        tries_next_inserts=may_refuse_writes(trip.up, before, trip.down),
    )


def postpone_rows(walk: Walk, client: DriverClient, trip: RoundTrip, before: Snapshot) -> None:
    """Have an upgrade tried over rows on another database, if that was not possible in the rollback-only transaction.

    The schema has to be as the upgrade leaves it.
    """
    if trip.populated is not None or trip.tables_without_rows:
        return
    trial = rows_trial(walk, trip, before)
    if trial is not None:
        client.begin_rollback_only()
        trial.look_ahead(client.rows)
        client.roll_back()
        walk.unpopulated[trip.revision] = trial
