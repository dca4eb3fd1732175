"""Answers of many megabytes, to clients that may read slowly.

An answer is in memory until its last byte has been sent, and the client decides how fast it reads. So there is a limit
on the memory of all such answers together, and on the time in which a client must read one.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from dataclasses import dataclass

from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from app.workers import Overloaded

logger = logging.getLogger(__name__)

PIECE_BYTES = 256 * 1024


@dataclass
class Sending:
    """The large answers that are being sent."""

    most_bytes: int
    timeout_s: float  # for one answer
    total_bytes: int = 0

    def require_room(self) -> None:
        """Raises Overloaded. Called before the answer is read from the database, when its size is not known yet."""
        if self.total_bytes >= self.most_bytes:
            raise Overloaded


def accepts_gzip(headers: Mapping[str, str]) -> bool:
    """Whether the client can read an answer that is compressed."""
    offers = (offer.replace(" ", "").lower().partition(";") for offer in headers.get("accept-encoding", "").split(","))
    quality_by_name = {name: quality.removeprefix("q=") for name, _, quality in offers}
    quality = quality_by_name.get("gzip", quality_by_name.get("*", "0"))
    return quality.strip("0.") != "" or quality == ""


class LargeAnswer(Response):
    """JSON that is sent in pieces, and aborted if the client does not read it in time."""

    media_type = "application/json"

    def __init__(self, content: bytes, sending: Sending, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(content, headers=headers)
        self.sending = sending
        sending.total_bytes += len(content)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            async with asyncio.timeout(self.sending.timeout_s):
                await self._send_pieces(send)
        except TimeoutError:  # the server closes the connection, since the answer is incomplete
            logger.info("The client of %s read too slowly.", scope["path"])
        finally:
            self.sending.total_bytes -= len(self.body)

    async def _send_pieces(self, send: Send) -> None:
        await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
        for place in range(0, len(self.body), PIECE_BYTES):
            piece = bytes(self.body[place : place + PIECE_BYTES])
            await send({"type": "http.response.body", "body": piece, "more_body": True})
        await send({"type": "http.response.body", "body": b""})
