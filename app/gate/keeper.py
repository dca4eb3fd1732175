"""The keeper: a process that outlives the gate and undoes what the gate began, however the gate ended.

A `finally` does not run after `kill -9`. So whatever must not stay behind (a server, its directory, databases on
somebody else's server, processes of the target, files that were written over) is told to the keeper *before* it is
begun. Between the two is a pipe: its end of file means that the gate is gone, or done. Then the keeper undoes it all,
so that a run that ends well and one that is killed leave by the same door.

The gate in its turn watches the keeper and keeps the same ledger. If the keeper is killed, the gate undoes at once, and
says so to whoever still wants something of it. PostgreSQL is a child of the keeper, and on Linux dies with it.

This file is both ends: `Keeper`, which the gate holds, and the program behind it, run as `python -I -S keeper.py`.
Isolated, because the target's modules may lie on PYTHONPATH; without site-packages, because it needs the standard
library alone, and starts sooner. The one exception, psycopg2, is named to it by directory.
"""

from __future__ import annotations

import base64
import ctypes
import json
import os
import select
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, NoReturn, Self

GROUP_PATIENCE_S = 2.0  # for processes that were killed
PATIENCE_S = 10.0  # for what ends by itself in a moment
SERVER_PATIENCE_S = 60.0  # for a PostgreSQL to start or stop, on a busy machine and with data to recover or write
CLOSE_PATIENCE_S = 90.0  # for the keeper: longer than all that it may have to wait for

LOST = "The process that guards this run was killed, and all that the run had begun has been undone: start it again."


class ServerUnavailable(Exception):
    """There is no PostgreSQL to work on. The message is one line for people, and never holds a password."""


# What can be undone. The gate tells each as JSON, so that both ends hold the same ledger.


@dataclass(frozen=True)
class Group:
    """A process group to be killed."""

    pgid: int

    def undo(self) -> None:
        with suppress(ProcessLookupError, PermissionError):  # macOS says EPERM of a group of zombies
            os.killpg(self.pgid, signal.SIGKILL)
            # What still runs could write to a file after it was put back, or connect to a database while it is dropped.
            # Not for long: a process that nobody has waited for stays listed, though it can do no more harm.
            _wait_until(lambda: not _exists(-self.pgid), GROUP_PATIENCE_S)


@dataclass(frozen=True)
class Marked:
    """All processes that were started with this in their environment, also those that left their group (Linux only)."""

    mark: str  # "OVERPROOF_RUN=3f786850e387"

    def undo(self) -> None:
        _wait_until(lambda: not self._kill(), GROUP_PATIENCE_S)

    def _kill(self) -> bool:
        """Whether there were any: one that was killed may just have started another."""
        mark, found = self.mark.encode(), False
        for environment in Path("/proc").glob("[0-9]*/environ"):
            # A process may end while we look, and those of other users are closed to us: neither is ours.
            with suppress(OSError):
                if mark in environment.read_bytes().split(b"\0"):
                    os.kill(int(environment.parent.name), signal.SIGKILL)
                    found = True
        return found


@dataclass(frozen=True)
class Child:
    """A process of the keeper's own, to be ended with a signal: the embedded PostgreSQL."""

    pid: int
    stop: int

    def undo(self) -> None:
        with suppress(ProcessLookupError):
            os.kill(self.pid, self.stop)
            if not _wait_until(lambda: not _exists(self.pid), SERVER_PATIENCE_S):
                os.kill(self.pid, signal.SIGKILL)
                _wait_until(lambda: not _exists(self.pid))


@dataclass(frozen=True)
class Directory:
    """A directory to be removed with all that is in it."""

    path: str

    def undo(self) -> None:
        # A backend whose postmaster was killed may still write a file while we remove: so try until it is gone.
        def is_gone() -> bool:
            shutil.rmtree(self.path, ignore_errors=True)
            return not os.path.lexists(self.path)

        if not _wait_until(is_gone):
            shutil.rmtree(self.path)  # says why


