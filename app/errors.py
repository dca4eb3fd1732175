"""What we refuse, and how every failure becomes an answer that says what to do (RFC 9457).

A caller who asks for something that we cannot do gets a `Refusal`. Anything else that rises is a fault of ours: the
caller is told so and no more, and the traceback goes to the log.
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
    """Base of what a caller can be refused. The message is the sentence for people, and names what was refused."""

    status: ClassVar[HTTPStatus] = HTTPStatus.BAD_REQUEST
    headers: ClassVar[Mapping[str, str]] = {}

    @classmethod
    def name(cls) -> str:
        """What clients compare: `ProjectNotFound` is `project-not-found`, as long as we live."""
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
    """What was sent cannot be used. `errors` says where: ("body.slug", "should match …")."""

    status = HTTPStatus.UNPROCESSABLE_ENTITY

    def __init__(self, message: str, errors: Sequence[tuple[str, str]] = ()) -> None:
        super().__init__(message)
        self.errors = errors


class Problem(BaseModel):
    """Every answer that is not a success, as `application/problem+json` (RFC 9457)."""

    type: str = Field(description="Ends in the stable name that clients compare.")
    title: str
    status: int
    detail: str = Field(description="For people: what was refused, and what to do.")
    errors: list[dict[str, str]] | None = Field(default=None, description="Where in the request, for a 422.")


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
    # In ASCII: a request may hold half of a surrogate pair, which no UTF-8 can repeat.
    return Response(json.dumps(body), status_code=status, headers=dict(headers or {}), media_type=MEDIA_TYPE)


async def answer_refusal(request: Request, refusal: Refusal) -> Response:
    errors = refusal.errors if isinstance(refusal, Invalid) else ()
    return problem(refusal.status, refusal.name(), str(refusal), headers=refusal.headers, errors=errors)


async def answer_http_exception(request: Request, exception: HTTPException) -> Response:
    """What the framework refuses by itself: an unknown path, a method that the path does not have, a broken body."""
    phrase = HTTPStatus(exception.status_code).phrase
    headers = dict(exception.headers or {})
    details = {
        404: f"There is nothing at {request.url.path}. What there is: /docs.",
        405: f"{request.method} is not something that {request.url.path} does.",
    }
    if exception.status_code == 400:  # what is no JSON, for which there are two ways to fail
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
    """All that the path of the request does. The framework names those of the first route alone."""
    found = []
    for method in ("GET", "POST", "PUT", "PATCH", "DELETE"):
        scope = {**request.scope, "method": method}
        if any(route.matches(scope)[0] is Match.FULL for route in request.app.router.routes):
            found += ["GET", "HEAD"] if method == "GET" else [method]
    return found


async def answer_invalid_request(request: Request, invalid: RequestValidationError) -> Response:
    """Says where and why, and never repeats the value: it may be a secret, or huge."""
    errors = [(".".join(map(str, error["loc"])), str(error["msg"])) for error in invalid.errors()]
    return problem(422, "invalid-request", "The request does not fit what is documented at /docs.", errors=errors)


async def answer_no_database(request: Request, error: DBAPIError) -> Response:
    said = (str(error.orig).strip().splitlines() or [type(error.orig).__name__])[0]
    logger.error("The database did not answer %s %s: %s", request.method, request.url.path, said)
    detail = f"The database does not answer at the moment. {what_became_of(request)}"
    return problem(503, "database-unavailable", detail, headers={"Retry-After": "5"})


async def answer_fault(request: Request, fault: Exception) -> Response:
    """Starlette raises the fault once more after this, so that the server logs its traceback."""
    number = correlation_id.get()
    detail = f"Something went wrong on our side, and is in our log as {number}. {what_became_of(request)}"
    return problem(500, "internal-error", detail, headers={"X-Request-ID": number} if number else None)


def what_became_of(request: Request) -> str:
    """A commit may have reached the database although its answer did not reach us."""
    if request.method == "GET":
        return "Nothing was changed; try again shortly."
    return "It is not known whether the change was made: look before you send it again."


async def answer_nobody(request: Request, gone: Exception) -> Response:
    """The client hung up while its body was read. No fault, and nobody is left to answer."""
    logger.info("The client of %s %s hung up.", request.method, request.url.path)
    return Response(status_code=400)


def install(app: FastAPI) -> None:
    """Have every failure answered by one of the above."""
    app.add_exception_handler(Refusal, answer_refusal)  # type: ignore[arg-type]
    app.add_exception_handler(HTTPException, answer_http_exception)  # type: ignore[arg-type]
    app.add_exception_handler(RequestValidationError, answer_invalid_request)  # type: ignore[arg-type]
    app.add_exception_handler(OperationalError, answer_no_database)  # type: ignore[arg-type]
    app.add_exception_handler(ClientDisconnect, answer_nobody)
    app.add_exception_handler(Exception, answer_fault)


def documented(*refusals: type[Refusal]) -> dict[int | str, dict[str, Any]]:
    """The `responses=` of a route that may refuse in these ways, for the OpenAPI page."""
    responses: dict[int | str, dict[str, Any]] = {}
    for refusal in refusals:
        response = responses.setdefault(
            int(refusal.status),
            {
                "description": refusal.status.phrase,
                "content": {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}, "examples": {}}},
            },
        )
        response["content"][MEDIA_TYPE]["examples"][refusal.name()] = {
            "summary": " ".join((refusal.__doc__ or refusal.__name__).split()),
            "value": {
                "type": f"urn:overproof:problem:{refusal.name()}",
                "title": refusal.status.phrase,
                "status": int(refusal.status),
                "detail": " ".join((refusal.__doc__ or "").split()),
            },
        }
    return responses
