"""Rows that are put into tables early in a history, and stay: ordinary ones, which take their keys from sequences."""

from __future__ import annotations

import json
from collections.abc import Iterable

from app.gate.rows._fill import fill
from app.gate.rows._plan import Plan, make_plan
from app.gate.rows.connection import QueryRefused, RowConnection


def _with_rows(plan: Plan, connection: RowConnection) -> list[str]:
    """The tables that have rows already, as a script's own."""
    tables = list(plan.catalog.tables.values())
    if not tables:
        return []
    found = ", ".join(f"EXISTS (SELECT FROM {table.sql})" for table in tables)
    answers = json.loads(connection.ask(f"SELECT json_build_array({found})::text"))
    return [table.name for table, has_rows in zip(tables, answers, strict=True) if has_rows]


def put_rows(connection: RowConnection, tables: Iterable[str]) -> dict[str, int]:
    """Insert rows into those tables ("public.orders") that have none, and into their parents.

    Returns how many, by table; none where PostgreSQL refuses them.
    """
    try:
        plan = make_plan(connection.ask, tables)
        filled = _with_rows(plan, connection)
        return dict(fill(plan, connection.ask, with_edge_cases=False, by_defaults=True, except_for=filled).tables)
    except QueryRefused:
        return {}
