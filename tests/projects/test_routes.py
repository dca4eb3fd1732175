"""Projects and tokens over HTTP."""

from __future__ import annotations

from datetime import timedelta
from uuid import uuid4

import pytest
from fastapi.testclient import TestClient
from sqlalchemy.exc import IntegrityError
from sqlmodel import Session, select

from app.database import utcnow
from app.projects.models import ApiToken, Project, Scope
from app.projects.tokens import digest_of
from tests.factories import ApiTokenFactory, ProjectFactory, RunFactory, bearer

Headers = dict[str, str]


def test_a_new_project_is_answered_with_its_place(client: TestClient, admin: Headers, session: Session) -> None:
    new = {"slug": "shop", "name": " The shop ", "repository": "https://github.com/acme/shop"}

    response = client.post("/api/v1/projects", json=new, headers=admin)

    assert response.status_code == 201
    assert response.headers["location"] == "/api/v1/projects/shop"
    assert response.json()["name"] == "The shop"
    assert session.exec(select(Project.slug)).all() == ["shop"]
    assert client.get(response.headers["location"], headers=admin).json() == response.json()


def test_a_second_project_with_the_same_slug_is_refused(client: TestClient, admin: Headers) -> None:
    ProjectFactory(slug="shop")

    response = client.post("/api/v1/projects", json={"slug": "shop", "name": "Another"}, headers=admin)

    assert response.status_code == 409
    assert response.json()["type"].endswith(":slug-taken")
    assert "'shop'" in response.json()["detail"]


def test_only_an_administrator_of_the_installation_creates_projects(client: TestClient, session: Session) -> None:
    administrator_of_one = bearer(ProjectFactory(), "admin")

    response = client.post("/api/v1/projects", json={"slug": "shop", "name": "x"}, headers=administrator_of_one)

    assert response.status_code == 403
    assert response.json()["type"].endswith(":instance-admin-needed")


def test_projects_are_listed_page_by_page_in_the_order_of_their_slugs(client: TestClient, admin: Headers) -> None:
    for slug in ("e", "b", "d", "a", "c"):
        ProjectFactory(slug=slug)

    pages: list[list[str]] = []
    cursor = None
    while cursor or not pages:
        page = client.get(
            "/api/v1/projects", params={"limit": 2, **({"cursor": cursor} if cursor else {})}, headers=admin
        )
        pages.append([project["slug"] for project in page.json()["items"]])
        cursor = page.json()["next_cursor"]

    assert pages == [["a", "b"], ["c", "d"], ["e"]]


def test_a_page_that_is_just_full_is_known_to_be_the_last(client: TestClient, admin: Headers) -> None:
    ProjectFactory.create_batch(2)

    assert client.get("/api/v1/projects?limit=2", headers=admin).json()["next_cursor"] is None


def test_archived_projects_can_be_left_out_or_listed_alone(client: TestClient, admin: Headers) -> None:
    ProjectFactory(slug="living")
    ProjectFactory(slug="gone", archived=True)

    def slugs(query: str) -> list[str]:
        return [each["slug"] for each in client.get(f"/api/v1/projects{query}", headers=admin).json()["items"]]

    assert slugs("") == ["gone", "living"]
    assert slugs("?archived=false") == ["living"]
    assert slugs("?archived=true") == ["gone"]


