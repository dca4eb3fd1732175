"""Indexes that IF NOT EXISTS does not make."""

from __future__ import annotations

import pytest

from app.gate.checks.support.skipped import skipped_indexes
from app.gate.report.verdict import Severity
from tests.gate.checks.builders import added, key, recording, snapshot, statement, trip

INDEX = key("index", "ix_note", "customers")
OBJECTS = {
    key("table", "orders"): {},
    key("table", "customers"): {},
    key("table", "Order Lines"): {},
    INDEX: {"definition": "USING btree (note)"},
    key("constraint", "uq_code", "customers"): {"type": "unique"},
    key("constraint", "ck_note", "customers"): {"type": "check"},
    key("sequence", "numbers"): {},
    key("trigger", "touch", "customers"): {},
    key("index", "ix_there", "orders"): {},
}


def messages(sql: str, **fields: object) -> list[str]:
    over = recording(trip("b2", statements=[statement(sql, line=7)], **fields), head=snapshot(OBJECTS))  # type: ignore[arg-type]
    return [finding.message for finding in skipped_indexes(over)]


def test_the_finding_says_which_table_has_the_name():
    sql = "CREATE INDEX IF NOT EXISTS ix_note ON orders (note)"

    [finding] = skipped_indexes(recording(trip("b2", statements=[statement(sql, line=7)]), head=snapshot(OBJECTS)))

    assert finding.message == (
        "b2 makes no index ix_note on orders: an index of customers has that name, and IF NOT EXISTS skips the statement."
    )
    assert (finding.revision, finding.line, finding.object, finding.detail) == ("b2", 7, "orders", sql)
    assert finding.severity is Severity.WARNING


@pytest.mark.parametrize(
    ("sql", "words"),
    [
        (
            "CREATE UNIQUE INDEX CONCURRENTLY IF NOT EXISTS ix_note ON ONLY public.orders (note)",
            "an index of customers",
        ),
        ("create index if not exists IX_NOTE on Orders using btree (note)", "an index of customers"),
        ('CREATE INDEX IF NOT EXISTS "ix_note" ON "Order Lines" (note)', "an index of customers"),
        ("CREATE INDEX IF NOT EXISTS uq_code ON orders (note)", "an index of customers"),
        ("CREATE INDEX IF NOT EXISTS numbers ON orders (note)", "a sequence"),
        ("CREATE INDEX IF NOT EXISTS customers ON orders (note)", "a table"),
    ],
)
def test_all_that_has_a_file_has_one_set_of_names(sql, words):
    [message] = messages(sql)

    assert f": {words} has that name" in message


@pytest.mark.parametrize(
    "sql",
    [
        "CREATE INDEX IF NOT EXISTS ix_there ON orders (note)",
        "CREATE INDEX IF NOT EXISTS ix_new ON orders (note)",
        "CREATE INDEX ix_note ON orders (note)",
        'CREATE INDEX IF NOT EXISTS "IX_NOTE" ON orders (note)',
        "CREATE INDEX IF NOT EXISTS touch ON orders (note)",
        "CREATE INDEX IF NOT EXISTS ck_note ON orders (note)",
        "CREATE INDEX IF NOT EXISTS ix_note ON shop.orders (note)",
        "CREATE INDEX IF NOT EXISTS ix_note ON customers (note)",
        "CREATE INDEX IF NOT EXISTS ix_note ON unknown (note)",
        "CREATE TABLE IF NOT EXISTS ix_note (id integer)",
    ],
)
def test_stays_quiet_about(sql):
    assert messages(sql) == []


def test_stays_quiet_where_the_table_has_another_name_afterwards():
    sql = "CREATE INDEX IF NOT EXISTS ix_note ON orders (note)"

    assert messages(sql, renamed=[(key("table", "orders"), key("table", "customers"))]) == []
    assert messages(sql, changes=[added(INDEX, **OBJECTS[INDEX])]) == []
    assert len(messages(sql, renamed=[(key("table", "users"), key("table", "people"))])) == 1
