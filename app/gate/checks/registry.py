"""Every check, in the order in which a report lists them."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

from app.gate.checks import (
    access_change,
    blocking_index,
    blocking_scan,
    breaking_change,
    bulk_update,
    concurrent_upgrade,
    data_loss,
    early_code,
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
    same_schema,
    schema_drift,
    single_head,
    table_rewrite,
    unindexed_foreign_key,
    unregistered_models,
    upgrade,
)
from app.gate.checks import allowance as allowances
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
    same_schema.CHECK,
    unregistered_models.CHECK,
    offline_sql.CHECK,
    concurrent_upgrade.CHECK,
    table_rewrite.CHECK,
    blocking_scan.CHECK,
    blocking_index.CHECK,
    lock_pileup.CHECK,
    lock_timeout.CHECK,
    bulk_update.CHECK,
    breaking_change.CHECK,
    early_code.CHECK,
    access_change.CHECK,
    not_validated.CHECK,
    unindexed_foreign_key.CHECK,
    interrupted_upgrade.CHECK,
)


# The comments that accept findings are judged after everything else, so their check is not among the others.
CHECKS: tuple[Check, ...] = (*ALL_CHECKS, allowances.CHECK)

# What endangers a deployment, and is over once it was deployed: not tried for revisions that are on the base already.
# A check that is not among them keeps a history alive.
HAZARDS = frozenset(
    {
        "access-change",
        "blocking-index",
        "blocking-scan",
        "breaking-change",
        "bulk-update",
        "data-loss",
        "early-code",
        "interrupted-upgrade",
        "lock-pileup",
        "lock-timeout",
        "populated-upgrade",
        "table-rewrite",
        "unindexed-foreign-key",
    }
)

# What only some projects have a use for: whether two upgrades may start together, and whether code is started before
# the upgrade, depends on how they are deployed; and a history is compared with another one where --same-schema-as names
# that.
ON_REQUEST = frozenset({"concurrent-upgrade", "early-code", "same-schema"})


class UnknownCheck(Exception):
    """No check has this name. One human-readable line, with the name that may have been meant."""

    def __init__(self, name: str, names: Iterable[str]) -> None:
        near = difflib.get_close_matches(name.lower().replace("_", "-"), list(names), n=1, cutoff=0.5)
        hint = f"did you mean {near[0]!r}?" if near else "`overproof explain` lists them all"
        super().__init__(f"there is no check called {name!r}: {hint}")
        self.suggestion = near[0] if near else None


def get_check(name: str, among: Iterable[Check] = CHECKS) -> Check:
    """The check of that id or retired id. Raises UnknownCheck."""
    checks = {each: check for check in among for each in (check.id, *check.aliases)}
    try:
        return checks[name]
    except KeyError:
        raise UnknownCheck(name, checks) from None
