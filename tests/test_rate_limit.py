"""Who sends too many requests is told when to come back, and nobody else is kept waiting."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient
from starlette.types import Message, Receive, Scope, Send

from app.rate_limit import RateLimit
from app.settings import SettingRefused, Settings


class Clock:
    now_s = 90.0

    def __call__(self) -> float:
        return self.now_s


class Client:
    """Sends requests to an application behind the limit."""

    def __init__(self, **limits: int) -> None:
        self.clock = Clock()
        given: dict[str, Any] = {"of_token": 0, "of_address": 0, "sign_ins": 0} | limits
        self.said = ""
        self.app = RateLimit(self.answer, cookie="session", clock=self.clock, **given)

    async def answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})

    def ask(
        self,
        *,
        token: str | None = None,
        cookies: str | None = None,
        address: str | None = "192.0.2.1",
        path: str = "/api/v1/projects",
        method: str = "GET",
    ) -> Any:
        """The status, and the seconds in Retry-After. What a refusal says is in `said`."""
        headers = [] if token is None else [(b"authorization", f"Bearer {token}".encode())]
        headers += [] if cookies is None else [(b"cookie", cookies.encode())]
        scope: Scope = {"type": "http", "method": method, "path": path, "headers": headers}
        scope["client"] = None if address is None else (address, 1)
        sent: list[Message] = []

        async def send(message: Message) -> None:
            sent.append(message)

        asyncio.run(self.app(scope, self.nothing, send))
        self.said = "".join(json.loads(each["body"])["detail"] for each in sent if each.get("body"))
        after = dict(sent[0]["headers"]).get(b"retry-after")
        return sent[0]["status"], None if after is None else int(after)

    async def nothing(self) -> Message:
        raise AssertionError


def test_a_token_that_is_out_of_control_is_refused_until_the_minute_is_over() -> None:
    client = Client(of_token=2)

    answers = [client.ask(token="one", address=f"192.0.2.{number}") for number in range(3)]
    other = client.ask(token="other")
    client.clock.now_s = 119.5
    late = client.ask(token="one")
    client.clock.now_s = 120.0
    next_minute = client.ask(token="one")

    assert answers == [(200, None), (200, None), (429, 30)]
    assert other == (200, None)
    assert late == (429, 1)
    assert next_minute == (200, None)


def test_tokens_that_are_made_up_are_counted_together_by_their_address() -> None:
    client = Client(of_address=2)

    answers = [client.ask(token=f"made up {number}")[0] for number in range(4)]

    assert answers == [200, 200, 429, 429]
    assert client.ask(address="192.0.2.2")[0] == 200


def test_a_session_is_counted_like_a_token_whatever_other_cookies_it_has() -> None:
    client = Client(of_token=2)

    answers = [
        client.ask(cookies=f"a={number}; session=one", path="/projects/shop", address=f"192.0.2.{number}")[0]
        for number in range(3)
    ]

    assert answers == [200, 200, 429]
    assert client.ask(cookies="session=other", path="/projects/shop")[0] == 200
    assert client.ask(cookies="a=1", path="/projects/shop")[0] == 200


def test_whoever_guesses_tokens_to_sign_in_is_refused_soon() -> None:
    client = Client(sign_ins=2)

    answers = [client.ask(path="/sign-in", method="POST", cookies=f"session={number}")[0] for number in range(3)]

    assert answers == [200, 200, 429]
    assert client.ask(path="/sign-in")[0] == 200
    assert client.ask(path="/sign-in", method="POST", address="192.0.2.2")[0] == 200


@pytest.mark.parametrize("path", ["/healthz", "/readyz", "/metrics", "/static/style.css"])
def test_what_watches_the_service_is_not_limited(path: str) -> None:
    client = Client(of_address=1, of_token=1)

    assert {client.ask(path=path)[0] for _ in range(5)} == {200}


def test_0_is_no_limit() -> None:
    client = Client()

    assert {client.ask(token="one")[0] for _ in range(100)} == {200}


@pytest.mark.parametrize(
    ("limits", "request_", "said"),
    [
        ({"of_token": 1}, {"token": "one"}, "The token has sent more than 1 requests in a minute."),
        ({"of_token": 1}, {"cookies": "session=ü"}, "The session has sent more than 1 requests in a minute."),
        ({"of_address": 1}, {"address": None}, "The address of the client has sent more than 1 requests in a minute."),
        (
            {"sign_ins": 1},
            {"path": "/sign-in", "method": "POST"},
            "The address of the client has sent more than 1 tokens to sign in in a minute.",
        ),
    ],
)
def test_a_client_is_told_what_it_has_sent_too_much_of(
    limits: dict[str, int], request_: dict[str, Any], said: str
) -> None:
    client = Client(**limits)

    assert client.ask(**request_)[0] == 200
    assert client.ask(**request_)[0] == 429
    assert client.said.startswith(said)


def test_what_is_no_request_is_not_counted() -> None:
    seen: list[str] = []

    async def application(scope: Scope, receive: Receive, send: Send) -> None:
        seen.append(scope["type"])

    client = Client(of_address=1)
    client.app.app = application

    async def send(message: Message) -> None: ...

    for _ in range(2):
        asyncio.run(client.app({"type": "lifespan"}, client.nothing, send))

    assert seen == ["lifespan"] * 2


def test_what_was_counted_is_forgotten_with_its_minute() -> None:
    client = Client(of_token=5)
    for number in range(100):
        client.ask(token=str(number))

    client.clock.now_s += 60
    client.ask(token="one")

    assert len(client.app.tokens._requests) == 1


def test_the_refusal_is_a_problem(built_app: FastAPI, client: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    assert client.get("/api/v1/projects").status_code == 401
    layer: Any = built_app.middleware_stack
    while not isinstance(layer, RateLimit):
        layer = layer.app
    monkeypatch.setattr(layer.addresses, "limit", 1)

    client.get("/api/v1/projects")
    refused = client.get("/api/v1/projects")
    page = client.get("/projects/shop", headers={"Accept": "text/html"})

    assert page.status_code == 429
    assert page.headers["content-type"].startswith("text/html")
    assert "more than 1 requests in a minute" in page.text
    assert 1 <= int(page.headers["retry-after"]) <= 60
    assert refused.status_code == 429
    assert refused.headers["content-type"] == "application/problem+json"
    assert refused.json()["type"] == "urn:overproof:problem:too-many-requests"
    assert "more than 1 requests" in refused.json()["detail"]
    assert 1 <= int(refused.headers["retry-after"]) <= 60
    assert refused.headers["x-request-id"]


def test_the_limits_are_settings() -> None:
    url = {"DATABASE_URL": "postgresql:///overproof"}

    default = Settings.from_environment(url)
    given = Settings.from_environment(
        url | {"OVERPROOF_REQUESTS_PER_MINUTE": "7", "OVERPROOF_REQUESTS_PER_MINUTE_OF_ADDRESS": "0"}
    )

    assert (default.requests_per_minute, default.requests_per_minute_of_address) == (6_000, 12_000)
    assert (given.requests_per_minute, given.requests_per_minute_of_address) == (7, 0)
    with pytest.raises(SettingRefused, match="OVERPROOF_REQUESTS_PER_MINUTE"):
        Settings.from_environment(url | {"OVERPROOF_REQUESTS_PER_MINUTE": "-1"})