@dataclass(frozen=True)
class File:
    """A file to be given back its bytes, its mode and its time, or its absence (`content` is None)."""

    path: str
    content: str | None  # base64
    mode: int = 0
    modified_ns: int = 0

    @classmethod
    def as_it_is(cls, path: str | os.PathLike[str]) -> File:
        real = Path(os.path.realpath(path))  # writing goes through a link, so putting back must as well
        try:
            with real.open("rb") as file:
                state = os.fstat(file.fileno())
                content = base64.b64encode(file.read()).decode()
        except FileNotFoundError:
            return cls(str(real), None)
        return cls(str(real), content, state.st_mode & 0o7777, state.st_mtime_ns)

    def undo(self) -> None:
        path = Path(self.path)
        if self.content is None:
            path.unlink(missing_ok=True)
            return
        # In place, not by renaming: the file keeps its owner, its hard links and whatever is mounted on it.
        path.write_bytes(base64.b64decode(self.content))
        path.chmod(self.mode)
        os.utime(path, ns=(self.modified_ns, self.modified_ns))


@dataclass(frozen=True)
class Databases:
    """All databases of one run on a server that is not ours, told by what their names begin with."""

    prefix: str
    connection: dict[str, Any]  # libpq's keywords; `prefix` is the application_name of whoever creates them
    library: str  # the directory that holds psycopg2

    def undo(self) -> None:
        connection = self._connect()
        try:
            connection.autocommit = True
            with connection.cursor() as cursor:
                # A CREATE DATABASE that was under way when the gate was killed goes on in the server: it must end
                # first, or its database appears after we have looked.
                _wait_until(lambda: not self._end_creators(cursor))
                cursor.execute(
                    "SELECT datname FROM pg_database WHERE left(datname, %s) = %s", [len(self.prefix), self.prefix]
                )
                for (name,) in cursor.fetchall():
                    cursor.execute(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')
        finally:
            connection.close()

    def _connect(self) -> Any:
        if self.library not in sys.path:
            sys.path.append(self.library)
        import psycopg2

        deadline = time.monotonic() + PATIENCE_S
        while True:
            try:
                return psycopg2.connect(**self.connection)
            except psycopg2.OperationalError:
                # The sessions of a target that was just killed may fill every slot of the server for a moment.
                if time.monotonic() > deadline:
                    raise ConnectionError(
                        f"no connection to the server to drop the databases whose names begin with {self.prefix}"
                    ) from None
                time.sleep(0.1)

    def _end_creators(self, cursor: Any) -> bool:
        """Whether there were any."""
        cursor.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE application_name = %s AND pid <> pg_backend_pid()",
            [self.prefix],
        )
        return bool(cursor.rowcount)


Undoing = Group | Marked | Child | Directory | File | Databases
KINDS: Mapping[str, type[Undoing]] = {
    kind.__name__: kind for kind in (Group, Marked, Child, Directory, File, Databases)
}


class Ledger:
    """What there is to undo, in the order in which it was begun."""

    def __init__(self) -> None:
        self._undoings: list[Undoing] = []

    def note(self, undoing: Undoing) -> None:
        self._undoings.append(undoing)

    def forget(self, undoing: Undoing) -> None:
        with suppress(ValueError):
            self._undoings.remove(undoing)

    def undo(self) -> bool:
        """Undo everything: the target's processes, then the rest with the last first. False if something stays."""
        undoings = self._undoings[::-1]
        undoings.sort(key=lambda undoing: not isinstance(undoing, Group | Marked))
        self._undoings = []
        went_well = True
        for undoing in undoings:
            try:
                undoing.undo()
            except Exception as error:  # noqa: BLE001 - the others must be undone nevertheless
                went_well = False
                with suppress(OSError, ValueError):  # whoever read our errors may be gone
                    print(f"overproof: could not clean up: {error}", file=sys.stderr, flush=True)
        return went_well


def _exists(process: int) -> bool:
    """Whether a process is there, or, told by a negative number, anyone in a process group."""
    if process > 0:
        with suppress(ChildProcessError):
            os.waitpid(process, os.WNOHANG)  # a child of ours that ended stays listed until it is waited for
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return process > 0
    return True


def _wait_until(is_so: Callable[[], bool], patience_s: float = PATIENCE_S) -> bool:
    deadline = time.monotonic() + patience_s
    while not is_so():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.005)
    return True


# The gate's end.


