"""Fixtures that every test may use. Each adds a step: server -> database_url -> engine -> session -> client."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from fastapi import FastAPI
from fastapi.testclient import TestClient
from sqlmodel import Session

from app.factory import create_app
from app.gate.server.database import Database
from app.gate.server.throwaway import Server, throwaway_server
from app.settings import Settings
from app.workers import Workers
from tests import factories, processes

ROOT = Path(__file__).parents[1]

# Read once, before anything sets it: the server on which the tests run, if they are not to start one.
GIVEN_URL = os.environ.get("DATABASE_URL") or None


def pytest_configure(config: pytest.Config) -> None:
    """Whoever is started in the background, or by nohup, ignores signals, and so would the programs that tests send them to.

    What is handled, though nothing is done, is not handed on.
    """
    for number in (signal.SIGINT, signal.SIGQUIT, signal.SIGHUP):
        if signal.getsignal(number) is signal.SIG_IGN:
            signal.signal(number, lambda *_: None)
    config.pluginmanager.register(processes)


@pytest.fixture(scope="session")
def server(processes: None) -> Iterator[Server]:
    """A throwaway PostgreSQL: databases of our own on the server of DATABASE_URL if that is set, else an embedded one."""
    with throwaway_server(GIVEN_URL) as server:
        yield server


@pytest.fixture
def blank_database(server: Server) -> Iterator[Database]:
    """A database with nothing in it."""
    database = server.create_database()
    yield database
    server.drop_database(database)


@pytest.fixture(scope="session")
def template_database(server: Server) -> Database:
    """A database at head, made by our own migrations, to be copied. Nothing may stay connected to it."""
    database = server.create_database()
    upgrade = subprocess.run(
        [sys.executable, "-m", "alembic", "upgrade", "head"],
        check=False,
        cwd=ROOT,
        env=os.environ | {"DATABASE_URL": database.url("psycopg2")},
        capture_output=True,
        text=True,
    )
    if upgrade.returncode:
        pytest.fail(f"our own migrations do not apply:\n{upgrade.stdout}{upgrade.stderr}", pytrace=False)
    return database


@pytest.fixture(scope="session")
def database_url(server: Server, template_database: Database) -> str:
    """A database at head for the whole session: what a test writes there it must roll back, as `session` does."""
    return server.create_database(template_database).url("psycopg2")


@pytest.fixture
def migrated_database(server: Server, template_database: Database) -> Iterator[Database]:
    """A database at head for one test, which may commit whatever it likes."""
    database = server.create_database(template_database)
    yield database
    server.drop_database(database)


@pytest.fixture(scope="session")
def engine(database_url: str) -> Iterator[sa.Engine]:
    engine = sa.create_engine(database_url)
    yield engine
    engine.dispose()


@pytest.fixture
def session(engine: sa.Engine) -> Iterator[Session]:
    """What a test and the code under it write is taken back at the end, also where that code commits."""
    with engine.connect() as connection, connection.begin() as transaction:
        with Session(connection, join_transaction_mode="create_savepoint") as session:
            factories.store_in(session)
            yield session
            factories.store_in(None)
        transaction.rollback()


@pytest.fixture(scope="session")
def built_app(engine: sa.Engine) -> FastAPI:
    """Built once, since that takes longer than most tests. Whoever changes an application makes one of their own."""
    return create_app(Settings(database_url=engine.url, sign_ins_per_minute_of_address=0))


class WorkersOfTest(Workers):
    """On the session of the test. A request that is refused leaves nothing behind in it."""

    def __init__(self, engine: sa.Engine, session: Session) -> None:
        super().__init__(engine, threads=1, queue_length=10, patience_s=10.0)
        self.session = session

    @contextmanager
    def transaction(self, isolation_level: str = "READ COMMITTED") -> Iterator[Session]:
        with self.session.begin_nested():
            yield self.session


@pytest.fixture
def workers(engine: sa.Engine, session: Session) -> Workers:
    return WorkersOfTest(engine, session)


@pytest.fixture
def app(built_app: FastAPI, workers: Workers) -> FastAPI:
    """The service, on the session of the test."""
    built_app.state.workers = built_app.state.probe = workers
    return built_app


@pytest.fixture
def client(app: FastAPI) -> TestClient:
    """Faults are answered as they would be to anybody, and do not rise in the test."""
    client = TestClient(app, raise_server_exceptions=False)
    client.headers["Content-Type"] = "application/json"
    return client


@pytest.fixture
def admin(session: Session) -> dict[str, str]:
    """The headers of an administrator of the installation."""
    return factories.bearer()


@pytest.fixture
def shop(session: Session) -> Any:
    """A project."""
    return factories.ProjectFactory(slug="shop")


@pytest.fixture
def branch(shop: Any) -> dict[str, str]:
    """The headers of the pipeline of its protected branch."""
    return factories.bearer(shop, "report", trusted=True)


@pytest.fixture
def stranger(shop: Any) -> dict[str, str]:
    """The headers of the pipeline of any pull request."""
    return factories.bearer(shop, "report")
