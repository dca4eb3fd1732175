"""/metrics: requests are counted by the template of their path, and nothing of a project is in it."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest
from fastapi.testclient import TestClient
from prometheus_client import generate_latest
from starlette.types import Message, Receive, Scope, Send

from app.factory import create_app
from app.metrics import Measure, Metrics
from app.settings import Settings
from app.workers import Workers
from tests.factories import ProjectFactory, bearer


def test_requests_are_counted_by_their_path_and_status(client: TestClient) -> None:
    headers = bearer(ProjectFactory(slug="secret-project"))
    app = create_app(Settings(database_url=client.app.state.settings.database_url))  # type: ignore[attr-defined]
    app.state.workers = client.app.state.workers  # type: ignore[attr-defined]
    own = TestClient(app)

    for _ in range(2):
        own.get("/api/v1/projects/secret-project", headers=headers)
    own.get("/api/v1/projects/secret-project/runs")
    own.get("/secret-path")
    own.request("BREW", "/api/v1/projects")
    text = own.get("/metrics").text

    path = "/projects/{slug}"
    assert f'overproof_requests_total{{method="GET",path="{path}",status="200"}} 2.0' in text
    assert f'overproof_requests_total{{method="GET",path="{path}/runs",status="401"}} 1.0' in text
    assert 'overproof_requests_total{method="GET",path="none",status="404"} 1.0' in text
    assert f'overproof_request_seconds_count{{method="GET",path="{path}"}} 2.0' in text
    assert "overproof_waiting_requests 0.0" in text
    assert 'overproof_requests_total{method="other",' in text
    assert "secret" not in text
    assert "BREW" not in text


def test_a_refused_request_is_counted_too(client: TestClient, workers: Workers) -> None:
    workers._free._value = 0
    workers.queue_length = 0

    assert client.get("/api/v1/projects").status_code == 503
    assert 'overproof_requests_total{method="GET",path="none",status="503"}' in client.get("/metrics").text


async def nothing() -> Message:
    raise AssertionError


async def ignored(message: Message) -> None: ...


def measured(scope: Scope, *statuses: int) -> str:
    """What is counted of a request whose application answers with these statuses, and then fails."""
    metrics = Metrics()

    async def application(scope: Scope, receive: Receive, send: Send) -> None:
        scope["route"] = SimpleNamespace(path="/a")
        for status in statuses:
            await send({"type": "http.response.start", "status": status})
            await send({"type": "http.response.body", "status": 999})
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        asyncio.run(Measure(application, metrics)(scope, nothing, ignored))
    return generate_latest(metrics.registry).decode()


@pytest.mark.parametrize("method", ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"])
def test_a_request_that_fails_is_counted_with_the_status_that_its_client_got(method: str) -> None:
    scope: dict[str, Any] = {"type": "http", "method": method}

    assert f'overproof_requests_total{{method="{method}",path="/a",status="500"}} 1.0' in measured(scope)
    assert f'overproof_requests_total{{method="{method}",path="/a",status="404"}} 1.0' in measured(scope, 404)


def test_what_is_no_request_is_not_counted() -> None:
    assert "path=" not in measured({"type": "lifespan"})


def test_each_number_says_what_it_is() -> None:
    text = generate_latest(Metrics().registry).decode()

    for line in (
        "# HELP overproof_requests_total Answered requests.",
        "# HELP overproof_request_seconds From the first byte of a request to the last one of its answer.",
        "# HELP overproof_waiting_requests Requests that wait for a connection.",
    ):
        assert line in text


def test_who_waits_is_counted_when_asked(client: TestClient, workers: Workers) -> None:
    workers._waiting = 3

    answer = client.get("/metrics")

    workers._waiting = 0
    assert "overproof_waiting_requests 3.0" in answer.text
    assert answer.headers["content-type"].startswith("text/plain")
