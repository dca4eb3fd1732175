"""Which revision is upgraded, in which way, and what is noted where that fails. The driver is played."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, cast

import pytest

from app.gate.errors import (
    CannotReachRevision,
    CannotVerify,
    CommandExited,
    DatabaseSpoiled,
    DisturbedByOtherRun,
    StepTimedOut,
)
from app.gate.recording.model import Body, Direction, Evidence, Failure, RoundTrip, Snapshot, Step
from app.gate.walk import walker as module
from app.gate.walk.client import DriverClient
from app.gate.walk.state import Walk
from app.gate.walk.walker import Walker, note_loss, texts_of
from tests.gate.checks.builders import added, failure, revision, statement, trip
from tests.gate.walk.test_round_trip import AFTER, BEFORE, BROKEN, ELSE, NOTE, THERE, Client, up
from tests.gate.walk.walks import arrival, line_of, walk

LACKS_RIGHTS = failure(sqlstate="42501")


@pytest.fixture(autouse=True)
def tripped(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The revisions that are taken down and up, which is played too."""
    names: list[str] = []
    monkeypatch.setattr(module, "round_trip", lambda walk, client, name, before, after: names.append(name))
    return names


def fresh(*names: str, evidence: set[Evidence] | None = None, **fields: Any) -> Walk:
    wanted = frozenset({Evidence.LOCKS} if evidence is None else evidence)
    return walk(arrives=arrival(*line_of(*names)), evidence=wanted, **fields)


def walked(of: Walk, client: Client, begin: int = 0, *, is_alone: bool = True) -> Snapshot:
    done: list[int] = []
    walker = Walker(of, cast(DriverClient, client), is_alone=is_alone)

    def goes_on(index: int) -> bool:
        done.append(index)
        return index < len(of.plan)

    found = walker.walk(begin, goes_on)
    assert done == [*range(begin, len(of.plan) + 1)]
    return found


def test_each_revision_is_upgraded_read_and_taken_down_and_up(tripped: list[str]) -> None:
    of, client = fresh("a1", "b2"), Client([up("a1"), up("b2")], [BEFORE, AFTER, ELSE])

    assert walked(of, client) == ELSE

    assert client.asked == [
        "read",
        "commit a1 upgrade observed since",
        "read",
        "commit b2 upgrade observed since",
        "read",
    ]
    assert (of.start, of.applied, tripped) == (BEFORE, {"a1", "b2"}, ["a1", "b2"])
    assert of.trips["a1"] == RoundTrip("a1", up=up("a1", changes=(added(NOTE, type="text"),)))
    (first, second), (third, fourth) = of.schema_digests["a1"], of.schema_digests["b2"]
    assert first != second == third != fourth


def test_a_script_without_a_downgrade_is_told_so() -> None:
    without = replace(revision("a1"), downgrade_body=Body.MISSING)
    of = walk(arrives=arrival(without), evidence=frozenset())
    client = Client([up()], [BEFORE, AFTER])

    walked(of, client)

    assert of.trips["a1"].skipped_because == "the script has no downgrade()"
    assert client.asked[1] == "commit a1 upgrade since"


def test_what_comes_after_a_failure_is_skipped() -> None:
    of, client = fresh("a1", "b2"), Client([up(failure=BROKEN)], [BEFORE])

    assert walked(of, client) == BEFORE

    assert of.trips["a1"] == RoundTrip("a1", up=up(failure=BROKEN))
    assert of.trips["b2"].skipped_because == "it comes after a1, which does not apply"
    assert (of.applied, of.schema_digests) == (set(), {})


@pytest.mark.parametrize(("schema", "is_spoiled"), [(BEFORE, False), (ELSE, True)])
def test_a_failure_that_has_committed_something_spoils_the_database(schema: Snapshot, is_spoiled: bool) -> None:
    of, client = fresh("a1"), Client([up(failure=BROKEN, transactional=False)], [BEFORE, schema])

    if not is_spoiled:
        assert walked(of, client) == BEFORE
        return
    with pytest.raises(DatabaseSpoiled) as spoiled:
        walked(of, client)
    assert spoiled.value.next_index == 1
    assert of.trips.keys() == {"a1"}


