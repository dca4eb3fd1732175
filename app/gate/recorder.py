"""The recorder: runs the target's command on throwaway databases, and writes down what PostgreSQL did.

The first run is the walk (see `walk.py`), one for each time that the command calls Alembic. More runs of the same command then
look at the same history from other sides (see `attempts.py`).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path

from app.gate import attempts
from app.gate.history import relative, repository_root
from app.gate.kept import KeptBase
from app.gate.process import Gone, Hung, Process
from app.gate.recording import EVERY_PART, GOES_ON, Failure, Part, Recording, Step, Trip
from app.gate.server import Database, Server
from app.gate.settled import settle
from app.gate.stage import Stage, accept, arrive_at
from app.gate.target import CannotVerify, Target, check_command
from app.gate.walk import Spoiled, Walk, Walker, begin_walk

OnProgress = Callable[[str, int, int], None]  # phase, done, total
# Each that fails costs one more run of the command up to it. Older ones have long been run where they could be interrupted.
COMMITTING_REVISIONS = 5  # that are tried over rows: each may need a database of its own
INTERRUPTED_REVISIONS = 5


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
                walks = walk_all(stage, on_progress, kept)
            if kept is not None:
                kept.settle(walks)
            _leave_out_stops(walks)
            _confirm_all(walks, stage, on_progress)
            if Part.INTERRUPTIONS in parts:
                _interrupt_all(walks, stage, on_progress)
            _populate_all(walks, stage, on_progress)
            seen = attempts.attempt_all(walks, stage, on_progress, ahead)
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
            except Gone as gone:
                stage.server.keeper.check()  # without its server no command lives long
                start_at = _note_loss(walks, gone)
            except Hung as hung:
                start_at = _note_hang(walks, hung)


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
        index += 1
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
        raise CannotVerify(
            f"the command reached Alembic but had no revision to run (the database is at: {current}): name the command that"
            " upgrades an empty database to head, after --"
        )


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


def _note_loss(walks: list[Walk], gone: Gone) -> int:
    """The process ended in the middle of a step: that step failed. Gives where the walk goes on."""
    if not walks or walks[-1].at is None:
        raise CannotVerify(f"the command ended while Alembic was at work in it: {gone}") from gone
    return _note(walks[-1], Failure("Gone", f"the command ended in the middle of the revision: {gone}"))


def _note_hang(walks: list[Walk], hung: Hung) -> int:
    return _note(walks[-1], Failure("Timeout", str(hung)))


def _note(walk: Walk, failure: Failure) -> int:
    """Write down that the step under way failed."""
    name, direction = walk.at or ("", "")
    step = Step(name, direction, 0.0, transactional=False, failure=replace(failure, revision=name))
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


def _leave_out_stops(walks: Sequence[Walk]) -> None:
    """Of walks through one history (to one head first, say, and then to another), only the last one ends where the models are."""
    last = {walk.history: walk for walk in walks}
    for walk in walks:
        if walk is not last[walk.history] and walk.head is not None:
            walk.is_stop = True
            walk.head = walk.drift = None
            parts = ("head", "models", "drift", "offline", "concurrent")
            walk.missing.update(dict.fromkeys(parts, GOES_ON))


def _confirm_all(walks: list[Walk], stage: Stage, on_progress: OnProgress) -> None:
    """Go the suspects' way again with commits, on databases of their own."""
    for walk in walks:
        left = list(walk.suspects)
        while left:
            on_progress("confirm", len(walk.suspects) - len(left), len(walk.suspects))
            with _walker_anew(walk, stage) as walker:
                left = walker.confirm(left)


def _interrupt_all(walks: list[Walk], stage: Stage, on_progress: OnProgress) -> None:
    """Kill the upgrades that commit half way between two of their statements, and see whether they can be run again."""
    for walk in walks:
        points = walk.points_of_interruption(INTERRUPTED_REVISIONS)
        left: Sequence[tuple[str, int]] = points
        while left:
            on_progress("interrupt", len(points) - len(left), len(points))
            with _walker_anew(walk, stage) as walker:
                left = walker.interrupt(left)


def _populate_all(walks: list[Walk], stage: Stage, on_progress: OnProgress) -> None:
    """Run over rows what could not be held, or has no way down, so that it was not possible during the walk."""
    for walk in walks:
        postponed: Sequence[str] = [name for name in walk.plan if name in walk.unpopulated]
        committing = [name for name in postponed if (up := walk.trips[name].up) and not up.transactional]
        too_many = set(committing[:-COMMITTING_REVISIONS])
        for name in too_many:
            reason = f"it commits by itself, and only the last {COMMITTING_REVISIONS} that do are tried over rows"
            walk.trips[name] = replace(
                walk.trips[name], not_covered=dict.fromkeys(walk.unpopulated[name].touched, reason)
            )
        left: Sequence[str] = [name for name in postponed if name not in too_many]
        total = len(left)
        while left:
            on_progress("rows", total - len(left), total)
            try:
                with _walker_anew(walk, stage) as walker:
                    left = walker.populate(left)
            except (Gone, Hung) as error:
                at, _ = walk.at or (left[0], "")
                tables = walk.unpopulated[at].touched if at in walk.unpopulated else ()
                walk.trips[at] = replace(walk.trips[at], not_covered=dict.fromkeys(tables, f"over rows, {error}"))
                left = left[left.index(at) + 1 :] if at in left else ()


def _settled_by(walk: Walk, seen: attempts.Seen) -> dict[str, str] | None:
    """The tables that another run from the same base need not compare with their models. None if this one did not do so either."""
    if walk.start is None or walk.head is None or walk.drift is None or seen.models is None:
        return None
    told = [*(each.object for each in walk.drift), *walk.hidden, *walk.refused]
    return settle(walk.models, walk.start, walk.head, seen.models, told)


@contextmanager
def _walker_anew(walk: Walk, stage: Stage) -> Iterator[Walker]:
    """A walker for that walk at its beginning, on a database of its own."""
    with stage.database() as database, stage.process(database) as process:
        conversation = arrive_at(walk.index, process, database)
        if conversation is None:
            raise CannotVerify(f"the command did not reach Alembic a second time: {process.last_words()}")
        conversation.ask("prepare")
        yield Walker(walk, conversation, stage.target.timeout_s, stage.canceller(database))


def _env_path(walk: Walk, root: Path) -> str | None:
    env = Path(walk.hello["script_location"] or "") / "env.py"
    return relative(env, root) if env.is_file() else None


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
        trips=tuple(walk.trips[name] for name in walk.plan if name in walk.trips),
        head=walk.head,
        models=seen.models,
        model_failure=seen.model_failure,
        drift=walk.drift,
        hidden=walk.hidden,
        unregistered=unregistered,
        plain=seen.plain,
        offline=seen.offline,
        concurrent=seen.concurrent,
        has_metadata=walk.has_metadata,
        base=walk.base,
        env_path=_env_path(walk, root),
        missing={**walk.missing, **seen.missing},
    )
