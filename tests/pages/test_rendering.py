"""What pages are made of: without a database."""

from __future__ import annotations

import asyncio
import gzip
import json
import re
from datetime import UTC, date, datetime, timedelta
from http import HTTPStatus
from typing import Any
from uuid import UUID

import pytest
from fastapi import Request
from starlette.exceptions import HTTPException

from app.database import utcnow
from app.pages import answer_http_exception_as_page, answer_refusal_as_page
from app.pages.access import Reader, read_form
from app.pages.actions import _end_of, own_path, waiver_of
from app.pages.errors import FormInvalid, FormRefused
from app.pages.rendering import (
    HEADERS,
    POLICY,
    POLICY_OF_DOCS,
    check_url,
    findings_in_words,
    path,
    redirect,
    refused,
    static_files,
    static_url,
    wants_page,
)
from app.pages.sessions import COOKIE, LASTS_S, Sessions, SignedIn
from app.pages.stored_report import read_graph, read_part
from app.projects.errors import TokenUnknown
from app.projects.models import ApiToken, Project, Scope
from app.runs.schemas import Counts
from app.workers import Overloaded
from tests.factories import finding, report, revision

ID, OTHER = UUID(int=1), UUID(int=2)


def test_the_headers_of_every_page() -> None:
    assert HEADERS == {
        "Content-Security-Policy": "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; "
        "connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
        "Cache-Control": "private, no-cache",
        "Referrer-Policy": "same-origin",
        "X-Content-Type-Options": "nosniff",
        "Cross-Origin-Opener-Policy": "same-origin",
    }
    added = [each for each in POLICY_OF_DOCS.split("; ") if each not in POLICY.split("; ")]
    assert added == ["style-src 'self' 'unsafe-inline'", "img-src 'self' data:"]


@pytest.mark.parametrize(
    ("name", "media_type"),
    [
        ("style.css", "text/css"),
        ("times.js", "text/javascript"),
        ("docs.js", "text/javascript"),
        ("icon.svg", "image/svg+xml"),
        ("swagger-ui.js", "text/javascript"),
        ("swagger-ui.css", "text/css"),
    ],
)
def test_what_pages_load_is_named_by_its_content(name: str, media_type: str) -> None:
    file = static_files()[name]

    assert (file.media_type, bool(file.content)) == (media_type, True)
    assert re.fullmatch(rf"/static/{re.escape(name)}\?v=[0-9a-f]{{12}}", static_url(name))
    assert len(static_files()) == 6


@pytest.mark.parametrize(
    ("parts", "parameters", "expected"),
    [
        ((), {}, "/"),
        (("projects", "shop"), {}, "/projects/shop"),
        (("a/b", "c d?"), {}, "/a%2Fb/c%20d%3F"),
        (("runs",), {"verdict": "fail", "commit": "", "cursor": None, "first": 0}, "/runs?verdict=fail&first=0"),
        (("runs",), {"search": "a b&c"}, "/runs?search=a+b%26c"),
        (("runs",), {"search": ""}, "/runs"),
    ],
)
def test_a_path_is_quoted_and_has_the_parameters_that_are_given(
    parts: tuple[str, ...], parameters: dict[str, Any], expected: str
) -> None:
    assert path(*parts, **parameters) == expected


def test_the_documentation_of_a_check_is_where_this_service_has_it() -> None:
    assert check_url("table-rewrite") == "/checks/table-rewrite"
    assert check_url("nonsense") is None


@pytest.mark.parametrize(
    ("counts", "words"),
    [(Counts(), "no findings"), (Counts(error=2, notice=1), "2 errors and 1 notice"), (Counts(warning=1), "1 warning")],
)
def test_the_number_of_findings_in_words(counts: Counts, words: str) -> None:
    class Run:
        finding_counts = counts

    assert findings_in_words(Run()) == words  # type: ignore[arg-type]


def test_after_a_form_the_browser_asks_again() -> None:
    answer = redirect("/projects/shop")

    assert (answer.status_code, answer.headers["location"]) == (303, "/projects/shop")
    assert answer.headers["cache-control"] == "no-store"


def request_of(address: str = "/projects/none", accept: str = "text/html", **scope: Any) -> Request:
    headers = [(b"accept", accept.encode()), (b"host", b"record.example")] if accept else []
    values = {"type": "http", "method": "GET", "path": address, "headers": headers, "query_string": b""}
    return Request({**values, "server": ("record.example", 80), "scheme": "http", **scope})


@pytest.mark.parametrize(
    ("address", "accept", "wants"),
    [
        ("/", "text/html,*/*", True),
        ("/", "application/json", False),
        ("/", "", False),
        ("/api/v1/projects", "text/html", False),
        ("/api", "text/html", True),
    ],
)
def test_a_browser_is_known_by_what_it_asks_for(address: str, accept: str, wants: bool) -> None:
    assert wants_page(request_of(address, accept)) is wants


