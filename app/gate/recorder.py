"""The recorder: runs the target's command on throwaway databases, and records what PostgreSQL does.

The first run takes the walks (see `walk/walker.py`), one for each time that the command calls Alembic. Further runs of
the same command follow: see `reruns`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import replace
from functools import partial
from pathlib import Path

from app.gate.base_cache import BaseCache
from app.gate.errors import CannotVerify, CommandNeverReachedAlembic, DisturbedByOtherRun, SegmentsDiffer
from app.gate.history.paths import relative, repository_root
from app.gate.history.repository import Commit
from app.gate.recording.model import (
    ALL_EVIDENCE,
    CONTINUED_BY_A_LATER_WALK,
    AlternativePath,
    Evidence,
    Recording,
    RoundTrip,
)
from app.gate.recording.recorded_statements import RecordedStatement
from app.gate.reruns.early import EarlyRuns, begin_early_runs
from app.gate.reruns.results import RerunResults
from app.gate.reruns.schedule import run_all
from app.gate.server.database import Database
from app.gate.server.throwaway import Server
from app.gate.snapshot.difference import without_nondeterministic
from app.gate.target.discovery import check_command
from app.gate.target.jobs import JOBS
from app.gate.target.runner import TargetRunner, check_database
from app.gate.target.target import Target
from app.gate.walk.begin import apply_base, begin_walk
from app.gate.walk.client import DriverClient
from app.gate.walk.plan import Beside, RecordingPlan
from app.gate.walk.run import OnProgress, OnWalk, never_reached_alembic, refuse_several_engines, walk_all
from app.gate.walk.state import NEEDS_HEAD, Walk
from app.gate.walk.unchanged import list_unchanged
from app.gate.wording import listed


def record(
    target: Target,
    server: Server,
    on_progress: OnProgress = lambda phase, done, total: None,
    base_ref: str | None = None,
    base_cache: BaseCache | None = None,
    evidence: frozenset[Evidence] = ALL_EVIDENCE,
    evidence_of_merged: frozenset[Evidence] = ALL_EVIDENCE,
    same_schema_as: Commit | None = None,
    statements: Sequence[RecordedStatement] = (),
) -> list[Recording]:
    """One recording for each walk that the command makes. With `base_ref`, only of what is not on that Git ref; of the
    whole history where nothing is new.

    `evidence` is what is recorded beyond the walk, `evidence_of_merged` where nothing is new. Raises CannotVerify and
    StaleBaseCache.
    """
    check_command(target)
    runner = TargetRunner(target, server)
    refusal = None
    try:
        wanted = RecordingPlan(base_ref, evidence=evidence, same_schema_as=same_schema_as, statements=statements)
        take = partial(_record, runner, on_progress, wanted, base_cache, evidence_of_merged)
        try:
            found = take()
        except CommandNeverReachedAlembic as error:
            if error.refusal is None or not runner.gain_rights():
                raise
            refusal = error.refusal
            runner.reopen()
            found = take()
    finally:
        runner.return_rights()
    return [replace(each, refused_before_alembic=refusal) for each in found]


def _record(
    runner: TargetRunner,
    on_progress: OnProgress,
    wanted: RecordingPlan,
    base_cache: BaseCache | None,
    evidence_of_merged: frozenset[Evidence],
) -> list[Recording]:
    """`wanted`: what is asked for. `evidence_of_merged`: the evidence of a history in which nothing is new."""
    target, server, base_ref = runner.target, runner.server, wanted.base_ref
    scripts = base_cache.scripts if base_cache is not None else {}
    is_cached = base_cache is not None
    plan = replace(wanted, starts_at_base=base_ref is not None, scripts=scripts, is_cached=is_cached)
    on_begin: OnWalk = base_cache.check if base_cache is not None else lambda walk: None
    try:
        if base_ref is not None:
            on_progress("base", 0, 1)
            runner.base = _find_base(runner, plan, base_cache)
            if runner.base is None:  # nothing is new
                plan = replace(plan, starts_at_base=False, evidence=plan.evidence & evidence_of_merged, is_cached=False)
                base_cache, on_begin = None, lambda walk: None
        take_walks = partial(walk_all, runner, plan, on_progress, on_begin)
        with ExitStack() as stack:
            stack.callback(runner.drop_kept)
            early = stack.enter_context(begin_early_runs(runner, plan, _find_start(runner, plan, base_cache)))
            walks, early = _walk_next_to(early, take_walks, stack, runner)
            _refuse_if_nothing_new_ran(walks)
            if base_cache is not None:
                base_cache.commit(walks)
            _leave_out_heads_on_the_way(walks)
            runner.must_run_serially |= any(walk.changes_the_server for walk in walks)
            with server.superuser_rights():  # what lacks them, the walk has found
                results = run_all(walks, runner, early, partial(on_progress, "jobs"), plan)
    except TimeoutError as error:
        raise CannotVerify(
            f"the command did not answer within {target.timeout_s:g} s: give it more with --timeout"
        ) from error
    if base_cache is not None and base_cache.needs_unchanged:
        base_cache.note_unchanged(_like_their_models(walks, results))
    root = repository_root(target.directory)
    return [_recording(walk, results[walk.index], server, root) for walk in walks]


def _find_start(runner: TargetRunner, plan: RecordingPlan, base_cache: BaseCache | None) -> Sequence[str] | None:
    """The revisions at which the walk will find the database. None if that is not known before it begins."""
    if plan.starts_at_base:
        return base_cache.start if base_cache is not None else None
    return None if runner.target.prepare else ()


def _walk_next_to(
    early: EarlyRuns | None, take_walks: Callable[..., list[Walk]], stack: ExitStack, runner: TargetRunner
) -> tuple[list[Walk], EarlyRuns | None]:
    """Take the walks. Where another run of the command may have been in the way (a port that is taken, a file that is
    locked), or did something else, end all runs, and take them once more, alone."""
    is_serial = True
    try:
        beside = Beside(JOBS, partial(_may_be_cut, runner, early))
        return take_walks(beside if early is None else replace(beside, on_head=early.on_head)), early
    except CommandNeverReachedAlembic as error:
        if early is None or error.refusal is not None:
            raise
    except DisturbedByOtherRun:
        pass
    except SegmentsDiffer:
        is_serial = runner.must_run_serially
    stack.close()
    runner.reopen()
    runner.must_run_serially = is_serial
    stack.callback(runner.drop_kept)
    return take_walks(), None


def _may_be_cut(runner: TargetRunner, early: EarlyRuns | None) -> bool:
    """Whether a walk may be taken in several segments at the same time, and once more where they were in each other's
    way. What a history creates on a given server, as a role, stays there: it has to be known that there is none."""
    if runner.must_run_serially:
        return False
    if runner.server.is_embedded:
        return True
    if early is None or early.offline_sql.exception() is not None:
        return False
    return early.offline_sql.result().stays_in_database


def _find_base(runner: TargetRunner, plan: RecordingPlan, base_cache: BaseCache | None) -> Database | None:
    """The database of which every run gets a copy. None if the branch adds nothing to the base."""
    if base_cache is None:
        return _build_base(runner, plan)
    if base_cache.found is not None:
        return runner.server.database(base_cache.found.database)
    database = _build_base(runner, replace(plan, is_cached=False))
    if database is not None:
        base_cache.store_pending(runner.server, database)
    return database


def _build_base(runner: TargetRunner, plan: RecordingPlan) -> Database | None:
    """A new database with all that is older than the branch. None if the branch adds nothing to the base."""
    database = runner.server.for_command(runner.server.create_database())
    runner.prepare(database)
    is_something_new = _apply_base(runner, plan, database)
    if is_something_new is None:
        is_something_new = _apply_base(runner, plan, database)
        if is_something_new is None:
            raise CannotVerify(
                f"on a database at {plan.base_ref} too, the command only creates the tables by code and stamps them: name the command"
                " that runs the revisions, after --"
            )
    if is_something_new:
        return database
    runner.server.drop_database(database)
    return None


def _apply_base(runner: TargetRunner, plan: RecordingPlan, database: Database) -> bool | None:
    """Bring the database to the base by the command. Returns whether the branch adds anything; None if the rest is left
    to another run of it.

    A command that creates all tables of an empty database from the branch's models, and stamps it, would leave nothing
    to run. So what it has created is dropped, and the base's revisions are applied instead: the next run finds a
    database that is in use, and upgrades it.
    """
    with runner.process(database) as process:
        index = 0
        is_something_new = False
        engines: set[str] = set()
        while (session := process.next_session(runner.start_patience_s)) is not None:
            check_database(session, database, process)
            refuse_several_engines(session, database, engines)
            client = DriverClient(session, runner, database)
            walk = begin_walk(index, client, runner.target.directory, plan)
            is_something_new |= walk.arrival.adds_something
            if walk.arrival.stamps_what_is_new:
                revisions = client.empty_database()
                runner.prepare(database)
                apply_base(walk, client, revisions)
                client.end("stop")
                return None
            if not walk.arrival.is_stamp:
                apply_base(walk, client, walk.plan)
            client.end("stamp" if walk.arrival.is_stamp else "finish")
            index += 1
        if index == 0:
            raise never_reached_alembic(process)
    return is_something_new


def _refuse_if_nothing_new_ran(walks: Sequence[Walk]) -> None:
    """Raises CannotVerify if the branch adds revisions and the command ran none of them: nothing would be proved."""
    graphs = [walk.arrival.graph for walk in walks if walk.arrival.base is not None]
    new = {each.revision for graph in graphs for each in graph.revisions if each.is_new}
    for walk in walks:  # those were run to get to the base, and merged-history reports them
        new -= {revision for revision, _ in walk.arrival.base.inserted_below} if walk.arrival.base else set()
    if not new or any(new & walk.trips.keys() for walk in walks) or any(graph.problems for graph in graphs):
        return
    current = ", ".join(walks[-1].arrival.current) or "no revision"
    raise CannotVerify(
        f"the branch adds {listed(sorted(new))}, and the command ran none of it on the base's database, which is at {current}: name the"
        " command that upgrades such a database to head, after --"
    )


def _leave_out_heads_on_the_way(walks: Sequence[Walk]) -> None:
    """Of walks through one history, to one head after the other, only the last one ends where the models are."""
    last = {walk.arrival.history: walk for walk in walks}
    for walk in walks:
        if walk is not last[walk.arrival.history] and walk.head is not None:
            walk.is_continued = True
            walk.head = walk.drift = None
            walk.not_observed.update(dict.fromkeys(NEEDS_HEAD, CONTINUED_BY_A_LATER_WALK))


def _like_their_models(walks: Sequence[Walk], results: Mapping[int, RerunResults]) -> dict[int, dict[str, str]]:
    """By the walk's index, the tables that are like their models. Walks that were not compared are left out."""
    unchanged = {}
    for walk in walks:
        models = results[walk.index].models
        if walk.start is not None and walk.head is not None and walk.drift is not None and models is not None:
            mentioned = [*(each.object for each in walk.drift), *walk.hidden, *walk.unchanged.refused]
            unchanged[walk.index] = list_unchanged(walk.unchanged.models, walk.start, walk.head, models, mentioned)
    return unchanged