def test_what_exists_already_is_tried_in_one_run_with_what_came_before() -> None:
    of, client = fresh("a1"), Client([up(failure=THERE), up()], [BEFORE, AFTER])

    walked(of, client)

    assert client.asked[1:3] == ["commit a1 upgrade observed since", "in one run a1 upgrade observed since"]
    assert (of.trips["a1"].fails_alone, of.applied) == (THERE, {"a1"})


@pytest.mark.parametrize(
    "first", [up(failure=BROKEN), up(failure=THERE, transactional=False)], ids=["another error", "it has committed"]
)
def test_other_failures_are_not(first: Step) -> None:
    of, client = fresh("a1"), Client([first], [BEFORE, BEFORE])

    walked(of, client)

    assert of.trips["a1"].up == first


def test_if_that_fails_too_it_is_told_as_it_failed_alone() -> None:
    of, client = fresh("a1"), Client([up(failure=THERE), up(failure=BROKEN)], [BEFORE])

    walked(of, client)

    assert of.trips["a1"].up == up(failure=THERE)


def test_an_upgrade_that_lacks_rights_gets_them_and_what_it_was_refused_is_noted() -> None:
    of, client = fresh("a1"), Client([up(failure=LACKS_RIGHTS), up()], [BEFORE, AFTER], rights=True)

    walked(of, client)

    assert client.asked[1:4] == ["commit a1 upgrade observed since", "gain rights", "commit a1 upgrade observed since"]
    step = of.trips["a1"].up
    assert step is not None
    assert step.refused == (LACKS_RIGHTS,)


def test_where_there_are_no_more_rights_it_has_failed() -> None:
    of, client = fresh("a1"), Client([up(failure=LACKS_RIGHTS)], [BEFORE])

    walked(of, client)

    assert of.trips["a1"].up == up(failure=LACKS_RIGHTS)


@pytest.mark.parametrize(("schema", "is_spoiled"), [(BEFORE, False), (ELSE, True)])
def test_rights_come_too_late_for_what_has_committed_something(schema: Snapshot, is_spoiled: bool) -> None:
    of = walk(RoundTrip("z0"), arrives=arrival(revision("z0"), revision("a1")), evidence=frozenset())
    client = Client([up(failure=LACKS_RIGHTS, transactional=False), up()], [BEFORE, schema, AFTER], rights=True)

    if not is_spoiled:
        walked(of, client, 1)
        assert of.applied == {"a1"}
        return
    with pytest.raises(DatabaseSpoiled) as spoiled:
        walked(of, client, 1)
    assert spoiled.value.next_index == 1
    assert of.refused == {"a1": LACKS_RIGHTS}


def test_next_to_other_parts_of_the_walk_no_rights_are_gained() -> None:
    with pytest.raises(DisturbedByOtherRun):
        walked(fresh("a1"), Client([up(failure=LACKS_RIGHTS)], [BEFORE], rights=True), is_alone=False)


@pytest.mark.parametrize(
    ("sql", "counts"),
    [
        ("SELECT c.relname FROM pg_class c", False),
        ("\n  SELECT r.conname\n  FROM  pg_catalog.pg_constraint r", False),
        ("WITH t AS (SELECT 1) SELECT * FROM information_schema.tables", False),
        ("select a.x from public.a join pg_attribute on true", False),
        ("SELECT id FROM orders", True),
        ("SELECT pg_catalog.setval('orders_id_seq', 7)", True),
        ("SELECT * FROM pg_advisory_lock (7)", True),
        ("INSERT INTO names SELECT relname FROM pg_class", True),
        ("(statements sent past SQLAlchemy)", False),
    ],
)
def test_what_a_step_asks_of_the_catalogs_is_not_what_it_sends(sql: str, counts: bool) -> None:
    assert texts_of(trip(statements=[statement(sql)]).up) == ([sql] if counts else [])
    assert texts_of(None) == []


def test_in_which_order_a_step_sends_it_is_its_own_affair() -> None:
    def texts(*sent: str) -> list[str]:
        return texts_of(trip(statements=[statement(sql) for sql in sent]).up)

    assert texts("CREATE INDEX a", "CREATE INDEX b") == texts("CREATE INDEX b", "CREATE INDEX a")
    assert texts("CREATE INDEX a", "CREATE INDEX a") != texts("CREATE INDEX a")


# What comes before the first of them, on a new database.


