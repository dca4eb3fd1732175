"""Locks that are waited for without a limit."""

from __future__ import annotations

import pytest

from app.gate.checks.base import CheckSkipped
from app.gate.checks.lock_timeout import examine
from tests.gate.checks.builders import recording, statement, trip

EXCLUSIVE = {"orders": "AccessExclusiveLock"}
FOR_EVER = statement("ALTER TABLE orders ADD a int", locks=EXCLUSIVE, lock_timeout_ms=0, line=12)
LIMITED = statement("ALTER TABLE orders ADD b int", locks=EXCLUSIVE, lock_timeout_ms=2000)


def test_a_revision_that_forgot_it_is_named_with_its_table():
    [finding] = examine(recording(trip("a1", statements=[LIMITED]), trip("b2", statements=[FOR_EVER])))

    assert finding.message.startswith("b2 locks orders without a lock_timeout")
    assert (finding.revision, finding.object, finding.line) == ("b2", "public.orders", 12)
    assert "SET LOCAL lock_timeout" in str(finding.help)


def test_a_project_that_never_sets_it_is_reported_once():
    walk = recording(*(trip(name, statements=[FOR_EVER]) for name in ("a1", "b2", "c3")))

    [finding] = examine(walk)

    assert finding.message.startswith("No revision that locks tables in use sets a lock_timeout")
    assert finding.revision is None
    assert "connect_args" in str(finding.help)


def test_the_tables_of_one_revision_are_one_finding():
    users = statement("ALTER TABLE users ADD a int", locks={"users": "AccessExclusiveLock"}, lock_timeout_ms=0)

    [finding] = examine(recording(trip(statements=[FOR_EVER, users])))

    assert "locks orders and users" in finding.message


def test_a_limit_of_minutes_is_told_with_its_length():
    patient = [
        statement("ALTER TABLE orders ADD a int", locks=EXCLUSIVE, lock_timeout_ms=minutes * 60_000)
        for minutes in (1, 5)
    ]

    [finding] = examine(recording(trip("a1", statements=[patient[1]])))

    assert finding.message == (
        "a1 locks orders with a lock_timeout of 5 minutes: that long all other queries on the table wait behind it."
    )
    assert "SET LOCAL lock_timeout" in str(finding.help)
    assert "of 1 minute:" in next(iter(examine(recording(trip("a1", statements=[patient[0]]))))).message


def test_a_revision_without_a_limit_and_with_a_long_one_is_one_finding():
    long = statement("ALTER TABLE users ADD a int", locks={"users": "AccessExclusiveLock"}, lock_timeout_ms=600_000)

    [finding] = examine(recording(trip("a1", statements=[LIMITED]), trip("b2", statements=[FOR_EVER, long])))

    assert "without a lock_timeout" in finding.message


@pytest.mark.parametrize(
    "statements",
    [
        [],
        [LIMITED],
        [statement(locks={"orders": "RowExclusiveLock"}, lock_timeout_ms=0)],
        [LIMITED, statement("ALTER TABLE orders ADD c int", lock_timeout_ms=0)],
    ],
    ids=["nothing", "a limit", "a lock that nobody waits for", "a lock that is held already"],
)
def test_stays_quiet_about(statements):
    assert list(examine(recording(trip(statements=statements)))) == []


def test_is_skipped_when_the_setting_was_not_observed():
    with pytest.raises(CheckSkipped, match="lock_timeout"):
        list(examine(recording(trip(statements=[statement(locks=EXCLUSIVE)]))))
