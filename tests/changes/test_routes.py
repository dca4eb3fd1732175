"""Changes and forks over HTTP, as reports tell of them."""

from __future__ import annotations

from typing import Any

import pytest
from fastapi.testclient import TestClient
from sqlmodel import Session, select

from app.changes.models import ProtectedBranch
from app.revisions.models import History, Proof
from tests.factories import ProjectFactory, bearer, finding, proof, report, revision

Headers = dict[str, str]
SHOP = "/api/v1/projects/shop"
A1 = revision("a1")
MERGED = revision("a1", new=False)


def post(client: TestClient, headers: Headers, content: dict[str, Any], **context: str) -> Any:
    response = client.post(f"{SHOP}/runs", params=context, json=content, headers=headers)
    assert response.status_code in (200, 201), response.text
    return response.json()


def changes(client: TestClient, headers: Headers, state: str = "open") -> dict[str, list[str]]:
    items = client.get(f"{SHOP}/changes?state={state}", headers=headers).json()["items"]
    return {each["id"]: [added["revision"] for added in each["revisions"]] for each in items}


def test_a_change_has_the_revisions_that_it_adds(client: TestClient, stranger: Headers) -> None:
    c3 = revision("c3", "b2")
    content = proof(MERGED, revision("b2", "a1"), c3)

    post(client, stranger, content, change="7", branch="notes", head_sha="a" * 40)

    read = client.get(f"{SHOP}/changes/7", headers=stranger).json()
    assert (read["state"], read["branch"], read["head_sha"]) == ("open", "notes", "a" * 40)
    assert [(each["revision"], each["down_revisions"]) for each in read["revisions"]] == [
        ("b2", ["a1"]),
        ("c3", ["b2"]),
    ]


def test_a_later_report_about_it_replaces_them_and_keeps_when_each_was_seen(
    client: TestClient, stranger: Headers
) -> None:
    post(client, stranger, proof(MERGED, revision("b2", "a1"), revision("c3", "b2")), change="7")
    before = client.get(f"{SHOP}/changes/7", headers=stranger).json()

    post(client, stranger, proof(MERGED, revision("b2", "a1"), revision("d4", "b2")), change="7")

    after = client.get(f"{SHOP}/changes/7", headers=stranger).json()
    assert [each["revision"] for each in after["revisions"]] == ["b2", "d4"]
    assert after["revisions"][0] == before["revisions"][0]
    assert after["opened_at"] == before["opened_at"] < after["seen_at"]


def test_both_of_two_changes_on_one_parent_are_told(client: TestClient, branch: Headers, stranger: Headers) -> None:
    post(client, branch, proof(A1), branch="main")
    first = post(client, stranger, proof(MERGED, revision("b2", "a1")), change="7", branch="notes")
    second_report = proof(MERGED, revision("c3", "a1"))
    second = post(client, stranger, second_report, change="8", branch="totals")

    assert first["forks"] == []
    (fork,) = second["forks"]
    assert (fork["parent"], fork["first"]["change"], fork["onto"]) == ("a1", "7", "b2")
    assert [each["change"] for each in fork["must_rebase"]] == ["8"]
    assert fork["command"] == "overproof rebase origin/main"
    assert post(client, stranger, second_report, change="8")["forks"] == [fork]
    assert client.get(f"{SHOP}/forks", headers=stranger).json() == {"forks": [fork]}


def test_what_is_merged_is_no_open_change_and_the_others_are_behind(
    client: TestClient, branch: Headers, stranger: Headers
) -> None:
    post(client, branch, proof(A1), branch="main")
    post(client, stranger, proof(MERGED, revision("b2", "a1")), change="7")
    post(client, stranger, proof(MERGED, revision("c3", "a1")), change="8")

    built = post(client, branch, proof(A1, revision("b2", "a1")), branch="main")

    assert built["forks"] == []
    assert (changes(client, stranger), changes(client, stranger, "merged")) == ({"8": ["c3"]}, {"7": ["b2"]})
    (fork,) = client.get(f"{SHOP}/forks", headers=stranger).json()["forks"]
    assert (fork["first"], [each["change"] for each in fork["must_rebase"]], fork["onto"]) == (None, ["8"], "b2")
    rebased = post(client, stranger, proof(MERGED, revision("b2", "a1", new=False), revision("c3", "b2")), change="8")
    assert rebased["forks"] == []


def test_a_change_whose_gate_had_no_base_adds_what_is_not_merged(
    client: TestClient, branch: Headers, stranger: Headers
) -> None:
    post(client, branch, proof(A1), branch="main")

    post(client, stranger, proof(A1, revision("b2", "a1")), change="7")

    assert changes(client, stranger) == {"7": ["b2"]}


def test_only_a_trusted_report_says_what_is_merged(client: TestClient, stranger: Headers) -> None:
    post(client, stranger, proof(MERGED, revision("b2", "a1")), change="7")

    post(client, stranger, proof(A1, revision("b2", "a1")), branch="main")

    assert changes(client, stranger) == {"7": ["b2"]}


