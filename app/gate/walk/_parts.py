"""A part of a walk: one segment of its plan, and what was seen there."""

from __future__ import annotations

import builtins
import threading
import time
from collections.abc import Callable

from app.gate.errors import CannotReachRevision, CommandExited, DatabaseSpoiled, StepTimedOut
from app.gate.postgres.sqlstates import depends_on_server
from app.gate.recording.model import Failure, Snapshot
from app.gate.recording.serialization import RunningDigest
from app.gate.walk._cuts import Segment, Underway
from app.gate.walk.client import DriverClient
from app.gate.walk.state import Walk
from app.gate.walk.walker import Walker, note_loss, texts_of

OnStep = Callable[[int], None]  # how many revisions of the plan are done

# What is wrong with a script itself raises these, and others that they are the base of.
_DEFECTS = (
    ArithmeticError,
    AssertionError,
    AttributeError,
    ImportError,
    LookupError,
    NameError,
    NotImplementedError,
    SyntaxError,
    TypeError,
    ValueError,
)
_OF_SQLALCHEMY = frozenset({"ArgumentError", "CommandError", "CompileError", "InvalidRequestError", "NoSuchTableError"})


class Part:
    """One segment, and the walk over it. Another job may take over its tail meanwhile."""

    def __init__(
        self, walk: Walk, segment: Segment, on_step: OnStep, *, is_alone: bool = False, ends_at_head: bool = False
    ) -> None:
        """`ends_at_head`: its database is brought to the end of the plan, also where another part walks that."""
        self.walk = walk
        self.begin = segment.begin
        self.end = segment.end
        self.has_begun = threading.Event()  # its run of the command has reached Alembic, or never will
        self.is_at_its_end = False  # the database of its run, with all its revisions
        self._is_alone = is_alone
        self._ends_at_head = ends_at_head
        self._on_step = on_step
        self._lock = threading.Lock()
        self._index = segment.begin  # where the next run continues
        self._is_reached = True
        self._underway: Underway | None = None
        self._began = 0.0
        self._schema_after: str | None = None  # digest of what the plain upgrade makes of it that follows

    @property
    def is_over(self) -> bool:
        """Whether no run has to continue it."""
        return self._index >= self.end or not self._is_reached

    def walk_by(self, client: DriverClient, is_at: int = 0) -> Snapshot | None:
        """Walk what is left of it, on a database that is at that index of the plan. Returns the schema at its end, None
        if a revision before it does not apply.

        Raises DatabaseSpoiled, CommandExited and StepTimedOut.
        """
        walker = Walker(self.walk, client, is_alone=self._is_alone, is_at=is_at)
        try:
            self._note_begin(is_at)
            schema: Snapshot = walker.walk(self._index, self._goes_on)
        except CannotReachRevision:
            self._is_reached = False
            return None
        finally:
            with self._lock:
                self._underway = None
        self.is_at_its_end = self.walk.applied.issuperset(self._names)
        if self._ends_at_head and self.end < len(self.walk.plan):
            schema = self._upgrade_to_head(walker)
        return schema

    def walk_on(self, client: DriverClient, is_at: int = 0) -> None:
        """Walk as much of what is left as one database allows."""
        try:
            self.walk_by(client, is_at)
            self._index = self.end
        except DatabaseSpoiled as spoiled:
            self._index = spoiled.next_index
        except (CommandExited, StepTimedOut) as lost:
            self._index = note_loss(self.walk, lost)

    def _upgrade_to_head(self, walker: Walker) -> Snapshot:
        """What another part has taken over. Raises DatabaseSpoiled where that would not lead to the same database."""
        if not self.is_at_its_end:
            raise DatabaseSpoiled(self.end)
        try:
            schema = walker.upgrade_to(len(self.walk.plan))
        except CannotReachRevision:
            raise DatabaseSpoiled(self.end) from None
        self._schema_after = RunningDigest(self.walk.arrival.is_of_version_table).of(schema)
        return schema

    def _note_begin(self, is_at: int) -> None:
        with self._lock:
            self._began = time.monotonic()
            self._underway = Underway(self._index, self.end, self._index, is_at, 0.0, self._ends_at_head)

    def _goes_on(self, index: int) -> bool:
        with self._lock:
            if self._underway is not None:
                self._underway = self._underway._replace(at=index, took_s=time.monotonic() - self._began)
            is_more = index < self.end
        self._on_step(index)
        return is_more

    @property
    def underway(self) -> Underway | None:
        """How far it has got. None: no run walks it."""
        with self._lock:
            if self._underway is None or self._underway.at >= self.end:
                return None
            return self._underway._replace(end=self.end)

    def give(self, tail: int) -> Segment | None:
        """Leave what begins there to another part. None if that has been reached meanwhile."""
        with self._lock:
            if self._underway is None or not self._underway.at < tail < self.end:
                return None
            given = Segment(tail, self.end)
            self.end = tail
            return given

    @property
    def may_be_disturbed(self) -> bool:
        """Whether another run at the same time may be the reason for what was seen."""
        return self.walk.changes_the_server or any(self._is_suspicious(name) for name in self._names)

    @property
    def _names(self) -> tuple[str, ...]:
        return self.walk.plan[self.begin : self.end]

    def _is_suspicious(self, name: str) -> bool:
        """Whether a step of that revision failed for a reason outside its own script and database."""
        trip = self.walk.trips.get(name)
        steps = [step for step in (trip.up, trip.down, trip.second_up) if step is not None] if trip is not None else []
        failures = [failure for step in steps for failure in (step.failure, *step.swallowed) if failure is not None]
        return any(map(_is_from_outside, failures))

    def began_after(self, walk: Walk) -> bool:
        """Whether it began after the revisions that have been applied by now, and no others."""
        before = set(walk.plan[: self.begin])
        return self._is_reached and before & self.walk.applied == before & walk.applied

    def follows(self, walk: Walk) -> bool:
        """Whether its plain upgrade sent what the upgrades of the walk have sent, and made the same schema.

        It may not where scripts keep something in Python from one revision to the next, or find other rows.
        """
        digests = self.walk.schema_digests
        began = next((digests[name][0] for name in self._names if name in digests), None)
        return self._sent_what(walk, 0, self.begin) and _last_schema(walk) in (None, began)

    def ends_like(self, walk: Walk) -> bool:
        """Whether the plain upgrade to head did as much, after what others have taken over."""
        return self._schema_after is None or (
            self._sent_what(walk, self.end, len(walk.plan)) and _last_schema(walk) == self._schema_after
        )

    def _sent_what(self, walk: Walk, begin: int, end: int) -> bool:
        names = (name for name in walk.plan[begin:end] if name in walk.applied)
        return all(texts_of(self.walk.trips[name].up) == texts_of(walk.trips[name].up) for name in names)


def _last_schema(walk: Walk) -> str | None:
    """The digest of the schema with which the walk has ended so far."""
    last = next(reversed(walk.schema_digests.values()), None)
    return None if last is None else last[1]


def _is_from_outside(failure: Failure) -> bool:
    """Whether what a step failed with may have another cause than its script and its database: the file system, say."""
    if failure.sqlstate is not None:
        return depends_on_server(failure.sqlstate)
    kind = getattr(builtins, failure.error, None)
    is_defect = isinstance(kind, type) and issubclass(kind, _DEFECTS)
    return not is_defect and failure.error not in _OF_SQLALCHEMY
