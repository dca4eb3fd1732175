"""What a shape is, and the list of all."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from app.gate.recording.model import Recording, RoundTrip

UPGRADE = ("-m", "alembic", "upgrade", "head")
Also = Callable[[Sequence[Recording]], object]


@dataclass(frozen=True)
class Shape:
    """A project on disk, how a user would name its upgrade command, and what the gate must see in it."""

    directory: Path
    command: tuple[str, ...]
    environment: Mapping[str, str] = field(default_factory=lambda: {"DATABASE_URL": "{url+psycopg2}"})
    culprit: str = "0003"  # the revision whose downgrade forgets `index`
    index: str = "public.book.ix_book_title"
    revisions: frozenset[str] = frozenset({"0001", "0002", "0003"})
    expected: frozenset[tuple[str, str]] = frozenset()  # further findings that are right: {("irreversible", "0002")}
    also: Also = lambda recordings: True  # what only this shape shows


Writer = Callable[[Path, str], Shape]  # the folder to write to, and the Python that has the project's packages
SHAPES: dict[str, Writer] = {}


def shape(writer: Writer) -> Writer:
    SHAPES[writer.__name__] = writer
    return writer


def trip(recordings: Sequence[Recording], revision: str) -> RoundTrip:
    return next(each for recording in recordings for each in recording.trips if each.revision == revision)


def tables(recordings: Sequence[Recording]) -> set[str]:
    """The tables at head: {"public.book", …}."""
    heads = [recording.head for recording in recordings if recording.head is not None]
    return {f"{key.schema}.{key.name}" for head in heads for key in head.objects if key.kind == "table"}
