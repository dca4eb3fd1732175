"""Every statement on a large table names one project, so that the tables can be distributed by it."""

from __future__ import annotations

import re

import pytest
import sqlalchemy as sa
from fastapi.testclient import TestClient
from sqlmodel import Session

from app.metadata import metadata
from tests.factories import ProjectFactory, bearer, finding, proof, revision, snapshot

# A project and its tokens are small. Checks and findings are read by their run; their keys are those of the first
# version, which has no project in them.
NOT_DISTRIBUTED = {"project", "api_token", "run_check", "run_finding"}
LARGE = [name for name in metadata.tables if name not in NOT_DISTRIBUTED]
SHOP = "/api/v1/projects/shop"
PRODUCTION = f"{SHOP}/environments/production"
WAIVER = {"fingerprint": "f00d", "reason": "x", "ends_at": "2099-01-01T00:00:00Z"}


@pytest.fixture
def statements(engine: sa.Engine) -> list[str]:
    found: list[str] = []
    sa.event.listen(engine, "before_cursor_execute", lambda *arguments: found.append(arguments[2]))
    return found


def test_each_statement_names_one_project(client: TestClient, session: Session, statements: list[str]) -> None:
    shop = ProjectFactory(slug="shop")
    admin, branch = bearer(shop), bearer(shop, "report", trusted=True)
    two = proof(revision("a1"), revision("b2", "a1"), findings=[finding(revision="b2")], snapshot=[], digest="0" * 64)
    statements.clear()

    for method, path, content, query in [
        ("PUT", PRODUCTION, {}, {}),
        ("PUT", PRODUCTION, {"drift": "allow"}, {}),
        ("POST", f"{SHOP}/runs", proof(revision("a1")), {"head_sha": "a" * 40, "branch": "main"}),
        ("POST", f"{SHOP}/runs", two, {"head_sha": "b" * 40, "change": "7"}),
        ("POST", f"{SHOP}/runs", two, {}),
        ("PUT", f"{PRODUCTION}/deployments/1", {"commit": "a" * 40}, {}),
        ("PUT", f"{PRODUCTION}/deployments/2", {"heads": ["a1"], "status": "rolling"}, {}),
        ("POST", f"{PRODUCTION}/snapshots", snapshot("a1", schema="by hand"), {}),
        ("POST", f"{SHOP}/waivers", WAIVER, {}),
        ("POST", f"{PRODUCTION}/decisions", {"commit": "b" * 40}, {}),
        ("POST", f"{PRODUCTION}/decisions", {"heads": ["b2"]}, {}),
        ("POST", f"{SHOP}/changes/7/close", None, {}),
    ]:
        headers = branch if path.endswith("/runs") else admin
        assert client.request(method, path, json=content, params=query, headers=headers).is_success, (method, path)
    for path in (
        *(f"{SHOP}/{name}" for name in ("runs", "revisions", "changes", "forks", "environments", "waivers", "audit")),
        *(f"{PRODUCTION}{part}" for part in ("", "/deployments", "/snapshots", "/drift", "/decisions")),
    ):
        assert client.get(path, headers=admin).is_success, path

    scattered = [statement for statement in statements if reads_all_projects(statement)]
    assert scattered == []
    assert sum(any(mentions(statement, name) for name in LARGE) for statement in statements) > 60


def mentions(statement: str, table: str) -> bool:
    return re.search(rf'\b(FROM|JOIN|UPDATE) "?{table}"?\b', statement) is not None


def reads_all_projects(statement: str) -> bool:
    """Whether a large table in it is not held to one project."""
    tables = [name for name in LARGE if mentions(statement, name)]
    return any(not re.search(rf'\b("?{name}"?\.)?project_id = ', statement) for name in tables)