def _env_path(walk: Walk, root: Path) -> str | None:
    env = Path(walk.arrival.handshake["script_location"] or "") / "env.py"
    return relative(env, root) if env.is_file() else None


def _without_nondeterministic(path: AlternativePath | None, results: RerunResults) -> AlternativePath | None:
    """The path, less the differences that any two runs of the command have."""
    return path and replace(path, differences=without_nondeterministic(path.differences, results.nondeterministic))


def _trips(walk: Walk, results: RerunResults) -> Iterator[RoundTrip]:
    """The walk's trips in the order of its plan, less the differences that any two runs of the command have."""
    for trip in (walk.trips[name] for name in walk.plan if name in walk.trips):
        differences = without_nondeterministic(trip.second_up_differences, results.nondeterministic)
        yield replace(trip, second_up_differences=differences) if results.nondeterministic else trip


def _is_of(name: str, tables: Sequence[str]) -> bool:
    """Whether the name is that of one of the tables or of a part of it, as "public.orders.note" is."""
    return any(name == table or name.startswith(f"{table}.") for table in tables)


def _recording(walk: Walk, results: RerunResults, server: Server, root: Path) -> Recording:
    unregistered = walk.unregistered
    if unregistered is not None:
        unregistered = tuple(replace(model, path=relative(Path(model.path), root)) for model in unregistered)
    arrival = walk.arrival
    return Recording(
        script_location=arrival.handshake["script_location"] or "",
        postgres=server.version,
        alembic=arrival.handshake["alembic"],
        sqlalchemy=arrival.handshake["sqlalchemy"],
        graph=arrival.graph,
        trips=tuple(_trips(walk, results)),
        schema_digests=walk.schema_digests,
        start=walk.start,
        head=walk.head,
        models=results.models,
        model_failure=results.model_failure,
        drift=walk.drift and tuple(each for each in walk.drift if not _is_of(each.object, walk.late)),
        hidden=walk.hidden + walk.late,
        unregistered=unregistered,
        whole_command=_without_nondeterministic(results.whole_command, results),
        offline=_without_nondeterministic(results.offline, results),
        concurrent=_without_nondeterministic(results.concurrent, results),
        running=results.running,
        recorded=results.recorded,
        other_history=results.other_history,
        nondeterministic=results.nondeterministic,
        has_metadata=arrival.has_metadata,
        base=arrival.base,
        env_path=_env_path(walk, root),
        not_observed={**walk.not_observed, **results.not_observed},
    )
