"""What the gate submits, the record takes: the two halves of `overproof verify --submit` together."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from urllib.parse import urlsplit

import pytest
import sqlalchemy as sa
from fastapi.testclient import TestClient
from sqlmodel import Session

from app.factory import create_app
from app.gate.commands._record import RecordFailed, read_destination
from app.gate.commands._submission import submit
from app.gate.report.model import FindingEntry, GraphEntry, Report, RevisionEntry, TargetEntry, Tool
from app.gate.report.verdict import Severity, Verdict
from app.gate.server.database import Database
from app.settings import Settings
from tests import factories
from tests.serving import serving

SECRET = "ovp_of_the_pipeline"
COMMIT = "6dcb09b5b57875f334f61aebed695e2e4193db5e"
REPORT = Report(
    verdict=Verdict.FAIL,
    tool=Tool(name="overproof", version="0.1.0"),
    target=TargetEntry(command=["alembic", "upgrade", "head"], commit=COMMIT, base="origin/main"),
    started_at=datetime(2026, 11, 22, tzinfo=UTC),
    duration_ms=1.0,
    graph=GraphEntry(heads=["a1"], bases=["a1"], revisions=[RevisionEntry(revision="a1", sha256="0" * 64)]),
    findings=[
        FindingEntry(
            check="upgrade",
            severity=Severity.ERROR,
            subject="fails 42P01",
            message="It fails: „größe“.",
            fingerprint="f0",
        )
    ],
)


@pytest.fixture
def url(migrated_database: Database) -> Iterator[str]:
    """Of a project, in a service that listens on the loopback address."""
    database_url = sa.make_url(migrated_database.url("psycopg2"))
    engine = sa.create_engine(database_url, poolclass=sa.NullPool)
    with Session(engine) as session, session.begin():
        factories.store_in(session)
        factories.ApiTokenFactory(secret=SECRET, project=factories.ProjectFactory(slug="shop"))
        factories.store_in(None)
    with serving(database_url) as url:
        yield f"{url}/api/v1/projects/shop"


def test_a_submitted_report_is_a_run_with_its_context(url: str, migrated_database: Database) -> None:
    environ = {"OVERPROOF_TOKEN": SECRET, "GITLAB_CI": "true", "CI_COMMIT_SHA": COMMIT, "CI_MERGE_REQUEST_IID": "7"}
    destination = read_destination(url, environ)

    first = submit(REPORT, destination, environ)
    again = submit(REPORT, destination, environ)

    assert first == again
    app = create_app(Settings(database_url=sa.make_url(migrated_database.url("psycopg2"))))
    with TestClient(app, headers={"Authorization": f"Bearer {SECRET}"}) as client:
        run = client.get(f"/{first.run_url.split('/', 3)[3]}").json()
        report = client.get(f"/{first.run_url.split('/', 3)[3]}/report").json()
        page = client.get(urlsplit(first.page_url).path)
    assert (run["head_sha"], run["change"], run["branch"]) == (COMMIT, "7", None)
    assert run["findings"][0]["subject"] == "fails 42P01"
    assert Report.model_validate(report) == REPORT
    assert page.url.path == "/sign-in"
    assert page.url.params["next"] == f"/projects/shop/runs/{run['id']}"


def test_a_refusal_of_the_record_is_its_own_sentence(url: str) -> None:
    environ = {"OVERPROOF_TOKEN": "ovp_nonsense"}

    with pytest.raises(RecordFailed, match=r"^the token is unknown, was revoked or has expired\. Ask an administrator"):
        submit(REPORT, read_destination(url, environ), environ)
