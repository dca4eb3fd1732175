"""Which locks conflict: the table of PostgreSQL's manual."""

from __future__ import annotations

import pytest

from app.gate.postgres.locks import BLOCKS_READS, BLOCKS_WRITES, CONFLICTS, who_waits

# https://www.postgresql.org/docs/current/explicit-locking.html#TABLE-LOCK-COMPATIBILITY
MODES = [
    "AccessShare",
    "RowShare",
    "RowExclusive",
    "ShareUpdateExclusive",
    "Share",
    "ShareRowExclusive",
    "Exclusive",
    "AccessExclusive",
]
TABLE = """
. . . . . . . X
. . . . . . X X
. . . . X X X X
. . . X X X X X
. . X X . X X X
. . X X X X X X
. X X X X X X X
X X X X X X X X
"""
ROWS = dict(zip(MODES, (line.split() for line in TABLE.strip().splitlines()), strict=True))


@pytest.mark.parametrize("mode", MODES)
def test_a_lock_conflicts_with_those_of_the_manual(mode: str) -> None:
    marked = {f"{other}Lock" for other, mark in zip(MODES, ROWS[mode], strict=True) if mark == "X"}

    assert CONFLICTS[f"{mode}Lock"] == marked


def test_every_lock_is_in_the_table() -> None:
    assert set(CONFLICTS) == {f"{mode}Lock" for mode in MODES}


def test_what_blocks_reads_and_writes_conflicts_with_theirs() -> None:
    assert CONFLICTS["RowExclusiveLock"] == BLOCKS_WRITES
    assert CONFLICTS["AccessShareLock"] == BLOCKS_READS


@pytest.mark.parametrize(
    ("modes", "blocked"),
    [
        (["ShareLock"], "writes"),
        (["ShareLock", "AccessExclusiveLock"], "reads and writes"),
        (["ExclusiveLock", "ShareRowExclusiveLock"], "writes"),
    ],
)
def test_who_waits_for_locks(modes: list[str], blocked: str) -> None:
    assert who_waits(modes) == blocked
