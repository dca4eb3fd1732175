"""What the gate asks of the driver, and what it makes of the answers. The driver is played."""

from __future__ import annotations

import json
from types import SimpleNamespace
from typing import Any, cast

import pytest

from app.gate.errors import CannotVerify, CommandExited, StepTimedOut
from app.gate.recording.model import Direction, Failure, Statement, Step
from app.gate.rows.connection import CommitRefused, QueryRefused
from app.gate.target.session import DriverSession
from app.gate.walk import client as module
from app.gate.walk.client import CANCEL_PATIENCE_S, LOCK_PATIENCE_S, DriverClient, lost_step
from tests.gate.played import THROWAWAY, Runner, Session, as_runner

BROKEN: dict[str, Any] = {"error": "psycopg2.errors.UndefinedTable", "message": "no such table", "sqlstate": "42P01"}
BROKE = Failure("psycopg2.errors.UndefinedTable", "no such table", "42P01")


def client_of(session: Session, runner: Runner | None = None) -> Any:
    return DriverClient(cast(DriverSession, session), as_runner(runner or Runner()), THROWAWAY)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """What the time is, each time that it is looked at; the last of them from then on."""
    times = [0.0]
    monkeypatch.setattr(module, "time", SimpleNamespace(monotonic=lambda: times.pop(0) if len(times) > 1 else times[0]))
    return times


# The beginning.


def test_the_driver_is_lent_a_superuser_where_the_commands_role_is_an_ordinary_one() -> None:
    ordinary, session = Runner(), Session({"plan": ["a1"]})
    ordinary.server.ordinary = SimpleNamespace(lent="lent")

    assert client_of(session, ordinary).prepare() == {"plan": ["a1"]}
    assert session.asked == [("prepare", {"superuser": "lent"})]
    session = Session({"failure": BROKEN})
    assert client_of(session).prepare() == BROKE
    assert session.asked == [("prepare", {"superuser": None})]


def test_what_was_created_by_code_is_dropped_or_the_run_ends() -> None:
    session = Session({"plan": ["a1", "b2"]})

    assert client_of(session).empty_database() == ["a1", "b2"]
    assert session.asked == [("empty", {})]
    with pytest.raises(
        CannotVerify, match=r"^what the command has created by code cannot be dropped again: no such table$"
    ):
        client_of(Session({"failure": BROKEN})).empty_database()


def test_the_rest_is_left_to_the_command_and_tables_that_it_loads_late_are_heard_of() -> None:
    session = Session({}, {"late": ["public.lines"]})
    client = client_of(session)

    client.end("finish")

    assert client.late_tables(1.5) == ("public.lines",)
    assert session.asked == [("finish", {})]
    assert session.patience == [None, 1.5]


# Steps.

SEEN = {
    "sql": "ALTER TABLE orders …",
    "duration_ms": 1.23456,
    "line": 7,
    "transactional": False,
    "locks": {"public.b": ["ShareLock"], "public.a": ["ShareLock", "RowShareLock"]},
    "rewrites": ["public.d", "public.c"],
    "scans": ["public.f", "public.e"],
    "index_builds": ["public.h", "public.c", "public.g"],
    "written": {"public.z": 1, "public.y": 2},
    "updated": {"public.z": 1, "public.y": 0},
    "lock_timeout_ms": 500,
}


def test_a_step_is_what_the_driver_has_seen_in_order() -> None:
    answer = {
        "duration_ms": 2.34567,
        "transactional": False,
        "statements": [SEEN, {"sql": "SELECT 1", "duration_ms": 1.0, "line": None, "transactional": True}],
        "failure": BROKEN,
        "refused": [BROKEN],
        "swallowed": [BROKEN],
    }

    step = client_of(Session(answer)).commit_step("b2", Direction.DOWNGRADE)

    seen = Statement(
        "ALTER TABLE orders …",
        1.235,
        7,
        {"public.a": frozenset({"ShareLock", "RowShareLock"}), "public.b": frozenset({"ShareLock"})},
        rewrites=("public.c", "public.d"),
        scans=("public.e", "public.f"),
        index_builds=("public.g", "public.h"),  # that of a rewritten table is part of the rewrite
        written={"public.y": 2, "public.z": 1},
        updated={"public.y": 0, "public.z": 1},
        transactional=False,
        lock_timeout_ms=500,
    )
    assert step == Step(
        "b2",
        Direction.DOWNGRADE,
        2.346,
        transactional=False,
        statements=(seen, Statement("SELECT 1", 1.0)),
        failure=Failure(**BROKEN, revision="b2"),
        refused=(BROKE,),
        swallowed=(BROKE,),
    )
    assert [*step.statements[0].locks] == ["public.a", "public.b"]
    assert [*step.statements[0].written] == [*step.statements[0].updated] == ["public.y", "public.z"]


