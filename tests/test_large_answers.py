"""Answers of many megabytes, to clients that take their time."""

from __future__ import annotations

import asyncio
import gzip
import logging

import pytest
from fastapi.testclient import TestClient
from starlette.types import Message, Scope

from app.large_answers import PIECE_BYTES, LargeAnswer, Sending, accepts_gzip
from app.workers import Overloaded
from tests.factories import ProjectFactory, ReportFactory, RunFactory

SCOPE: Scope = {"type": "http", "path": "/report"}


async def nothing_more() -> Message:
    raise AssertionError


def sent_by(answer: LargeAnswer) -> list[Message]:
    sent: list[Message] = []

    async def send(message: Message) -> None:
        sent.append(message)

    asyncio.run(answer(SCOPE, nothing_more, send))
    return sent


@pytest.mark.parametrize("length", [0, 1, PIECE_BYTES, 3 * PIECE_BYTES + 7])
def test_it_arrives_whole_and_in_pieces(length: int) -> None:
    content = bytes(range(256)) * (length // 256) + b"x" * (length % 256)

    start, *pieces = sent_by(LargeAnswer(content, Sending(10, timeout_s=10.0)))

    assert start["status"] == 200
    assert {(b"content-length", str(length).encode()), (b"content-type", b"application/json")} <= set(start["headers"])
    assert PIECE_BYTES == 262_144
    assert b"".join(piece["body"] for piece in pieces) == content
    assert max(len(piece["body"]) for piece in pieces) <= PIECE_BYTES
    assert [piece.get("more_body", False) for piece in pieces] == [True] * (len(pieces) - 1) + [False]


def test_what_is_being_sent_is_counted_until_it_is_read() -> None:
    async def main() -> None:
        sending = Sending(5, timeout_s=10.0)
        is_read = asyncio.Event()

        async def send(message: Message) -> None:
            await is_read.wait()

        sending.require_room()
        task = asyncio.create_task(LargeAnswer(b"12345", sending)(SCOPE, nothing_more, send))
        await asyncio.sleep(0)
        with pytest.raises(Overloaded):
            sending.require_room()

        is_read.set()
        await task
        sending.require_room()

    asyncio.run(main())


def test_a_client_that_does_not_read_is_given_up(caplog: pytest.LogCaptureFixture) -> None:
    sending = Sending(5, timeout_s=0.01)

    async def send(message: Message) -> None:
        if message["type"] == "http.response.body":
            await asyncio.Event().wait()

    with caplog.at_level(logging.INFO):
        asyncio.run(LargeAnswer(b"12345", sending)(SCOPE, nothing_more, send))

    assert sending.total_bytes == 0
    assert "The client of /report read too slowly." in caplog.messages


def test_a_report_is_sent_so(client: TestClient, admin: dict[str, str]) -> None:
    content = gzip.compress(b'{"n": 1}')
    run = ReportFactory(run=RunFactory(project=ProjectFactory(slug="shop")), content=content).run_id
    place = f"/api/v1/projects/shop/runs/{run}/report"
    sending: Sending = client.app.state.sending  # type: ignore[attr-defined]

    answered = client.get(place, headers=admin)
    sending.total_bytes += sending.most_bytes
    refused = client.get(place, headers=admin)
    sending.total_bytes -= sending.most_bytes

    assert answered.content == b'{"n": 1}'
    assert refused.status_code == 503
    assert sending.total_bytes == 0


@pytest.mark.parametrize(
    ("header", "accepts"),
    [
        ("gzip", True),
        ("br, GZIP;q=0.5", True),
        ("*", True),
        ("gzip ; q=1.0", True),
        ("gzip;q=0", False),
        ("gzip;q=0.000, *", False),
        ("*;q=0", False),
        ("br", False),
        ("", False),
    ],
)
def test_it_is_sent_compressed_only_where_the_client_says_so(header: str, accepts: bool) -> None:
    assert accepts_gzip({"accept-encoding": header}) is accepts
