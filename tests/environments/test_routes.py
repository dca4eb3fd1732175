"""Environments over HTTP: policies, deployments, snapshots and drift."""

from __future__ import annotations

from typing import Any

import pytest
from fastapi.testclient import TestClient

from tests.environments.conftest import PRODUCTION, SHOP, Headers, Send
from tests.factories import bearer, proof, revision, sha256, snapshot

COMMIT, OTHER = "a" * 40, "b" * 40


def test_an_environment_is_created_with_the_defaults_of_its_policy(client: TestClient, owner: Headers) -> None:
    created = client.put(PRODUCTION, json={}, headers=owner)
    again = client.put(PRODUCTION, json={"deny": ["error", "data-loss"]}, headers=owner)

    assert (created.status_code, again.status_code) == (201, 200)
    policy = {"small_table_rows": 10_000, "trust": "trusted", "drift": "deny", "snapshot": "required"}
    assert created.json()["policy"] == {"deny": ["error"], **policy}
    assert again.json()["policy"] == {"deny": ["error", "data-loss"], **policy}
    read = client.get(PRODUCTION, headers=owner)
    assert read.json() == again.json()
    assert read.headers["etag"] == again.headers["etag"] != created.headers["etag"]


def test_a_policy_is_changed_in_the_version_that_was_seen(client: TestClient, owner: Headers, production: str) -> None:
    seen = client.get(production, headers=owner).headers["etag"]

    first = client.put(production, json={"drift": "allow"}, headers=owner | {"If-Match": seen})
    second = client.put(production, json={"deny": []}, headers=owner | {"If-Match": seen})
    none = client.put(f"{SHOP}/environments/staging", json={}, headers=owner | {"If-Match": "*"})

    assert (first.status_code, second.status_code, none.status_code) == (200, 412, 412)
    assert client.get(production, headers=owner).json()["policy"]["drift"] == "allow"


def test_environments_are_listed_by_name(client: TestClient, owner: Headers) -> None:
    for name in ("staging", "production", "test-1"):
        client.put(f"{SHOP}/environments/{name}", json={}, headers=owner)

    page = client.get(f"{SHOP}/environments?limit=2", headers=owner)
    rest = client.get(page.links["next"]["url"], headers=owner).json()

    names = [each["name"] for each in page.json()["items"] + rest["items"]]
    assert names == ["production", "staging", "test-1"]


@pytest.mark.parametrize("name", ["no-such", "Not-A-Name", "%00", "a" * 64])
def test_an_environment_that_there_is_not(client: TestClient, owner: Headers, name: str) -> None:
    response = client.get(f"{SHOP}/environments/{name}", headers=owner)

    assert response.status_code == 404
    assert response.json()["type"].endswith(":environment-not-found")


def deploy(client: TestClient, headers: Headers, name: str, **version: Any) -> Any:
    return client.put(f"{PRODUCTION}/deployments/{name}", json=version, headers=headers)


@pytest.fixture
def two_commits(send: Send, branch: Headers, production: str) -> None:
    """`a1` at COMMIT, and `b2` on it at OTHER."""
    send("POST", f"{SHOP}/runs", branch, proof(revision("a1")), params={"head_sha": COMMIT})
    send("POST", f"{SHOP}/runs", branch, proof(revision("a1"), revision("b2", "a1")), params={"head_sha": OTHER})


@pytest.mark.usefixtures("two_commits")
def test_a_deployment_is_of_a_version_that_some_report_has(client: TestClient, deployer: Headers) -> None:
    first = deploy(client, deployer, "1", commit=COMMIT)
    again = deploy(client, deployer, "1", commit=COMMIT)

    assert (first.status_code, again.status_code) == (201, 200)
    assert first.json() == again.json()
    assert (first.json()["heads"], first.json()["status"]) == (["a1"], "live")
    assert deploy(client, deployer, "2", heads=["b2"]).json()["heads"] == ["b2"]


@pytest.mark.usefixtures("two_commits")
@pytest.mark.parametrize("version", [{"commit": "c" * 40}, {"heads": ["c3"]}, {"heads": ["a1", "b2"]}])
def test_a_deployment_never_invents_a_revision(
    client: TestClient, deployer: Headers, branch: Headers, version: dict[str, Any]
) -> None:
    response = deploy(client, deployer, "1", **version)

    assert response.status_code == 409
    assert response.json()["type"].endswith(":version-unknown")
    assert "overproof verify --submit" in response.json()["detail"]
    assert len(client.get(f"{SHOP}/revisions", headers=branch).json()["items"]) == 2
    assert client.get(f"{PRODUCTION}/deployments", headers=deployer).json()["items"] == []


