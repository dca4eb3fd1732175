"""Other ways to head than the walk: the models' own schema, the SQL of `--sql`, two upgrades at once.

Each is one more run of the command on an empty database. They do not touch each other, so they run side by side, and beside the
walk where they need not know how it ends.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import psycopg2
from psycopg2 import sql

from app.gate.jobs import Jobs, Share
from app.gate.printed import Printed, print_sql, run_printed
from app.gate.race import Raced, race
from app.gate.recording.model import COMMAND_FAILED, TRIED_ONCE, Attempt, Change, Failure, Part, Snapshot, Trip
from app.gate.server.database import Database
from app.gate.snapshot.difference import difference
from app.gate.target.runner import Stage, accept, arrive_at, read_schema
from app.gate.target.session import Gone
from app.gate.walk.client import step_request
from app.gate.walk.state import Walk
from app.gate.walk.unchanged import complete

_ROLES_ARE_SHARED = (
    "the history makes roles, which all databases of a server share, so it can run but once on a server that is given"
)


@dataclass
class Seen:
    """What the attempts say of one walk."""

    models: Snapshot | None = None
    model_failure: Failure | None = None
    plain: Attempt | None = None
    offline: Attempt | None = None
    concurrent: Attempt | None = None
    unsteady: tuple[Change, ...] = ()  # between two runs of the command
    missing: dict[str, str] = field(default_factory=dict)


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


# The models.


def _first_through(history: tuple[Any, ...], walks: Sequence[Walk]) -> int:
    """The first walk that has the models of that history: what a command does after it may rest on what the walk did."""
    return min(walk.index for walk in walks if walk.has_metadata and walk.history == history)


def _create_models(jobs: Jobs, walk: Walk, arrival: int, seen: Seen, stage: Stage) -> None:
    if walk.created is not None:
        seen.models = complete(walk.created, walk.get_head(), walk.settled)
        return
    with stage.blank_database() as database, stage.process(database) as process:
        with database.connect() as connection:
            _create_what_models_rest_on(connection, walk)
        conversation = arrive_at(arrival, process, database, earlier="skip")
        if conversation is None:
            jobs.need_to_be_alone()
            seen.missing["models"] = f"the command did not reach Alembic a second time: {process.last_words()}"
            return
        conversation.ask("prepare")
        answer = conversation.ask("models", stage.target.timeout_s)
        if failure := answer.get("failure"):
            seen.model_failure = Failure(**failure)
            seen.missing["models"] = f"the models' own tables cannot be created: {failure['message']}"
        conversation.ask("stop")
        if seen.model_failure is None:
            seen.models = _schema(database, walk)


def create_models_at_once(walk: Walk, stage: Stage) -> None:
    """Create the models' tables without another run of the command, if SQL is enough and none of it fails.

    One may name what a settled table would have brought along, such as its sequence.
    """
    if walk.creation is None:
        return
    with stage.blank_database() as database:
        with database.connect() as connection, connection.cursor() as cursor:
            _create_what_models_rest_on(connection, walk)
            try:
                for statement in walk.creation:
                    cursor.execute(statement)
            except psycopg2.Error:
                return
        walk.created = _schema(database, walk)


def _ask_drift_anew(jobs: Jobs, walk: Walk, stage: Stage) -> None:
    """Ask a process that has run no script, on a database at head: a script that reflects into the models' metadata makes it another."""
    walk.drift = None
    with stage.database() as database:
        _run_plainly(stage, database)
        with stage.process(database) as process:
            conversation = arrive_at(walk.index, process, database)
            if conversation is None or conversation.ask("prepare").get("plan") != []:
                jobs.need_to_be_alone()
                walk.missing["drift"] = (
                    "a script changes the models as it runs, and the command does not get to head by itself"
                )
                return
            walk.ask_drift(conversation, stage.target.timeout_s)
            conversation.ask("stop")


def _create_what_models_rest_on(connection: psycopg2.extensions.connection, walk: Walk) -> None:
    """The schemas and extensions that the history made: models name them, but it is not models that make them."""
    with connection.cursor() as cursor:
        for kind in ("schema", "extension"):
            for key, definition in walk.get_head().objects.items():
                if key.kind != kind:
                    continue
                if kind == "schema":
                    cursor.execute(sql.SQL("CREATE SCHEMA IF NOT EXISTS {}").format(sql.Identifier(key.name)))
                else:
                    place = definition.get("schema") or "public"
                    cursor.execute(
                        sql.SQL("CREATE EXTENSION IF NOT EXISTS {} WITH SCHEMA {} CASCADE").format(
                            sql.Identifier(key.name), sql.Identifier(place)
                        )
                    )