def test_what_a_long_history_says_again_and_again_is_kept_once() -> None:
    client = client_of(Session(*(json.loads(json.dumps({"statements": [SEEN]})) for _ in range(2))))

    first, second = (client.commit_step("b2", direction).statements[0] for direction in Direction)

    assert first.sql is second.sql
    assert all(one is other for one, other in zip(first.locks, second.locks, strict=True))
    assert all(modes is second.locks[table] for table, modes in first.locks.items())
    assert not any(hasattr(each, "__dict__") for each in (first, Step("b2", Direction.UPGRADE, 0.0)))


def test_a_step_of_which_little_is_said_was_an_ordinary_one() -> None:
    assert client_of(Session({})).commit_step("a1", Direction.UPGRADE) == Step("a1", Direction.UPGRADE, 0.0)


def asked_of(session: Session) -> dict[str, Any]:
    ((do, arguments),) = session.asked
    assert do == "step"
    return arguments


PLAIN = {
    "revision": "a1",
    "direction": "upgrade",
    "observe": False,
    "stop_before": None,
    "then": [],
    "stays_open": False,
    "in_one_run": False,
}


@pytest.mark.parametrize("how", [{}, {"observe": True}, {"stays_open": True}, {"in_one_run": True}])
def test_the_driver_is_told_how_to_take_a_step(how: dict[str, bool]) -> None:
    session = Session({})

    client_of(session).commit_step("a1", Direction.UPGRADE, **cast(Any, how))

    assert asked_of(session) == {**PLAIN, **how}


def test_what_is_read_right_after_a_step_comes_with_it_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "statements_for_changes", lambda since: [f"changes since {since}"])
    monkeypatch.setattr(module, "read_changes", lambda since, ask: ask([f"changes since {since}"]))
    session = Session({"value": "read ahead"}, {"value": "asked for"}, {"value": "again"})
    client = client_of(session)

    client.commit_step("a1", Direction.UPGRADE, since=cast(Any, "then"))

    assert session.asked[0][1]["then"] == ["changes since then"]
    assert client.read_schema(cast(Any, "then")) == "read ahead"
    assert client.read_schema(cast(Any, "before")) == "asked for"
    assert client.read_schema(cast(Any, "then")) == "again"
    assert session.asked[1:] == [("query", {"statements": [f"changes since {at}"]}) for at in ("before", "then")]


def test_what_applies_only_in_one_run_with_those_before_it_is_always_run_so() -> None:
    runner = Runner()
    session = Session({}, {}, {}, {"failure": BROKEN}, {})
    client = client_of(session, runner)

    assert client.commit_in_one_run("a1", observe=True).failure is None
    client.commit_step("a1", Direction.UPGRADE)
    client.commit_step("a1", Direction.DOWNGRADE)
    assert client.commit_in_one_run("b2").failure is not None
    client.commit_step("b2", Direction.UPGRADE)

    assert [arguments["in_one_run"] for _, arguments in session.asked] == [True, True, False, True, False]
    assert [arguments["observe"] for _, arguments in session.asked] == [True, False, False, False, False]
    assert runner.only_in_one_run == {"a1"}


def test_a_script_that_wants_to_commit_in_the_rollback_only_transaction_is_refused() -> None:
    client = client_of(Session({"commits": True}, {"commits": False}))

    assert isinstance(client.take_step("a1", Direction.UPGRADE), CommitRefused)
    assert client.take_step("a1", Direction.UPGRADE) == Step("a1", Direction.UPGRADE, 0.0)


def test_a_script_that_waits_for_the_rollback_only_transaction_is_like_one_that_commits() -> None:
    runner = Runner(is_busy=iter([False, True, False]))
    session = Session(TimeoutError(), TimeoutError(), {}, TimeoutError(), {})
    client = client_of(session, runner)

    assert isinstance(client.take_step("a1", Direction.UPGRADE), CommitRefused)
    assert runner.calls == ["cancel what 7 blocks"] * 2
    assert session.patience == [LOCK_PATIENCE_S] * 3
    assert client.take_step("a1", Direction.UPGRADE) == Step("a1", Direction.UPGRADE, 0.0)


