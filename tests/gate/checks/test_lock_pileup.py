"""Locks that are held while something else goes on."""

from __future__ import annotations

from dataclasses import replace

import pytest

from app.gate.checks.lock_pileup import examine
from app.gate.report.verdict import Severity
from tests.gate.checks.builders import key, recording, snapshot, statement, trip

ORDERS = statement("ALTER TABLE orders ADD a int", locks={"orders": "AccessExclusiveLock"}, line=12)
USERS = statement(
    "ALTER TABLE users ADD UNIQUE (a)", locks={"users": "AccessExclusiveLock"}, index_builds=["users"], line=13
)
QUICK = statement("ALTER TABLE users ADD a int", locks={"users": "AccessExclusiveLock"}, line=13)
BACKFILL = statement("UPDATE orders SET a = 1", locks={"orders": "RowExclusiveLock"}, scans=["orders"], line=14)
COMMITTED = statement("SELECT 1", transactional=False)


def test_tables_that_are_locked_one_after_the_other_are_one_finding():
    [finding] = examine(recording(trip(statements=[ORDERS, USERS])))

    assert finding.message.startswith(
        "a1 locks orders and users one after the other, and keeps the locks until it commits"
    )
    assert finding.object == "public.orders, public.users"
    assert finding.line == 13
    assert finding.detail == "ALTER TABLE orders ADD a int\nALTER TABLE users ADD UNIQUE (a)"
    assert finding.severity is None


def test_three_tables_that_are_locked_for_a_moment_each_are_a_notice():
    items = statement("ALTER TABLE items ADD a int", locks={"items": "AccessExclusiveLock"})

    [finding] = examine(recording(trip(statements=[ORDERS, QUICK, items])))

    assert finding.message.startswith("a1 locks orders, users and items one after the other")
    assert finding.severity is Severity.NOTICE


DETACH = statement(
    "ALTER TABLE events DETACH PARTITION events_2025;",
    locks={"events": "AccessExclusiveLock", "events_2025": "AccessExclusiveLock"},
)


def test_a_partition_that_is_detached_under_a_strong_lock_is_a_finding_with_the_statement_that_needs_none():
    [finding] = examine(recording(trip(statements=[DETACH])))

    assert finding.message.startswith(
        "Reads and writes on events and events_2025 and all partitions wait behind this DETACH"
    )
    assert 'op.execute("ALTER TABLE events DETACH PARTITION events_2025 CONCURRENTLY")' in str(finding.help)


def test_a_partition_is_found_that_is_detached_after_another_change_under_a_lock():
    before = statement("ALTER TABLE events ADD note text", locks={"events": "AccessExclusiveLock"})

    findings = [*examine(recording(trip(statements=[before, DETACH])))]

    assert [each.line for each in findings if "DETACH PARTITION" in each.message] == [DETACH.line]


def test_a_partition_is_detached_as_postgresql_can():
    default = key("table", "events_other")
    with_default = recording(trip(statements=[DETACH]), head=snapshot({default: {"partition_of": "events DEFAULT"}}))
    older = replace(recording(trip(statements=[DETACH])), postgres="13.9")
    concurrent = [
        replace(
            DETACH, sql="ALTER TABLE events DETACH PARTITION events_2025 CONCURRENTLY", locks={}, transactional=False
        )
    ]

    assert [*examine(with_default), *examine(older), *examine(recording(trip(statements=concurrent)))] == []


@pytest.mark.parametrize(
    ("mode", "words"),
    [
        ("ShareRowExclusiveLock", "while it waits for one table, no session can write to the ones before it."),
        ("AccessExclusiveLock", "while it waits for one table, no session can use the ones before it."),
    ],
)
def test_reads_of_the_tables_before_are_said_to_wait_only_where_they_do(mode: str, words: str):
    statements = [
        statement("CREATE TABLE lines (… REFERENCES orders)", locks={"orders": mode}),
        statement("ALTER TABLE users ADD FOREIGN KEY …", locks={"users": "ShareRowExclusiveLock"}, scans=["users"]),
    ]

    [finding] = examine(recording(trip(statements=statements)))

    assert finding.message.endswith(words)


def test_a_backfill_under_a_lock_is_a_finding_that_says_who_waits_for_what():
    [finding] = examine(recording(trip(statements=[ORDERS, BACKFILL])))

    assert (
        finding.message
        == "Reads and writes on orders, locked since line 12, wait until this UPDATE has worked through orders."
    )
    assert finding.line == 14
    assert finding.help == (
        "Move it into a separate revision, with transaction_per_migration=True in env.py's context.configure(). Fill a large table in"
        " batches that are committed one by one, in op.get_context().autocommit_block()."
    )


