"""A walk in segments, all of them at the same time, each by its own run of the command on its own database.

A segment begins where a plain, unobserved upgrade has brought its database. That every revision before it applies is
an assumption while those are still being walked; at the end the segments are joined in their order, as far as it held.
What is left is walked again, on one database.

Two runs can be in each other's way, by a port, a file or a role, and what a script keeps in Python is not in both. So
where a segment may not be what one walk would have seen, nothing counts: DisturbedByOtherRun is raised, and the walk is
to be taken once more, alone.
"""

from __future__ import annotations

import builtins
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial

from app.gate.errors import (
    CannotReachRevision,
    CommandExited,
    DatabaseSpoiled,
    DisturbedByOtherRun,
    GateError,
    ServerUnavailable,
    StepTimedOut,
)
from app.gate.postgres.sqlstates import depends_on_server
from app.gate.recording.model import Failure, Snapshot
from app.gate.server.database import Database
from app.gate.target.process import Process
from app.gate.target.runner import TargetRunner, session_of_walk
from app.gate.walk._cuts import Segment
from app.gate.walk.client import DriverClient
from app.gate.walk.state import Walk
from app.gate.walk.walker import Walker, note_loss, texts_of

OnStep = Callable[[int], None]  # how many revisions of the plan are done

# How long the others may take to reach Alembic once the last segment has been walked: a command that waits for the end
# of another one never gets there.
_PATIENCE_S = 10.0


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


class SegmentedWalk:
    """What is left of one walk, in one segment or in several."""

    def __init__(self, walk: Walk, runner: TargetRunner, segments: Sequence[Segment], on_step: OnStep) -> None:
        self._walk = walk
        self._runner = runner
        progress = _Progress(segments, on_step)
        is_alone = len(segments) == 1
        self._parts = [
            _Part(walk if is_alone else walk.fork(), each, is_alone, partial(progress.note, number))
            for number, each in enumerate(segments)
        ]

    def take(self, client: DriverClient, is_at: int = 0) -> Snapshot:
        """Walk the last segment by that client, the others by further runs. Returns the schema at the end. `is_at`: up
        to which index of the plan the client's database has been brought already.

        Raises DatabaseSpoiled, CommandExited, StepTimedOut and DisturbedByOtherRun.
        """
        *others, last = self._parts
        schema: Snapshot | None = None
        spoiled: DatabaseSpoiled | None = None
        with self._walked(others):
            try:
                schema = last.walk_by(client, is_at)
            except DatabaseSpoiled as error:
                spoiled = error
        if others:
            self._join()
        if spoiled is not None:
            raise spoiled
        assert schema is not None  # noqa: S101 - its beginning was reached, else it would not have been joined
        return schema

    @contextmanager
    def _walked(self, parts: Sequence[_Part]) -> Iterator[None]:
        """Walk those parts in threads, and wait for them after the block. Raises DisturbedByOtherRun."""
        if not parts:
            yield
            return
        with ThreadPoolExecutor(len(parts)) as pool:
            walks = [pool.submit(self._walk_part, part) for part in parts]
            try:
                yield
                for part, each in zip(parts, walks, strict=True):
                    part.has_started.wait()
                    if not part.has_begun.wait(_PATIENCE_S):
                        raise DisturbedByOtherRun
                    each.result()
            except GateError as error:
                self._runner.close()
                raise _reason([error, *(each.exception() for each in walks)]) from error
            except BaseException:
                self._runner.close()
                raise

    def _walk_part(self, part: _Part) -> None:
        """Walk a part by further runs of the command, each on a new database."""
        runner = self._runner
        try:
            while not part.is_over:
                with (
                    runner.slots.taken(is_urgent=True),
                    runner.database() as database,
                    runner.process(database) as process,
                ):
                    part.has_started.set()
                    client = self._client(process, database)
                    part.has_begun.set()
                    part.walk_on(client)
                runner.server.supervisor.check()  # without its server no command lives long
        except BaseException:
            runner.close()  # the walk's own run would go on in vain
            raise
        finally:
            part.has_started.set()
            part.has_begun.set()

    def _client(self, process: Process, database: Database) -> DriverClient:
        """The driver in another run of the command, at the same plan. Raises DisturbedByOtherRun if it is at none."""
        session = session_of_walk(self._walk.index, process, database)
        if session is not None:
            client = DriverClient(session, self._runner, database)
            prepared = client.prepare()
            if not isinstance(prepared, Failure) and tuple(prepared["plan"]) == self._walk.plan:
                return client
        raise DisturbedByOtherRun

    def _join(self) -> None:
        """Put the results of the parts into the walk, in order. Raises DatabaseSpoiled and DisturbedByOtherRun."""
        if self._runner.has_new_roles() or any(part.may_be_disturbed for part in self._parts):
            raise DisturbedByOtherRun
        for part in self._parts:
            if not part.began_after(self._walk):
                raise DatabaseSpoiled(part.segment.begin)
            if not part.follows(self._walk):
                raise DisturbedByOtherRun
            self._walk.join(part.walk, part.segment.begin, part.segment.end)


