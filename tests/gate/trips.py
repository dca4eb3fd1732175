"""Round trips as tests look at them."""

from __future__ import annotations

from dataclasses import dataclass

from app.gate.recording.model import Change, Failure, RoundTrip, Step


@dataclass(frozen=True)
class CompletedTrip:
    """A revision that went up, down and up again: none of the steps is missing, though each may have failed."""

    up: Step
    down: Step
    second_up: Step
    left_behind: tuple[Change, ...]
    second_up_differences: tuple[Change, ...]

    @property
    def steps(self) -> tuple[Step, Step, Step]:
        return self.up, self.down, self.second_up


def completed(trip: RoundTrip) -> CompletedTrip:
    """The trip, all steps of which were tried. Fails with what is missing."""
    assert trip.skipped_because is None, f"{trip.revision} was skipped: {trip.skipped_because}"
    assert trip.up is not None, f"{trip.revision} was not upgraded"
    assert trip.down is not None, f"{trip.revision} was not downgraded: {trip.up.failure}"
    assert trip.second_up is not None, f"{trip.revision} was not upgraded again: {trip.down.failure}"
    return CompletedTrip(trip.up, trip.down, trip.second_up, trip.left_behind, trip.second_up_differences)


def upgraded(trip: RoundTrip) -> Step:
    """The first upgrade of the trip. Fails if it was not tried."""
    assert trip.up is not None, f"{trip.revision} was not upgraded: {trip.skipped_because}"
    return trip.up


def downgraded(trip: RoundTrip) -> Step:
    """The downgrade of the trip. Fails if it was not tried."""
    assert trip.down is not None, f"{trip.revision} was not downgraded: {upgraded(trip).failure}"
    return trip.down


def failed(step: Step) -> Failure:
    """Why the step failed. Fails if it did not."""
    assert step.failure is not None, f"the {step.direction} of {step.revision} did not fail"
    return step.failure
