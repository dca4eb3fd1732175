"""Conventions that hold for every path of the API."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from email.message import Message as HeaderFields
from http import HTTPStatus
from typing import Annotated, ClassVar

from fastapi import Header, Request
from fastapi.routing import APIRoute
from pydantic import BaseModel
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.body_limit import BodyTooLarge, BodyTooSlow, EncodingUnsupported
from app.errors import Invalid, Refusal


class ParameterUnknown(Invalid):
    """The query has an unknown parameter."""

    def __init__(self, names: list[str]) -> None:
        super().__init__(
            "The query has unknown parameters. Those of each path are documented at /docs.",
            [(f"query.{name}", "is not a parameter of this path") for name in names[:20]],
        )


class MediaTypeUnsupported(Refusal):
    """The Content-Type of the body is not JSON."""

    status = HTTPStatus.UNSUPPORTED_MEDIA_TYPE
    headers: ClassVar[Mapping[str, str]] = {"Accept": "application/json"}

    def __init__(self) -> None:
        super().__init__("The body must be JSON, with the header Content-Type: application/json.")


class VersionOutdated(Refusal):
    """The resource was changed since the version that If-Match names."""

    status = HTTPStatus.PRECONDITION_FAILED

    def __init__(self) -> None:
        super().__init__("The resource was changed since the version in If-Match. Read it again before you change it.")


IfMatch = Annotated[
    str | None, Header(max_length=1_000, description="The `ETag` of the version to change; others are refused by 412.")
]


def etag_of(answer: BaseModel) -> str:
    """Of the version that an answer shows."""
    return f'"{hashlib.sha256(answer.model_dump_json().encode()).hexdigest()[:32]}"'


def require_version(answer: BaseModel, if_match: str | None) -> None:
    """Raises VersionOutdated."""
    accepted = {etag.strip() for etag in (if_match or "*").split(",")}
    if not accepted & {"*", etag_of(answer)}:
        raise VersionOutdated


OF_A_BODY = (BodyTooLarge, BodyTooSlow, MediaTypeUnsupported, EncodingUnsupported)


async def require_known_parameters(request: Request) -> None:
    """Raises ParameterUnknown: a misspelt filter would otherwise select everything."""
    route: APIRoute = request.scope["route"]
    known = {parameter.alias for parameter in route.dependant.query_params}
    if unknown := sorted(set(request.query_params) - known):
        raise ParameterUnknown(unknown)


async def require_json(request: Request) -> None:
    """Raises MediaTypeUnsupported."""
    if request.method in ("GET", "DELETE") or not has_body(request):
        return
    fields = HeaderFields()
    fields["content-type"] = request.headers.get("content-type", "application/octet-stream")
    subtype = fields.get_content_subtype()
    if fields.get_content_maintype() != "application" or not (subtype == "json" or subtype.endswith("+json")):
        raise MediaTypeUnsupported


def has_body(request: Request) -> bool:
    return "transfer-encoding" in request.headers or request.headers.get("content-length", "0") != "0"


class Head:
    """ASGI middleware: answers HEAD like GET, without the body."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["method"] != "HEAD":
            await self.app(scope, receive, send)
            return

        async def send_without_body(message: Message) -> None:
            if message["type"] == "http.response.body":
                message = {**message, "body": b""}
            await send(message)

        await self.app({**scope, "method": "GET"}, receive, send_without_body)
