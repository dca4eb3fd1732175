"""Refusals, and how every failure becomes an answer in the format of RFC 9457.

A request that cannot be fulfilled raises a `Refusal`. Any other exception is a defect of ours: the answer says only
that, and the traceback goes to the log.
"""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any, ClassVar

from asgi_correlation_id import correlation_id
from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, Field
from sqlalchemy.exc import DBAPIError, OperationalError
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.routing import Match

logger = logging.getLogger(__name__)

MEDIA_TYPE = "application/problem+json"


class Refusal(Exception):
    """Base of all refusals. The message is a human-readable sentence that names what was refused."""

    status: ClassVar[HTTPStatus] = HTTPStatus.BAD_REQUEST
    headers: ClassVar[Mapping[str, str]] = {}

    @classmethod
    def name(cls) -> str:
        """The stable name that clients compare: `ProjectNotFound` is `project-not-found`."""
        return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "-", cls.__name__).lower()


class Unauthorized(Refusal):
    status = HTTPStatus.UNAUTHORIZED
    headers: ClassVar[Mapping[str, str]] = {"WWW-Authenticate": "Bearer"}


class Forbidden(Refusal):
    status = HTTPStatus.FORBIDDEN


class NotFound(Refusal):
    status = HTTPStatus.NOT_FOUND


class Conflict(Refusal):
    status = HTTPStatus.CONFLICT


class TooLarge(Refusal):
    status = HTTPStatus.REQUEST_ENTITY_TOO_LARGE


class Invalid(Refusal):
    """The request is invalid. `errors` says where: ("body.slug", "should match …")."""

    status = HTTPStatus.UNPROCESSABLE_ENTITY

    def __init__(self, message: str, errors: Sequence[tuple[str, str]] = ()) -> None:
        super().__init__(message)
        self.errors = errors


class Problem(BaseModel):
    """The body of every error, as `application/problem+json` (RFC 9457)."""

    type: str = Field(description="Ends in a stable name that clients can compare.")
    title: str
    status: int
    detail: str = Field(description="Human-readable: what was refused, and what to do.")
    errors: list[dict[str, str]] | None = Field(
        default=None, description="For a 422: the invalid parts of the request."
    )


def problem(
    status: int,
    name: str,
    detail: str,
    *,
    headers: Mapping[str, str] | None = None,
    errors: Sequence[tuple[str, str]] = (),
) -> Response:
    body: dict[str, Any] = {
        "type": f"urn:overproof:problem:{name}",
        "title": HTTPStatus(status).phrase,
        "status": int(status),
        "detail": detail,
    }
    if errors:
        body["errors"] = [{"where": where, "message": message} for where, message in errors]
    # As ASCII: a request may contain half of a surrogate pair, which cannot be encoded as UTF-8.
    return Response(json.dumps(body), status_code=status, headers=dict(headers or {}), media_type=MEDIA_TYPE)


def sentence(line: str) -> str:
    """A line as on standard error, written as a sentence for the detail of an answer."""
    return f"{line[0].upper()}{line[1:]}."


async def answer_refusal(request: Request, refusal: Refusal) -> Response:
    errors = refusal.errors if isinstance(refusal, Invalid) else ()
    return problem(refusal.status, refusal.name(), str(refusal), headers=refusal.headers, errors=errors)


async def answer_http_exception(request: Request, exception: HTTPException) -> Response:
    """What the framework itself refuses: an unknown path, a method that the path does not support, a broken body."""
    phrase = HTTPStatus(exception.status_code).phrase
    headers = dict(exception.headers or {})
    details = {
        404: f"{request.url.path} does not exist. All paths are documented at /docs.",
        405: f"{request.url.path} does not support {request.method}.",
    }
    if exception.status_code == 400:  # a body that is not JSON, which fails in one of two ways
        return problem(422, "invalid-request", "The body of the request could not be read as JSON.")
    if exception.status_code == 405:
        headers["Allow"] = ", ".join(methods_of(request))
    return problem(
        exception.status_code,
        phrase.lower().replace(" ", "-"),
        details.get(exception.status_code, str(exception.detail)),
        headers=headers,
    )


def methods_of(request: Request) -> list[str]:
    """All methods that the path of the request supports. The framework names only those of the first route."""
    found = []
    for method in ("GET", "POST", "PUT", "PATCH", "DELETE"):
        scope = {**request.scope, "method": method}
        if any(route.matches(scope)[0] is Match.FULL for route in request.app.router.routes):
            found += ["GET", "HEAD"] if method == "GET" else [method]
    return found


async def answer_invalid_request(request: Request, invalid: RequestValidationError) -> Response:
    """The answer says where and why, and never repeats the value, which may be secret or huge."""
    errors = [(".".join(map(str, error["loc"])), str(error["msg"])) for error in invalid.errors()]
    return problem(422, "invalid-request", "The request does not match the documentation at /docs.", errors=errors)


async def answer_no_database(request: Request, error: DBAPIError) -> Response:
    said = (str(error.orig).strip().splitlines() or [type(error.orig).__name__])[0]
    logger.error("No answer from the database for %s %s: %s", request.method, request.url.path, said)
    detail = f"The database does not answer at the moment. {outcome_of(request)}"
    return problem(503, "database-unavailable", detail, headers={"Retry-After": "5"})


async def answer_fault(request: Request, fault: Exception) -> Response:
    """Afterwards Starlette raises the exception again, so that the server logs its traceback."""
    number = correlation_id.get()
    detail = f"The service failed. Its log has the details under the request ID {number}. {outcome_of(request)}"
    return problem(500, "internal-error", detail, headers={"X-Request-ID": number} if number else None)


def outcome_of(request: Request) -> str:
    """A commit may have succeeded although the database's answer to it was lost."""
    if request.method in ("GET", "HEAD"):
        return "Nothing was changed. Try again shortly."
    return "It is not known whether the change was made: check before you send it again."


async def answer_disconnect(request: Request, gone: Exception) -> Response:
    """The client closed the connection while its body was read, so the answer goes nowhere."""
    logger.info("The client of %s %s closed the connection.", request.method, request.url.path)
    return Response(status_code=400)


def install(app: FastAPI) -> None:
    """Register the handlers above, but for what the framework refuses: the pages have their own answer to that."""
    app.add_exception_handler(Refusal, answer_refusal)  # type: ignore[arg-type]
    app.add_exception_handler(RequestValidationError, answer_invalid_request)  # type: ignore[arg-type]
    app.add_exception_handler(OperationalError, answer_no_database)  # type: ignore[arg-type]
    app.add_exception_handler(ClientDisconnect, answer_disconnect)
    app.add_exception_handler(Exception, answer_fault)


def documented(*refusals: type[Refusal]) -> dict[int | str, dict[str, Any]]:
    """The `responses=` of a route that may raise these refusals, for the OpenAPI document."""
    responses: dict[int | str, dict[str, Any]] = {}
    for refusal in refusals:
        meaning = " ".join((refusal.__doc__ or "").split())
        response = responses.setdefault(
            int(refusal.status),
            {
                "description": refusal.status.phrase,
                "content": {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}, "examples": {}}},
            },
        )
        response["content"][MEDIA_TYPE]["examples"][refusal.name()] = {
            "summary": meaning,
            "value": {
                "type": f"urn:overproof:problem:{refusal.name()}",
                "title": refusal.status.phrase,
                "status": int(refusal.status),
                "detail": meaning,
            },
        }
    return responses
