"""What autogenerate would still write, one finding for each table."""

from __future__ import annotations

import pytest

from app.gate.checks.base import CheckSkipped
from app.gate.checks.model_drift import examine
from tests.gate.checks.builders import drift, recording, unregistered


def test_one_operation_is_named():
    [finding] = examine(recording(drift=drift("add column public.orders.note")))

    assert finding.message == (
        "The models and the migrations differ on orders: autogenerate would still add column public.orders.note."
    )
    assert finding.object == "public.orders"
    assert "alembic revision --autogenerate" in str(finding.help)


def test_operations_on_one_table_are_one_finding():
    operations = drift("add column public.orders.note", "add index public.orders.ix_note", "remove table audit.log")

    first, second = examine(recording(drift=operations))

    assert first.object == "audit.log"
    assert "2 operations" in second.message
    assert "- add index public.orders.ix_note" in str(second.detail)


def test_a_constraint_without_a_name_belongs_to_its_table():
    [finding] = examine(recording(drift=drift("add constraint public.orders(number)")))

    assert finding.object == "public.orders"


def test_stays_quiet_about_the_tables_of_models_that_were_not_imported():
    drifts = drift("remove index public.orders.ix_note", "remove table public.orders")
    unseen = (unregistered("shop.orders.models", "Order", "orders"),)

    assert list(examine(recording(drift=drifts, unregistered=unseen))) == []


def test_stays_quiet_when_autogenerate_would_write_nothing():
    assert list(examine(recording(drift=()))) == []


def test_is_skipped_without_metadata():
    with pytest.raises(CheckSkipped, match="target_metadata"):
        list(examine(recording(drift=(), has_metadata=False)))


def test_is_skipped_with_the_reason_when_head_was_not_reached():
    with pytest.raises(CheckSkipped, match="b2 does not apply"):
        list(examine(recording(not_observed={"drift": "b2 does not apply"})))


def test_of_a_table_without_a_model_nothing_that_drops_it_is_advised():
    [finding] = examine(
        recording(
            drift=drift("remove index public.alembic_version.ix", "remove table public.alembic_version"),
        )
    )

    assert "--autogenerate" not in str(finding.help)
    assert "drops the table, with all rows in it" in str(finding.help)
    assert 'name == "alembic_version"' in str(finding.help)


def test_where_a_column_would_go_it_is_said_that_its_values_go_too():
    [finding] = examine(recording(drift=drift("remove column public.orders.note")))

    assert "It drops note, with the values in it." in str(finding.help)
