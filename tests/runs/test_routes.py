"""Runs over HTTP: a report is posted once, listed, and given back as it was."""

from __future__ import annotations

import json
import re
from typing import Any
from uuid import uuid4

import pytest
import sqlalchemy as sa
from fastapi.testclient import TestClient
from sqlalchemy.exc import IntegrityError
from sqlmodel import Session, select

from app.gate.report.verdict import Severity, Verdict
from app.projects.models import Project
from app.runs import service
from app.runs.models import Run, RunCheck, RunFinding
from app.runs.routes import EXAMPLE
from tests.factories import ProjectFactory, RunFactory, RunFindingFactory, bearer, finding, report

Headers = dict[str, str]
RUNS = "/api/v1/projects/shop/runs"


@pytest.fixture
def shop(session: Session) -> Any:
    return ProjectFactory(slug="shop")


@pytest.fixture
def pipeline(shop: Any) -> Headers:
    """Of a pipeline that reports on the project `shop`."""
    return bearer(shop, "report")


def test_a_posted_report_is_a_run_with_its_checks_and_findings(client: TestClient, pipeline: Headers) -> None:
    posted = client.post(RUNS, json=EXAMPLE, headers=pipeline)

    assert posted.status_code == 201
    run = client.get(posted.headers["location"], headers=pipeline).json()
    assert run["id"] == posted.json()["id"]
    assert run["verdict"] == "fail"
    assert run["commit"] == "6dcb09b5b57875f334f61aebed695e2e4193db5e"
    assert run["base"] == "origin/main"
    assert run["heads"] == ["7b39e1f5a0c4"]
    assert run["tool_version"] == "0.1.0"
    assert run["postgres"] == "18.6"
    assert run["started_at"] == "2026-11-22T10:02:27Z"
    assert run["duration_ms"] == 2345.6
    assert run["finding_counts"] == {"error": 1, "warning": 0, "notice": 0}
    assert run["checks"] == [{"check": "round-trip", "outcome": "fail", "reason": None, "duration_ms": 3.5}]
    assert run["findings"][0]["message"] == "The downgrade leaves the index ix_orders_placed_at behind."
    assert run["findings"][0]["subject"] == "not-restored index ix_orders_placed_at"
    assert run["findings"][0]["line"] == 22


def test_a_finding_has_no_subject_where_its_report_has_none(client: TestClient, pipeline: Headers) -> None:
    content = report(findings=[finding(), finding(subject="")])
    place = client.post(RUNS, json=content, headers=pipeline).headers["location"]

    findings = client.get(f"{place}/findings", headers=pipeline).json()["items"]

    assert [each["subject"] for each in findings] == [None, ""]


def test_the_same_report_twice_is_one_run(client: TestClient, pipeline: Headers, session: Session) -> None:
    first = client.post(RUNS, json=report(findings=[finding()]), headers=pipeline)
    second = client.post(RUNS, json=report(findings=[finding()]), headers=pipeline)

    assert (first.status_code, second.status_code) == (201, 200)
    assert second.json() == first.json()
    assert second.headers["location"] == first.headers["location"]
    assert session.exec(select(sa.func.count()).select_from(Run)).one() == 1
    assert session.exec(select(sa.func.count()).select_from(RunFinding)).one() == 1


CONTEXT = {
    "head_sha": "6dcb09b5b57875f334f61aebed695e2e4193db5e",
    "branch": "größe & more",
    "change": "42",
    "base_sha": "9d2b1f0c5a7e4d3f8b6a1c2e3d4f5a6b7c8d9e0f",
    "ci_url": "https://github.com/acme/shop/actions/runs/1",
}


def test_a_run_has_the_context_in_which_it_was_posted_first(client: TestClient, pipeline: Headers) -> None:
    first = client.post(RUNS, params=CONTEXT, json=report(), headers=pipeline)
    again = client.post(RUNS, params=CONTEXT | {"change": "43"}, json=report(), headers=pipeline)
    without = client.post(RUNS, json=report(reason="none"), headers=pipeline)

    assert {name: first.json()[name] for name in CONTEXT} == CONTEXT
    assert again.json() == first.json()
    assert {without.json()[name] for name in CONTEXT} == {None}
    assert client.get(first.headers["location"], headers=pipeline).json()["change"] == "42"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("head_sha", "HEAD"),
        ("branch", "a\nb"),
        ("branch", "b" * 256),
        ("change", "42/merge"),
        ("base_sha", "a" * 65),
        ("ci_url", "javascript:alert(1)"),
    ],
)
def test_a_context_that_cannot_be_is_refused(client: TestClient, pipeline: Headers, name: str, value: str) -> None:
    response = client.post(RUNS, params={name: value}, json=report(), headers=pipeline)

    assert response.status_code == 422
    assert response.json()["errors"][0]["where"] == f"query.{name}"