def test_a_committed_step_has_all_the_time_that_is_left(clock: list[float]) -> None:
    clock[:] = [100.0, 101.0]
    session = Session({})

    client_of(session).commit_step("a1", Direction.UPGRADE)

    assert session.patience == [8.0]


def test_a_step_that_is_late_is_cancelled_and_has_timed_out(clock: list[float]) -> None:
    clock[:] = [100.0, 100.0, 109.0]
    runner, session = Runner(), Session(TimeoutError(), {"failure": BROKEN, "duration_ms": 3.0})

    step = client_of(session, runner).commit_step("a1", Direction.UPGRADE)

    assert step.failure == Failure("Timeout", "did not end within 9 s", revision="a1")
    assert step.duration_ms == 3.0
    assert runner.calls == ["cancel 7"]
    assert session.patience == [9.0, CANCEL_PATIENCE_S]


def test_a_step_that_ends_just_as_it_is_cancelled_has_ended(
    clock: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    clock[:] = [100.0, 100.0, 109.0]

    assert client_of(Session(TimeoutError(), {})).commit_step("a1", Direction.UPGRADE).failure is None

    monkeypatch.setattr(module, "statements_for_changes", lambda since: ["changes"])
    answers: list[Any] = [{}, TimeoutError()]
    for answer in answers:
        clock[:] = [100.0, 100.0, 109.0]
        with pytest.raises(StepTimedOut, match=r"^did not end within 9 s$") as lost:  # or what is read after it
            client_of(Session(TimeoutError(), answer)).commit_step("a1", Direction.UPGRADE, since=cast(Any, "then"))
        assert lost.value.at == ("a1", "upgrade")


def test_a_step_that_cannot_be_cancelled_is_lost(clock: list[float]) -> None:
    clock[:] = [100.0, 100.0, 109.0]

    with pytest.raises(StepTimedOut, match=r"^did not end within 9 s$") as lost:
        client_of(Session(TimeoutError(), TimeoutError())).commit_step("a1", Direction.DOWNGRADE)

    assert lost.value.at == ("a1", "downgrade")


def test_a_command_that_ends_in_a_step_says_in_which() -> None:
    with pytest.raises(CommandExited) as lost:
        client_of(Session(CommandExited("it printed nothing"))).commit_step("a1", Direction.UPGRADE)

    assert lost.value.at == ("a1", "upgrade")


def test_a_step_that_was_lost_has_failed_and_left_what_it_left() -> None:
    exited, late = CommandExited("killed"), StepTimedOut("did not end within 9 s", ("a1", "upgrade"))

    assert lost_step("a1", Direction.UPGRADE, exited) == Step(
        "a1",
        Direction.UPGRADE,
        0.0,
        transactional=False,
        failure=Failure("Gone", "the command ended in the middle of the revision: killed", revision="a1"),
    )
    assert lost_step("a1", Direction.UPGRADE, late).failure == Failure(
        "Timeout", "did not end within 9 s", revision="a1"
    )


# Interruptions.


def test_an_upgrade_is_interrupted_before_a_statement() -> None:
    session = Session({})

    client_of(session).interrupt_upgrade("a1", 2)

    assert asked_of(session) == {**PLAIN, "stop_before": 2}


def test_an_upgrade_is_paused_before_a_statement_unless_it_ends_first() -> None:
    session = Session({"backend": "11"}, {})
    client = client_of(session)

    assert (client.pause_upgrade("a1", 3), client.pause_upgrade("a1", 3)) == ("11", None)
    arguments = {"revision": "a1", "direction": "upgrade", "observe": False, "pause_before": 3}
    assert session.asked == [("step", arguments)] * 2
    assert session.patience == [9.0, 9.0]


@pytest.mark.parametrize(
    ("waits", "answer", "is_cancelled"),
    [
        ([True], {"failure": BROKEN}, True),
        ([False, True], {"failure": BROKEN}, True),
        ([True], {}, False),
        ([False], {"failure": BROKEN}, False),
    ],
)
def test_a_paused_upgrade_is_cancelled_once_it_waits(waits: list[bool], answer: Any, is_cancelled: bool) -> None:
    runner = Runner()
    session = Session(*(TimeoutError() for _ in waits), answer)
    looked = iter(waits)

    assert client_of(session, runner).cancel_paused_upgrade("11", lambda: next(looked)) is is_cancelled

    assert session.asked == [("continue", {})]
    assert runner.calls == ["cancel 11"] * any(waits)


def test_a_paused_upgrade_that_never_ends_is_given_up(clock: list[float]) -> None:
    clock[:] = [0.0, 9.0, 9.5]
    session = Session(TimeoutError(), TimeoutError(), {})

    with pytest.raises(TimeoutError):
        client_of(session).cancel_paused_upgrade("11", lambda: False)

    assert len(session.patience) == 2


def test_a_cancelled_upgrade_has_time_of_its_own_to_end(clock: list[float]) -> None:
    clock[:] = [0.0, 9.0, 100.0, 100.0 + CANCEL_PATIENCE_S, 200.0]
    runner, session = Runner(), Session(TimeoutError(), TimeoutError(), TimeoutError(), {})

    with pytest.raises(TimeoutError):
        client_of(session, runner).cancel_paused_upgrade("11", lambda: True)

    assert runner.calls == ["cancel 11"]
    assert len(session.patience) == 3


# Rows, the schema and the models.


def test_the_rollback_only_transaction_begins_and_ends() -> None:
    session = Session({}, {"undone": False}, {"undone": True}, {})
    client = client_of(session)

    client.begin_rollback_only()
    assert (client.roll_back(), client.roll_back()) == (False, True)
    client.commit()

    assert session.words == ["begin_rollback_only", "roll_back", "roll_back", "commit"]


def test_rows_go_by_the_migrations_own_connection() -> None:
    session = Session({"value": 3}, {"failure": BROKEN}, {}, {"failure": BROKEN}, {}, {"failure": BROKEN})
    rows = client_of(session).rows

    assert rows.ask("SELECT 3", "SELECT 2") == "3"
    with pytest.raises(QueryRefused):
        rows.ask("SELECT nothing")
    assert (rows.execute(("a", "b")), rows.execute([])) == (None, BROKE)
    assert (rows.load("script"), rows.load("script")) == (None, BROKE)
    assert session.asked == [
        ("ask", {"sql": "SELECT 3", "before": ("SELECT 2",)}),
        ("ask", {"sql": "SELECT nothing", "before": ()}),
        ("execute", {"statements": ["a", "b"]}),
        ("execute", {"statements": []}),
        ("script", {"sql": "script"}),
        ("script", {"sql": "script"}),
    ]


def test_the_models_are_asked_about_with_the_patience_of_a_step() -> None:
    session = Session(
        {"models": {"public.a": ("f", [])}},
        {"statements": ["CREATE TABLE a ()"]},
        {"operations": []},
        {"failure": BROKEN},
        {"count": 1},
        {"count": 2},
        {"tables": ["public.a"], "entities": ["public.f()"]},
        {"models": [{"name": "A"}]},
    )
    client = client_of(session)

    client.begin_fingerprints()
    assert client.receive_fingerprints() == {"public.a": ("f", [])}
    assert client.creation() == ["CREATE TABLE a ()"]
    assert client.drift(["public.b", "public.a"]) == {"operations": []}
    assert client.drift([]) == BROKE
    assert client.model_statements({"public.b", "public.a"}) == {"count": 1}
    assert client.model_statements(None) == {"count": 2}
    assert client.hidden_tables() == ("public.a", "public.f()")
    assert client.unregistered_models() == [{"name": "A"}]
    assert session.asked == [
        ("fingerprints", {}),
        ("creation", {}),
        ("drift", {"unchanged": ["public.a", "public.b"]}),
        ("drift", {"unchanged": []}),
        ("model_statements", {"tables": ["public.a", "public.b"]}),
        ("model_statements", {"tables": None}),
        ("hidden", {}),
        ("unregistered", {}),
    ]
    assert session.patience == [9.0, None, 9.0, 9.0, 9.0, 9.0, None, 9.0]


def test_more_rights_are_asked_for() -> None:
    assert client_of(Session(), Runner(is_busy=iter([True]))).gain_rights()
    assert not client_of(Session()).gain_rights()
