"""Every statement on a large table names one project, so that the tables can be distributed by it."""

from __future__ import annotations

import re
from typing import Any

import pytest
import sqlalchemy as sa
from fastapi.testclient import TestClient
from sqlmodel import Session

from app.metadata import metadata
from tests import scenario
from tests.factories import ProjectFactory, bearer

SMALL = {"project", "api_token"}  # a copy of them is everywhere
LARGE = [name for name in metadata.tables if name not in SMALL]


@pytest.fixture
def statements(engine: sa.Engine) -> list[str]:
    found: list[str] = []
    sa.event.listen(engine, "before_cursor_execute", lambda *arguments: found.append(arguments[2]))
    return found


def test_each_statement_names_one_project(client: TestClient, session: Session, statements: list[str]) -> None:
    shop = ProjectFactory(slug="shop")
    admin, branch = bearer(shop), bearer(shop, "report", trusted=True)
    statements.clear()

    def send(asked: scenario.Asked) -> Any:
        headers = branch if asked.path.endswith("/runs") else admin
        answer = client.request(asked.method, asked.path, json=asked.content, params=asked.query, headers=headers)
        assert answer.is_success, asked
        return answer.json()

    scenario.ask_all(send)

    scattered = [statement for statement in statements if reads_all_projects(statement)]
    assert scattered == []
    assert sum(any(mentions(statement, name) for name in LARGE) for statement in statements) > 60


def mentions(statement: str, table: str) -> bool:
    return re.search(rf'\b(FROM|JOIN|UPDATE) "?{table}"?\b', statement) is not None


def reads_all_projects(statement: str) -> bool:
    """Whether a large table in it is not held to one project."""
    tables = [name for name in LARGE if mentions(statement, name)]
    return any(not re.search(rf'\b("?{name}"?\.)?project_id = ', statement) for name in tables)
