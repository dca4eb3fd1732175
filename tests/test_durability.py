"""What was answered 201 is stored, whatever is killed meanwhile."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from http.client import HTTPException
from pathlib import Path
from urllib.error import HTTPError
from urllib.request import ProxyHandler, Request, build_opener

import pytest
import sqlalchemy as sa
from sqlmodel import Session

from app.gate.server.database import Database
from app.gate.server.persistent import persistent_database
from tests import factories

ROOT = Path(__file__).parents[1]
CLIENTS = 4
MOST_POSTS = 2_000  # of all clients together
PATIENCE_S = 60.0
SECRET = "ovp_of_the_pipeline"


@pytest.fixture
def durable_database(tmp_path: Path, processes: None) -> Iterator[Database]:
    """A server of its own, with PostgreSQL's usual durability, for what must not happen to the server of all tests."""
    with persistent_database(tmp_path / "serve") as database:
        environ = os.environ | {"DATABASE_URL": database.url("psycopg2")}
        upgrade = [sys.executable, "-m", "alembic", "upgrade", "head"]
        subprocess.run(upgrade, cwd=ROOT, env=environ, capture_output=True, check=True)
        engine = sa.create_engine(database.url("psycopg2"), poolclass=sa.NullPool)
        with Session(engine) as session, session.begin():
            factories.store_in(session)
            factories.ApiTokenFactory(secret=SECRET, project=factories.ProjectFactory(slug="shop"))
            factories.store_in(None)
        yield database


@pytest.fixture
def service(durable_database: Database) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """The process of `overproof serve`, and the URL to which reports are posted."""
    command = [sys.executable, "-m", "uvicorn", "--factory", "app.factory:create_app", "--port", "0"]
    process = subprocess.Popen(
        command,
        cwd=ROOT,
        env=os.environ | {"DATABASE_URL": durable_database.url("psycopg2"), "PYTHONUNBUFFERED": "1"},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    with process:
        assert process.stderr is not None
        begin = next(line for line in process.stderr if "running on" in line or process.poll() is not None)
        url = begin.partition("running on ")[2].split()[0]
        drain = threading.Thread(target=process.stderr.read)
        drain.start()
        yield process, f"{url}/api/v1/projects/shop/runs"
        process.kill()
        drain.join()


@dataclass
class Clients:
    """They post different reports until the service is gone."""

    url: str
    numbers: Iterator[int] = field(default_factory=lambda: iter(range(MOST_POSTS)))
    stored: set[str] = field(default_factory=set)  # the IDs that were answered with 201
    failures: set[int] = field(default_factory=set)  # the statuses of other answers
    new: threading.Semaphore = field(default_factory=lambda: threading.Semaphore(0))

    def post_until_the_end(self) -> None:
        opener = build_opener(ProxyHandler({}))
        for number in self.numbers:
            body = json.dumps(factories.report(reason=f"number {number}", findings=[factories.finding()] * 20))
            headers = {"Authorization": f"Bearer {SECRET}", "Content-Type": "application/json"}
            try:
                with opener.open(Request(self.url, body.encode(), headers), timeout=PATIENCE_S) as answer:
                    self.stored.add(json.load(answer)["id"])
                    self.new.release()
            except HTTPError as error:
                self.failures.add(error.code)
                error.close()
            except (OSError, HTTPException):
                return

    def wait_for(self, number: int) -> None:
        """So many more that were answered with 201."""
        for _ in range(number):
            assert self.new.acquire(timeout=PATIENCE_S), f"no more reports are stored; other answers: {self.failures}"


def test_what_was_answered_201_survives_the_kill_of_a_backend_and_of_the_service(
    durable_database: Database, service: tuple[subprocess.Popen[str], str]
) -> None:
    process, url = service
    clients = Clients(url)

    with ThreadPoolExecutor(CLIENTS) as pool:
        ends = [pool.submit(clients.post_until_the_end) for _ in range(CLIENTS)]
        clients.wait_for(20)
        os.kill(backend_of_the_service(durable_database), signal.SIGKILL)
        clients.wait_for(40)
        process.kill()
        for end in ends:
            end.result(PATIENCE_S)

    assert clients.failures <= {503}
    assert len(clients.stored) >= 60
    with durable_database.connect() as connection, connection.cursor() as cursor:
        cursor.execute("SELECT run.id::text, count(*) FROM run JOIN run_finding ON run_id = run.id GROUP BY run.id")
        findings_by_run = dict(cursor.fetchall())
    assert clients.stored <= findings_by_run.keys()
    assert set(findings_by_run.values()) == {20}


def backend_of_the_service(database: Database) -> int:
    """A process of PostgreSQL. When one is killed, PostgreSQL ends all sessions and recovers."""
    with database.connect() as connection, connection.cursor() as cursor:
        cursor.execute("SELECT pid FROM pg_stat_activity WHERE application_name = 'overproof' LIMIT 1")
        return int(cursor.fetchall()[0][0])
