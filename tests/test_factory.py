"""How the parts are put together, as far as no database is needed for it."""

from __future__ import annotations

import asyncio
import gc
import multiprocessing
from typing import Any

import pytest
import sqlalchemy as sa
from fastapi.testclient import TestClient
from sqlalchemy.pool import QueuePool
from starlette.types import Message

from app import factory
from app.body_limit import Limits
from app.database import DatabaseRefused
from app.factory import body_limits, create_app, engine_for, settings_that_work_or_exit, settle_collector
from app.settings import Settings

NOWHERE = sa.make_url("postgresql+psycopg2://ann:opensesame@127.0.0.1:1/shop")


def test_reports_and_snapshots_are_the_large_bodies() -> None:
    assert body_limits(Settings(database_url=NOWHERE)) == Limits(
        small_bytes=65_536,
        large_bytes=33_554_432,
        takes_large=(("POST", "/runs"), ("POST", "/snapshots")),
        timeout_s=60.0,
        together_bytes=67_108_864,
    )
    assert body_limits(Settings(database_url=NOWHERE, max_report_bytes=70_000_000)).together_bytes == 70_000_000


def test_there_is_a_connection_for_each_thread_and_one_for_the_probe() -> None:
    engine = engine_for(Settings(database_url=NOWHERE, pool_size=3))

    assert isinstance(engine.pool, QueuePool)
    assert (engine.pool.size(), engine.pool._max_overflow, engine.hide_parameters) == (4, 0, True)


def test_what_was_imported_is_not_looked_through_again() -> None:
    before = gc.get_threshold()
    try:
        settle_collector()

        assert gc.get_freeze_count() > 1_000
        assert gc.get_threshold()[0] == 10_000
    finally:
        gc.unfreeze()
        gc.set_threshold(*before)


@pytest.mark.parametrize(("parent", "status"), [(None, 2), (object(), 3)], ids=["alone", "as a worker"])
def test_a_deployment_that_cannot_work_ends_with_one_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], parent: object, status: int
) -> None:
    monkeypatch.setattr(multiprocessing, "parent_process", lambda: parent)
    monkeypatch.setenv("DATABASE_URL", NOWHERE.render_as_string(hide_password=False))
    monkeypatch.setenv("OVERPROOF_POOL_SIZE", "0")

    with pytest.raises(SystemExit) as of_settings:
        settings_that_work_or_exit()
    monkeypatch.delenv("OVERPROOF_POOL_SIZE")
    with pytest.raises(SystemExit) as of_database:
        settings_that_work_or_exit()

    assert (of_settings.value.code, of_database.value.code) == (status, status)
    first, second = capsys.readouterr().err.splitlines()
    assert first == "overproof: OVERPROOF_POOL_SIZE must be a whole number of at least 1, not '0'"
    assert second == (
        "overproof: cannot connect to the database 'shop' on 127.0.0.1:1, which DATABASE_URL names: Connection refused"
    )


def started(error: BaseException, monkeypatch: pytest.MonkeyPatch) -> list[Message]:
    """What a server is sent by an application whose start ends so."""
    sent: list[Message] = []

    def fail(*_: object) -> None:
        raise error

    async def receive() -> Message:
        return {"type": "lifespan.startup"}

    async def send(message: Message) -> None:
        sent.append(message)

    monkeypatch.setattr(factory, "check_database", fail)
    app = create_app(Settings(database_url=NOWHERE))
    try:
        asyncio.run(app({"type": "lifespan", "app": app, "state": {}}, receive, send))
    except type(error):
        sent.append({"type": "risen"})
    return sent


def test_a_start_without_a_database_is_told_in_one_line_and_any_other_failure_rises(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    (failed,) = started(DatabaseRefused("no database"), monkeypatch)
    fault, risen = started(ZeroDivisionError("a fault"), monkeypatch)

    assert failed == {"type": "lifespan.startup.failed", "message": "no database"}
    assert (fault["type"], risen["type"]) == ("lifespan.startup.failed", "risen")
    assert "ZeroDivisionError" in fault["message"]


@pytest.fixture
def client() -> TestClient:
    return TestClient(create_app(Settings(database_url=NOWHERE)), follow_redirects=False)


@pytest.mark.parametrize("path", ["/redoc", "/healthz/", "/docs/oauth2-redirect"])
def test_what_the_framework_would_add_is_not_there(client: TestClient, path: str) -> None:
    assert client.get(path).status_code == 404


def test_the_openapi_document_is_made_once(client: TestClient) -> None:
    app: Any = client.app

    assert app.openapi() is app.openapi()
    assert client.get("/openapi.json").json() == app.openapi()


def test_each_application_has_numbers_and_sessions_of_its_own() -> None:
    one, other = (create_app(Settings(database_url=NOWHERE)) for _ in range(2))

    assert one.state.metrics is not other.state.metrics
    assert (one.state.sending.most_bytes, one.state.sending.timeout_s) == (33_554_432, 120.0)
    assert one.state.settings.database_url == NOWHERE


def test_every_answer_has_the_number_of_its_request(client: TestClient) -> None:
    assert client.get("/healthz").headers["x-request-id"] != client.get("/healthz").headers["x-request-id"]