def test_the_token_of_a_project_sees_that_project_alone(client: TestClient, session: Session) -> None:
    own, other = ProjectFactory(slug="own"), ProjectFactory(slug="other")
    headers = bearer(own, "admin")

    listed = client.get("/api/v1/projects", headers=headers).json()["items"]

    assert [project["slug"] for project in listed] == ["own"]
    for method, path in [
        ("GET", "/other"),
        ("PATCH", "/other"),
        ("POST", "/other/archive"),
        ("DELETE", "/other"),
        ("POST", "/other/restore"),
        ("GET", "/other/tokens"),
        ("POST", "/other/tokens"),
        ("DELETE", f"/other/tokens/{ApiTokenFactory(project=other).id}"),
        ("GET", "/other/audit"),
        ("GET", "/other/revisions"),
        ("GET", f"/other/revisions/a1/{'0' * 64}"),
        ("GET", "/other/runs"),
        ("POST", "/other/runs"),
        ("GET", f"/other/runs/{uuid4()}"),
    ]:
        body = {"json": {"name": "x", "scope": "read"}} if method == "POST" and path.endswith("tokens") else {}
        body = {"json": {"name": "x"}} if method == "PATCH" else body
        response = client.request(method, f"/api/v1/projects{path}", headers=headers, **body)  # type: ignore[arg-type]
        there_is_none = client.request(
            method,
            f"/api/v1/projects{path.replace('other', 'no-such')}",
            headers=headers,
            **body,  # type: ignore[arg-type]
        )
        assert response.status_code == 404, (method, path)
        # Whether there is one cannot be told from the answer.
        assert response.json() == {
            **there_is_none.json(),
            "detail": there_is_none.json()["detail"].replace("no-such", "other"),
        }


def test_a_project_is_renamed_and_keeps_what_was_left_out(client: TestClient, admin: Headers) -> None:
    ProjectFactory(slug="shop", name="The shop", repository="https://example.org/shop")

    response = client.patch("/api/v1/projects/shop", json={"name": "The web shop"}, headers=admin)

    assert response.status_code == 200
    assert response.json()["name"] == "The web shop"
    assert response.json()["slug"] == "shop"
    assert response.json()["repository"] == "https://example.org/shop"


def test_a_change_that_names_an_outdated_version_is_refused(client: TestClient, admin: Headers) -> None:
    ProjectFactory(slug="shop", name="The shop")
    path = "/api/v1/projects/shop"
    seen = client.get(path, headers=admin).headers["etag"]

    first = client.patch(path, json={"name": "The first"}, headers=admin | {"If-Match": seen})
    second = client.patch(path, json={"name": "The second"}, headers=admin | {"If-Match": seen})

    assert (first.status_code, second.status_code) == (200, 412)
    assert second.json()["type"].endswith(":version-outdated")
    now = client.get(path, headers=admin)
    assert now.json()["name"] == "The first"
    assert now.headers["etag"] == first.headers["etag"] != seen


@pytest.mark.parametrize("if_match", ["*", '"another", {etag}'])
def test_a_change_may_name_any_of_several_versions(client: TestClient, admin: Headers, if_match: str) -> None:
    ProjectFactory(slug="shop")
    etag = client.get("/api/v1/projects/shop", headers=admin).headers["etag"]

    headers = admin | {"If-Match": if_match.format(etag=etag)}
    response = client.patch("/api/v1/projects/shop", json={"name": "x"}, headers=headers)

    assert response.status_code == 200


def test_a_repository_can_be_taken_away_and_a_name_cannot(client: TestClient, admin: Headers) -> None:
    ProjectFactory(slug="shop", repository="https://example.org/shop")

    without = client.patch("/api/v1/projects/shop", json={"repository": None}, headers=admin)
    nameless = client.patch("/api/v1/projects/shop", json={"name": None}, headers=admin)

    assert without.json()["repository"] is None
    assert nameless.status_code == 422
    assert nameless.json()["errors"][0]["where"] == "body.name"


def test_a_slug_that_another_project_has_cannot_be_taken_over(client: TestClient, admin: Headers) -> None:
    ProjectFactory(slug="shop")
    ProjectFactory(slug="store")

    response = client.patch("/api/v1/projects/store", json={"slug": "shop"}, headers=admin)

    assert response.status_code == 409
    assert client.get("/api/v1/projects/store", headers=admin).status_code == 200


