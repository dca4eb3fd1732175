"""All walks that one command makes, on as many databases as it takes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import ExitStack, suppress
from dataclasses import replace

from app.gate.errors import CannotVerify, CommandExited, CommandNeverReachedAlembic, DatabaseSpoiled, StepTimedOut
from app.gate.recording.model import Evidence, Snapshot
from app.gate.server.database import Database
from app.gate.target.advice import advise
from app.gate.target.process import Process
from app.gate.target.runner import TargetRunner, check_database
from app.gate.target.session import DriverSession
from app.gate.walk._cuts import Pace, choose_segments
from app.gate.walk._head import observe_head, observe_model_statements
from app.gate.walk._segments import SegmentedWalk
from app.gate.walk.begin import begin_walk
from app.gate.walk.client import DriverClient
from app.gate.walk.plan import ALONE, WHOLE_RECORDING, Beside, RecordingPlan
from app.gate.walk.state import Arrival, Walk
from app.gate.walk.walker import Walker, note_loss
from app.gate.wording import listed

OnProgress = Callable[[str, int, int], None]  # phase, done, total
OnWalk = Callable[[Walk], None]

_LATE_TABLES_S = 1.0  # the command has ended, so they are there, unless a child of the command still has the socket


def walk_all(
    runner: TargetRunner,
    plan: RecordingPlan = WHOLE_RECORDING,
    on_progress: OnProgress = lambda phase, done, total: None,
    on_begin: OnWalk = lambda walk: None,
    beside: Beside = ALONE,
) -> list[Walk]:
    """Every walk that the command makes. `on_begin` is called with each before its first step.

    Raises CannotVerify, what the callbacks raise, DisturbedByOtherRun if it has to be repeated without other jobs, and
    SegmentsDiffer if it has to be repeated in one segment.
    """
    walks: list[Walk] = []
    start_at = 0  # where in the plan of the last walk the next run continues
    while True:
        with ExitStack() as stack:
            on_progress("start", 0, 1)
            database = stack.enter_context(runner.database())
            process = stack.enter_context(runner.process(database))
            try:
                run = CommandRun(runner, plan, database, process, on_progress, on_begin, beside)
                run.take_walks(walks, start_at)
                if plan.starts_at_base and Evidence.RUNNING in plan.evidence:
                    runner.keep(database)
                return _with_news(walks)
            except DatabaseSpoiled as spoiled:
                start_at = spoiled.next_index
            except (CommandExited, StepTimedOut) as lost:
                runner.server.supervisor.check()  # without its server no command lives long
                start_at = note_loss(walks[-1], lost)
            beside = replace(beside, jobs=1)  # for what is left, which is known to be unusual


class CommandRun:
    """One run of the command on one database, with all calls of Alembic that it makes."""

    def __init__(
        self,
        runner: TargetRunner,
        plan: RecordingPlan,
        database: Database,
        process: Process,
        on_progress: OnProgress,
        on_begin: OnWalk,
        beside: Beside,
    ) -> None:
        self._runner = runner
        self._plan = plan
        self._database = database
        self._process = process
        self._on_progress = on_progress
        self._on_begin = on_begin
        self._beside = beside
        self._engines: set[str] = set()  # named by the calls so far

    def take_walks(self, walks: list[Walk], start_at: int) -> None:
        """Take the walks that are not over, and append new ones. The first begins at that index of its plan."""
        over = len(walks) - 1 if start_at else len(walks)
        index = 0
        ended: list[tuple[Walk, DriverClient]] = []
        while (client := self.next_client(is_first=index == 0)) is not None:
            if index < over:
                client.end("run_whole")
            else:
                walk = self.begin_walk(index, client, walks)
                if walk.arrival.is_news:
                    self.take_walk(walk, client, start_at)
                    start_at = 0
                    ended.append((walk, client))
                else:
                    client.end("stamp" if walk.arrival.is_stamp else "finish")
            index += 1
        for walk, client in ended:
            self.note_late_tables(walk, client)
        if not walks:
            raise never_reached_alembic(self._process)
        _refuse_if_nothing_ran(walks, has_prepare=bool(self._runner.target.prepare))
        _refuse_if_it_stops_below_head(walks)

    def next_client(self, *, is_first: bool) -> DriverClient | None:
        """The driver in the command's next call of Alembic. None once the command has ended. Raises CannotVerify."""
        try:
            session = self._next_session()
        except TimeoutError:
            raise CannotVerify(self._why_it_was_ended(is_first)) from None
        if session is None:
            return None
        check_database(session, self._database, self._process)
        refuse_several_engines(session, self._database, self._engines)
        return DriverClient(session, self._runner, self._database)

    def _next_session(self) -> DriverSession | None:
        """Raises TimeoutError if the command does nothing in the database for so long."""
        while True:
            try:
                return self._process.next_session(self._runner.start_patience_s)
            except TimeoutError:
                if not self._runner.is_getting_on(self._database):
                    raise

    def _why_it_was_ended(self, is_first: bool) -> str:
        seconds, words = f"{self._runner.start_patience_s:g} s", self._process.last_words()
        if is_first:
            return (
                f"the command did not reach Alembic within {seconds}, and was ended ({words}): name the command that upgrades the"
                " project's database after --, or give it more time with --timeout"
            )
        return (
            f"the command did nothing in the database for {seconds} after Alembic was done, did not end, and was ended ({words}):"
            " name one that ends once the database is upgraded, or give it more time with --timeout"
        )

    def begin_walk(self, index: int, client: DriverClient, walks: list[Walk]) -> Walk:
        """The walk with that index: a new one, or the last one, which continues."""
        if index < len(walks):
            client.prepare()
            return walks[index]
        walk = begin_walk(index, client, self._runner.target.directory, self._plan)
        walks.append(walk)
        if not walk.arrival.is_stamp:
            self._on_begin(walk)
        return walk

    def take_walk(self, walk: Walk, client: DriverClient, start_at: int) -> None:
        """Take one walk from that index of its plan on."""

        def on_step(done: int) -> None:
            self._on_progress("walk", done, len(walk.plan))

        def goes_on(index: int) -> bool:
            pace.note(index)
            on_step(index)
            return index < end

        def on_end(walk: Walk, schema: Snapshot) -> None:
            observe_head(walk, client, schema, self._beside.on_head)

        pace = Pace(walk, start_at, self._beside)
        is_at = 0  # up to where the plan has been walked on this database
        while (end := pace.next_index) > pace.index:
            Walker(walk, client, is_at=is_at).walk(pace.index, goes_on)
            is_at = pace.index
        segments = choose_segments(walk, self._beside, pace)
        SegmentedWalk(walk, self._runner, segments, pace.take_over, on_step).take(client, on_end, is_at)
        observe_model_statements(walk, client)
        client.end("finish")

    def note_late_tables(self, walk: Walk, client: DriverClient) -> None:
        """After the command has ended: note the tables that it added to the models once Alembic was done."""
        with suppress(CommandExited, TimeoutError):  # it may not end as Python does
            walk.late = client.late_tables(_LATE_TABLES_S)


