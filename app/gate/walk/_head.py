"""What is observed at the end of the plan: the schema, and the models next to it."""

from __future__ import annotations

from collections.abc import Callable

from app.gate.recording.model import Evidence, Snapshot, UnregisteredModel
from app.gate.walk.changed import concerned_tables
from app.gate.walk.client import DriverClient
from app.gate.walk.state import NEEDS_HEAD, Walk
from app.gate.walk.unchanged import find_unchanged


def observe_head(
    walk: Walk, client: DriverClient, schema: Snapshot, on_head: Callable[[Walk], None] = lambda walk: None
) -> None:
    """Note the schema, call `on_head`, and compare the models with it. Of the walk's steps, it looks at failures."""
    reason = _why_head_is_unknown(walk)
    if reason is not None:
        walk.not_observed.update(dict.fromkeys(NEEDS_HEAD, reason))
    else:
        walk.head = walk.arrival.without_version_table(schema)
        if walk.arrival.has_metadata and Evidence.MODELS in walk.evidence:
            walk.creation = client.creation()
        on_head(walk)
        if walk.arrival.has_metadata:
            _compare_with_models(walk, client, schema)
    if not walk.arrival.is_transactional:
        walk.not_observed["populated"] = (
            "env.py's connection commits each statement on its own, so rows could not be rolled back"
        )
    if not walk.arrival.has_metadata:
        for part in ("drift", "models", "unregistered"):
            walk.not_observed[part] = "env.py passes no target_metadata, so Alembic knows no models"
        return
    walk.hidden += client.hidden_tables()
    if Evidence.UNREGISTERED in walk.evidence:
        walk.unregistered = _find_unregistered(client)


def _why_head_is_unknown(walk: Walk) -> str | None:
    failed = [name for name, trip in walk.trips.items() if trip.up is not None and trip.up.failure is not None]
    if failed:
        return f"revision {failed[0]} does not apply, so head was not reached"
    if not walk.plan and walk.arrival.graph.problems:
        return "Alembic cannot read the history"
    return None


def _compare_with_models(walk: Walk, client: DriverClient, schema: Snapshot) -> None:
    if Evidence.DRIFT in walk.evidence:
        unchanged = walk.unchanged
        if unchanged.known is not None and walk.start is not None:
            unchanged.tables = find_unchanged(unchanged.known, unchanged.models, walk.start, schema)
        walk.note_drift(client.drift(unchanged.tables))


def observe_model_statements(walk: Walk, client: DriverClient) -> None:
    """Note what an ORM sends for the models of the tables that all steps of the walk have changed."""
    base = walk.arrival.base
    is_wanted = walk.arrival.has_metadata and walk.head is not None and Evidence.RUNNING in walk.evidence
    if is_wanted and base is not None and base.is_start and not walk.is_drift_stale:
        tables = concerned_tables(walk)
        walk.models = client.model_statements(tables) if tables is None or tables else None


def _find_unregistered(client: DriverClient) -> tuple[UnregisteredModel, ...]:
    return tuple(UnregisteredModel(**each) for each in client.unregistered_models())