def test_only_an_administrator_of_the_installation_changes_a_slug(client: TestClient, session: Session) -> None:
    """Whether another project has it is nothing that an administrator of one project may find out."""
    ProjectFactory(slug="taken")
    headers = bearer(ProjectFactory(slug="shop"), "admin")

    taken = client.patch("/api/v1/projects/shop", json={"slug": "taken"}, headers=headers)
    free = client.patch("/api/v1/projects/shop", json={"slug": "free"}, headers=headers)
    same = client.patch("/api/v1/projects/shop", json={"slug": "shop", "name": "x"}, headers=headers)

    assert taken.status_code == 403
    assert taken.json() == free.json()
    assert taken.json()["type"].endswith(":instance-admin-needed")
    assert same.status_code == 200


def test_a_slug_is_changed(client: TestClient, admin: Headers) -> None:
    ProjectFactory(slug="shop")

    response = client.patch("/api/v1/projects/shop", json={"slug": "store"}, headers=admin)

    assert response.json()["slug"] == "store"
    assert client.get("/api/v1/projects/shop", headers=admin).status_code == 404


def test_a_page_has_fifty_items_where_no_limit_is_given(client: TestClient, admin: Headers) -> None:
    project = ProjectFactory(slug="shop")
    ProjectFactory.create_batch(51)
    for _ in range(51):
        ApiTokenFactory(project=project)
        RunFactory(project=project)

    for path in ("", "/shop/tokens", "/shop/runs"):
        page = client.get(f"/api/v1/projects{path}", headers=admin).json()
        assert len(page["items"]) == 50, path
        assert page["next_cursor"], path


