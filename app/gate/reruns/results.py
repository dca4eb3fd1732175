"""What the further runs found out about one walk."""

from __future__ import annotations

from dataclasses import dataclass, field

from app.gate.recording.model import AlternativePath, Change, Failure, Snapshot


@dataclass
class RerunResults:
    """What the attempts say of one walk."""

    models: Snapshot | None = None
    model_failure: Failure | None = None
    plain: AlternativePath | None = None
    offline: AlternativePath | None = None
    concurrent: AlternativePath | None = None
    nondeterministic: tuple[Change, ...] = ()  # between two runs of the command
    not_observed: dict[str, str] = field(default_factory=dict)
