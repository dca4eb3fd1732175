"""What is cleaned up, and in which order, without a supervisor's process."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg2
import pytest

from app.gate.supervisor import _cleanup
from app.gate.supervisor._cleanup import (
    GROUP_PATIENCE_S,
    KINDS,
    PATIENCE_S,
    SERVER_PATIENCE_S,
    Child,
    Databases,
    Directory,
    File,
    Ledger,
    Marked,
    ProcessGroup,
    exists,
    from_message,
    to_message,
    wait_until,
)

GROUP = ProcessGroup(4711)
MARKED = Marked("OVERPROOF_RUN=3f786850e387")
CHILD = Child(4712, signal.SIGQUIT)
DIRECTORY = Directory("/tmp/overproof-1")
FILE = File("/srv/alembic.ini", "YQ==", 0o640, 7, "/srv/.alembic.ini.overproof")
DATABASES = Databases("overproof_1_", {"host": "h", "port": 5432}, "/lib")


@pytest.mark.parametrize(
    "cleanup", [GROUP, MARKED, CHILD, DIRECTORY, FILE, DATABASES], ids=lambda each: type(each).__name__
)
def test_a_cleanup_passes_through_a_message_of_json(cleanup: _cleanup.Cleanup) -> None:
    message = json.loads(json.dumps(to_message(cleanup)))

    assert from_message(message) == cleanup
    assert message["kind"] == type(cleanup).__name__
    assert len(KINDS) == 6


def kills(monkeypatch: pytest.MonkeyPatch, answer: Callable[[int, int], None]) -> list[tuple[int, int]]:
    """What is killed, by which signal, instead of killing it."""
    killed: list[tuple[int, int]] = []

    def kill(process: int, number: int) -> None:
        killed.append((process, number))
        answer(process, number)

    def wait(*_: int) -> None:
        raise ChildProcessError

    monkeypatch.setattr(os, "kill", kill)
    monkeypatch.setattr(os, "killpg", lambda group, number: kill(-group, number))
    monkeypatch.setattr(os, "waitpid", wait)
    return killed


def raising(error: type[Exception]) -> Callable[[int, int], None]:
    def answer(process: int, number: int) -> None:
        raise error

    return answer


@pytest.mark.parametrize(
    ("answer", "of_process", "of_group"),
    [
        (lambda *_: None, True, True),
        (raising(ProcessLookupError), False, False),
        # Another user's process is one. A group of which none may be signalled is one of zombies.
        (raising(PermissionError), True, False),
    ],
)
def test_whether_a_process_or_a_group_exists(
    monkeypatch: pytest.MonkeyPatch, answer: Callable[[int, int], None], of_process: bool, of_group: bool
) -> None:
    killed = kills(monkeypatch, answer)

    assert exists(4711) is of_process
    assert exists(1) is of_process
    assert exists(-1) is of_group
    assert exists(-4711) is of_group
    assert killed == [(4711, 0), (1, 0), (-1, 0), (-4711, 0)]


@pytest.mark.processes
def test_a_child_that_ended_exists_no_more() -> None:
    child = os.fork()
    if not child:
        os._exit(0)

    assert wait_until(lambda: not exists(child), 10.0)
    with pytest.raises(ChildProcessError):
        os.waitpid(child, 0)


class Clock:
    """A time that goes on with each sleep."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 100.0
        monkeypatch.setattr(time, "monotonic", lambda: self.now)
        monkeypatch.setattr(time, "sleep", self.sleep)

    def sleep(self, seconds: float) -> None:
        self.now += max(seconds, 0.001)


@pytest.mark.parametrize(("patience_s", "is_so"), [(3.0, True), (0.5, False)])
def test_it_is_waited_until_something_is_so_and_no_longer(
    monkeypatch: pytest.MonkeyPatch, patience_s: float, is_so: bool
) -> None:
    clock = Clock(monkeypatch)

    assert wait_until(lambda: clock.now > 101.0, patience_s) is is_so
    assert wait_until(lambda: True, 0.0)
    assert clock.now == pytest.approx(100.0 + min(patience_s, 1.0), abs=0.1)


