"""The database at the base, from which every run of the command begins."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace
from typing import Any, cast

import pytest

from app.gate import recorder as module
from app.gate.base_cache import BaseCache
from app.gate.errors import CannotVerify, CommandNeverReachedAlembic
from app.gate.recorder import (
    _apply_base,
    _build_base,
    _find_base,
    _find_start,
)
from app.gate.target.target import Target
from app.gate.walk.plan import RecordingPlan
from app.gate.walk.state import Walk
from tests.gate.checks.builders import revision
from tests.gate.played import THROWAWAY, Command, Runner, Session, as_runner
from tests.gate.walk.walks import arrival, walk

OLD, NEW = replace(revision("a1"), is_new=False), revision("b2", "a1")
PLAN = RecordingPlan("main")


def cache(**fields: Any) -> BaseCache:
    known: dict[str, Any] = {"found": None, "start": None, "store_pending": lambda server, database: None}
    return cast(BaseCache, SimpleNamespace(**{**known, **fields}))


@pytest.mark.parametrize(
    ("plan", "prepare", "of_base", "start"),
    [
        (RecordingPlan(), (), None, ()),
        (RecordingPlan(), ("make", "tables"), None, None),
        (RecordingPlan(starts_at_base=True), (), None, None),
        (RecordingPlan(starts_at_base=True), (), cache(start=("a1",)), ("a1",)),
    ],
)
def test_where_the_walk_begins_is_known_of_an_empty_database_and_of_a_cached_one(
    plan: RecordingPlan, prepare: tuple[str, ...], of_base: BaseCache | None, start: tuple[str, ...] | None
) -> None:
    runner = Runner()
    runner.target.prepare = prepare

    assert _find_start(as_runner(runner), plan, of_base) == start


def test_a_cached_base_is_used_and_another_is_built_and_stored(monkeypatch: pytest.MonkeyPatch) -> None:
    stored: list[Any] = []
    built = iter([THROWAWAY, THROWAWAY, None])
    plans: list[RecordingPlan] = []

    def build(runner: Any, plan: RecordingPlan) -> Any:
        plans.append(plan)
        return next(built)

    monkeypatch.setattr(module, "_build_base", build)
    runner = Runner()
    runner.server.database = lambda name: f"the database {name}"
    empty = cache(store_pending=lambda server, database: stored.append(database))
    plan = replace(PLAN, is_cached=True)

    def find(of: BaseCache | None) -> Any:
        return _find_base(as_runner(runner), plan, of)

    assert find(cache(found=SimpleNamespace(database="base"))) == "the database base"
    assert (find(None), stored) == (THROWAWAY, [])
    assert (find(empty), stored) == (THROWAWAY, [THROWAWAY])
    assert (find(empty), stored) == (None, [THROWAWAY])
    assert plans == [plan, PLAN, PLAN]


@pytest.mark.parametrize(
    ("answers", "is_kept", "prepared"),
    [([True], True, 1), ([False], False, 1), ([None, True], True, 1), ([None, False], False, 1)],
)
def test_a_base_to_which_the_branch_adds_nothing_is_dropped(
    monkeypatch: pytest.MonkeyPatch, answers: list[bool | None], is_kept: bool, prepared: int
) -> None:
    left = list(answers)
    dropped: list[Any] = []
    runner = Runner()
    runner.server.create_database = lambda: THROWAWAY
    runner.server.for_command = lambda database: database
    runner.server.drop_database = dropped.append
    monkeypatch.setattr(module, "_apply_base", lambda runner, plan, database: left.pop(0))

    found = _build_base(as_runner(runner), PLAN)

    assert (found, dropped) == ((THROWAWAY, []) if is_kept else (None, [THROWAWAY]))
    assert (left, runner.calls) == ([], ["prepare"] * prepared)


def test_a_command_that_stamps_its_tables_twice_runs_no_revision(monkeypatch: pytest.MonkeyPatch) -> None:
    runner = Runner()
    runner.server.create_database = runner.server.for_command = lambda *_: THROWAWAY
    monkeypatch.setattr(module, "_apply_base", lambda runner, plan, database: None)

    with pytest.raises(
        CannotVerify, match=r"^on a database at main too, the command only creates the tables by code and"
    ):
        _build_base(as_runner(runner), PLAN)


@pytest.fixture
def arrivals(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """How the command arrives at each of its calls."""
    found: list[Any] = []

    def begin(index: int, client: Any, directory: Any, plan: Any) -> Walk:
        return walk(arrives=replace(found[index], index=index))

    monkeypatch.setattr(module, "begin_walk", begin)
    return found


def test_each_call_is_brought_to_the_base_and_then_left_to_the_command(arrivals: list[Any]) -> None:
    arrivals += [arrival(OLD), arrival(OLD, NEW), arrival(OLD, is_stamp=True)]
    sessions = [Session(), Session(), Session()]

    assert _apply_base(as_runner(Runner(Command(*sessions))), PLAN, THROWAWAY) is True

    assert [each.words for each in sessions] == [["step", "finish"], ["step", "finish"], ["stamp"]]
    assert [arguments["revision"] for do, arguments in sessions[1].asked if do == "step"] == ["a1"]


def test_a_branch_that_adds_nothing_is_known_by_all_calls(arrivals: list[Any]) -> None:
    arrivals += [arrival(OLD), arrival(OLD)]

    assert _apply_base(as_runner(Runner(Command(Session(), Session()))), PLAN, THROWAWAY) is False


def test_tables_made_by_code_are_dropped_and_the_base_is_applied_in_their_place(arrivals: list[Any]) -> None:
    arrivals.append(arrival(OLD, NEW, is_stamp=True, stamped=("b2",)))
    session, runner = Session({"plan": ["a1", "b2"]}), Runner()
    runner.commands.append(Command(session))

    assert _apply_base(as_runner(runner), PLAN, THROWAWAY) is None

    assert session.words == ["empty", "step", "stop"]
    assert runner.calls == ["prepare"]


def test_a_command_that_does_not_reach_alembic_has_no_base() -> None:
    command = Command(status=3, output="KeyError")
    command.target = Target(("alembic",))

    with pytest.raises(CommandNeverReachedAlembic, match=r"exit status 3\): KeyError"):
        _apply_base(as_runner(Runner(command)), PLAN, THROWAWAY)
