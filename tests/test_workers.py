"""The threads that speak to the database, and the queue in front of them."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Coroutine
from contextlib import suppress
from typing import Any

import pytest
import sqlalchemy as sa
from starlette.types import Message

from app.factory import create_app, engine_for
from app.settings import Settings
from app.workers import Overloaded, Workers


def workers_of(*, threads: int, queue_length: int, patience_s: float = 10.0) -> Workers:
    engine = sa.create_engine("postgresql+psycopg2:///nowhere")
    return Workers(engine, threads=threads, queue_length=queue_length, patience_s=patience_s)


class Gate:
    """Work that counts how often it runs at once, and lasts until the gate is opened."""

    def __init__(self) -> None:
        self.opened = threading.Event()
        self.loop = asyncio.get_running_loop()
        self.entered = asyncio.Semaphore(0)
        self.lock = threading.Lock()
        self.running = self.most_running = 0

    def pass_through(self) -> str:
        with self.lock:
            self.running += 1
            self.most_running = max(self.most_running, self.running)
        self.loop.call_soon_threadsafe(self.entered.release)
        assert self.opened.wait(20)
        with self.lock:
            self.running -= 1
        return "done"


def run(main: Callable[[], Coroutine[Any, Any, None]]) -> None:
    asyncio.run(main())


def test_no_more_work_is_done_at_once_than_there_are_threads() -> None:
    async def main() -> None:
        workers, gate = workers_of(threads=2, queue_length=10), Gate()
        tasks = [asyncio.create_task(workers.run(gate.pass_through)) for _ in range(8)]
        await gate.entered.acquire()
        await gate.entered.acquire()

        gate.opened.set()

        assert await asyncio.gather(*tasks) == ["done"] * 8
        assert gate.most_running == 2

    run(main)


def test_what_the_queue_does_not_hold_is_refused_at_once_and_the_rest_is_done() -> None:
    async def main() -> None:
        workers, gate = workers_of(threads=1, queue_length=2), Gate()
        tasks = [asyncio.create_task(workers.run(gate.pass_through)) for _ in range(3)]
        await gate.entered.acquire()

        assert (workers.waiting, workers.is_full) == (2, True)

        with pytest.raises(Overloaded) as refused:
            await workers.run(gate.pass_through)

        assert refused.value.headers == {"Retry-After": "1"}
        gate.opened.set()
        assert await asyncio.gather(*tasks) == ["done"] * 3
        assert (workers.waiting, workers.is_full) == (0, False)
        assert await workers.run(lambda: "again") == "again"

    run(main)


def test_who_comes_when_the_queue_is_full_is_turned_away_before_anything_else() -> None:
    async def main() -> None:
        app = create_app(Settings(database_url=sa.make_url("postgresql+psycopg2:///nowhere")))
        workers, gate = workers_of(threads=1, queue_length=0), Gate()
        app.state.workers = workers
        statuses = []

        async def send(message: Message) -> None:
            if message["type"] == "http.response.start":
                statuses.append(message["status"])

        async def ask(path: str) -> None:
            scope = {"type": "http", "method": "POST", "path": path, "query_string": b"", "headers": []}
            await app(scope, nothing_is_read, send)

        task = asyncio.create_task(workers.run(gate.pass_through))
        await gate.entered.acquire()
        await ask("/api/v1/projects/shop/runs")
        await ask("/healthz")
        await ask("/nonsense")
        gate.opened.set()
        await task
        await ask("/api/v1/projects/shop/runs")

        assert statuses == [503, 405, 404, 401]

    async def nothing_is_read() -> Message:
        raise AssertionError

    run(main)


def test_who_has_waited_long_enough_is_refused_and_leaves_the_queue() -> None:
    async def main() -> None:
        workers, gate = workers_of(threads=1, queue_length=1, patience_s=0.01), Gate()
        task = asyncio.create_task(workers.run(gate.pass_through))
        await gate.entered.acquire()

        for _ in range(3):  # the queue has room for one, and each finds it empty
            with pytest.raises(Overloaded):
                await workers.run(gate.pass_through)
            assert workers.waiting == 0

        gate.opened.set()
        assert await task == "done"

    run(main)


def test_work_that_fails_gives_its_thread_back() -> None:
    async def main() -> None:
        workers = workers_of(threads=1, queue_length=0)

        for _ in range(3):
            with pytest.raises(ZeroDivisionError):
                await workers.run(lambda: 1 / 0)

        assert await workers.run(lambda: "done") == "done"

    run(main)


def test_what_takes_much_memory_is_done_one_at_a_time_and_keeps_no_thread_from_others() -> None:
    async def main() -> None:
        workers, gate = workers_of(threads=2, queue_length=0), Gate()
        tasks = [asyncio.create_task(workers.run_alone(gate.pass_through)) for _ in range(5)]
        await gate.entered.acquire()

        assert await workers.run(lambda: "meanwhile") == "meanwhile"

        gate.opened.set()
        await asyncio.gather(*tasks)
        assert gate.most_running == 1

    run(main)


def test_postgresql_ends_what_lasts_too_long(engine: sa.Engine) -> None:
    bounded = engine_for(Settings(database_url=engine.url, statement_timeout_s=7.5, idle_timeout_s=8.0))

    with bounded.connect() as connection:
        assert connection.exec_driver_sql("SHOW statement_timeout").scalar() == "7500ms"
        assert connection.exec_driver_sql("SHOW idle_in_transaction_session_timeout").scalar() == "8s"
    bounded.dispose()


def test_a_statement_that_fails_does_not_tell_what_it_was_sent_with(engine: sa.Engine) -> None:
    reticent = engine_for(Settings(database_url=engine.url))

    with pytest.raises(sa.exc.DataError, match="division by zero") as failed, reticent.connect() as connection:
        connection.execute(sa.text("SELECT 1 / 0, :secret"), {"secret": "opensesame"})

    assert "opensesame" not in str(failed.value)
    reticent.dispose()


@pytest.mark.parametrize(
    ("asked", "level"),
    [((), "read committed"), (("READ COMMITTED",), "read committed"), (("REPEATABLE READ",), "repeatable read")],
)
def test_a_transaction_is_isolated_as_asked_and_taken_back_if_it_fails(
    engine: sa.Engine, asked: tuple[Any, ...], level: str
) -> None:
    workers = Workers(engine, threads=1, queue_length=0, patience_s=1.0)

    with workers.transaction(*asked) as session:
        assert session.scalar(sa.text("SHOW transaction_isolation")) == level
    with suppress(ZeroDivisionError), workers.transaction(*asked) as session:
        session.execute(sa.text("CREATE TABLE left_behind ()"))
        raise ZeroDivisionError
    assert not sa.inspect(engine).has_table("left_behind")
