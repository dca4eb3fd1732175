"""Lists are read page by page, by key: a page begins after the last item of the one before.

Unlike an offset, a key costs the same on every page, and nothing is skipped or repeated when items are added meanwhile.
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

# The key of what is listed by time: the identifier tells apart what came at the same moment.
TIME_AND_ID: TypeAdapter[tuple[datetime, UUID]] = TypeAdapter(
    tuple[Annotated[AwareDatetime, AfterValidator(in_utc)], UUID]
)

Limit = Annotated[int, Query(ge=1, le=200, description="Items on a page.")]
Cursor = Annotated[str | None, Query(max_length=500, description="The `next_cursor` of the page before.")]


class Page(BaseModel, Generic[Item]):
    items: list[Item]
    next_cursor: str | None = Field(default=None, description="Of the next page; null on the last.")


class InvalidCursor(Invalid):
    """A cursor is what another page gave as `next_cursor`, unchanged."""

    def __init__(self) -> None:
        super().__init__("The cursor is not one that this list gave out. Begin without one.")


def encode_cursor(key: Any) -> str:
    """What a client hands back to get the items after `key`. Not for reading: its form may change."""
    return base64.urlsafe_b64encode(json.dumps(key, default=str).encode()).decode().rstrip("=")


def decode_cursor(cursor: str, key: TypeAdapter[Item]) -> Item:
    """Raises InvalidCursor."""
    try:
        text = base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True)
        return key.validate_json(text)
    except (binascii.Error, UnicodeEncodeError, ValidationError, ValueError):
        raise InvalidCursor from None