def refuse_several_engines(session: DriverSession, database: Database, known: set[str]) -> None:
    """Raises CannotVerify where env.py migrates several databases, which would all be the throwaway one.

    They are known by the names that it gives to its engines: an engine that earlier calls did not name, or a connection
    next to the named one, as where env.py opens all of them first. They would wait for each other's locks.
    """
    engine = session.handshake["engine"]
    if engine is None:
        return
    known.add(engine)
    if len(known) < 2 and not _has_other_connections(database, session.handshake["backend"]):
        return
    raise CannotVerify(
        f"the command migrates several databases with one history (engine {listed(sorted(known))}), and here they would all be the same"
        " throwaway one: verify one at a time; with Alembic's multidb template",
        ("--set", f"databases={engine}"),
    )


def _has_other_connections(database: Database, backend: str) -> bool:
    with database.connect() as connection, connection.cursor() as cursor:
        cursor.execute(
            "SELECT FROM pg_stat_activity WHERE datname = current_database() AND backend_type = 'client backend'"
            " AND pid NOT IN (pg_backend_pid(), %s)",
            [int(backend)],
        )
        return cursor.rowcount > 0


def never_reached_alembic(process: Process) -> CommandNeverReachedAlembic:
    """The error for a command that has ended, with advice."""
    status = process.wait()
    refusal = process.last_words() if "InsufficientPrivilege" in process.output() else None  # in any driver
    advice = advise(process.output(), status, process.target, process.asked_for())
    return CommandNeverReachedAlembic(
        f"the command never reached Alembic (exit status {status}): {process.last_words()}; {advice.text}",
        advice.options,
        refusal,
    )


