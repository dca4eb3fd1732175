"""Keyset pagination: a page begins after the key of the last item on the previous page.

Unlike an offset, a key costs the same on every page, and no item is skipped or repeated when others are added
meanwhile.
"""

from __future__ import annotations

import base64
import binascii
import json
from datetime import datetime
from typing import Annotated, Any, Generic, TypeVar
from urllib.parse import urlencode
from uuid import UUID

from fastapi import Depends, Query, Request, Response
from pydantic import AfterValidator, AwareDatetime, BaseModel, Field, TypeAdapter, ValidationError

from app.database import in_utc
from app.errors import Invalid

Item = TypeVar("Item")

Time = Annotated[AwareDatetime, AfterValidator(in_utc)]


def time_and(*others: Any) -> TypeAdapter[Any]:
    """The key of lists that are sorted by time: the others order items of the same moment."""
    key: Any = tuple.__class_getitem__((Time, *others))
    return TypeAdapter(key)


TIME_AND_ID: TypeAdapter[tuple[datetime, UUID]] = time_and(UUID)

Limit = Annotated[int, Query(ge=1, le=200, description="The maximum number of items on the page.")]
Cursor = Annotated[str | None, Query(max_length=500, description="The `next_cursor` of the previous page.")]


class Page(BaseModel, Generic[Item]):
    items: list[Item]
    next_cursor: str | None = Field(default=None, description="The `cursor` of the next page; null on the last page.")


class Paging:
    """Adds the header `Link` to the answer with a page."""

    def __init__(self, request: Request, response: Response) -> None:
        self._request = request
        self._response = response

    def link(self, page: Page[Item]) -> Page[Item]:
        """The page itself. A relative link, since the Host header is the client's."""
        if page.next_cursor is not None:
            query = [(name, value) for name, value in self._request.query_params.multi_items() if name != "cursor"]
            query.append(("cursor", page.next_cursor))
            self._response.headers["Link"] = f'<{self._request.url.path}?{urlencode(query)}>; rel="next"'
        return page


async def paging_of_request(request: Request, response: Response) -> Paging:
    return Paging(request, response)


RequestPaging = Annotated[Paging, Depends(paging_of_request)]


class InvalidCursor(Invalid):
    """The cursor is not the `next_cursor` of another page."""

    def __init__(self) -> None:
        super().__init__("The cursor is invalid. Send the `next_cursor` of a page of this list, or none.")


def encode_cursor(key: Any) -> str:
    """An opaque text that a client sends back to get the items after `key`."""
    return base64.urlsafe_b64encode(json.dumps(key, default=str).encode()).decode().rstrip("=")


def decode_cursor(cursor: str, key: TypeAdapter[Item]) -> Item:
    """Raises InvalidCursor."""
    try:
        text = base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True)
        return key.validate_json(text)
    except (binascii.Error, UnicodeEncodeError, ValidationError, ValueError):
        raise InvalidCursor from None
