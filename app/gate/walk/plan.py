"""What a recording is to hold, decided before anything runs."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from app.gate.history.repository import Commit
from app.gate.history.scripts import Script
from app.gate.recording.model import ALL_EVIDENCE, Evidence
from app.gate.recording.recorded_statements import RecordedStatement

if TYPE_CHECKING:
    from app.gate.walk.state import Walk


@dataclass(frozen=True)
class RecordingPlan:
    """What is to be recorded, and what is known already."""

    base_ref: str | None = None  # the Git ref from which the branch starts
    starts_at_base: bool = False  # whether the base's revisions are not walked: the branch adds others to them
    evidence: frozenset[Evidence] = ALL_EVIDENCE  # what is recorded beyond the walk
    scripts: Mapping[str, Script] = field(default_factory=dict)  # as they were read before, by their SHA-256
    statements: Sequence[RecordedStatement] = ()  # that production is sent
    same_schema_as: Commit | None = None  # whose history is to end like the project's
    is_cached: bool = False  # whether a base cache knows, or is to know, which tables are unchanged


WHOLE_RECORDING = RecordingPlan()  # of the whole history


@dataclass(frozen=True)
class Beside:
    """What there is beside a walk, at the same time."""

    jobs: int = 1  # how many may be at work on the walk itself
    may_be_cut: Callable[[], bool] = lambda: True  # whether they may; called once it is worth knowing
    # Called once it is known what is at head and creates the models.
    on_head: Callable[[Walk], None] = lambda walk: None


ALONE = Beside()
