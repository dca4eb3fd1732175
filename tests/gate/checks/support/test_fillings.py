"""Whether a revision fills a column before it requires values in it, by the text of its statements."""

from __future__ import annotations

import pytest

from app.gate.checks.support.fillings import is_filled_before
from tests.gate.checks.builders import failure, statement, trip

REQUIRED = "ALTER TABLE orders ALTER note SET NOT NULL"


def is_filled(*statements: str, table: str | None = "public.orders", column: str | None = "note") -> bool:
    of_trip = trip(statements=[statement(sql) for sql in (*statements, REQUIRED)])
    return is_filled_before(of_trip, failure(sqlstate="23502", sql=REQUIRED), table, column)


@pytest.mark.parametrize(
    "sql",
    [
        "UPDATE orders SET note = 'x'",
        "UPDATE ONLY public.orders SET note = 'x' WHERE note IS NULL",
        'UPDATE "shop"."orders" AS o SET "note"=\'x\' FROM users',
        "update orders set total = 1, note = lower(email) returning id",
        "UPDATE orders SET total = (SELECT sum(a) FROM lines WHERE lines.o = orders.id), note = 'x'",
        "UPDATE orders SET total = coalesce((SELECT max(a) FROM lines), 0), note = 'x'",
    ],
)
def test_an_update_of_the_column_fills_it(sql: str) -> None:
    assert is_filled(sql)
    assert is_filled("SELECT 1", sql)
    assert is_filled(sql, "UPDATE users SET name = 'x'")


@pytest.mark.parametrize(
    "sql",
    [
        "UPDATE users SET note = 'x'",
        "UPDATE orders SET total = 1",
        "UPDATE orders SET other_note = 'x'",
        "UPDATE orders SET notes = 'x'",
        "UPDATE orders SET total = 1 WHERE note = 'x'",
        "UPDATE orders SET total = (SELECT count(*) FROM lines WHERE note = 'x')",
        "INSERT INTO orders (note) VALUES ('x')",
    ],
)
def test_what_writes_something_else_does_not(sql: str) -> None:
    assert not is_filled(sql)


def test_what_follows_the_requirement_comes_too_late() -> None:
    one = trip(statements=[statement(REQUIRED), statement("UPDATE orders SET note = 'x'")])

    assert not is_filled_before(one, failure(sql=REQUIRED), "public.orders", "note")


def test_without_a_table_a_column_or_an_upgrade_nothing_is_known() -> None:
    fill = "UPDATE orders SET note = 'x'"

    assert not is_filled(fill, table=None)
    assert not is_filled(fill, column=None)
