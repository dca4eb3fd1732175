"""What the command does with Alembic, as the gate sees it: which of that is a walk, and which is no way to verify."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from app.gate.errors import CannotVerify, CommandExited, CommandNeverReachedAlembic, DatabaseSpoiled, OtherDatabase
from app.gate.recording.model import Evidence
from app.gate.server.database import Database
from app.gate.target.process import Process
from app.gate.target.session import DriverSession
from app.gate.target.target import Target
from app.gate.walk import run as module
from app.gate.walk._cuts import Segment
from app.gate.walk.client import DriverClient
from app.gate.walk.plan import ALONE, Beside, RecordingPlan
from app.gate.walk.run import (
    CommandRun,
    _refuse_if_it_stops_below_head,
    _refuse_if_nothing_ran,
    _with_news,
    never_reached_alembic,
    refuse_several_engines,
    walk_all,
)
from app.gate.walk.state import Arrival, Walk
from tests.gate.checks.builders import problem, revision
from tests.gate.played import THROWAWAY, Command, Runner, Session, as_runner
from tests.gate.walk.walks import arrival, base, line_of, walk

LINE = line_of("a1", "b2", "c3")


def run_of(command: Command, runner: Runner | None = None, **fields: Any) -> CommandRun:
    known: dict[str, Any] = {
        "plan": RecordingPlan(),
        "database": THROWAWAY,
        "process": cast(Process, command),
        "on_progress": lambda phase, done, total: None,
        "on_begin": lambda walk: None,
        "beside": ALONE,
    }
    return CommandRun(as_runner(runner or Runner()), **{**known, **fields})


@pytest.fixture
def taken(monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, int]]:
    """The walks that are taken, by their index, and where each begins. Nothing is run."""
    noted: list[tuple[int, int]] = []

    class Segmented:
        def __init__(self, walk: Walk, runner: Any, segments: Any, take_over: Any, on_step: Any) -> None:
            self.walk = walk
            on_step(1)
            noted.append((walk.index, segments[0].begin))

        def take(self, client: DriverClient, on_end: Any, is_at: int) -> None:
            on_end(self.walk, "the schema")

    def choose(walk: Walk, beside: Beside, pace: Any) -> list[Segment]:
        return [Segment(pace.index, len(walk.plan))]

    monkeypatch.setattr(module, "SegmentedWalk", Segmented)
    monkeypatch.setattr(module, "choose_segments", choose)
    monkeypatch.setattr(module, "observe_head", lambda walk, client, schema, on_head: on_head(walk))
    return noted


def arrive(monkeypatch: pytest.MonkeyPatch, *arrivals: Arrival) -> None:
    """Have the command arrive so at each of its calls."""

    def begin(index: int, client: DriverClient, directory: Path, plan: RecordingPlan) -> Walk:
        return walk(arrives=replace(arrivals[index], index=index))

    monkeypatch.setattr(module, "begin_walk", begin)


HEAD: dict[str, Any] = {"plan": (), "current": ("c3",)}


def test_of_the_calls_of_a_command_those_with_something_to_run_are_walked(
    monkeypatch: pytest.MonkeyPatch, taken: list[tuple[int, int]]
) -> None:
    at_head = arrival(*LINE, **HEAD)
    arrive(monkeypatch, arrival(*LINE), at_head, replace(at_head, is_stamp=True), arrival(*LINE))
    sessions = [Session({}, {"late": ["public.lines"]}), Session(), Session(), Session({}, CommandExited("gone"))]
    walks: list[Walk] = []
    progress: list[tuple[str, int, int]] = []
    begun: list[int] = []

    run_of(
        Command(*sessions),
        on_progress=lambda *each: progress.append(each),
        on_begin=lambda walk: begun.append(walk.index),
    ).take_walks(walks, 0)

    assert taken == [(0, 0), (3, 0)]
    assert [session.words for session in sessions] == [["finish"], ["finish"], ["stamp"], ["finish"]]
    assert [each.index for each in walks] == [0, 1, 2, 3]
    assert [each.late for each in walks] == [("public.lines",), (), (), ()]
    assert sessions[0].patience[-1] == 1.0
    assert begun == [0, 1, 3]
    assert progress == [("walk", 1, 3)] * 2


@pytest.mark.parametrize(
    ("start_at", "words", "walked"),
    [
        (2, [["run_whole"], ["prepare", "finish"], ["finish"]], [(1, 2), (2, 0)]),
        (0, [["run_whole"], ["run_whole"], ["finish"]], [(2, 0)]),
    ],
    ids=["in the middle of a walk", "between two walks"],
)
def test_another_run_continues_where_the_last_one_ended(
    monkeypatch: pytest.MonkeyPatch,
    taken: list[tuple[int, int]],
    start_at: int,
    words: list[list[str]],
    walked: list[tuple[int, int]],
) -> None:
    arrive(monkeypatch, *[arrival(*LINE)] * 3)
    sessions = [Session(), Session({}, {}, {"late": []}), Session({}, {"late": []})]
    walks = [walk(arrives=arrival(*LINE, index=index)) for index in (0, 1)]

    run_of(Command(*sessions)).take_walks(walks, start_at)

    assert (taken, [each.index for each in walks]) == (walked, [0, 1, 2])
    assert [session.words for session in sessions] == words


def test_runs_follow_one_another_until_the_walk_is_over(monkeypatch: pytest.MonkeyPatch) -> None:
    ends = iter([DatabaseSpoiled(1), CommandExited("gone"), None])
    begun: list[tuple[int, int]] = []

    def take_walks(self: CommandRun, walks: list[Walk], start_at: int) -> None:
        begun.append((start_at, self._beside.jobs))
        if not walks:
            walks += [walk(arrives=arrival(*LINE)), walk(arrives=arrival(*LINE, index=1))]
        if end := next(ends):
            raise end

    monkeypatch.setattr(CommandRun, "take_walks", take_walks)
    monkeypatch.setattr(module, "note_loss", lambda walk, lost: walk.index + 1)
    runner = Runner(Command(), Command(), Command())
    phases: list[tuple[str, int, int]] = []

    found, _ = walk_all(as_runner(runner), on_progress=lambda *each: phases.append(each), beside=Beside(4))

    assert begun == [(0, 4), (1, 1), (2, 1)]
    assert phases == [("start", 0, 1)] * 3
    assert runner.calls == ["check"]
    assert (found.plan, runner.at_head) == (("a1", "b2", "c3"), None)
    ends = iter([None])
    walk_all(as_runner(Runner(Command())))
    assert begun[-1] == (0, 1)


@pytest.mark.parametrize("starts_at_base", [True, False])
@pytest.mark.parametrize("evidence", [{Evidence.RUNNING}, set()])
def test_the_database_is_kept_where_code_of_the_base_will_run_on_it(
    monkeypatch: pytest.MonkeyPatch, starts_at_base: bool, evidence: set[Evidence]
) -> None:
    monkeypatch.setattr(CommandRun, "take_walks", lambda self, walks, start_at: walks.append(walk()))
    runner = Runner(Command())

    walk_all(as_runner(runner), RecordingPlan(starts_at_base=starts_at_base, evidence=frozenset(evidence)))

    assert (runner.at_head is not None) is (starts_at_base and bool(evidence))


def test_the_walks_with_news_are_reported_or_the_first_one() -> None:
    news, none = walk(arrives=arrival(*LINE)), walk(arrives=arrival(*LINE, plan=()))

    assert _with_news([none, news, none, news]) == [news, news]
    assert _with_news([none, walk(arrives=arrival(plan=(), index=1))]) == [none]


# A command that does not get on.


def test_a_command_that_is_busy_in_the_database_is_waited_for() -> None:
    command = Command(TimeoutError(), TimeoutError(), Session())

    assert run_of(command, Runner(is_busy=iter([True, True]))).next_client(is_first=True) is not None
    assert run_of(command).next_client(is_first=True) is None


@pytest.mark.parametrize(
    ("is_first", "message"),
    [
        (
            True,
            "the command did not reach Alembic within 60 s, and was ended (waits): name the command that upgrades the project's database after --, or give it more time with --timeout",
        ),
        (
            False,
            "the command did nothing in the database for 60 s after Alembic was done, did not end, and was ended (waits): name one that ends once the database is upgraded, or give it more time with --timeout",
        ),
    ],
)
def test_a_command_that_does_nothing_is_ended(is_first: bool, message: str) -> None:
    with pytest.raises(CannotVerify) as refused:
        run_of(Command(TimeoutError(), output="waits")).next_client(is_first=is_first)

    assert str(refused.value) == message


def test_a_command_on_another_database_is_stopped() -> None:
    command = Command(Session(database="production"))
    command.target = Target(("alembic", "upgrade", "head"))

    with pytest.raises(OtherDatabase):
        run_of(command).next_client(is_first=True)


def test_only_the_first_call_counts_as_reaching_alembic(
    monkeypatch: pytest.MonkeyPatch, taken: list[tuple[int, int]]
) -> None:
    arrive(monkeypatch, arrival(*LINE))
    for sessions, words in (((), "did not reach Alembic"), ((Session(),), "after Alembic was done")):
        with pytest.raises(CannotVerify, match=words):
            run_of(Command(*sessions, TimeoutError())).take_walks([], 0)


def test_a_command_that_never_reaches_alembic_is_told_with_what_it_was_refused() -> None:
    def told(output: str) -> CommandNeverReachedAlembic:
        command = Command(status=3, output=output)
        command.target = Target(("alembic", "upgrade", "head"))
        with pytest.raises(CommandNeverReachedAlembic) as refused:
            run_of(command).take_walks([], 0)
        assert str(never_reached_alembic(cast(Process, command))) == str(refused.value)
        return refused.value

    plain = told("starts\nKeyError: 'x'")
    refused = told("psycopg2.errors.InsufficientPrivilege: x\npermission denied")

    assert str(plain).startswith("the command never reached Alembic (exit status 3): KeyError: 'x'; if it is the right")
    assert (plain.refusal, refused.refusal) == (None, "permission denied")


# Several databases.


def test_one_engine_is_one_database_and_two_are_not(blank_database: Database) -> None:
    known: set[str] = set()

    def call(engine: str | None) -> None:
        session = cast(DriverSession, Session(engine=engine, backend="0"))
        refuse_several_engines(session, blank_database, known)

    call(None)
    call("main")
    call("main")
    with pytest.raises(CannotVerify) as refused:
        call("audit")

    assert str(refused.value) == (
        "the command migrates several databases with one history (engine audit and main), and here they would all be the same"
        " throwaway one: verify one at a time; with Alembic's multidb template"
    )
    assert refused.value.options == ("--set", "databases=audit")


def test_a_connection_beside_the_named_one_is_that_of_another_engine(blank_database: Database) -> None:
    with blank_database.connect() as connection:
        backend = str(connection.info.backend_pid)
        refuse_several_engines(cast(DriverSession, Session(engine="main", backend=backend)), blank_database, set())
        refuse_several_engines(cast(DriverSession, Session(backend="0")), blank_database, set())
        with pytest.raises(CannotVerify, match=r"\(engine main\)"):
            refuse_several_engines(cast(DriverSession, Session(engine="main", backend="0")), blank_database, set())


def test_engines_are_remembered_from_call_to_call(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_has_other_connections", lambda database, backend: False)
    run = run_of(Command(Session(engine="main"), Session(engine="audit")))

    assert run.next_client(is_first=True) is not None
    with pytest.raises(CannotVerify, match="several databases"):
        run.next_client(is_first=False)


# What proves nothing.


def refused(*arrivals: Arrival, has_prepare: bool = False) -> str:
    try:
        _refuse_if_nothing_ran([walk(arrives=each) for each in arrivals], has_prepare=has_prepare)
    except CannotVerify as error:
        return str(error)
    return ""


@pytest.mark.parametrize(
    "arrivals",
    [
        [arrival(*LINE)],
        [arrival(*LINE, plan=()), arrival(*LINE)],
        [arrival(*LINE, plan=(), base=base())],
        [arrival(plan=(), problems=[problem("cycle", "a cycle")])],
        [arrival(plan=(), base=base(removed=(("a1", "a1.py"),)))],
    ],
    ids=["a plan", "a plan later", "a base", "a problem", "all removed"],
)
def test_a_command_that_runs_something_is_not_refused(arrivals: list[Arrival]) -> None:
    assert refused(*arrivals) == ""


def test_a_command_that_runs_nothing_is_told_why() -> None:
    at_head = arrival(*LINE, plan=(), current=("b2", "c3"))
    fresh = arrival(*LINE, plan=())

    assert refused(replace(fresh, is_stamp=True)).startswith("the command does not upgrade: it only stamps")
    assert refused(fresh, at_head) == (
        "the command reached Alembic but had no revision to run (the database is at: b2, c3): name the command that upgrades an"
        " empty database to head, after --"
    )
    assert "(the database is at: none)" in refused(fresh)
    assert "(the database is at: none)" in refused(fresh, has_prepare=True)
    assert "(the database is at: none)" in refused(at_head, fresh, has_prepare=True)
    assert refused(at_head, has_prepare=True).startswith(
        "--prepare left the database at b2, c3, where there is no revision left to run: let it make no more than"
    )


def test_a_history_without_revisions_is_told_with_its_folders(tmp_path: Path) -> None:
    there, gone, other = tmp_path, tmp_path / "gone", tmp_path / "other"

    def of(*locations: Path) -> str:
        return refused(arrival(base=base(), locations=locations), arrival(locations=locations[:1]))

    assert of(there) == (
        f"there is no revision in {there}, so nothing was checked: write the first one (alembic revision --autogenerate"
        ' -m "…"), or name the folder that has them in version_locations'
    )
    assert of().startswith("there is no revision in the script location, so nothing was checked: write")
    assert of(gone, there).startswith(
        f"there is no revision, so nothing was checked: {gone} is no such folder, and Alembic looks for revisions there: correct"
    )
    assert of(gone, other).startswith(
        f"there is no revision, so nothing was checked: {gone} and {other} are no such folders, and"
    )


def stops(*arrivals: Arrival) -> str:
    try:
        _refuse_if_it_stops_below_head([walk(arrives=each) for each in arrivals])
    except CannotVerify as error:
        return str(error)
    return ""


def test_a_command_that_stops_below_every_head_is_refused() -> None:
    half = arrival(*LINE, plan=("a1", "b2"))

    assert stops(half) == (
        "the command stops at b2, below the head c3, so what comes after was not checked: name the command that upgrades an empty"
        " database to head, after --"
    )
    other = arrival(*line_of("x1"), handshake={"version_table": "other"})
    assert stops(other, half) == stops(half, other) == stops(half)


def test_a_head_may_be_reached_in_several_walks_and_one_of_several_is_enough() -> None:
    half = arrival(*LINE, plan=("a1", "b2"))
    fork = revision("x9", "a1")

    assert stops(arrival(*LINE)) == ""
    assert stops(arrival(*LINE), half) == ""
    assert stops(replace(half, current=("c3",))) == ""
    assert stops(arrival(*LINE, fork, plan=("a1", "x9"))) == ""
    assert stops(arrival(*LINE, plan=())) == ""
    assert stops(replace(half, graph=replace(half.graph, heads=()))) == ""
    assert stops(replace(half, graph=replace(half.graph, problems=(problem("cycle", "a cycle"),)))) == ""


def test_the_messages_are_said_of_the_runs_own_prepare(
    monkeypatch: pytest.MonkeyPatch, taken: list[tuple[int, int]]
) -> None:
    arrive(monkeypatch, arrival(*LINE, **HEAD))
    runner = Runner(target=SimpleNamespace(prepare=("make", "tables"), directory=None, timeout_s=9.0))

    with pytest.raises(CannotVerify, match=r"^--prepare left the database at c3"):
        run_of(Command(Session()), runner).take_walks([], 0)

    half = arrival(*LINE, plan=("a1",))
    arrive(monkeypatch, half)
    with pytest.raises(CannotVerify, match="the command stops at a1"):
        run_of(Command(Session({}, {"late": []}))).take_walks([], 0)
