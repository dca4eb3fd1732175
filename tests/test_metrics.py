"""/metrics: requests are counted by the template of their path, and nothing of a project is in it."""

from __future__ import annotations

from fastapi.testclient import TestClient

from app.factory import create_app
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
    assert "secret" not in text
    assert "BREW" not in text


def test_a_refused_request_is_counted_too(client: TestClient, workers: Workers) -> None:
    workers._free._value = 0
    workers.queue_length = 0

    assert client.get("/api/v1/projects").status_code == 503
    assert 'overproof_requests_total{method="GET",path="none",status="503"}' in client.get("/metrics").text