def test_a_refusal_as_a_page_has_its_headers_but_asks_for_no_password() -> None:
    headers = {"Retry-After": "5", "WWW-Authenticate": "Bearer"}
    answer = asyncio.run(refused(request_of(), HTTPStatus.CONFLICT, "It is taken.", headers))

    assert (answer.status_code, answer.headers["retry-after"]) == (409, "5")
    assert "www-authenticate" not in answer.headers
    assert answer.headers["content-security-policy"] == POLICY
    text = bytes(answer.body).decode()
    assert "Conflict" in text
    assert "It is taken." in text
    assert "Sign in" in text


def test_who_is_refused_gets_a_page_or_a_problem() -> None:
    page = asyncio.run(answer_refusal_as_page(request_of(), Overloaded()))
    problem = asyncio.run(answer_refusal_as_page(request_of(accept="*/*"), TokenUnknown()))

    assert (page.status_code, page.headers["retry-after"], page.media_type) == (503, "1", "text/html")
    assert "Too many requests are waiting." in bytes(page.body).decode()
    assert (problem.status_code, problem.media_type) == (401, "application/problem+json")


@pytest.mark.parametrize(
    ("status", "accept", "media_type"),
    [
        (404, "text/html", "text/html"),
        (404, "*/*", "application/problem+json"),
        (403, "text/html", "application/problem+json"),
    ],
)
def test_only_where_there_is_none_a_browser_gets_a_page(status: int, accept: str, media_type: str) -> None:
    answer = asyncio.run(answer_http_exception_as_page(request_of(accept=accept), HTTPException(status)))

    assert (answer.status_code, answer.media_type) == (status, media_type)
    if media_type == "text/html":
        assert "/projects/none does not exist." in bytes(answer.body).decode()


@pytest.mark.parametrize(
    ("target", "leads_to"),
    [
        ("/projects/shop?first=50", "/projects/shop?first=50"),
        ("projects", "/"),
        ("//evil.example", "/"),
        ("/\\evil.example", "/"),
        ("/a\tb", "/"),
        ("", "/"),
    ],
)
def test_a_link_leads_to_this_site(target: str, leads_to: str) -> None:
    assert own_path(target) == leads_to


# Readers


def token(scope: Scope, project_id: UUID | None) -> ApiToken:
    return ApiToken(name="x", scope=scope, digest=b"", hint="", project_id=project_id)


@pytest.mark.parametrize(
    ("reader", "may"),
    [
        (Reader(None), (False, False, False)),
        (Reader(token(Scope.READ, ID)), (False, False, False)),
        (Reader(token(Scope.ADMIN, ID)), (True, False, False)),
        (Reader(token(Scope.ADMIN, None)), (True, True, True)),
    ],
)
def test_a_button_is_shown_to_whoever_may_use_it(reader: Reader, may: tuple[bool, bool, bool]) -> None:
    own, other = (Project(id=each, slug="shop", name="x") for each in (ID, OTHER))

    assert (reader.may(Scope.ADMIN, own), reader.may(Scope.ADMIN, other), reader.may(Scope.ADMIN)) == may


# Sessions and forms


def test_a_cookie_is_read_by_whoever_has_its_secret() -> None:
    sessions = Sessions("x" * 40)
    cookie, again = sessions.cookie_for(ID), sessions.cookie_for(ID)

    read = sessions.read(cookie)

    assert read is not None
    assert (read.token_id, len(read.nonce)) == (ID, 16)
    assert cookie != again
    assert (COOKIE, LASTS_S) == ("overproof_session", 43_200)
    assert Sessions("y" * 40).read(cookie) is None
    assert sessions.read(None) is sessions.read("") is sessions.read(cookie + "x") is None


def test_the_token_of_a_form_is_of_its_session() -> None:
    sessions = Sessions("x" * 40)
    one, two = SignedIn(ID, "one"), SignedIn(ID, "two")

    assert sessions.is_form_token(one, sessions.form_token(one))
    assert not sessions.is_form_token(two, sessions.form_token(one))
    assert not sessions.is_form_token(one, "é")
    assert sessions.form_token(one) != Sessions("y" * 40).form_token(one)
    assert re.fullmatch("[0-9a-f]{64}", sessions.form_token(one))


def form(body: bytes, **headers: str) -> Any:
    async def receive() -> Any:
        return {"type": "http.request", "body": body}

    encoded = [(name.encode(), value.encode()) for name, value in {"host": "record.example", **headers}.items()]
    return asyncio.run(read_form(Request({"type": "http", "method": "POST", "headers": encoded}, receive)))


def test_the_fields_of_a_form() -> None:
    assert form(b"a=1&b=&c=%C3%BC&d=%ff") == {"a": "1", "b": "", "c": "ü", "d": "\ufffd"}
    assert form(b"a=1", origin="https://record.example") == {"a": "1"}
    assert len(form("&".join(f"f{number}=1" for number in range(20)).encode())) == 20


