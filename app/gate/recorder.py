"""The recorder: runs the target's command on throwaway databases, and writes down what PostgreSQL did.

The first run is the walk (see `walk.py`), one for each time that the command calls Alembic. More runs of the same command then
go over parts of it again (see `again.py`), and look at the same history from other sides (see `attempts.py`).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from contextlib import ExitStack, suppress
from dataclasses import replace
from functools import partial
from pathlib import Path

from app.gate import again, attempts
from app.gate.errors import CannotVerify
from app.gate.history.paths import relative, repository_root
from app.gate.jobs import Jobs
from app.gate.kept import KeptBase
from app.gate.printed import is_about_the_server
from app.gate.recording.model import EVERY_PART, GOES_ON, Attempt, Change, Part, Recording, Trip
from app.gate.server.database import Database
from app.gate.server.throwaway import Server
from app.gate.settled import settle
from app.gate.snapshot.difference import without_unsteady
from app.gate.target.discovery import check_command
from app.gate.target.process import Process
from app.gate.target.runner import Stage, accept
from app.gate.target.session import Conversation, Gone, Hung
from app.gate.target.target import Target
from app.gate.walk import Spoiled, Walk, Walker, begin_walk, lost_step

OnProgress = Callable[[str, int, int], None]  # phase, done, total


def record(
    target: Target,
    server: Server,
    on_progress: OnProgress = lambda phase, done, total: None,
    base_ref: str | None = None,
    kept: KeptBase | None = None,
    parts: frozenset[Part] = EVERY_PART,
) -> list[Recording]:
    """One recording for each walk that the command makes; of what is not on the git ref `base_ref`, if that is given.

    `parts` is what is recorded beyond the walk. `kept` is where the schema at the base is kept from run to run. Raises
    CannotVerify, ServerUnavailable and Distrusted.
    """
    check_command(target)
    stage = Stage(target, server, base_ref, parts)
    try:
        if base_ref is not None:
            on_progress("base", 0, 1)
            stage.base = _find_base(stage, kept)
            stage.scripts = kept.scripts if kept else {}
            stage.is_kept = kept is not None
        with ExitStack() as stack:
            ahead = stack.enter_context(attempts.begin_ahead(stage, _foreseen_start(stage, kept)))
            try:
                walks = walk_all(stage, on_progress, kept)
            except NeverArrived:
                if ahead is None:
                    raise
                # Perhaps the run beside it was in its way (a port that is taken, a file that is locked): once more, alone.
                ahead = None
                stack.close()
                stage.has_to_take_turns = True
                walks = walk_all(stage, on_progress, kept)
            if kept is not None:
                kept.settle(walks)
            _leave_out_stops(walks)
            stage.has_to_take_turns |= any(map(_changes_the_server, walks))
            jobs = Jobs(stage, partial(on_progress, "jobs"))
            again.add_all(jobs, walks, stage)
            seen = attempts.add_all(jobs, walks, stage, ahead)
            jobs.run()
    except TimeoutError as error:
        raise CannotVerify(
            f"the command did not answer within {target.timeout_s:g} s: give it more with --timeout"
        ) from error
    if kept is not None and not kept.knows_settled:
        settled = {walk.index: _settled_by(walk, seen[walk.index]) for walk in walks}
        kept.note_settled({index: tables for index, tables in settled.items() if tables is not None})
    root = repository_root(target.directory)
    return [_recording(walk, seen[walk.index], server, root) for walk in walks]


def _foreseen_start(stage: Stage, kept: KeptBase | None) -> Sequence[str] | None:
    """The revisions at which a database is that the command begins with; None if that is not known before it runs."""
    if stage.base_ref is not None:
        return kept.start if kept else None
    return None if stage.target.prepare else ()


def _find_base(stage: Stage, kept: KeptBase | None) -> Database:
    if kept is None:
        return _build_base(stage)
    if kept.database is not None:
        return stage.server.database(kept.database)
    database = _build_base(stage)
    kept.take(stage.server, database)
    return database


def _build_base(stage: Stage) -> Database:
    """A database with all that is older than the branch, of which every other run gets a copy."""
    database = stage.server.create_database()
    stage.prepare(database)
    with stage.process(database) as process:
        index = 0
        while (conversation := process.arrive()) is not None:
            accept(conversation, database)
            walk = begin_walk(index, conversation, stage)
            if not walk.is_stamp:
                Walker(walk, conversation, stage.target.timeout_s, stage.canceller(database)).forward()
            conversation.ask("stamp" if walk.is_stamp else "finish")
            index += 1
        if index == 0:
            raise _never_arrived(process)
    return database


def walk_all(
    stage: Stage, on_progress: OnProgress = lambda phase, done, total: None, kept: KeptBase | None = None
) -> list[Walk]:
    """Every walk that the command makes, on as many databases as it takes. Raises CannotVerify and Distrusted."""
    walks: list[Walk] = []
    start_at = 0  # where in the plan the next run goes on
    while True:
        with ExitStack() as stack:
            database = stack.enter_context(stage.database())
            process = stack.enter_context(stage.process(database))
            try:
                _walk_with(process, database, walks, start_at, stage, on_progress, kept)
                return _worth_telling(walks)
            except Spoiled as spoiled:
                start_at = spoiled.next_index
            except (Gone, Hung) as lost:
                stage.server.keeper.check()  # without its server no command lives long
                start_at = _note_loss(walks, lost)


def _walk_with(
    process: Process,
    database: Database,
    walks: list[Walk],
    start_at: int,
    stage: Stage,
    on_progress: OnProgress,
    kept: KeptBase | None,
) -> None:
    """Walk with one run of the command: all walks that are not done yet, the first of them from that index on."""
    unfinished = len(walks) - 1 if start_at else len(walks)
    index = 0
    finished: list[tuple[Walk, Conversation]] = []
    while (conversation := process.arrive()) is not None:
        accept(conversation, database)
        if index < unfinished:
            conversation.ask("plain")
        else:
            if index == len(walks):
                walks.append(begin_walk(index, conversation, stage))
                if kept is not None and not walks[index].is_stamp:
                    kept.check(walks[index])
            else:
                conversation.ask("prepare")
            walk = walks[index]
            if walk.is_stamp or (not walk.plan and walk.base is None and not walk.graph.problems):
                # An application that upgrades once more as it starts; or one that stamps what code has made, and upgrades that.
                conversation.ask("stamp" if walk.is_stamp else "finish")
                index += 1
                continue

            def on_step(done: int, walk: Walk = walk) -> None:
                on_progress("walk", done, len(walk.plan))

            walker = Walker(walk, conversation, stage.target.timeout_s, stage.canceller(database))
            walker.go(start_at, on_step, partial(attempts.create_models_at_once, walk, stage))
            start_at = 0
            conversation.ask("finish")
            finished.append((walk, conversation))
        index += 1
    for walk, conversation in finished:
        with suppress(Gone, TimeoutError):  # it may not end as Python does
            walk.late = tuple(conversation.receive(_LAST_WORD_S)["late"])
    if not walks:
        raise _never_arrived(process)
    has_plan = any(walk.plan or walk.base or walk.graph.problems for walk in walks)
    if not has_plan and any(walk.is_stamp for walk in walks):
        raise CannotVerify(
            "the command does not upgrade: it only stamps an empty database with a revision, and runs none; name the command that"
            " brings an empty database to head by its revisions, after --"
        )
    if not has_plan and all(walk.graph.revisions for walk in walks):
        current = ", ".join(walks[-1].current) or "none"
        if stage.target.prepare and walks[-1].current:
            raise CannotVerify(
                f"--prepare left the database at {current}, where there is no revision left to run: let it make no more than what the"
                " first revision expects to find, and mark the database with no revision"
            )
        raise CannotVerify(
            f"the command reached Alembic but had no revision to run (the database is at: {current}): name the command that"
            " upgrades an empty database to head, after --"
        )


_LAST_WORD_S = 1.0  # the command has ended: what it had to say is there, unless a child of it holds on to the socket


class NeverArrived(CannotVerify):
    """The command ended before it reached Alembic."""


def _never_arrived(process: Process) -> NeverArrived:
    status, words = process.wait(), process.last_words()
    if re.search(r"No module named '(psycopg2?|asyncpg|pg8000)'", words):
        advice = "name a driver that the project has, as in --env DATABASE_URL={url+psycopg2}"
    elif status != 0:
        advice = "if it is the right command, give it what it needs to run (--env NAME=VALUE, --file), else name another after --"
    else:
        advice = "name the command that upgrades the project's database after --"
    return NeverArrived(f"the command never reached Alembic (exit status {status}): {words}; {advice}")


def _note_loss(walks: list[Walk], lost: Gone | Hung) -> int:
    """Write down that the step under way failed. Gives where the walk goes on."""
    if lost.at is None:
        raise CannotVerify(f"the command ended while Alembic was at work in it: {lost}") from lost
    walk = walks[-1]
    name, direction = lost.at
    step = lost_step(name, direction, lost)
    trip = walk.trips.get(name, Trip(name))
    if direction == "downgrade":
        walk.trips[name] = Trip(name, up=trip.up, down=step)
    elif name in walk.applied:
        walk.trips[name] = Trip(name, up=trip.up, down=trip.down, again=step, left_behind=trip.left_behind)
    else:
        walk.trips[name] = Trip(name, up=step)
    return walk.plan.index(name) + 1


def _worth_telling(walks: list[Walk]) -> list[Walk]:
    """An application that upgrades again at its start makes a walk of no steps over the same history: that is not news."""
    told = [walk for walk in walks if not walk.is_stamp and (walk.plan or walk.graph.problems or walk.base)]
    return told or walks[:1]


def _changes_the_server(walk: Walk) -> bool:
    ups = (trip.up for trip in walk.trips.values() if trip.up is not None)
    return any(is_about_the_server(statement.sql) for up in ups for statement in up.statements)


def _leave_out_stops(walks: Sequence[Walk]) -> None:
    """Of walks through one history (to one head first, say, and then to another), only the last one ends where the models are."""
    last = {walk.history: walk for walk in walks}
    for walk in walks:
        if walk is not last[walk.history] and walk.head is not None:
            walk.is_stop = True
            walk.head = walk.drift = None
            parts = ("head", "models", "drift", "offline", "concurrent")
            walk.missing.update(dict.fromkeys(parts, GOES_ON))


def _settled_by(walk: Walk, seen: attempts.Seen) -> dict[str, str] | None:
    """The tables that another run from the same base need not compare with their models. None if this one did not do so either."""
    if walk.start is None or walk.head is None or walk.drift is None or seen.models is None:
        return None
    told = [*(each.object for each in walk.drift), *walk.hidden, *walk.refused]
    return settle(walk.models, walk.start, walk.head, seen.models, told)


def _env_path(walk: Walk, root: Path) -> str | None:
    env = Path(walk.hello["script_location"] or "") / "env.py"
    return relative(env, root) if env.is_file() else None


def _steady(attempt: Attempt | None, unsteady: tuple[Change, ...]) -> Attempt | None:
    """The attempt less what differs from run to run in any case."""
    return attempt and replace(attempt, differences=without_unsteady(attempt.differences, unsteady))


def _steady_trip(trip: Trip, unsteady: tuple[Change, ...]) -> Trip:
    return replace(trip, not_repeated=without_unsteady(trip.not_repeated, unsteady)) if unsteady else trip


def _is_of(name: str, tables: Sequence[str]) -> bool:
    """Whether it is one of the tables, or belongs to one: "public.orders.note"."""
    return any(name == table or name.startswith(f"{table}.") for table in tables)


def _recording(walk: Walk, seen: attempts.Seen, server: Server, root: Path) -> Recording:
    unregistered = walk.unregistered
    if unregistered is not None:
        unregistered = tuple(replace(model, path=relative(Path(model.path), root)) for model in unregistered)
    return Recording(
        script_location=walk.hello["script_location"] or "",
        postgres=server.version,
        alembic=walk.hello["alembic"],
        sqlalchemy=walk.hello["sqlalchemy"],
        graph=walk.graph,
        trips=tuple(_steady_trip(walk.trips[name], seen.unsteady) for name in walk.plan if name in walk.trips),
        head=walk.head,
        models=seen.models,
        model_failure=seen.model_failure,
        drift=walk.drift and tuple(each for each in walk.drift if not _is_of(each.object, walk.late)),
        hidden=walk.hidden + walk.late,
        unregistered=unregistered,
        plain=_steady(seen.plain, seen.unsteady),
        offline=_steady(seen.offline, seen.unsteady),
        concurrent=_steady(seen.concurrent, seen.unsteady),
        unsteady=seen.unsteady,
        has_metadata=walk.has_metadata,
        base=walk.base,
        env_path=_env_path(walk, root),
        missing={**walk.missing, **seen.missing},
    )
