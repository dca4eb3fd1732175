"""Nothing stays behind, however a run ends. Each run here is a process of its own, which is then ended in some way."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import psycopg2
import pytest

from app.gate.errors import FileInUse, ServerUnavailable
from app.gate.server.throwaway import Server, throwaway_server
from app.gate.supervisor._cleanup import Databases, wait_until
from app.gate.supervisor.claims import Claim, note_text, recover
from app.gate.supervisor.client import LOST, Supervisor

ROOT = Path(__file__).parents[3]

# Begins one of everything and says what. Then each line of its input is something to do, until the input ends.
RUN = """
import json, os, subprocess, sys, threading, time
from pathlib import Path
from app.gate.errors import ServerUnavailable
from app.gate.server.throwaway import throwaway_server

url, file = sys.argv[1:]
with throwaway_server(url or None) as server:
    supervisor = server.supervisor
    database = server.create_database()
    target = subprocess.Popen(["sleep", "600"], start_new_session=True)
    supervisor.kill_group(target.pid)
    daemon = subprocess.Popen(["sleep", "600"], start_new_session=True, env={**os.environ, **supervisor.mark})
    for process in (target, daemon):  # whoever starts a process waits for it, and so it is gone once it was killed
        threading.Thread(target=process.wait, daemon=True).start()
    supervisor.write(file, "written over")
    begun = {"database": database.name, "supervisor": supervisor.pid, "target": target.pid, "daemon": daemon.pid}
    if server.is_embedded:
        with database.connect() as connection, connection.cursor() as cursor:
            cursor.execute("SHOW data_directory")
            data = Path(cursor.fetchone()[0])
        begun |= {"directory": str(data.parent), "postgres": int((data / "postmaster.pid").read_text().split()[0])}
    print(json.dumps(begun), flush=True)
    for line in sys.stdin:
        if line == "fork\\n":
            forked = os.fork()
            if not forked:
                time.sleep(600)
            print(forked, flush=True)
        if line == "create\\n":
            try:
                print(server.create_database().name, flush=True)
            except ServerUnavailable as problem:
                print(problem, flush=True)
