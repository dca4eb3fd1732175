"""What holds for every path."""

from __future__ import annotations

import asyncio
import gzip
import json
import logging
import re
from contextlib import nullcontext
from uuid import uuid4

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient
from openapi_spec_validator import validate
from pydantic import BaseModel
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.types import Message

from app.conventions import (
    Head,
    MediaTypeUnsupported,
    ParameterUnknown,
    VersionOutdated,
    etag_of,
    has_body,
    require_json,
    require_version,
)
from tests.factories import ProjectFactory, RunFactory, report

Headers = dict[str, str]


def test_a_service_that_can_work_says_so(client: TestClient) -> None:
    assert client.get("/readyz").json() == {"status": "ok"}


def test_head_is_get_without_a_body(client: TestClient, admin: Headers) -> None:
    ProjectFactory(slug="shop")

    for path in ("/healthz", "/readyz", "/api/v1/projects", "/api/v1/projects/shop", "/api/v1/projects/none"):
        head, get = client.head(path, headers=admin), client.get(path, headers=admin)

        assert head.status_code == get.status_code
        assert head.headers["content-length"] == get.headers["content-length"]
        assert head.content == b""


def test_the_answer_to_head_is_without_a_body_whatever_the_server_does_with_it() -> None:
    sent: list[Message] = []

    async def nothing_more() -> Message:
        raise AssertionError

    async def send(message: Message) -> None:
        sent.append(message)

    scope = {"type": "http", "method": "HEAD"}
    asyncio.run(Head(PlainTextResponse("a body"))(scope, nothing_more, send))

    assert [message.get("body") for message in sent] == [None, b""]
    assert scope["method"] == "HEAD"


def test_no_answer_repeats_the_host_that_a_client_made_up(client: TestClient, admin: Headers) -> None:
    response = client.get("/api/v1/projects/", headers=admin | {"host": "evil.example"}, follow_redirects=False)

    assert response.status_code == 404
    assert "evil.example" not in response.text + str(response.headers)


@pytest.mark.parametrize("path", ["projects", "projects/shop", "projects/shop/runs", "projects/shop/tokens"])
def test_a_parameter_that_is_misspelt_is_refused(client: TestClient, admin: Headers, path: str) -> None:
    ProjectFactory(slug="shop")

    response = client.get(f"/api/v1/{path}?verdcit=fail&limit=10&limti=1", headers=admin)

    assert response.status_code == 422
    assert response.json()["type"].endswith(":parameter-unknown")
    assert {"query.verdcit", "query.limti"} <= {error["where"] for error in response.json()["errors"]}


def test_a_report_may_be_sent_compressed(client: TestClient, admin: Headers) -> None:
    ProjectFactory(slug="shop")
    body = gzip.compress(json.dumps(report(reason="x" * 90_000)).encode())

    posted = client.post("/api/v1/projects/shop/runs", content=body, headers=admin | {"content-encoding": "gzip"})

    assert posted.status_code == 201
    kept = client.get(f"{posted.headers['location']}/report", headers=admin).json()
    assert kept["reason"] == "x" * 90_000


def test_a_request_and_the_lines_of_the_log_have_one_number(
    client: TestClient, admin: Headers, caplog: pytest.LogCaptureFixture
) -> None:
    number = uuid4().hex

    named = client.get("/healthz", headers={"x-request-id": number})
    unnamed = [client.get("/healthz").headers["x-request-id"] for _ in range(2)]

    assert named.headers["x-request-id"] == number
    assert len({number, *unnamed}) == 3


def test_a_number_that_is_no_number_is_not_repeated(client: TestClient, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.CRITICAL):
        response = client.get("/healthz", headers={"x-request-id": "x\tsecond line"})

    assert "second" not in response.headers["x-request-id"]


def test_the_openapi_document_is_one(app: FastAPI) -> None:
    document = app.openapi()

    validate(document)

    body = document["paths"]["/api/v1/projects/{slug}/runs"]["post"]["requestBody"]
    assert body["required"] is True
    assert body["content"]["application/json"]["schema"] == {"$ref": "#/components/schemas/PostedReport"}


def test_each_operation_has_a_short_name_of_its_own(app: FastAPI) -> None:
    names = [
        operation["operationId"] for operations in app.openapi()["paths"].values() for operation in operations.values()
    ]

    assert len(names) == len(set(names))
    assert "list_runs" in names


def test_a_run_is_read_without_its_report(client: TestClient, admin: Headers) -> None:
    run = RunFactory(project=ProjectFactory(slug="shop"), report={"marker": "of the report"})

    for path in ("", f"/{run.id}", f"/{run.id}/findings"):
        assert "of the report" not in client.get(f"/api/v1/projects/shop/runs{path}", headers=admin).text


def test_of_unknown_parameters_the_first_20_are_named() -> None:
    refused = ParameterUnknown([f"p{number:02}" for number in range(21)])

    assert [where for where, _ in refused.errors] == [f"query.p{number:02}" for number in range(20)]


class Shown(BaseModel):
    name: str = "shop"


@pytest.mark.parametrize(
    ("if_match", "fits"),
    [
        (None, True),
        ("*", True),
        ("", True),
        (etag_of(Shown()), True),
        (f'"other", {etag_of(Shown())}', True),
        (etag_of(Shown(name="other")), False),
        ('"other"', False),
    ],
)
def test_a_change_is_made_to_the_version_that_was_seen(if_match: str | None, fits: bool) -> None:
    with nullcontext() if fits else pytest.raises(VersionOutdated):
        require_version(Shown(), if_match)


def test_a_version_has_32_digits_in_quotes() -> None:
    assert re.fullmatch('"[0-9a-f]{32}"', etag_of(Shown()))


def request_with(method: str, headers: dict[str, str]) -> Request:
    encoded = [(name.encode(), value.encode()) for name, value in headers.items()]
    return Request({"type": "http", "method": method, "headers": encoded})


@pytest.mark.parametrize(
    ("headers", "there_is_one"),
    [
        ({}, False),
        ({"content-length": "0"}, False),
        ({"content-length": "1"}, True),
        ({"transfer-encoding": "chunked"}, True),
    ],
)
def test_whether_there_is_a_body(headers: dict[str, str], there_is_one: bool) -> None:
    assert has_body(request_with("POST", headers)) is there_is_one


JSON = {"content-length": "2", "content-type": "application/json"}


@pytest.mark.parametrize(
    ("method", "headers", "is_refused"),
    [
        ("POST", {"content-type": "text/plain"}, False),  # without a body
        ("POST", JSON, False),
        ("PUT", JSON | {"content-type": "application/problem+json"}, False),
        ("PATCH", JSON | {"content-type": "text/json"}, True),
        ("PATCH", JSON | {"content-type": "application/xml"}, True),
        ("POST", {"content-length": "2"}, True),
        ("GET", JSON | {"content-type": "text/plain"}, False),
        ("DELETE", JSON | {"content-type": "text/plain"}, False),
    ],
)
def test_a_body_is_json(method: str, headers: dict[str, str], is_refused: bool) -> None:
    with pytest.raises(MediaTypeUnsupported) if is_refused else nullcontext():
        asyncio.run(require_json(request_with(method, headers)))
