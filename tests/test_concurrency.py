"""Requests that come at the same moment, each in a transaction of its own."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
import sqlalchemy as sa
from fastapi.testclient import TestClient
from httpx2 import Response
from sqlmodel import Session

from app.factory import create_app
from app.gate.server.database import Database
from app.settings import Settings
from tests import factories

AT_ONCE = 8


@pytest.fixture
def live(migrated_database: Database) -> Iterator[TestClient]:
    """The service as it runs, with its own pool. What it commits goes with the database."""
    url = sa.make_url(migrated_database.url("psycopg2"))
    engine = sa.create_engine(url, poolclass=sa.NullPool)
    with Session(engine) as session, session.begin():
        factories.store_in(session)
        factories.ProjectFactory(slug="shop")
        factories.ApiTokenFactory(secret="ovp_administrator")
        factories.store_in(None)
    with TestClient(create_app(Settings(database_url=url))) as client:
        client.headers["Authorization"] = "Bearer ovp_administrator"
        yield client


def at_once(ask: Callable[[], Response]) -> list[Response]:
    barrier = threading.Barrier(AT_ONCE)

    def wait_and_ask() -> Response:
        barrier.wait()
        return ask()

    with ThreadPoolExecutor(AT_ONCE) as pool:
        return [future.result() for future in [pool.submit(wait_and_ask) for _ in range(AT_ONCE)]]


def test_one_slug_goes_to_one_of_many_who_ask_at_once(live: TestClient) -> None:
    answers = at_once(lambda: live.post("/api/v1/projects", json={"slug": "wanted", "name": "x"}))

    assert Counter(answer.status_code for answer in answers) == {201: 1, 409: AT_ONCE - 1}


def test_one_report_posted_many_times_at_once_is_one_run(live: TestClient) -> None:
    content = factories.report(findings=[factories.finding()] * 50)

    answers = at_once(lambda: live.post("/api/v1/projects/shop/runs", json=content))

    assert Counter(answer.status_code for answer in answers) == {201: 1, 200: AT_ONCE - 1}
    assert len({answer.json()["id"] for answer in answers}) == 1
    (run,) = live.get("/api/v1/projects/shop/runs").json()["items"]
    assert run["finding_counts"]["error"] == 50


def test_a_refused_request_leaves_nothing_and_a_granted_one_is_kept_before_it_is_answered(live: TestClient) -> None:
    assert live.post("/api/v1/projects", json={"slug": "kept", "name": "x"}).status_code == 201
    assert live.post("/api/v1/projects", json={"slug": "kept", "name": "y"}).status_code == 409

    assert live.get("/api/v1/projects/kept").json()["name"] == "x"


def test_many_requests_with_one_token_do_not_wait_for_its_note_of_use(live: TestClient) -> None:
    answers = at_once(lambda: live.get("/api/v1/projects"))

    assert {answer.status_code for answer in answers} == {200}
