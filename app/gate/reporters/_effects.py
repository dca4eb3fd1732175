"""What each new revision does to the database, whether or not anything is wrong with it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from app.gate.report.model import Report, RevisionEntry, StepEntry

REVISIONS_LIMIT = 20  # described one by one: those of a pull request, not of a whole history


def effects_of(report: Report) -> list[tuple[RevisionEntry, Mapping[str, Sequence[str]]]]:
    """The new revisions with their effects, {"changes": […], "locks on existing tables": […], …}."""
    new = [each for each in report.graph.revisions if each.new]
    if len(new) > REVISIONS_LIMIT:
        return []
    upgrades = first_upgrades(report)
    return [(each, _effects(upgrades[each.revision])) for each in new if each.revision in upgrades]


def first_upgrades(report: Report) -> Mapping[str, StepEntry]:
    """By revision. A command may upgrade one history several times."""
    upgrades: dict[str, StepEntry] = {}
    for step in report.steps:
        if step.direction == "upgrade":
            upgrades.setdefault(step.revision, step)
    return upgrades


def _effects(step: StepEntry) -> Mapping[str, Sequence[str]]:
    statements = step.statements
    return {
        "changes": step.changes,
        "locks on existing tables": list(
            dict.fromkeys(f"{lock['table']}: {lock['mode']}" for each in statements for lock in each.locks)
        ),
        "rewrites": list(dict.fromkeys(table for each in statements for table in each.rewrites)),
        "full scans": list(dict.fromkeys(table for each in statements for table in each.scans)),
    }
