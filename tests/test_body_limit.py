"""The limit on bodies, as a server sees it: test clients hand a body over in one piece."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import Any

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.body_limit import BodyLimit, Limits

PIECE = b"x" * 10
LIMITS = Limits(small_bytes=25, large_bytes=45, takes_large=(("POST", "/large"),), timeout_s=10.0, together_bytes=60)


def ask(
    application: ASGIApp, pieces: Iterable[bytes], *, path: str = "/", headers: Any = ()
) -> tuple[list[Message], int]:
    """The messages of the answer, and how many pieces of the body were asked for."""
    scope: Scope = {"type": "http", "method": "POST", "path": path, "headers": list(headers), "query_string": b""}
    sent: list[Message] = []
    left = iter(pieces)
    taken = 0

    async def receive() -> Message:
        nonlocal taken
        taken += 1
        piece = next(left, None)
        return {"type": "http.request", "body": piece or b"", "more_body": piece is not None}

    async def send(message: Message) -> None:
        sent.append(message)

    limited = BodyLimit(application, LIMITS)
    asyncio.run(limited(scope, receive, send))
    return sent, taken


async def read_all(scope: Scope, receive: Receive, send: Send) -> None:
    """An application that reads its body to the end, and makes a failure of its own of whatever goes wrong."""
    status = 200
    try:
        while (await receive())["more_body"]:
            pass
    except Exception:  # noqa: BLE001 - as frameworks do
        status = 400
    await send({"type": "http.response.start", "status": status, "headers": []})
    await send({"type": "http.response.body", "body": b""})


def statuses(sent: list[Message]) -> list[int]:
    return [message["status"] for message in sent if message["type"] == "http.response.start"]


def test_no_more_is_taken_than_the_limit_and_the_answer_is_one() -> None:
    sent, taken = ask(read_all, [PIECE] * 1_000_000)

    assert statuses(sent) == [413]
    assert taken == 3


def test_a_body_of_just_the_limit_is_taken() -> None:
    sent, _ = ask(read_all, [PIECE, PIECE, b"x" * 5])

    assert statuses(sent) == [200]


def test_a_path_for_large_bodies_has_a_limit_of_its_own() -> None:
    assert statuses(ask(read_all, [PIECE] * 4, path="/a/large")[0]) == [200]
    assert statuses(ask(read_all, [PIECE] * 5, path="/a/large")[0]) == [413]


def test_a_body_that_says_it_is_too_large_is_not_read_at_all() -> None:
    sent, taken = ask(read_all, [PIECE] * 9, headers=[(b"content-length", b"90")])

    assert statuses(sent) == [413]
    assert taken == 0


def test_whatever_an_application_does_after_it_has_answered_is_left_alone() -> None:
    async def answers_first(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        while (await receive())["more_body"]:
            pass
        await send({"type": "http.response.body", "body": b""})

    sent, _ = ask(answers_first, [PIECE] * 9)

    assert statuses(sent) == [200]
