"""Which further runs there are for a set of walks."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial

from app.gate.recording.model import TRIED_ONCE, Part, Trip
from app.gate.reruns._paths import _print_and_run, _upgrade_alone, _upgrade_twice_at_once
from app.gate.reruns._pool import Jobs, Share
from app.gate.reruns._revisions import add_revisions
from app.gate.reruns.early import Ahead
from app.gate.reruns.models import _ask_drift_anew, _create_models, _first_through
from app.gate.reruns.results import Seen
from app.gate.target.runner import Stage
from app.gate.walk.state import Walk

_ROLES_ARE_SHARED = (
    "the history makes roles, which all databases of a server share, so it can run but once on a server that is given"
)


def run_all(
    walks: Sequence[Walk], stage: Stage, ahead: Ahead | None, on_progress: Callable[[int, int], None]
) -> dict[int, Seen]:
    """Run everything that is to be run again. Returns what was found out, by the walk's index."""
    jobs = Jobs(stage, on_progress)
    add_revisions(jobs, walks, stage)
    seen = add_all(jobs, walks, stage, ahead)
    jobs.run()
    return seen


def add_all(jobs: Jobs, walks: Sequence[Walk], stage: Stage, ahead: Ahead | None = None) -> dict[int, Seen]:
    """Add the attempts to the jobs. Gives where they write what was seen, by the walk's index. `ahead` is of `begin_ahead`."""
    seen = {walk.index: Seen() for walk in walks}
    arrived = [walk for walk in walks if walk.head is not None]
    for walk in arrived:
        if walk.has_metadata and Part.MODELS in stage.parts:
            history_begins = _first_through(walk.history, walks)
            jobs.add(Share(partial(_create_models, jobs, walk, history_begins, seen[walk.index], stage)))
        if walk.is_drift_stale:
            jobs.add(Share(partial(_ask_drift_anew, jobs, walk, stage)))
    if arrived and all(walk.is_stop or walk.head is not None for walk in walks):
        # These run the whole command, so they end at the head of the last walk.
        last = arrived[-1]
        has_news = last.base is None or any(walk.plan for walk in arrived)
        jobs.add(*_runs_of_all(jobs, last, seen[last.index], stage, ahead, has_news=has_news))
    for walk in arrived[:-1]:
        for part in ("offline", "concurrent"):
            seen[walk.index].missing[part] = TRIED_ONCE
    return seen


def _runs_of_all(
    jobs: Jobs, last: Walk, seen: Seen, stage: Stage, ahead: Ahead | None, *, has_news: bool
) -> Iterator[Share]:
    """Runs of the whole command, and in `seen` why there is none. `has_news`: there are revisions that the base has not."""
    if ahead is not None and ahead.start != last.current:
        ahead = None
    has_left_roles = not stage.server.is_embedded and any(
        _names_one_of(stage.roles_made, trip) for trip in last.trips.values()
    )
    if last.base is not None and not has_news:
        seen.missing["offline"] = f"there is no revision that is not on {last.base.ref}"
    elif has_left_roles:
        seen.missing["offline"] = _ROLES_ARE_SHARED
    elif Part.OFFLINE in stage.parts:
        yield Share(partial(_print_and_run, jobs, last, seen, stage, ahead))
    if last.base is not None and last.base.is_env_as_it_was:
        # Whether two upgrades keep out of each other's way is up to env.py.
        seen.missing["concurrent"] = f"env.py is as it is on {last.base.ref}"
        if Part.CONCURRENT in stage.parts and len(last.plan) > 1 and not has_left_roles:
            yield Share(partial(_upgrade_alone, jobs, last, seen, stage))
    elif has_left_roles:
        seen.missing["concurrent"] = _ROLES_ARE_SHARED
    elif Part.CONCURRENT in stage.parts:
        yield Share(partial(_upgrade_twice_at_once, jobs, last, seen, stage, ahead))


def _names_one_of(roles: Iterable[str], trip: Trip) -> bool:
    sent = [statement.sql for statement in trip.up.statements] if trip.up is not None else []
    return any(role in text for role in roles for text in sent)
