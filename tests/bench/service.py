"""The record under load, beside the least application that does the same: `tox -e bench -- --part service`.

Both are served by one uvicorn process each, from one database on one PostgreSQL server, and measured in turn.
"""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
import textwrap
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.request import ProxyHandler, Request, build_opener

import sqlalchemy as sa
from sqlmodel import Session

from app.gate.server.throwaway import Server
from tests import factories
from tests.bench.load import Load
from tests.bench.machine import describe_machine
from tests.bench.overproof import ROOT
from tests.bench.page import format_table
from tests.services import WITHOUT_LIMITS

SECRET = "ovp_bench"
CLIENTS = (8, 100, 300)
POLITE = 100  # more clients than that wait as long as Retry-After says
WRK = Path(__file__).with_name("wrk.lua")
ROUNDS = 5
SECONDS = 4.0
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

    def load_by_wrk(self, path: str, clients: int) -> Load:
        """By more requests than a program in Python could send. They wait for nothing, also not for Retry-After."""
        url = f"http://127.0.0.1:{self.port}{path}"
        command = [
            "wrk",
            "-t1",
            f"-c{clients}",
            f"-d{SECONDS:.0f}s",
            "-s",
            str(WRK),
            "-H",
            f"Authorization: Bearer {SECRET}",
        ]
        done = subprocess.run([*command, url], capture_output=True, text=True, check=True)
        seen = json.loads(done.stderr)
        answered = seen["requests"] - seen["refused"]
        return Load(
            per_second=answered / (seen["duration_us"] / 1e6),
            p50_ms=seen["p50_us"] / 1000,
            p99_ms=seen["p99_us"] / 1000,
            statuses={"200": answered, "503": seen["refused"], "none": seen["lost"]},
        )

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
        env=os.environ | {"DATABASE_URL": url} | WITHOUT_LIMITS,
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


