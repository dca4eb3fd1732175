"""What is known of one walk, and what is noted of it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, cast

import pytest

from app.gate.recording.model import Drift, Evidence, Failure, RoundTrip, Snapshot
from app.gate.walk.state import Arrival
from tests.gate.checks.builders import failure, key, problem, revision, statement, trip
from tests.gate.walk.walks import arrival, base, line_of, walk

LINE = line_of("a1", "b2", "c3")


@pytest.mark.parametrize(
    ("at", "is_news"),
    [
        (arrival(*LINE), True),
        (arrival(*LINE, plan=()), False),
        (arrival(*LINE, plan=(), base=base()), True),
        (arrival(plan=(), problems=[problem("cycle", "a cycle")]), True),
        (arrival(*LINE, is_stamp=True), False),
    ],
    ids=["revisions to apply", "at head", "a base", "an unreadable history", "a stamp"],
)
def test_there_is_news_where_something_is_to_be_applied_or_reported(at: Arrival, is_news: bool) -> None:
    assert at.is_news is is_news


def test_what_the_branch_adds_is_known_by_its_revisions() -> None:
    old = [replace(each, is_new=False) for each in LINE]
    new = revision("d4", "c3")

    assert not arrival(*old).adds_something
    assert arrival(*old, new).adds_something
    assert arrival(*old, new, stamped=("c3", "d4")).stamps_what_is_new
    assert not arrival(*old, new, stamped=("c3", "gone")).stamps_what_is_new


def test_alembics_own_table_has_a_schema_and_is_left_out() -> None:
    own = key("table", "alembic_version")
    elsewhere = key("table", "versions", schema="meta")
    schema = Snapshot({own: {}, elsewhere: {}})
    other = arrival(handshake={"version_table": "versions", "version_table_schema": "meta"})

    assert (arrival().version_table, other.version_table) == ("public.alembic_version", "meta.versions")
    assert arrival().without_version_table(schema).objects.keys() == {elsewhere}
    assert other.without_version_table(schema).objects.keys() == {own}
    assert other.history == ("migrations", "versions", "meta")


@pytest.mark.parametrize(
    ("up", "changes"),
    [
        (statement("UPDATE orders SET note = ''", locks={"orders": "RowExclusiveLock"}), True),
        (statement("ALTER TABLE orders ADD note text", locks={"orders": "AccessExclusiveLock"}), False),
        (statement("DO $$ BEGIN EXECUTE 'SELECT 1'; END $$"), True),
    ],
)
def test_rows_may_be_changed_by_what_locks_for_it_and_by_code(up: Any, changes: bool) -> None:
    one = trip(statements=[up])

    assert walk(one).changes_rows("a1") is changes
    assert not walk(one, evidence=frozenset()).changes_rows("a1")
    assert walk(one, evidence=frozenset({Evidence.LOCKS})).observes_statements
    assert not walk(RoundTrip("a1")).changes_rows("a1")


def test_what_comes_after_a_failure_is_blocked_by_the_first_of_them() -> None:
    failed = trip("a1", up_failure=failure())
    revisions = [*LINE, replace(revision("d4"), depends_on=("c3",)), revision("e5")]
    taken = walk(failed, arrives=arrival(*revisions))

    assert taken.blocker_of(revisions[1]) == "a1"
    taken.skip("b2", "a1")
    assert taken.blocker_of(revisions[2]) == "a1"
    taken.skip("c3", "a1")
    assert taken.blocker_of(revisions[3]) == "a1"
    assert taken.blocker_of(revisions[4]) is None
    assert taken.trips["c3"] == RoundTrip("c3", skipped_because="it comes after a1, which does not apply")


def test_what_was_applied_or_is_not_of_this_walk_blocks_nothing() -> None:
    taken = walk(trip("b2"), arrives=arrival(*LINE))

    assert [taken.blocker_of(each) for each in LINE] == [None, None, None]


def test_what_is_noted_of_a_trip_is_added_to_it() -> None:
    taken = walk(trip("a1"))

    taken.note("a1", skipped_because="on a separate database, it ended")

    assert taken.trips["a1"] == replace(trip("a1"), skipped_because="on a separate database, it ended")


def test_what_autogenerate_says_is_noted_with_what_filters_hide() -> None:
    taken = walk(hidden=("public.a",))
    answer = {
        "operations": [{"operation": "add column orders.note", "object": "public.orders.note", "kind": "add-column"}],
        "waived": ["public.b"],
        "refused": ["public.c"],
        "is_stale": True,
    }

    taken.note_drift(cast(Any, answer))

    assert taken.drift == (Drift("add column orders.note", "public.orders.note", "add-column"),)
    assert (taken.hidden, taken.unchanged.refused) == (("public.a", "public.b"), ("public.c",))
    assert taken.is_drift_stale
    assert taken.not_observed == {}


def test_an_autogenerate_that_fails_says_nothing() -> None:
    taken = walk()

    taken.note_drift(Failure("KeyError", "'orders'"))

    assert taken.drift is None
    assert taken.not_observed == {"drift": "autogenerate failed: 'orders'"}


ROLE = "CREATE ROLE reader"


@pytest.mark.parametrize(
    "sent",
    [
        trip(statements=[statement("SELECT 1"), statement(ROLE)]),
        trip(up_failure=failure(sql=ROLE)),
        replace(trip(), up=replace(cast(Any, trip().up), swallowed=(failure(sql=ROLE),))),
        replace(trip(), up=replace(cast(Any, trip().up), refused=(failure(), failure(sql=ROLE)))),
    ],
    ids=["a statement", "the one that failed", "one whose error was swallowed", "one that was refused"],
)
def test_a_role_is_of_the_whole_server_however_it_ended(sent: RoundTrip) -> None:
    assert walk(RoundTrip("z0"), sent).changes_the_server
    assert not walk(trip(statements=[statement("SELECT 1")], up_failure=failure())).changes_the_server


def test_a_fork_knows_what_is_known_and_what_it_notes_is_its_own() -> None:
    taken = walk(trip("a1"), start=Snapshot({}), blocked_by={"b2": "a1"}, refused={"a1": failure()})

    fork = taken.fork()

    assert (fork.arrival, fork.evidence, fork.trips, fork.applied, fork.blocked_by, fork.refused) == (
        taken.arrival,
        taken.evidence,
        taken.trips,
        taken.applied,
        taken.blocked_by,
        taken.refused,
    )
    fork.skip("c3", "a1")
    assert "c3" not in taken.trips
    assert "c3" not in taken.blocked_by


def test_what_a_fork_observed_at_head_is_added() -> None:
    taken = walk(hidden=("public.old",), not_observed={"offline": "no"}, start=Snapshot({}))
    fork = taken.fork()
    assert (fork.start, fork.unchanged is taken.unchanged, fork.hidden) == (taken.start, True, ())
    fork.head, fork.creation, fork.drift, fork.is_drift_stale = Snapshot({}), ["CREATE"], (), True
    fork.hidden, fork.unregistered, fork.not_observed = ("public.new",), (), {"models": "none"}

    taken.join_head(fork)

    assert (taken.head, taken.creation, taken.drift, taken.is_drift_stale) == (fork.head, ["CREATE"], (), True)
    assert (taken.hidden, taken.unregistered) == (("public.old", "public.new"), ())
    assert taken.not_observed == {"offline": "no", "models": "none"}


def test_what_a_fork_found_is_joined_for_its_part_of_the_plan_only() -> None:
    arrives = arrival(*LINE)
    taken = walk(trip("a1"), arrives=arrives, start=Snapshot({}), unconfirmed=["a1"])
    names = ("a1", "b2", "c3")
    fork = walk(*map(trip, names), arrives=arrives, start=Snapshot({key("table", "t"): {}}), unconfirmed=["b2"])
    for of_fork in (fork.schema_digests, fork.blocked_by, fork.refused, fork.unpopulated):
        of_fork.update(dict.fromkeys(names, cast(Any, "of the fork")))

    fork.unconfirmed = ["b2", "c3"]
    taken.join(fork, 1, 2)

    assert taken.trips.keys() == taken.applied == {"a1", "b2"}
    assert taken.unconfirmed == ["a1", "b2"]
    assert taken.start == Snapshot({})
    for each in (taken.schema_digests, taken.blocked_by, taken.refused, taken.unpopulated):
        assert each == {"b2": "of the fork"}

    taken.join(fork, 0, 1)

    assert taken.start == fork.start


def test_a_walk_continues_after_a_revision_and_has_a_head_or_none() -> None:
    taken = walk(arrives=arrival(*LINE))

    assert taken.index_after("b2") == 2
    assert walk(arrives=arrival(index=3)).index == 3
    with pytest.raises(LookupError, match="head was not reached"):
        taken.get_head()
    taken.head = Snapshot({})
    assert taken.get_head() == Snapshot({})
