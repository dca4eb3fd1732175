"""`--statements FILE`: the file, and what is to be said of statements that were not tried."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from app.gate.errors import UsageError
from app.gate.postgres.masking import is_single
from app.gate.recording.model import Recording
from app.gate.recording.recorded_statements import RecordedStatement, parse_statements
from app.gate.wording import counted


def read_statements(path: Path) -> tuple[RecordedStatement, ...]:
    """Raises UsageError."""
    try:
        statements = parse_statements(path.read_text("utf-8"))
    except OSError as error:
        raise UsageError(f"--statements: {path} cannot be read: {error.strerror}") from error
    except ValueError as error:  # of the decoder, too
        raise UsageError(
            f"--statements: {path} is no file of statements: {error}; overproof statements URL > {path} writes one"
        ) from error
    if not statements:
        raise UsageError(f"--statements: {path} has no statement in it")
    for each in statements:
        if not is_single(each.sql):
            raise UsageError(
                f"--statements: {path} has several statements in one record ({' '.join(each.sql.split())[:60]} …): begin each with a line"
                " -- overproof: statement"
            )
    return statements


def notes_on_statements(statements: Sequence[RecordedStatement], recordings: Sequence[Recording]) -> list[str]:
    """Which of the statements say nothing, and why."""
    if not statements:
        return []
    notes = dict.fromkeys(_notes(recordings))
    if not notes and all(each.recorded is None for each in recordings):
        notes["the statements of --statements were not tried: breaking-change is not selected"] = None
    return list(notes)


def _notes(recordings: Sequence[Recording]) -> Iterator[str]:
    for recording in recordings:
        if (reason := recording.not_observed.get("recorded")) is not None:
            yield f"the statements of --statements were not tried: {reason}"
        elif (recorded := recording.recorded) is not None and recorded.refused_before:
            yield (
                f"{counted(recorded.refused_before, 'statement')} of {recorded.count} in --statements: the schema of the base refuses"
                " them already, so they say nothing"
            )
