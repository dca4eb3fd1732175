"""All walks that one command makes, on as many databases as it takes."""

from __future__ import annotations

import re
from collections.abc import Callable
from contextlib import ExitStack, suppress
from functools import partial

from app.gate.errors import CannotVerify, CommandExited, CommandNeverReachedAlembic, DatabaseSpoiled, StepTimedOut
from app.gate.recording.model import RoundTrip
from app.gate.server.database import Database
from app.gate.target.process import Process
from app.gate.target.runner import TargetRunner, check_database
from app.gate.target.session import DriverSession
from app.gate.walk.begin import begin_walk
from app.gate.walk.client import lost_step
from app.gate.walk.plan import WHOLE_RECORDING, RecordingPlan
from app.gate.walk.state import Walk
from app.gate.walk.walker import Walker

OnProgress = Callable[[str, int, int], None]  # phase, done, total
OnWalk = Callable[[Walk], None]


def walk_all(
    runner: TargetRunner,
    plan: RecordingPlan = WHOLE_RECORDING,
    on_progress: OnProgress = lambda phase, done, total: None,
    on_begin: OnWalk = lambda walk: None,
    at_head: OnWalk = lambda walk: None,
) -> list[Walk]:
    """Every walk that the command makes, on as many databases as it takes. Raises CannotVerify, and what the callbacks raise.

    `on_begin` is called with each walk before its first step, `at_head` while the command is busy with what autogenerate sees.
    """
    walks: list[Walk] = []
    start_at = 0  # where in the plan the next run goes on
    while True:
        with ExitStack() as stack:
            database = stack.enter_context(runner.database())
            process = stack.enter_context(runner.process(database))
            try:
                _walk_with(process, database, walks, start_at, runner, plan, on_progress, on_begin, at_head)
                return _worth_telling(walks)
            except DatabaseSpoiled as spoiled:
                start_at = spoiled.next_index
            except (CommandExited, StepTimedOut) as lost:
                runner.server.supervisor.check()  # without its server no command lives long
                start_at = _note_loss(walks, lost)


def _walk_with(
    process: Process,
    database: Database,
    walks: list[Walk],
    start_at: int,
    runner: TargetRunner,
    plan: RecordingPlan,
    on_progress: OnProgress,
    on_begin: OnWalk,
    at_head: OnWalk,
) -> None:
    """Walk with one run of the command: all walks that are not done yet, the first of them from that index on."""
    unfinished = len(walks) - 1 if start_at else len(walks)
    index = 0
    finished: list[tuple[Walk, DriverSession]] = []
    while (session := process.arrive()) is not None:
        check_database(session, database)
        if index < unfinished:
            session.ask("run_whole")
        else:
            if index == len(walks):
                walks.append(begin_walk(index, session, runner.target.directory, plan))
                if not walks[index].is_stamp:
                    on_begin(walks[index])
            else:
                session.ask("prepare")
            walk = walks[index]
            if walk.is_stamp or (not walk.plan and walk.base is None and not walk.graph.problems):
                # An application that upgrades once more as it starts; or one that stamps what code has made, and upgrades that.
                session.ask("stamp" if walk.is_stamp else "finish")
                index += 1
                continue

            def on_step(done: int, walk: Walk = walk) -> None:
                on_progress("walk", done, len(walk.plan))

            walker = Walker(walk, session, runner.target.timeout_s, runner.canceller(database))
            walker.go(start_at, on_step, partial(at_head, walk))
            start_at = 0
            session.ask("finish")
            finished.append((walk, session))
        index += 1
    for walk, session in finished:
        with suppress(CommandExited, TimeoutError):  # it may not end as Python does
            walk.late = tuple(session.receive(_LAST_WORD_S)["late"])
    if not walks:
        raise never_reached_alembic(process)
    has_plan = any(walk.plan or walk.base or walk.graph.problems for walk in walks)
    if not has_plan and any(walk.is_stamp for walk in walks):
        raise CannotVerify(
            "the command does not upgrade: it only stamps an empty database with a revision, and runs none; name the command that"
            " brings an empty database to head by its revisions, after --"
        )
    if not has_plan and all(walk.graph.revisions for walk in walks):
        current = ", ".join(walks[-1].current) or "none"
        if runner.target.prepare and walks[-1].current:
            raise CannotVerify(
                f"--prepare left the database at {current}, where there is no revision left to run: let it make no more than what the"
                " first revision expects to find, and mark the database with no revision"
            )
        raise CannotVerify(
            f"the command reached Alembic but had no revision to run (the database is at: {current}): name the command that"
            " upgrades an empty database to head, after --"
        )


_LAST_WORD_S = 1.0  # the command has ended: what it had to say is there, unless a child of it holds on to the socket


def never_reached_alembic(process: Process) -> CommandNeverReachedAlembic:
    status, words = process.wait(), process.last_words()
    if re.search(r"No module named '(psycopg2?|asyncpg|pg8000)'", words):
        advice = "name a driver that the project has, as in --env DATABASE_URL={url+psycopg2}"
    elif status != 0:
        advice = "if it is the right command, give it what it needs to run (--env NAME=VALUE, --file), else name another after --"
    else:
        advice = "name the command that upgrades the project's database after --"
    return CommandNeverReachedAlembic(f"the command never reached Alembic (exit status {status}): {words}; {advice}")


def _note_loss(walks: list[Walk], lost: CommandExited | StepTimedOut) -> int:
    """Write down that the step under way failed. Gives where the walk goes on."""
    if lost.at is None:
        raise CannotVerify(f"the command ended while Alembic was at work in it: {lost}") from lost
    walk = walks[-1]
    name, direction = lost.at
    step = lost_step(name, direction, lost)
    trip = walk.trips.get(name, RoundTrip(name))
    if direction == "downgrade":
        walk.trips[name] = RoundTrip(name, up=trip.up, down=step)
    elif name in walk.applied:
        walk.trips[name] = RoundTrip(name, up=trip.up, down=trip.down, second_up=step, left_behind=trip.left_behind)
    else:
        walk.trips[name] = RoundTrip(name, up=step)
    return walk.plan.index(name) + 1


def _worth_telling(walks: list[Walk]) -> list[Walk]:
    """An application that upgrades again at its start makes a walk of no steps over the same history: that is not news."""
    told = [walk for walk in walks if not walk.is_stamp and (walk.plan or walk.graph.problems or walk.base)]
    return told or walks[:1]
