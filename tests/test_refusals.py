"""Each refusal: its name and status, its headers and its sentence, as clients get them."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator, Mapping

import pytest
from starlette.requests import Request

from app.body_limit import BodyGarbled, BodyTooLarge, BodyTooSlow, EncodingUnsupported, Stopping, TooManyBodies
from app.changes.errors import ChangeNotFound
from app.conventions import MediaTypeUnsupported, ParameterUnknown, VersionOutdated
from app.environments.errors import (
    DecisionNotFound,
    DeploymentDiffers,
    DeploymentEnded,
    EnvironmentForbidden,
    EnvironmentNotFound,
    SnapshotNotFound,
    SnapshotRefused,
    VersionUnknown,
    WaiverNotFound,
)
from app.errors import Refusal, answer_refusal, documented
from app.health import NotReady
from app.pages.errors import FormInvalid, FormRefused, SignInNeeded
from app.pagination import InvalidCursor
from app.projects.errors import (
    InstanceAdminNeeded,
    ProjectArchived,
    ProjectNotArchived,
    ProjectNotFound,
    ScopeMissing,
    SlugTaken,
    TokenMissing,
    TokenNotFound,
    TokenUnknown,
)
from app.projects.models import Scope
from app.rate_limit import TooManyRequests
from app.revisions.errors import RevisionNotFound
from app.runs.errors import ReportExpired, ReportRefused, RunNotFound
from app.workers import Overloaded

ERRORS = [("body.slug", "should match")]
BEARER = {"www-authenticate": "Bearer"}

REFUSALS: list[tuple[Refusal, int, str, Mapping[str, str]]] = [
    (BodyTooLarge(25), 413, "The body is larger than the limit of 25 bytes.", {}),
    (BodyTooSlow(1.5), 408, "The body did not arrive within 1.5 seconds.", {"connection": "close"}),
    (
        TooManyBodies(),
        503,
        "Too many large bodies are being received at the moment. Send this one again shortly.",
        {"retry-after": "5"},
    ),
    (
        Stopping(),
        503,
        "The service is shutting down, and the body had not arrived completely. Send the request again.",
        {"retry-after": "1", "connection": "close"},
    ),
    (
        EncodingUnsupported(),
        415,
        "The Content-Encoding of a body must be gzip or identity.",
        {"accept-encoding": "gzip"},
    ),
    (BodyGarbled(), 422, "The body is not one complete gzip stream, although its Content-Encoding is gzip.", {}),
    (ChangeNotFound("42"), 404, "No report of this project has the change '42'.", {}),
    (
        ParameterUnknown(["a"]),
        422,
        "The query has unknown parameters. Those of each path are documented at /docs.",
        {},
    ),
    (
        MediaTypeUnsupported(),
        415,
        "The body must be JSON, with the header Content-Type: application/json.",
        {"accept": "application/json"},
    ),
    (
        VersionOutdated(),
        412,
        "The resource was changed since the version in If-Match. Read it again before you change it.",
        {},
    ),
    (
        EnvironmentNotFound("eu"),
        404,
        "The project has no environment 'eu': an administrator creates it with PUT.",
        {},
    ),
    (EnvironmentForbidden("eu"), 403, "This token is for the environment 'eu' only.", {}),
    (
        VersionUnknown("the commit abc", "on that commit"),
        409,
        (
            "No report of this project has the commit abc, and a deployment creates no revision."
            " Send a report first: overproof verify --submit, on that commit."
        ),
        {},
    ),
    (
        DeploymentDiffers("1"),
        409,
        "The deployment '1' is of another version. Choose another ID for this one.",
        {},
    ),
    (
        DeploymentEnded("1"),
        409,
        "The deployment '1' has ended: another one replaced it. Choose another ID to deploy it again.",
        {},
    ),
    (SnapshotNotFound("1"), 404, "The environment has no snapshot 1.", {}),
    (
        SnapshotRefused(ERRORS),
        422,
        "The body is not a valid snapshot in the format overproof-snapshot/1. See `errors`.",
        {},
    ),
    (DecisionNotFound("1"), 404, "The environment has no decision 1.", {}),
    (WaiverNotFound("1"), 404, "The project has no waiver 1.", {}),
    (NotReady("Not yet."), 503, "Not yet.", {}),
    (SignInNeeded(), 401, "Sign in with an access token to see this page.", {}),
    (
        FormRefused(),
        403,
        "The form is too old, or did not come from this site. Go back, load the page again and resend it.",
        {},
    ),
    (FormInvalid("Choose a day."), 422, "Choose a day.", {}),
    (
        InvalidCursor(),
        422,
        "The cursor is invalid. Send the `next_cursor` of a page of this list, or none.",
        {},
    ),
    (
        TokenMissing(),
        401,
        "Send a token (Authorization: Bearer ovp_…). An administrator of the project can issue one.",
        BEARER,
    ),
    (
        TokenUnknown(),
        401,
        "The token is unknown, was revoked or has expired. Ask an administrator of the project for another one.",
        {"www-authenticate": 'Bearer error="invalid_token"'},
    ),
    (
        ScopeMissing(Scope.ADMIN, Scope.READ),
        403,
        "This needs a token with the scope 'admin'; yours has 'read'.",
        {},
    ),
    (
        InstanceAdminNeeded(),
        403,
        "This needs an administrator's token for the whole installation: overproof token create --admin issues one.",
        {},
    ),
    (
        ProjectNotFound("shop"),
        404,
        "The project 'shop' does not exist, or this token has no access to it.",
        {},
    ),
    (TokenNotFound("1"), 404, "The project has no token 1.", {}),
    (SlugTaken("shop"), 409, "A project with the slug 'shop' already exists.", {}),
    (
        ProjectNotArchived("shop"),
        409,
        "The project 'shop' is in use. Archive it before you purge it.",
        {},
    ),
    (ProjectArchived("shop"), 409, "The project 'shop' is archived and read-only. Restore it first.", {}),
    (
        TooManyRequests("The token", 7),
        429,
        (
            "The token has sent more than 7 requests in a minute. This one was not started: send it again after the "
            "seconds in Retry-After."
        ),
        {},
    ),
    (
        RevisionNotFound("a1", "f00d"),
        404,
        "No report of this project has a revision 'a1' whose script has the SHA-256 f00d.",
        {},
    ),
    (
        ReportExpired("1"),
        410,
        "The report of the run 1 has expired. The run and its findings are still there.",
        {},
    ),
    (
        ReportRefused(ERRORS),
        422,
        "The body is not a valid report in the format overproof-report/1. See `errors`.",
        {},
    ),
    (RunNotFound("1"), 404, "The project has no run 1.", {}),
    (
        Overloaded(),
        503,
        "Too many requests are waiting. This one was not started: send it again in a moment.",
        {"retry-after": "1"},
    ),
]


@pytest.mark.parametrize(
    ("refusal", "status", "sentence", "headers"), REFUSALS, ids=[each.name() for each, *_ in REFUSALS]
)
def test_a_refusal_is_told_in_its_own_words(
    refusal: Refusal, status: int, sentence: str, headers: Mapping[str, str]
) -> None:
    answer = asyncio.run(answer_refusal(Request({"type": "http"}), refusal))

    body = json.loads(bytes(answer.body))
    assert (answer.status_code, body["status"], body["detail"]) == (status, status, sentence)
    assert body["type"] == f"urn:overproof:problem:{refusal.name()}"
    own = {name: value for name, value in answer.headers.items() if name not in ("content-type", "content-length")}
    assert own == headers
    errors = {"parameter-unknown": [("query.a", "is not a parameter of this path")]}.get(
        refusal.name(), ERRORS if isinstance(refusal, ReportRefused | SnapshotRefused) else []
    )
    assert body.get("errors", []) == [{"where": where, "message": message} for where, message in errors]
    assert ("errors" in body) is bool(errors)


def family(refusal: type[Refusal]) -> Iterator[type[Refusal]]:
    for each in refusal.__subclasses__():
        yield each
        yield from family(each)


def test_none_is_forgotten_here_and_each_has_a_name_of_its_own_and_says_what_it_means() -> None:
    final = {each for each in family(Refusal) if each.__module__ != "app.errors"}

    assert {type(each) for each, *_ in REFUSALS} == final
    assert len({each.name() for each in final}) == len(final)
    for refusal in final:
        assert refusal.__doc__, refusal


def test_refusals_are_documented_by_their_status_each_with_an_example() -> None:
    documents = documented(ProjectNotFound, RunNotFound, Overloaded)

    assert list(documents) == [404, 503]
    assert documents[503] == {
        "description": "Service Unavailable",
        "content": {
            "application/problem+json": {
                "schema": {"$ref": "#/components/schemas/Problem"},
                "examples": {
                    "overloaded": {
                        "summary": "Too many requests are waiting.",
                        "value": {
                            "type": "urn:overproof:problem:overloaded",
                            "title": "Service Unavailable",
                            "status": 503,
                            "detail": "Too many requests are waiting.",
                        },
                    }
                },
            }
        },
    }
    examples = documents[404]["content"]["application/problem+json"]["examples"]
    assert list(examples) == ["project-not-found", "run-not-found"]