def test_the_order_of_keys_and_spaces_make_no_other_report(client: TestClient, pipeline: Headers) -> None:
    content = report(started_at="2026-11-22T10:00:00Z")
    first = client.post(RUNS, json=content, headers=pipeline)

    rewritten = dict(reversed(content.items()))
    again = client.post(RUNS, content=json.dumps(rewritten, indent=8), headers=pipeline)

    assert again.json()["id"] == first.json()["id"]


def test_the_same_report_of_two_projects_is_two_runs(client: TestClient, admin: Headers, shop: Any) -> None:
    ProjectFactory(slug="store")

    first = client.post(RUNS, json=report(), headers=admin)
    second = client.post("/api/v1/projects/store/runs", json=report(), headers=admin)

    assert (first.status_code, second.status_code) == (201, 201)
    assert first.json()["id"] != second.json()["id"]


@pytest.mark.parametrize("encoding", ["gzip", "identity"])
def test_the_report_is_given_back_byte_for_byte(client: TestClient, pipeline: Headers, encoding: str) -> None:
    content = report(reason="caf\u00e9", snapshot=[{"definition": {"z": 1e2, "a": 0.10, "é": [None, {}]}}])
    body = json.dumps(content, indent=3, ensure_ascii=False).replace("100.0", "1e2").encode()
    place = client.post(RUNS, content=body, headers=pipeline).headers["location"]

    response = client.get(f"{place}/report", headers=pipeline | {"accept-encoding": encoding})

    assert response.headers["content-type"] == "application/json"
    assert response.headers["vary"] == "Accept-Encoding"
    assert response.headers.get("content-encoding", "identity") == encoding
    assert response.content == body
    assert b"1e2" in body


def test_a_report_that_older_code_stored_is_read_too(client: TestClient, admin: Headers, shop: Any) -> None:
    run = RunFactory(project=shop, report={"n": 1})

    assert client.get(f"{RUNS}/{run.id}/report", headers=admin).json() == {"n": 1}


def test_findings_that_were_accepted_are_not_counted(client: TestClient, admin: Headers, shop: Any) -> None:
    run = RunFactory(project=shop)
    RunFindingFactory(run=run, severity=Severity.ERROR)
    RunFindingFactory(run=run, severity=Severity.WARNING)
    RunFindingFactory(run=run, severity=Severity.WARNING, allowed="the table is empty")

    (listed,) = client.get(RUNS, headers=admin).json()["items"]

    assert listed["finding_counts"] == {"error": 1, "warning": 1, "notice": 0}


def test_runs_are_listed_page_by_page_with_the_newest_first(client: TestClient, admin: Headers, shop: Any) -> None:
    runs = [RunFactory(project=shop) for _ in range(5)]
    RunFactory()  # of another project

    pages = pages_of(client, RUNS, admin, limit=2)

    newest_first = [str(run.id) for run in reversed(runs)]
    assert [[run["id"] for run in page] for page in pages] == [newest_first[:2], newest_first[2:4], newest_first[4:]]


def pages_of(client: TestClient, path: str, headers: Headers, *, limit: int) -> list[list[dict[str, Any]]]:
    """As many requests as it takes until there is no `next_cursor`."""
    pages: list[list[dict[str, Any]]] = []
    cursor = None
    while cursor or not pages:
        query = {"limit": str(limit)} | ({"cursor": cursor} if cursor else {})
        page = client.get(path, params=query, headers=headers).json()
        pages.append(page["items"])
        cursor = page["next_cursor"]
    return pages


def test_a_page_links_to_the_next_one_with_the_same_filters(client: TestClient, admin: Headers, shop: Any) -> None:
    for _ in range(3):
        RunFactory(project=shop, verdict=Verdict.FAIL)

    first = client.get(RUNS, params={"verdict": "fail", "limit": 2}, headers=admin)
    last = client.get(first.links["next"]["url"], headers=admin)

    assert first.links["next"]["url"].startswith(f"{RUNS}?verdict=fail&limit=2&cursor=")
    assert [len(page.json()["items"]) for page in (first, last)] == [2, 1]
    assert "link" not in last.headers