"""


class Run:
    """A process that has begun one of everything."""

    def __init__(self, given: Server | None, file: Path) -> None:
        self.given = given
        self.file = file
        url = given.create_database().url() if given else ""
        self.process = subprocess.Popen(
            [sys.executable, "-c", RUN, url, str(file)],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        self.begun: dict[str, Any] = json.loads(self._read())

    def ask(self, line: str) -> str:
        assert self.process.stdin
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()
        return self._read()

    def end_well(self) -> None:
        assert self.process.stdin
        self.process.stdin.close()
        self.process.wait(30)

    def kill(self, *whom: str) -> None:
        for name in whom:
            os.kill(self.process.pid if name == "gate" else self.begun[name], signal.SIGKILL)

    def interrupt(self) -> None:
        """As Ctrl-C does: everybody in the foreground group gets the signal."""
        os.killpg(self.process.pid, signal.SIGINT)

    def left(self) -> list[str]:
        """What is still there of all that the run began."""
        left: list[str] = [
            name for name in ("postgres", "target", "daemon") if name in self.begun and runs(self.begun[name])
        ]
        if "directory" in self.begun and Path(self.begun["directory"]).exists():
            left.append("directory")
        if self.given and self.begun["database"] in databases_of(self.given):
            left.append("database")
        if self.file.read_text() != "as it was":
            left.append("file")
        return left

    def _read(self) -> str:
        assert self.process.stdout
        return self.process.stdout.readline().strip()


def runs(pid: int) -> bool:
    """A zombie does not: it ended, and waits for somebody to notice."""
    state = subprocess.run(["ps", "-o", "stat=", "-p", str(pid)], check=False, capture_output=True, text=True).stdout
    return bool(state) and not state.startswith("Z")


def databases_of(server: Server) -> set[str]:
    with server.maintenance.connect() as connection, connection.cursor() as cursor:
        cursor.execute("SELECT datname FROM pg_database")
        return {name for (name,) in cursor.fetchall()}


def nothing_is_left(run: Run) -> bool:
    assert wait_until(lambda: not run.left(), 20.0), f"still there: {run.left()}"
    return True


@pytest.fixture(params=["embedded", "given"])
def run(request: pytest.FixtureRequest, server: Server, tmp_path: Path) -> Iterator[Run]:
    file = tmp_path / "settings.ini"
    file.write_text("as it was")
    run = Run(server if request.param == "given" else None, file)
    assert len(run.left()) >= 4
    yield run
    # Also after a test that failed, one of the two is left to clean up.
    with suppress(ProcessLookupError):
        os.kill(run.begun["supervisor"], signal.SIGCONT)
    if runs(run.begun["supervisor"]):
        run.process.kill()
    wait_until(lambda: not run.left(), 10.0)
    run.process.kill()
    with run.process:  # closes its pipes
        pass


def test_a_run_that_ends_well_leaves_nothing(run: Run) -> None:
    run.end_well()

    assert not run.left()
    assert run.process.returncode == 0


def test_a_run_that_is_killed_leaves_nothing(run: Run) -> None:
    run.kill("gate")

    assert nothing_is_left(run)
    assert wait_until(lambda: not runs(run.begun["supervisor"]), 5.0)


@pytest.mark.parametrize("run", ["embedded"], indirect=True)
@pytest.mark.parametrize("stop", [signal.SIGTERM, signal.SIGHUP])
def test_a_run_that_is_asked_to_stop_leaves_nothing(run: Run, stop: signal.Signals) -> None:
    run.process.send_signal(stop)

    assert nothing_is_left(run)


@pytest.mark.parametrize("run", ["embedded"], indirect=True)
def test_ctrl_backslash_leaves_nothing(run: Run) -> None:
    os.killpg(run.process.pid, signal.SIGQUIT)

    assert nothing_is_left(run)


@pytest.mark.parametrize("run", ["embedded"], indirect=True)
def test_a_supervisor_that_is_asked_to_stop_stays_as_long_as_its_run(run: Run) -> None:
    os.kill(run.begun["supervisor"], signal.SIGTERM)

    assert run.ask("create").startswith("overproof_")
    run.end_well()
    assert not run.left()


def test_ctrl_c_leaves_nothing(run: Run) -> None:
    run.interrupt()
    run.process.wait(30)

    # The process waits for its supervisor, so whoever pressed the keys finds everything gone when the prompt is back.
    assert not run.left()


@pytest.mark.parametrize("run", ["embedded"], indirect=True)
def test_a_second_ctrl_c_while_it_cleans_up_leaves_nothing(run: Run) -> None:
    os.kill(run.begun["supervisor"], signal.SIGSTOP)  # so that there is time for the second

    def has_ended() -> bool:
        run.interrupt()
        return run.process.poll() is not None

    assert wait_until(has_ended, 20.0)
    os.kill(run.begun["supervisor"], signal.SIGCONT)

    assert nothing_is_left(run)


def test_when_the_supervisor_is_killed_the_run_undoes_it_all_itself(run: Run) -> None:
    run.kill("supervisor")

    assert nothing_is_left(run)
    assert run.process.poll() is None


@pytest.mark.parametrize("run", ["embedded"], indirect=True)
def test_when_the_supervisor_is_killed_the_run_says_so_and_begins_nothing_more(run: Run) -> None:
    run.kill("supervisor")

    assert run.ask("create") == LOST
    assert not run.left()


@pytest.mark.parametrize("run", ["embedded"], indirect=True)
@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells a child that its parent died")
def test_killed_together_with_its_supervisor_it_leaves_no_server(run: Run) -> None:
    run.process.send_signal(signal.SIGSTOP)  # or it might begin to clean up in between
    run.kill("supervisor", "gate")

    assert wait_until(lambda: "postgres" not in run.left(), 10.0)
    shutil.rmtree(run.begun["directory"])
    run.file.write_text("as it was")
    for name in ("target", "daemon"):
        with suppress(ProcessLookupError):
            os.kill(run.begun[name], signal.SIGKILL)


@pytest.mark.parametrize("run", ["embedded"], indirect=True)
def test_a_fork_that_holds_the_pipe_open_does_not_keep_a_killed_run_alive(run: Run) -> None:
    forked = int(run.ask("fork"))
    run.kill("gate")

    assert nothing_is_left(run)
    os.kill(forked, signal.SIGKILL)


@pytest.mark.parametrize("run", ["embedded"], indirect=True)
def test_a_fork_that_holds_the_pipe_open_does_not_keep_a_run_from_ending(run: Run) -> None:
    forked = int(run.ask("fork"))
    run.end_well()

    assert not run.left()
    os.kill(forked, signal.SIGKILL)


@pytest.mark.processes
def test_a_run_that_is_killed_while_its_cluster_is_being_made_leaves_nothing(tmp_path: Path) -> None:
    script = """
