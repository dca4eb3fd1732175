"""Answers of many megabytes, to clients that may take their time.

An answer is in memory until its last byte has been sent, and it is the client that decides how fast it reads. So there
is a bound on what all such answers hold together, and a time in which one has to be read.
"""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass

from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from app.workers import Overloaded

logger = logging.getLogger(__name__)

PIECE_BYTES = 256 * 1024


@dataclass
class Sending:
    """What is being sent at the moment."""

    most_bytes: int
    timeout_s: float  # for one answer
    total_bytes: int = 0

    def require_room(self) -> None:
        """Raises Overloaded. Asked before the answer is looked up, whose size is not known until then."""
        if self.total_bytes >= self.most_bytes:
            raise Overloaded


class LargeAnswer(Response):
    """JSON that is sent piece by piece, and given up when the client does not read it."""

    media_type = "application/json"

    def __init__(self, content: bytes, sending: Sending) -> None:
        super().__init__(content)
        self.sending = sending
        sending.total_bytes += len(content)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            async with asyncio.timeout(self.sending.timeout_s):
                await self._send_pieces(send)
        except TimeoutError:  # the server closes the connection, since the answer has no end
            logger.info("The client of %s read too slowly.", scope["path"])
        finally:
            self.sending.total_bytes -= len(self.body)

    async def _send_pieces(self, send: Send) -> None:
        await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
        for place in range(0, len(self.body), PIECE_BYTES):
            piece = bytes(self.body[place : place + PIECE_BYTES])
            await send({"type": "http.response.body", "body": piece, "more_body": True})
        await send({"type": "http.response.body", "body": b""})
