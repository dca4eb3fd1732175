"""The limit on bodies, as a server sees it: test clients hand a body over in one piece."""

from __future__ import annotations

import asyncio
import gzip
import random
import tracemalloc
import zlib
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


def test_only_that_method_and_path_take_large_bodies() -> None:
    limited = BodyLimit(read_all, LIMITS)

    assert [
        limited.limits.limit_for({"method": method, "path": path})
        for method, path in (("POST", "/a/large"), ("PUT", "/a/large"), ("POST", "/large/a"), ("PUT", "/"))
    ] == [45, 25, 25, 25]


@pytest.mark.parametrize(
    ("declared", "is_read"),
    [("25", True), ("26", False), ("0" * 17 + "5", True), ("0" * 18 + "5", False), ("9" * 5_000, False), ("²6", True)],
)
def test_a_length_is_believed_where_it_is_a_number_beyond_the_limit(declared: str, is_read: bool) -> None:
    sent, taken = ask(read_all, [PIECE], headers=[(b"content-length", declared.encode("latin-1"))])

    assert statuses(sent) == [200 if is_read else 413]
    assert bool(taken) is is_read


def test_what_is_no_request_passes() -> None:
    seen: list[object] = []

    async def application(scope: Scope, receive: Receive, send: Send) -> None:
        seen.extend((scope, receive, send))

    async def send(message: Message) -> None: ...

    asyncio.run(BodyLimit(application, LIMITS)({"type": "lifespan"}, never, send))

    assert seen == [{"type": "lifespan"}, never, send]


def received_by(messages: Iterable[Message], *, limits: Limits = LIMITS, headers: Any = ()) -> list[Message]:
    """What an application gets that asks for as many messages as there are."""
    left = list(messages)
    received: list[Message] = []

    async def receive() -> Message:
        await asyncio.sleep(0)
        return left.pop(0)

    async def application(scope: Scope, receive: Receive, send: Send) -> None:
        while left:
            received.append(await receive())

    async def send(message: Message) -> None: ...

    asyncio.run(BodyLimit(application, limits)(scope_of("/", headers), receive, send))
    return received


GONE: Message = {"type": "http.disconnect"}


def test_what_comes_instead_of_a_body_or_after_it_passes() -> None:
    empty: Message = {"type": "http.request"}
    first: Message = {"type": "http.request", "body": PIECE, "more_body": True}
    last: Message = {"type": "http.request", "body": PIECE, "more_body": False}

    assert received_by([GONE]) == [GONE]
    assert received_by([first, GONE]) == [first, GONE]
    assert received_by([first, last, GONE]) == [first, last, GONE]
    assert received_by([empty, GONE]) == [{**empty, "body": b"", "more_body": False}, GONE]


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


def test_what_was_compressed_over_a_distance_is_read_a_slice_at_a_time() -> None:
    roomy = replace(LIMITS, small_bytes=1_000_000)
    body = random.Random(1).randbytes(32_000) * 5  # repeats from as far away as gzip can refer to
    whole: Message = {"type": "http.request", "body": gzip.compress(body), "more_body": False}

    pieces: list[bytes] = []

    async def application(scope: Scope, receive: Receive, send: Send) -> None:
        more = True
        while more:
            message = await receive()
            pieces.append(message["body"])
            more = message["more_body"]

    async def receive() -> Message:
        return whole

    async def send(message: Message) -> None: ...

    asyncio.run(BodyLimit(application, roomy)(scope_of("/", [(b"content-encoding", b" GZip ")]), receive, send))

    assert [len(piece) for piece in pieces] == [65_536, 65_536, len(body) - 2 * 65_536]
    assert b"".join(pieces) == body


@pytest.mark.parametrize("encoding", [b"identity", b"Identity ", b""])
def test_a_body_that_is_said_not_to_be_encoded_is_taken_as_it_is(encoding: bytes) -> None:
    reader = Reader()

    ask(reader, [PIECE], headers=[(b"content-encoding", encoding)])

    assert reader.read == PIECE


@pytest.mark.parametrize(
    "body",
    [
        b"no gzip",
        zlib.compress(b"x"),
        gzip.compress(b"x")[:-1],
        gzip.compress(b"x") + b"y",
        gzip.compress(b"x") * 2,
        b"",
    ],
    ids=["something else", "another format", "a part", "something after it", "two of them", "nothing"],
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


class Hurrying(asyncio.SelectorEventLoop):
    """A loop on which time passes as a test wants it."""

    ahead_s = 0.0

    def time(self) -> float:
        return super().time() + self.ahead_s


@pytest.mark.parametrize(("piece_takes_s", "status"), [(4.0, 200), (6.0, 408)])
def test_the_time_is_for_the_whole_body(piece_takes_s: float, status: int) -> None:
    sent: list[Message] = []
    left = [PIECE, PIECE, b""]

    async def receive() -> Message:
        loop = asyncio.get_running_loop()
        assert isinstance(loop, Hurrying)
        if len(left) < 3:
            loop.ahead_s += piece_takes_s
        for _ in range(3):
            await asyncio.sleep(0)
        piece = left.pop(0)
        return {"type": "http.request", "body": piece, "more_body": bool(piece)}

    async def send(message: Message) -> None:
        sent.append(message)

    with asyncio.Runner(loop_factory=Hurrying) as runner:
        runner.run(BodyLimit(read_all, LIMITS)(scope_of("/"), receive, send))

    assert statuses(sent) == [status]


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


@pytest.mark.parametrize(
    ("size", "together_bytes", "second"),
    [
        pytest.param(40, 60, 503, id="one too many"),
        pytest.param(40, 79, 503, id="one byte too many"),
        pytest.param(40, 80, 200, id="just what there is"),
        pytest.param(25, 30, 200, id="small ones are not counted"),
        pytest.param(26, 30, 503, id="others are"),
    ],
)
def test_all_bodies_together_hold_no_more_than_there_is_memory_for_and_give_it_back(
    size: int, together_bytes: int, second: int
) -> None:
    async def main() -> None:
        limited = BodyLimit(read_all, replace(LIMITS, together_bytes=together_bytes))
        opened = asyncio.Event()
        sent: dict[int, list[Message]] = {number: [] for number in range(3)}

        async def post(number: int, waits: bool) -> None:
            pieces = [b"x" * 10, b"x" * (size - 10), b""]

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

        assert [statuses(sent[number]) for number in range(3)] == [[200], [second], [200]]
        assert limited.held.total == 0

    asyncio.run(main())