@pytest.mark.usefixtures("two_commits")
def test_while_it_rolls_several_versions_are_live(client: TestClient, deployer: Headers) -> None:
    def statuses() -> dict[str, str]:
        items = client.get(f"{PRODUCTION}/deployments", headers=deployer).json()["items"]
        return {each["id"]: each["status"] for each in items}

    def environments(name: str) -> list[str]:
        read = client.get(f"{SHOP}/revisions/{name}/{sha256(name)}", headers=deployer)
        return list(read.json()["environments"])

    deploy(client, deployer, "old", commit=COMMIT)
    assert (environments("a1"), environments("b2")) == (["production"], [])
    deploy(client, deployer, "new", commit=OTHER, status="rolling")
    assert statuses() == {"old": "live", "new": "rolling"}
    assert (environments("a1"), environments("b2")) == (["production"], ["production"])

    deploy(client, deployer, "new", commit=OTHER)

    assert statuses() == {"old": "ended", "new": "live"}
    late = deploy(client, deployer, "old", commit=COMMIT)
    assert (late.status_code, late.json()["type"].rpartition(":")[2]) == (409, "deployment-ended")
    deploy(client, deployer, "new", commit=OTHER, status="ended")
    assert environments("b2") == []


@pytest.mark.usefixtures("two_commits")
def test_an_id_is_of_one_version(client: TestClient, deployer: Headers) -> None:
    deploy(client, deployer, "1", commit=COMMIT)

    response = deploy(client, deployer, "1", commit=OTHER)

    assert response.status_code == 409
    assert response.json()["type"].endswith(":deployment-differs")


@pytest.mark.parametrize("version", [{}, {"commit": COMMIT, "heads": ["a1"]}, {"commit": "HEAD"}, {"heads": []}])
def test_a_version_is_a_commit_or_heads(
    client: TestClient, deployer: Headers, production: str, version: dict[str, Any]
) -> None:
    assert deploy(client, deployer, "1", **version).status_code == 422


@pytest.mark.usefixtures("two_commits")
def test_a_token_for_one_environment_deploys_to_no_other(
    client: TestClient, shop: Any, owner: Headers, production: str
) -> None:
    client.put(f"{SHOP}/environments/staging", json={}, headers=owner)
    headers = bearer(shop, "deploy", environment="staging")

    elsewhere = deploy(client, headers, "1", commit=COMMIT)
    own = client.put(f"{SHOP}/environments/staging/deployments/1", json={"commit": COMMIT}, headers=headers)

    assert (elsewhere.status_code, own.status_code) == (403, 201)
    assert elsewhere.json()["type"].endswith(":environment-forbidden")
    assert client.get(production, headers=headers).status_code == 200


def test_a_snapshot_is_stored_and_summarised(send: Send, deployer: Headers, production: str) -> None:
    stored = send("POST", f"{production}/snapshots", deployer, snapshot("a1"))
    send("POST", f"{production}/snapshots", deployer, snapshot(None) | {"revisions": {"public.v": None}})

    unreadable, first = send("GET", f"{production}/snapshots", deployer)["items"]
    assert first == stored
    assert (first["revisions"], first["digest"]) == (["a1"], sha256("schema of a1"))
    assert unreadable["revisions"] is None
    assert "objects" not in first


def test_a_snapshot_is_given_back_in_its_format(
    client: TestClient, send: Send, deployer: Headers, production: str
) -> None:
    sizes = {"public.orders": {"rows": 12, "bytes": 8192}}
    content = snapshot("a1", objects=ORDERS, tables=sizes)
    stored = send("POST", f"{production}/snapshots", deployer, content)

    read = send("GET", f"{production}/snapshots/{stored['id']}", deployer)

    changed = {"database": "production", "taken_at": "2026-11-30T12:00:00+00:00"}
    assert read == content | changed | {"revisions": {"alembic_version": ["a1"]}}
    assert send("POST", f"{production}/snapshots", deployer, read)["digest"] == stored["digest"]
    none = client.get(f"{production}/snapshots/00000000-0000-4000-8000-000000000000", headers=deployer)
    assert (none.status_code, none.json()["type"].rpartition(":")[2]) == (404, "snapshot-not-found")


