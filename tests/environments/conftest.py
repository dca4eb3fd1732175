"""A project `shop` with an environment, and the tokens of those who have to do with it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from fastapi.testclient import TestClient

from tests.factories import bearer

Headers = dict[str, str]
Send = Callable[..., Any]
SHOP = "/api/v1/projects/shop"
PRODUCTION = f"{SHOP}/environments/production"


@pytest.fixture
def owner(shop: Any) -> Headers:
    """An administrator of the project."""
    return bearer(shop, "admin")


@pytest.fixture
def deployer(shop: Any) -> Headers:
    return bearer(shop, "deploy")


@pytest.fixture
def production(client: TestClient, owner: Headers) -> str:
    """The path of an environment with the default policy."""
    assert client.put(PRODUCTION, json={}, headers=owner).status_code == 201
    return PRODUCTION


@pytest.fixture
def send(client: TestClient) -> Send:
    """Send a request that must succeed, and return the answer's content."""

    def send(method: str, path: str, headers: Headers, content: Any = None, **options: Any) -> Any:
        body = {} if content is None else {"json": content}
        response = client.request(method, path, headers=headers, **body, **options)
        assert response.status_code in (200, 201, 204), response.text
        return response.json() if response.content else None

    return send
