"""Lists of what happened in an environment, page by page, and what the audit has of it."""

from __future__ import annotations

from typing import Any

import pytest
from fastapi.testclient import TestClient

from tests.environments.conftest import PRODUCTION, SHOP, Send
from tests.factories import ProjectFactory, bearer, finding, proof, revision, sha256, snapshot

Headers = dict[str, str]
COMMIT = "a" * 40


@pytest.fixture
def three_of_each(send: Send, branch: Headers, deployer: Headers, owner: Headers, production: str) -> None:
    """Deployments, snapshots, decisions and waivers of one moment: the session's transaction has one time."""
    send("POST", f"{SHOP}/runs", branch, proof(revision("a1")), params={"head_sha": COMMIT})
    for number in range(3):
        send("PUT", f"{production}/deployments/{number}", deployer, {"commit": COMMIT})
        send("POST", f"{production}/snapshots", deployer, snapshot("a1"))
        send("POST", f"{production}/decisions", deployer, {"commit": COMMIT})
        waiver = {"fingerprint": f"{number}", "reason": "It is known.", "ends_at": "2099-01-01T00:00:00Z"}
        send("POST", f"{SHOP}/waivers", owner, waiver)


@pytest.mark.usefixtures("three_of_each")
@pytest.mark.parametrize("limit", [1, 2, 3])
@pytest.mark.parametrize(
    "path", [f"{PRODUCTION}/{name}" for name in ("deployments", "snapshots", "decisions")] + [f"{SHOP}/waivers"]
)
def test_a_list_is_the_same_page_by_page(client: TestClient, owner: Headers, path: str, limit: int) -> None:
    whole = client.get(path, headers=owner).json()
    pages = [client.get(f"{path}?limit={limit}", headers=owner)]
    while "next" in pages[-1].links:
        pages.append(client.get(pages[-1].links["next"]["url"], headers=owner))

    assert len(whole["items"]) == 3
    assert whole["next_cursor"] is None
    assert [len(each.json()["items"]) for each in pages] == {1: [1, 1, 1], 2: [2, 1], 3: [3]}[limit]
    assert [item for each in pages for item in each.json()["items"]] == whole["items"]


LISTS = ("runs", "changes", "revisions", "environments", "waivers", "audit", "tokens")


@pytest.mark.usefixtures("three_of_each")
def test_the_last_page_of_each_list_is_known_to_be_the_last(
    client: TestClient, send: Send, branch: Headers, owner: Headers, admin: Headers
) -> None:
    ProjectFactory(slug="other")
    send("PUT", f"{SHOP}/environments/staging", owner, {})
    for number in ("7", "8"):
        content = proof(revision(f"r{number}", "a1"), findings=[finding(severity="notice")] * 2)
        run = send("POST", f"{SHOP}/runs", branch, content, params={"change": number})
    paths = [f"{SHOP}/{name}" for name in LISTS] + [f"{PRODUCTION}/{name}" for name in ("snapshots", "decisions")]

    for path in [*paths, f"{SHOP}/runs/{run['id']}/findings", "/api/v1/projects"]:
        whole = send("GET", path, admin)["items"]
        one_less, page = (send("GET", f"{path}?limit={len(whole) - less}", admin) for less in (1, 0))
        rest = send("GET", f"{path}?cursor={one_less['next_cursor']}", admin)

        assert len(whole) > 1, path
        assert (page["items"], page["next_cursor"]) == (whole, None), path
        assert one_less["items"] + rest["items"] == whole, path
        assert rest["next_cursor"] is None, path


def test_the_audit_has_what_was_done_to_an_environment(
    send: Send, branch: Headers, deployer: Headers, owner: Headers
) -> None:
    send("POST", f"{SHOP}/runs", branch, proof(revision("a1")), params={"head_sha": COMMIT})
    send("PUT", PRODUCTION, owner, {})
    policy = send("GET", PRODUCTION, owner)["policy"]
    for trust in ("any", "any"):
        send("PUT", PRODUCTION, owner, {**policy, "trust": trust})
    for status in ("rolling", "live", "live", "ended"):
        send("PUT", f"{PRODUCTION}/deployments/1", deployer, {"commit": COMMIT, "status": status})

    found = send("GET", f"{SHOP}/audit", owner)["items"]

    assert [(each["action"], each["subject"], each["details"]) for each in found] == [
        ("deployment.ended", "production: 1", {"heads": ["a1"]}),
        ("deployment.live", "production: 1", {"heads": ["a1"]}),
        ("deployment.rolling", "production: 1", {"heads": ["a1"]}),
        ("environment.policy", "production", {"before": policy, "after": {**policy, "trust": "any"}}),
        ("environment.create", "production", {"policy": policy}),
    ]


@pytest.mark.usefixtures("production")
def test_the_same_history_in_another_project_is_deployed_there_alone(
    send: Send, branch: Headers, deployer: Headers
) -> None:
    store = ProjectFactory(slug="store")
    there: dict[str, Any] = {"/api/v1/projects/store": bearer(store, "admin"), SHOP: deployer}
    for path, headers in ((SHOP, branch), ("/api/v1/projects/store", bearer(store, "report", trusted=True))):
        send("POST", f"{path}/runs", headers, proof(revision("a1")), params={"head_sha": COMMIT})
    send("PUT", "/api/v1/projects/store/environments/production", there["/api/v1/projects/store"], {})

    def deployed() -> dict[str, Any]:
        return {
            path: send("GET", f"{path}/revisions/a1/{sha256('a1')}", headers)["environments"]
            for path, headers in there.items()
        }

    send("PUT", f"{PRODUCTION}/deployments/1", deployer, {"commit": COMMIT})
    assert deployed() == {"/api/v1/projects/store": [], SHOP: ["production"]}
    send(
        "PUT",
        "/api/v1/projects/store/environments/production/deployments/1",
        there["/api/v1/projects/store"],
        {"commit": COMMIT},
    )
    send("PUT", f"{PRODUCTION}/deployments/1", deployer, {"commit": COMMIT, "status": "ended"})
    assert deployed() == {"/api/v1/projects/store": ["production"], SHOP: []}
