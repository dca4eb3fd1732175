"""The recorder: runs the target's command on throwaway databases, and writes down what PostgreSQL did.

The first run is the walk (see `walk.py`), one for each time that the command calls Alembic. More runs of the same command then
go over parts of it again (see `again.py`), and look at the same history from other sides (see `attempts.py`).
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import replace
from functools import partial
from pathlib import Path

from app.gate.base_cache import KeptBase
from app.gate.errors import CannotVerify, CommandNeverReachedAlembic
from app.gate.history.paths import relative, repository_root
from app.gate.postgres.statements import is_about_the_server
from app.gate.recording.model import EVERY_PART, GOES_ON, Attempt, Change, Part, Recording, Trip
from app.gate.reruns.early import begin_ahead
from app.gate.reruns.models import create_models_at_once
from app.gate.reruns.results import Seen
from app.gate.reruns.schedule import run_all
from app.gate.server.database import Database
from app.gate.server.throwaway import Server
from app.gate.snapshot.difference import without_unsteady
from app.gate.target.discovery import check_command
from app.gate.target.runner import Stage, accept
from app.gate.target.target import Target
from app.gate.walk.begin import begin_walk
from app.gate.walk.run import OnProgress, OnWalk, never_reached_alembic, walk_all
from app.gate.walk.state import Walk
from app.gate.walk.unchanged import settle
from app.gate.walk.walker import Walker


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
    on_begin: OnWalk = kept.check if kept is not None else lambda walk: None
    try:
        if base_ref is not None:
            on_progress("base", 0, 1)
            stage.base = _find_base(stage, kept)
            stage.scripts = kept.scripts if kept else {}
            stage.is_kept = kept is not None
        at_head = partial(create_models_at_once, stage=stage)
        with ExitStack() as stack:
            ahead = stack.enter_context(begin_ahead(stage, _foreseen_start(stage, kept)))
            try:
                walks = walk_all(stage, on_progress, on_begin, at_head)
            except CommandNeverReachedAlembic:
                if ahead is None:
                    raise
                # Perhaps the run beside it was in its way (a port that is taken, a file that is locked): once more, alone.
                ahead = None
                stack.close()
                stage.has_to_take_turns = True
                walks = walk_all(stage, on_progress, on_begin, at_head)
            if kept is not None:
                kept.settle(walks)
            _leave_out_stops(walks)
            stage.has_to_take_turns |= any(map(_changes_the_server, walks))
            seen = run_all(walks, stage, ahead, partial(on_progress, "jobs"))
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
            raise never_reached_alembic(process)
    return database


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


def _settled_by(walk: Walk, seen: Seen) -> dict[str, str] | None:
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


def _recording(walk: Walk, seen: Seen, server: Server, root: Path) -> Recording:
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