@pytest.mark.parametrize("there_are", [0, 2, 4])
def test_the_last_page_is_known_to_be_the_last(client: TestClient, admin: Headers, shop: Any, there_are: int) -> None:
    run = RunFactory(project=ProjectFactory(slug="other"))
    for _ in range(there_are):
        RunFactory(project=shop)
        RunFindingFactory(run=run)

    for path in (RUNS, f"/api/v1/projects/other/runs/{run.id}/findings"):
        assert [len(page) for page in pages_of(client, path, admin, limit=2)] == ([2] * (there_are // 2) or [0])


def test_runs_received_at_the_same_moment_are_neither_lost_nor_repeated(
    client: TestClient, admin: Headers, shop: Any
) -> None:
    first = RunFactory(project=shop)
    runs = {first.id, *(RunFactory(project=shop, received_at=first.received_at).id for _ in range(4))}

    seen: list[str] = []
    cursor = None
    while cursor or not seen:
        page = client.get(RUNS, params={"limit": 1, **({"cursor": cursor} if cursor else {})}, headers=admin).json()
        seen += [run["id"] for run in page["items"]]
        cursor = page["next_cursor"]

    assert sorted(seen) == sorted(map(str, runs))


def test_runs_can_be_listed_by_verdict_commit_and_fingerprint(client: TestClient, admin: Headers, shop: Any) -> None:
    failed = RunFactory(project=shop, verdict=Verdict.FAIL, commit="a" * 40)
    passed = RunFactory(project=shop, verdict=Verdict.PASS, commit="b" * 40)
    RunFindingFactory(run=failed, fingerprint="f00d")

    def listed(**query: str) -> list[str]:
        return [run["id"] for run in client.get(RUNS, params=query, headers=admin).json()["items"]]

    assert listed(verdict="fail") == [str(failed.id)]
    assert listed(commit="b" * 40) == [str(passed.id)]
    assert listed(fingerprint="f00d") == [str(failed.id)]
    assert listed(verdict="pass", fingerprint="f00d") == []


def test_lists_do_not_fetch_the_reports(client: TestClient, admin: Headers, shop: Any, engine: sa.Engine) -> None:
    RunFactory(project=shop)
    statements: list[str] = []
    sa.event.listen(engine, "before_cursor_execute", lambda *arguments: statements.append(arguments[2]))

    client.get(RUNS, headers=admin)

    (listing,) = (statement for statement in statements if "FROM run \n" in statement)
    assert "run.verdict" in listing
    assert "run.report" not in listing


def test_findings_are_read_page_by_page_in_the_order_of_the_report(client: TestClient, pipeline: Headers) -> None:
    messages = [f"number {number}" for number in range(120)]
    content = report(findings=[finding(message=message) for message in messages])
    place = client.post(RUNS, json=content, headers=pipeline).headers["location"]

    run = client.get(place, headers=pipeline).json()
    rest = client.get(f"{place}/findings?cursor={run['findings_next_cursor']}&limit=200", headers=pipeline).json()

    assert [each["message"] for each in run["findings"]] == messages[:50]
    assert [each["message"] for each in rest["items"]] == messages[50:]
    assert rest["next_cursor"] is None
    pages = pages_of(client, f"{place}/findings", pipeline, limit=50)
    assert [each["message"] for page in pages for each in page] == messages


@pytest.mark.parametrize("cursor", ["nonsense", "LTE", "bnVsbA", "OTk5OTk5OTk5OTk"])  # -1, null, 99999999999
def test_a_page_of_findings_that_cannot_be(client: TestClient, admin: Headers, shop: Any, cursor: str) -> None:
    run = RunFactory(project=shop)

    response = client.get(f"{RUNS}/{run.id}/findings?cursor={cursor}", headers=admin)

    assert response.status_code == 422
    assert response.json()["type"].endswith(":invalid-cursor")


def test_long_texts_are_cut_in_lists_and_whole_in_the_report(client: TestClient, pipeline: Headers) -> None:
    long = "x" * 90_000
    content = report(
        reason=long,
        graph={"heads": [f"{number:04}" for number in range(900)]},
        checks=[{"id": "upgrade", "outcome": "skipped", "reason": long}],
        findings=[finding(message=long, detail=long, help=long, allowed=long, subject=long, object="o" * 4_000)],
    )
    place = client.post(RUNS, json=content, headers=pipeline).headers["location"]

    run = client.get(place, headers=pipeline)
    (listed,) = client.get(RUNS, headers=pipeline).json()["items"]

    assert len(listed["reason"]) == 2_000
    assert listed["reason"].endswith("x…")
    assert listed["heads"] == [f"{number:04}" for number in range(20)]
    assert len(run.content) < 50_000
    assert client.get(f"{place}/report", headers=pipeline).json() == content


def test_findings_are_counted_where_older_code_stored_the_run(client: TestClient, admin: Headers, shop: Any) -> None:
    older, newer = RunFactory(project=shop), RunFactory(project=shop, finding_counts={"error": 7})
    RunFindingFactory(run=older, severity=Severity.NOTICE)

    listed = client.get(RUNS, headers=admin).json()["items"]

    assert {run["id"]: run["finding_counts"] for run in listed} == {
        str(older.id): {"error": 0, "warning": 0, "notice": 1},
        str(newer.id): {"error": 7, "warning": 0, "notice": 0},
    }


def test_a_fingerprint_is_looked_for_in_the_project_alone(client: TestClient, admin: Headers, shop: Any) -> None:
    own = RunFindingFactory(run=RunFactory(project=shop), fingerprint="f00d")
    RunFindingFactory(run=RunFactory(), fingerprint="f00d")

    listed = client.get(RUNS, params={"fingerprint": "f00d"}, headers=admin).json()["items"]

    assert [run["id"] for run in listed] == [str(own.run_id)]


@pytest.mark.parametrize(
    ("query", "index"),
    [
        ({"verdict": Verdict.ERROR}, "ix_run_project_id_verdict_received_at_id"),
        ({"fingerprint": "f00d"}, "ix_run_finding_project_id_fingerprint_run_id|pk_run_finding"),
    ],
)
def test_a_rare_filter_reads_no_rows_of_other_projects(
    session: Session, shop: Any, query: dict[str, Any], index: str
) -> None:
    RunFactory.create_batch(3)
    fill = """
        INSERT INTO run (id, project_id, digest, verdict, heads, tool_version, started_at, duration_ms, report)
        SELECT gen_random_uuid(), project_id, sha256(n::text::bytea), 'error', '{}', '1', now(), 1, '{}'
        FROM run, generate_series(1, 2000) n;
        INSERT INTO run_finding (run_id, position, "check", severity, message, fingerprint, project_id)
        SELECT id, 0, 'x', 'error', 'x', 'f00d', project_id FROM run WHERE verdict = 'error';
        ANALYZE run, run_finding
    """
    session.execute(sa.text(fill))
    statements: list[tuple[str, Any]] = []
    sa.event.listen(session.get_bind(), "before_cursor_execute", lambda *a: statements.append((a[2], a[3])))

    assert service.list_runs(session, shop, **query).items == []

    statement, parameters = statements[0]
    plan = session.connection().exec_driver_sql(f"EXPLAIN {statement}", parameters).scalars().all()
    assert any(re.search(rf"using ({index})\b", line) for line in plan), plan
    assert not any("Seq Scan" in line for line in plan), plan


def test_an_archived_project_takes_no_new_runs_and_still_answers_for_those_it_has(
    client: TestClient, pipeline: Headers, shop: Any, admin: Headers
) -> None:
    known = client.post(RUNS, json=report(), headers=pipeline)
    client.post("/api/v1/projects/shop/archive", headers=admin)

    again = client.post(RUNS, json=report(), headers=pipeline)
    new = client.post(RUNS, json=report(verdict="fail"), headers=pipeline)

    assert again.json()["id"] == known.json()["id"]
    assert new.status_code == 409
    assert new.json()["type"].endswith(":project-archived")
    assert client.get(known.headers["location"], headers=pipeline).status_code == 200


@pytest.mark.parametrize("scope", ["read", "deploy"])
def test_a_token_for_something_else_cannot_post_reports(client: TestClient, shop: Any, scope: str) -> None:
    response = client.post(RUNS, json=report(), headers=bearer(shop, scope))

    assert response.status_code == 403
    assert response.json()["type"].endswith(":scope-missing")
    assert "'report'" in response.json()["detail"]


def test_a_run_of_another_project_is_not_there(client: TestClient, pipeline: Headers) -> None:
    elsewhere = RunFactory()

    for path in (f"{RUNS}/{elsewhere.id}", f"{RUNS}/{elsewhere.id}/report", f"{RUNS}/{uuid4()}"):
        response = client.get(path, headers=pipeline)
        assert response.status_code == 404
        assert response.json()["type"].endswith(":run-not-found")


def test_a_report_without_a_verdict_is_kept_too(client: TestClient, pipeline: Headers) -> None:
    content = report(verdict="error", reason="The server could not be reached.")

    response = client.post(RUNS, json=content, headers=pipeline)

    assert response.json()["verdict"] == "error"
    assert response.json()["reason"] == "The server could not be reached."


def test_checks_that_were_skipped_keep_their_reason(client: TestClient, pipeline: Headers) -> None:
    content = report(checks=[{"id": "upgrade", "outcome": "skipped", "reason": "the history cannot be read"}])
    place = client.post(RUNS, json=content, headers=pipeline).headers["location"]

    (check,) = client.get(place, headers=pipeline).json()["checks"]

    assert check["reason"] == "the history cannot be read"


def test_what_belongs_to_a_run_goes_with_it_and_a_project_with_runs_stays(session: Session, shop: Any) -> None:
    run = RunFindingFactory(run=RunFactory(project=shop)).run_id

    with pytest.raises(IntegrityError, match="fk_run_project_id_project"), session.begin_nested():
        session.execute(sa.delete(Project))
    session.execute(sa.delete(Run).where(Run.id == run))

    assert session.exec(select(RunFinding)).all() == []
    assert session.exec(select(RunCheck)).all() == []
