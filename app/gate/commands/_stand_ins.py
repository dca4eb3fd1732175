"""What a report says of the stand-ins for extensions that a history used."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from app.gate.recording.model import Recording


def notes_on_stand_ins(stand_ins: Mapping[str, str], recordings: Sequence[Recording]) -> Iterator[str]:
    """One sentence for each extension that was used, by the server's stand-ins and what they differ in."""
    for name in sorted(stand_ins.keys() & _extensions(recordings)):
        yield (
            f"{name} is a stand-in, as the packaged PostgreSQL has none: {stand_ins[name]}."
            " --database-url names a server that has the extension."
        )


def _extensions(recordings: Sequence[Recording]) -> set[str]:
    """The extensions that a history finds or creates, also those that it drops later."""
    found: set[str] = set()
    for recording in recordings:
        for snapshot in (recording.start, recording.head):
            found.update(key.name for key in (snapshot.objects if snapshot else ()) if key.kind == "extension")
        for step in (trip.up for trip in recording.trips if trip.up is not None):
            found.update(change.key.name for change in step.changes if change.key.kind == "extension")
    return found
