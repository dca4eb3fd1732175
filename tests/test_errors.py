"""Every failure is problem+json, whoever raised it, and says nothing that is nobody's business."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Iterator
from http import HTTPStatus

import pytest
import sqlalchemy as sa
from fastapi import FastAPI, HTTPException
from fastapi.testclient import TestClient
from sqlmodel import Session
from starlette.requests import ClientDisconnect, Request
from starlette.types import Scope

from app import errors
from app.factory import create_app
from app.settings import Settings
from app.workers import Workers
from tests.factories import ProjectFactory, bearer

Headers = dict[str, str]


def assert_problem(response: object, status: int, name: str) -> None:
    assert response.status_code == status  # type: ignore[attr-defined]
    assert response.headers["content-type"] == "application/problem+json"  # type: ignore[attr-defined]
    problem = response.json()  # type: ignore[attr-defined]
    assert problem["type"] == f"urn:overproof:problem:{name}"
    assert problem["status"] == status
    assert problem["title"]
    assert problem["detail"]


@pytest.fixture
def offline() -> TestClient:
    """Of a service whose database does not answer."""
    nowhere = sa.make_url("postgresql+psycopg2://ann:opensesame@127.0.0.1:1/shop")
    app = create_app(Settings(database_url=nowhere))
    app.state.workers = app.state.probe = workers_on(sa.create_engine(nowhere))
    return TestClient(app, raise_server_exceptions=False)


def test_a_path_that_is_not_there(offline: TestClient) -> None:
    answer = offline.get("/api/v1/nonsense")

    assert_problem(answer, 404, "not-found")
    assert answer.json() == {
        "type": "urn:overproof:problem:not-found",
        "title": "Not Found",
        "status": 404,
        "detail": "/api/v1/nonsense does not exist. All paths are documented at /docs.",
    }
    assert_problem(offline.get("/api/v1/nonsense/\ud7ff%00%ff"), 404, "not-found")


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("PUT", "/api/v1/projects", "GET, HEAD, POST"),
        ("POST", "/api/v1/projects/shop", "GET, HEAD, PATCH, DELETE"),
        ("POST", "/api/v1/projects/shop/environments/production", "GET, HEAD, PUT"),
        ("PATCH", "/api/v1/projects/shop/archive", "POST"),
        ("PUT", "/api/v1/projects/shop/tokens/00000000-0000-4000-8000-000000000000", "DELETE"),
        ("PUT", "/healthz", "GET, HEAD"),
    ],
)
def test_a_method_that_the_path_does_not_have(offline: TestClient, method: str, path: str, allowed: str) -> None:
    response = offline.request(method, path, json={})

    assert_problem(response, 405, "method-not-allowed")
    assert response.json()["detail"] == f"{path} does not support {method}."
    assert response.headers["allow"] == allowed


def test_what_else_the_framework_refuses_keeps_its_words_and_headers(offline: TestClient) -> None:
    def refuse() -> None:
        raise HTTPException(406, "Nothing of that kind.", {"X-Kind": "none"})

    offline.app.add_api_route("/kinds", refuse)  # type: ignore[attr-defined]

    answer = offline.get("/kinds")

    assert_problem(answer, 406, "not-acceptable")
    assert (answer.json()["title"], answer.json()["detail"]) == ("Not Acceptable", "Nothing of that kind.")
    assert answer.headers["x-kind"] == "none"


BODIES = {
    "nothing": b"",
    "no JSON": b"{",
    "not text": b"\xff\xfe",
    "null": b"null",
    "a list": b"[]",
    "a number": b"1e999",
    "another type": b'{"slug": 7, "name": ["x"]}',
    "an unknown field": b'{"slug": "shop", "name": "x", "colour": "red"}',
    "an unknown field that no UTF-8 can repeat": rb'{"slug": "shop", "name": "x", "\ud800": 1}',
    "half of a surrogate pair": rb'{"slug": "shop", "name": "\udfff"}',
    "a NUL": rb'{"slug": "shop", "name": "a\u0000b"}',
    "a NUL in a link": rb'{"slug": "shop", "name": "x", "repository": "https://a\u0000"}',
    "a line break": rb'{"slug": "shop", "name": "a\nb"}',
    "blanks": b'{"slug": "shop", "name": "   "}',
    "blanks that are not ASCII": rb'{"slug": "shop", "name": "\u2003\u00a0"}',
    "a control character of the second kind": rb'{"slug": "shop", "name": "a\u0085b"}',
    "a name that is a novel": b'{"slug": "shop", "name": "%s"}' % (b"x" * 201),
    "a slug that is a novel": b'{"slug": "%s", "name": "x"}' % (b"x" * 64),
    "a slug that is no path segment": b'{"slug": "Shop/../x", "name": "x"}',
    "a slug that ends in a line break": rb'{"slug": "shop\n", "name": "x"}',
    "a link that is a script": b'{"slug": "shop", "name": "x", "repository": "javascript:alert(1)"}',
    "brackets without end": b"[" * 60_000,
}


@pytest.mark.parametrize("body", BODIES.values(), ids=BODIES)
def test_a_body_that_does_not_fit(client: TestClient, admin: Headers, body: bytes) -> None:
    response = client.post("/api/v1/projects", content=body, headers=admin | {"content-type": "application/json"})

    assert_problem(response, 422, "invalid-request")


def test_a_number_too_long_to_be_read_is_no_fault_of_ours(client: TestClient, admin: Headers) -> None:
    body = b'{"slug": "shop", "name": ' + b"9" * 5000 + b"}"

    response = client.post("/api/v1/projects", content=body, headers=admin | {"content-type": "application/json"})

    assert_problem(response, 422, "invalid-request")
    assert response.json()["detail"] == "The body of the request could not be read as JSON."


def test_each_invalid_part_of_a_request_is_named(client: TestClient, admin: Headers) -> None:
    response = client.post("/api/v1/projects", json={"slug": "shop", "colour": "red"}, headers=admin)

    assert response.json() == {
        "type": "urn:overproof:problem:invalid-request",
        "title": HTTPStatus(422).phrase,
        "status": 422,
        "detail": "The request does not match the documentation at /docs.",
        "errors": [
            {"where": "body.name", "message": "Field required"},
            {"where": "body.colour", "message": "Extra inputs are not permitted"},
        ],
    }


@pytest.mark.parametrize("media_type", ["", "text/plain", "application/x-www-form-urlencoded", "json", "text/json"])
@pytest.mark.parametrize("path", ["/api/v1/projects", "/api/v1/projects/shop/runs"])
def test_a_body_that_is_not_said_to_be_json(client: TestClient, admin: Headers, path: str, media_type: str) -> None:
    ProjectFactory(slug="shop")

    response = client.post(path, content=b"{}", headers=admin | {"content-type": media_type})

    assert_problem(response, 415, "media-type-unsupported")
    assert response.headers["accept"] == "application/json"


@pytest.mark.parametrize("media_type", ["application/json; charset=utf-8", "Application/JSON", "application/x+json"])
def test_json_may_say_more_of_itself(client: TestClient, admin: Headers, media_type: str) -> None:
    new = {"slug": "shop", "name": "x"}

    response = client.post("/api/v1/projects", json=new, headers=admin | {"content-type": media_type})

    assert response.status_code == 201


@pytest.mark.parametrize(
    "list_path", ["/api/v1/projects", "/api/v1/projects/shop/tokens", "/api/v1/projects/shop/runs"]
)
@pytest.mark.parametrize(
    "query",
    [
        "limit=0",
        "limit=201",
        "limit=-1",
        "limit=many",
        "limit=99999999999999999999",
        "limit=" + "9" * 5000,
        "cursor=nonsense",
        "cursor=%00",
        "cursor=%ff",
        "cursor=é",
        "cursor=bnVsbA",  # null
        "cursor=WzFd",  # [1]
        "cursor=IlwwMDAwIg",
        "cursor=WyIyMDI2LTAxLTAxVDAwOjAwOjAwIiwgIngiXQ",  # a time without a zone, and no UUID
        "cursor=WyIwMDAxLTAxLTAxVDAwOjAwOjAwKzE0OjAwIiwgIjAwMDAwMDAwLTAwMDAtMDAwMC0wMDAwLTAwMDAwMDAwMDAwMCJd",  # year 0
        "cursor=" + "A" * 501,
    ],
)
def test_a_page_that_cannot_be(client: TestClient, admin: Headers, list_path: str, query: str) -> None:
    ProjectFactory(slug="shop")

    response = client.get(f"{list_path}?{query}", headers=admin)

    assert response.status_code == 422
    assert response.json()["type"].rpartition(":")[2] in ("invalid-request", "invalid-cursor")


@pytest.mark.parametrize(
    "query", ["verdict=maybe", "commit=%00", "commit=HEAD", "fingerprint=a%00", f"fingerprint={'f' * 129}"]
)
def test_a_filter_that_cannot_be(client: TestClient, admin: Headers, query: str) -> None:
    ProjectFactory(slug="shop")

    assert_problem(client.get(f"/api/v1/projects/shop/runs?{query}", headers=admin), 422, "invalid-request")


@pytest.mark.parametrize("slug", ["%00", "%FF", "Shop", "a" * 5000, "'; DROP TABLE project; --", "%F0%9F%90%98"])
def test_a_project_that_cannot_be_is_one_that_is_not_there(client: TestClient, admin: Headers, slug: str) -> None:
    assert_problem(client.get(f"/api/v1/projects/{slug}", headers=admin), 404, "project-not-found")


@pytest.mark.parametrize("place", ["/runs/", "/tokens/"])
def test_an_identifier_that_is_none(client: TestClient, admin: Headers, place: str) -> None:
    ProjectFactory(slug="shop")
    method = "DELETE" if "tokens" in place else "GET"

    for identifier in ("7", "%00", "not-a-uuid"):
        response = client.request(method, f"/api/v1/projects/shop{place}{identifier}", headers=admin)
        assert_problem(response, 422, "invalid-request")


def test_a_refusal_never_repeats_what_was_sent(client: TestClient, admin: Headers) -> None:
    response = client.post("/api/v1/projects", json={"slug": "my password 123", "name": "x"}, headers=admin)

    assert response.status_code == 422
    assert "my password 123" not in response.text


def test_a_fault_is_told_without_its_traceback_and_is_in_the_log(offline: TestClient) -> None:
    def fault() -> None:
        raise ZeroDivisionError("the secret of the house")

    offline.app.add_api_route("/fault", fault)  # type: ignore[attr-defined]

    response = offline.get("/fault")

    assert_problem(response, 500, "internal-error")
    assert "secret of the house" not in response.text
    number = response.headers["x-request-id"]
    assert response.json()["detail"].startswith(
        f"The service failed. Its log has the details under the request ID {number}. Nothing was changed."
    )
    with pytest.raises(ZeroDivisionError):  # what a server logs is what rises out of the application
        TestClient(offline.app).get("/fault")


def workers_on(engine: sa.Engine) -> Workers:
    return Workers(engine, threads=2, queue_length=2, patience_s=1.0)


def test_a_database_that_has_gone_is_told_as_that_and_its_place_is_not(
    offline: TestClient, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.ERROR):
        answers = [offline.get("/readyz"), offline.get("/api/v1/projects", headers={"Authorization": "Bearer ovp_x"})]

    assert_problem(answers[0], 503, "not-ready")
    assert answers[0].json()["detail"] == "The database cannot be reached. The log says why."
    assert_problem(answers[1], 503, "database-unavailable")
    assert answers[1].headers["retry-after"] == "5"
    assert "127.0.0.1" not in answers[0].text + answers[1].text
    assert "opensesame" not in caplog.text
    assert "Not ready: cannot connect to the database 'shop' on 127.0.0.1:1" in caplog.text
    assert "No answer from the database for GET /api/v1/projects: connection to server at" in caplog.text
    assert caplog.text.count("Connection refused") == 2
    assert offline.get("/healthz").json() == {"status": "ok"}


@pytest.mark.parametrize(
    ("method", "outcome"),
    [
        ("GET", "Nothing was changed. Try again shortly."),
        ("POST", "It is not known whether the change was made: check before you send it again."),
    ],
)
def test_what_became_of_a_request_is_said_where_it_is_known(
    offline: TestClient, caplog: pytest.LogCaptureFixture, method: str, outcome: str
) -> None:
    offline.app.add_api_route("/fault", lambda: 1 // 0, methods=["GET", "POST"])  # type: ignore[attr-defined]
    new = {"slug": "shop", "name": "The shop"} if method == "POST" else None

    with caplog.at_level(logging.CRITICAL):
        gone = offline.request(method, "/api/v1/projects", json=new, headers={"Authorization": "Bearer ovp_x"})
        fault = offline.request(method, "/fault")

    assert (gone.status_code, fault.status_code) == (503, 500)
    assert gone.json()["detail"] == f"The database does not answer at the moment. {outcome}"
    assert fault.json()["detail"].endswith(f". {outcome}")
    assert errors.outcome_of(Request({**SCOPE, "method": "HEAD"})) == "Nothing was changed. Try again shortly."


SCOPE: Scope = {"type": "http", "path": "/", "headers": [], "query_string": b"", "server": None}


def test_a_line_of_the_database_without_words_is_named_by_its_kind(caplog: pytest.LogCaptureFixture) -> None:
    request = Request({**SCOPE, "method": "GET"})

    answer = asyncio.run(errors.answer_no_database(request, sa.exc.OperationalError("SELECT 1", {}, BrokenPipeError())))

    assert answer.status_code == 503
    assert "No answer from the database for GET /: BrokenPipeError" in caplog.text


def test_a_client_that_has_gone_gets_no_words(caplog: pytest.LogCaptureFixture) -> None:
    request = Request({**SCOPE, "method": "POST"})

    with caplog.at_level(logging.INFO):
        answer = asyncio.run(errors.answer_disconnect(request, ClientDisconnect()))

    assert (answer.status_code, answer.body) == (400, b"")
    assert "The client of POST / closed the connection." in caplog.text


def large_body(pieces: int) -> Iterator[bytes]:
    for _ in range(pieces):
        yield b" " * 1024


def test_a_body_that_is_too_large(client: TestClient, admin: Headers) -> None:
    headers = admin | {"content-type": "application/json"}

    declared = client.post("/api/v1/projects", content=b" " * (64 * 1024 + 1), headers=headers)
    undeclared = client.post("/api/v1/projects", content=large_body(65), headers=headers)

    assert_problem(declared, 413, "body-too-large")
    assert_problem(undeclared, 413, "body-too-large")
    assert "65536 bytes" in undeclared.json()["detail"]


def test_a_report_may_be_larger_and_has_a_limit_too(engine: sa.Engine, session: Session, workers: Workers) -> None:
    app = create_app(Settings(database_url=engine.url, max_report_bytes=100_000))
    app.state.workers = workers
    client = TestClient(app)
    headers = bearer(ProjectFactory(slug="shop"), "report") | {"content-type": "application/json"}

    taken = client.post("/api/v1/projects/shop/runs", content=b" " * 100_000, headers=headers)
    refused = client.post("/api/v1/projects/shop/runs", content=large_body(98), headers=headers)

    assert taken.status_code == 422  # it was read to its end, and is no report
    assert_problem(refused, 413, "body-too-large")


@pytest.mark.parametrize("length", ["-1", "many", "9" * 4000, "+1"])
def test_a_length_that_lies_changes_nothing(client: TestClient, admin: Headers, length: str) -> None:
    response = client.post("/api/v1/projects", content=b"{}", headers=admin | {"content-length": length})

    assert response.status_code in (413, 422)


def test_every_route_documents_how_it_refuses(app: FastAPI) -> None:
    for path, operations in app.openapi()["paths"].items():
        if not path.startswith("/api/"):
            continue
        for method, operation in operations.items():
            responses = operation["responses"]
            assert {"401", "422"} <= responses.keys(), (method, path)
            for status, response in responses.items():
                if int(status) >= 400:
                    content = response["content"][errors.MEDIA_TYPE]
                    assert content["schema"] == {"$ref": "#/components/schemas/Problem"}, (method, path, status)
                    assert content["examples"], (method, path, status)


def test_the_openapi_page_refers_to_nothing_that_is_not_there(app: FastAPI, client: TestClient) -> None:
    schema = client.get("/openapi.json").json()

    def references(value: object) -> Iterator[str]:
        if isinstance(value, dict):
            if isinstance(value.get("$ref"), str):
                yield value["$ref"]
            for each in value.values():
                yield from references(each)
        elif isinstance(value, list):
            for each in value:
                yield from references(each)

    for reference in references(schema):
        assert reference.removeprefix("#/components/schemas/") in schema["components"]["schemas"]
    assert schema["components"]["securitySchemes"]["token"]["scheme"] == "bearer"
    assert client.get("/docs").status_code == 200
    assert json.dumps(schema).count("HTTPValidationError") == 0


def test_every_route_of_the_api_asks_for_a_token(app: FastAPI, client: TestClient) -> None:
    routes = [
        (method.upper(), path)
        for path, operations in app.openapi()["paths"].items()
        for method in operations
        if path.startswith("/api/")
        and path != "/api/v1/projects/{slug}/badge.svg"  # an image, if the project allows it
    ]
    assert len(routes) > 10

    for method, path in routes:
        response = client.request(method, path.replace("{slug}", "shop"), json={})
        assert response.status_code == 401, (method, path)
