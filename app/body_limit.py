"""How much of a request's body is taken in.

Without a limit anyone could fill the memory of the process, token or not. The bytes are counted as they arrive, since a
client need not say how many there will be, nor tell the truth.
"""

from __future__ import annotations

from contextlib import suppress

from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.errors import TooLarge, answer_refusal


class BodyTooLarge(TooLarge):
    """The body of the request is larger than this resource takes."""

    def __init__(self, limit_bytes: int) -> None:
        super().__init__(f"The body is larger than the {limit_bytes} bytes that are taken here.")


class Abandoned(Exception):
    """The request was answered while its body was still being read."""


class BodyLimit:
    """ASGI middleware: 413 for a body that is too large, before it is in memory."""

    def __init__(self, app: ASGIApp, *, small: int, large: int, takes_large: tuple[tuple[str, str], ...]) -> None:
        """`takes_large`: methods and ends of paths, such as ("POST", "/runs"), for which the large limit is meant."""
        self.app = app
        self.small = small
        self.large = large
        self.takes_large = takes_large

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        request = Request(scope)
        is_large = any(scope["method"] == method and scope["path"].endswith(end) for method, end in self.takes_large)
        limit = self.large if is_large else self.small
        refusal = answer_refusal(request, BodyTooLarge(limit))
        declared = request.headers.get("content-length", "")
        if declared.isascii() and declared.isdigit() and (len(declared) > 18 or int(declared) > limit):
            await refusal(scope, receive, send)
            return

        received = 0
        has_begun = has_refused = False

        async def counting_receive() -> Message:
            nonlocal received, has_refused
            message = await receive()
            received += len(message.get("body", b""))
            if received > limit and not has_begun:
                has_refused = True
                await refusal(scope, receive, send)
                raise Abandoned
            return message

        async def silent_send(message: Message) -> None:
            nonlocal has_begun
            if not has_refused:  # whatever the application makes of `Abandoned`, the client has its answer
                has_begun = True
                await send(message)

        with suppress(Abandoned):
            await self.app(scope, counting_receive, silent_send)