def _refuse_if_nothing_ran(walks: Sequence[Walk], *, has_prepare: bool) -> None:
    """Raises CannotVerify if the command had no revision to run in any walk."""
    arrivals = [walk.arrival for walk in walks]
    if not any(map(_has_revisions, arrivals)):
        raise CannotVerify(_why_there_is_no_revision(arrivals))
    if any(arrival.plan or arrival.base or arrival.graph.problems for arrival in arrivals):
        return
    if any(arrival.is_stamp for arrival in arrivals):
        raise CannotVerify(
            "the command does not upgrade: it only stamps an empty database with a revision, and runs none; name the command that"
            " brings an empty database to head by its revisions, after --"
        )
    current = ", ".join(arrivals[-1].current) or "none"
    if has_prepare and arrivals[-1].current:
        raise CannotVerify(
            f"--prepare left the database at {current}, where there is no revision left to run: let it make no more than what the"
            " first revision expects to find, and mark the database with no revision"
        )
    raise CannotVerify(
        f"the command reached Alembic but had no revision to run (the database is at: {current}): name the command that"
        " upgrades an empty database to head, after --"
    )


def _refuse_if_it_stops_below_head(walks: Sequence[Walk]) -> None:
    """Raises CannotVerify if the command reaches no head of a history, as `upgrade +1` does not.

    The schema that it ends with is not the one that the models are to be compared with. One head of several is enough.
    """
    for last in {walk.arrival.history: walk.arrival for walk in walks}.values():
        of_history = [walk.arrival for walk in walks if walk.arrival.history == last.history]
        reached = {revision for arrival in of_history for revision in (*arrival.plan, *arrival.current)}
        below = [
            each for each in last.plan if not any(each in last.revisions[child].down_revisions for child in last.plan)
        ]
        if not last.plan or not last.graph.heads or last.graph.problems or reached & set(last.graph.heads):
            continue
        raise CannotVerify(
            f"the command stops at {listed(below)}, below the head {listed(last.graph.heads)}, so what comes after was not"
            " checked: name the command that upgrades an empty database to head, after --"
        )


def _has_revisions(arrival: Arrival) -> bool:
    """Whether there is a history to judge: one that cannot be read, or that the branch has removed, is one."""
    is_removed = arrival.base is not None and bool(arrival.base.removed)
    return bool(arrival.graph.revisions or arrival.graph.problems or is_removed)


def _why_there_is_no_revision(arrivals: Sequence[Arrival]) -> str:
    """What was searched, and what to do: a history without a revision proves nothing."""
    folders = list(dict.fromkeys(folder for arrival in arrivals for folder in arrival.locations))
    missing = [str(folder) for folder in folders if not folder.is_dir()]
    if missing:
        are = "is no such folder" if len(missing) == 1 else "are no such folders"
        return (
            f"there is no revision, so nothing was checked: {listed(missing)} {are}, and Alembic looks for revisions there:"
            " correct version_locations or script_location in the Alembic configuration"
        )
    place = listed(list(map(str, folders))) or "the script location"
    return (
        f"there is no revision in {place}, so nothing was checked: write the first one"
        ' (alembic revision --autogenerate -m "…"), or name the folder that has them in version_locations'
    )


def _with_news(walks: list[Walk]) -> list[Walk]:
    """The walks that have something to report, and the first one if none has."""
    return [walk for walk in walks if walk.arrival.is_news] or walks[:1]
