"""Whether the segments of a walk are put together: only where they are what one walk would have seen."""

from __future__ import annotations

from typing import Any, cast

import pytest

from app.gate.errors import (
    CannotReachRevision,
    CommandExited,
    DatabaseSpoiled,
    DisturbedByOtherRun,
    SegmentsDiffer,
    ServerUnavailable,
)
from app.gate.recording.model import Direction, Failure, RoundTrip, Step
from app.gate.walk._cuts import Segment
from app.gate.walk._parts import Part
from app.gate.walk._segments import SegmentedWalk, _Progress, _reason
from app.gate.walk.client import DriverClient
from app.gate.walk.state import Walk
from tests.gate.checks import builders
from tests.gate.played import THROWAWAY, Runner, Session, as_runner
from tests.gate.walk.walks import arrival, line_of, walk


def part_of(of: Walk, begin: int, end: int, *, ends_at_head: bool = False) -> Any:
    return Part(of, Segment(begin, end), lambda done: None, ends_at_head=ends_at_head)


def sent(name: str, *statements: str, **fields: Any) -> RoundTrip:
    return builders.trip(name, statements=[builders.statement(sql) for sql in statements], **fields)


def test_a_segment_follows_where_its_plain_upgrade_sent_the_same_and_made_the_same_schema() -> None:
    before = walk(sent("a1", "CREATE TABLE a ()"), schema_digests={"a1": ("empty", "one")})
    names = line_of("a1", "b2")

    def follows(*trips: RoundTrip, began: str | None = "one", ended: str | None = "one") -> bool:
        digests = {"b2": (began, "two"), "c3": ("two", "three")} if began else {}
        before.schema_digests = {"z9": ("x", "y"), "a1": ("empty", ended)} if ended else {}
        of = walk(*trips, arrives=arrival(*names), schema_digests=digests)
        return bool(part_of(of, 1, 2).follows(before))

    before.arrival = arrival(*names)
    assert follows(sent("a1", "CREATE TABLE a ()"))
    assert follows(sent("a1", "CREATE TABLE a ()", "(statements sent past SQLAlchemy)"))
    assert not follows(sent("a1", "CREATE TABLE b ()"))
    assert not follows(sent("a1", "CREATE TABLE a ()"), began="other")
    assert not follows(sent("a1", "CREATE TABLE a ()"), began=None)
    assert follows(sent("a1", "CREATE TABLE a ()"), began=None, ended=None)
    before.applied = set()
    assert follows(sent("a1", "CREATE TABLE b ()"))


def test_a_segment_began_after_what_has_been_applied_and_nothing_else() -> None:
    names = arrival(*line_of("a1", "b2", "c3"))
    before = walk(sent("a1"), sent("c3"), arrives=names)

    def began(*trips: RoundTrip, begin: int = 2) -> bool:
        return bool(part_of(walk(*trips, arrives=names), begin, 3).began_after(before))

    assert began(sent("a1"))
    assert not began(sent("a1"), sent("b2"))
    assert not began()
    assert began(begin=0)
    assert began(sent("c3"), sent("a1"))


class NotReached:
    """A revision before the segment does not apply."""

    def __init__(self, *_: object, **__: object) -> None: ...

    def walk(self, begin: int, goes_on: object) -> None:
        raise CannotReachRevision("a1")


def test_a_segment_that_was_not_reached_is_over_and_began_after_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("app.gate.walk._parts.Walker", NotReached)
    part = part_of(walk(arrives=arrival(*line_of("a1", "b2"))), 0, 2)
    assert not part.is_over

    assert part.walk_by(cast(DriverClient, None)) is None

    assert part.is_over
    assert not part.began_after(walk(arrives=arrival(*line_of("a1", "b2"))))


