"""Who sees which page, and what a form of another site cannot do."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
import sqlalchemy as sa
from fastapi import FastAPI
from sqlmodel import Session, select

from app.database import utcnow
from app.pages import sessions
from app.pages.sessions import COOKIE, Sessions
from app.projects.models import ApiToken, Project
from tests import factories
from tests.pages.conftest import SHOP, Visitor, signed_in

OF_READERS = [SHOP, f"{SHOP}/runs", f"{SHOP}/revisions", f"{SHOP}/waivers", f"{SHOP}/audit"]
OF_ADMINISTRATORS = [f"{SHOP}/tokens"]
OF_ANYONE = ["/", "/sign-in", "/checks", "/checks/table-rewrite", "/docs"]


@pytest.mark.parametrize("path", [*OF_READERS, *OF_ADMINISTRATORS])
def test_who_is_not_signed_in_is_led_there_and_back(anyone: Visitor, shop: Any, path: str) -> None:
    response = anyone.client.get(f"{path}?cursor=x")

    assert response.status_code == 303
    assert response.headers["location"] == f"/sign-in?next={path.replace('/', '%2F')}%3Fcursor%3Dx"


@pytest.mark.parametrize("path", OF_ANYONE)
def test_what_anyone_may_see(anyone: Visitor, path: str) -> None:
    assert anyone.status(path) == 200


@pytest.mark.parametrize("path", OF_READERS)
def test_what_a_reader_may_see(reader: Visitor, path: str) -> None:
    assert reader.status(path) == 200


@pytest.mark.parametrize("path", OF_ADMINISTRATORS)
def test_what_only_an_administrator_may_see(reader: Visitor, owner: Visitor, path: str) -> None:
    assert reader.status(path) == 403
    assert owner.status(path) == 200


@pytest.mark.parametrize("path", [*OF_READERS, *OF_ADMINISTRATORS])
def test_another_project_is_one_that_does_not_exist(app: FastAPI, shop: Any, path: str) -> None:
    stranger = signed_in(app, factories.ProjectFactory(slug="store"), "admin")

    assert stranger.status(path) == stranger.status(path.replace("shop", "nowhere")) == 404


@pytest.mark.parametrize("path", [*OF_READERS, *OF_ADMINISTRATORS])
def test_the_page_of_another_project_costs_what_one_that_does_not_exist_costs(
    app: FastAPI, shop: Any, engine: sa.Engine, path: str
) -> None:
    stranger = signed_in(app, factories.ProjectFactory(slug="store"), "admin")
    stranger.get("/")  # the use of its token is noted, once in a minute
    statements: list[str] = []
    sa.event.listen(engine, "before_cursor_execute", lambda *arguments: statements.append(arguments[2]))

    there = stranger.client.get(path)
    for_there = [statement for statement in statements if "savepoint" not in statement.lower()]
    statements.clear()
    nowhere = stranger.client.get(path.replace("shop", "none"))

    assert there.text == nowhere.text.replace("none", "shop")
    assert {**there.headers, "x-request-id": ""} == {**nowhere.headers, "x-request-id": ""}
    assert for_there == [statement for statement in statements if "savepoint" not in statement.lower()]


@pytest.mark.parametrize("path", OF_READERS)
def test_a_public_project_can_be_read_and_nothing_else(anyone: Visitor, session: Session, path: str) -> None:
    factories.ProjectFactory(slug="shop", public=True)

    page = anyone.get(path)

    assert "post" not in page.values("method")
    assert anyone.status(f"{SHOP}/tokens") == 303
    assert anyone.client.post(f"{SHOP}/archive", data={}).status_code == 303
    assert session.exec(select(Project.archived_at)).one() is None


def test_the_list_has_what_the_reader_has_access_to(anyone: Visitor, reader: Visitor, app: FastAPI) -> None:
    factories.ProjectFactory(slug="store", public=True)
    administrator = signed_in(app, None, "admin")

    assert "/projects/store" in anyone.get("/").links()
    assert "/projects/shop" not in anyone.get("/").links()
    assert "/projects/shop" in reader.get("/").links()
    assert {"/projects/shop", "/projects/store"} <= administrator.get("/").links()


# The session


def test_a_wrong_token_signs_nobody_in(anyone: Visitor) -> None:
    response = anyone.sign_in("ovp_wrong")

    assert response.status_code == 401
    assert "set-cookie" not in response.headers
    assert "was revoked, or has expired" in response.text


def test_the_cookie_is_out_of_reach_and_does_not_hold_the_token(anyone: Visitor, shop: Any) -> None:
    secret = factories.bearer(shop, "read")["Authorization"].removeprefix("Bearer ")

    cookie = anyone.sign_in(secret).headers["set-cookie"]

    assert "HttpOnly" in cookie
    assert "SameSite=lax" in cookie
    assert "Max-Age=43200" in cookie
    assert "Secure" not in cookie
    assert secret not in cookie


def test_over_https_the_cookie_is_sent_over_https_only(anyone: Visitor, shop: Any) -> None:
    anyone.client.base_url = "https://testserver"
    secret = factories.bearer(shop, "read")["Authorization"].removeprefix("Bearer ")

    assert "Secure" in anyone.sign_in(secret).headers["set-cookie"]


@pytest.mark.parametrize(
    "fields",
    [{"revoked_at": utcnow() - timedelta(days=1)}, {"expires_at": utcnow() - timedelta(days=1)}],
    ids=lambda fields: next(iter(fields)),
)
def test_a_session_ends_with_its_token(reader: Visitor, session: Session, fields: dict[str, Any]) -> None:
    token = session.exec(select(ApiToken)).one()
    for name, value in fields.items():
        setattr(token, name, value)
    session.add(token)
    session.flush()

    assert reader.status(SHOP) == 303


def test_a_session_ends_after_half_a_day(reader: Visitor, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sessions, "LASTS_S", -1)

    assert reader.status(SHOP) == 303


@pytest.mark.parametrize("cookie", ["", "x", "a.b.c", "é", "W10.aaaa.bbbb"])
def test_a_forged_cookie_is_none(anyone: Visitor, shop: Any, cookie: str) -> None:
    response = anyone.client.get(SHOP, headers=[(b"Cookie", f"{COOKIE}={cookie}".encode())])

    assert response.status_code == 303


def test_a_cookie_that_another_secret_signed_is_none(anyone: Visitor, shop: Any, session: Session) -> None:
    factories.bearer(shop, "admin")
    token = session.exec(select(ApiToken)).one()
    anyone.client.cookies.set(COOKIE, Sessions("x" * 40).cookie_for(token.id))

    assert anyone.status(SHOP) == 303


def test_signing_out(reader: Visitor) -> None:
    response = reader.send("/", "/sign-out")

    assert (response.status_code, response.headers["location"]) == (303, "/")
    assert all(
        part in response.headers["set-cookie"] for part in (f'{COOKIE}=""', "Max-Age=0", "HttpOnly", "SameSite=lax")
    )
    assert reader.status(SHOP) == 303


@pytest.mark.parametrize(
    ("target", "leads_to"),
    [
        (SHOP, SHOP),
        ("https://evil.example/", "/"),
        ("//evil.example/", "/"),
        ("/\\evil.example/", "/"),
        ("/a\r\nSet-Cookie: x=y", "/"),
        ("", "/"),
    ],
)
def test_signing_in_leads_to_no_other_site(anyone: Visitor, shop: Any, target: str, leads_to: str) -> None:
    secret = factories.bearer(shop, "read")["Authorization"].removeprefix("Bearer ")

    assert anyone.sign_in(secret, next=target).headers["location"] == leads_to


# Forms


@pytest.mark.parametrize("action", [f"{SHOP}/archive", f"{SHOP}/waivers", "/sign-out"])
@pytest.mark.parametrize("fields", [{}, {"form_token": "x"}, {"form_token": "é"}], ids=["none", "wrong", "no ASCII"])
def test_a_form_without_the_token_of_the_session_changes_nothing(
    owner: Visitor, session: Session, action: str, fields: dict[str, str]
) -> None:
    assert owner.client.post(action, data=fields).status_code == 403
    assert session.exec(select(Project.archived_at)).one() is None
    assert owner.status(SHOP) == 200


def test_a_form_of_another_site_changes_nothing(owner: Visitor, session: Session) -> None:
    owner.client.headers["Origin"] = "https://evil.example"

    assert owner.send(SHOP, f"{SHOP}/archive").status_code == 403
    assert session.exec(select(Project.archived_at)).one() is None


def test_the_token_of_another_session_does_not_fit(owner: Visitor, app: FastAPI, shop: Any) -> None:
    other = signed_in(app, shop, "admin")
    page = other.get(SHOP)
    foreign = next(str(each["value"]) for tag, each in page.elements if each.get("name") == "form_token")

    assert owner.send(SHOP, f"{SHOP}/archive", form_token=foreign).status_code == 403


def test_every_page_forbids_what_it_does_not_need(reader: Visitor, anyone: Visitor) -> None:
    for path in (*OF_READERS, "/", "/checks", "/sign-in"):
        headers = reader.client.get(path).headers
        assert "script-src 'self'" in headers["content-security-policy"]
        assert "unsafe" not in headers["content-security-policy"]
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["cache-control"] == "private, no-cache"
