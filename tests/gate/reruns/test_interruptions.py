"""Where an upgrade is killed, and what is noted of the one after it. The driver is played."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, cast

import pytest

from app.gate.recording.model import Direction, Interruption, RoundTrip, Snapshot, Statement, Step
from app.gate.reruns import _interruptions as module
from app.gate.reruns._interruptions import INTERRUPTED_REVISIONS, InterruptedUpgrade, Point, points_of_interruption
from app.gate.reruns._revisions import Outcome
from app.gate.walk.client import DriverClient
from app.gate.walk.state import Walk
from tests.gate.checks.builders import added, failure, key, statement
from tests.gate.walk.test_round_trip import Client
from tests.gate.walk.walks import walk

INDEX = "CREATE INDEX CONCURRENTLY ix ON orders (note)"


def committing(name: str, *statements: Statement, **fields: Any) -> RoundTrip:
    return RoundTrip(
        name, up=Step(name, Direction.UPGRADE, 1.0, **{"transactional": False, "statements": statements, **fields})
    )


def alone(sql: str = "CREATE TABLE a ()") -> Statement:
    """In an autocommit block."""
    return statement(sql, transactional=False)


def points(*statements: Statement) -> list[tuple[int, bool]]:
    found = points_of_interruption(walk(committing("a1", *statements)))
    return [(each.statement, each.is_inside) for each in found.get("a1", [])]


def test_a_kill_leaves_half_of_what_was_committed_before_it() -> None:
    plain = statement("CREATE TABLE b ()")

    assert points(plain, plain) == []
    assert points(alone()) == []
    assert points(plain, alone()) == [(1, False)]
    assert points(alone(), plain, plain) == [(1, False), (2, False)]
    assert points(plain, plain, alone()) == [(2, False)]
    assert points(statement("  commit;"), plain) == [(1, False)]
    assert points(statement("COMMENT ON TABLE a IS ''"), plain) == []


@pytest.mark.parametrize(
    "sql",
    [
        INDEX,
        " create unique\nindex concurrently ix on orders (note)",
        "REINDEX TABLE CONCURRENTLY orders",
        "ALTER TABLE events DETACH PARTITION e CONCURRENTLY",
        "-- again\nREINDEX INDEX CONCURRENTLY ix",
        "/* a\n b */ REINDEX INDEX CONCURRENTLY ix",
    ],
)
def test_what_commits_between_its_phases_is_cancelled_inside_too(sql: str) -> None:
    assert points(alone(sql)) == [(0, True)]
    assert points(alone(), alone(sql)) == [(1, False), (1, True)]
    assert points(statement(sql), alone()) == [(1, False)]


@pytest.mark.parametrize(
    "sql",
    [
        "CREATE INDEX ix ON orders (note)",
        "DROP INDEX CONCURRENTLY ix",
        "ALTER TABLE orders ADD note text",
        "CREATE INDEX ix ON t (a) -- CONCURRENTLY",
        "SELECT 1; REINDEX INDEX CONCURRENTLY ix",
    ],
)
def test_what_does_not_is_not(sql: str) -> None:
    assert points(alone(sql)) == []


def test_of_many_only_some_are_cancelled() -> None:
    assert points(*[alone(INDEX)] * 12) == [
        *((number, False) for number in range(1, 12)),
        *((n, True) for n in range(10)),
    ]


def test_only_the_newest_revisions_that_commit_are_interrupted() -> None:
    names = [f"r{n}" for n in range(INTERRUPTED_REVISIONS + 4)]
    trips = {name: committing(name, alone(), alone()) for name in names}
    trips["r5"] = committing("r5", alone(), alone(), transactional=True)
    trips["r6"] = committing("r6", alone(), alone(), failure=failure())
    trips["r7"] = RoundTrip("r7", skipped_because="it comes after r6")
    trips["r8"] = committing("r8", alone())

    assert [*points_of_interruption(walk(*trips.values()))] == ["r1", "r2", "r3", "r4"]


# The second upgrade.

BEFORE = Snapshot({key("table", "orders"): {}, key("index", "old", "orders"): {"valid": False}})
LEFT = key("index", "ix", "orders")
AFTER = Snapshot({**BEFORE.objects, LEFT: {"valid": False}})
SOUND = Snapshot({**BEFORE.objects, LEFT: {"valid": True}})


class Interrupted(Client):
    """A driver whose upgrades are killed. `paused`: the backend of one that waits before its statement."""

    def __init__(self, *arguments: Any, paused: str | None = None, **fields: Any) -> None:
        super().__init__(*arguments, **fields)
        self._paused = paused

    def interrupt_upgrade(self, revision: str, stop_before: int) -> None:
        self.asked.append(f"interrupt {revision} {stop_before}")

    def pause_upgrade(self, revision: str, before: int) -> str | None:
        self.asked.append(f"pause {revision} {before}")
        return self._paused


@pytest.fixture(autouse=True)
def cleared(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The databases that are cleared are played as well; none has a partition that is half detached."""
    calls: list[str] = []
    monkeypatch.setattr(module, "_clear_away", lambda client, before: calls.append("clear away"))
    monkeypatch.setattr(module, "_has_half_detached", lambda client: False)
    return calls