# Findings and checks with texts as long as those of the gate.
FILL = """
INSERT INTO run (id, project_id, digest, verdict, heads, tool_version, started_at, duration_ms, finding_counts,
    "commit", head_sha, branch, base, ci_url, history, postgres)
SELECT gen_random_uuid(), id, sha256((:after + n)::text::bytea), 'fail', '{7b39e1f5a0c4}', '0.1.0', now(), 2345.6,
    '{"error": 10, "warning": 60, "notice": 30}', sha1, sha1, 'orders-by-date', 'origin/main',
    'https://github.com/acme/shop/actions/runs/1234567890', md5('x') || md5('x'), '18.6'
FROM project, generate_series(1, :runs) n, substr(encode(sha256(n::text::bytea), 'hex'), 1, 40) sha1;
INSERT INTO run_check (run_id, project_id, position, "check", outcome, duration_ms)
SELECT run.id, project_id, n, 'populated-upgrade', 'pass', 3.5
FROM run, generate_series(1, 25) n WHERE NOT EXISTS (SELECT FROM run_check WHERE run_id = run.id);
INSERT INTO run_finding (run_id, project_id, position, "check", severity, revision, object, subject, message, detail,
    help, path, line, fingerprint)
SELECT run.id, project_id, n, 'blocking-index', 'warning', substr(md5(n::text), 1, 12), 'public.orders.ix_orders_placed_at',
    'index ix_orders_placed_at', 'Writes to orders wait while the index ix_orders_placed_at is built.',
    'CREATE INDEX ix_orders_placed_at ON orders (placed_at)',
    repeat('Build it concurrently, in an autocommit block. ', 6),
    'migrations/versions/2026_09_22_1645_find_orders_by_date_7b39e1f5a0c4.py', 22, md5(n::text)
FROM run, generate_series(1, 100) n WHERE NOT EXISTS (SELECT FROM run_finding WHERE run_id = run.id);
ANALYZE run, run_check, run_finding
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


SIZES = """
SELECT relname, reltuples::bigint, pg_table_size(oid) / reltuples, pg_indexes_size(oid) / reltuples
FROM pg_class WHERE relname IN ('run', 'run_check', 'run_finding') ORDER BY relname
"""


def measure_sizes(url: str) -> str:
    """The bytes of a row, with its part of the indexes."""
    with sa.create_engine(url, poolclass=sa.NullPool).connect() as connection:
        rows = connection.execute(sa.text(SIZES)).all()
    lines = [[f"`{name}`", f"{count:,}", f"{table:.0f}", f"{indexes:.0f}"] for name, count, table, indexes in rows]
    return format_table(["table", "rows", "bytes of a row", "of its indexes"], lines)


HEAD = ("clients", "requests/s", "minimal", "ratio", "p99", "minimal's p99", "ratio", "503")
INTRODUCTION = """
One run is read by its ID, from the record and from a minimal application of FastAPI and SQLModel that reads one row
and checks no token (`tests/bench/minimal_service.py`). Each is one process of uvicorn, on the same database of one
server, and both are asked in turn: at 8 and 100 clients by wrk, which asks again at once; at 300 by clients that wait
as long as `Retry-After` says. The best of five rounds. {machine} {load:.1f} processes wanted to run before it began.
"""


def measure(server: Server) -> str:
    """All that was measured, as the section of the page. Exits if wrk is absent."""
    if shutil.which("wrk") is None:
        sys.exit("bench: the part service needs wrk: apt-get install wrk")
    url, load = prepare(server), os.getloadavg()[0]
    with (
        served(["--factory", "app.factory:create_app"], url) as service,
        served(["tests.bench.minimal_service:app"], url) as minimal,
    ):
        place = f"{RUNS}/{service.request('POST', RUNS, report_of(2))[1]['id']}"
        rows, recoveries = [], []
        for clients in CLIENTS:
            measured, least = [], []
            for _ in range(ROUNDS):  # in turn, so that whatever else the machine does hits both
                measured.append((service.load if clients > POLITE else service.load_by_wrk)(place, clients))
                recoveries.append(service.request("GET", place)[2])
                row = f"/runs/{place.rpartition('/')[2]}"
                least.append((minimal.load if clients > POLITE else minimal.load_by_wrk)(row, clients))
            rows.append(row_of(clients, best(measured), best(least)))
            print(f"  {rows[-1]}; {[each.statuses for each in measured]}", flush=True)
        introduction = INTRODUCTION.format(machine=describe_machine(), load=load)
        parts = [textwrap.fill(introduction.strip(), 118) + "\n", format_table(HEAD, rows)]
        lines = [
            f"The first request after the 300 clients was answered in {max(recoveries[-ROUNDS:]) * 1000:.0f} ms or less."
        ]
        for revisions in (200, 5_000):
            seconds = [service.request("POST", RUNS, report_of(revisions) | {"reason": str(n)})[2] for n in range(2)]
            first, second = seconds
            lines.append(
                f"A report of {revisions:,} revisions is posted in {first:.2f} s, and one of the same history in {second:.2f} s."
            )
        parts.append("\n".join(lines) + "\n")
        growth = measure_growth(service, url, place)
        table = [[name, f"{few:.1f} ms", f"{many:.1f} ms", f"{many / few:.2f}"] for name, (few, many) in growth.items()]
        parts.append(format_table(["", "10 thousand findings", "a million", "ratio"], table))
        parts.append(measure_sizes(url))
        parts.append(f"The process had at most {service.peak_mb():.0f} MB of memory in all of this.\n")
    return "\n".join(parts)


def best(measured: Sequence[Load]) -> Load:
    """The round in which the machine did the least besides."""
    return max(measured, key=lambda load: load.per_second)


def row_of(clients: int, measured: Load, least: Load) -> list[str]:
    return [
        str(clients),
        f"{measured.per_second:.0f}",
        f"{least.per_second:.0f}",
        f"{measured.per_second / least.per_second:.2f}",
        f"{measured.p99_ms:.0f} ms",
        f"{least.p99_ms:.0f} ms",
        f"{measured.p99_ms / least.p99_ms:.2f}",
        str(measured.statuses.get("503", 0)),
    ]
