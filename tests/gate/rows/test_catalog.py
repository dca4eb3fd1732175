"""What is read of the tables that get rows."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from app.gate.rows._catalog import read_catalog
from tests.gate.lines import Bench

TABLE = "CREATE TABLE {name} (id serial PRIMARY KEY, code text DEFAULT 'a' UNIQUE, total integer DEFAULT 0 CHECK (total >= 0))"


def test_a_table_costs_as_much_among_many_as_alone(bench: Bench) -> None:
    bench.run(TABLE.format(name="orders"))
    alone = read_catalog(bench.line.ask, ["public.orders"])
    rows_alone = _count_rows(bench)

    for number in range(100):
        bench.run(TABLE.format(name=f"other_{number}"))

    assert read_catalog(bench.line.ask, ["public.orders"]) == alone
    assert _count_rows(bench) < rows_alone + 20


def _count_rows(bench: Bench) -> float:
    """How many rows PostgreSQL reads for the last question, those that it throws away included."""
    [(plans,)] = bench.run("EXPLAIN (ANALYZE, FORMAT JSON) EXECUTE overproof_rows")
    return sum(_rows_of(each) * float(each["Actual Loops"]) for each in _nodes(plans[0]["Plan"]))


def _rows_of(node: Mapping[str, Any]) -> float:
    return float(node["Actual Rows"]) + sum(
        float(each) for name, each in node.items() if name.startswith("Rows Removed")
    )


def _nodes(node: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    yield node
    for each in node.get("Plans", ()):
        yield from _nodes(each)