@pytest.mark.parametrize(
    ("parts", "where"),
    [
        ({"format": "overproof-snapshot/2"}, "format"),
        ({"digest": "x"}, "digest"),
        ({"objects": [{"kind": "table"}]}, "objects.0.schema"),
        ({"objects": [{"kind": "table", "schema": "s", "name": "n", "definition": {"a": "\0"}}]}, "0.definition.a"),
        ({"tables": {"public.orders": {"rows": -1}}}, "tables.public.orders.rows"),
        ({"revisions": ["a1"]}, "revisions"),
    ],
)
def test_a_snapshot_that_is_none_is_refused_with_the_place_at_fault(
    client: TestClient, deployer: Headers, production: str, parts: dict[str, Any], where: str
) -> None:
    response = client.post(f"{production}/snapshots", json=snapshot("a1") | parts, headers=deployer)

    assert response.status_code == 422
    assert response.json()["type"].endswith(":snapshot-refused")
    assert response.json()["errors"][0]["where"] == where


def item(kind: str, name: str, table: str = "", **definition: Any) -> dict[str, Any]:
    of_table = {"table": table} if table else {}
    return {"kind": kind, "schema": "public", "name": name, "definition": definition, **of_table}


ORDERS = [item("table", "orders"), item("column", "id", "orders", type="integer")]


def test_what_was_changed_by_hand_is_drift(send: Send, branch: Headers, deployer: Headers, production: str) -> None:
    send("POST", f"{SHOP}/runs", branch, proof(revision("a1"), snapshot=ORDERS, digest=sha256("schema of a1")))
    send("POST", f"{production}/snapshots", deployer, snapshot("a1", objects=ORDERS))
    newest = send("GET", f"{production}/snapshots", deployer)["items"][0]
    assert send("GET", f"{production}/drift", deployer) == {
        "state": "none",
        "sentence": "The schema is the one that was proved for a1.",
        "snapshot": newest,
        "proved_digests": [sha256("schema of a1")],
        "differences": [],
        "difference_count": 0,
    }

    by_hand = [ORDERS[0], item("column", "id", "orders", type="bigint"), item("index", "ix_hot", "orders")]
    send("POST", f"{production}/snapshots", deployer, snapshot("a1", schema="by hand", objects=by_hand))

    drift = send("GET", f"{production}/drift", deployer)
    assert drift["state"] == "drifted"
    assert [(each["object"], each["change"]) for each in drift["differences"]] == [
        ("public.orders.id", "changed"),
        ("public.orders.ix_hot", "unexpected"),
    ]
    assert drift["differences"][0]["proved"] == {"type": "integer"}
    assert (drift["difference_count"], drift["proved_digests"]) == (2, [sha256("schema of a1")])
    assert drift["snapshot"]["digest"] == sha256("by hand")
    assert drift["sentence"] == (
        "The schema is not the one that was proved for a1: column public.orders.id is changed, and 1 more."
    )

    many = [item("index", f"ix_{number:03}", "orders") for number in range(201)]
    send("POST", f"{production}/snapshots", deployer, snapshot("a1", schema="many", objects=[*ORDERS, *many]))
    drift = send("GET", f"{production}/drift", deployer)
    assert (len(drift["differences"]), drift["difference_count"]) == (200, 201)
    assert drift["differences"][-1]["object"] == "public.orders.ix_199"


EDITED = revision("a1", script="edited", schema_digest=sha256("schema of the edited one"))
SCHEMAS = {"a1": sha256("schema of a1"), "edited": sha256("schema of the edited one")}


def test_of_several_contents_the_deployed_one_counts_and_else_the_nearest(
    client: TestClient,
    send: Send,
    branch: Headers,
    stranger: Headers,
    owner: Headers,
    deployer: Headers,
    production: str,
) -> None:
    def drift() -> tuple[list[str], int | None]:
        found = send("GET", f"{production}/drift", deployer)
        return found["proved_digests"], found["difference_count"]

    whole = [*ORDERS, item("index", "ix", "orders"), item("index", "ix_2", "orders")]
    for headers, each, objects in (
        (branch, revision("a1"), whole),
        (branch, EDITED, ORDERS),
        (stranger, revision("a1", script="forged", schema_digest=sha256("forged")), []),
    ):
        content = proof(each, snapshot=objects, digest=each["schema_digest"])
        send("POST", f"{SHOP}/runs", headers, content, params={"head_sha": each["sha256"][:40]})
    send("POST", f"{production}/snapshots", deployer, snapshot("a1", schema="by hand", objects=whole[:-1]))

    both = sorted(SCHEMAS.values())
    assert drift() == (both, 1)  # from the edited one it would be one as well
    send("PUT", production, owner, {"trust": "any"})
    assert drift() == (sorted([*both, sha256("forged")]), 1)
    deploy(client, deployer, "1", commit=EDITED["sha256"][:40])
    assert drift() == ([SCHEMAS["edited"]], 1)
    send("POST", f"{production}/snapshots", deployer, snapshot("a1", schema="by hand again", objects=whole))
    assert drift() == ([SCHEMAS["edited"]], 2)