@pytest.mark.parametrize(
    ("failure", "index"), [(None, 2), (DatabaseSpoiled(1), 1), (CommandExited("gone"), 1), (DatabaseSpoiled(2), 2)]
)
def test_a_segment_continues_where_its_last_run_ended(
    monkeypatch: pytest.MonkeyPatch, failure: Exception | None, index: int
) -> None:
    begun: list[int] = []

    class Played(NotReached):
        def walk(self, begin: int, goes_on: object) -> None:
            begun.append(begin)
            if failure is not None and len(begun) == 1:
                raise failure

    if isinstance(failure, CommandExited):
        failure.at = ("a1", "upgrade")
    monkeypatch.setattr("app.gate.walk._parts.Walker", Played)
    part = part_of(walk(arrives=arrival(*line_of("a1", "b2"))), 0, 2)

    part.walk_on(cast(DriverClient, None))
    assert part.is_over is (index == 2)
    part.walk_on(cast(DriverClient, None))

    assert begun == [0, index]
    assert part.is_over


IO_ERROR = Failure("FileExistsError", "[Errno 17] File exists")


@pytest.mark.parametrize(
    "suspicious",
    [
        builders.trip("b2", up_failure=IO_ERROR),
        builders.trip("b2", down_failure=IO_ERROR),
        builders.trip("b2", again_failure=IO_ERROR),
        RoundTrip("b2", up=Step("b2", Direction.UPGRADE, 1.0, swallowed=(Failure("KeyError", ""), IO_ERROR))),
        sent("b2", "CREATE ROLE reader"),
    ],
    ids=["up", "down", "up again", "swallowed", "a role"],
)
def test_a_segment_may_be_disturbed_by_what_fails_for_a_reason_outside(suspicious: RoundTrip) -> None:
    names = arrival(*line_of("a1", "b2", "c3"))

    assert part_of(walk(suspicious, arrives=names), 1, 2).may_be_disturbed
    assert not part_of(
        walk(builders.trip("b2", up_failure=Failure("KeyError", "")), arrives=names), 0, 3
    ).may_be_disturbed
    if suspicious.up is not None and not suspicious.up.statements:
        assert not part_of(walk(suspicious, arrives=names), 2, 3).may_be_disturbed


def test_the_steps_of_all_segments_are_added_up() -> None:
    done: list[int] = []
    progress = _Progress(3, done.append)
    first, second = progress.of(3), progress.of(5)

    for note, index in [(first, 3), (second, 7), (first, 5)]:
        note(index)
    tail = progress.of(7)
    tail(9)

    assert done == [3, 5, 7, 9]


def test_what_is_reported_is_what_no_run_expected_then_a_lost_server_then_the_disturbance() -> None:
    interrupt, lost, disturbed = KeyboardInterrupt(), ServerUnavailable("gone"), CannotReachRevision("a1")
    differing = SegmentsDiffer()

    assert _reason([disturbed, differing, None, lost, interrupt]) is interrupt
    assert _reason([disturbed, differing, None, lost]) is lost
    assert _reason([disturbed, differing, None]) is differing
    assert isinstance(_reason([disturbed, None]), DisturbedByOtherRun)


def segmented(of: Walk, runner: Runner, *segments: Segment) -> SegmentedWalk:
    return SegmentedWalk(of, as_runner(runner), segments, lambda index, underway: None, lambda done: None)


@pytest.mark.parametrize("has_roles", [True, False])
def test_a_role_that_came_meanwhile_has_the_walk_taken_again(has_roles: bool) -> None:
    of = segmented(walk(), Runner(has_new_roles=lambda: has_roles), Segment(0, 0))

    (only,) = of._parts
    if not has_roles:
        of._join(only, True)
        return
    with pytest.raises(DisturbedByOtherRun):
        of._join(only, True)


def test_another_run_has_to_be_at_the_same_plan(monkeypatch: pytest.MonkeyPatch) -> None:
    of = segmented(walk(arrives=arrival(*line_of("a1", "b2"))), Runner(), Segment(0, 2))
    monkeypatch.setattr("app.gate.walk._segments.session_of_walk", lambda index, process, database: process)

    def client(session: Any) -> DriverClient:
        return of._client(session, THROWAWAY)

    assert client(Session({"plan": ["a1", "b2"]})).database is THROWAWAY
    for session in (None, Session({"plan": ["a1"]}), Session({"failure": {"error": "KeyError", "message": ""}})):
        with pytest.raises(DisturbedByOtherRun):
            client(session)
