"""Which further runs there are for a set of walks."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial

from app.gate.recording.model import TRIED_WITH_THE_LAST_WALK, Evidence, RoundTrip
from app.gate.reruns._paths import run_offline, upgrade_alone, upgrade_twice_concurrently
from app.gate.reruns._pool import JobPool, Share
from app.gate.reruns._revisions import add_revisions
from app.gate.reruns.models import ask_drift_again, create_models, first_walk_through
from app.gate.reruns.results import RerunResults
from app.gate.target.runner import TargetRunner
from app.gate.walk.state import Walk

_ROLES_ARE_SHARED = (
    "the history makes roles, which all databases of a server share, so it can run but once on a server that is given"
)


def run_all(
    walks: Sequence[Walk], runner: TargetRunner, on_progress: Callable[[int, int], None]
) -> dict[int, RerunResults]:
    """Run everything that is to be run again. Returns what was found out, by the walk's index."""
    jobs = JobPool(runner, on_progress)
    add_revisions(jobs, walks, runner)
    seen = add_all(jobs, walks, runner)
    jobs.run()
    return seen


def add_all(jobs: JobPool, walks: Sequence[Walk], runner: TargetRunner) -> dict[int, RerunResults]:
    """Add the attempts to the jobs. Gives where they write what was seen, by the walk's index."""
    seen = {walk.index: RerunResults() for walk in walks}
    arrived = [walk for walk in walks if walk.head is not None]
    for walk in arrived:
        if walk.arrival.has_metadata and Evidence.MODELS in walk.evidence:
            history_begins = first_walk_through(walk.arrival.history, walks)
            jobs.add(Share(partial(create_models, jobs, walk, history_begins, seen[walk.index], runner)))
        if walk.is_drift_stale:
            jobs.add(Share(partial(ask_drift_again, jobs, walk, runner)))
    if arrived and all(walk.is_continued or walk.head is not None for walk in walks):
        # These run the whole command, so they end at the head of the last walk.
        last = arrived[-1]
        has_news = last.arrival.base is None or any(walk.plan for walk in arrived)
        jobs.add(*_runs_of_all(jobs, last, seen[last.index], runner, has_news=has_news))
    for walk in arrived[:-1]:
        for part in ("offline", "concurrent"):
            seen[walk.index].not_observed[part] = TRIED_WITH_THE_LAST_WALK
    return seen


def _runs_of_all(
    jobs: JobPool, last: Walk, seen: RerunResults, runner: TargetRunner, *, has_news: bool
) -> Iterator[Share]:
    """Runs of the whole command, and in `seen` why there is none. `has_news`: there are revisions that the base has not."""
    has_left_roles = not runner.server.is_embedded and any(
        _names_one_of(runner.roles_made, trip) for trip in last.trips.values()
    )
    if last.arrival.base is not None and not has_news:
        seen.not_observed["offline"] = f"there is no revision that is not on {last.arrival.base.ref}"
    elif has_left_roles:
        seen.not_observed["offline"] = _ROLES_ARE_SHARED
    elif Evidence.OFFLINE in last.evidence:
        yield Share(partial(run_offline, jobs, last, seen, runner))
    if last.arrival.base is not None and last.arrival.base.is_env_as_it_was:
        # Whether two upgrades keep out of each other's way is up to env.py.
        seen.not_observed["concurrent"] = f"env.py is as it is on {last.arrival.base.ref}"
        if Evidence.CONCURRENT in last.evidence and len(last.plan) > 1 and not has_left_roles:
            yield Share(partial(upgrade_alone, jobs, last, seen, runner))
    elif has_left_roles:
        seen.not_observed["concurrent"] = _ROLES_ARE_SHARED
    elif Evidence.CONCURRENT in last.evidence:
        yield Share(partial(upgrade_twice_concurrently, jobs, last, seen, runner))


def _names_one_of(roles: Iterable[str], trip: RoundTrip) -> bool:
    sent = [statement.sql for statement in trip.up.statements] if trip.up is not None else []
    return any(role in text for role in roles for text in sent)
