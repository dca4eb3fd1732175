"""Down and up again, as the driver's answers have it: what is read, what is confirmed, and what spoils the database."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, cast

import pytest

from app.gate.errors import DatabaseSpoiled
from app.gate.recording.model import Direction, Evidence, RoundTrip, Snapshot, Statement, Step
from app.gate.rows.connection import CommitRefused
from app.gate.walk._round_trip import _has_to_read, _is_confirmed, _undid_nothing, _Upgraded, round_trip
from app.gate.walk.client import DriverClient
from app.gate.walk.state import Walk
from tests.gate.checks.builders import added, failure, key, removed, statement, trip
from tests.gate.walk.walks import arrival, line_of, walk

ORDERS, NOTE, OTHER = key("table", "orders"), key("column", "note", "orders"), key("table", "other")
BEFORE, AFTER = Snapshot({ORDERS: {}}), Snapshot({ORDERS: {}, NOTE: {"type": "text"}})
ELSE = Snapshot({ORDERS: {}, OTHER: {}})
UP, DOWN = statement("ALTER TABLE orders ADD note text"), statement("ALTER TABLE orders DROP note")
BROKEN, THERE = failure(), failure(sqlstate="42P07")


def up(name: str = "a1", **fields: Any) -> Step:
    return Step(name, Direction.UPGRADE, 1.0, **{"statements": (UP,), **fields})


def down(name: str = "a1", **fields: Any) -> Step:
    return Step(name, Direction.DOWNGRADE, 1.0, **{"statements": (DOWN,), **fields})


class Client:
    """A driver that gives these steps and schemas, each one after the other, and notes what it was asked for."""

    def __init__(
        self,
        steps: Any = (),
        schemas: Any = (),
        undone: Any = (),
        aligned: Snapshot | None = None,
        rights: bool = False,
    ) -> None:
        self.asked: list[str] = []
        self._steps, self._schemas, self._undone = list(steps), list(schemas), list(undone)
        self._aligned, self._rights = aligned, rights
        self.rows: Any = None

    def _step(self, how: str, name: str, direction: str, observe: bool, since: Snapshot | None) -> Any:
        self.asked.append(f"{how} {name} {direction}{' observed' * observe}{' since' * (since is not None)}")
        step = self._steps.pop(0)
        if isinstance(step, BaseException):
            raise step
        return step

    def commit_step(
        self, name: str, direction: str, *, observe: bool = False, since: Any = None, in_one_run: bool = False
    ) -> Any:
        return self._step("in one run" if in_one_run else "commit", name, direction, observe, since)

    def commit_in_one_run(self, name: str, *, observe: bool = False, since: Any = None) -> Any:
        return self._step("in one run", name, "upgrade", observe, since)

    def take_step(self, name: str, direction: str, *, observe: bool = False, since: Any = None) -> Any:
        return self._step("take", name, direction, observe, since)

    def read_schema(self, since: Snapshot | None = None) -> Any:
        self.asked.append("read")
        return self._schemas.pop(0)

    def align(self, before: Snapshot, now: Snapshot) -> Snapshot:
        return now if self._aligned is None else self._aligned

    def begin_rollback_only(self) -> None:
        self.asked.append("begin")

    def roll_back(self) -> bool:
        self.asked.append("roll back")
        return self._undone.pop(0) if self._undone else True

    def gain_rights(self) -> bool:
        self.asked.append("gain rights")
        return self._rights


def upgraded_walk(step: Step | None = None, *, is_transactional: bool = True, **fields: Any) -> Walk:
    """A walk whose only revision was upgraded just now. No rows are tried."""
    change = (added(NOTE, type="text"),)
    one = RoundTrip("a1", up=replace(step or up(), changes=change), **fields)
    evidence = frozenset({Evidence.LOCKS})
    arrives = arrival(*line_of("a1", "b2"), is_transactional=is_transactional)
    return walk(one, arrives=arrives, evidence=evidence)


def taken(of: Walk, client: Client) -> RoundTrip:
    round_trip(of, cast(DriverClient, client), "a1", BEFORE, AFTER)
    return of.trips["a1"]


ROLLED_BACK = ["begin", "take a1 downgrade observed since", "read", "take a1 upgrade", "roll back"]
COMMITTED = ["commit a1 downgrade observed since", "read", "commit a1 upgrade since", "read"]


def test_what_comes_back_by_the_same_words_is_not_read_again() -> None:
    of, client = upgraded_walk(), Client([down(), up()], [BEFORE])

    trip = taken(of, client)

    assert client.asked == ROLLED_BACK
    assert (trip.down, trip.second_up) == (down(changes=(removed(NOTE, type="text"),)), up())
    assert (trip.left_behind, trip.second_up_differences, of.unconfirmed) == ((), (), [])


def test_a_second_upgrade_by_other_words_is_read_and_what_it_leaves_is_to_be_confirmed() -> None:
    of = upgraded_walk()
    client = Client([down(), up(statements=(DOWN,))], [BEFORE, ELSE])

    trip = taken(of, client)

    assert client.asked == [*ROLLED_BACK[:-1], "read", "roll back"]
    assert trip.second_up_differences == (removed(NOTE, type="text"), added(OTHER))
    assert of.unconfirmed == ["a1"]


@pytest.mark.parametrize("sent", [(UP, statement("DO $$ BEGIN END $$")), (UP,)])
def test_a_statement_that_runs_code_has_the_schema_read(sent: tuple[Statement, ...]) -> None:
    step = up(statements=sent)
    client = Client([down(), step], [BEFORE, AFTER])

    taken(upgraded_walk(step), client)

    has_code = len(sent) > 1
    assert client.asked == (
        [*ROLLED_BACK[:3], "take a1 upgrade since", "read", "roll back"] if has_code else ROLLED_BACK
    )


def test_what_a_downgrade_leaves_is_told_and_a_second_upgrade_over_it_fails_as_it_would() -> None:
    for found, unconfirmed in ((THERE, []), (BROKEN, ["a1"])):
        of, client = upgraded_walk(), Client([down(), up(failure=found)], [ELSE])

        trip = taken(of, client)

        assert trip.left_behind == (added(OTHER),)
        assert (trip.second_up, of.unconfirmed) == (up(failure=found), unconfirmed)


def test_a_downgrade_that_undoes_nothing_is_not_followed_by_an_upgrade() -> None:
    of, client = upgraded_walk(), Client([down()], [AFTER])

    trip = taken(of, client)

    assert (trip.left_behind, trip.second_up) == ((added(NOTE, type="text"),), None)
    assert client.asked == [*ROLLED_BACK[:3], "roll back"]


def test_a_downgrade_that_fails_ends_the_trip() -> None:
    of, client = upgraded_walk(), Client([down(failure=BROKEN)])

    assert taken(of, client).down == down(failure=BROKEN)
    assert client.asked == [*ROLLED_BACK[:2], "roll back"]


def test_a_script_that_commits_goes_down_and_up_with_commits() -> None:
    of = upgraded_walk()
    client = Client([CommitRefused(), down(), up()], [BEFORE, AFTER])

    assert taken(of, client).second_up == up()
    assert client.asked == [*ROLLED_BACK[:2], "roll back", *COMMITTED]


def test_so_does_one_whose_second_upgrade_commits() -> None:
    client = Client([down(), CommitRefused(), down(), up()], [BEFORE, BEFORE, AFTER])

    assert taken(upgraded_walk(), client).second_up == up()


@pytest.mark.parametrize(("schema", "is_spoiled"), [(AFTER, False), (ELSE, True)])
def test_what_it_has_committed_before_that_spoils_the_database(schema: Snapshot, is_spoiled: bool) -> None:
    client = Client([CommitRefused(), down(), up()], [schema, BEFORE, AFTER], undone=[False])

    if not is_spoiled:
        assert taken(upgraded_walk(), client).second_up == up()
        return
    with pytest.raises(DatabaseSpoiled) as spoiled:
        taken(upgraded_walk(), client)
    assert spoiled.value.next_index == 1


def test_a_transaction_that_is_not_undone_spoils_the_database_and_the_trip_is_noted() -> None:
    of, client = upgraded_walk(), Client([down(), up()], [BEFORE], undone=[False])

    with pytest.raises(DatabaseSpoiled) as spoiled:
        taken(of, client)

    assert spoiled.value.next_index == 1
    assert of.trips["a1"].second_up == up()


@pytest.mark.parametrize(
    "of",
    [upgraded_walk(up(transactional=False)), upgraded_walk(is_transactional=False)],
    ids=["the script commits", "every statement is committed"],
)
def test_what_cannot_be_rolled_back_goes_with_commits(of: Walk) -> None:
    client = Client([down(), up()], [BEFORE, AFTER])

    trip = taken(of, client)

    assert client.asked == COMMITTED
    assert (trip.second_up, trip.second_up_differences, of.unconfirmed) == (up(), (), [])


def test_without_a_downgrade_nothing_is_tried() -> None:
    client = Client()

    taken(upgraded_walk(skipped_because="the script has no downgrade()"), client)

    assert client.asked == []


def committed(client: Client) -> tuple[Walk, bool]:
    of = upgraded_walk(up(transactional=False))
    try:
        taken(of, client)
    except DatabaseSpoiled as spoiled:
        return of, spoiled.next_index == 1
    return of, False


@pytest.mark.parametrize(
    ("client", "is_spoiled"),
    [
        (Client([down(failure=BROKEN)], [AFTER]), False),
        (Client([down(failure=BROKEN)], [ELSE]), True),
        (Client([down()], [AFTER]), True),  # it undid nothing
        (Client([down(), up(failure=BROKEN)], [BEFORE]), True),
        (Client([down(), up()], [BEFORE, ELSE]), True),
        (Client([down(), up()], [BEFORE, ELSE], aligned=AFTER), True),
        (Client([down(), up()], [BEFORE, AFTER]), False),
    ],
    ids=["down fails", "down fails half way", "nothing undone", "up fails", "another schema", "other words", "sound"],
)
def test_what_goes_wrong_with_commits_stays_in_the_database(client: Client, is_spoiled: bool) -> None:
    of, was_spoiled = committed(client)

    assert was_spoiled is is_spoiled
    assert of.trips["a1"].down is not None


def test_an_event_trigger_may_make_another_schema_of_the_same_words() -> None:
    of = upgraded_walk()

    def has_to_read(before: Snapshot, **fields: Any) -> bool:
        upgraded = _Upgraded(of, cast(DriverClient, None), "a1", before, AFTER)
        return _has_to_read(upgraded, replace(of.trips["a1"], **fields))

    assert not has_to_read(BEFORE)
    assert has_to_read(Snapshot({key("event trigger", "e"): {}}))
    assert has_to_read(BEFORE, left_behind=(added(OTHER),))
    assert not has_to_read(BEFORE, up=None)


def test_a_second_upgrade_is_confirmed_where_rows_and_a_transaction_explain_nothing() -> None:
    left, differs = (added(OTHER),), (added(OTHER),)

    def confirmed(second: Step, *, has_rows: bool = False, **fields: Any) -> bool:
        return _is_confirmed(RoundTrip("a1", **fields), second, has_rows=has_rows)

    assert confirmed(up())
    assert confirmed(up(), has_rows=True)
    assert not confirmed(up(), second_up_differences=differs)
    assert confirmed(up(), second_up_differences=differs, left_behind=left)
    assert not confirmed(up(), second_up_differences=differs, left_behind=left, has_rows=True)
    assert confirmed(up(failure=THERE), left_behind=left)
    assert not confirmed(up(failure=THERE))
    assert not confirmed(up(failure=BROKEN), left_behind=left)


def test_a_downgrade_has_undone_nothing_only_where_something_is_left_and_nothing_changed() -> None:
    one = trip(changes=[added(NOTE)])

    assert not _undid_nothing(one)
    assert not _undid_nothing(replace(one, left_behind=(added(OTHER),)))
    unchanged = replace(one, down=down())
    assert not _undid_nothing(unchanged)
    assert _undid_nothing(replace(unchanged, left_behind=(added(NOTE),)))
    assert not _undid_nothing(replace(unchanged, left_behind=(added(NOTE),), down=None))
