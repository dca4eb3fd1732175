"""Revisions over HTTP: known by their content, proved by trusted reports alone."""

from __future__ import annotations

from typing import Any

import pytest
import sqlalchemy as sa
from fastapi.testclient import TestClient
from sqlmodel import Session, col, select

from app.revisions import service
from app.revisions.models import History, ProvedSchema, Revision
from app.runs.models import Run
from tests.factories import ProjectFactory, finding, proof, report, revision, sha256

Headers = dict[str, str]
SHOP = "/api/v1/projects/shop"


def post(client: TestClient, headers: Headers, content: dict[str, Any]) -> Any:
    response = client.post(f"{SHOP}/runs", json=content, headers=headers)
    assert response.status_code in (200, 201), response.text
    return response.json()


def read(client: TestClient, headers: Headers, name: str, script: str | None = None) -> Any:
    return client.get(f"{SHOP}/revisions/{name}/{sha256(script or name)}", headers=headers).json()


def test_a_trusted_report_proves_its_revisions(client: TestClient, branch: Headers) -> None:
    warning = finding(check="blocking-index", severity="warning", revision="b2", object="public.orders", message="slow")
    history = (revision("a1"), revision("b2", "a1", message="find orders", path="versions/b2.py"))

    run = post(client, branch, proof(*history, findings=[warning]))

    assert run["trusted"] is True
    found = read(client, branch, "b2")
    assert (found["down_revisions"], found["message"], found["path"]) == (["a1"], "find orders", "versions/b2.py")
    proved = found["proof"]
    assert (proved["schema_before"], proved["schema_after"]) == (sha256("schema of a1"), sha256("schema of b2"))
    assert (proved["trusted"], proved["judged"], proved["passed"], proved["run_id"]) == (True, True, True, run["id"])
    assert [each["message"] for each in proved["findings"]] == ["slow"]
    assert read(client, branch, "a1")["proof"]["findings"] == []
    assert found["environments"] == []


def test_a_report_of_another_token_proves_nothing_that_is_trusted(
    client: TestClient, branch: Headers, stranger: Headers
) -> None:
    post(client, branch, proof(revision("a1"), findings=[finding(revision="a1")]))

    run = post(client, stranger, proof(revision("a1")))

    assert run["trusted"] is False
    assert read(client, stranger, "a1")["proof"]["passed"] is False
    assert [(each["trusted"], each["passed"]) for each in read(client, stranger, "a1")["proofs"]] == [
        (True, False),
        (False, True),
    ]


def test_a_report_that_another_token_posted_first_proves_once_a_trusted_one_posts_it(
    client: TestClient, branch: Headers, stranger: Headers
) -> None:
    """Otherwise a token that was set up wrongly, or is not trusted, could keep a report from ever proving anything."""
    content = proof(revision("a1"))
    first = post(client, stranger, content)

    again = post(client, branch, content)

    assert again == first | {"trusted": True}
    assert client.get(f"{SHOP}/runs/{first['id']}", headers=branch).json()["trusted"] is True
    assert read(client, branch, "a1")["proof"]["trusted"] is True
    assert post(client, stranger, content)["trusted"] is True


def test_an_edited_script_has_no_proof(client: TestClient, branch: Headers) -> None:
    post(client, branch, proof(revision("a1", script="before")))
    post(client, branch, proof(revision("a1", script="after", schema_digest=None)))

    assert read(client, branch, "a1", "before")["proof"]["passed"] is True
    assert read(client, branch, "a1", "after")["proof"] is None
    listed = client.get(f"{SHOP}/revisions?revision=a1", headers=branch).json()["items"]
    assert [each["sha256"] for each in listed] == [sha256("after"), sha256("before")]


def test_a_rebase_that_changes_nothing_keeps_its_proof(client: TestClient, branch: Headers) -> None:
    """The same scripts on another commit: what was proved first stays, and stays from then."""
    first = post(client, branch, proof(revision("a1"), target={"command": [], "commit": "a" * 40}))
    before = read(client, branch, "a1")

    post(client, branch, proof(revision("a1"), target={"command": [], "commit": "b" * 40}))

    assert read(client, branch, "a1") == before
    assert before["proof"]["run_id"] == first["id"]


def test_a_script_on_another_schema_has_a_proof_for_each(client: TestClient, branch: Headers) -> None:
    for schema in ("one", "two"):
        post(client, branch, proof(revision("a1", schema_digest_before=sha256(schema))))

    proofs = read(client, branch, "a1")["proofs"]

    assert {each["schema_before"] for each in proofs} == {sha256("one"), sha256("two")}


def test_a_later_report_that_did_not_judge_it_takes_no_proof_away(client: TestClient, branch: Headers) -> None:
    """As a build of the default branch, whose base has all of its revisions."""
    judged = proof(revision("a1"), findings=[finding(check="data-loss", severity="warning", revision="a1")])
    post(client, branch, judged)

    post(client, branch, proof(revision("a1", new=False)))
    post(client, branch, proof(revision("a1")) | {"checks": [{"id": "upgrade", "outcome": "skipped"}]})

    (found,) = read(client, branch, "a1")["proofs"]
    assert (found["judged"], [each["check"] for each in found["findings"]]) == (True, ["data-loss"])


@pytest.mark.parametrize("later", [{"findings": [finding(revision="a1")]}, {"findings": []}])
def test_the_newest_judgement_counts(client: TestClient, branch: Headers, later: dict[str, Any]) -> None:
    post(client, branch, proof(revision("a1"), findings=[finding(revision="a1", severity="warning")]))

    run = post(client, branch, proof(revision("a1"), **later))

    proved = read(client, branch, "a1")["proof"]
    assert (proved["run_id"], proved["passed"]) == (run["id"], not later["findings"])


