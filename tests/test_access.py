"""The table of endpoints by scopes, written out, and what a token of another project learns: nothing."""

from __future__ import annotations

import re
from typing import Any, NamedTuple

import pytest
import sqlalchemy as sa
from fastapi import FastAPI
from fastapi.testclient import TestClient
from sqlmodel import Session

from app.runs.routes import EXAMPLE
from tests.factories import EnvironmentFactory, ProjectFactory, RunFactory, bearer, snapshot

SHOP = "/api/v1/projects/shop"
COMMIT = "a" * 40
ID = "00000000-0000-4000-8000-000000000000"
WAIVER = {"fingerprint": "f00d", "reason": "x", "ends_at": "2099-01-01T00:00:00Z"}

READ = ("read", "report", "deploy", "admin")
REPORT, DEPLOY, ADMIN = ("report", "admin"), ("deploy", "admin"), ("admin",)
NOBODY: tuple[str, ...] = ()  # but an administrator of the installation


class Endpoint(NamedTuple):
    method: str
    path: str
    scopes: tuple[str, ...]  # with which a token of the project may use it
    content: Any = None


ENDPOINTS = [
    Endpoint("POST", "", NOBODY, {"slug": "store", "name": "Store"}),
    Endpoint("GET", "", READ),
    Endpoint("GET", "/shop", READ),
    Endpoint("PATCH", "/shop", ADMIN, {"name": "The shop"}),
    Endpoint("DELETE", "/shop", NOBODY),
    Endpoint("POST", "/shop/archive", ADMIN),
    Endpoint("POST", "/shop/restore", ADMIN),
    Endpoint("POST", "/shop/tokens", ADMIN, {"name": "CI", "scope": "read"}),
    Endpoint("GET", "/shop/tokens", ADMIN),
    Endpoint("DELETE", f"/shop/tokens/{ID}", ADMIN),
    Endpoint("POST", "/shop/runs", REPORT, EXAMPLE),
    Endpoint("GET", "/shop/runs", READ),
    Endpoint("GET", f"/shop/runs/{ID}", READ),
    Endpoint("GET", f"/shop/runs/{ID}/findings", READ),
    Endpoint("GET", f"/shop/runs/{ID}/report", READ),
    Endpoint("GET", "/shop/revisions", READ),
    Endpoint("GET", f"/shop/revisions/a1/{'0' * 64}", READ),
    Endpoint("GET", "/shop/forks", READ),
    Endpoint("GET", "/shop/changes", READ),
    Endpoint("GET", "/shop/changes/7", READ),
    Endpoint("POST", "/shop/changes/7/close", REPORT),
    Endpoint("GET", "/shop/environments", READ),
    Endpoint("PUT", "/shop/environments/production", ADMIN, {}),
    Endpoint("GET", "/shop/environments/production", READ),
    Endpoint("GET", "/shop/environments/production/deployments", READ),
    Endpoint("PUT", "/shop/environments/production/deployments/1", DEPLOY, {"commit": COMMIT}),
    Endpoint("GET", "/shop/environments/production/snapshots", READ),
    Endpoint("POST", "/shop/environments/production/snapshots", DEPLOY, snapshot("a1")),
    Endpoint("GET", f"/shop/environments/production/snapshots/{ID}", READ),
    Endpoint("GET", "/shop/environments/production/drift", READ),
    Endpoint("POST", "/shop/environments/production/decisions", DEPLOY, {"commit": COMMIT}),
    Endpoint("GET", "/shop/environments/production/decisions", READ),
    Endpoint("GET", f"/shop/environments/production/decisions/{ID}", READ),
    Endpoint("POST", "/shop/waivers", ADMIN, WAIVER),
    Endpoint("GET", "/shop/waivers", READ),
    Endpoint("DELETE", f"/shop/waivers/{ID}", ADMIN),
    Endpoint("GET", "/shop/audit", ADMIN),
]
WITHOUT_TOKEN = {("GET", "/api/v1/projects/{slug}/badge.svg"), ("GET", "/healthz"), ("GET", "/readyz")}
OF_A_PROJECT = [each for each in ENDPOINTS if each.path.startswith("/shop")]


def name_of(endpoint: Endpoint) -> str:
    return f"{endpoint.method} {endpoint.path or '/'}"


def ask(client: TestClient, endpoint: Endpoint, headers: dict[str, str], slug: str = "shop") -> Any:
    path = re.sub("^/shop", f"/{slug}", endpoint.path)
    body = {} if endpoint.content is None else {"json": endpoint.content}
    return client.request(endpoint.method, f"/api/v1/projects{path}", headers=headers, **body)


@pytest.fixture
def shop() -> Any:
    project = ProjectFactory(slug="shop")
    EnvironmentFactory(project=project, name="production")
    return project


def test_the_table_has_every_operation(app: FastAPI) -> None:
    templates = {
        (method.upper(), path): re.compile(re.sub(r"\\\{\w+\\\}", "[^/]+", re.escape(path)))
        for path, methods in app.openapi()["paths"].items()
        for method in methods
    }
    found = {
        operation: [
            each
            for each in ENDPOINTS
            if each.method == operation[0] and template.fullmatch(f"/api/v1/projects{each.path}")
        ]
        for operation, template in templates.items()
    }

    assert {operation for operation, endpoints in found.items() if not endpoints} == WITHOUT_TOKEN
    assert all(len(endpoints) <= 1 for endpoints in found.values())


@pytest.mark.parametrize("endpoint", ENDPOINTS, ids=name_of)
def test_endpoints_by_scopes(client: TestClient, session: Session, shop: Any, endpoint: Endpoint) -> None:
    statuses = {}
    for scope in READ:
        with session.begin_nested() as before:  # what one did is undone for the next
            statuses[scope] = ask(client, endpoint, bearer(shop, scope)).status_code
            before.rollback()

    assert {scope for scope, status in statuses.items() if status != 403} == set(endpoint.scopes), statuses
    assert ask(client, endpoint, {}).status_code == 401
    assert ask(client, endpoint, {"Authorization": "Bearer ovp_made_up"}).status_code == 401
    assert ask(client, endpoint, bearer()).status_code not in (401, 403)


@pytest.mark.parametrize("endpoint", OF_A_PROJECT, ids=name_of)
def test_a_token_of_another_project_learns_nothing(
    client: TestClient, shop: Any, engine: sa.Engine, endpoint: Endpoint
) -> None:
    RunFactory(project=shop)
    headers = bearer(ProjectFactory(), "admin")
    ask(client, endpoint, headers)  # its use is noted, once in a minute
    statements: list[str] = []

    def note(connection: Any, cursor: Any, statement: str, *others: Any) -> None:
        statements.append(re.sub(r"savepoint_\d+", "savepoint", statement))

    sa.event.listen(engine, "before_cursor_execute", note)

    there = ask(client, endpoint, headers)
    for_there = list(statements)
    statements.clear()
    nowhere = ask(client, endpoint, headers, slug="none")

    assert there.status_code == nowhere.status_code == 404
    assert there.text == nowhere.text.replace("none", "shop")
    assert {**there.headers, "x-request-id": ""} == {**nowhere.headers, "x-request-id": ""}
    assert for_there == statements  # the time that it takes is that of the same statements
