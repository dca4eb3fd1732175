"""The limit on bodies, as a server sees it: test clients hand a body over in one piece."""

from __future__ import annotations

import asyncio
import gzip
import tracemalloc
from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import pytest
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.body_limit import BodyLimit, Limits

PIECE = b"x" * 10
LIMITS = Limits(small_bytes=25, large_bytes=45, takes_large=(("POST", "/large"),), timeout_s=10.0, together_bytes=60)


def ask(
    application: ASGIApp, pieces: Iterable[bytes], *, path: str = "/", headers: Any = (), limits: Limits = LIMITS
) -> tuple[list[Message], int]:
    """The messages of the answer, and how many pieces of the body were asked for."""
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

    asyncio.run(BodyLimit(application, limits)(scope_of(path, headers), receive, send))
    return sent, taken


def scope_of(path: str, headers: Any = ()) -> Scope:
    return {"type": "http", "method": "POST", "path": path, "headers": list(headers), "query_string": b""}


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


GZIP = [(b"content-encoding", b"gzip")]


class Reader:
    """An application that keeps what it reads."""

    def __init__(self) -> None:
        self.read = b""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        more = True
        while more:
            message = await receive()
            self.read += message["body"]
            more = message["more_body"]
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b""})


def in_pieces(body: bytes, size: int) -> list[bytes]:
    return [body[place : place + size] for place in range(0, len(body), size)]


@pytest.mark.parametrize("size", [1, 7, 1_000_000])
@pytest.mark.parametrize("length", [0, 1, 200_000])
def test_a_compressed_body_is_read_as_it_was(size: int, length: int) -> None:
    roomy = replace(LIMITS, small_bytes=1_000_000)
    body = bytes(range(256)) * (length // 256) + b"x" * (length % 256)
    reader = Reader()

    sent, _ = ask(reader, in_pieces(gzip.compress(body), size), headers=GZIP, limits=roomy)

    assert statuses(sent) == [200]
    assert reader.read == body


def test_a_body_that_is_large_when_inflated_is_not_inflated_to_its_end() -> None:
    bomb = gzip.compress(b"x" * 50_000_000)
    tracemalloc.start()
    sent, _ = ask(Reader(), [bomb], headers=GZIP, limits=replace(LIMITS, small_bytes=300_000))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert statuses(sent) == [413]
    assert peak < 3_000_000


@pytest.mark.parametrize(
    "body",
    [b"no gzip", gzip.compress(b"x")[:-1], gzip.compress(b"x") + b"y", gzip.compress(b"x") * 2, b""],
    ids=["something else", "a part", "something after it", "two of them", "nothing"],
)
def test_a_body_that_is_not_what_its_encoding_says(body: bytes) -> None:
    assert statuses(ask(Reader(), [body], headers=GZIP)[0]) == [422]


@pytest.mark.parametrize("encoding", [b"br", b"gzip, gzip", b"deflate"])
def test_an_encoding_that_is_not_known_is_told_which_is(encoding: bytes) -> None:
    sent, taken = ask(Reader(), [PIECE], headers=[(b"content-encoding", encoding)])

    assert statuses(sent) == [415]
    assert (b"accept-encoding", b"gzip") in sent[0]["headers"]
    assert taken == 0


async def never() -> Message:
    await asyncio.Event().wait()
    raise AssertionError


def test_a_body_that_does_not_arrive_is_not_waited_for() -> None:
    sent: list[Message] = []

    async def send(message: Message) -> None:
        sent.append(message)

    asyncio.run(BodyLimit(read_all, replace(LIMITS, timeout_s=0.01))(scope_of("/"), never, send))

    assert statuses(sent) == [408]
    assert (b"connection", b"close") in sent[0]["headers"]


def test_a_server_that_stops_does_not_wait_for_it_either() -> None:
    sent: list[Message] = []

    async def send(message: Message) -> None:
        sent.append(message)

    async def main() -> None:
        begun = asyncio.Event()

        async def receive() -> Message:
            begun.set()
            return await never()

        task = asyncio.create_task(BodyLimit(read_all, LIMITS)(scope_of("/"), receive, send))
        await begun.wait()
        task.cancel()
        await task

    asyncio.run(main())

    assert statuses(sent) == [503]


def test_all_bodies_together_hold_no_more_than_there_is_memory_for_and_give_it_back() -> None:
    async def main() -> None:
        limited = BodyLimit(read_all, LIMITS)  # 45 bytes each, 60 together
        opened = asyncio.Event()
        sent: dict[int, list[Message]] = {number: [] for number in range(3)}

        async def post(number: int, waits: bool) -> None:
            pieces = [PIECE * 4, b""]

            async def receive() -> Message:
                piece = pieces.pop(0)
                if not piece and waits:
                    await opened.wait()
                return {"type": "http.request", "body": piece, "more_body": bool(piece)}

            async def send(message: Message) -> None:
                sent[number].append(message)

            await limited(scope_of("/large"), receive, send)

        first = asyncio.create_task(post(0, waits=True))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        await post(1, waits=False)
        opened.set()
        await first
        await post(2, waits=False)

        assert [statuses(sent[number]) for number in range(3)] == [[200], [503], [200]]
        assert limited.held.total == 0

    asyncio.run(main())