def up(**fields: Any) -> Step:
    return Step("a1", Direction.UPGRADE, 1.0, **fields)


def down(**fields: Any) -> Step:
    return Step("a1", Direction.DOWNGRADE, 1.0, **fields)


def interrupted(client: Client, *at: Point, **fields: Any) -> tuple[Walk, Outcome, list[Point]]:
    of = walk(committing("a1", statement("one", line=3), statement("two", line=4), statement("three"), **fields))
    left = {"a1": list(at)}
    outcome = InterruptedUpgrade(of, left).run("a1", cast(DriverClient, client))
    return of, outcome, left["a1"]


def test_an_upgrade_that_goes_on_after_each_kill_is_sound(cleared: list[str]) -> None:
    client = Interrupted([up(), down()] * 2, [BEFORE, SOUND, BEFORE] * 2)

    of, outcome, left = interrupted(client, Point(1), Point(2))

    one = ["read", "interrupt a1 1", "commit a1 upgrade", "read", "commit a1 downgrade", "read"]
    assert client.asked == [*one, *(each.replace("a1 1", "a1 2") for each in one)]
    assert (outcome, left, of.trips["a1"].interruptions, cleared) == (Outcome.DONE, [], (), [])


def test_one_that_fails_is_noted_with_what_ran_last_and_the_next_points_are_not_tried(cleared: list[str]) -> None:
    client = Interrupted([up(failure=failure("exists"))], [BEFORE, AFTER])

    of, outcome, left = interrupted(client, Point(2), Point(1))

    assert of.trips["a1"].interruptions == (Interruption("two", 4, failure("exists")),)
    assert (outcome, left, cleared) == (Outcome.DATABASE_SPOILED, [], ["clear away"])
    assert "commit a1 downgrade" not in client.asked


def test_invalid_indexes_that_it_leaves_are_noted_unless_they_were_there_or_are_so_anyway(cleared: list[str]) -> None:
    of, outcome, _ = interrupted(Interrupted([up(), down()], [BEFORE, AFTER, BEFORE]), Point(1))

    assert of.trips["a1"].interruptions == (Interruption("one", 3, None, invalid=(LEFT,)),)
    assert (outcome, cleared) == (Outcome.DONE, ["clear away"])

    always = (added(LEFT, valid=False), added(key("index", "other", "orders"), valid=True))
    of, outcome, _ = interrupted(Interrupted([up(), down()], [BEFORE, AFTER, BEFORE]), Point(1), changes=always)
    assert (of.trips["a1"].interruptions, outcome) == ((), Outcome.DONE)


@pytest.mark.parametrize(
    "client",
    [
        Interrupted([up(), down(failure=failure())], [BEFORE, SOUND]),
        Interrupted([up(), down()], [BEFORE, SOUND, AFTER]),
    ],
    ids=["the downgrade fails", "it leaves something"],
)
def test_a_database_in_another_state_serves_no_other_point(client: Client) -> None:
    assert interrupted(client, Point(1), Point(2))[1:] == (Outcome.NOT_DONE, [Point(2)])


def test_a_partition_that_is_half_detached_spoils_the_database(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_has_half_detached", lambda client: True)

    assert interrupted(Interrupted([up(), down()], [BEFORE, SOUND, BEFORE]), Point(1))[1] is Outcome.DATABASE_SPOILED


def test_a_statement_that_was_not_reached_is_not_cancelled() -> None:
    client = Interrupted([], [BEFORE])

    assert interrupted(client, Point(1, is_inside=True), Point(2))[1:] == (Outcome.NOT_DONE, [Point(2)])
    assert client.asked == ["read", "pause a1 1"]


def test_what_is_cancelled_inside_a_statement_is_noted_at_that_statement(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(InterruptedUpgrade, "_cancel_inside", lambda self, revision, number, client: True)

    of, _, _ = interrupted(Interrupted([up(failure=failure("exists"))], [BEFORE, AFTER]), Point(1, is_inside=True))

    assert of.trips["a1"].interruptions == (Interruption("two", 4, failure("exists"), is_inside=True),)
    assert replace(of.trips["a1"], interruptions=()).populated is None
