"""The service in processes of its own, and clients that post reports to it as fast as they can."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.client import HTTPException
from itertools import count
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.request import ProxyHandler, Request, build_opener

import sqlalchemy as sa
from sqlmodel import Session

from app.gate.server.database import Database
from tests import factories

ROOT = Path(__file__).parents[1]
PATIENCE_S = 60.0
WITHOUT_LIMITS = {"OVERPROOF_REQUESTS_PER_MINUTE": "0", "OVERPROOF_REQUESTS_PER_MINUTE_OF_ADDRESS": "0"}
SECRET = "ovp_of_the_pipeline"
OPENER = build_opener(ProxyHandler({}))
RUNS = "/api/v1/projects/shop/runs"


def prepare(database: Database) -> None:
    """Bring it to head, with the project `shop` and a token of it."""
    environ = os.environ | {"DATABASE_URL": database.url("psycopg2")}
    upgrade = [sys.executable, "-m", "alembic", "upgrade", "head"]
    subprocess.run(upgrade, cwd=ROOT, env=environ, capture_output=True, check=True)
    engine = sa.create_engine(database.url("psycopg2"), poolclass=sa.NullPool)
    with Session(engine) as session, session.begin():
        factories.store_in(session)
        factories.ApiTokenFactory(secret=SECRET, project=factories.ProjectFactory(slug="shop"))
        factories.store_in(None)


@contextmanager
def service_process(database_url: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """The process, and its URL."""
    command = [sys.executable, "-m", "uvicorn", "--factory", "app.factory:create_app", "--port", "0"]
    process = subprocess.Popen(
        command,
        cwd=ROOT,
        env=os.environ | {"DATABASE_URL": database_url, "PYTHONUNBUFFERED": "1"} | WITHOUT_LIMITS,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    with process:
        assert process.stderr is not None
        begin = next(line for line in process.stderr if "running on" in line or process.poll() is not None)
        assert "running on" in begin, begin
        drain = threading.Thread(target=process.stderr.read)
        drain.start()
        yield process, begin.partition("running on ")[2].split()[0]
        process.kill()
        drain.join()


def ask(url: str, content: Any = None, method: str | None = None) -> tuple[int, Any]:
    """The status, and the answer. With content: POST."""
    body = None if content is None else json.dumps(content).encode()
    headers = {"Authorization": f"Bearer {SECRET}", "Content-Type": "application/json"}
    try:
        with OPENER.open(Request(url, body, headers, method=method), timeout=PATIENCE_S) as answer:
            return answer.status, json.load(answer)
    except HTTPError as error:
        with error:
            return error.code, json.load(error)


@dataclass
class Clients:
    """They post different reports until the service is gone, or they are told to stop."""

    url: str
    numbers: Iterator[int] = field(default_factory=count)
    stored: set[str] = field(default_factory=set)  # the IDs that were answered with 201
    failures: set[int] = field(default_factory=set)  # the statuses of other answers
    new: threading.Semaphore = field(default_factory=lambda: threading.Semaphore(0))
    has_failed: threading.Event = field(default_factory=threading.Event)
    is_over: threading.Event = field(default_factory=threading.Event)

    def post_until_the_end(self) -> None:
        while not self.is_over.is_set():
            report = factories.report(reason=f"number {next(self.numbers)}", findings=[factories.finding()] * 20)
            try:
                status, answer = ask(self.url, report)
            except (OSError, HTTPException):
                return
            if status == 201:
                self.stored.add(answer["id"])
                self.new.release()
            else:
                self.failures.add(status)
                self.has_failed.set()

    def wait_for(self, number: int) -> None:
        """So many more that were answered with 201."""
        for _ in range(number):
            assert self.new.acquire(timeout=PATIENCE_S), f"no more reports are stored; other answers: {self.failures}"

    def wait_for_failure(self) -> None:
        assert self.has_failed.wait(PATIENCE_S), "all reports are stored"


def stored_runs(database: Database) -> dict[str, int]:
    """The number of findings of each run."""
    with database.connect() as connection, connection.cursor() as cursor:
        cursor.execute("SELECT run.id::text, count(*) FROM run JOIN run_finding ON run_id = run.id GROUP BY run.id")
        return dict(cursor.fetchall())