@pytest.mark.parametrize(
    "nothing",
    [
        report(verdict="error", reason="x", graph={"revisions": [revision("a1")]}),
        proof(revision("a1", schema_digest=None)),
        proof(revision("a1", schema_digest_before=None)),
    ],
)
def test_what_was_not_applied_is_not_proved(client: TestClient, branch: Headers, nothing: dict[str, Any]) -> None:
    post(client, branch, nothing)

    assert read(client, branch, "a1")["proofs"] == []


def test_an_error_that_was_accepted_is_none(client: TestClient, branch: Headers) -> None:
    post(client, branch, proof(revision("a1"), findings=[finding(revision="a1", allowed="on purpose")]))

    proved = read(client, branch, "a1")["proof"]

    assert proved["passed"] is True
    assert proved["findings"][0]["allowed"] == "on purpose"


def test_the_schema_at_head_of_a_trusted_report_is_kept(
    client: TestClient, branch: Headers, stranger: Headers, session: Session
) -> None:
    objects = [{"kind": "table", "schema": "public", "name": "orders", "definition": {}}]
    post(client, stranger, proof(revision("a1"), snapshot=objects, digest=sha256("forged")))
    post(client, branch, proof(revision("a1"), snapshot=objects, digest=sha256("true")))

    assert session.execute(sa.select(ProvedSchema.digest, ProvedSchema.objects)).all() == [(sha256("true"), objects)]  # type: ignore[call-overload]


def test_revisions_are_listed_page_by_page(client: TestClient, branch: Headers) -> None:
    names = [f"r{number}" for number in range(5)]
    post(client, branch, proof(*(revision(name, *names[:index][-1:]) for index, name in enumerate(names))))

    seen = []
    url: str | None = f"{SHOP}/revisions?limit=2"
    while url:
        page = client.get(url, headers=branch)
        seen += [each["revision"] for each in page.json()["items"]]
        url = page.links.get("next", {}).get("url")

    assert seen == names[::-1]
    (only,) = client.get(f"{SHOP}/revisions?revision=r3", headers=branch).json()["items"]
    assert (only["revision"], only["down_revisions"], only["environments"]) == ("r3", ["r2"], [])


def test_a_content_that_no_report_had_is_not_there(client: TestClient, branch: Headers, session: Session) -> None:
    session.add(
        Revision(
            project_id=ProjectFactory().id, revision="a1", sha256=sha256("a1"), down_revisions=[], message="elsewhere"
        )
    )
    session.flush()

    response = client.get(f"{SHOP}/revisions/a1/{sha256('a1')}", headers=branch)

    assert response.status_code == 404
    assert response.json()["type"].endswith(":revision-not-found")


def test_a_history_is_stored_once_and_a_revision_knows_where_it_is(
    client: TestClient, branch: Headers, session: Session, shop: Any
) -> None:
    first = proof(revision("a1"), revision("b2", "a1"))
    post(client, branch, first)
    post(client, branch, first | {"reason": "again"})
    post(client, branch, proof(revision("a1")))
    two, one = sorted(session.scalars(sa.select(History)), key=lambda each: -len(each.revisions))
    of_runs = session.exec(select(Run.history).order_by(col(Run.received_at))).all()
    assert of_runs == [two.digest, two.digest, one.digest]
    assert two.revisions == [["a1", sha256("a1"), []], ["b2", sha256("b2"), ["a1"]]]
    assert two.heads == ["b2"]

    service.note_environment(session, shop.id, "production", [one.digest])
    service.note_environment(session, shop.id, "staging", [one.digest, two.digest])
    service.note_environment(session, shop.id, "staging", [two.digest])
    session.expire_all()

    assert read(client, branch, "a1")["environments"] == ["production", "staging"]
    assert read(client, branch, "b2")["environments"] == ["staging"]


def test_a_report_with_the_same_revision_twice_is_stored(client: TestClient, branch: Headers) -> None:
    post(client, branch, proof(revision("a1"), revision("a1", message="again")))

    assert read(client, branch, "a1")["proof"]["passed"] is True


CONTRADICTIONS: dict[str, tuple[dict[str, Any], str]] = {
    "a failure without a finding": ({"verdict": "fail"}, "verdict"),
    "a failure whose findings are accepted": ({"verdict": "fail", "findings": [finding(allowed="x")]}, "verdict"),
    "a check that passed and found something": (
        {"checks": [{"id": "round-trip", "outcome": "pass"}], "findings": [finding()]},
        "checks.0.outcome",
    ),
    "a check that failed and found nothing": ({"checks": [{"id": "upgrade", "outcome": "fail"}]}, "checks.0.outcome"),
}


@pytest.mark.parametrize(("parts", "where"), CONTRADICTIONS.values(), ids=CONTRADICTIONS)
def test_a_report_that_contradicts_itself_is_refused(
    client: TestClient, branch: Headers, parts: dict[str, Any], where: str
) -> None:
    response = client.post(f"{SHOP}/runs", json=report(**parts), headers=branch)

    assert response.status_code == 422
    assert response.json()["errors"][0]["where"] == where


def test_the_verdict_is_what_the_findings_say(client: TestClient, branch: Headers) -> None:
    never_failing = report(verdict="pass", findings=[finding()])
    strict = report(verdict="fail", findings=[finding(severity="warning")])

    assert post(client, branch, never_failing)["verdict"] == "fail"
    assert post(client, branch, strict)["verdict"] == "fail"
    assert post(client, branch, report(findings=[finding(allowed="on purpose")]))["verdict"] == "pass"
