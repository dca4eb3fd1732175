"""What a revision writes and the running code cannot read."""

from __future__ import annotations

import pytest

from app.gate.checks.breaking_change import examine
from app.gate.recording.running import ModelColumn, ModelTable, RunningCode
from tests.gate.checks.builders import recording, statement, trip

ORDER = ModelTable(
    "public.orders", "shop.Order", {"status": ModelColumn("VARCHAR", ("new", "it's")), "note": ModelColumn("TEXT")}
)
OTHER = ModelTable("archive.orders", "shop.Archived", {"status": ModelColumn("VARCHAR", ("new", "late"))})


def written(sql: str, *tables: ModelTable) -> list[str]:
    running = RunningCode("c0ffee", tables or (ORDER,), 20)
    return [each.message for each in examine(recording(trip(statements=[statement(sql)]), running=running))]


@pytest.mark.parametrize(
    "sql",
    [
        "UPDATE orders SET status = 'late'",
        "update only public.orders as o set note = 'x', status='late'::text where o.note = 'status'",
        "-- all of them\nUPDATE orders SET \"status\" = CAST('late' AS status) FROM other WHERE true;",
        "UPDATE orders SET status = CASE note WHEN 'new' THEN 'new' ELSE 'late' END",
        "INSERT INTO orders (note, status) VALUES ('x', 'new'), (f('a, b'), 'late')",
        "INSERT INTO orders (status) OVERRIDING USER VALUE VALUES ('late') ON CONFLICT DO NOTHING",
    ],
)
def test_a_value_that_an_enum_of_the_model_does_not_list_is_found(sql: str) -> None:
    assert written(sql) == [
        "Column orders.status gets 'late', which shop.Order does not list: reading such a row fails."
    ]


@pytest.mark.parametrize(
    "sql",
    [
        "UPDATE orders SET status = 'new'",
        "UPDATE orders SET status = 'it''s'",
        "UPDATE orders SET note = 'late'",
        "UPDATE orders SET status = lower('LATE')",
        "UPDATE orders SET status = %(status)s",
        "UPDATE orders SET status = CASE WHEN note = 'late' THEN status END",
        "UPDATE others SET status = 'late'",
        "UPDATE archive.orders SET status = 'late'",
        "INSERT INTO orders (status) SELECT 'late'",
        "INSERT INTO orders VALUES ('late')",
        "DELETE FROM orders WHERE status = 'late'",
        "SELECT 'late'",
    ],
)
def test_what_the_model_lists_and_what_is_not_known_is_silent(sql: str) -> None:
    assert written(sql) == []


def test_of_two_tables_of_a_name_the_schema_says_which() -> None:
    assert written("UPDATE orders SET status = 'late'", ORDER, OTHER) == []
    assert len(written("UPDATE public.orders SET status = 'late'", ORDER, OTHER)) == 1
