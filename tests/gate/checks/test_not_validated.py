"""What is left half done at head."""

from __future__ import annotations

import pytest

from app.gate.checks.base import CheckSkipped
from app.gate.checks.not_validated import examine
from app.gate.report.verdict import Severity
from tests.gate.checks.builders import added, altered, key, recording, revision, snapshot, statement, trip

CHECK = key("constraint", "ck_total", "orders")
NOT_VALID = {"type": "check", "definition": "CHECK ((total > 0)) NOT VALID", "validated": False}
INDEX = key("index", "ix_note", "orders")
INVALID = {"definition": "USING btree (note)", "valid": False}


def test_a_constraint_is_reported_at_the_revision_that_left_it_so():
    walk = recording(trip("a1"), trip("b2", changes=[added(CHECK, **NOT_VALID)]), head=snapshot({CHECK: NOT_VALID}))

    [finding] = examine(walk)

    assert (
        finding.message
        == "Check constraint ck_total on orders is still NOT VALID at head: existing rows were never checked."
    )
    assert (finding.revision, finding.object) == ("b2", "public.orders.ck_total")
    assert 'op.execute("ALTER TABLE orders VALIDATE CONSTRAINT ck_total")' in str(finding.help)


def test_a_domain_has_constraints_too():
    domain = key("domain constraint", "positive", "amount")

    [finding] = examine(
        recording(head=snapshot({domain: {"definition": "CHECK ((VALUE > 0)) NOT VALID", "validated": False}}))
    )

    assert 'op.execute("ALTER DOMAIN amount VALIDATE CONSTRAINT positive")' in str(finding.help)


def test_an_invalid_index_is_dropped_and_built_again():
    [finding] = examine(recording(head=snapshot({INDEX: INVALID})))

    assert (
        finding.message == "Index ix_note on orders is INVALID at head: no query uses it, but every write maintains it."
    )
    assert "DROP INDEX CONCURRENTLY IF EXISTS ix_note" in str(finding.help)
    assert 'op.create_index("ix_note", "orders", ["note"], postgresql_concurrently=True)' in str(finding.help)


def test_a_column_can_be_not_null_and_not_valid():
    column = {"type": "text", "nullable": False, "not_null": "NOT VALID"}

    [finding] = examine(recording(head=snapshot({key("column", "note", "orders"): column})))

    assert finding.message.startswith("NOT NULL of column orders.note is still NOT VALID")


TRIGGER = key("trigger", "touch", "orders")
OFF = {"definition": "BEFORE UPDATE …", "enabled": "never"}


@pytest.mark.parametrize(
    ("loads", "severity"),
    [
        (statement("UPDATE …", locks={"orders": "RowExclusiveLock"}), Severity.WARNING),
        (statement("COPY …", written={"orders": 3}), Severity.WARNING),
        (statement("UPDATE …", locks={"users": "RowExclusiveLock"}, written={"users": 3}), None),
    ],
    ids=["rows are updated", "rows are inserted", "rows of another table"],
)
def test_a_trigger_that_was_disabled_to_load_rows_and_stays_so_is_a_warning(loads, severity):
    loads = trip("b2", changes=[altered(TRIGGER, {}, OFF)], statements=[loads])

    [finding] = examine(recording(trip("a1"), loads, head=snapshot({TRIGGER: OFF})))

    assert finding.message == "Trigger touch on orders is disabled at head: it misses what is written."
    assert (finding.revision, finding.severity) == ("b2", severity)
    assert 'op.execute("ALTER TABLE orders ENABLE TRIGGER touch")' in str(finding.help)


def test_autovacuum_that_is_off_is_reported_and_other_settings_of_it_are_not():
    table, other = key("table", "orders"), key("table", "users")
    options = {
        table: {"options": ["autovacuum_enabled=false"]},
        other: {"options": ["autovacuum_enabled=true", "fillfactor=70"]},
    }

    [finding] = examine(recording(head=snapshot(options)))

    assert finding.message == "Autovacuum is off at head for table orders: it grows, and its statistics age."
    assert 'op.execute("ALTER TABLE orders RESET (autovacuum_enabled)")' in str(finding.help)


def test_stays_quiet_when_a_later_revision_validates_it():
    valid = {"type": "check", "definition": "CHECK ((total > 0))"}
    walk = recording(
        trip("a1", changes=[added(CHECK, **NOT_VALID)]),
        trip("b2", changes=[altered(CHECK, NOT_VALID, valid)]),
        head=snapshot({CHECK: valid}),
    )

    assert list(examine(walk)) == []


def test_stays_quiet_about_what_the_base_branch_left():
    walk = recording(
        trip("a1", changes=[added(CHECK, **NOT_VALID)]),
        revisions=[revision("a1", is_new=False)],
        head=snapshot({CHECK: NOT_VALID}),
    )

    assert list(examine(walk)) == []


def test_is_skipped_with_the_reason_when_head_was_not_reached():
    with pytest.raises(CheckSkipped, match="b2 does not apply"):
        list(examine(recording(not_observed={"head": "b2 does not apply"})))


def test_stays_quiet_about_what_is_not_enforced():
    never = {"type": "check", "definition": "CHECK ((total > 0)) NOT ENFORCED", "validated": False}

    assert list(examine(recording(head=snapshot({CHECK: never})))) == []


def test_what_is_valid_does_not_hide_what_is_not_behind_it():
    valid, last = key("constraint", "ck_a", "orders"), key("constraint", "ck_z", "orders")
    head = snapshot(
        {valid: {**NOT_VALID, "validated": True}, CHECK: NOT_VALID, INDEX: {"definition": "x"}, last: NOT_VALID}
    )

    assert [each.object for each in examine(recording(head=head))] == ["public.orders.ck_total", "public.orders.ck_z"]


def test_what_the_base_left_half_done_does_not_hide_what_the_branch_does():
    first = key("constraint", "ck_a", "orders")
    walk = recording(
        trip("a1", changes=[added(first, **NOT_VALID)]),
        trip("b2", changes=[added(CHECK, **NOT_VALID)]),
        revisions=[revision("a1", is_new=False), revision("b2", "a1")],
        head=snapshot({first: NOT_VALID, CHECK: NOT_VALID}),
    )

    assert [each.object for each in examine(walk)] == ["public.orders.ck_total"]


@pytest.mark.parametrize("is_valid_there", [False, True])
def test_what_a_partition_has_from_its_parent_is_reported_there(is_valid_there: bool):
    here, there = key("table", "orders_2025"), key("table", "orders")
    of_parent = {**NOT_VALID, "validated": is_valid_there}
    head = snapshot(
        {
            there: {},
            here: {"partition_of": "public.orders FOR VALUES IN (1)"},
            CHECK: of_parent,
            key("constraint", "ck_total", "orders_2025"): NOT_VALID,
            key("column", "note", "orders"): {"not_null": "" if is_valid_there else "n NOT VALID"},
            key("column", "note", "orders_2025"): {"not_null": "n NOT VALID"},
        }
    )

    found = sorted(str(each.object) for each in examine(recording(trip("a1"), head=head)))

    assert [each for each in found if "orders_2025" in each] == (
        ["public.orders_2025.ck_total", "public.orders_2025.note"] if is_valid_there else []
    )
    assert len(found) == 2
