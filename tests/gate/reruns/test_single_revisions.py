"""Which revisions are run again on which database, and what is noted of them. The driver is played."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace
from typing import Any, cast

import pytest

from app.gate.errors import CannotReachRevision, CannotVerify, CommandExited, DisturbedByOtherRun, StepTimedOut
from app.gate.recording.model import Direction, Evidence, Failure, Populated, RoundTrip, RowKind, Snapshot, Step
from app.gate.reruns import _revisions as module
from app.gate.reruns._pool import JobPool
from app.gate.reruns._revisions import Outcome, _run_in_order, jobs_of
from app.gate.reruns._rows import COMMITTING_REVISIONS, UpgradeOverRows, postponed_revisions
from app.gate.reruns._second_upgrades import SecondUpgrade
from app.gate.rows.steps import Committed, RolledBack
from app.gate.rows.trial import TrialResult
from app.gate.walk.client import DriverClient
from app.gate.walk.state import Walk
from tests.gate.checks.builders import added, failure, key, trip
from tests.gate.played import Command, Runner, Session, as_runner
from tests.gate.walk.test_round_trip import Client
from tests.gate.walk.walks import arrival, line_of, walk

NAMES = ("a1", "b2", "c3", "d4")
BEFORE, OTHER = Snapshot({key("table", "orders"): {}}), Snapshot({})


def up(name: str = "a1", **fields: Any) -> Step:
    return Step(name, Direction.UPGRADE, 1.0, **fields)


def down(name: str = "a1", **fields: Any) -> Step:
    return Step(name, Direction.DOWNGRADE, 1.0, **fields)


class Played:
    """A rerun with these outcomes. An exception is raised."""

    def __init__(self, *outcomes: Any, is_of_applied: bool = False) -> None:
        self.walk = walk(*map(trip, NAMES))
        self.is_of_applied = is_of_applied
        self.tried: list[str] = []
        self.given_up: list[str] = []
        self._outcomes = list(outcomes)

    def run(self, revision: str, client: DriverClient) -> Outcome:
        self.tried.append(revision)
        outcome = self._outcomes.pop(0)
        if isinstance(outcome, BaseException):
            raise outcome
        return cast(Outcome, outcome)

    def give_up(self, revision: str, reason: Exception) -> None:
        self.given_up.append(f"{revision}: {reason}")


def pool(*, is_alone: bool = True, at_once: int = 2) -> JobPool:
    def retry_alone() -> None:
        if not is_alone:
            raise DisturbedByOtherRun

    return cast(JobPool, SimpleNamespace(retry_alone=retry_alone, at_once=at_once))


def in_order(rerun: Played, client: Client, *revisions: str, of: JobPool | None = None) -> list[str]:
    return list(_run_in_order(rerun, revisions, of or pool(), cast(DriverClient, client)))


def test_what_comes_before_a_revision_is_applied_once() -> None:
    rerun, client = Played(Outcome.DONE, Outcome.DONE), Client([up("a1"), up("c3")])
    rerun.walk.applied -= {"b2"}

    assert in_order(rerun, client, "b2", "d4") == []
    assert (rerun.tried, client.asked) == (["b2", "d4"], ["commit a1 upgrade", "commit c3 upgrade"])
    rerun, client = Played(Outcome.DONE, is_of_applied=True), Client([up("a1"), up("b2")])
    in_order(rerun, client, "b2")
    assert client.asked == ["commit a1 upgrade", "commit b2 upgrade"]


@pytest.mark.parametrize(
    ("outcome", "left"), [(Outcome.DATABASE_SPOILED, ["b2", "c3"]), (Outcome.NOT_DONE, ["a1", "b2", "c3"])]
)
def test_the_rest_is_left_to_another_database(outcome: Outcome, left: list[str]) -> None:
    assert in_order(Played(outcome), Client(), "a1", "b2", "c3") == left


def test_what_cannot_be_reached_is_given_up_with_all_after_it() -> None:
    rerun, client = Played(Outcome.DONE), Client([up("a1", failure=failure("no"))])

    assert in_order(rerun, client, "a1", "b2", "c3") == []
    reason = "revision a1 did not apply a second time: no"
    assert rerun.given_up == [f"b2: {reason}", f"c3: {reason}"]
    with pytest.raises(DisturbedByOtherRun):
        in_order(Played(CannotReachRevision("")), Client(), "a1", of=pool(is_alone=False))


@pytest.mark.parametrize(
    ("at", "given_up", "left"),
    [(("b2", "upgrade"), ["b2"], ["c3"]), (None, ["b2"], ["c3"]), (("a1", "upgrade"), ["b2", "c3"], [])],
)
def test_a_command_that_ends_costs_the_revision_or_all_behind_it(
    at: tuple[str, str] | None, given_up: list[str], left: list[str]
) -> None:
    gone = CommandExited("gone")
    gone.at = at
    rerun = Played(Outcome.DONE, gone)

    assert in_order(rerun, Client([up("a1")]), "a1", "b2", "c3") == left
    assert rerun.given_up == [f"{each}: gone" for each in given_up]


@pytest.mark.parametrize(
    ("at_once", "left", "parts"),
    [(2, ["a1", "b2", "c3"], [2, 1]), (2, ["a1"], [1]), (1, ["a1", "b2", "c3"], [3]), (2, [], [])],
)
def test_what_is_left_goes_to_two_others(
    monkeypatch: pytest.MonkeyPatch, at_once: int, left: list[str], parts: list[int]
) -> None:
    monkeypatch.setattr(module, "_run_some", lambda rerun, revisions, pool, runner: left)
    runner = as_runner(Runner())

    [job] = jobs_of(Played(), NAMES, pool(at_once=at_once), runner)

    assert job.units == 4
    assert [each.units for each in job.run() or ()] == parts
    assert jobs_of(Played(), (), pool(), runner) == []


def test_each_run_of_the_command_gets_ready_and_the_server_has_to_be_there_after_it() -> None:
    session, rerun = Session(), Played(Outcome.DONE)
    runner = Runner(Command(session))

    assert module._run_some(rerun, ["a1"], pool(), as_runner(runner)) == ()

    assert (session.words, rerun.tried, runner.calls) == (["prepare"], ["a1"], ["check"])
    with pytest.raises(CannotVerify, match=r"^the command did not reach Alembic a second time: KeyError$"):
        module._run_some(rerun, ["a1"], pool(), as_runner(Runner(Command(output="KeyError"))))


# Second upgrades.


def again(client: Client, of: Walk | None = None) -> tuple[Outcome, RoundTrip]:
    of = of or walk(trip(changes=[added(key("column", "note", "orders"))]))
    return SecondUpgrade(of).run("a1", cast(DriverClient, client)), of.trips["a1"]


def test_a_second_upgrade_that_passes_with_commits_is_noted() -> None:
    client = Client([down(), up()], [BEFORE, BEFORE])

    outcome, noted = again(client)

    assert client.asked == ["read", "commit a1 downgrade observed", "commit a1 upgrade", "read"]
    assert (outcome, noted.second_up, noted.second_up_differences) == (Outcome.DONE, up(), ())
    assert noted.down == down(changes=cast(Any, trip(changes=[added(key("column", "note", "orders"))]).down).changes)
    client = Client([down(), up()], [BEFORE, BEFORE])
    again(client, walk(replace(trip(), down=None), evidence=frozenset()))
    assert client.asked[1] == "commit a1 downgrade"


@pytest.mark.parametrize(
    ("client", "second", "differences"),
    [
        (Client([down(failure=failure())], [BEFORE]), None, 0),
        (Client([down(), up(failure=failure())], [BEFORE]), up(failure=failure()), 0),
        (Client([down(), up()], [BEFORE, OTHER]), up(), 1),
        (Client([down(), up()], [BEFORE, OTHER], aligned=BEFORE), up(), 0),
    ],
    ids=["down fails", "up fails", "another schema", "other words"],
)
def test_what_goes_wrong_there_stays_in_the_database(client: Client, second: Step | None, differences: int) -> None:
    outcome, noted = again(client)

    assert outcome is Outcome.DATABASE_SPOILED
    assert (noted.second_up, len(noted.second_up_differences)) == (second, differences)


def test_a_command_that_ends_in_a_step_has_failed_in_it() -> None:
    for lost in (CommandExited("gone"), StepTimedOut("gone", ("a1", "downgrade"))):
        outcome, noted = again(Client([lost], [BEFORE]))

        assert outcome is Outcome.DATABASE_SPOILED
        assert noted.down is not None
        assert noted.down.failure is not None
        assert noted.second_up is None


def test_a_suspicion_that_cannot_be_confirmed_is_dropped() -> None:
    of = walk(trip(second_up_differences=[added(key("table", "x"))]))

    SecondUpgrade(of).give_up("a1", CannotReachRevision("it printed nothing"))

    noted = of.trips["a1"]
    assert (noted.second_up, noted.second_up_differences) == (None, ())
    assert noted.skipped_because == "on a separate database, it printed nothing"


# Upgrades over rows.


class Trial:
    """A trial over rows with this result."""

    touched = frozenset({"public.orders"})

    def __init__(self, *, must_commit: bool = False, is_finished: bool = True, spoils: bool = False) -> None:
        self.must_commit = must_commit
        self.steps: Any = None
        self._is_finished, self._spoils = is_finished, spoils

    def run(self, steps: Any) -> TrialResult:
        self.steps = steps
        steps.take_upgrade()
        if isinstance(steps, Committed):
            steps.is_spoiled = self._spoils
            if steps.take_downgrade:
                steps.take_downgrade()
        return TrialResult(None, POPULATED, {"public.orders": "why"}, Failure("E", "rows"), False, self._is_finished)


POPULATED = Populated(up(), RowKind.ORDINARY)
ROLLED_BACK = ["begin", "take a1 upgrade", "roll back"]
COMMITTED = ["commit a1 upgrade", "commit a1 downgrade"]


@pytest.mark.parametrize(
    ("trial", "step", "is_transactional", "asked"),
    [
        (Trial(), up(), True, ROLLED_BACK),
        (Trial(must_commit=True), up(), True, COMMITTED),
        (Trial(), up(transactional=False), True, COMMITTED),
        (Trial(), up(), False, COMMITTED),
        (Trial(), None, True, COMMITTED),
    ],
)
def test_an_upgrade_over_rows_is_rolled_back_where_it_can_be(
    trial: Trial, step: Step | None, is_transactional: bool, asked: list[str]
) -> None:
    one = RoundTrip("a1", up=step, down=down())
    of = walk(one, arrives=arrival(*line_of("a1"), is_transactional=is_transactional), evidence=frozenset())
    of.unpopulated["a1"] = cast(Any, trial)
    client = Client([up(), down()])

    assert UpgradeOverRows(of).run("a1", cast(DriverClient, client)) is Outcome.DONE

    assert client.asked == asked
    noted = of.trips["a1"]
    assert (noted.populated, noted.rows_failure) == (POPULATED, Failure("E", "rows"))
    assert noted.tables_without_rows == {"public.orders": "why"}
    assert isinstance(trial.steps, RolledBack if asked is ROLLED_BACK else Committed)


@pytest.mark.parametrize("of_down", [None, down(failure=failure())])
def test_a_downgrade_that_is_not_there_or_fails_is_not_tried_over_rows(of_down: Step | None) -> None:
    of = walk(RoundTrip("a1", up=up(), down=of_down), evidence=frozenset())
    of.unpopulated["a1"] = cast(Any, Trial(must_commit=True))
    client = Client([up()])

    UpgradeOverRows(of).run("a1", cast(DriverClient, client))

    assert client.asked == COMMITTED[:1]


@pytest.mark.parametrize(
    ("trial", "undone", "outcome"),
    [
        (Trial(is_finished=False), True, Outcome.NOT_DONE),
        (Trial(), False, Outcome.DATABASE_SPOILED),
        (Trial(must_commit=True, spoils=True), True, Outcome.DATABASE_SPOILED),
        (Trial(must_commit=True, spoils=True, is_finished=False), True, Outcome.NOT_DONE),
    ],
)
def test_what_it_leaves_says_where_to_continue(trial: Trial, undone: bool, outcome: Outcome) -> None:
    of = walk(RoundTrip("a1", up=up()), evidence=frozenset({Evidence.LOCKS}))
    of.unpopulated["a1"] = cast(Any, trial)

    assert UpgradeOverRows(of).run("a1", cast(DriverClient, Client([up()], undone=[undone]))) is outcome


def test_of_revisions_that_commit_only_the_newest_are_tried_over_rows() -> None:
    names = [f"r{n}" for n in range(COMMITTING_REVISIONS + 3)]
    of = walk(*(RoundTrip(name, up=up(name, transactional=name == "r1")) for name in names))
    of.unpopulated = {name: cast(Any, Trial()) for name in reversed(names) if name != "r14"}

    assert postponed_revisions(of) == ["r1", *names[2:14]]

    reason = "it commits, and only the last 12 revisions that do are tried over rows"
    assert of.trips["r0"].tables_without_rows == {"public.orders": reason}
    assert of.trips["r2"].tables_without_rows == {}


def test_rows_that_cannot_be_tried_are_told_with_the_reason() -> None:
    of = walk(trip())
    of.unpopulated["a1"] = cast(Any, Trial())

    UpgradeOverRows(of).give_up("a1", CannotReachRevision("it printed nothing"))

    assert of.trips["a1"].tables_without_rows == {"public.orders": "over rows, it printed nothing"}
