"""An upgrade as a recording has it, made of statements that a test has run."""

from __future__ import annotations

from collections.abc import Iterable

from app.gate.recording.model import Direction, Snapshot, Statement, Step
from app.gate.snapshot.incremental import difference_between, read_all, renames_between
from tests.gate.lines import Bench


def schema_of(bench: Bench) -> Snapshot:
    return read_all(lambda statements: bench.line.ask(*reversed(statements)))


def step(statements: Iterable[str], before: Snapshot, after: Snapshot) -> Step:
    """An upgrade by those statements."""
    return Step(
        "a",
        Direction.UPGRADE,
        1.0,
        statements=tuple(Statement(each, 1.0) for each in statements),
        changes=difference_between(before, after),
        renamed=renames_between(before, after),
    )
