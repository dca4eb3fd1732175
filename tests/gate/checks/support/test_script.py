"""Python and SQL in a script."""

from __future__ import annotations

from app.gate.checks.support.script import shortened


def test_a_name_is_as_long_as_postgres_keeps_it():
    assert shortened("ix_orders_note") == "ix_orders_note"
    assert len(shortened("ix_" + "ü" * 60).encode()) <= 63


def test_a_name_that_is_taken_gets_a_number():
    assert shortened("total_new", {"total_new", "total_new_1"}) == "total_new_2"


def test_two_long_names_do_not_become_one():
    long = "i" * 70

    assert shortened(long, {shortened(long)}) != shortened(long)
