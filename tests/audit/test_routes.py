"""The audit over HTTP: each change has its entry, and no entry is ever changed."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import pytest
import sqlalchemy as sa
from fastapi.testclient import TestClient
from sqlalchemy.exc import DBAPIError
from sqlmodel import Session

from app.audit.models import AuditEntry
from app.audit.service import INSTALLATION
from app.database import utcnow
from tests.factories import ProjectFactory, bearer

Headers = dict[str, str]
SHOP = "/api/v1/projects/shop"


def entries(client: TestClient, headers: Headers) -> list[tuple[str, str]]:
    page = client.get(f"{SHOP}/audit", headers=headers).json()
    return [(each["action"], each["subject"]) for each in page["items"]]


def test_each_change_has_one_entry_with_the_token_that_made_it(client: TestClient, admin: Headers) -> None:
    client.post("/api/v1/projects", json={"slug": "shop", "name": "Shop"}, headers=admin)
    client.patch(SHOP, json={"name": "The shop"}, headers=admin)
    client.patch(SHOP, json={"name": "The shop"}, headers=admin)
    token = {"name": "CI", "scope": "report", "trusted": True}
    issued = client.post(f"{SHOP}/tokens", json=token, headers=admin).json()
    for _ in range(2):
        client.post(f"{SHOP}/archive", headers=admin)
    client.post(f"{SHOP}/restore", headers=admin)
    for _ in range(2):
        client.delete(f"{SHOP}/tokens/{issued['id']}", headers=admin)

    page = client.get(f"{SHOP}/audit", headers=admin).json()["items"]

    assert [(each["action"], each["subject"]) for each in page] == [
        ("token.revoke", "CI"),
        ("project.restore", "shop"),
        ("project.archive", "shop"),
        ("token.issue", "CI"),
        ("project.change", "shop"),
        ("project.create", "shop"),
    ]
    assert {each["actor"] for each in page} == {"a token"}
    assert len({each["actor_id"] for each in page} - {None}) == 1
    assert [page[number]["details"] for number in (0, 1, 2, 5)] == [{"id": issued["id"]}, {}, {}, {}]
    assert page[3]["details"] == {"id": issued["id"], "scope": "report", "trusted": True}
    assert page[4]["details"] == {"before": {"name": "Shop"}, "after": {"name": "The shop"}}
    assert issued["token"] not in str(page)


def test_a_purge_is_in_the_audit_of_the_project_and_of_the_installation(
    client: TestClient, admin: Headers, session: Session
) -> None:
    shop = ProjectFactory(slug="shop", archived_at=utcnow())

    assert client.delete(SHOP, headers=admin).status_code == 204

    found = session.execute(sa.select(AuditEntry.project_id, AuditEntry.action, AuditEntry.subject, AuditEntry.details))  # type: ignore[call-overload]
    assert sorted(map(tuple, found), key=lambda entry: entry[0].int) == [
        (INSTALLATION, "project.purge", "shop", {"id": str(shop.id)}),
        (shop.id, "project.purge", "shop", {}),
    ]
    assert UUID(int=0) == INSTALLATION
    session.refresh(shop)
    assert shop.slug == f"purged-{shop.id}"
    assert shop.purged_at is not None


def test_a_change_that_is_refused_leaves_no_entry(client: TestClient, admin: Headers) -> None:
    ProjectFactory(slug="shop")
    ProjectFactory(slug="taken")

    client.patch(SHOP, json={"slug": "taken"}, headers=admin)

    assert entries(client, admin) == []


def test_entries_are_read_page_by_page_with_the_newest_first(client: TestClient, admin: Headers) -> None:
    ProjectFactory(slug="shop")
    for number in range(3):
        client.patch(SHOP, json={"name": f"{number}"}, headers=admin)

    first = client.get(f"{SHOP}/audit?limit=2", headers=admin)
    rest = client.get(first.links["next"]["url"], headers=admin).json()

    items = first.json()["items"] + rest["items"]
    assert [each["details"]["after"]["name"] for each in items] == ["2", "1", "0"]
    assert rest["next_cursor"] is None


def test_a_project_has_its_own_entries_alone(client: TestClient, admin: Headers) -> None:
    shop, store = ProjectFactory(slug="shop"), ProjectFactory(slug="store")
    client.patch("/api/v1/projects/store", json={"name": "x"}, headers=admin)

    assert entries(client, bearer(shop)) == []
    assert client.get("/api/v1/projects/store/audit", headers=bearer(store)).json()["items"] != []


@pytest.mark.parametrize(
    "statement", ["UPDATE audit_entry SET actor = 'nobody'", "DELETE FROM audit_entry", "TRUNCATE audit_entry"]
)
def test_the_database_refuses_to_change_an_entry(
    client: TestClient, admin: Headers, session: Session, statement: str
) -> None:
    ProjectFactory(slug="shop")
    client.patch(SHOP, json={"name": "x"}, headers=admin)

    with pytest.raises(DBAPIError, match="audit_entry is append-only"), session.begin_nested():
        session.execute(sa.text(statement))

    assert session.scalar(sa.select(sa.func.count()).select_from(AuditEntry)) == 1


def test_what_a_command_does_is_noted_as_such(session: Session) -> None:
    from app.projects.models import Scope
    from app.projects.schemas import TokenCreate
    from app.projects.tokens import issue_token

    issue_token(session, None, TokenCreate(name="first", scope=Scope.ADMIN))

    entry: Any = session.execute(sa.select(AuditEntry)).scalar_one()
    assert (entry.actor, entry.actor_id, entry.project_id.int) == ("command line", None, 0)