def test_work_on_another_table_under_a_lock_is_a_finding():
    copy = statement("INSERT INTO orders SELECT * FROM items", scans=["items"])

    [finding] = examine(recording(trip(statements=[ORDERS, copy])))

    assert "wait until this INSERT has worked through items" in finding.message


def test_a_validation_under_the_lock_on_another_table_is_a_finding():
    validate = statement(
        "ALTER TABLE users VALIDATE CONSTRAINT ck", locks={"users": "ShareUpdateExclusiveLock"}, scans=["users"]
    )

    [finding] = examine(recording(trip(statements=[ORDERS, validate])))

    assert "this ALTER has worked through users" in finding.message


def test_only_the_first_piece_of_long_work_is_reported():
    assert len(list(examine(recording(trip(statements=[ORDERS, BACKFILL, BACKFILL]))))) == 1


@pytest.mark.parametrize(
    "sql",
    [
        "ALTER TABLE orders ADD a int; ALTER TABLE users ADD a int;",
        "DO $$ BEGIN FOR t IN SELECT … LOOP EXECUTE format('ALTER TABLE %I ADD a int', t); END LOOP; END $$",
        "SELECT add_to_all_tables()",
        "CALL add_to_all_tables()",
    ],
)
def test_one_statement_that_does_several_things_locks_tables_one_after_the_other_too(sql):
    locks = {"orders": "AccessExclusiveLock", "users": "AccessExclusiveLock"}
    both = statement(sql, locks=locks, index_builds=["users"], line=11)

    [finding] = examine(recording(trip(statements=[both])))

    assert "locks orders and users one after the other" in finding.message
    assert finding.line == 11


def test_a_backfill_in_the_statement_that_takes_the_lock_is_long_work_too():
    both = statement(
        "ALTER TABLE orders ADD a int; UPDATE orders SET a = 1",
        locks={"orders": ["AccessExclusiveLock", "RowExclusiveLock"]},
        scans=["orders"],
    )

    [finding] = examine(recording(trip(statements=[both])))

    assert finding.message.endswith("wait until this ALTER has worked through orders.")


@pytest.mark.parametrize(
    "statements",
    [
        [],
        [ORDERS],
        [ORDERS, ORDERS],
        [ORDERS, QUICK],
        [
            statement("CREATE TABLE lines (… REFERENCES orders)", locks={"orders": "ShareRowExclusiveLock"}),
            statement("CREATE TABLE notes (… REFERENCES users)", locks={"users": "ShareRowExclusiveLock"}),
        ],
        [
            statement(
                "ALTER TABLE orders ADD FOREIGN KEY …",
                locks={"orders": "ShareRowExclusiveLock", "users": "ShareRowExclusiveLock"},
            )
        ],
        [
            statement(
                "DO $$ BEGIN ALTER TABLE orders ADD FOREIGN KEY …; EXCEPTION WHEN duplicate_object THEN NULL; END $$",
                locks={"orders": "ShareRowExclusiveLock", "users": "ShareRowExclusiveLock"},
            )
        ],
        [ORDERS, COMMITTED, USERS],
        [ORDERS, statement("COMMIT"), USERS],
        [
            statement(
                "DO $$ BEGIN ALTER TABLE orders ADD CHECK …; END $$",
                locks={"orders": "AccessExclusiveLock"},
                scans=["orders"],
            )
        ],
        [ORDERS, COMMITTED, BACKFILL],
        [BACKFILL],
        [BACKFILL, ORDERS],
        [statement(locks={"orders": "RowExclusiveLock"}), statement(locks={"users": "ShareUpdateExclusiveLock"})],
        [ORDERS, statement("ALTER TABLE orders ALTER a SET NOT NULL", scans=["orders"])],
        [ORDERS, statement("UPDATE orders SET a = 1 WHERE id = 1")],
    ],
    ids=[
        "nothing",
        "one table",
        "one table twice",
        "two tables for a moment each",
        "two older tables to which new ones refer",
        "one statement that must lock two",
        "the same in a DO block",
        "tables in two transactions",
        "tables with a commit of the script's in between",
        "a scan that is blocking-scan's, in a DO block",
        "a backfill after the commit",
        "a backfill by itself",
        "a lock at the end",
        "locks that nobody waits for",
        "a scan that is blocking-scan's",
        "a row that an index finds",
    ],
)
def test_stays_quiet_about(statements):
    assert list(examine(recording(trip(statements=statements)))) == []