def _schema(database: Database, walk: Walk) -> Snapshot:
    """What is in that database now, less Alembic's own table."""
    return walk.without_version_table(read_schema(database))


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


def _print_and_run(jobs: Jobs, walk: Walk, seen: Seen, stage: Stage, ahead: Ahead | None) -> None:
    printed = ahead.printed.result() if ahead else print_sql(stage, walk.current)
    if printed.is_of_the_command:
        jobs.need_to_be_alone()
        if ahead:
            printed = print_sql(stage, walk.current)
    if printed.missing is not None:
        seen.missing["offline"] = printed.missing
        return
    made = printed.failure or (ahead.made.result() if ahead else None) or run_printed(printed, stage)
    if isinstance(made, Failure):
        seen.offline = Attempt(failures=(made,))
    else:
        seen.offline = Attempt(differences=difference(walk.get_head(), walk.without_version_table(made)))


def _upgrade_twice_at_once(jobs: Jobs, walk: Walk, seen: Seen, stage: Stage, ahead: Ahead | None) -> None:
    raced = (ahead.raced.result() if ahead else None) or race(stage)
    if len(raced.failures) > 1:  # neither got there
        jobs.need_to_be_alone()
        if ahead:
            raced = race(stage)
    schema = walk.without_version_table(raced.schema)
    differences = difference(walk.get_head(), schema)
    if differences:
        # Is it the race, or does the command never get there? An env.py whose transaction nobody commits ends well, and in vain.
        alone = _upgrade_in_one_go(jobs, walk, seen, stage)
        differences = difference(alone, schema) if alone is not None else differences
    seen.concurrent = Attempt(failures=raced.failures, differences=differences)


def _upgrade_alone(jobs: Jobs, walk: Walk, seen: Seen, stage: Stage) -> None:
    _upgrade_in_one_go(jobs, walk, seen, stage)


def _upgrade_in_one_go(jobs: Jobs, walk: Walk, seen: Seen, stage: Stage) -> Snapshot | None:
    """As users do it: one transaction for all revisions is another thing than one for each. Gives what that makes."""
    made = _make(walk, stage)
    if isinstance(made, Failure):
        jobs.need_to_be_alone()
        seen.plain = Attempt(failures=(made,))
        return None
    differences = difference(walk.get_head(), made)
    if differences:
        # It may be what the command does to the database once Alembic is done: plugins with migrations of their own.
        step_by_step = _make_step_by_step(walk, stage)
        differences = difference(step_by_step, made) if step_by_step is not None else differences
    seen.plain = Attempt(differences=differences)
    if differences and not isinstance(again := _make(walk, stage), Failure):
        seen.unsteady = difference(made, again)
    return made


def _make_step_by_step(walk: Walk, stage: Stage) -> Snapshot | None:
    """What the whole command makes of one with each revision in a transaction of its own. None if it does not get through."""
    with stage.database() as database, stage.process(database) as process:
        try:
            while (conversation := process.arrive(stage.patience_s)) is not None:
                accept(conversation, database)
                described = conversation.ask("prepare")
                for revision in described.get("plan", ()):
                    step = step_request(revision, "upgrade", is_observed=False)
                    if conversation.ask(timeout_s=stage.target.timeout_s, **step).get("failure"):
                        return None
                conversation.ask("stamp" if described.get("is_stamp") else "finish")
            return _schema(database, walk) if stage.wait(process, database) == 0 else None
        except (Gone, TimeoutError):
            return None


def _make(walk: Walk, stage: Stage) -> Snapshot | Failure:
    """What the command makes of a database of its own, without the gate in it."""
    with stage.database() as database:
        return _run_plainly(stage, database) or _schema(database, walk)


def _run_plainly(stage: Stage, database: Database) -> Failure | None:
    """The command without the gate in it."""
    with stage.process(database, is_driven=False) as process:
        try:
            is_well = stage.wait(process, database) == 0
        except TimeoutError:
            return Failure(COMMAND_FAILED, f"for {stage.patience_s:g} s it did nothing, and did not end")
        return None if is_well else Failure(COMMAND_FAILED, process.last_words())
