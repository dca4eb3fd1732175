"""A walk in segments, all of them at the same time, each by its own run of the command on its own database.

A segment begins where a plain, unobserved upgrade has brought its database. That every revision before it applies is
an assumption while those are still being walked; at the end the segments are joined in their order, as far as it held.
What is left is walked again, on one database. A job that is done with its segment takes over the tail of one that
takes longer: its database is at the end of the one, and plain upgrades bring it to the tail.

Two runs can be in each other's way, by a port, a file or a role, and what a script keeps in Python is not in both. So
where a segment may not be what one walk would have seen, nothing counts: DisturbedByOtherRun or SegmentsDiffer is
raised, and the walk is to be taken once more, in one segment.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

from app.gate.errors import DatabaseSpoiled, DisturbedByOtherRun, GateError, SegmentsDiffer, ServerUnavailable
from app.gate.recording.model import Failure, Snapshot
from app.gate.server.database import Database
from app.gate.target.process import Process
from app.gate.target.runner import TargetRunner, session_of_walk
from app.gate.walk._cuts import Segment, Underway
from app.gate.walk._parts import OnStep, Part
from app.gate.walk.client import DriverClient
from app.gate.walk.state import Walk

# From where on a job whose database is at that index of the plan is to take over what a segment has left, if at all.
TakeOver = Callable[[int, Underway], int | None]

# How long the others may take to reach Alembic once the last segment has been walked: a command that waits for the end
# of another one never gets there.
_PATIENCE_S = 10.0


class SegmentedWalk:
    """What is left of one walk, in one segment or in several."""

    def __init__(
        self, walk: Walk, runner: TargetRunner, segments: Sequence[Segment], take_over: TakeOver, on_step: OnStep
    ) -> None:
        self._walk = walk
        self._runner = runner
        self._take_over = take_over
        self._progress = _Progress(segments[0].begin, on_step)
        if len(segments) == 1:
            self._parts = [Part(walk, segments[0], on_step, is_alone=True, ends_at_head=True)]
        else:
            self._parts = [
                Part(walk.fork(), each, self._progress.of(each.begin), ends_at_head=each is segments[-1])
                for each in segments
            ]
        self._lock = threading.Lock()  # of the list

    def take(self, client: DriverClient, on_end: Callable[[Walk, Snapshot], None], is_at: int = 0) -> None:
        """Walk the last segment by that client, the others by further runs. `on_end` is called when the client's
        database is at the end of the plan, maybe before the others are done, with the walk to which its results belong
        and the schema. `is_at`: up to which index of the plan the database has been brought already.

        Raises DatabaseSpoiled, CommandExited, StepTimedOut, DisturbedByOtherRun and SegmentsDiffer.
        """
        *others, last = self._parts
        spoiled: DatabaseSpoiled | None = None
        with self._walked(others):
            try:
                schema = last.walk_by(client, is_at)
                if schema is not None:
                    on_end(last.walk, schema)
            except DatabaseSpoiled as error:
                spoiled = error
        if others:
            self._join(last, spoiled is None)
        if spoiled is not None:
            raise spoiled

    @contextmanager
    def _walked(self, parts: Sequence[Part]) -> Iterator[None]:
        """Walk those parts in threads, and wait for them after the block. Raises DisturbedByOtherRun and
        SegmentsDiffer."""
        if not parts:
            yield
            return
        with ThreadPoolExecutor(len(parts)) as pool:
            walks = [pool.submit(self._walk_part, part) for part in parts]
            try:
                yield
                for part, each in zip(parts, walks, strict=True):
                    if not part.has_begun.wait(_PATIENCE_S):
                        raise DisturbedByOtherRun
                    each.result()
            except GateError as error:
                self._runner.close()
                raise _reason([error, *(each.exception() for each in walks)]) from error
            except BaseException:
                self._runner.close()
                raise

    def _walk_part(self, part: Part) -> None:
        """Walk a part by further runs of the command, each on a new database, and then what others have left."""
        runner, first = self._runner, part
        try:
            while not part.is_over:
                with runner.database() as database, runner.process(database) as process:
                    client = self._client(process, database)
                    part.has_begun.set()
                    part.walk_on(client)
                    while (tail := self._tail_for(part)) is not None:
                        tail.walk_on(client, part.end)
                        part = tail
                runner.server.supervisor.check()  # without its server no command lives long
        except BaseException:
            runner.close()  # the walk's own run would go on in vain
            raise
        finally:
            first.has_begun.set()

    def _tail_for(self, part: Part) -> Part | None:
        """What a job that is done with that part, and whose database is at the end of it, takes over."""
        if not part.is_at_its_end:
            return None
        with self._lock:
            for giver in self._parts[: self._parts.index(part) : -1]:
                underway = giver.underway
                begin = self._take_over(part.end, underway) if underway is not None else None
                segment = giver.give(begin) if begin is not None else None
                if segment is not None:
                    tail = Part(part.walk, segment, self._progress.of(segment.begin))
                    self._parts.insert(self._parts.index(giver) + 1, tail)
                    return tail
        return None

    def _client(self, process: Process, database: Database) -> DriverClient:
        """The driver in another run of the command, at the same plan. Raises DisturbedByOtherRun if it is at none."""
        session = session_of_walk(self._walk.index, process, database)
        if session is not None:
            client = DriverClient(session, self._runner, database)
            prepared = client.prepare()
            if not isinstance(prepared, Failure) and tuple(prepared["plan"]) == self._walk.plan:
                return client
        raise DisturbedByOtherRun

    def _join(self, last: Part, is_at_head: bool) -> None:
        """Put the results of the parts into the walk, in order: up to the part `last`, and what was taken over from it
        if the client got to head. Raises DatabaseSpoiled, DisturbedByOtherRun and SegmentsDiffer."""
        if self._runner.has_new_roles() or any(part.may_be_disturbed for part in self._parts):
            raise DisturbedByOtherRun
        for part in self._parts:
            if not part.began_after(self._walk):
                raise DatabaseSpoiled(part.begin)
            if not part.follows(self._walk):
                raise SegmentsDiffer
            self._walk.join(part.walk, part.begin, part.end)
            if part is last and not is_at_head:
                return
        if not last.ends_like(self._walk):
            raise SegmentsDiffer
        self._walk.join_head(last.walk)


class _Progress:
    """Adds up what the segments have done."""

    def __init__(self, begin: int, on_step: OnStep) -> None:
        self._done = begin
        self._on_step = on_step
        self._lock = threading.Lock()

    def of(self, begin: int) -> OnStep:
        """What notes how far a segment that begins there has got in the plan."""
        reached = begin

        def note(index: int) -> None:
            nonlocal reached
            with self._lock:
                self._done += index - reached
                reached = index
                self._on_step(self._done)

        return note


def _reason(errors: Sequence[BaseException | None]) -> BaseException:
    """What to report where one run has ended the others: whatever they met, another may have been in their way, unless
    one of them has seen what cannot come from that."""
    others = (each for each in errors if each is not None and not isinstance(each, GateError))
    lost = (each for each in errors if isinstance(each, ServerUnavailable))
    differing = (each for each in errors if isinstance(each, SegmentsDiffer))
    return next(others, None) or next(lost, None) or next(differing, None) or DisturbedByOtherRun()
