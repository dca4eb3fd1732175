"""How much of a request's body is taken in, and for how long it may take to arrive.

Without limits anyone could fill the memory of the process, or keep what a request holds, token or not. The bytes are
counted as they arrive, since a client need not say how many there will be, nor tell the truth. A body that is sent
compressed is inflated here, a slice at a time, and what is counted are the bytes that come out.
"""

from __future__ import annotations

import asyncio
import zlib
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from http import HTTPStatus
from typing import ClassVar

from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.errors import Invalid, Refusal, TooLarge, answer_refusal

SLICE_BYTES = 64 * 1024  # that are inflated before others get their turn
GZIP = 16 + zlib.MAX_WBITS


class BodyTooLarge(TooLarge):
    """The body of the request is larger than this resource takes."""

    def __init__(self, limit_bytes: int) -> None:
        super().__init__(f"The body is larger than the {limit_bytes} bytes that are taken here.")


class BodyTooSlow(Refusal):
    """The body of the request took too long to arrive."""

    status = HTTPStatus.REQUEST_TIMEOUT
    headers: ClassVar[Mapping[str, str]] = {"Connection": "close"}

    def __init__(self, timeout_s: float) -> None:
        super().__init__(f"The body did not arrive within {timeout_s:g} seconds.")


class TooManyBodies(Refusal):
    """Other large bodies are being read, and there is no memory for one more."""

    status = HTTPStatus.SERVICE_UNAVAILABLE
    headers: ClassVar[Mapping[str, str]] = {"Retry-After": "5"}

    def __init__(self) -> None:
        super().__init__("Too many large bodies are being read at the moment. Send this one again shortly.")


class Stopping(Refusal):
    """The service was told to stop before the body had arrived."""

    status = HTTPStatus.SERVICE_UNAVAILABLE
    headers: ClassVar[Mapping[str, str]] = {"Retry-After": "1", "Connection": "close"}

    def __init__(self) -> None:
        super().__init__("The service is stopping, and the body had not arrived. Send it again to another instance.")


class EncodingUnsupported(Refusal):
    """The body is compressed in a way that is not read here."""

    status = HTTPStatus.UNSUPPORTED_MEDIA_TYPE
    headers: ClassVar[Mapping[str, str]] = {"Accept-Encoding": "gzip"}

    def __init__(self) -> None:
        super().__init__("A body may be sent as it is or with the Content-Encoding gzip.")


class BodyGarbled(Invalid):
    """The body is not what its Content-Encoding says."""

    def __init__(self) -> None:
        super().__init__("The body is not one complete gzip stream, as its Content-Encoding says.")


class Abandoned(Exception):
    """The request was answered while its body was still being read."""


@dataclass(frozen=True)
class Limits:
    small_bytes: int
    large_bytes: int
    takes_large: tuple[tuple[str, str], ...]  # methods and ends of paths, such as ("POST", "/runs")
    timeout_s: float  # for one body
    together_bytes: int  # what all bodies may hold that are larger than the small limit

    def limit_for(self, scope: Scope) -> int:
        is_large = any(scope["method"] == method and scope["path"].endswith(end) for method, end in self.takes_large)
        return self.large_bytes if is_large else self.small_bytes


@dataclass
class Held:
    """What the bodies that are being read hold together, in bytes."""

    total: int = 0