@pytest.mark.parametrize("there_are", [2, 4])
def test_the_last_page_of_tokens_is_known_to_be_the_last(client: TestClient, admin: Headers, there_are: int) -> None:
    project = ProjectFactory(slug="shop")
    ApiTokenFactory.create_batch(there_are, project=project)

    sizes = []
    cursor: str | None = ""
    while cursor is not None:
        query = {"limit": "2"} | ({"cursor": cursor} if cursor else {})
        page = client.get("/api/v1/projects/shop/tokens", params=query, headers=admin).json()
        sizes.append(len(page["items"]))
        cursor = page["next_cursor"]

    assert sizes == [2] * (there_are // 2)


def test_a_purged_project_is_gone_for_every_request_and_its_slug_is_free(
    client: TestClient, admin: Headers, session: Session
) -> None:
    own = bearer(ProjectFactory(slug="shop"), "admin")
    in_use = client.delete("/api/v1/projects/shop", headers=admin)
    client.post("/api/v1/projects/shop/archive", headers=admin)
    by_its_own = client.delete("/api/v1/projects/shop", headers=own)

    purged = client.delete("/api/v1/projects/shop", headers=admin)

    assert (in_use.status_code, in_use.json()["type"].rpartition(":")[2]) == (409, "project-not-archived")
    assert (by_its_own.status_code, by_its_own.json()["type"].rpartition(":")[2]) == (403, "instance-admin-needed")
    assert purged.status_code == 204
    hidden = session.exec(select(Project.slug)).one()
    for slug in ("shop", hidden):
        for headers in (own, admin):
            assert client.get(f"/api/v1/projects/{slug}", headers=headers).status_code == 404
    assert client.get("/api/v1/projects", headers=admin).json()["items"] == []
    assert client.get("/api/v1/projects", headers=own).json()["items"] == []
    assert client.post("/api/v1/projects", json={"slug": "shop", "name": "x"}, headers=admin).status_code == 201


def test_archiving_is_remembered_once_and_can_be_taken_back(client: TestClient, admin: Headers) -> None:
    ProjectFactory(slug="shop")

    first = client.post("/api/v1/projects/shop/archive", headers=admin).json()["archived_at"]
    second = client.post("/api/v1/projects/shop/archive", headers=admin).json()["archived_at"]
    restored = client.post("/api/v1/projects/shop/restore", headers=admin).json()["archived_at"]

    assert first is not None
    assert second == first
    assert restored is None


@pytest.mark.parametrize("scope", ["read", "report", "deploy"])
def test_only_an_administrator_changes_a_project_or_sees_its_tokens(
    client: TestClient, session: Session, scope: str
) -> None:
    headers = bearer(ProjectFactory(slug="shop"), scope)

    assert client.get("/api/v1/projects/shop", headers=headers).status_code == 200
    for response in (
        client.patch("/api/v1/projects/shop", json={"name": "x"}, headers=headers),
        client.post("/api/v1/projects/shop/archive", headers=headers),
        client.post("/api/v1/projects/shop/restore", headers=headers),
        client.get("/api/v1/projects/shop/tokens", headers=headers),
        client.post("/api/v1/projects/shop/tokens", json={"name": "x", "scope": "admin"}, headers=headers),
        client.delete(f"/api/v1/projects/shop/tokens/{uuid4()}", headers=headers),
    ):
        assert response.status_code == 403
        assert response.json()["type"].endswith(":scope-missing")
        assert f"yours has '{scope}'" in response.json()["detail"]


def test_a_secret_is_shown_once_and_only_its_digest_is_kept(
    client: TestClient, admin: Headers, session: Session
) -> None:
    ProjectFactory(slug="shop")

    issued = client.post("/api/v1/projects/shop/tokens", json={"name": "CI", "scope": "report"}, headers=admin)
    listed = client.get("/api/v1/projects/shop/tokens", headers=admin)

    secret = issued.json()["token"]
    assert issued.status_code == 201
    assert issued.headers["cache-control"] == "no-store"
    assert secret.startswith("ovp_")
    assert len(secret) == len("ovp_") + 43  # 256 bits in base64
    assert secret not in listed.text
    assert listed.json()["items"] == [{key: value for key, value in issued.json().items() if key != "token"}]
    stored = session.exec(select(ApiToken).where(ApiToken.name == "CI")).one()
    assert stored.digest == digest_of(secret)
    assert secret.endswith(stored.hint)


def test_an_issued_token_opens_its_project(client: TestClient, admin: Headers) -> None:
    ProjectFactory(slug="shop")
    secret = client.post("/api/v1/projects/shop/tokens", json={"name": "CI", "scope": "read"}, headers=admin).json()[
        "token"
    ]

    response = client.get("/api/v1/projects/shop", headers={"Authorization": f"Bearer {secret}"})

    assert response.status_code == 200


def test_a_revoked_token_opens_nothing_from_the_next_request_on(client: TestClient, admin: Headers) -> None:
    project = ProjectFactory(slug="shop")
    token = ApiTokenFactory(project=project, secret="ovp_known")
    headers = {"Authorization": "Bearer ovp_known"}
    assert client.get("/api/v1/projects/shop", headers=headers).status_code == 200

    first = client.delete(f"/api/v1/projects/shop/tokens/{token.id}", headers=admin)
    second = client.delete(f"/api/v1/projects/shop/tokens/{token.id}", headers=admin)

    assert (first.status_code, second.status_code) == (204, 204)
    refused = client.get("/api/v1/projects/shop", headers=headers)
    assert refused.status_code == 401
    assert refused.json()["type"].endswith(":token-unknown")


def test_an_expired_token_opens_nothing(client: TestClient, session: Session) -> None:
    now = utcnow()
    project = ProjectFactory(slug="shop")
    for secret, expires_at in (("ovp_past", now - timedelta(seconds=1)), ("ovp_ahead", now + timedelta(hours=1))):
        ApiTokenFactory(project=project, secret=secret, expires_at=expires_at)

    past = client.get("/api/v1/projects/shop", headers={"Authorization": "Bearer ovp_past"})
    ahead = client.get("/api/v1/projects/shop", headers={"Authorization": "Bearer ovp_ahead"})

    assert (past.status_code, ahead.status_code) == (401, 200)
    assert past.json()["type"].endswith(":token-unknown")


def test_a_token_has_the_restrictions_with_which_it_was_issued(client: TestClient, admin: Headers) -> None:
    ProjectFactory(slug="shop")
    deployer = {"name": "x", "scope": "deploy", "environment": "staging", "expires_at": "2099-01-01T01:00:00+01:00"}

    issued = client.post("/api/v1/projects/shop/tokens", json=deployer, headers=admin).json()

    assert (issued["environment"], issued["expires_at"]) == ("staging", "2099-01-01T00:00:00Z")
    assert issued["trusted"] is False


@pytest.mark.parametrize(
    "restriction",
    [
        {"scope": "read", "trusted": True},
        {"scope": "deploy", "trusted": True},
        {"scope": "report", "environment": "staging"},
        {"scope": "deploy", "environment": "Not a name"},
        {"scope": "deploy", "expires_at": "2099-01-01T00:00:00"},
    ],
)
def test_a_restriction_that_means_nothing_is_refused(
    client: TestClient, admin: Headers, restriction: dict[str, object]
) -> None:
    ProjectFactory(slug="shop")

    response = client.post("/api/v1/projects/shop/tokens", json={"name": "x", **restriction}, headers=admin)

    assert response.status_code == 422


def test_a_token_of_another_project_cannot_be_revoked_here(client: TestClient, admin: Headers) -> None:
    ProjectFactory(slug="shop")
    elsewhere = ApiTokenFactory(project=ProjectFactory())

    response = client.delete(f"/api/v1/projects/shop/tokens/{elsewhere.id}", headers=admin)

    assert response.status_code == 404
    assert elsewhere.revoked_at is None


def test_tokens_are_listed_page_by_page_with_the_oldest_first(client: TestClient, admin: Headers) -> None:
    project = ProjectFactory(slug="shop")
    now = utcnow()
    for age in (1, 3, 2):
        ApiTokenFactory(project=project, name=f"{age} days", created_at=now - timedelta(days=age))

    first = client.get("/api/v1/projects/shop/tokens?limit=2", headers=admin).json()
    rest = client.get(
        "/api/v1/projects/shop/tokens", params={"limit": 2, "cursor": first["next_cursor"]}, headers=admin
    ).json()

    assert [token["name"] for token in first["items"] + rest["items"]] == ["3 days", "2 days", "1 days"]
    assert rest["next_cursor"] is None


@pytest.mark.parametrize(
    ("headers", "name"),
    [
        ({}, "token-missing"),
        ({"Authorization": "Bearer"}, "token-missing"),
        ({"Authorization": "Basic b3ZwOng="}, "token-missing"),
        ({"Authorization": "Bearer ovp_nonsense"}, "token-unknown"),
        ({"Authorization": "Bearer " + "x" * 4000}, "token-unknown"),
        ({"Authorization": b"Bearer \xff\xfe"}, "token-unknown"),
        ({"Authorization": b"Bearer ovp_\x00"}, "token-unknown"),
    ],
)
def test_whoever_shows_no_token_of_ours_is_told_how(
    client: TestClient, session: Session, headers: Headers, name: str
) -> None:
    for method, path in [("GET", ""), ("POST", ""), ("GET", "/shop"), ("POST", "/shop/runs"), ("GET", "/shop/tokens")]:
        response = client.request(method, f"/api/v1/projects{path}", headers=headers, json={"slug": "a", "name": "b"})

        assert response.status_code == 401, (method, path)
        assert response.headers["www-authenticate"].startswith("Bearer")
        assert response.headers["content-type"] == "application/problem+json"
        assert response.json()["type"].endswith(f":{name}")


def test_the_use_of_a_token_is_noted_to_the_minute(client: TestClient, session: Session) -> None:
    long_ago = utcnow() - timedelta(days=1)
    just_now = utcnow() - timedelta(seconds=20)
    rare = ApiTokenFactory(secret="ovp_rare", last_used_at=long_ago)
    busy = ApiTokenFactory(secret="ovp_busy", last_used_at=just_now)

    for secret in ("ovp_rare", "ovp_busy"):
        client.get("/api/v1/projects", headers={"Authorization": f"Bearer {secret}"})

    session.expire_all()
    assert rare.last_used_at > just_now
    assert busy.last_used_at == just_now


def test_the_database_holds_that_only_an_administrators_token_spans_projects(session: Session) -> None:
    with pytest.raises(IntegrityError, match="only_an_admin_spans_projects"):
        ApiTokenFactory(project=None, scope=Scope.READ)
