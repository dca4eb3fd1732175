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
from uuid import UUID

from fastapi import Query
from pydantic import AfterValidator, AwareDatetime, BaseModel, Field, TypeAdapter, ValidationError

from app.database import in_utc
from app.errors import Invalid

Item = TypeVar("Item")

# The key of lists that are sorted by time: the ID orders items of the same moment.
TIME_AND_ID: TypeAdapter[tuple[datetime, UUID]] = TypeAdapter(
    tuple[Annotated[AwareDatetime, AfterValidator(in_utc)], UUID]
)

Limit = Annotated[int, Query(ge=1, le=200, description="The maximum number of items on the page.")]
Cursor = Annotated[str | None, Query(max_length=500, description="The `next_cursor` of the previous page.")]


class Page(BaseModel, Generic[Item]):
    items: list[Item]
    next_cursor: str | None = Field(default=None, description="The `cursor` of the next page; null on the last page.")


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
