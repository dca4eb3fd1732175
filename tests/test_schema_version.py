"""The service starts on a database at the code's head and on no other, and never makes tables."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from pathlib import Path

import pytest
import sqlalchemy as sa
from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory
from fastapi.testclient import TestClient
from starlette.types import Message

from app.cli import main
from app.factory import create_app
from app.gate.server.database import Database
from app.schema_version import MIGRATIONS, NotAtHead
from app.settings import Settings

ROOT = Path(__file__).parents[1]
SCRIPTS = ScriptDirectory(str(MIGRATIONS))
HEAD = str(SCRIPTS.get_current_head())
BEFORE = str(SCRIPTS.get_revision(HEAD).down_revision)


def downgrade(database: Database, revision: str) -> None:
    config = Config(ROOT / "alembic.ini")
    engine = sa.create_engine(database.url("psycopg2"), poolclass=sa.NullPool)
    config.attributes["connection"] = engine
    command.downgrade(config, revision)


def set_revision(database: Database, revision: str) -> None:
    with database.connect() as connection, connection.cursor() as cursor:
        cursor.execute("UPDATE alembic_version SET version_num = %s", [revision])


def application_on(database: Database) -> TestClient:
    return TestClient(create_app(Settings(database_url=sa.make_url(database.url("psycopg2")))))


def startup_messages(client: TestClient) -> list[Message]:
    """What a server is told when it asks the application to start."""
    sent: list[Message] = []

    async def receive() -> Message:
        return {"type": "lifespan.startup"}

    async def send(message: Message) -> None:
        sent.append(message)

    asyncio.run(client.app({"type": "lifespan", "state": {}}, receive, send))  # type: ignore[arg-type]
    return sent


def test_an_empty_database_is_refused_with_the_command_and_stays_empty(blank_database: Database) -> None:
    (message,) = startup_messages(application_on(blank_database))

    assert message["type"] == "lifespan.startup.failed"
    assert message["message"] == (
        f"the database is at no revision, and the code's head is {HEAD}: run python -m alembic upgrade head"
    )
    with blank_database.connect() as connection, connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM pg_class WHERE relnamespace = 'public'::regnamespace")
        assert cursor.fetchone() == (0,)


def test_a_database_behind_the_head_is_refused_with_both_revisions(migrated_database: Database) -> None:
    downgrade(migrated_database, BEFORE)

    (message,) = startup_messages(application_on(migrated_database))

    assert message["message"] == (
        f"the database is at revision {BEFORE}, and the code's head is {HEAD}: run python -m alembic upgrade head"
    )


def test_a_database_ahead_of_the_code_is_not_told_to_be_upgraded(migrated_database: Database) -> None:
    set_revision(migrated_database, "f0f0f0f0f0f0")

    (message,) = startup_messages(application_on(migrated_database))

    assert f"is at revision f0f0f0f0f0f0, and the code's head is {HEAD}" in message["message"]
    assert "deploy the code" in message["message"]
    assert "upgrade head" not in message["message"]


def test_a_database_at_head_is_served(migrated_database: Database) -> None:
    with application_on(migrated_database) as client:
        assert client.get("/readyz").status_code == 200


def test_a_running_service_stays_ready_when_its_database_is_upgraded(migrated_database: Database) -> None:
    with application_on(migrated_database) as client:
        set_revision(migrated_database, "f0f0f0f0f0f0")

        assert client.get("/readyz").status_code == 200


def test_a_running_service_whose_database_is_downgraded_is_no_longer_ready(migrated_database: Database) -> None:
    with application_on(migrated_database) as client:
        set_revision(migrated_database, BEFORE)

        response = client.get("/readyz")

    assert response.status_code == 503
    assert f"is at revision {BEFORE}, and the code's head is {HEAD}" in response.json()["detail"]


def test_a_running_service_whose_database_is_emptied_is_no_longer_ready(migrated_database: Database) -> None:
    with application_on(migrated_database) as client:
        with migrated_database.connect() as connection, connection.cursor() as cursor:
            cursor.execute("DELETE FROM alembic_version")

        assert client.get("/readyz").status_code == 503


def test_a_fault_at_start_is_still_told_with_its_traceback(
    migrated_database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fault(*arguments: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr("app.factory.require_head", fault)
    client = application_on(migrated_database)

    with pytest.raises(ZeroDivisionError):
        startup_messages(client)


@pytest.mark.parametrize("arguments", [["serve", "--port", "1"], ["token", "create", "--admin"]])
def test_every_command_says_the_same(
    arguments: list[str],
    blank_database: Database,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("DATABASE_URL", blank_database.url())

    try:
        status = main(arguments)
    except SystemExit as end:
        status = end.code  # type: ignore[assignment]

    assert status == 2
    said = capfd.readouterr().err
    assert said.startswith("overproof: the database is at no revision")
    assert len(said.splitlines()) == 1


def test_uvicorn_ends_with_one_line_and_no_traceback(blank_database: Database) -> None:
    ended = subprocess.run(
        [sys.executable, "-m", "uvicorn", "--factory", "app.factory:create_app"],
        cwd=ROOT,
        env=os.environ | {"DATABASE_URL": blank_database.url()},
        capture_output=True,
        text=True,
        check=False,
    )

    assert ended.returncode == 2
    assert ended.stderr.splitlines() == [
        f"overproof: the database is at no revision, and the code's head is {HEAD}: run python -m alembic upgrade head"
    ]


def test_the_question_can_be_asked_without_starting(blank_database: Database) -> None:
    from app.factory import check_database

    with pytest.raises(NotAtHead):
        check_database(sa.make_url(blank_database.url("psycopg2")))
