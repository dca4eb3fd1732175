"""Cursors, and the link to the next page: without a database."""

from __future__ import annotations

import base64
import json
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import pytest
from fastapi import Request, Response
from pydantic import TypeAdapter

from app.pagination import TIME_AND_ID, InvalidCursor, Page, Paging, decode_cursor, encode_cursor

NUMBER = TypeAdapter(int)
WHEN = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.mark.parametrize("number", [7, 10, 100, 1000])
def test_a_cursor_is_read_as_it_was_made_whatever_its_length(number: int) -> None:
    cursor = encode_cursor(number)

    assert "=" not in cursor
    assert decode_cursor(cursor, NUMBER) == number


def test_a_moment_is_the_same_in_every_zone() -> None:
    cursor = encode_cursor(("2026-01-01T02:00:00+02:00", str(UUID(int=7))))

    moment, number = decode_cursor(cursor, TIME_AND_ID)

    assert (moment, moment.tzinfo, number) == (WHEN, UTC, UUID(int=7))


def test_a_cursor_is_made_of_what_can_be_written() -> None:
    assert decode_cursor(encode_cursor(WHEN), TypeAdapter(datetime)) == WHEN
    key = ">>>???"  # whose base64 has characters of its own in URLs
    assert decode_cursor(encode_cursor(key), TypeAdapter(str)) == key


@pytest.mark.parametrize(
    "cursor", ["", "!", "NQ!=", "é", "A", base64.urlsafe_b64encode(json.dumps("x").encode()).decode(), "AAAA"]
)
def test_a_cursor_of_nobody_is_refused(cursor: str) -> None:
    with pytest.raises(InvalidCursor):
        decode_cursor(cursor, NUMBER)


@pytest.mark.parametrize(
    ("query", "next_cursor", "link"),
    [
        ("", None, None),
        ("", "c", '</runs?cursor=c>; rel="next"'),
        ("verdict=fail&a=1&a=2&cursor=b", "c", '</runs?verdict=fail&a=1&a=2&cursor=c>; rel="next"'),
    ],
)
def test_a_page_links_to_the_next_one_with_the_same_query(
    query: str, next_cursor: str | None, link: str | None
) -> None:
    scope = {"type": "http", "method": "GET", "path": "/runs", "query_string": query.encode(), "headers": []}
    response = Response()
    page: Page[Any] = Page(items=[], next_cursor=next_cursor)

    assert Paging(Request(scope), response).link(page) is page

    assert response.headers.get("link") == link