def test_drift_from_a_schema_whose_objects_are_not_known(
    send: Send, branch: Headers, deployer: Headers, production: str
) -> None:
    send("POST", f"{SHOP}/runs", branch, proof(revision("a1")))
    send("POST", f"{production}/snapshots", deployer, snapshot("a1", schema="by hand"))

    drift = send("GET", f"{production}/drift", deployer)

    assert (drift["state"], drift["differences"], drift["difference_count"]) == ("unknown", [], None)
    assert drift["proved_digests"] == [sha256("schema of a1")]
    assert drift["snapshot"]["digest"] == sha256("by hand")
    assert drift["sentence"] == (
        "The digest of the schema is not the one that was proved for a1, and the objects of that one are not known."
    )


def server_object(kind: str, name: str, **definition: Any) -> dict[str, Any]:
    return {"kind": kind, "schema": "", "name": name, "definition": definition}


@pytest.mark.parametrize(
    ("proved", "found", "state"),
    [
        ([], [server_object("extension", "pg_stat_statements", version="1.10")], "none"),
        (
            [server_object("extension", "hstore", version="1.8")],
            [server_object("extension", "hstore", version="1.7")],
            "none",
        ),
        ([server_object("extension", "hstore", version="1.8")], [], "drifted"),
        (
            [server_object("schema", "public", privileges={"PUBLIC": "USAGE"})],
            [server_object("schema", "public")],
            "none",
        ),
        ([], [server_object("event trigger", "audit")], "none"),
        (
            [server_object("event trigger", "audit", on="a")],
            [server_object("event trigger", "audit", on="b")],
            "drifted",
        ),
        ([], [server_object("schema", "heroku_ext")], "none"),
        ([], [item("function", "helper()")], "drifted"),
    ],
)
def test_what_belongs_to_the_server_is_no_drift(
    send: Send,
    branch: Headers,
    deployer: Headers,
    production: str,
    proved: list[Any],
    found: list[Any],
    state: str,
) -> None:
    objects = {"snapshot": [*ORDERS, *proved], "digest": sha256("schema of a1")}
    send("POST", f"{SHOP}/runs", branch, proof(revision("a1"), **objects))
    send("POST", f"{production}/snapshots", deployer, snapshot("a1", schema="x", objects=[*ORDERS, *found]))

    assert send("GET", f"{production}/drift", deployer)["state"] == state


@pytest.mark.parametrize(
    ("taken", "sentence"),
    [
        (None, "There is no snapshot: overproof snapshot --submit sends one."),
        (snapshot(None), "The revision that the database is at is none, so no schema was proved for it."),
        (
            snapshot("a1") | {"revisions": {"public.v": None}},
            "The revision that the database is at could not be read, so no schema was proved for it.",
        ),
        (snapshot("c3"), "No report that counts here has applied the revision that the database is at (c3)."),
        (snapshot("b2"), "No report that counts here has applied the revision that the database is at (b2)."),
    ],
)
def test_drift_that_is_not_known_is_no_drift(
    send: Send, branch: Headers, stranger: Headers, deployer: Headers, production: str, taken: Any, sentence: str
) -> None:
    send("POST", f"{SHOP}/runs", branch, proof(revision("a1")))
    send("POST", f"{SHOP}/runs", stranger, proof(revision("a1"), revision("b2", "a1")))
    if taken is not None:
        send("POST", f"{production}/snapshots", deployer, taken)

    drift = send("GET", f"{production}/drift", deployer)

    assert (drift["state"], drift["sentence"]) == ("unknown", sentence)
    assert (drift["proved_digests"], drift["differences"], drift["difference_count"]) == ([], [], None)
    assert (drift["snapshot"] or {}).get("digest") == (taken or {}).get("digest")


def test_an_archived_project_is_not_deployed(
    client: TestClient, owner: Headers, deployer: Headers, production: str
) -> None:
    client.post(f"{SHOP}/archive", headers=owner)

    for response in (
        client.put(production, json={}, headers=owner),
        deploy(client, deployer, "1", commit=COMMIT),
        client.post(f"{production}/snapshots", json=snapshot("a1"), headers=deployer),
        client.post(f"{production}/decisions", json={"commit": COMMIT}, headers=deployer),
        client.post(f"{SHOP}/waivers", json=WAIVER, headers=owner),
    ):
        assert response.status_code == 409
        assert response.json()["type"].endswith(":project-archived")
    assert client.get(production, headers=deployer).status_code == 200


WAIVER = {"fingerprint": "f00d", "reason": "It is known.", "ends_at": "2099-01-01T00:00:00Z"}
