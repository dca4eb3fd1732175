"""Another history of the same schema, as before a squash: where it ends, compared with where this one ends."""

from __future__ import annotations

from dataclasses import dataclass

from app.gate.recording.failure import Failure
from app.gate.recording.objects import Change


@dataclass(frozen=True)
class SeedDifference:
    """A table in which the two histories leave other rows. A row is JSON, with its columns in alphabetical order."""

    table: str  # "public.orders"
    only_there: tuple[str, ...] = ()  # the first of them
    only_here: tuple[str, ...] = ()
    count_there: int = 0  # all rows of the table
    count_here: int = 0
    columns: tuple[str, ...] = ()  # the rows are alike but for these; () if that is not so
    is_numbering: bool = False  # these are numbers that a sequence gave


@dataclass(frozen=True)
class OtherHistory:
    """The history of another commit. `there` is in that one, `here` in the project's folder."""

    ref: str  # as the user named it: "origin/main"
    commit: str
    heads_there: tuple[str, ...] = ()
    heads_here: tuple[str, ...] = ()
    gone: tuple[str, ...] = ()  # revisions there that are not here
    differences: tuple[Change, ...] = ()  # from the schema there to the one here
    only_names: tuple[Change, ...] = ()  # those that differ in a name which PostgreSQL generated
    seeds: tuple[SeedDifference, ...] = ()
    varying: tuple[str, ...] = ()  # columns with other values in each run of either history: not compared
    # A database at the heads there that was marked as being at those here, and upgraded by the command here.
    failure_after_stamp: Failure | None = None
    changes_after_stamp: tuple[Change, ...] = ()
