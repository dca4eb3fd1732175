"""What the pages show."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Any
from urllib.parse import urlsplit
from uuid import UUID

import pytest
from fastapi import FastAPI
from sqlmodel import Session, col, delete, select

from app.audit.models import AuditEntry
from app.database import utcnow
from app.environments.models import Waiver
from app.gate.checks.registry import CHECKS
from app.projects.models import ApiToken, Project
from app.runs.models import Report, Run
from tests import factories
from tests.gate.reporters.samples import ATTACKS
from tests.pages.conftest import SHOP, Visitor, signed_in
from tests.pages.samples import ALTER, small_report

TOMORROW = (utcnow() + timedelta(days=1)).date().isoformat()
A1, B2 = factories.revision("a1"), factories.revision("b2", "a1", message="add note")


def bad(**parts: Any) -> dict[str, Any]:
    return factories.finding(
        **{"check": "table-rewrite", "revision": "b2", "object": "public.orders", "path": "b2.py", "line": 7, **parts}
    )


def failed(*findings: dict[str, Any], **parts: Any) -> dict[str, Any]:
    checks = [{"id": check, "outcome": "fail"} for check in sorted({each["check"] for each in findings})]
    return {**factories.proof(A1, B2, findings=findings), "checks": checks, **parts}


# The first page


def test_an_administrator_of_a_new_installation_is_shown_what_to_do_next(app: FastAPI, session: Session) -> None:
    words = signed_in(app, None, "admin").get("/").words

    assert "overproof token create --project shop --scope report" in words
    assert "overproof verify --submit" in words


def test_projects_are_searched_and_paged(app: FastAPI, session: Session) -> None:
    for number in range(105):
        factories.ProjectFactory(slug=f"p{number:03}", name=f"Project {number:03}")
    visitor = signed_in(app, None, "admin")

    first = visitor.get("/")
    (more,) = [link for link in first.links() if "cursor=" in link]
    assert "/projects/p099" in first.links()
    assert "/projects/p104" in visitor.get(more).links()
    assert {link for link in visitor.get("/?search=T+04").links() if "/projects/" in link} == {
        f"/projects/p04{number}" for number in range(10)
    }
    assert "No project has a name with “100%”" in visitor.get("/?search=100%25").words


# A project


def test_a_project_without_anything_says_what_comes_next(reader: Visitor) -> None:
    words = reader.get(SHOP).words

    assert "No report yet" in words
    assert "overproof deployed --to production" in words


def test_a_project_shows_its_runs_forks_and_environments(reader: Visitor, post: Any, shop: Any) -> None:
    factories.EnvironmentFactory(project=shop, name="production")
    run = post(failed(bad()))
    for change in ("41", "42"):
        post(factories.proof(A1, factories.revision(f"c{change}", "a1")), branch=f"b{change}", change=change)

    page = reader.get(SHOP)

    assert {run, f"{SHOP}/environments/production"} <= page.links()
    assert "1 error" in page.words
    assert "Fork: Pull request" in page.words
    assert "overproof rebase" in page.words


def test_runs_are_filtered(reader: Visitor, post: Any) -> None:
    bad_run, good_run = post(failed(bad())), post(factories.proof(A1))

    assert {bad_run, good_run} <= reader.get(f"{SHOP}/runs").links()
    assert good_run not in reader.get(f"{SHOP}/runs?verdict=fail&commit=").links()
    assert bad_run in reader.get(f"{SHOP}/runs?verdict=fail&commit=").links()
    assert "There is no such run" in reader.get(f"{SHOP}/runs?commit=abc").words


def test_a_finding_leads_to_all_runs_that_have_it(reader: Visitor, post: Any) -> None:
    with_it, again, without = (
        post(failed(bad(fingerprint="f/1"))),
        post(failed(bad(fingerprint="f/1"), bad(fingerprint="f2"))),
        post(failed(bad(fingerprint="f2"))),
    )

    (same,) = [link for link in reader.get(with_it).links() if "fingerprint=" in link]

    found = reader.get(same)
    assert {with_it, again} <= found.links()
    assert without not in found.links()
    assert "with the finding f/1" in found.words


# A run


def test_a_run_shows_its_verdict_first_and_leads_to_each_finding(reader: Visitor, post: Any) -> None:
    page = reader.get(post(failed(bad(help="Do this:\n\n    op.execute('SELECT 1')")), ci_url="https://ci.example/1"))

    assert page.title.startswith("The migrations fail")
    assert "#finding-1" in page.links()
    assert "finding-1" in page.values("id")
    assert "https://ci.example/1" in page.links()
    assert "op.execute('SELECT 1')" in page.words
    assert "/checks/table-rewrite" in page.links()


def test_findings_are_paged_and_searched(reader: Visitor, post: Any) -> None:
    run = post(failed(*(bad(object=f"public.t{number}", fingerprint=f"f{number}") for number in range(120))))

    first = reader.get(run)
    (following,) = [link for link in first.links() if "first=50" in link]
    assert "120 errors" in first.words
    assert "1 to 50 of 120 findings" in first.words
    assert "public.t50" not in first.words
    assert "51 to 100 of 120 findings" in reader.get(following).words
    assert "public.t119" in reader.get(f"{run}?search=PUBLIC.T119").words
    assert "No finding is selected" in reader.get(f"{run}?severity=notice").words
    assert "No finding is selected" in reader.get(f"{run}?search=%25").words


def test_the_most_severe_findings_come_first_and_accepted_ones_are_listed_apart(reader: Visitor, post: Any) -> None:
    notices = [bad(severity="notice", object=f"public.n{number}", fingerprint=f"n{number}") for number in range(60)]
    accepted = bad(object="public.accepted", fingerprint="accepted", allowed="It has ten rows.")
    run = post(failed(*notices, accepted, bad(object="public.worst", fingerprint="worst")))

    page = reader.get(run)

    assert page.words.index("public.worst") < page.words.index("public.n0")
    assert "public.accepted" not in page.words
    assert re.search(r"\b1 accepted finding\b", page.words)
    assert "It has ten rows." in page.words
    assert "public.worst" not in reader.get(f"{run}?severity=notice").words


def test_a_run_shows_what_its_revisions_do_and_its_graph(reader: Visitor, post: Any) -> None:
    page = reader.get(post(small_report()))

    assert "public.orders · ACCESS EXCLUSIVE · blocks reads and writes" in page.words
    assert f"1. {ALTER}" in page.words
    assert "op.alter_column('orders')" in page.words
    assert "b2 head a change" in page.words


def test_a_run_whose_report_has_expired_still_shows_its_findings(reader: Visitor, post: Any, session: Session) -> None:
    run = post(failed(bad()))
    stored = session.exec(select(Run)).one()
    stored.report = None
    session.add(stored)
    session.exec(delete(Report))
    session.flush()

    words = reader.get(run).words

    assert "The report of this run has expired" in words
    assert "The downgrade leaves an index behind." in words
    assert "No finding is selected" in reader.get(f"{run}?severity=notice").words


@pytest.mark.parametrize(
    "parts",
    [{"graph": {"revisions": [{"revision": "a1", "sha256": "f" * 64}]}}, {"judged": []}],
    ids=["few fields", "a list"],
)
def test_a_report_of_another_tool_has_a_page_too(reader: Visitor, post: Any, parts: dict[str, Any]) -> None:
    run = post({**failed(bad()), **parts})

    assert "The downgrade leaves an index behind." in reader.get(run).words
    assert reader.status(f"{SHOP}/revisions") == 200


@pytest.mark.parametrize("run", ["nonsense", "00000000-0000-0000-0000-000000000000"])
def test_a_run_that_does_not_exist(reader: Visitor, run: str) -> None:
    assert reader.status(f"{SHOP}/runs/{run}") == 404


@pytest.mark.parametrize("attack", ATTACKS)
def test_a_hostile_report_is_text_on_every_page(reader: Visitor, owner: Visitor, post: Any, attack: str) -> None:
    text = attack.replace("\x00", "").encode("utf-8", "replace").decode()
    evil = bad(message=text, object=text, detail=text, help=text, path=text, subject=text)
    hostile = {**A1, "message": text, "path": text}
    report = failed(evil)
    report["graph"]["revisions"] = [hostile, {**B2, "message": text}]
    run = post(report)

    for path in (SHOP, f"{SHOP}/runs", run, f"{SHOP}/revisions"):
        page = reader.get(path)
        assert page.open == [], path
        scripts = [each for tag, each in page.elements if tag == "script"]
        assert [urlsplit(str(each["src"])).path for each in scripts] == ["/static/times.js"]
        assert {tag for tag, _ in page.elements}.isdisjoint({"img", "iframe", "b", "base", "object"})
        assert all(re.match(r"/|#|https?://", link) for link in page.links())
        assert not any(name.startswith("on") or name == "style" for _, names in page.elements for name in names)


def test_the_revision_graph_shows_where_environments_stand(reader: Visitor, post: Any, session: Session) -> None:
    post(factories.proof(A1, B2, target={"command": ["alembic"], "commit": "a" * 40}))
    client = reader.client
    deployer = factories.bearer(None, "admin")
    client.put(f"/api/v1{SHOP}/environments/production", json={}, headers=deployer)
    put = client.put(
        f"/api/v1{SHOP}/environments/production/deployments/r1", json={"commit": "a" * 40}, headers=deployer
    )
    assert put.status_code == 201, put.text

    newest = post(factories.proof(A1, B2, factories.revision("c3", "b2")))
    session.execute(delete(Report).where(col(Report.run_id) == UUID(newest.rpartition("/")[2])))

    assert "b2 head production add note" in reader.get(f"{SHOP}/revisions").words


# An environment


def test_an_environment_shows_what_would_clear_each_reason(reader: Visitor, post: Any, shop: Any) -> None:
    factories.EnvironmentFactory(project=shop, name="production")
    post(failed(bad(), target={"command": ["alembic"], "commit": "a" * 40}))

    newer = {"target": {"command": ["alembic"], "commit": "b" * 40}}
    post({**failed(bad()), **newer}, change="7")  # it may never be merged
    post({**failed(bad()), "reason": "without a commit"})

    words = reader.get(f"{SHOP}/environments/production").words

    assert "aaaaaaa" in words
    assert "bbbbbbb" not in words
    assert "unknown" in words
    assert "What clears it:" in words
    assert "There is no snapshot" in words


@pytest.mark.parametrize("name", ["nowhere", "No Where", "%00"])
def test_an_environment_that_does_not_exist(reader: Visitor, name: str) -> None:
    assert reader.status(f"{SHOP}/environments/{name}") == 404


# Actions


def test_a_finding_is_accepted_where_it_is_shown(owner: Visitor, post: Any, session: Session) -> None:
    run = post(failed(bad()))

    response = owner.send(run, f"{SHOP}/waivers", reason="The table is empty.", ends_on=TOMORROW)

    assert response.headers["location"] == f"{run}#finding-1"
    assert "Accepted by" in owner.get(run).words
    assert "The table is empty." in owner.get(f"{SHOP}/waivers").words
    waiver = session.exec(select(Waiver)).one()
    assert (waiver.fingerprint, waiver.environment) == ("0c9e6f5d2b7a4413", None)
    assert session.exec(select(AuditEntry.action)).all()[-1] == "waiver.create"


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"reason": " ", "ends_on": TOMORROW}, "The field reason"),
        ({"reason": "x", "ends_on": "soon"}, "Choose the day"),
        ({"reason": "x", "ends_on": "2020-01-01"}, "Choose a day of the next three years"),
        ({"reason": "x", "ends_on": TOMORROW, "environment": "No Where"}, "The field environment"),
        ({"reason": "x", "ends_on": TOMORROW, "fingerprint": "<>"}, "The field fingerprint"),
    ],
)
def test_a_form_that_is_not_filled_in(
    owner: Visitor, post: Any, session: Session, fields: dict[str, str], words: str
) -> None:
    response = owner.send(post(failed(bad())), f"{SHOP}/waivers", **fields)

    assert response.status_code == 422
    assert words in response.text
    assert session.exec(select(Waiver)).all() == []


def test_a_waiver_and_a_token_are_revoked(owner: Visitor, post: Any, session: Session) -> None:
    run = post(failed(bad()))
    owner.send(run, f"{SHOP}/waivers", reason="so", ends_on=TOMORROW)
    waiver = session.exec(select(Waiver)).one()
    token = session.exec(select(ApiToken).where(ApiToken.scope == "report")).one()

    sent = [
        owner.send(f"{SHOP}/waivers", f"{SHOP}/waivers/{waiver.id}/revoke"),
        owner.send(f"{SHOP}/tokens", f"{SHOP}/tokens/{token.id}/revoke"),
    ]

    assert [each.headers["location"] for each in sent] == [f"{SHOP}/waivers", f"{SHOP}/tokens"]
    assert (waiver.revoked_at is None, token.revoked_at is None) == (False, False)
    assert "revoked" in owner.get(f"{SHOP}/tokens").words


def test_a_project_is_archived_and_restored(owner: Visitor, session: Session) -> None:
    archived = owner.send(SHOP, f"{SHOP}/archive")
    assert "Archived" in owner.get(SHOP).words

    restored = owner.send(SHOP, f"{SHOP}/restore")
    assert archived.headers["location"] == restored.headers["location"] == SHOP
    assert session.exec(select(Project.archived_at)).one() is None
    assert (
        session.exec(
            select(AuditEntry.action).order_by(AuditEntry.recorded_at)  # type: ignore[arg-type]
        ).all()[-2:]
        == ["project.archive", "project.restore"]
    )


def test_a_reader_is_offered_no_action(reader: Visitor, post: Any) -> None:
    run = post(failed(bad()))

    for path in (SHOP, run, f"{SHOP}/waivers"):
        assert [each for tag, each in reader.get(path).elements if tag == "form" and each.get("method") == "post"] == [
            {"method": "post", "action": "/sign-out"}
        ]


# Checks, the API, and what is not there


@pytest.mark.parametrize("check", [check.id for check in CHECKS])
def test_each_check_has_its_page(anyone: Visitor, check: str) -> None:
    page = anyone.get(f"/checks/{check}")

    assert f"/checks/{check}" in anyone.get("/checks").links()
    assert "Why it hurts" in page.words
    assert "``" not in page.words


def test_a_browser_gets_a_page_where_there_is_none_and_a_program_a_problem(anyone: Visitor) -> None:
    page = anyone.client.get("/nowhere")
    problem = anyone.client.get("/nowhere", headers={"Accept": "application/json"})

    assert (page.status_code, problem.status_code) == (404, 404)
    assert page.headers["content-type"].startswith("text/html")
    assert problem.headers["content-type"] == "application/problem+json"
    for path, words in (
        ("/checks/nonsense", "There is no check of that name."),
        ("/static/nonsense", "There is no such file."),
        ("/?search=%00", "There is no such page."),
    ):
        answer = anyone.client.get(path)
        assert (answer.status_code, words in answer.text) == (404, True), path


def test_the_page_of_the_api_loads_nothing_from_elsewhere(anyone: Visitor) -> None:
    page = anyone.get("/docs")

    loaded = page.values("src") + [link for link in page.values("href") if link.startswith("/static/")]
    assert len(loaded) == 4
    for each in loaded:
        response = anyone.client.get(each)
        assert response.status_code == 200
        assert response.headers["cache-control"] == "public, max-age=31536000, immutable"
        assert response.headers["x-content-type-options"] == "nosniff"
    assert not any(link.startswith(("http:", "https:", "//")) for link in page.links())
