"""Limits on the size of a request's body, and on the time in which it must arrive.

Without them any client, even one without a token, could exhaust the memory of the process. The bytes are counted as
they arrive, since a Content-Length may be missing or wrong. A compressed body is decompressed here, a slice at a time,
and the limit is on the decompressed bytes.
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

SLICE_BYTES = 64 * 1024  # decompressed before other requests get their turn
GZIP = 16 + zlib.MAX_WBITS


class BodyTooLarge(TooLarge):
    """The body of the request is larger than this resource accepts."""

    def __init__(self, limit_bytes: int) -> None:
        super().__init__(f"The body is larger than the limit of {limit_bytes} bytes.")


class BodyTooSlow(Refusal):
    """The body of the request took too long to arrive."""

    status = HTTPStatus.REQUEST_TIMEOUT
    headers: ClassVar[Mapping[str, str]] = {"Connection": "close"}

    def __init__(self, timeout_s: float) -> None:
        super().__init__(f"The body did not arrive within {timeout_s:g} seconds.")


class TooManyBodies(Refusal):
    """Too many large bodies are being received at the moment."""

    status = HTTPStatus.SERVICE_UNAVAILABLE
    headers: ClassVar[Mapping[str, str]] = {"Retry-After": "5"}

    def __init__(self) -> None:
        super().__init__("Too many large bodies are being received at the moment. Send this one again shortly.")


class Stopping(Refusal):
    """The service is shutting down, and the body had not arrived completely."""

    status = HTTPStatus.SERVICE_UNAVAILABLE
    headers: ClassVar[Mapping[str, str]] = {"Retry-After": "1", "Connection": "close"}

    def __init__(self) -> None:
        super().__init__(
            "The service is shutting down, and the body had not arrived completely. Send the request again."
        )


class EncodingUnsupported(Refusal):
    """The body has an unsupported Content-Encoding."""

    status = HTTPStatus.UNSUPPORTED_MEDIA_TYPE
    headers: ClassVar[Mapping[str, str]] = {"Accept-Encoding": "gzip"}

    def __init__(self) -> None:
        super().__init__("The Content-Encoding of a body must be gzip or identity.")


class BodyGarbled(Invalid):
    """The body does not match its Content-Encoding."""

    def __init__(self) -> None:
        super().__init__("The body is not one complete gzip stream, although its Content-Encoding is gzip.")


class Abandoned(Exception):
    """The request was answered while its body was still being read."""


@dataclass(frozen=True)
class Limits:
    small_bytes: int
    large_bytes: int
    takes_large: tuple[tuple[str, str], ...]  # methods and ends of paths, such as ("POST", "/runs")
    timeout_s: float  # for one body
    together_bytes: int  # for all bodies together that are larger than the small limit

    def limit_for(self, scope: Scope) -> int:
        is_large = any(scope["method"] == method and scope["path"].endswith(end) for method, end in self.takes_large)
        return self.large_bytes if is_large else self.small_bytes


@dataclass
class Held:
    """The bytes of all large bodies that are being received."""

    total: int = 0


@dataclass
class Body:
    """The body of one request, as it arrives."""

    raw_receive: Receive
    limits: Limits
    limit_bytes: int
    held: Held
    inflater: zlib._Decompress | None
    has_arrived: bool = False  # including its last piece, which may not be decompressed yet
    has_ended: bool = False
    received: int = 0
    counted: int = 0  # in `held`
    deadline: float = 0.0

    async def receive(self) -> Message:
        """The next piece, decompressed. Raises the refusals of this module."""
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
        except asyncio.CancelledError:  # by the server, which is shutting down
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
    """ASGI middleware: refuses a body that is too large or too slow before it fills the memory."""

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
            if not has_refused:  # the client has its answer, however the application handles `Abandoned`
                has_begun = True
                await send(message)

        with suppress(Abandoned):
            await self.app(scope, limited_receive, silent_send)


def declares_more(request: Request, limit: int) -> bool:
    """Whether Content-Length exceeds the limit. For a compressed body it is the length before decompression."""
    declared = request.headers.get("content-length", "")
    return declared.isascii() and declared.isdigit() and (len(declared) > 18 or int(declared) > limit)


async def answer_refusal_now(request: Request, refusal: Refusal, scope: Scope, receive: Receive, send: Send) -> None:
    await (await answer_refusal(request, refusal))(scope, receive, send)
