"""Requests that come at the same moment, each in a transaction of its own."""

from __future__ import annotations

import asyncio
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import count
from typing import Any, cast

import pytest
import sqlalchemy as sa
from fastapi.testclient import TestClient
from httpx2 import Response
from sqlmodel import Session
from starlette.types import Message

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
    with TestClient(create_app(Settings(database_url=url, pool_size=3))) as client:
        client.headers["Authorization"] = "Bearer ovp_administrator"
        yield client


def at_once(ask: Callable[[], Response], times: int = AT_ONCE) -> list[Response]:
    barrier = threading.Barrier(times)

    def wait_and_ask() -> Response:
        barrier.wait()
        return ask()

    with ThreadPoolExecutor(times) as pool:
        return [future.result() for future in [pool.submit(wait_and_ask) for _ in range(times)]]


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


def test_a_hundred_who_read_one_run_at_once_all_get_it(live: TestClient) -> None:
    place = live.post("/api/v1/projects/shop/runs", json=factories.report(findings=[factories.finding()])).headers[
        "location"
    ]

    answers = at_once(lambda: live.get(place), 100)

    assert Counter(answer.status_code for answer in answers) == {200: 100}


@pytest.mark.parametrize(
    ("clients", "same"), [(50, True), (100, False)], ids=["fifty the same report", "a hundred reports of their own"]
)
def test_all_who_post_at_once_are_answered(live: TestClient, clients: int, same: bool) -> None:
    numbers = count()

    def post() -> Response:
        reason = None if same else f"number {next(numbers)}"
        return live.post("/api/v1/projects/shop/runs", json=factories.report(reason=reason))

    answers = at_once(post, clients)

    statuses = {201: 1, 200: clients - 1} if same else {201: clients}
    assert Counter(answer.status_code for answer in answers) == statuses


def test_more_than_the_queue_holds_are_told_when_to_come_back_and_then_are_answered(live: TestClient) -> None:
    live.app.state.workers.queue_length = 5  # type: ignore[attr-defined]

    answers = at_once(lambda: live.get("/api/v1/projects"), 60)

    refused = [answer for answer in answers if answer.status_code == 503]
    assert {answer.status_code for answer in answers} == {200, 503}
    assert {answer.headers["retry-after"] for answer in refused} == {"1"}
    assert {answer.json()["type"] for answer in refused} == {"urn:overproof:problem:overloaded"}
    assert live.get("/api/v1/projects").status_code == 200


class Upload:
    """A request whose body never comes to its end."""

    def __init__(self, app: Any, path: str, headers: list[tuple[bytes, bytes]], *, hangs_up: bool = False) -> None:
        self.is_read = asyncio.Event()
        self.hangs_up = hangs_up
        self.scope = {
            "type": "http", "method": "POST", "path": path, "raw_path": path.encode(), "query_string": b"",
            "headers": headers, "root_path": "", "scheme": "http", "http_version": "1.1", "server": ("x", 80),
            "client": ("x", 1), "asgi": {"version": "3.0"},
        }  # fmt: skip
        self.statuses: list[int] = []
        self.task = asyncio.create_task(app(self.scope, self.receive, self.send))

    async def receive(self) -> Message:
        if not self.is_read.is_set():
            self.is_read.set()
            return {"type": "http.request", "body": b" ", "more_body": True}
        if self.hangs_up:
            return {"type": "http.disconnect"}
        await asyncio.Event().wait()
        raise AssertionError

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.statuses.append(message["status"])


def test_who_uploads_slowly_holds_neither_a_thread_nor_a_connection(live: TestClient) -> None:
    headers = [
        (b"authorization", b"Bearer ovp_administrator"),
        (b"content-type", b"application/json"),
        (b"content-length", b"1000"),
    ]

    async def main() -> None:
        app = cast(Any, live.app)
        async with app.router.lifespan_context(app):
            uploads = [Upload(app, "/api/v1/projects/shop/runs", headers) for _ in range(20)]
            for upload in uploads:
                await upload.is_read.wait()

            assert app.state.workers.engine.pool.checkedout() == 0
            assert await app.state.workers.run(lambda: "another") == "another"

            for upload in uploads:
                upload.task.cancel()
            await asyncio.gather(*(upload.task for upload in uploads))
            assert {tuple(upload.statuses) for upload in uploads} == {(503,)}

    asyncio.run(main())


