"""Single requests to the driver, and their answers as parts of a recording."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from app.gate.errors import CommandExited, StepTimedOut
from app.gate.recording.model import Direction, Failure, Statement, Step
from app.gate.target.session import Request


def step_request(revision: str, direction: str, is_observed: bool, stop_before: int | None = None) -> Request:
    """The request for one revision in one direction, as the driver's `do_step` describes it."""
    return {
        "do": "step",
        "revision": revision,
        "direction": direction,
        "observe": is_observed,
        "stop_before": stop_before,
    }


_PATIENCE_S = 15.0  # how long a cancelled step may take to say so
_CANNOT_HOLD = Step("", Direction.UPGRADE, 0.0)


def lost_step(revision: str, direction: str, lost: CommandExited | StepTimedOut) -> Step:
    """The step in the middle of which the command ended, or was ended."""
    if isinstance(lost, StepTimedOut):
        failure = Failure("Timeout", str(lost), revision=revision)
    else:
        failure = Failure("Gone", f"the command ended in the middle of the revision: {lost}", revision=revision)
    return Step(revision, Direction(direction), 0.0, transactional=False, failure=failure)


def is_void(step: Step) -> bool:
    """Whether the step did not take place, since the script wants to commit where it was to be held."""
    return step is _CANNOT_HOLD


def _statement(seen: Mapping[str, Any]) -> Statement:
    rewrites = tuple(sorted(seen.get("rewrites", ())))  # sorted, for PostgreSQL tells them in any order
    return Statement(
        sql=seen["sql"],
        duration_ms=round(seen["duration_ms"], 3),
        line=seen["line"],
        locks={table: frozenset(modes) for table, modes in sorted(seen.get("locks", {}).items())},
        rewrites=rewrites,
        scans=tuple(sorted(seen.get("scans", ()))),
        # A rewrite builds the table's indexes again: that is part of the rewrite, not a finding of its own.
        index_builds=tuple(table for table in sorted(seen.get("index_builds", ())) if table not in rewrites),
        written=dict(sorted(seen.get("written", {}).items())),
        transactional=seen["transactional"],
        lock_timeout_ms=seen.get("lock_timeout_ms"),
    )
