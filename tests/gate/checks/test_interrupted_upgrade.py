"""Upgrades that were killed half way."""

from __future__ import annotations

from dataclasses import replace

from app.gate.checks.interrupted_upgrade import examine
from app.gate.recording.model import Interruption
from tests.gate.checks.builders import failure, recording, trip


def test_a_second_run_that_fails_is_reported_with_the_statement_after_which_the_first_was_killed():
    exists = failure(
        'column "note" of relation "orders" already exists', sqlstate="42701", sql="ALTER TABLE orders ADD note text"
    )
    killed = Interruption(after="CREATE INDEX CONCURRENTLY ix ON orders (note)", line=13, failure=exists)

    [finding] = examine(recording(replace(trip("a1"), interruptions=(killed,))))

    assert finding.message == (
        'a1 cannot be run again after it was killed half way: column "note" of relation "orders" already exists.'
    )
    assert (finding.revision, finding.line) == ("a1", 13)
    assert "Killed after:\nCREATE INDEX CONCURRENTLY ix ON orders (note)" in str(finding.detail)
    assert "ALTER TABLE orders ADD note text" in str(finding.detail)


def test_stays_quiet_about_an_upgrade_that_can_be_run_again():
    assert list(examine(recording(trip("a1")))) == []
