"""The record under load, beside the least application that does the same: `tox -e bench -- --part service`.

Both are served by one uvicorn process each, from one database on one PostgreSQL server, and measured in turn.
"""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.request import ProxyHandler, Request, build_opener

import sqlalchemy as sa
from sqlmodel import Session

from app.gate.server.throwaway import Server
from tests import factories
from tests.bench.load import Load
from tests.bench.overproof import ROOT

SECRET = "ovp_bench"
CLIENTS = (8, 100, 300)
SECONDS = 8.0
RUNS = "/api/v1/projects/shop/runs"


class Served:
    """A service in a process of its own."""

    def __init__(self, process: subprocess.Popen[bytes], port: int) -> None:
        self.process = process
        self.port = port

    def request(self, method: str, path: str, body: Any = None) -> tuple[int, Any, float]:
        """The status, the answer, and the seconds that it took."""
        headers = {"Authorization": f"Bearer {SECRET}", "Content-Type": "application/json"}
        content = None if body is None else json.dumps(body).encode()
        request = Request(f"http://127.0.0.1:{self.port}{path}", content, headers, method=method)
        began = time.perf_counter()
        with build_opener(ProxyHandler({})).open(request, timeout=120) as answer:
            content = answer.read()
        return answer.status, json.loads(content), time.perf_counter() - began

    def load(self, path: str, clients: int) -> Load:
        command = [sys.executable, "-m", "tests.bench.load", str(self.port), path, SECRET, str(clients), str(SECONDS)]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
        return Load(**json.loads(done.stdout))

    def peak_mb(self) -> float:
        """The most memory that the process has had (Linux)."""
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        return next(int(line.split()[1]) / 1024 for line in status.splitlines() if line.startswith("VmHWM"))


@contextmanager
def served(application: list[str], url: str) -> Iterator[Served]:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    process = subprocess.Popen(
        [sys.executable, "-m", "uvicorn", *application, "--port", str(port), "--log-level", "error"],
        cwd=ROOT,
        env=os.environ | {"DATABASE_URL": url},
    )
    try:
        deadline = time.monotonic() + 60
        while True:
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", port)) == 0:
                    break
            if time.monotonic() > deadline or process.poll() is not None:
                sys.exit(f"bench: {application} does not start")
            time.sleep(0.1)
        yield Served(process, port)
    finally:
        process.kill()
        process.wait()


def prepare(server: Server) -> str:
    """A database at head with a project and a token. Returns its URL."""
    url = server.create_database().url("psycopg2")
    subprocess.run(
        [sys.executable, "-m", "alembic", "upgrade", "head"],
        cwd=ROOT,
        env=os.environ | {"DATABASE_URL": url},
        check=True,
        capture_output=True,
    )
    with Session(sa.create_engine(url, poolclass=sa.NullPool)) as session, session.begin():
        factories.store_in(session)
        factories.ProjectFactory(slug="shop")
        factories.ApiTokenFactory(secret=SECRET)
        factories.store_in(None)
    return url


def report_of(revisions: int) -> dict[str, Any]:
    """Of as many new revisions: three steps, four statements and two findings each."""
    statement = {
        "sql": "ALTER TABLE orders ADD COLUMN note varchar(80) DEFAULT '' NOT NULL",
        "duration_ms": 0.4,
        "locks": [{"table": "public.orders", "mode": "AccessExclusiveLock"}],
    }
    names = [f"{number:012x}" for number in range(revisions)]
    return factories.report(
        verdict="fail",
        checks=[{"id": f"check-{number}", "outcome": "pass", "duration_ms": 1.0} for number in range(21)],
        findings=[
            factories.finding(revision=name, fingerprint=f"{name}-{place}", detail=statement["sql"], line=12)
            for name in names
            for place in range(2)
        ],
        graph={"heads": names[-1:], "revisions": [{"revision": name, "path": f"versions/{name}.py"} for name in names]},
        steps=[
            {"revision": name, "direction": direction, "duration_ms": 2.0, "statements": [statement] * 4}
            for name in names
            for direction in ("upgrade", "downgrade", "upgrade")
        ],
    )


FILL = """
INSERT INTO run (id, project_id, digest, verdict, heads, tool_version, started_at, duration_ms, report, finding_counts)
SELECT gen_random_uuid(), id, sha256((:after + n)::text::bytea), 'fail', '{}', '1', now(), 1, '{}', '{"error": 100}'
FROM project, generate_series(1, :runs) n;
INSERT INTO run_finding (run_id, project_id, position, "check", severity, message, fingerprint)
SELECT run.id, project_id, n, 'upgrade', 'error', 'fails', md5(n::text)
FROM run, generate_series(1, 100) n WHERE NOT EXISTS (SELECT FROM run_finding WHERE run_id = run.id);
ANALYZE run, run_finding
"""


def measure_growth(service: Served, url: str, run: str) -> dict[str, list[float]]:
    """{"list": [ms with 10 thousand findings, ms with a million], "read": …}, each the least of fifty."""
    milliseconds: dict[str, list[float]] = {"list": [], "read": [], "by fingerprint": []}
    paths = {"list": f"{RUNS}?limit=50", "read": run, "by fingerprint": f"{RUNS}?fingerprint=none&limit=50"}
    engine = sa.create_engine(url, poolclass=sa.NullPool)
    for after, runs in ((0, 100), (100, 9_900)):
        with engine.begin() as connection:
            connection.execute(sa.text(FILL), {"after": after, "runs": runs})
        for name, path in paths.items():
            milliseconds[name].append(min(service.request("GET", path)[2] for _ in range(50)) * 1000)
    return milliseconds


def measure(server: Server) -> str:
    """A table of all that was measured."""
    url = prepare(server)
    lines = ["| clients | requests/s | least application | ratio | p99 ms | its p99 ms | 503 |", "| --: " * 7 + "|"]
    with (
        served(["--factory", "app.factory:create_app"], url) as service,
        served(["tests.bench.minimal_service:app"], url) as minimal,
    ):
        place = f"{RUNS}/{service.request('POST', RUNS, report_of(2))[1]['id']}"
        for clients in CLIENTS:
            ours, least = service.load(place, clients), minimal.load(f"/runs/{place.rpartition('/')[2]}", clients)
            lines.append(row_of(clients, ours, least))
            recovery = service.request("GET", place)[2]
            print(f"  {lines[-1]}  then one in {recovery * 1000:.0f} ms; {ours.statuses}", flush=True)
        lines.append("")
        for revisions in (200, 5_000):
            seconds = service.request("POST", RUNS, report_of(revisions))[2]
            lines.append(f"A report of {revisions:,} revisions is posted in {seconds:.2f} s.")
        for name, (few, many) in measure_growth(service, url, place).items():
            lines.append(
                f"{name}: {few:.1f} ms with 10 thousand findings, {many:.1f} with a million ({many / few:.2f})."
            )
        lines.append(f"The process had at most {service.peak_mb():.0f} MB of memory in all of this.")
    return "\n".join(lines)


def row_of(clients: int, ours: Load, least: Load) -> str:
    refused: Mapping[str, int] = ours.statuses
    return (
        f"| {clients} | {ours.per_second:.0f} | {least.per_second:.0f} | {ours.per_second / least.per_second:.2f} "
        f"| {ours.p99_ms:.0f} | {least.p99_ms:.0f} | {refused.get('503', 0)} |"
    )
