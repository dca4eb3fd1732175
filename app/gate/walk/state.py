"""What is known of one walk through one history: the facts with which it arrives, and its results as they grow."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from app.gate.postgres.statements import is_cluster_wide, is_literal
from app.gate.recording.model import (
    Definition,
    Divergence,
    Drift,
    Evidence,
    Failure,
    Graph,
    Key,
    Revision,
    RoundTrip,
    Snapshot,
    UnregisteredModel,
)
from app.gate.rows.trial import RowsTrial
from app.gate.snapshot.read import belongs, without
from app.gate.walk.unchanged import Models

if TYPE_CHECKING:
    from app.gate.driver.overproof_driver import protocol

NEEDS_HEAD = ("head", "models", "drift", "offline", "concurrent")  # parts of a recording that only a walk to head has


@dataclass(frozen=True)
class Arrival:
    """What is known once the command has reached Alembic, before the first step."""

    index: int  # which of the command's calls to Alembic it is
    handshake: protocol.Handshake
    graph: Graph
    plan: tuple[str, ...]  # the revisions to be applied, in their order
    current: tuple[str, ...]  # where the database is: with --base, at the base's revisions
    is_transactional: bool  # False where the connection commits each statement on its own
    has_metadata: bool
    is_stamp: bool  # the command only marks the database with a revision, as after tables were created by code
    stamped: tuple[str, ...]  # the revisions with which it does so
    base: Divergence | None
    paths: Mapping[str, Path]  # of the scripts, by revision
    locations: tuple[Path, ...] = ()  # the folders in which Alembic looks for scripts
    start_s: float = 0.0  # processor time that the command took to get here

    @cached_property
    def revisions(self) -> dict[str, Revision]:
        """The scripts by their revision."""
        return {each.revision: each for each in self.graph.revisions}

    @property
    def stamps_what_is_new(self) -> bool:
        """Whether the command marks a database as having revisions that only the branch has, and runs none of them."""
        return any(name in self.revisions and self.revisions[name].is_new for name in self.stamped)

    @property
    def history(self) -> tuple[Any, ...]:
        """What distinguishes one history from another: where its scripts are, and where its revision is kept."""
        handshake = self.handshake
        return (handshake["script_location"], handshake["version_table"], handshake["version_table_schema"])

    @property
    def adds_something(self) -> bool:
        """Whether a revision is not on the base."""
        return any(each.is_new for each in self.graph.revisions)

    @property
    def is_news(self) -> bool:
        """Whether there is something to walk or report. An application that upgrades again as it starts has nothing."""
        return not self.is_stamp and bool(self.plan or self.base or self.graph.problems)

    @property
    def version_table(self) -> str:
        """ "public.alembic_version" """
        return f"{self._version_schema}.{self.handshake['version_table']}"

    @property
    def _version_schema(self) -> str:
        return self.handshake["version_table_schema"] or "public"

    def is_of_version_table(self, key: Key, definition: Definition) -> bool:
        """Whether the object is the table in which Alembic keeps the revision, or belongs to it."""
        return belongs(key, definition, self._version_schema, self.handshake["version_table"])

    def without_version_table(self, snapshot: Snapshot) -> Snapshot:
        """The snapshot less the table in which Alembic keeps the revision."""
        return without(snapshot, self._version_schema, self.handshake["version_table"])


@dataclass
class Unchanged:
    """The tables that autogenerate need not compare with their models (see `unchanged.py`)."""

    known: Mapping[str, str] | None = None  # that were like their models at the base, and these models' fingerprints
    models: Models = field(default_factory=dict)  # as they are now
    tables: frozenset[str] = frozenset()
    refused: tuple[str, ...] = ()  # tables of which a filter of the project's left something out


@dataclass
class Walk:
    """The results of one walk."""

    arrival: Arrival
    evidence: frozenset[Evidence]  # what is recorded beyond the walk
    unchanged: Unchanged = field(default_factory=Unchanged)
    start: Snapshot | None = None
    trips: dict[str, RoundTrip] = field(default_factory=dict)
    applied: set[str] = field(default_factory=set)
    schema_digests: dict[str, tuple[str, str]] = field(default_factory=dict)  # revision -> before and after it
    blocked_by: dict[str, str] = field(default_factory=dict)  # skipped revision -> the one below it that failed
    refused: dict[str, Failure] = field(default_factory=dict)  # revision -> what it was refused past the driver
    unconfirmed: list[str] = field(default_factory=list)  # revisions whose second upgrade is to be tried with commits
    unpopulated: dict[str, RowsTrial] = field(default_factory=dict)  # revisions that are still to be tried over rows
    head: Snapshot | None = None
    is_continued: bool = False  # by a later walk through the same history
    creation: Sequence[str] | None = None  # SQL that creates the models' tables, if SQL is enough
    models: protocol.ModelStatementsAnswer | None = None  # what an ORM sends for them, of the changed tables
    drift: tuple[Drift, ...] | None = None
    is_drift_stale: bool = False  # a script has changed the models' metadata, in the process that was asked
    hidden: tuple[str, ...] = ()
    late: tuple[str, ...] = ()  # tables of models that the command loads once Alembic is done: "public.orders"
    unregistered: tuple[UnregisteredModel, ...] | None = None
    not_observed: dict[str, str] = field(default_factory=dict)  # part of the recording -> why
    _lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def index(self) -> int:
        """Which of the command's calls to Alembic it is."""
        return self.arrival.index

    @property
    def plan(self) -> tuple[str, ...]:
        """The revisions to be applied, in their order."""
        return self.arrival.plan

    @property
    def observes_statements(self) -> bool:
        """Whether the locks, rewrites and scans of statements are recorded."""
        return Evidence.LOCKS in self.evidence

    def changes_rows(self, revision: str) -> bool:
        """Whether its upgrade may change rows of older tables: a statement took the lock for that, or runs code, which
        may find no row to change as long as there is none. Then it is observed over rows, too."""
        up = self.trips[revision].up
        statements = up.statements if up is not None and self.observes_statements else ()
        return any(
            not is_literal(each.sql) or any("RowExclusiveLock" in modes for modes in each.locks.values())
            for each in statements
        )

    def blocker_of(self, revision: Revision) -> str | None:
        """The revision that failed below this one, if there is one."""
        for parent in (*revision.down_revisions, *revision.depends_on):
            if parent in self.trips and parent not in self.applied:
                return self.blocked_by.get(parent, parent)
        return None

    def skip(self, revision: str, blocker: str) -> None:
        """Note that the revision was not tried."""
        self.blocked_by[revision] = blocker
        self.trips[revision] = RoundTrip(revision, skipped_because=f"it comes after {blocker}, which does not apply")

    def note(self, revision: str, **changes: Any) -> None:
        """Add to that revision's trip. Safe for several threads that note different fields."""
        with self._lock:
            self.trips[revision] = replace(self.trips[revision], **changes)

    def note_drift(self, answer: protocol.Drift | Failure) -> None:
        """Note what autogenerate would still write, or that it failed."""
        if isinstance(answer, Failure):
            self.not_observed["drift"] = f"autogenerate failed: {answer.message}"
            return
        self.drift = tuple(Drift(each["operation"], each["object"], each["kind"]) for each in answer["operations"])
        self.hidden += tuple(answer["waived"])
        self.unchanged.refused = tuple(answer["refused"])
        self.is_drift_stale = answer["is_stale"]

    @property
    def changes_the_server(self) -> bool:
        """Whether a statement of an upgrade changes what all databases of the server share, judging by its text."""
        return any(map(is_cluster_wide, self._sent()))

    def _sent(self) -> Iterator[str]:
        """The statements of all upgrades, and those that failed."""
        for step in (trip.up for trip in self.trips.values() if trip.up is not None):
            yield from (statement.sql for statement in step.statements)
            failures = (step.failure, *step.swallowed, *step.refused)
            yield from (failure.sql for failure in failures if failure is not None and failure.sql is not None)

    def fork(self) -> Walk:
        """Another walk through the same plan that knows what this one does. Its results are put here by `join`, and by
        `join_head`."""
        return Walk(
            self.arrival,
            self.evidence,
            unchanged=self.unchanged,
            start=self.start,
            trips=dict(self.trips),
            applied=set(self.applied),
            blocked_by=dict(self.blocked_by),
            refused=dict(self.refused),
        )

    def join(self, fork: Walk, begin: int, end: int) -> None:
        """Add the results of a fork, for what the plan has from one index to another."""
        names = self.plan[begin:end]
        if begin == 0:
            self.start = fork.start
        self.applied |= fork.applied & set(names)
        self.unconfirmed += [name for name in fork.unconfirmed if name in names]
        of_fork: tuple[tuple[dict[str, Any], dict[str, Any]], ...] = (
            (self.trips, fork.trips),
            (self.schema_digests, fork.schema_digests),
            (self.blocked_by, fork.blocked_by),
            (self.refused, fork.refused),
            (self.unpopulated, fork.unpopulated),
        )
        for ours, theirs in of_fork:
            ours.update({name: theirs[name] for name in names if name in theirs})

    def join_head(self, fork: Walk) -> None:
        """Add what a fork observed at the end of the plan."""
        self.head, self.creation, self.unregistered = fork.head, fork.creation, fork.unregistered
        self.drift, self.is_drift_stale = fork.drift, fork.is_drift_stale
        self.hidden += fork.hidden
        self.not_observed |= fork.not_observed

    def index_after(self, revision: str) -> int:
        """Where in the plan the walk continues after that revision."""
        return self.plan.index(revision) + 1

    def get_head(self) -> Snapshot:
        """The schema at head. Raises LookupError if the walk did not get there."""
        if self.head is None:
            raise LookupError("head was not reached")
        return self.head