def test_what_was_applied_is_applied_again_and_nothing_else() -> None:
    revisions = (revision("a1"), revision("b2", "a1"), revision("c3", "a1"))
    of = walk(trip("a1"), RoundTrip("b2"), arrives=arrival(*revisions), evidence=frozenset({Evidence.LOCKS}))
    client = Client([up("a1"), up("c3")], [BEFORE, AFTER])

    walked(of, client, 2)

    assert client.asked == ["commit a1 upgrade", "read", "commit c3 upgrade observed since", "read"]
    assert of.start is None


@pytest.mark.parametrize(
    ("step", "words"),
    [
        (up("a1", failure=failure("no")), "no"),
        (CommandExited("gone"), "the command ended in the middle of the revision: gone"),
        (StepTimedOut("did not end within 9 s", ("a1", "upgrade")), "did not end within 9 s"),
    ],
)
def test_what_applied_once_has_to_apply_again(step: Any, words: str) -> None:
    of = fresh("a1", "b2", trips={"a1": trip("a1")}, applied={"a1"})

    with pytest.raises(CannotVerify) as refused:
        walked(of, Client([step]), 1)

    assert str(refused.value) == f"revision a1 applied once and not again on another empty database: {words}"


def test_what_another_part_walks_is_applied_ahead() -> None:
    of = fresh("a1", "b2")
    client = Client([up("a1"), up("b2")], [BEFORE, AFTER])

    walked(of, client, 1)

    assert client.asked[0] == "commit a1 upgrade observed"  # its script cannot be read: it may change rows
    assert (of.trips["a1"], of.applied) == (RoundTrip("a1", up=up("a1")), {"a1", "b2"})
    client = Client([up("a1"), up("b2")], [BEFORE, AFTER])
    walked(fresh("a1", "b2", evidence=set()), client, 1)
    assert client.asked[0] == "commit a1 upgrade"


def test_it_is_tried_in_one_run_where_its_objects_exist() -> None:
    client = Client([up("a1", failure=THERE), up("a1"), up("b2")], [BEFORE, AFTER])

    walked(fresh("a1", "b2"), client, 1)

    assert client.asked[:2] == ["commit a1 upgrade observed", "in one run a1 upgrade observed"]


@pytest.mark.parametrize(
    "steps",
    [
        [up("a1", failure=failure("no"))],
        [up("a1", failure=failure("no", sqlstate="42P07"), transactional=False)],
        [up("a1", failure=THERE), up("a1", failure=failure("no"))],
    ],
)
def test_what_does_not_apply_ahead_is_not_reached(steps: list[Step]) -> None:
    with pytest.raises(CannotReachRevision, match=r"^revision a1 does not apply: no$"):
        walked(fresh("a1", "b2"), Client(steps), 1)


# A step in the middle of which the command ended.


def lost(at: tuple[str, str] | None) -> CommandExited:
    exited = CommandExited("gone")
    exited.at = at
    return exited


def gone(direction: Direction, name: str = "b2") -> Step:
    message = "the command ended in the middle of the revision: gone"
    return Step(name, direction, 0.0, transactional=False, failure=Failure("Gone", message, revision=name))


def test_a_lost_step_is_noted_where_the_trip_was() -> None:
    names = arrival(*line_of("a1", "b2", "c3"))
    whole = trip("b2", left_behind=[added(NOTE)], statements=[statement()])

    fresh_one = walk(arrives=names)
    assert note_loss(fresh_one, lost(("b2", "upgrade"))) == 2
    assert fresh_one.trips == {"b2": RoundTrip("b2", up=gone(Direction.UPGRADE))}

    going_down = walk(whole, arrives=names)
    assert note_loss(going_down, lost(("b2", "downgrade"))) == 2
    assert going_down.trips["b2"] == RoundTrip("b2", up=whole.up, down=gone(Direction.DOWNGRADE))

    up_again = walk(whole, arrives=names)
    note_loss(up_again, lost(("b2", "upgrade")))
    assert up_again.trips["b2"] == RoundTrip(
        "b2", up=whole.up, down=whole.down, second_up=gone(Direction.UPGRADE), left_behind=whole.left_behind
    )


def test_a_command_that_ends_between_two_steps_cannot_be_verified() -> None:
    with pytest.raises(CannotVerify, match=r"^the command ended while Alembic was at work in it: gone$"):
        note_loss(walk(), lost(None))
