"""Several processes of the service behind PgBouncer in transaction mode, which gives each transaction any connection."""

from __future__ import annotations

import os
import shutil
import subprocess
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from itertools import cycle
from pathlib import Path

import psycopg2
import pytest
import sqlalchemy as sa

from app.gate.server._accounts import find_account
from app.gate.server._cluster import free_port
from app.gate.server.database import Database
from tests import factories
from tests.services import RUNS, ask, prepare, service_process, stored_runs

PGBOUNCER = shutil.which("pgbouncer", path=f"{os.environ.get('PATH', '')}:/usr/sbin")
CONNECTIONS = 5  # to PostgreSQL, for the 22 that the two processes may open

pytestmark = [
    pytest.mark.processes,
    pytest.mark.skipif(PGBOUNCER is None, reason="PgBouncer is not installed: apt-get install pgbouncer"),
]

# What docs/growth.md says to configure.
CONFIGURATION = """
[databases]
record = {place} connect_query='SET statement_timeout = 30000; SET idle_in_transaction_session_timeout = 30000'
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {port}
unix_socket_dir =
auth_type = any
pool_mode = transaction
default_pool_size = {connections}
max_client_conn = 200
{user}
"""


@contextmanager
def pgbouncer(database: Database, directory: Path) -> Iterator[str]:
    """The URL of the database behind it."""
    place = f"host={database.host} port={database.port} dbname={database.name} user={database.user}"
    account, port = find_account(), free_port()
    configuration = directory / "pgbouncer.ini"
    configuration.write_text(
        CONFIGURATION.format(
            place=f"{place} password={database.password}" if database.password else place,
            port=port,
            connections=CONNECTIONS,
            user=f"user = {account.name}" if account else "",  # it does not run as root
        )
    )
    command = [str(PGBOUNCER), str(configuration)]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    with process:
        assert process.stderr is not None
        lines = []
        for line in process.stderr:
            lines.append(line)
            if "process up" in line:
                break
        else:
            pytest.fail("".join(lines))
        drain = threading.Thread(target=process.stderr.read)
        drain.start()
        yield f"postgresql://{database.user}@127.0.0.1:{port}/record"
        process.kill()
        drain.join()


def at_once(what: Callable[[str], int], urls: list[str], times: int) -> Counter[int]:
    barrier = threading.Barrier(times)

    def wait_and_do(url: str) -> int:
        barrier.wait()
        return what(url)

    with ThreadPoolExecutor(times) as pool:
        return Counter(pool.map(wait_and_do, [url for url, _ in zip(cycle(urls), range(times), strict=False)]))


def test_two_processes_share_few_connections_and_answer_everybody(migrated_database: Database, tmp_path: Path) -> None:
    prepare(migrated_database)
    numbers = iter(range(1_000))

    def post(url: str) -> int:
        report = factories.report(reason=f"number {next(numbers)}", findings=[factories.finding()] * 5)
        return ask(f"{url}{RUNS}", report)[0]

    with (
        pgbouncer(migrated_database, tmp_path) as place,
        service_process(place) as (_, one),
        service_process(place) as (_, two),
    ):
        _, run = ask(f"{one}{RUNS}", factories.report(findings=[factories.finding()] * 5))

        posted = at_once(post, [one, two], 50)
        read = at_once(lambda url: ask(f"{url}{RUNS}/{run['id']}")[0], [one, two], 100)
        connections = connections_of(migrated_database)
        limits = limits_behind(place)

    assert posted == {201: 50}
    assert read == {200: 100}
    assert 1 < connections <= CONNECTIONS
    assert limits == {("30s", "30s")}
    assert Counter(stored_runs(migrated_database).values()) == {5: 51}


def connections_of(database: Database) -> int:
    with database.connect() as connection, connection.cursor() as cursor:
        cursor.execute(
            "SELECT count(*) FROM pg_stat_activity WHERE datname = %s AND pid <> pg_backend_pid()", [database.name]
        )
        return int(cursor.fetchall()[0][0])


def limits_behind(place: str) -> set[tuple[str, str]]:
    """Of connections that no process of the service has configured: PgBouncer gives them out in turn."""
    found = set()
    for _ in range(CONNECTIONS):
        connection = psycopg2.connect(sa.make_url(place).render_as_string(hide_password=False))
        with connection, connection.cursor() as cursor:
            cursor.execute(
                "SELECT current_setting('statement_timeout'), current_setting('idle_in_transaction_session_timeout')"
            )
            found.update(cursor.fetchall())
        connection.close()
    return found


def test_it_is_no_matter_which_connection_a_transaction_gets(migrated_database: Database, tmp_path: Path) -> None:
    """Nothing of a session is left behind: not its isolation level either, which a decision raises."""
    prepare(migrated_database)
    with pgbouncer(migrated_database, tmp_path) as place, service_process(place) as (_, url):
        production = f"{url}/api/v1/projects/shop/environments/production"
        assert ask(production, {}, "PUT")[0] == 201
        for _ in range(CONNECTIONS):
            assert ask(f"{production}/drift")[0] == 200

        levels = set()
        for _ in range(CONNECTIONS):
            connection = psycopg2.connect(place)
            with connection, connection.cursor() as cursor:
                cursor.execute("SHOW transaction_isolation")
                levels.update(cursor.fetchall())
            connection.close()

    assert levels == {("read committed",)}