@dataclass(frozen=True)
class Account:
    """Under whom PostgreSQL runs when we are root, which it refuses to be."""

    uid: int
    gid: int
    name: str
    may_search: bool = False  # may pass through directories that are closed to it, such as a home with mode 0700


@dataclass(frozen=True)
class Ended:
    """A program that ran to its end, or a server that ended instead of starting."""

    status: int
    output: str


class Keeper:
    """The gate's hold on its keeper. Everything raises ServerUnavailable once the keeper was killed."""

    def __init__(self) -> None:
        self._owner = os.getpid()
        self._ledger = Ledger()
        self._lock = threading.Lock()  # guards the ledger and the pipe, which must tell the same story
        self._is_over = False
        # A session of its own: Ctrl-C goes to the whole foreground group, and the gate must have ended before the
        # keeper does.
        self._process = subprocess.Popen(
            [sys.executable, "-I", "-S", str(Path(__file__).resolve()), str(self._owner)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            cwd=os.sep,
            bufsize=0,
            start_new_session=True,
        )
        # Where the process died, and with it what it kept, somebody must notice while the gate waits for something else.
        self._watcher = threading.Thread(target=self._watch, name="keeper", daemon=True)
        self._watcher.start()

    @property
    def pid(self) -> int:
        return self._process.pid

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def close(self) -> None:
        """Have everything undone, and wait until it is. In a fork of the gate it does nothing: the gate goes on."""
        if os.getpid() != self._owner:
            return
        with suppress(ServerUnavailable):
            # Said in words as well, since a fork may hold the pipe open.
            self._tell("end")
        with self._lock:
            self._pipe.close()
        self._watcher.join(CLOSE_PATIENCE_S)
        if not self._watcher.is_alive() and self._process.stdout:
            self._process.stdout.close()

    def kill_group(self, pgid: int) -> None:
        """At the end, kill that process group. To be called at once after starting it."""
        try:
            self._note(Group(pgid))
        except ServerUnavailable:
            Group(pgid).undo()  # nobody else knows of it
            raise

    def forget_group(self, pgid: int) -> None:
        """That process group has ended, and its number may soon be another's."""
        with suppress(ServerUnavailable):
            self._forget(Group(pgid))

    def kill_marked(self, name: str, value: str) -> None:
        """At the end, kill every process with NAME=VALUE in its environment, wherever it went. To be called before."""
        self._note(Marked(f"{name}={value}"))

    def restore(self, path: str | os.PathLike[str]) -> None:
        """At the end, give that file what it holds now, or its absence. To be called before writing."""
        self._note(File.as_it_is(path))

    def remove(self, directory: str | os.PathLike[str]) -> None:
        """At the end, remove that directory. To be called before making it, under a name that nobody else uses."""
        self._note(Directory(os.fspath(directory)))

    def keep(self, directory: str | os.PathLike[str]) -> None:
        """Do not remove that directory after all."""
        self._forget(Directory(os.fspath(directory)))

    def drop_databases(self, prefix: str, connection: Mapping[str, Any]) -> None:
        """At the end, drop all databases whose names begin so. To be called before creating the first."""
        import psycopg2

        self._note(Databases(prefix, dict(connection), str(Path(psycopg2.__file__).parents[1])))

    def lock(self, path: Path) -> bool:
        """Take that file's lock until the keeper has undone everything. False if another holds it."""
        return bool(self._ask("lock", path=str(path))["taken"])

    def run(self, argv: Sequence[str | Path], account: Account | None, directory: Path) -> Ended:
        """Run a program to its end, as that account."""
        answer = self._ask("run", argv=[str(each) for each in argv], account=_told(account), directory=str(directory))
        return Ended(**answer)

    def serve(
        self, argv: Sequence[str | Path], account: Account | None, *, data: Path, log: Path, stop: signal.Signals
    ) -> Ended | None:
        """Start a PostgreSQL on the directory `data`, which ends by the signal `stop` when the keeper does.

        None once it accepts connections. If it ended instead: its status, and what it wrote into `log`.
        """
        told = {"argv": [str(each) for each in argv], "data": str(data), "log": str(log), "stop": int(stop)}
        answer = self._ask("serve", account=_told(account), **told)
        if "pid" not in answer:
            return Ended(**answer)
        with self._lock:
            self._ledger.note(Child(answer["pid"], int(stop)))  # the keeper itself knows
        return None

    def check(self) -> None:
        """Raises ServerUnavailable if the keeper was killed."""
        if self._is_over:
            self._lost()

    def _note(self, undoing: Undoing) -> None:
        self._tell("note", undoing)

    def _forget(self, undoing: Undoing) -> None:
        self._tell("forget", undoing)

    def _tell(self, what: str, undoing: Undoing | None = None, **details: Any) -> None:
        if undoing:
            details |= {"kind": type(undoing).__name__, "fields": asdict(undoing)}
        line = memoryview(json.dumps({"what": what, **details}).encode() + b"\n")
        try:
            with self._lock:
                if self._is_over:
                    raise BrokenPipeError
                if undoing:
                    (self._ledger.note if what == "note" else self._ledger.forget)(undoing)
                while line:
                    line = line[self._pipe.write(line) :]
        except (BrokenPipeError, ValueError):  # ValueError: it was closed
            self._lost()

    def _ask(self, what: str, **details: Any) -> dict[str, Any]:
        self._tell(what, **details)
        line = self._process.stdout.readline() if self._process.stdout else b""
        if not line.endswith(b"\n"):
            self._lost()
        answer: dict[str, Any] = json.loads(line)
        return answer

    @property
    def _pipe(self) -> Any:
        return self._process.stdin

    def _lost(self) -> NoReturn:
        self._watcher.join(CLOSE_PATIENCE_S)
        raise ServerUnavailable(LOST) from None

    def _watch(self) -> None:
        status = self._process.wait()
        with self._lock:
            self._is_over = True
        if status < 0:  # by a signal: what it would have undone is left to us
            self._ledger.undo()


def _told(account: Account | None) -> dict[str, Any] | None:
    return asdict(account) if account else None


# The keeper's end.


def main() -> None:
    for ignored in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(ignored, signal.SIG_IGN)
    ledger, locks = Ledger(), []
    try:
        for message in _messages(owner=int(sys.argv[1])):
            what = message.pop("what")
            if what == "end":
                break
            if what == "note":
                ledger.note(KINDS[message["kind"]](**message["fields"]))
            elif what == "forget":
                ledger.forget(KINDS[message["kind"]](**message["fields"]))
            elif what == "lock":
                locks.append(_lock(**message))
                _answer({"taken": locks[-1] is not None})
            elif what == "run":
                _answer(_run(**message))
            elif what == "serve":
                _answer(_serve(ledger, **message))
    finally:
        went_well = ledger.undo()
    sys.exit(0 if went_well else 1)


def _messages(owner: int) -> Iterator[dict[str, Any]]:
    """What the gate tells, until it is gone. A line that was cut short by its death is dropped."""
    rest = b""
    while True:
        if not _is_readable(1.0):
            # A fork of the gate that never became another program holds our pipe open, and may outlive the gate.
            if os.getppid() != owner:
                return
            continue
        chunk = os.read(0, 1 << 20)
        if not chunk:
            return
        *lines, rest = (rest + chunk).split(b"\n")
        for line in lines:
            yield json.loads(line)


def _is_readable(patience_s: float) -> bool:
    return bool(select.select([0], [], [], patience_s)[0])


def _answer(answer: dict[str, Any]) -> None:
    with suppress(BrokenPipeError):  # the gate is gone, as the next reading will tell us
        os.write(1, json.dumps(answer).encode() + b"\n")


def _lock(path: str) -> Any:
    """The open file, to be held on to, or None."""
    import fcntl  # not on Windows, where the gate must be able to import this file and say that it does not run there

    file = Path(path).open("a")  # noqa: SIM115 - open for as long as the keeper lives

    def is_taken() -> bool:
        with suppress(BlockingIOError):
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return True
        return False

    # The keeper of a run that was just killed holds it until its server has stopped.
    return file if _wait_until(is_taken, GROUP_PATIENCE_S) else None


def _run(argv: list[str], account: dict[str, Any] | None, directory: str) -> dict[str, Any]:
    try:
        done = subprocess.run(
            argv,
            check=False,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            cwd=directory,
            env=_environment(),
            preexec_fn=_becoming(account, signal.SIGKILL),
        )
    except (OSError, subprocess.SubprocessError) as error:
        return {"status": 127, "output": str(error)}
    return {"status": done.returncode, "output": done.stdout.decode(errors="replace")}


def _serve(
    ledger: Ledger, argv: list[str], account: dict[str, Any] | None, data: str, log: str, stop: int
) -> dict[str, Any]:
    try:
        with Path(log).open("wb") as output:
            server = subprocess.Popen(
                argv,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                cwd=data,
                env=_environment(),
                preexec_fn=_becoming(account, stop),  # noqa: PLW1509 - the keeper has one thread
            )
    except (OSError, subprocess.SubprocessError) as error:
        return {"status": 127, "output": str(error)}
    child = Child(server.pid, stop)
    ledger.note(child)
    deadline = time.monotonic() + SERVER_PATIENCE_S
    # While the gate waits for our answer it has nothing to say: if the pipe becomes readable, the gate is gone.
    while server.poll() is None and time.monotonic() < deadline and not _is_readable(0.005):
        if _is_ready(data, server.pid):
            return {"pid": server.pid}
    child.undo()
    ledger.forget(child)
    return {"status": server.wait(), "output": Path(log).read_text(errors="replace")}


def _is_ready(data: str, pid: int) -> bool:
    """Whether the server says so, in the eighth line of its pid file; a connection need not be tried."""
    try:
        lines = Path(data, "postmaster.pid").read_text().splitlines()
    except OSError:
        return False
    # A file that an earlier server left behind names another process.
    return len(lines) > 7 and lines[0] == str(pid) and lines[7].strip() == "ready"


def _environment() -> dict[str, str]:
    """Ours without what would steer PostgreSQL, and in English, since we quote its messages."""
    steering = ("PG", "LC_", "LANG")
    return {name: value for name, value in os.environ.items() if not name.startswith(steering)} | {"LC_ALL": "C"}


# From linux/prctl.h and linux/capability.h.
PR_SET_PDEATHSIG, PR_SET_KEEPCAPS, PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE = 1, 8, 47, 2
CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH = 1, 2
CAPABILITY_VERSION_3 = 0x20080522


def _becoming(account: dict[str, Any] | None, stop: int) -> Callable[[], None]:
    """What a child does between fork and exec: take the account, and ask for a signal when the keeper dies."""
    keeper, is_linux = os.getpid(), sys.platform == "linux"
    libc = ctypes.CDLL(None, use_errno=True)

    def become() -> None:
        for ignored in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(ignored, signal.SIG_DFL)  # what is ignored stays so over exec, and PostgreSQL needs them
        if account:
            may_search = account["may_search"] and is_linux
            os.setgroups([])
            os.setgid(account["gid"])
            if may_search:
                libc.prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0)
            os.setuid(account["uid"])
            if may_search:
                _keep_right_to_search(libc)
        if is_linux:
            libc.prctl(PR_SET_PDEATHSIG, stop, 0, 0, 0)  # last: a change of user clears it
            if os.getppid() != keeper:
                os._exit(1)  # the keeper died before we asked

    return become


def _keep_right_to_search(libc: ctypes.CDLL) -> None:
    """Keep, of all that root may do, the right to pass through closed directories. Raises PermissionError.

    The alternatives are worse: to open the parents of a directory to everyone, to copy the binaries, or to keep the
    data where nobody looks for it. Containers often withhold this right, but leave the wider one, to override.
    See capabilities(7), "Ambient".
    """
    for capability in (CAP_DAC_READ_SEARCH, CAP_DAC_OVERRIDE):
        bit = 1 << capability
        header = (ctypes.c_uint32 * 2)(CAPABILITY_VERSION_3, 0)
        sets = (ctypes.c_uint32 * 6)(bit, bit, bit, 0, 0, 0)  # effective, permitted, inheritable; then the upper 32
        if libc.capset(header, sets) == 0 and libc.prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, capability, 0, 0) == 0:
            return
    raise PermissionError("this root may not pass through directories that are closed to others")


if __name__ == "__main__":
    main()
