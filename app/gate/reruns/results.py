"""What the further runs found out about one walk."""

from __future__ import annotations

from dataclasses import dataclass, field

from app.gate.recording.model import Attempt, Change, Failure, Snapshot


@dataclass
class Seen:
    """What the attempts say of one walk."""

    models: Snapshot | None = None
    model_failure: Failure | None = None
    plain: Attempt | None = None
    offline: Attempt | None = None
    concurrent: Attempt | None = None
    unsteady: tuple[Change, ...] = ()  # between two runs of the command
    missing: dict[str, str] = field(default_factory=dict)
