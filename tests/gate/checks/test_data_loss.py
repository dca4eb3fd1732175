"""What upgrades destroy and downgrades do not bring back."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from app.gate.checks.base import CheckSkipped
from app.gate.checks.data_loss import _ADVICE, _GONE, examine
from app.gate.recording.model import Direction, Loss, LossKind, Populated, Recording, RowKind, Step
from tests.gate.checks.builders import altered, key, recording, removed, revision, statement, trip

COLUMN = removed(key("column", "note", "orders"), type="text", nullable=True)
DROPPED = Loss("public.orders", "note", LossKind.COLUMN_DROPPED, 5, 6, "note-1", None, ("id",))
DROP = statement("ALTER TABLE orders DROP COLUMN note", line=12)


def of(up: list[Loss], down: list[Loss] | None = None, **fields: Any) -> Recording:
    """One revision that drops orders.note, and whose losses are these."""
    populated = Populated(
        Step("a1", Direction.UPGRADE, 1.0), RowKind.EDGE_CASES, {"public.orders": 6}, tuple(up), tuple(down or ())
    )
    undo = fields.pop("undo", None)
    one = replace(trip("a1", changes=[COLUMN], statements=[DROP], undo=undo), populated=populated)
    return recording(one, revisions=[revision("a1", **fields)])


def test_a_dropped_column_is_named_with_a_value_that_was_in_it_and_a_way_to_keep_a_copy():
    [finding] = examine(of([DROPPED]))

    assert finding.message == "a1 drops column orders.note, with the values in it."
    assert finding.object == "public.orders.note"
    assert finding.detail == "- orders.note: 'note-1' is gone (5 of 6 test rows)"
    assert finding.line == 12
    assert 'op.execute("CREATE TABLE orders_before_a1 AS SELECT id, note FROM orders")' in str(finding.help)
    assert "# overproof: allow data-loss: <why>" in str(finding.help)


@pytest.mark.parametrize(
    ("loss", "message", "detail"),
    [
        (
            Loss("public.orders", None, LossKind.TABLE_DROPPED, 6, 6, "id = 1001", None, ("id",)),
            "a1 drops table orders, with the rows in it.",
            "- orders: the row id = 1001 is gone (6 of 6 test rows)",
        ),
        (
            Loss("public.orders", None, LossKind.ROWS_DELETED, 1, 6, "id = 1005"),
            "a1 deletes rows of orders.",
            "- orders: the row id = 1005 is gone (1 of 6 test rows)",
        ),
        (
            Loss("public.orders", None, LossKind.ROWS_DELETED, 6, 6, "id = 1001"),
            "a1 deletes rows of orders.",
            "- orders: the row id = 1001 is gone (6 of 6 test rows)",
        ),
        (
            Loss("public.orders", "total", LossKind.VALUES_ROUNDED, 3, 6, "1.5", "2"),
            "a1 rounds values of orders.total.",
            "- orders.total: '1.5' became '2' (3 of 6 test rows)",
        ),
        (
            Loss("shop.orders", "note", LossKind.VALUES_TRUNCATED, 1, 6, "abcdef", "abc"),
            "a1 truncates texts in shop.orders.note.",
            "- shop.orders.note: 'abcdef' became 'abc' (1 of 6 test rows)",
        ),
        (
            Loss("public.orders", "status", LossKind.VALUES_REMOVED, 5, 6, "status-1"),
            "a1 sets orders.status to NULL where it has a value.",
            "- orders.status: 'status-1' became NULL (5 of 6 test rows)",
        ),
        (
            Loss("public.orders", "note", LossKind.VALUES_REMOVED, 5, 6, "note-1"),  # it is dropped, and added again
            "a1 drops column orders.note, with the values in it.",
            "- orders.note: 'note-1' is gone (5 of 6 test rows)",
        ),
        (
            Loss("public.orders", "note", LossKind.VALUES_MERGED, 5, 6, "note-1", "x"),
            "a1 makes different values of orders.note equal.",
            "- orders.note: 'note-1' became 'x' (5 of 6 test rows)",
        ),
        (
            Loss(
                "public.orders", "at", LossKind.VALUES_CHANGED, 5, 6, "2001-01-01T00:00:00", "2000-12-31T23:00:00+00:00"
            ),
            "a1 changes values of orders.at.",
            "- orders.at: '2001-01-01T00:00:00' became '2000-12-31T23:00:00+00:00' (5 of 6 test rows)",
        ),
    ],
)
def test_each_kind_of_loss_has_its_words(loss, message, detail):
    [finding] = examine(of([loss]))

    assert finding.message == message
    assert finding.detail == detail


def test_what_one_upgrade_loses_is_one_finding():
    losses = [replace(DROPPED, column=name) for name in "abcde"]
    other = Loss("public.lines", "total", LossKind.VALUES_ROUNDED, 3, 6, "1.5", "2")

    [finding] = examine(of([*losses, other]))

    assert finding.message == (
        "a1 drops the columns orders.a, orders.b, orders.c and 2 more, with the values in them; and rounds values of lines.total."
    )
    assert finding.object == "public.orders"
    assert str(finding.detail).count("\n") == 5
    assert 'op.execute("CREATE TABLE orders_before_a1 AS SELECT id, a, b, c, d, e FROM orders")' in str(finding.help)
    assert "Choose a type that holds them" in str(finding.help)


def test_a_table_that_loses_rows_and_columns_is_copied_once():
    deleted = Loss("public.orders", None, LossKind.ROWS_DELETED, 1, 6, "id = 1001")

    [finding] = examine(of([deleted, DROPPED]))

    assert str(finding.help).count("CREATE TABLE") == 1
    assert 'op.execute("CREATE TABLE orders_before_a1 AS SELECT * FROM orders")' in str(finding.help)


def test_a_downgrade_that_forgets_values_is_reported_at_the_downgrade():
    changed = Loss("public.orders", "note", LossKind.VALUES_CHANGED, 5, 6, "note-1", "NOTE-1")

    [finding] = examine(of([], [changed]))

    assert finding.message == "After a1 and its downgrade, orders.note has other values than before."
    assert finding.direction == "downgrade"
    assert finding.help == (
        "Restore the values in the downgrade: have the upgrade keep what that needs, in a separate column or table.\n\n"
        "If the values are not needed, say so in the script:\n\n    # overproof: allow data-loss: <why>"
    )


def test_rows_that_are_gone_after_the_downgrade_are_reported():
    [finding] = examine(of([], [Loss("public.orders", None, LossKind.ROWS_DELETED, 1, 6, "id = 1001")]))

    assert finding.message == "After a1 and its downgrade, rows of orders are missing."


def test_what_the_upgrade_lost_is_not_reported_again_of_the_downgrade():
    empty = replace(DROPPED, kind=LossKind.VALUES_REMOVED)

    assert len(list(examine(of([DROPPED], [empty])))) == 1


@pytest.mark.parametrize(
    "one",
    [
        of([]),
        of([DROPPED], is_new=False),
        of([], [replace(DROPPED, kind=LossKind.VALUES_CHANGED)], undo=[]),
        of([], [replace(DROPPED, kind=LossKind.VALUES_CHANGED)], downgrade_body="empty", undo=[]),
        recording(trip("a1", changes=[COLUMN])),
    ],
    ids=["nothing", "a revision of the base", "a downgrade that does nothing", "an empty downgrade", "no rows"],
)
def test_stays_quiet_about(one):
    assert list(examine(one)) == []


@pytest.mark.parametrize(
    ("before", "sql", "is_lost"),
    [
        ({"partition_of": "orders FOR VALUES IN (1)"}, "ALTER TABLE orders DETACH PARTITION old", False),
        ({"inherits": ["public.orders"]}, "ALTER TABLE old NO INHERIT orders", False),
        ({"partition_of": "items DEFAULT"}, "ALTER TABLE items DETACH PARTITION old", True),
        ({"partition_of": "orders DEFAULT"}, "ALTER TABLE orders DETACH PARTITION old; TRUNCATE old", True),
    ],
    ids=["of a partition", "of a child", "of another table's partition", "and then emptied"],
)
def test_rows_of_a_table_that_is_detached_are_not_lost(before, sql, is_lost):
    gone = Loss("public.orders", None, LossKind.ROWS_DELETED, 6, 6, "id = 1001")
    walk = of([gone])
    up = trip("a1", changes=[altered(key("table", "old"), before, {})], statements=[statement(sql)]).up

    assert bool(list(examine(replace(walk, trips=(replace(walk.trips[0], up=up),))))) is is_lost


def test_is_skipped_where_no_rows_could_be_tried():
    with pytest.raises(CheckSkipped, match="no upgrade was tried over rows: the connection commits"):
        list(examine(recording(not_observed={"populated": "the connection commits by itself"})))


@pytest.mark.parametrize(
    ("kind", "advice"),
    [
        (LossKind.VALUES_ROUNDED, "Choose a type that holds them (numeric with as many decimals, timestamptz(6)), or keep the old values in another column."),
        (LossKind.HOSTS_CUT_OFF, "Keep the type inet, which holds an address with its network; cidr holds the network only."),
        (LossKind.VALUES_TRUNCATED, "Find the longest text (SELECT max(length(…))), and choose a length that holds it."),
        (LossKind.VALUES_CHANGED, "Name the time zone, so that the result does not depend on the session: USING … AT TIME ZONE 'UTC'."),
        (LossKind.VALUES_MERGED, "Write the new values into a new column, and drop the old one in a later release."),
        (LossKind.VALUES_REMOVED, "Leave the old values where they are until a later release."),
    ],
)  # fmt: skip
def test_each_loss_has_its_own_advice(kind: LossKind, advice: str):
    assert _ADVICE[kind] == advice


def test_each_loss_that_has_no_copy_has_an_advice():
    assert _ADVICE.keys() | _GONE >= set(LossKind)


def test_revisions_that_are_old_or_were_not_tried_over_rows_do_not_hide_one_behind_them():
    [lossy] = of([DROPPED]).trips
    trips = [replace(lossy, revision="old"), trip("b2"), replace(lossy, revision="c3")]
    revisions = [revision("old", is_new=False), revision("b2", "old"), revision("c3", "b2")]

    assert [each.revision for each in examine(recording(*trips, revisions=revisions))] == ["c3"]