@pytest.mark.parametrize(
    ("body", "headers"),
    [
        (b"a=1", {"origin": "https://evil.example"}),
        (b"a=1", {"origin": "null"}),
        ("&".join(f"f{number}=1" for number in range(21)).encode(), {}),
    ],
    ids=["of another site", "of nowhere", "too many fields"],
)
def test_a_form_that_this_site_has_not_made(body: bytes, headers: dict[str, str]) -> None:
    with pytest.raises(FormRefused):
        form(body, **headers)


def test_a_waiver_ends_with_its_day() -> None:
    tomorrow = (utcnow() + timedelta(days=1)).date()

    assert _end_of(tomorrow.isoformat()) == datetime.combine(tomorrow, datetime.max.time(), UTC)
    assert _end_of(utcnow().date().isoformat()).date() == utcnow().date()


NO_DAY = "Choose the day on which it ends, such as 2027-02-28."
FAR_OFF = "Choose a day of the next three years on which it ends."


def day(days: int) -> str:
    found: date = (utcnow() + timedelta(days=days)).date()
    return found.isoformat()


@pytest.mark.parametrize(
    ("ends_on", "said"),
    [("", NO_DAY), ("tomorrow", NO_DAY), (day(-2), FAR_OFF), (day(1098), FAR_OFF), ("9999-12-31", FAR_OFF)],
)
def test_a_day_that_cannot_be(ends_on: str, said: str) -> None:
    with pytest.raises(FormInvalid) as refused_:
        _end_of(ends_on)

    assert str(refused_.value) == said


def test_a_waiver_may_last_three_years() -> None:
    assert _end_of(day(1096)).date().isoformat() == day(1096)


FIELDS = {"fingerprint": "f00d", "reason": "x", "ends_on": day(30), "environment": ""}


def test_a_waiver_is_what_its_form_says() -> None:
    every, one = waiver_of(FIELDS), waiver_of({**FIELDS, "environment": "production"})

    assert (every.fingerprint, every.reason, every.environment) == ("f00d", "x", None)
    assert one.environment == "production"


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"reason": " "}, "reason"),
        ({"fingerprint": "a b"}, "fingerprint"),
        ({"environment": "A/B"}, "environment"),
    ],
)
def test_a_field_that_is_not_filled_in_is_named(fields: dict[str, str], field: str) -> None:
    with pytest.raises(FormInvalid) as invalid:
        waiver_of(FIELDS | fields)

    assert str(invalid.value) == f"The field {field} is empty, too long, or has invalid characters."
    for name in ("fingerprint", "reason"):
        with pytest.raises(FormInvalid, match=f"The field {name} is empty"):
            waiver_of({key: value for key, value in FIELDS.items() if key != name})
    with pytest.raises(FormInvalid, match="Choose the day"):
        waiver_of({"fingerprint": "f00d", "reason": "x"})


# Stored reports


def stored(**parts: Any) -> bytes:
    return gzip.compress(json.dumps(report(**parts)).encode())


def step(name: str, direction: str, sql: str) -> dict[str, Any]:
    statement = {"sql": sql, "duration_ms": 1.0}
    return {"revision": name, "direction": direction, "duration_ms": 1.0, "statements": [statement]}


def test_of_a_report_only_what_its_page_shows_is_read() -> None:
    graph = {"heads": ["b2"], "revisions": [revision("a1"), revision("b2", "a1")]}
    found = [finding(revision=name, message=name) for name in ("a1", "b2", "b2")]
    steps = [step("a1", "upgrade", "1"), step("b2", "downgrade", "2"), step("b2", "upgrade", "3")]
    content = stored(verdict="fail", graph=graph, findings=found, steps=[*steps, step("b2", "upgrade", "4")])

    part = read_part(content, [1, 2, 3])

    assert part is not None
    assert [each.message for each in part.findings] == ["b2", "b2"]
    assert [each.statements[0].sql for each in part.steps if each.revision == "b2"] == ["3"]
    graph_read = read_graph(content)
    assert graph_read is not None
    assert [(each.revision, list(each.down_revisions)) for each in graph_read.revisions] == [("a1", []), ("b2", ["a1"])]
    assert graph_read.heads == ["b2"]


def test_a_report_without_a_list_has_an_empty_one() -> None:
    content = report()
    for name in ("findings", "steps", "graph"):
        content.pop(name, None)
    packed = gzip.compress(json.dumps(content).encode())

    part, graph_read = read_part(packed, [0]), read_graph(packed)

    assert part is not None
    assert (part.findings, part.steps) == ([], [])
    assert graph_read is not None
    assert graph_read.revisions == []


@pytest.mark.parametrize("content", [b"[]", b"{", b'{"graph": 7}', b'{"graph": {"revisions": [{"revision": 7}]}}'])
def test_a_report_that_only_looks_like_one_has_no_parts(content: bytes) -> None:
    assert read_part(gzip.compress(content), []) is None
    assert read_graph(gzip.compress(content)) is None
