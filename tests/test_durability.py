"""What was answered 201 is stored, whatever is killed meanwhile."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pytest

from app.gate.server._accounts import find_able_account, find_account
from app.gate.server._cluster import SETTINGS, Address, Cluster, initialise, start
from app.gate.server.binaries import find_binaries
from app.gate.server.database import Database
from app.gate.server.persistent import persistent_database
from app.gate.supervisor.client import Supervisor
from tests.services import PATIENCE_S, RUNS, Clients, prepare, service_process, stored_runs

CLIENTS = 4
pytestmark = pytest.mark.processes


@pytest.fixture
def durable_database(tmp_path: Path) -> Iterator[Database]:
    """A server of its own, with PostgreSQL's usual durability, for what must not happen to the server of all tests."""
    with persistent_database(tmp_path / "serve") as database:
        prepare(database)
        yield database


@contextmanager
def posting(url: str) -> Iterator[Clients]:
    clients = Clients(f"{url}{RUNS}")
    with ThreadPoolExecutor(CLIENTS) as pool:
        ends = [pool.submit(clients.post_until_the_end) for _ in range(CLIENTS)]
        try:
            yield clients
        finally:
            clients.is_over.set()
        for end in ends:
            end.result(PATIENCE_S)


def test_what_was_answered_201_survives_the_kill_of_a_backend_and_of_the_service(durable_database: Database) -> None:
    with service_process(durable_database.url("psycopg2")) as (process, url), posting(url) as clients:
        clients.wait_for(20)
        os.kill(backend_of_the_service(durable_database), signal.SIGKILL)
        clients.wait_for(40)
        process.kill()

    assert clients.failures <= {503}
    assert len(clients.stored) >= 60
    findings_by_run = stored_runs(durable_database)
    assert clients.stored <= findings_by_run.keys()
    assert set(findings_by_run.values()) == {20}


def backend_of_the_service(database: Database) -> int:
    """A process of PostgreSQL. When one is killed, PostgreSQL ends all sessions and recovers."""
    with database.connect() as connection, connection.cursor() as cursor:
        cursor.execute("SELECT pid FROM pg_stat_activity WHERE application_name = 'overproof' LIMIT 1")
        return int(cursor.fetchall()[0][0])


def test_what_was_answered_201_survives_the_kill_of_postgresql(tmp_path: Path) -> None:
    place = tmp_path / "serve"
    with persistent_database(place) as database:
        prepare(database)
        with service_process(database.url("psycopg2")) as (_, url), posting(url) as clients:
            clients.wait_for(20)
            kill_postmaster(place / "data")
            clients.wait_for_failure()

    assert clients.failures == {503}
    with persistent_database(place) as database:
        findings_by_run = stored_runs(database)
    assert clients.stored <= findings_by_run.keys()
    assert set(findings_by_run.values()) == {20}


def kill_postmaster(data: Path) -> None:
    os.kill(int((data / "postmaster.pid").read_text().split()[0]), signal.SIGKILL)


class Replicated:
    """A primary, and a standby that has each transaction before its client is told of the commit."""

    def __init__(self, directory: Path, supervisor: Supervisor) -> None:
        account, binaries = find_account(), find_binaries()
        for name in ("primary", "standby"):
            (directory / name).mkdir()
            if account:
                os.chown(directory / name, account.uid, account.gid)
        account = find_able_account(supervisor, account, [directory / "primary", binaries.directory])
        cluster = Cluster(binaries, directory / "primary" / "data", account, "of-the-primary")
        initialise(supervisor, cluster)
        self.primary_data = cluster.data
        self.primary = database_at(start(supervisor, cluster, SETTINGS, signal.SIGQUIT))
        copy = Cluster(binaries, directory / "standby" / "data", account, cluster.password)
        source = (
            f"host={self.primary.host} port={self.primary.port} user={self.primary.user} password={cluster.password}"
        )
        command: list[str | Path] = [binaries.directory / "pg_basebackup", "-d", source, "-D", copy.data]
        # With the settings of a standby, and a slot, so that the primary keeps what it has not received yet.
        command += ["--checkpoint=fast", "--write-recovery-conf", "--create-slot", "--slot=standby"]
        made = supervisor.run(command, account, directory / "standby")
        assert made.status == 0, made.output
        self.standby = database_at(start(supervisor, copy, SETTINGS, signal.SIGQUIT))
        # After the copy, or the standby would wait for one of its own.
        execute(self.primary, "ALTER SYSTEM SET synchronous_standby_names = '*'", "SELECT pg_reload_conf()")

    def url(self) -> str:
        """Of both: whichever takes writes."""
        primary, standby = self.primary, self.standby
        return (
            f"postgresql://{primary.user}:{primary.password}@{primary.host}:{primary.port},{standby.host}:{standby.port}"
            f"/{primary.name}?target_session_attrs=read-write"
        )

    def kill_primary(self) -> None:
        kill_postmaster(self.primary_data)

    def promote_standby(self) -> None:
        execute(self.standby, "SELECT pg_promote()")


def database_at(address: Address) -> Database:
    return Database("postgres", address.host, address.port, address.user, address.password, is_embedded=True)


def execute(database: Database, *statements: str) -> None:
    with database.connect() as connection, connection.cursor() as cursor:
        for statement in statements:
            cursor.execute(statement)


@pytest.fixture
def replicated(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Replicated]:
    with Supervisor() as supervisor:
        yield Replicated(tmp_path_factory.mktemp("replicated"), supervisor)


def test_what_was_answered_201_survives_the_primary_where_a_standby_is_promoted(replicated: Replicated) -> None:
    prepare(replicated.primary)

    with service_process(replicated.url()) as (_, url), posting(url) as clients:
        clients.wait_for(20)
        replicated.kill_primary()
        replicated.promote_standby()
        before = set(clients.stored)
        while clients.stored == before:
            clients.wait_for(1)
        clients.wait_for(40)  # the service has found the new primary by itself

    assert clients.failures <= {503}
    findings_by_run = stored_runs(replicated.standby)
    assert clients.stored <= findings_by_run.keys()
    assert set(findings_by_run.values()) == {20}
