"""Runs that need not wait for the end of the walk."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass

from app.gate.recording.model import Failure, Part, Snapshot
from app.gate.reruns._concurrent import Raced, race
from app.gate.reruns._offline import Printed, print_sql, run_printed
from app.gate.target.runner import Stage

# Attempts that ask nothing of the walk, and so need not wait for its end.


@dataclass(frozen=True)
class Ahead:
    """What was begun beside the walk, on the assumption that this begins with the database at those revisions."""

    start: tuple[str, ...]
    printed: Future[Printed]
    made: Future[Snapshot | Failure | None]  # of what was printed
    raced: Future[Raced | None]


@contextmanager
def begin_ahead(stage: Stage, start: Sequence[str] | None) -> Iterator[Ahead | None]:
    """Begin what can be begun beside the walk. None if that is nothing.

    A role that both make would stand in the walk's way, so what is printed tells first whether each keeps to its own database.
    """
    if start is None or Part.OFFLINE not in stage.parts or stage.has_to_take_turns:
        yield None
        return
    try:
        with ThreadPoolExecutor(max_workers=1) as pool:
            printed = pool.submit(print_sql, stage, start)

            def run() -> Snapshot | Failure | None:
                found = printed.result()
                return run_printed(found, stage) if found.may_run_beside_others else None

            def race_too() -> Raced | None:
                is_wanted = Part.CONCURRENT in stage.parts and stage.base_ref is None
                return race(stage) if is_wanted and printed.result().may_run_beside_others else None

            made, raced = pool.submit(run), pool.submit(race_too)
            try:
                yield Ahead(tuple(start), printed, made, raced)
            finally:
                if not raced.done():  # nobody waits for it any more
                    pool.shutdown(wait=False, cancel_futures=True)
                    stage.close()
    finally:
        stage.reopen()