def test_a_run_that_verified_nothing_changes_nothing(client: TestClient, stranger: Headers) -> None:
    post(client, stranger, proof(revision("b2", "a1")), change="7")

    post(client, stranger, report(verdict="error", reason="no server"), change="7")

    assert changes(client, stranger) == {"7": ["b2"]}


def test_a_closed_change_takes_no_part_until_it_is_seen_again(
    client: TestClient, stranger: Headers, admin: Headers
) -> None:
    post(client, stranger, proof(revision("b2", "a1")), change="7")
    post(client, stranger, proof(revision("c3", "a1")), change="8")

    closed = [client.post(f"{SHOP}/changes/7/close", headers=stranger) for _ in range(2)]

    assert [each.json()["state"] for each in closed] == ["closed", "closed"]
    audited = client.get(f"{SHOP}/audit", headers=admin).json()["items"]
    assert [(each["action"], each["subject"]) for each in audited] == [("change.close", "7")]
    assert client.get(f"{SHOP}/forks", headers=stranger).json() == {"forks": []}
    assert len(post(client, stranger, proof(revision("b2", "a1"), reason="again"), change="7")["forks"]) == 1


def test_changes_are_listed_page_by_page(client: TestClient, stranger: Headers) -> None:
    for number in range(3):
        post(client, stranger, proof(revision(f"r{number}", "a1")), change=str(number))

    page = client.get(f"{SHOP}/changes?limit=2", headers=stranger)
    rest = client.get(page.links["next"]["url"], headers=stranger).json()

    assert [each["id"] for each in page.json()["items"] + rest["items"]] == ["2", "1", "0"]


def test_a_change_of_another_project_is_not_there(client: TestClient, stranger: Headers, admin: Headers) -> None:
    ProjectFactory(slug="store")
    other = client.post("/api/v1/projects/store/runs", json=proof(A1), params={"change": "7"}, headers=admin)
    assert other.status_code == 201

    for response in (
        client.get(f"{SHOP}/changes/7", headers=stranger),
        client.post(f"{SHOP}/changes/7/close", headers=stranger),
    ):
        assert response.status_code == 404
        assert response.json()["type"].endswith(":change-not-found")
    assert changes(client, stranger) == {}
    assert post(client, stranger, proof(revision("b1")), change="8")["forks"] == []


@pytest.mark.parametrize("scope", ["read", "deploy"])
def test_closing_a_change_takes_a_token_that_reports(client: TestClient, shop: Any, scope: str) -> None:
    assert client.post(f"{SHOP}/changes/7/close", headers=bearer(shop, scope)).status_code == 403
    assert client.get(f"{SHOP}/forks", headers=bearer(shop, scope)).status_code == 200


def test_a_change_tells_what_the_newest_report_about_it_says(client: TestClient, stranger: Headers) -> None:
    post(client, stranger, proof(A1), change="7", branch="old", head_sha="a" * 40)
    first = client.get(f"{SHOP}/changes/7", headers=stranger).json()

    post(
        client,
        stranger,
        proof(A1, revision("b2", "a1", branch_labels=["x"])),
        change="7",
        branch="new",
        head_sha="b" * 40,
    )

    read = client.get(f"{SHOP}/changes/7", headers=stranger).json()
    assert client.get(f"{SHOP}/changes", headers=stranger).json()["items"] == [read]
    assert (read["id"], read["state"], read["branch"], read["head_sha"]) == ("7", "open", "new", "b" * 40)
    assert read["opened_at"] == first["opened_at"]
    assert read["seen_at"] > first["seen_at"]
    assert [(each["revision"], each["down_revisions"]) for each in read["revisions"]] == [("a1", []), ("b2", ["a1"])]
    assert read["revisions"][0] == first["revisions"][0]


def test_of_what_is_without_end_the_first_parts_are_kept(
    client: TestClient, session: Session, branch: Headers, stranger: Headers
) -> None:
    heads = [f"r{number:02}" for number in range(21)]
    many = [finding(severity="notice", revision="r00")] * 101
    posted = post(client, branch, proof(*map(revision, heads), findings=many), branch="main")
    for number in ("7", "8"):
        added = [revision(f"{head}-{number}", f"of-nobody-{head}") for head in heads]
        forks = post(client, stranger, proof(*added), change=number)["forks"]

    assert posted["heads"] == heads[:20]
    main = session.exec(select(ProtectedBranch)).one()
    assert main.heads == session.get_one(History, (main.project_id, main.history)).heads == heads[:20]
    (proof_of_r00,) = session.exec(select(Proof).where(Proof.revision == "r00"))
    assert len(proof_of_r00.findings) == 100
    assert len(forks) == len(client.get(f"{SHOP}/forks", headers=stranger).json()["forks"]) == 20


def test_of_a_history_without_end_a_change_adds_the_last_thousand(client: TestClient, stranger: Headers) -> None:
    names = [f"r{number:04}" for number in range(1_001)]
    chain = [revision(name, *names[number - 1 : number] if number else ()) for number, name in enumerate(names)]

    post(client, stranger, proof(*chain), change="7")

    assert changes(client, stranger) == {"7": names[1:]}