def test_a_token_is_looked_at_before_the_body_of_a_report_is_read(live: TestClient) -> None:
    async def main() -> None:
        app = cast(Any, live.app)
        async with app.router.lifespan_context(app):
            headers = [(b"authorization", b"Bearer ovp_nonsense"), (b"content-type", b"application/json")]
            upload = Upload(app, "/api/v1/projects/shop/runs", headers)
            await upload.task

            assert upload.statuses == [401]
            assert not upload.is_read.is_set()

    asyncio.run(main())


def test_a_process_is_alive_and_ready_while_all_its_threads_are_busy(live: TestClient) -> None:
    busy = threading.Barrier(4)
    release = threading.Event()

    def be_busy() -> None:
        busy.wait()
        release.wait()

    async def occupy() -> None:
        await live.app.state.workers.run(be_busy)  # type: ignore[attr-defined]

    assert live.portal is not None
    tasks = [live.portal.start_task_soon(occupy) for _ in range(3)]
    busy.wait()

    try:
        assert live.get("/healthz").status_code == 200
        assert live.get("/readyz").status_code == 200
    finally:
        release.set()
        for task in tasks:
            task.result()


def test_a_client_that_hangs_up_leaves_no_traceback(live: TestClient) -> None:
    async def main() -> None:
        app = cast(Any, live.app)
        async with app.router.lifespan_context(app):
            headers = [(b"authorization", b"Bearer ovp_administrator"), (b"content-type", b"application/json")]
            upload = Upload(app, "/api/v1/projects/shop/runs", headers, hangs_up=True)
            await upload.task  # what a server logs with its traceback is what rises out of the application

    asyncio.run(main())


def test_a_server_that_accepts_no_writes_any_more_is_left(live: TestClient, migrated_database: Database) -> None:
    """As where a primary was made a standby, and its connections were kept."""
    read_only = "default_transaction_read_only"
    assert live.post("/api/v1/projects", json={"slug": "before", "name": "x"}).status_code == 201

    with migrated_database.connect() as connection, connection.cursor() as cursor:
        cursor.execute(f"ALTER DATABASE {migrated_database.name} SET {read_only} = on")
        with live.app.state.workers.engine.begin() as pooled:  # type: ignore[attr-defined]
            pooled.exec_driver_sql(f"SET {read_only} = on")
        refused = live.post("/api/v1/projects", json={"slug": "meanwhile", "name": "x"})
        cursor.execute(f"ALTER DATABASE {migrated_database.name} RESET {read_only}")
    accepted = live.post("/api/v1/projects", json={"slug": "after", "name": "x"})

    assert (refused.status_code, refused.json()["type"].rpartition(":")[2]) == (503, "database-unavailable")
    assert accepted.status_code == 201


def test_a_connection_that_was_lost_while_it_was_idle_is_replaced(
    live: TestClient, migrated_database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.factory.IDLE_S", 0.0)
    tried: list[object] = []
    dialect = live.app.state.workers.engine.dialect  # type: ignore[attr-defined]
    ping = dialect.do_ping

    def note_and_ping(connection: Any) -> Any:
        tried.append(connection)
        return ping(connection)

    monkeypatch.setattr(dialect, "do_ping", note_and_ping)
    live.get("/api/v1/projects")

    with migrated_database.connect() as connection, connection.cursor() as cursor:
        cursor.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'overproof'")
    answered = live.get("/api/v1/projects").status_code
    monkeypatch.setattr("app.factory.IDLE_S", 60.0)
    tried.clear()
    live.get("/api/v1/projects")

    assert answered == 200
    assert tried == []  # one that was just in use is taken as it is
