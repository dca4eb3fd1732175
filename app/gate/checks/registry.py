"""Every check, in the order in which a report lists them."""

from __future__ import annotations

from app.gate.checks import (
    blocking_index,
    blocking_scan,
    breaking_change,
    concurrent_upgrade,
    data_loss,
    graph_integrity,
    interrupted_upgrade,
    irreversible,
    lock_pileup,
    lock_timeout,
    merged_history,
    model_drift,
    not_validated,
    offline_sql,
    populated_upgrade,
    round_trip,
    schema_drift,
    single_head,
    table_rewrite,
    unregistered_models,
    upgrade,
)
from app.gate.checks.base import Check

ALL_CHECKS: tuple[Check, ...] = (
    single_head.CHECK,
    graph_integrity.CHECK,
    merged_history.CHECK,
    upgrade.CHECK,
    populated_upgrade.CHECK,
    round_trip.CHECK,
    irreversible.CHECK,
    data_loss.CHECK,
    model_drift.CHECK,
    schema_drift.CHECK,
    unregistered_models.CHECK,
    offline_sql.CHECK,
    concurrent_upgrade.CHECK,
    table_rewrite.CHECK,
    blocking_scan.CHECK,
    blocking_index.CHECK,
    lock_pileup.CHECK,
    lock_timeout.CHECK,
    breaking_change.CHECK,
    not_validated.CHECK,
    interrupted_upgrade.CHECK,
)
