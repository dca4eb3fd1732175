"""The threads that use the database, and the queue in front of them.

A session is not asynchronous, so every function that uses one runs on a thread. There are as many threads as
connections: a running thread never waits for a connection, and a request that waits for a thread holds none. The queue
is bounded, in its length and in the time that a request may wait. Further requests are refused immediately, with a
`Retry-After`.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import cached_property
from http import HTTPStatus
from typing import ClassVar, Literal, TypeVar

import sqlalchemy as sa
from anyio import CapacityLimiter, to_thread
from sqlmodel import Session
from starlette.requests import Request
from starlette.types import ASGIApp, Receive, Scope, Send

from app.errors import Refusal, answer_refusal

Answer = TypeVar("Answer")
IsolationLevel = Literal["READ COMMITTED", "REPEATABLE READ"]


class Overloaded(Refusal):
    """Too many requests are waiting."""

    status = HTTPStatus.SERVICE_UNAVAILABLE
    headers: ClassVar[Mapping[str, str]] = {"Retry-After": "1"}

    def __init__(self) -> None:
        super().__init__("Too many requests are waiting. This one was not started: send it again in a moment.")


class Workers:
    """Runs functions on threads, and opens the transactions in which they work."""

    def __init__(self, engine: sa.Engine, *, threads: int, queue_length: int, patience_s: float) -> None:
        """`patience_s`: how long a request may wait for a thread."""
        self.engine = engine
        self.queue_length = queue_length
        self.patience_s = patience_s
        self._free = asyncio.Semaphore(threads)
        self._waiting = 0
        self._alone = asyncio.Lock()

    @property
    def waiting(self) -> int:
        """The requests in the queue."""
        return self._waiting

    @property
    def is_full(self) -> bool:
        """Whether a further request would be refused."""
        return self._free.locked() and self._waiting >= self.queue_length

    async def run(self, work: Callable[[], Answer]) -> Answer:
        """Call `work` on a thread. Raises Overloaded if it was not started."""
        await self._wait_for_thread()
        try:
            return await to_thread.run_sync(work, limiter=self._unlimited)
        finally:
            self._free.release()

    async def run_alone(self, work: Callable[[], Answer]) -> Answer:
        """The same for work that needs much memory: one at a time. Those that wait occupy no thread."""
        async with self._alone:
            return await self.run(work)

    @contextmanager
    def transaction(self, isolation_level: IsolationLevel = "READ COMMITTED") -> Iterator[Session]:
        """Commits at the end of the block, or rolls back if it raises. Call it on a thread.

        Attributes that were loaded can still be used afterwards; others cannot be loaded any more.
        """
        is_default = isolation_level == "READ COMMITTED"
        engine = self.engine if is_default else self.engine.execution_options(isolation_level=isolation_level)
        with Session(engine, expire_on_commit=False) as session, session.begin():
            yield session

    async def _wait_for_thread(self) -> None:
        if not self._free.locked():
            await self._free.acquire()
            return
        if self.is_full:
            raise Overloaded
        self._waiting += 1
        try:
            async with asyncio.timeout(self.patience_s):
                await self._free.acquire()
        except TimeoutError:
            raise Overloaded from None
        finally:
            self._waiting -= 1

    @cached_property
    def _unlimited(self) -> CapacityLimiter:
        """The semaphore counts the threads, since a limiter of anyio has no timeout for its queue."""
        return CapacityLimiter(math.inf)


class RefuseWhenFull:
    """ASGI middleware: refuses requests while the queue is full, before their paths, headers and bodies are read.

    Clients send refused requests again, so a refusal must cost much less than an answer.
    """

    def __init__(self, app: ASGIApp, prefix: str) -> None:
        self.app = app
        self.prefix = prefix  # of the paths that need a thread

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and scope["path"].startswith(self.prefix) and scope["app"].state.workers.is_full:
            refusal = await answer_refusal(Request(scope), Overloaded())
            await refusal(scope, receive, send)
        else:
            await self.app(scope, receive, send)