from pathlib import Path
from app.gate.server import _embedded
from app.gate.server.throwaway import throwaway_server
_embedded.MEMORY = Path("/nonexistent")
with throwaway_server(): pass
"""
    run = subprocess.Popen([sys.executable, "-c", script], cwd=ROOT, env=os.environ | {"TMPDIR": str(tmp_path)})
    assert wait_until(lambda: any(tmp_path.glob("*/data/base")), 20.0)

    run.kill()
    run.wait()

    assert wait_until(lambda: not list(tmp_path.iterdir()), 20.0)


def test_a_database_that_is_still_being_made_when_the_run_is_killed_is_dropped(server: Server) -> None:
    prefix = f"{server.create_database().name}_"
    cleanup = Databases(prefix, server.maintenance.keywords(), str(Path(psycopg2.__file__).parents[1]))
    # The session of a gate that was killed lives until PostgreSQL next looks at its socket.
    with server.maintenance.connect(application_name=prefix) as creating, creating.cursor() as cursor:
        cursor.execute(f'CREATE DATABASE "{prefix}1"')

        cleanup.undo()

        with pytest.raises(psycopg2.OperationalError):
            cursor.execute("SELECT 1")
    assert f"{prefix}1" not in databases_of(server)


def test_a_database_is_dropped_with_sessions_on_it(server: Server) -> None:
    with throwaway_server(server.create_database().url()) as given:
        database = given.create_database()
        with suppress(psycopg2.OperationalError), database.connect() as connection:
            given.supervisor.close()
            connection.cursor().execute("SELECT 1")

    assert database.name not in databases_of(server)


@pytest.fixture
def supervisor(processes: None) -> Iterator[Supervisor]:
    with Supervisor() as supervisor:
        yield supervisor


def test_a_file_gets_back_its_bytes_its_mode_and_its_time(supervisor: Supervisor, tmp_path: Path) -> None:
    file = tmp_path / "settings.ini"
    file.write_bytes(b"\xff\0as it was")
    file.chmod(0o640)
    os.utime(file, ns=(1, 1_000_000_000))

    supervisor.restore(file)
    file.write_text("written over")
    file.chmod(0o600)
    supervisor.restore(file)  # what it holds by now is not what it was
    file.unlink()
    supervisor.close()

    assert file.read_bytes() == b"\xff\0as it was"
    assert file.stat().st_mode & 0o7777 == 0o640
    assert file.stat().st_mtime_ns == 1_000_000_000


def test_two_runs_do_not_write_one_file(supervisor: Supervisor, tmp_path: Path) -> None:
    file, link = tmp_path / "settings.ini", tmp_path / "link.ini"
    file.write_text("as it was")
    link.symlink_to(file)
    supervisor.write(file, "of one run")

    with Supervisor() as other, pytest.raises(FileInUse, match="another run of overproof writes"):
        other.write(link, "of the other")
    assert file.read_text() == "of one run"
    supervisor.close()

    assert file.read_text() == "as it was"
    with Supervisor() as other:
        other.write(link, "of the other")
    assert file.read_text() == "as it was"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["link.ini", "settings.ini"]


def leave_behind(file: Path, *texts: str) -> None:
    """As a run does that is killed together with its supervisor."""
    claim = Claim.take(file)
    assert claim is not None
    for text in texts:
        note_text(file, text)
        file.write_text(text)
    claim._record.close()


@pytest.mark.parametrize("content", ["as it was", None])
@pytest.mark.parametrize("left", ["of the second", "of the", ""])
def test_a_file_that_was_left_behind_is_restored_before_it_is_written_again(
    tmp_path: Path, content: str | None, left: str
) -> None:
    file = tmp_path / "settings.ini"
    if content is not None:
        file.write_text(content)
    leave_behind(file, "of the first", "of the second")
    file.write_text(left)  # it may have been killed while it wrote

    claim = Claim.take(file)

    assert claim is not None
    assert claim.is_recovered
    assert (file.read_text() if file.exists() else None) == content
    claim.release()
    assert recover(tmp_path) == []
    assert [path.name for path in tmp_path.iterdir()] == ([] if content is None else ["settings.ini"])


def test_all_files_that_were_left_behind_are_restored_and_what_was_edited_since_is_not(tmp_path: Path) -> None:
    for name in ("one.ini", "two.ini"):
        (tmp_path / name).write_text("as it was")
        leave_behind(tmp_path / name, "written over")
    (tmp_path / "two.ini").write_text("edited since")

    assert recover(tmp_path) == ["one.ini"]

    assert (tmp_path / "one.ini").read_text() == "as it was"
    assert (tmp_path / "two.ini").read_text() == "edited since"
    assert len(list(tmp_path.iterdir())) == 2


def test_a_file_that_was_not_there_is_removed(supervisor: Supervisor, tmp_path: Path) -> None:
    file = tmp_path / "settings.ini"

    supervisor.restore(file)
    file.write_text("new")
    supervisor.close()

    assert not file.exists()


def test_a_file_behind_a_link_is_put_back_and_the_link_stays(supervisor: Supervisor, tmp_path: Path) -> None:
    file, link = tmp_path / "settings.ini", tmp_path / "link.ini"
    file.write_text("as it was")
    link.symlink_to(file.name)

    supervisor.restore(link)
    link.write_text("written over")
    supervisor.close()

    assert link.is_symlink()
    assert file.read_text() == "as it was"


def test_a_large_file_passes_through_the_pipe(supervisor: Supervisor, tmp_path: Path) -> None:
    file = tmp_path / "dump.sql"
    content = os.urandom(5_000_000)
    file.write_bytes(content)

    supervisor.restore(file)
    file.unlink()
    supervisor.close()

    assert file.read_bytes() == content


@pytest.mark.processes
def test_what_cannot_be_undone_is_reported_and_the_rest_is_undone(tmp_path: Path) -> None:
    script = """
