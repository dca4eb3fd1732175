"""Every check, in the order in which a report lists them."""

from __future__ import annotations

from app.gate.checks import (
    concurrent_upgrade,
    graph_integrity,
    irreversible,
    merged_history,
    model_drift,
    offline_sql,
    round_trip,
    schema_drift,
    single_head,
    unregistered_models,
    upgrade,
)
from app.gate.checks.base import Check

ALL_CHECKS: tuple[Check, ...] = (
    single_head.CHECK,
    graph_integrity.CHECK,
    merged_history.CHECK,
    upgrade.CHECK,
    round_trip.CHECK,
    irreversible.CHECK,
    model_drift.CHECK,
    schema_drift.CHECK,
    unregistered_models.CHECK,
    offline_sql.CHECK,
    concurrent_upgrade.CHECK,
)
