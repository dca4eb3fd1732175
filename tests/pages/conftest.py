"""Someone with a browser, who may have signed in."""

from __future__ import annotations

from typing import Any

import httpx2
import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

from tests import factories
from tests.html_page import Page

SHOP = "/projects/shop"


class Visitor:
    """Follows no redirect by itself, so that a test sees each."""

    def __init__(self, app: FastAPI) -> None:
        self.client = TestClient(app, raise_server_exceptions=False, follow_redirects=False)
        self.client.headers["Accept"] = "text/html"

    def sign_in(self, secret: str, **fields: str) -> Any:
        return self.client.post("/sign-in", data={"token": secret, **fields})

    def get(self, path: str) -> Page:
        response = self.client.get(path)
        assert response.status_code == 200, (path, response.status_code, response.headers.get("location"))
        return Page(response.text)

    def status(self, path: str) -> int:
        return int(self.client.get(path).status_code)

    def send(self, form_on: str, action: str, **fields: str) -> Any:
        """A form of that page, with what is hidden in it."""
        page = self.get(form_on)
        inside = False
        for tag, attributes in page.elements:
            if tag == "form":
                inside = attributes.get("action") == action
            elif inside and tag == "input" and attributes.get("type") == "hidden":
                fields.setdefault(str(attributes["name"]), str(attributes["value"]))
        assert "form_token" in fields, f"{form_on} has no form for {action}"
        return self.client.post(action, data=fields)


@pytest.fixture
def anyone(app: FastAPI) -> Visitor:
    return Visitor(app)


@pytest.fixture
def reader(app: FastAPI, shop: Any) -> Visitor:
    return signed_in(app, shop, "read")


@pytest.fixture
def owner(app: FastAPI, shop: Any) -> Visitor:
    """An administrator of the project."""
    return signed_in(app, shop, "admin")


def signed_in(app: FastAPI, project: Any, scope: str) -> Visitor:
    visitor = Visitor(app)
    secret = factories.bearer(project, scope)["Authorization"].removeprefix("Bearer ")
    assert visitor.sign_in(secret).status_code == 303
    return visitor


@pytest.fixture
def post(app: FastAPI, branch: dict[str, str]) -> Any:
    """Posts a report of the project's protected branch, and returns the path of its page."""
    client = TestClient(app, raise_server_exceptions=False)

    def post(report: dict[str, Any], **context: str) -> str:
        response: httpx2.Response = client.post(
            "/api/v1/projects/shop/runs", json=report, headers=branch, params={"branch": "main", **context}
        )
        assert response.status_code == 201, response.text
        return f"{SHOP}/runs/{response.json()['id']}"

    return post
