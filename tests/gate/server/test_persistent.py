"""The PostgreSQL of `overproof serve --embedded`: its data stays, and nothing else."""

from __future__ import annotations

import json
import os
import pwd
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from app.gate.errors import ServerUnavailable
from app.gate.server.binaries import Binaries, find_binaries
from app.gate.server.database import Database
from app.gate.server.persistent import persistent_database
from app.gate.supervisor._cleanup import wait_until
from app.gate.supervisor.client import Account, Supervisor

ROOT = Path(__file__).parents[3]
IS_ROOT = os.geteuid() == 0

RUN = """
import json, sys
from pathlib import Path
from app.gate.server.persistent import persistent_database
with persistent_database(Path(sys.argv[1])) as database:
    with database.connect() as connection, connection.cursor() as cursor:
        cursor.execute("CREATE TABLE IF NOT EXISTS starts (id serial); INSERT INTO starts DEFAULT VALUES")
    print(json.dumps(int(Path(sys.argv[1], "data", "postmaster.pid").read_text().split()[0])), flush=True)
    sys.stdin.read()
"""


def ask(database: Database, question: str) -> object:
    with database.connect() as connection, connection.cursor() as cursor:
        cursor.execute(question)
        row = cursor.fetchone()
    return row and row[0]


def refusal_of(place: Path) -> str:
    with pytest.raises(ServerUnavailable) as refusal, persistent_database(place):
        pass
    line = str(refusal.value)
    assert "\n" not in line
    return line


@pytest.fixture(scope="module")
def filled(processes: None, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where a server has run once and left a table with one row."""
    place = tmp_path_factory.mktemp("checkout") / ".overproof" / "serve"
    with persistent_database(place) as database, database.connect() as connection, connection.cursor() as cursor:
        cursor.execute("CREATE TABLE starts (id serial); INSERT INTO starts DEFAULT VALUES")
    return place


def test_the_data_is_there_at_the_next_start(filled: Path) -> None:
    with persistent_database(filled) as database:
        assert database.name == "overproof"
        assert ask(database, "SELECT count(*) > 0 FROM starts")


def test_the_data_is_cared_for(filled: Path) -> None:
    with persistent_database(filled) as database:
        for setting in ("fsync", "full_page_writes", "synchronous_commit", "autovacuum"):
            assert ask(database, f"SHOW {setting}") == "on"


def test_what_it_keeps_is_closed_to_others_and_unknown_to_git(filled: Path) -> None:
    assert filled.stat().st_mode & 0o077 == 0
    assert (filled / ".gitignore").read_text() == "*\n"
    assert sorted(path.name for path in filled.iterdir()) == [".gitignore", "data", "lock", "log", "password"]


def test_a_second_start_next_to_the_first_is_refused_in_one_line(filled: Path) -> None:
    with persistent_database(filled):
        assert refusal_of(filled) == (
            f"the database server of {filled} is already running, for process {os.getpid()}:"
            " stop that one, or start in another directory"
        )


def test_data_of_another_major_version_is_refused_in_one_line(filled: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = find_binaries()
    monkeypatch.setattr("app.gate.server.persistent.find_binaries", lambda: Binaries(real.directory, real.major + 1))

    assert refusal_of(filled) == (
        f"the data in {filled}/data is PostgreSQL {real.major}'s, and the programs are those of {real.major + 1}: name the"
        f" directory with PostgreSQL {real.major}'s programs in OVERPROOF_PG_BINDIR, or move the data away to start with an empty database"
    )


@pytest.mark.processes
def test_a_directory_of_something_else_is_refused_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()

    assert refusal_of(tmp_path) == f"{tmp_path}/data is not a PostgreSQL data directory: move it away"


@pytest.mark.parametrize("stop", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_the_server_ends_with_the_process_that_started_it_and_the_data_stays(
    filled: Path, stop: signal.Signals
) -> None:
    command = [sys.executable, "-c", RUN, str(filled)]
    with subprocess.Popen(
        command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    ) as run:
        assert run.stdout
        postgres = json.loads(run.stdout.readline())
        run.send_signal(stop)

    assert wait_until(lambda: not Path(f"/proc/{postgres}").exists(), 20.0)
    with persistent_database(filled) as database:
        assert ask(database, "SELECT count(*) > 1 FROM starts")
        # It was not killed: what it left needed no recovery.
        assert "was not properly shut down" not in (filled / "log").read_text()


@pytest.mark.processes
def test_a_first_start_that_is_killed_leaves_no_half_of_a_cluster(tmp_path: Path) -> None:
    run = subprocess.Popen([sys.executable, "-c", RUN, str(tmp_path)], cwd=ROOT, stdin=subprocess.PIPE)
    assert wait_until((tmp_path / "new" / "base").exists, 20.0)

    run.kill()
    with run:
        pass

    assert wait_until(lambda: not (tmp_path / "new").exists(), 20.0)
    assert not (tmp_path / "data").exists()
    with persistent_database(tmp_path) as database:
        assert ask(database, "SELECT 1") == 1


@pytest.mark.processes
@pytest.mark.skipif(not IS_ROOT, reason="only root lends its server an account")
def test_below_a_closed_home_of_roots_it_works_and_the_home_stays_closed(tmp_path: Path) -> None:
    home = tmp_path / "home"
    home.mkdir(mode=0o700)

    with persistent_database(home / "checkout" / ".overproof" / "serve") as database:
        assert ask(database, "SELECT 1") == 1

    assert home.stat().st_mode & 0o777 == 0o700


@pytest.mark.processes
@pytest.mark.skipif(not IS_ROOT, reason="only root can start for somebody else")
def test_what_root_starts_in_anothers_checkout_is_that_others(tmp_path: Path) -> None:
    daemon = pwd.getpwnam("daemon")
    os.chown(tmp_path, daemon.pw_uid, daemon.pw_gid)
    place = tmp_path / ".overproof" / "serve"

    with persistent_database(place) as database:
        ask(database, "SELECT 1")

    assert {path.stat().st_uid for path in (place.parent, place, *place.iterdir())} == {daemon.pw_uid}
    with Supervisor() as supervisor:
        account = Account(daemon.pw_uid, daemon.pw_gid, "daemon", may_search=True)
        ended = supervisor.run([sys.executable, "-c", RUN, str(place)], account, ROOT)
    assert ended.status == 0, ended.output


@pytest.mark.skipif(not IS_ROOT, reason="needs two accounts")
def test_what_another_user_made_is_refused_in_one_line(filled: Path) -> None:
    nobody = pwd.getpwnam("nobody")
    with Supervisor() as supervisor:
        account = Account(nobody.pw_uid, nobody.pw_gid, "nobody", may_search=True)
        place = filled.parent / "of-root"
        place.mkdir(mode=0o755)
        ended = supervisor.run([sys.executable, "-c", RUN, str(place)], account, ROOT)

    assert ended.output.splitlines()[-1] == (
        f"app.gate.errors.ServerUnavailable: the database server's directory {place} cannot be used:"
        f" Permission denied ({place}/.gitignore): if another user created it, start as that user, or move it away"
    )
