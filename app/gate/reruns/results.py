"""What the reruns found out about one walk."""

from __future__ import annotations

from dataclasses import dataclass, field

from app.gate.recording.model import AlternativePath, Change, Failure, Snapshot
from app.gate.recording.other_history import OtherHistory
from app.gate.recording.running import RecordedStatements, RunningCode


@dataclass
class RerunResults:
    """What the reruns found out, and why they did not find out the rest. See `Recording` for the fields."""

    models: Snapshot | None = None
    model_failure: Failure | None = None
    whole_command: AlternativePath | None = None
    offline: AlternativePath | None = None
    concurrent: AlternativePath | None = None
    running: RunningCode | None = None
    recorded: RecordedStatements | None = None
    other_history: OtherHistory | None = None
    nondeterministic: tuple[Change, ...] = ()  # what differs between two runs of the command
    not_observed: dict[str, str] = field(default_factory=dict)