import shutil, sys
from pathlib import Path
from app.gate.supervisor.client import Supervisor
first, folder = Path(sys.argv[1], "first"), Path(sys.argv[1], "folder")
folder.mkdir()
(folder / "second").write_text("as it was")
with Supervisor() as supervisor:
    supervisor.restore(first)
    first.write_text("new")
    supervisor.restore(folder / "second")
    shutil.rmtree(folder)
"""
    done = subprocess.run(
        [sys.executable, "-c", script, str(tmp_path)], check=True, cwd=ROOT, capture_output=True, text=True
    )

    assert done.stderr == (
        f"overproof: could not clean up: [Errno 2] No such file or directory: '{tmp_path}/folder/second'\n"
    )
    assert not (tmp_path / "first").exists()


def test_a_group_that_was_forgotten_is_left_alone(supervisor: Supervisor) -> None:
    process = subprocess.Popen(["sleep", "600"], start_new_session=True)
    supervisor.kill_group(process.pid)
    supervisor.forget_group(process.pid)
    supervisor.close()

    assert process.poll() is None
    process.kill()
    process.wait()


@pytest.mark.processes
def test_what_was_created_is_removed_without_being_waited_for(tmp_path: Path) -> None:
    begun, later = tmp_path / "begun", tmp_path / "later"
    supervisor = Supervisor()
    supervisor.remove(begun)
    begun.mkdir()

    supervisor.end()
    supervisor.end()
    with pytest.raises(ServerUnavailable):
        supervisor.remove(later)
    supervisor.close()

    assert not begun.exists()


def test_a_directory_that_is_kept_stays(supervisor: Supervisor, tmp_path: Path) -> None:
    for name in ("removed", "kept"):
        supervisor.remove(tmp_path / name)
        (tmp_path / name).mkdir()
    supervisor.keep(tmp_path / "kept")
    supervisor.close()

    assert [path.name for path in tmp_path.iterdir()] == ["kept"]


def test_a_lock_is_held_until_its_supervisor_is_done(supervisor: Supervisor, tmp_path: Path) -> None:
    lock = tmp_path / "lock"
    lock.touch()

    assert supervisor.lock(lock)
    with Supervisor() as other:
        assert not other.lock(lock)
    supervisor.close()
    with Supervisor() as other:
        assert other.lock(lock)


@pytest.mark.processes
def test_a_group_started_after_the_supervisor_was_killed_is_killed_immediately() -> None:
    with Supervisor() as supervisor:
        os.kill(supervisor.pid, signal.SIGKILL)
        assert wait_until(lambda: not runs(supervisor.pid), 5.0)
        process = subprocess.Popen(["sleep", "600"], start_new_session=True)

        with pytest.raises(ServerUnavailable, match="was killed"):
            supervisor.kill_group(process.pid)

        assert process.wait(10) == -signal.SIGKILL