def test_a_group_is_killed_and_waited_for_a_moment(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock(monkeypatch)
    killed = kills(monkeypatch, lambda *_: None)

    GROUP.undo()

    assert killed[0] == (-4711, signal.SIGKILL)
    assert set(killed[1:]) == {(-4711, 0)}
    assert clock.now == pytest.approx(100.0 + GROUP_PATIENCE_S, abs=0.1)


@pytest.mark.parametrize("error", [ProcessLookupError, PermissionError])
def test_a_group_that_is_gone_is_not_waited_for(monkeypatch: pytest.MonkeyPatch, error: type[Exception]) -> None:
    killed = kills(monkeypatch, raising(error))

    GROUP.undo()

    assert killed == [(-4711, signal.SIGKILL)]


@pytest.mark.parametrize(
    ("ends_after_s", "signals"), [(1.0, [signal.SIGQUIT]), (1e9, [signal.SIGQUIT, signal.SIGKILL])]
)
def test_a_child_is_ended_by_its_signal_and_killed_if_it_does_not_end(
    monkeypatch: pytest.MonkeyPatch, ends_after_s: float, signals: list[signal.Signals]
) -> None:
    clock = Clock(monkeypatch)

    def answer(process: int, number: int) -> None:
        if number == signal.SIGKILL:
            assert clock.now == pytest.approx(100.0 + SERVER_PATIENCE_S, abs=0.1)
        if clock.now > 100.0 + ends_after_s:
            raise ProcessLookupError

    killed = kills(monkeypatch, answer)
    CHILD.undo()

    assert [number for _, number in killed if number] == signals
    assert {process for process, _ in killed} == {4712}
    waited_s = ends_after_s if ends_after_s < SERVER_PATIENCE_S else SERVER_PATIENCE_S + PATIENCE_S
    assert clock.now == pytest.approx(100.0 + waited_s, abs=0.2)


def test_a_child_that_has_ended_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    killed = kills(monkeypatch, raising(ProcessLookupError))

    CHILD.undo()

    assert killed == [(4712, signal.SIGQUIT)]


@pytest.mark.processes
@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_what_is_marked_is_killed_wherever_it_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock(monkeypatch)
    mark = f"OVERPROOF_RUN={os.getpid()}-of-a-test"
    name, _, value = mark.partition("=")
    marked = subprocess.Popen(["sleep", "600"], env={"A": "b", name: value}, start_new_session=True)
    other = subprocess.Popen(["sleep", "600"], env={"A": mark, name: value + "0"}, start_new_session=True)
    try:
        Marked(mark).undo()

        assert marked.wait(10) == -signal.SIGKILL
        assert other.poll() is None
        assert not Marked(mark)._kill()
    finally:
        other.kill()
        other.wait()
    assert clock.now < 100.0 + GROUP_PATIENCE_S + 0.1


def test_a_directory_is_removed_with_what_appears_in_it_meanwhile(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    clock = Clock(monkeypatch)
    directory = tmp_path / "data"
    (directory / "base").mkdir(parents=True)
    removed = _cleanup.shutil.rmtree

    def remove(path: str, ignore_errors: bool = False) -> None:
        removed(path, ignore_errors=ignore_errors)
        if clock.now < 101.0:
            directory.mkdir()

    monkeypatch.setattr(_cleanup.shutil, "rmtree", remove)
    Directory(str(directory)).undo()

    assert not directory.exists()
    assert clock.now == pytest.approx(101.0, abs=0.1)


def test_why_a_directory_cannot_be_removed_is_raised(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    clock = Clock(monkeypatch)

    def refuse(path: str, ignore_errors: bool = False) -> None:
        if not ignore_errors:
            raise PermissionError(path)

    monkeypatch.setattr(_cleanup.shutil, "rmtree", refuse)

    with pytest.raises(PermissionError):
        Directory(str(tmp_path)).undo()
    assert clock.now == pytest.approx(100.0 + PATIENCE_S, abs=0.1)


def test_a_file_is_restored_and_its_record_removed(tmp_path: Path) -> None:
    path, record = tmp_path / "alembic.ini", tmp_path / "record"
    path.write_text("as it was")
    path.chmod(0o640)
    was = File.read(path)
    path.write_text("written over")
    path.chmod(0o600)
    record.touch()

    File(was.path, was.content, was.mode, was.modified_ns, str(record)).undo()

    assert path.read_text() == "as it was"
    assert File.read(path) == was
    assert was.record == ""
    assert not record.exists()


def test_a_file_that_is_not_there_is_removed_again(tmp_path: Path) -> None:
    path = tmp_path / "alembic.ini"
    was = File.read(path)
    assert was == File(str(path), None, 0, 0, "")

    for _ in range(2):
        was.undo()
        assert not path.exists()
        path.touch()


@dataclass(frozen=True)
class Noted:
    """A cleanup that notes when it is carried out."""

    name: str
    done: list[str]

    def undo(self) -> None:
        self.done.append(self.name)
        if self.name.startswith("bad"):
            raise OSError(f"no {self.name}")


class NotedGroup(Noted, ProcessGroup):
    pass


class NotedMark(Noted, Marked):
    pass


def test_processes_are_ended_first_and_of_the_rest_the_last_first(capsys: pytest.CaptureFixture[str]) -> None:
    done: list[str] = []
    ledger = Ledger()
    noted: list[Any] = [
        Noted("one", done), NotedGroup("group", done), Noted("bad two", done), Noted("three", done), NotedMark("mark", done),
    ]  # fmt: skip
    for each in noted:
        ledger.note(each)
    ledger.forget(noted[3])
    ledger.forget(noted[3])

    assert not ledger.undo()

    assert done == ["mark", "group", "bad two", "one"]
    assert capsys.readouterr().err == "overproof: could not clean up: no bad two\n"
    assert ledger.undo()
    assert len(done) == 4


def test_the_reader_of_what_could_not_be_cleaned_up_may_be_gone(monkeypatch: pytest.MonkeyPatch) -> None:
    class Gone:
        def write(self, text: str) -> None:
            raise BrokenPipeError

    ledger = Ledger()
    ledger.note(Noted("bad", []))  # type: ignore[arg-type]
    monkeypatch.setattr(sys, "stderr", Gone())

    assert not ledger.undo()


def test_a_server_that_cannot_be_connected_to_is_asked_for_a_while(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock(monkeypatch)
    asked: list[dict[str, Any]] = []

    def connect(**keywords: Any) -> None:
        asked.append(keywords)
        raise psycopg2.OperationalError

    monkeypatch.setattr(psycopg2, "connect", connect)
    monkeypatch.setattr(sys, "path", list(sys.path))

    with pytest.raises(ConnectionError) as raised:
        DATABASES.undo()

    assert str(raised.value) == (
        "no connection to the server, to drop the databases whose names begin with overproof_1_"
    )
    assert clock.now == pytest.approx(100.0 + PATIENCE_S, abs=0.3)
    assert len(asked) > 50
    assert asked[0] == DATABASES.connection
    assert sys.path.count("/lib") == 1
    with pytest.raises(ConnectionError):
        DATABASES.undo()
    assert sys.path.count("/lib") == 1