class _Part:
    """One segment, and the walk over it."""

    def __init__(self, walk: Walk, segment: Segment, is_alone: bool, on_step: OnStep) -> None:
        self.walk = walk
        self.segment = segment
        self.has_started = threading.Event()  # its run of the command, or never will
        self.has_begun = threading.Event()  # its run of the command has reached Alembic, or never will
        self._is_alone = is_alone
        self._on_step = on_step
        self._index = segment.begin  # where the next run continues
        self._is_reached = True

    @property
    def is_over(self) -> bool:
        return self._index >= self.segment.end or not self._is_reached

    def walk_by(self, client: DriverClient, is_at: int = 0) -> Snapshot | None:
        """Walk what is left of it, on a database that is at that index of the plan. Returns the schema at its end, None
        if a revision before it does not apply.

        Raises DatabaseSpoiled, CommandExited and StepTimedOut.
        """
        walker = Walker(self.walk, client, is_alone=self._is_alone, is_at=is_at)
        try:
            return walker.walk(self._index, self.segment.end, self._on_step)
        except CannotReachRevision:
            self._is_reached = False
            return None

    def walk_on(self, client: DriverClient) -> None:
        """Walk as much of what is left as one database allows."""
        try:
            self.walk_by(client)
            self._index = self.segment.end
        except DatabaseSpoiled as spoiled:
            self._index = spoiled.next_index
        except (CommandExited, StepTimedOut) as lost:
            self._index = note_loss(self.walk, lost)

    @property
    def may_be_disturbed(self) -> bool:
        """Whether another run at the same time may be the reason for what was seen."""
        return self.walk.changes_the_server or any(self._is_suspicious(name) for name in self._names)

    @property
    def _names(self) -> tuple[str, ...]:
        return self.walk.plan[self.segment.begin : self.segment.end]

    def _is_suspicious(self, name: str) -> bool:
        """Whether a step of that revision failed for a reason outside its own script and database."""
        trip = self.walk.trips.get(name)
        steps = [step for step in (trip.up, trip.down, trip.second_up) if step is not None] if trip is not None else []
        failures = [failure for step in steps for failure in (step.failure, *step.swallowed) if failure is not None]
        return any(map(_is_from_outside, failures))

    def began_after(self, walk: Walk) -> bool:
        """Whether it began after the revisions that have been applied by now, and no others."""
        before = set(walk.plan[: self.segment.begin])
        return self._is_reached and before & self.walk.applied == before & walk.applied

    def follows(self, walk: Walk) -> bool:
        """Whether its plain upgrade sent what the upgrades of the walk have sent, and made the same schema.

        It may not where scripts keep something in Python from one revision to the next, or find other rows.
        """
        before = (name for name in walk.plan[: self.segment.begin] if name in walk.applied)
        if any(texts_of(self.walk.trips[name].up) != texts_of(walk.trips[name].up) for name in before):
            return False
        ended = next(reversed(walk.schema_digests.values()), None)
        began = next(iter(self.walk.schema_digests.values()), None)
        return ended is None or (began is not None and began[0] == ended[1])


class _Progress:
    """Adds up what the segments have done."""

    def __init__(self, segments: Sequence[Segment], on_step: OnStep) -> None:
        self._reached = [each.begin for each in segments]
        self._begins = list(self._reached)
        self._on_step = on_step
        self._lock = threading.Lock()

    def note(self, number: int, index: int) -> None:
        """Note how far a segment has got in the plan."""
        with self._lock:
            self._reached[number] = index
            done = (reached - begin for reached, begin in zip(self._reached, self._begins, strict=True))
            self._on_step(self._begins[0] + sum(done))


def _is_from_outside(failure: Failure) -> bool:
    """Whether what a step failed with may have another cause than its script and its database: the file system, say."""
    if failure.sqlstate is not None:
        return depends_on_server(failure.sqlstate)
    kind = getattr(builtins, failure.error, None)
    is_defect = isinstance(kind, type) and issubclass(kind, _DEFECTS)
    return not is_defect and failure.error not in _OF_SQLALCHEMY


def _reason(errors: Sequence[BaseException | None]) -> BaseException:
    """What to report where one run has ended the others: whatever they met, another may have been in their way."""
    others = (each for each in errors if each is not None and not isinstance(each, GateError))
    lost = (each for each in errors if isinstance(each, ServerUnavailable))
    return next(others, None) or next(lost, None) or DisturbedByOtherRun()
