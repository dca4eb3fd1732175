"""Which reruns there are for the walks of a command."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial

from app.gate.recording.model import TRIED_WITH_THE_LAST_WALK, Evidence, RoundTrip
from app.gate.reruns._interruptions import InterruptedUpgrade, points_of_interruption
from app.gate.reruns._models import ask_drift_again, create_models, first_walk_through
from app.gate.reruns._other_history import run_other_history
from app.gate.reruns._paths import run_concurrently, run_offline, run_whole_command
from app.gate.reruns._pool import Job, JobPool
from app.gate.reruns._populated_history import populate_history
from app.gate.reruns._recorded_statements import plan_statements
from app.gate.reruns._revisions import jobs_of
from app.gate.reruns._rows import UpgradeOverRows, postponed_revisions
from app.gate.reruns._running_code import prove_running_code
from app.gate.reruns._second_upgrades import SecondUpgrade
from app.gate.reruns.early import EarlyRuns
from app.gate.reruns.results import RerunResults
from app.gate.target.runner import TargetRunner
from app.gate.walk.plan import WHOLE_RECORDING, RecordingPlan
from app.gate.walk.state import Walk

_ROLES_ARE_SHARED = (
    "the history creates roles, which all databases of a server share, so it can run only once on a given server"
)


def run_all(
    walks: Sequence[Walk],
    runner: TargetRunner,
    early: EarlyRuns | None,
    on_progress: Callable[[int, int], None],
    plan: RecordingPlan = WHOLE_RECORDING,
) -> dict[int, RerunResults]:
    """Run all reruns. Returns what they found out, by the walk's index; of revisions it is noted in the walk."""
    pool = JobPool(runner, on_progress)
    results = {walk.index: RerunResults() for walk in walks}
    for walk in walks:
        pool.add(*_revision_jobs(walk, pool, runner))
    for walk in walks:
        if Evidence.POPULATED in walk.evidence and len(walk.plan) > 1:
            pool.add(Job(partial(populate_history, walk, runner)))
        if Evidence.RUNNING in walk.evidence:
            pool.add(*_running_jobs(walk, pool, runner, results[walk.index], plan))
        if walk.head is not None:
            pool.add(*_model_jobs(walk, walks, pool, results[walk.index], runner, early))
    pool.add(*_command_jobs(walks, pool, results, runner, early))
    if plan.same_schema_as is not None and Evidence.OTHER_HISTORY in walks[-1].evidence:
        of_last = results[walks[-1].index]
        pool.add(Job(partial(run_other_history, plan.same_schema_as, walks, pool, runner, of_last)))
    pool.run()
    return results


def _running_jobs(
    walk: Walk, pool: JobPool, runner: TargetRunner, results: RerunResults, plan: RecordingPlan
) -> Iterator[Job]:
    """What runs in production, on the schema of the branch."""
    base = walk.arrival.base
    if base is not None and base.is_start:
        yield Job(partial(prove_running_code, pool, walk, runner, results))
    if plan.statements and base is not None and base.is_start and walk.plan:
        yield Job(partial(plan_statements, plan.statements, walk, runner, results))
    elif plan.statements:
        results.not_observed["recorded"] = "there is no new revision, or no base whose schema they run on"


def _revision_jobs(walk: Walk, pool: JobPool, runner: TargetRunner) -> Iterator[Job]:
    yield from jobs_of(SecondUpgrade(walk), walk.unconfirmed, pool, runner)
    if Evidence.INTERRUPTIONS in walk.evidence:
        points = points_of_interruption(walk)
        yield from jobs_of(InterruptedUpgrade(walk, points), list(points), pool, runner)
    yield from jobs_of(UpgradeOverRows(walk), postponed_revisions(walk), pool, runner)


def _model_jobs(
    walk: Walk,
    walks: Sequence[Walk],
    pool: JobPool,
    results: RerunResults,
    runner: TargetRunner,
    early: EarlyRuns | None,
) -> Iterator[Job]:
    if walk.arrival.has_metadata and Evidence.MODELS in walk.evidence:
        first_walk = first_walk_through(walk.arrival.history, walks)
        by_sql = early.models.get(walk.index) if early is not None else None
        yield Job(partial(create_models, pool, walk, first_walk, results, runner, by_sql))
    if walk.is_drift_stale:
        yield Job(partial(ask_drift_again, pool, walk, runner))


def _command_jobs(
    walks: Sequence[Walk],
    pool: JobPool,
    results: dict[int, RerunResults],
    runner: TargetRunner,
    early: EarlyRuns | None,
) -> Iterator[Job]:
    """Runs of the whole command, which end at the head of its last walk."""
    at_head = [walk for walk in walks if walk.head is not None]
    for walk in at_head[:-1]:
        for part in ("offline", "concurrent"):
            results[walk.index].not_observed[part] = TRIED_WITH_THE_LAST_WALK
    if at_head and all(walk.is_continued or walk.head is not None for walk in walks):
        last = at_head[-1]
        if early is not None and early.start != last.arrival.current:
            early = None
        yield from _offline_jobs(last, at_head, pool, results[last.index], runner, early)
        yield from _concurrent_jobs(last, pool, results[last.index], runner, early)


def _offline_jobs(
    last: Walk,
    walks: Sequence[Walk],
    pool: JobPool,
    results: RerunResults,
    runner: TargetRunner,
    early: EarlyRuns | None,
) -> Iterator[Job]:
    base = last.arrival.base
    if base is not None and not any(walk.plan for walk in walks):
        results.not_observed["offline"] = f"there is no revision that is not on {base.ref}"
    elif _has_left_roles(last, runner):
        results.not_observed["offline"] = _ROLES_ARE_SHARED
    elif Evidence.OFFLINE in last.evidence:
        yield Job(partial(run_offline, pool, last, results, runner, early))


def _concurrent_jobs(
    last: Walk, pool: JobPool, results: RerunResults, runner: TargetRunner, early: EarlyRuns | None
) -> Iterator[Job]:
    base = last.arrival.base
    has_left_roles = _has_left_roles(last, runner)
    is_whole_wanted = not last.evidence.isdisjoint({Evidence.CONCURRENT, Evidence.WHOLE_COMMAND})
    if base is not None and base.is_env_as_it_was:
        # It depends on env.py whether two upgrades exclude each other.
        results.not_observed["concurrent"] = f"env.py is the same as on {base.ref}"
        if is_whole_wanted and len(last.plan) > 1 and not has_left_roles:
            yield Job(partial(run_whole_command, pool, last, results, runner, None))
    elif has_left_roles:
        results.not_observed["concurrent"] = _ROLES_ARE_SHARED
    elif Evidence.CONCURRENT in last.evidence:
        yield Job(partial(run_concurrently, pool, last, results, runner, early))
    elif is_whole_wanted:
        yield Job(partial(run_whole_command, pool, last, results, runner, early))


def _has_left_roles(walk: Walk, runner: TargetRunner) -> bool:
    """Whether the walk has created roles on a given server, which are not dropped."""
    return not runner.server.is_embedded and any(
        _mentions_one_of(runner.roles_made, trip) for trip in walk.trips.values()
    )


def _mentions_one_of(roles: Iterable[str], trip: RoundTrip) -> bool:
    statements = [statement.sql for statement in trip.up.statements] if trip.up is not None else []
    return any(role in text for role in roles for text in statements)