@dataclass
class Body:
    """The body of one request, as it arrives."""

    raw_receive: Receive
    limits: Limits
    limit_bytes: int
    held: Held
    inflater: zlib._Decompress | None
    has_arrived: bool = False  # with its last piece, which may not be inflated yet
    has_ended: bool = False
    received: int = 0
    counted: int = 0  # in `held`
    deadline: float = 0.0

    async def receive(self) -> Message:
        """The next piece, inflated. Raises the refusals of this module."""
        if self.has_ended:
            return await self.raw_receive()
        rest = self.inflater.unconsumed_tail if self.inflater is not None else b""
        if rest:
            await asyncio.sleep(0)
            piece = rest
        else:
            message = await self._receive_in_time()
            if message["type"] != "http.request":
                return message
            piece = message.get("body", b"")
            self.has_arrived = not message.get("more_body", False)
        if self.inflater is not None:
            piece = self._inflate(self.inflater, piece)
        else:
            self.has_ended = self.has_arrived
        self._count(len(piece))
        return {"type": "http.request", "body": piece, "more_body": not self.has_ended}

    async def _receive_in_time(self) -> Message:
        loop = asyncio.get_running_loop()
        self.deadline = self.deadline or loop.time() + self.limits.timeout_s
        try:
            async with asyncio.timeout_at(self.deadline):
                return await self.raw_receive()
        except TimeoutError:
            raise BodyTooSlow(self.limits.timeout_s) from None
        except asyncio.CancelledError:  # by the server, which stops and has no more patience
            raise Stopping from None

    def _inflate(self, inflater: zlib._Decompress, piece: bytes) -> bytes:
        try:
            inflated = inflater.decompress(piece, SLICE_BYTES)
        except zlib.error:
            raise BodyGarbled from None
        self.has_ended = self.has_arrived and not inflater.unconsumed_tail
        if inflater.unused_data or (self.has_ended and not inflater.eof):
            raise BodyGarbled
        return inflated

    def _count(self, size: int) -> None:
        self.received += size
        if self.received > self.limit_bytes:
            raise BodyTooLarge(self.limit_bytes)
        if self.received > self.limits.small_bytes:
            self.held.total += self.received - self.counted
            self.counted = self.received
            if self.held.total > self.limits.together_bytes:
                raise TooManyBodies

    def release(self) -> None:
        self.held.total -= self.counted
        self.counted = 0


class BodyLimit:
    """ASGI middleware: refuses a body that is too large or too slow before it is in memory."""

    def __init__(self, app: ASGIApp, limits: Limits) -> None:
        self.app = app
        self.limits = limits
        self.held = Held()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        request = Request(scope)
        limit = self.limits.limit_for(scope)
        encoding = request.headers.get("content-encoding", "identity").strip().lower()
        if encoding not in ("identity", "gzip", ""):
            await answer_refusal_now(request, EncodingUnsupported(), scope, receive, send)
        elif declares_more(request, limit):
            await answer_refusal_now(request, BodyTooLarge(limit), scope, receive, send)
        else:
            inflater = zlib.decompressobj(GZIP) if encoding == "gzip" else None
            body = Body(receive, self.limits, limit, self.held, inflater)
            try:
                await self._serve(body, request, scope, receive, send)
            finally:
                body.release()

    async def _serve(self, body: Body, request: Request, scope: Scope, receive: Receive, send: Send) -> None:
        has_begun = has_refused = False

        async def limited_receive() -> Message:
            nonlocal has_refused
            try:
                return await body.receive()
            except Refusal as refusal:
                if not has_begun:
                    has_refused = True
                    await answer_refusal_now(request, refusal, scope, receive, send)
                raise Abandoned from None

        async def silent_send(message: Message) -> None:
            nonlocal has_begun
            if not has_refused:  # whatever the application makes of `Abandoned`, the client has its answer
                has_begun = True
                await send(message)

        with suppress(Abandoned):
            await self.app(scope, limited_receive, silent_send)


def declares_more(request: Request, limit: int) -> bool:
    """Whether the body says by itself that it is longer. Compressed, it says nothing of what comes out."""
    declared = request.headers.get("content-length", "")
    return declared.isascii() and declared.isdigit() and (len(declared) > 18 or int(declared) > limit)


async def answer_refusal_now(request: Request, refusal: Refusal, scope: Scope, receive: Receive, send: Send) -> None:
    await (await answer_refusal(request, refusal))(scope, receive, send)
