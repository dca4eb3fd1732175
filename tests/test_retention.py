"""`overproof prune`: what is old goes in batches, what is kept stays, and a purged project leaves its audit alone."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import sqlalchemy as sa
from fastapi.testclient import TestClient
from sqlmodel import Session

from app import retention
from app.cli import main
from app.factory import create_app
from app.gate.server.database import Database
from app.metadata import metadata
from app.settings import Settings
from tests import factories
from tests.factories import finding, proof, revision, snapshot

SHOP = "/api/v1/projects/shop"
PRODUCTION = f"{SHOP}/environments/production"
WAIVER = {"fingerprint": "f00d", "reason": "x", "ends_at": "2099-01-01T00:00:00Z"}


@pytest.fixture
def engine(migrated_database: Database) -> Iterator[sa.Engine]:
    engine = sa.create_engine(migrated_database.url("psycopg2"), poolclass=sa.NullPool)
    with Session(engine) as session, session.begin():
        factories.store_in(session)
        factories.ApiTokenFactory(secret="ovp_admin", trusted=True)
        factories.store_in(None)
    yield engine
    engine.dispose()


@pytest.fixture
def client(engine: sa.Engine) -> Iterator[TestClient]:
    with TestClient(
        create_app(Settings(database_url=engine.url)), headers={"Authorization": "Bearer ovp_admin"}
    ) as client:
        yield client


def fill(client: TestClient, slug: str = "shop") -> Any:
    """A project with something in each table. Returns its run."""

    def send(method: str, path: str, content: Any = None, **query: str) -> Any:
        response = client.request(method, path.replace("shop", slug), json=content, params=query)
        assert response.status_code in (200, 201), response.text
        return response.json()

    send("POST", "/api/v1/projects", {"slug": slug, "name": slug})
    send("POST", f"{SHOP}/tokens", {"name": "CI", "scope": "read"})
    send("PUT", PRODUCTION, {})
    objects = {"snapshot": [], "digest": "0" * 64}
    run = send("POST", f"{SHOP}/runs", proof(revision("a1"), findings=[finding(severity="notice")], **objects))
    send("POST", f"{SHOP}/runs", proof(revision("a1"), revision("b2", "a1")), change="7")
    send("PUT", f"{PRODUCTION}/deployments/1", {"heads": ["a1"]})
    for _ in range(2):
        send("POST", f"{PRODUCTION}/snapshots", snapshot("a1"))
    send("POST", f"{PRODUCTION}/decisions", {"heads": ["a1"]})
    send("POST", f"{SHOP}/waivers", WAIVER)
    return run


def counts(engine: sa.Engine) -> dict[str, int]:
    with engine.connect() as connection:
        return {name: connection.scalar(sa.text(f'SELECT count(*) FROM "{name}"')) or 0 for name in metadata.tables}


def grow_older(engine: sa.Engine, days: int) -> None:
    age = f"- interval '{days} days'"
    with engine.begin() as connection:
        for table, column in (
            ("run", "received_at"),
            ("report", "stored_at"),
            ("environment_snapshot", "received_at"),
            ("change", "seen_at"),
            ("history", "first_seen_at"),
        ):
            connection.execute(sa.text(f"UPDATE {table} SET {column} = {column} {age}"))


def test_nothing_is_deleted_before_its_time(client: TestClient, engine: sa.Engine) -> None:
    fill(client)
    before = counts(engine)
    grow_older(engine, 89)

    assert sum(retention.prune(engine).values()) == 0
    assert counts(engine) == before


def test_after_90_days_a_report_has_expired_and_its_run_stays(client: TestClient, engine: sa.Engine) -> None:
    run = fill(client)
    grow_older(engine, 91)

    assert retention.prune(engine) == {
        "reports expired": 2,
        "snapshots deleted": 1,
        "changes closed": 1,
        "runs deleted": 0,
        "changes deleted": 0,
        "histories deleted": 0,
    }

    response = client.get(f"{SHOP}/runs/{run['id']}/report")
    assert (response.status_code, response.json()["type"].rpartition(":")[2]) == (410, "report-expired")
    assert client.get(f"{SHOP}/runs/{run['id']}").json()["findings"] != []
    assert len(client.get(f"{PRODUCTION}/snapshots").json()["items"]) == 1


def test_after_a_year_proofs_and_decisions_are_what_is_left_of_a_run(client: TestClient, engine: sa.Engine) -> None:
    fill(client)
    grow_older(engine, 366)

    deleted = retention.prune(engine)

    assert (deleted["runs deleted"], deleted["changes deleted"]) == (2, 1)
    assert deleted["histories deleted"] == 1  # the other one is deployed
    left = counts(engine)
    assert {name for name, count in left.items() if count == 0} == {
        "change",
        "change_revision",
        "report",
        "run",
        "run_check",
        "run_finding",
    }
    assert (left["proof"], left["decision"]) == (2, 1)


def test_it_works_in_batches(client: TestClient, engine: sa.Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    fill(client)
    grow_older(engine, 91)
    monkeypatch.setattr(retention, "BATCH", 1)
    rows: list[int] = []
    sa.event.listen(engine, "after_cursor_execute", lambda *arguments: rows.append(arguments[1].rowcount))

    assert retention.prune(engine)["reports expired"] == 2
    assert max(rows[1:]) == 1


def test_of_a_purged_project_its_audit_is_left(client: TestClient, engine: sa.Engine) -> None:
    fill(client, "store")
    others = counts(engine)
    fill(client)
    client.post(f"{SHOP}/archive")
    assert client.delete(SHOP).status_code == 204
    entries = counts(engine)["audit_entry"]
    of_shop = {name: count - others[name] for name, count in counts(engine).items()}
    entries_of_shop = of_shop["audit_entry"]

    deleted = retention.prune(engine)

    assert deleted["rows of purged projects deleted"] == sum(of_shop.values()) - entries_of_shop
    assert sum(deleted.values()) == deleted["rows of purged projects deleted"]
    assert counts(engine) == others | {"audit_entry": entries}


def test_the_command_says_what_it_deleted(
    client: TestClient, engine: sa.Engine, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    fill(client)
    grow_older(engine, 91)
    monkeypatch.setenv("DATABASE_URL", engine.url.render_as_string(hide_password=False))

    assert [main(["prune"]), main(["prune"])] == [0, 0]

    lines = capsys.readouterr().out.splitlines()
    assert lines == [
        "reports expired: 2, snapshots deleted: 1, changes closed: 1",
        "nothing to delete",
    ]
    assert [main(["prune", option, "0"]) for option in ("--run-days", "--report-days")] == [2, 2]
    assert capsys.readouterr().err.splitlines() == [
        f"overproof: {option} must be a whole number of at least 1" for option in ("--run-days", "--report-days")
    ]
    assert main(["prune", "--report-days", "1", "--run-days", "1"]) == 0
    assert capsys.readouterr().out == "runs deleted: 2, changes deleted: 1, histories deleted: 1\n"
    monkeypatch.delenv("DATABASE_URL")
    assert main(["prune"]) == 2
    assert capsys.readouterr().err.startswith("overproof: DATABASE_URL is not set")
