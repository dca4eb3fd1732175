"""Which reruns there are, and why there are not others."""

from __future__ import annotations

from concurrent.futures import Future
from dataclasses import replace
from types import SimpleNamespace
from typing import Any, cast

import pytest

from app.gate.history.repository import Commit
from app.gate.recording.model import ALL_EVIDENCE, Evidence, RoundTrip, Snapshot
from app.gate.recording.recorded_statements import RecordedStatement
from app.gate.reruns import schedule
from app.gate.reruns.early import EarlyRuns
from app.gate.reruns.results import RerunResults
from app.gate.reruns.schedule import run_all
from app.gate.walk.plan import WHOLE_RECORDING, RecordingPlan
from app.gate.walk.state import Walk
from tests.gate.checks.builders import statement, trip
from tests.gate.played import Runner, as_runner
from tests.gate.walk.walks import arrival, base, line_of, walk

HEAD = Snapshot({})
ROLES = "the history creates roles, which all databases of a server share, so it can run only once on a given server"
ONE = (
    "create_models", "ask_drift_again", "populate_history", "prove_running_code", "plan_statements", "run_offline",
    "run_concurrently", "run_whole_command", "run_other_history",
)  # fmt: skip


@pytest.fixture(autouse=True)
def asked(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What is run, with the walk that it is about. Nothing is."""
    names: list[str] = []

    def played(name: str) -> Any:
        def run(*arguments: Any) -> None:
            of = [each.index for each in arguments if isinstance(each, Walk)]
            early = [type(each).__name__ for each in arguments if isinstance(each, EarlyRuns | Future)]
            names.append(" ".join([name, *map(str, of), *early]))

        return run

    for name in ONE:
        monkeypatch.setattr(schedule, name, played(name))
    monkeypatch.setattr(
        schedule, "jobs_of", lambda rerun, revisions, pool, runner: _note(names, rerun, list(revisions))
    )
    monkeypatch.setattr(schedule, "points_of_interruption", lambda walk: {"a1": []})
    monkeypatch.setattr(schedule, "postponed_revisions", lambda walk: [*walk.unpopulated])
    return names


def _note(names: list[str], rerun: Any, revisions: list[str]) -> list[Any]:
    if revisions:
        names.append(f"{type(rerun).__name__} {rerun.walk.index} {' '.join(revisions)}")
    return []


def taken(index: int = 0, *evidence: Evidence, names: tuple[str, ...] = ("a1", "b2"), **fields: Any) -> Walk:
    arrives = fields.pop("arrives", None) or arrival(*line_of(*names), index=index)
    known = {"head": HEAD, "evidence": frozenset(evidence), **fields}
    return walk(arrives=replace(arrives, index=index), **known)


def scheduled(
    *walks: Walk, runner: Runner | None = None, early: EarlyRuns | None = None, plan: RecordingPlan = WHOLE_RECORDING
) -> dict[int, RerunResults]:
    runner = runner or Runner()
    runner.must_run_serially = True
    progress: list[tuple[int, int]] = []
    results = run_all(walks, as_runner(runner), early, lambda done, total: progress.append((done, total)), plan)
    assert progress[-1][0] == progress[-1][1]
    return results


@pytest.mark.parametrize(
    ("evidence", "runs"),
    [
        ((), []),
        ((Evidence.POPULATED,), ["populate_history 0"]),
        ((Evidence.MODELS,), ["create_models 0"]),
        ((Evidence.INTERRUPTIONS,), ["InterruptedUpgrade 0 a1"]),
        ((Evidence.OFFLINE,), ["run_offline 0"]),
        ((Evidence.CONCURRENT,), ["run_concurrently 0"]),
        ((Evidence.WHOLE_COMMAND,), ["run_whole_command 0"]),
        ((Evidence.CONCURRENT, Evidence.WHOLE_COMMAND), ["run_concurrently 0"]),
        ((Evidence.RUNNING, Evidence.OTHER_HISTORY), []),
    ],
)
def test_each_kind_of_evidence_has_its_runs(asked: list[str], evidence: Any, runs: list[str]) -> None:
    results = scheduled(taken(0, *evidence))

    assert asked == runs
    assert results == {0: RerunResults()}


def test_one_revision_has_no_history_to_be_populated(asked: list[str]) -> None:
    scheduled(taken(0, Evidence.POPULATED, names=("a1",)))

    assert asked == []


def test_without_a_head_nothing_is_compared_with_it(asked: list[str]) -> None:
    results = scheduled(taken(0, *ALL_EVIDENCE, head=None, is_drift_stale=True))

    assert asked == ["InterruptedUpgrade 0 a1", "populate_history 0"]
    assert results[0].not_observed == {}


def test_models_are_created_and_compared_again_where_there_are_some(asked: list[str]) -> None:
    none = arrival(*line_of("a1"), has_metadata=False)

    scheduled(taken(0, Evidence.MODELS, arrives=none))
    scheduled(taken(0, is_drift_stale=True))

    assert asked == ["ask_drift_again 0"]


def test_revisions_are_run_again_where_the_walk_left_a_question(asked: list[str]) -> None:
    scheduled(taken(unconfirmed=["b2"], unpopulated={"a1": cast(Any, None)}))

    assert asked == ["SecondUpgrade 0 b2", "UpgradeOverRows 0 a1"]


WITH_BASE: dict[str, Any] = {"arrives": arrival(*line_of("a1", "b2"), base=base())}
SENT = RecordingPlan(statements=(RecordedStatement("SELECT 1"),))
NO_BASE = "there is no new revision, or no base whose schema they run on"


@pytest.mark.parametrize(
    ("arrives", "plan", "runs", "reason"),
    [
        (arrival(*line_of("a1"), base=base()), WHOLE_RECORDING, ["prove_running_code 0"], None),
        (arrival(*line_of("a1"), base=base()), SENT, ["prove_running_code 0", "plan_statements 0"], None),
        (arrival(*line_of("a1"), base=base(), plan=()), SENT, ["prove_running_code 0"], NO_BASE),
        (arrival(*line_of("a1"), base=base(is_start=False)), SENT, [], NO_BASE),
        (arrival(*line_of("a1")), SENT, [], NO_BASE),
        (arrival(*line_of("a1")), WHOLE_RECORDING, [], None),
    ],
)
def test_what_runs_in_production_is_tried_where_the_walk_starts_at_the_base(
    asked: list[str], arrives: Any, plan: RecordingPlan, runs: list[str], reason: str | None
) -> None:
    results = scheduled(taken(0, Evidence.RUNNING, arrives=arrives), plan=plan)

    assert asked == runs
    assert results[0].not_observed.get("recorded") == reason


def test_without_that_evidence_it_is_not(asked: list[str]) -> None:
    scheduled(taken(0, **WITH_BASE), plan=SENT)

    assert asked == []


@pytest.mark.parametrize(
    ("evidence", "plan", "runs"),
    [
        ({Evidence.OTHER_HISTORY}, RecordingPlan(same_schema_as=Commit("main", "c0ffee")), ["run_other_history"]),
        (set(), RecordingPlan(same_schema_as=Commit("main", "c0ffee")), []),
        ({Evidence.OTHER_HISTORY}, WHOLE_RECORDING, []),
    ],
)
def test_another_history_is_run_if_it_was_asked_for(
    asked: list[str], evidence: set[Evidence], plan: RecordingPlan, runs: list[str]
) -> None:
    scheduled(taken(), taken(1, *evidence), plan=plan)

    assert asked == runs


# Runs of the whole command.

PATHS = (Evidence.OFFLINE, Evidence.CONCURRENT)


def test_they_are_compared_with_the_last_head(asked: list[str]) -> None:
    results = scheduled(taken(0, *PATHS), taken(1, *PATHS, head=None, is_continued=True), taken(2, *PATHS))

    assert asked == ["run_offline 2", "run_concurrently 2"]
    assert results[0].not_observed == dict.fromkeys(
        ("offline", "concurrent"), "tried together with the last history that the command upgrades"
    )
    assert results[1].not_observed == results[2].not_observed == {}


def test_they_are_not_run_where_a_history_does_not_apply(asked: list[str]) -> None:
    scheduled(taken(0, *PATHS, head=None), taken(1, *PATHS))

    assert asked == []


@pytest.mark.parametrize(("start", "runs"), [((), " EarlyRuns"), (("a1",), "")])
def test_an_early_run_counts_where_it_began_where_the_walk_did(
    asked: list[str], start: tuple[str, ...], runs: str
) -> None:
    early = EarlyRuns(start, *[cast(Any, None)] * 4)

    scheduled(taken(0, *PATHS), early=early)
    scheduled(taken(0, Evidence.WHOLE_COMMAND), early=early)

    assert asked == [f"run_offline 0{runs}", f"run_concurrently 0{runs}", f"run_whole_command 0{runs}"]


def test_what_the_models_create_is_taken_from_where_it_was_begun(asked: list[str]) -> None:
    nothing = cast(Any, None)
    early = EarlyRuns((), nothing, nothing, nothing, nothing, models={1: Future()})

    scheduled(taken(0, Evidence.MODELS), taken(1, Evidence.MODELS), early=early)

    assert asked == ["create_models 0", "create_models 1 Future"]


def test_where_nothing_is_new_the_offline_sql_is_that_of_the_base(asked: list[str]) -> None:
    of = taken(0, Evidence.OFFLINE, arrives=arrival(base=base()))

    assert scheduled(of)[0].not_observed == {"offline": "there is no revision that is not on main"}
    assert asked == []
    scheduled(taken(0, Evidence.OFFLINE, **WITH_BASE), taken(1, Evidence.OFFLINE, arrives=arrival(base=base())))
    assert asked == ["run_offline 1"]


@pytest.mark.parametrize(
    ("evidence", "names", "runs"),
    [
        ({Evidence.CONCURRENT}, ("a1", "b2"), ["run_whole_command 0"]),
        ({Evidence.WHOLE_COMMAND}, ("a1", "b2"), ["run_whole_command 0"]),
        ({Evidence.CONCURRENT}, ("a1",), []),
        ({Evidence.DRIFT}, ("a1", "b2"), []),
    ],
)
def test_two_upgrades_at_once_depend_on_env_py_alone(
    asked: list[str], evidence: set[Evidence], names: tuple[str, ...], runs: list[str]
) -> None:
    arrives = arrival(*line_of(*names), base=base(is_env_as_it_was=True))
    early = EarlyRuns((), *[cast(Any, None)] * 4)

    results = scheduled(taken(0, *evidence, arrives=arrives), early=early)

    assert asked == runs
    assert results[0].not_observed == {"concurrent": "env.py is the same as on main"}


CREATES = trip(statements=[statement("SELECT 1"), statement("CREATE ROLE reader")])


@pytest.mark.parametrize("is_embedded", [True, False])
@pytest.mark.parametrize("made", [{"reader"}, {"writer"}])
@pytest.mark.parametrize("trips", [(CREATES,), (RoundTrip("z0"), CREATES)])
def test_a_history_that_has_created_roles_on_a_given_server_is_not_run_again(
    asked: list[str], trips: tuple[RoundTrip, ...], made: set[str], is_embedded: bool
) -> None:
    runner = Runner(roles_made=frozenset(made))
    runner.server = SimpleNamespace(is_embedded=is_embedded)
    of = walk(*trips, head=HEAD, evidence=frozenset(PATHS))

    results = scheduled(of, runner=runner)

    if made == {"reader"} and not is_embedded:
        assert asked == []
        assert results[0].not_observed == {"offline": ROLES, "concurrent": ROLES}
    else:
        assert asked == ["run_offline 0", "run_concurrently 0"]
        assert results[0].not_observed == {}


def test_nor_is_it_where_env_py_is_as_it_was(asked: list[str]) -> None:
    runner = Runner(roles_made=frozenset({"reader"}))
    runner.server = SimpleNamespace(is_embedded=False)
    arrives = arrival(*line_of("a1", "b2"), base=base(is_env_as_it_was=True))

    scheduled(walk(CREATES, arrives=arrives, head=HEAD, evidence=frozenset(PATHS)), runner=runner)

    assert asked == []
