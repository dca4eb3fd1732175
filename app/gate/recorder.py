"""The recorder: runs the target's command on throwaway databases, and writes down what PostgreSQL did.

The first run is the walk (see `walk.py`), one for each time that the command calls Alembic. More runs of the same command then
go over parts of it again (see `reruns`), and take other paths to head.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

from app.gate.base_cache import BaseCache
from app.gate.errors import CannotVerify
from app.gate.history.paths import relative, repository_root
from app.gate.postgres.statements import is_cluster_wide
from app.gate.recording.model import (
    ALL_EVIDENCE,
    CONTINUED_BY_A_LATER_WALK,
    AlternativePath,
    Change,
    Evidence,
    Recording,
    RoundTrip,
)
from app.gate.reruns.results import RerunResults
from app.gate.reruns.schedule import run_all
from app.gate.server.database import Database
from app.gate.server.throwaway import Server
from app.gate.snapshot.difference import without_nondeterministic
from app.gate.target.discovery import check_command
from app.gate.target.runner import TargetRunner, check_database
from app.gate.target.target import Target
from app.gate.walk.begin import apply_base, begin_walk
from app.gate.walk.client import DriverClient
from app.gate.walk.plan import RecordingPlan
from app.gate.walk.run import OnProgress, OnWalk, never_reached_alembic, walk_all
from app.gate.walk.state import NEEDS_HEAD, Walk
from app.gate.walk.unchanged import list_unchanged


def record(
    target: Target,
    server: Server,
    on_progress: OnProgress = lambda phase, done, total: None,
    base_ref: str | None = None,
    base_cache: BaseCache | None = None,
    evidence: frozenset[Evidence] = ALL_EVIDENCE,
) -> list[Recording]:
    """One recording for each walk that the command makes; of what is not on the git ref `base_ref`, if that is given.

    `evidence` is what is recorded beyond the walk. `base_cache` is where the schema at the base is kept from run to run. Raises
    CannotVerify and StaleBaseCache.
    """
    check_command(target)
    runner = TargetRunner(target, server)
    scripts = base_cache.scripts if base_cache is not None else {}
    plan = RecordingPlan(base_ref, evidence, scripts, is_cached=base_cache is not None)
    on_begin: OnWalk = base_cache.check if base_cache is not None else lambda walk: None
    try:
        if base_ref is not None:
            on_progress("base", 0, 1)
            runner.base = _find_base(runner, plan, base_cache)
        walks = walk_all(runner, plan, on_progress, on_begin)
        if base_cache is not None:
            base_cache.commit(walks)
        _leave_out_stops(walks)
        runner.must_run_serially |= any(map(_changes_the_server, walks))
        seen = run_all(walks, runner, partial(on_progress, "jobs"))
    except TimeoutError as error:
        raise CannotVerify(
            f"the command did not answer within {target.timeout_s:g} s: give it more with --timeout"
        ) from error
    if base_cache is not None and base_cache.needs_unchanged:
        unchanged = {walk.index: _like_their_models(walk, seen[walk.index]) for walk in walks}
        base_cache.note_unchanged({index: tables for index, tables in unchanged.items() if tables is not None})
    root = repository_root(target.directory)
    return [_recording(walk, seen[walk.index], server, root) for walk in walks]


def _find_base(runner: TargetRunner, plan: RecordingPlan, base_cache: BaseCache | None) -> Database:
    if base_cache is None:
        return _build_base(runner, plan)
    if base_cache.found is not None:
        return runner.server.database(base_cache.found.database)
    database = _build_base(runner, replace(plan, is_cached=False))
    base_cache.store_pending(runner.server, database)
    return database


def _build_base(runner: TargetRunner, plan: RecordingPlan) -> Database:
    """A database with all that is older than the branch, of which every other run gets a copy."""
    database = runner.server.create_database()
    runner.prepare(database)
    with runner.process(database) as process:
        index = 0
        while (session := process.next_session()) is not None:
            check_database(session, database)
            client = DriverClient(session, runner, database)
            walk = begin_walk(index, client, runner.target.directory, plan)
            if not walk.arrival.is_stamp:
                apply_base(walk, client)
            client.end("stamp" if walk.arrival.is_stamp else "finish")
            index += 1
        if index == 0:
            raise never_reached_alembic(process)
    return database


def _changes_the_server(walk: Walk) -> bool:
    ups = (trip.up for trip in walk.trips.values() if trip.up is not None)
    return any(is_cluster_wide(statement.sql) for up in ups for statement in up.statements)


def _leave_out_stops(walks: Sequence[Walk]) -> None:
    """Of walks through one history (to one head first, say, and then to another), only the last one ends where the models are."""
    last = {walk.arrival.history: walk for walk in walks}
    for walk in walks:
        if walk is not last[walk.arrival.history] and walk.head is not None:
            walk.is_continued = True
            walk.head = walk.drift = None
            walk.not_observed.update(dict.fromkeys(NEEDS_HEAD, CONTINUED_BY_A_LATER_WALK))


def _like_their_models(walk: Walk, seen: RerunResults) -> dict[str, str] | None:
    """The tables that a later run from the same base need not compare with their models. None if this run has not compared them."""
    if walk.start is None or walk.head is None or walk.drift is None or seen.models is None:
        return None
    mentioned = [*(each.object for each in walk.drift), *walk.hidden, *walk.unchanged.refused]
    return list_unchanged(walk.unchanged.models, walk.start, walk.head, seen.models, mentioned)


def _env_path(walk: Walk, root: Path) -> str | None:
    env = Path(walk.arrival.handshake["script_location"] or "") / "env.py"
    return relative(env, root) if env.is_file() else None


def _steady(attempt: AlternativePath | None, nondeterministic: tuple[Change, ...]) -> AlternativePath | None:
    """The attempt less what differs from run to run in any case."""
    return attempt and replace(attempt, differences=without_nondeterministic(attempt.differences, nondeterministic))


def _steady_trip(trip: RoundTrip, nondeterministic: tuple[Change, ...]) -> RoundTrip:
    return (
        replace(trip, second_up_differences=without_nondeterministic(trip.second_up_differences, nondeterministic))
        if nondeterministic
        else trip
    )


def _is_of(name: str, tables: Sequence[str]) -> bool:
    """Whether it is one of the tables, or belongs to one: "public.orders.note"."""
    return any(name == table or name.startswith(f"{table}.") for table in tables)


def _recording(walk: Walk, seen: RerunResults, server: Server, root: Path) -> Recording:
    unregistered = walk.unregistered
    if unregistered is not None:
        unregistered = tuple(replace(model, path=relative(Path(model.path), root)) for model in unregistered)
    return Recording(
        script_location=walk.arrival.handshake["script_location"] or "",
        postgres=server.version,
        alembic=walk.arrival.handshake["alembic"],
        sqlalchemy=walk.arrival.handshake["sqlalchemy"],
        graph=walk.arrival.graph,
        trips=tuple(_steady_trip(walk.trips[name], seen.nondeterministic) for name in walk.plan if name in walk.trips),
        head=walk.head,
        models=seen.models,
        model_failure=seen.model_failure,
        drift=walk.drift and tuple(each for each in walk.drift if not _is_of(each.object, walk.late)),
        hidden=walk.hidden + walk.late,
        unregistered=unregistered,
        plain=_steady(seen.plain, seen.nondeterministic),
        offline=_steady(seen.offline, seen.nondeterministic),
        concurrent=_steady(seen.concurrent, seen.nondeterministic),
        nondeterministic=seen.nondeterministic,
        has_metadata=walk.arrival.has_metadata,
        base=walk.arrival.base,
        env_path=_env_path(walk, root),
        not_observed={**walk.not_observed, **seen.not_observed},
    )
