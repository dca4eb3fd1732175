"""The keeper: a process that outlives the gate and undoes what the gate began, however the gate ended.

A `finally` does not run after `kill -9`. So whatever must not stay behind (a server, its directory, databases on
a server of somebody else's, processes of the target, files that were written over) is told to the keeper *before* it is
begun. Between the two is a pipe: its end of file means that the gate is gone, or done. Then the keeper undoes it all,
so that a run that ends well and one that is killed leave by the same door.

The gate in its turn watches the keeper and keeps the same ledger. If the keeper is killed, the gate undoes at once, and
says so to whoever still wants something. PostgreSQL is a child of the keeper, and on Linux dies with it.

This file is both ends: `Keeper`, which the gate holds, and the program behind it, run as `python -I -S keeper.py`.
Isolated, because the target's modules may lie on PYTHONPATH; without site-packages, because it needs the standard
library alone. The one exception, psycopg2, is named to it by directory.
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
from typing import Any, NoReturn

PATIENCE_S = 10.0  # for anything that was told to end
START_PATIENCE_S = 60.0  # for a PostgreSQL on a busy machine, or one that recovers
CLOSE_PATIENCE_S = 60.0  # for the keeper itself: longer than what it does can take


class ServerUnavailable(Exception):
    """There is no PostgreSQL to work on. The message is one line for people, and never holds a password."""


LOST = "The process that guards this run was killed; all that the run had begun has been undone. Start it again."


# --- What can be undone. Each is told as JSON, so that both ends hold the same ledger.


@dataclass(frozen=True)
class Group:
    """A process group to be killed."""

    pgid: int

    def undo(self) -> None:
        with suppress(ProcessLookupError, PermissionError):  # macOS says EPERM of a group of zombies
            os.killpg(self.pgid, signal.SIGKILL)
            # What still runs could write to a file after it was put back, or connect to a database while it is dropped.
            # Briefly: one that the gate has not waited for yet stays listed, though it can do no harm.
            _wait_until(lambda: not _exists(-self.pgid), 2.0)


@dataclass(frozen=True)
class Child:
    """A process of the keeper's own to be ended with a signal: the embedded PostgreSQL."""

    pid: int
    stop: int

    def undo(self) -> None:
        with suppress(ProcessLookupError):
            os.kill(self.pid, self.stop)
            if not _wait_until(lambda: not _exists(self.pid)):
                os.kill(self.pid, signal.SIGKILL)
                _wait_until(lambda: not _exists(self.pid))


@dataclass(frozen=True)
class Directory:
    """A directory to be removed with all that is in it."""

    path: str

    def undo(self) -> None:
        # A process that lost its postmaster may write a last file while we remove: so try until it is gone.
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
        real = os.path.realpath(path)  # writing goes through a link, so putting back must as well
        try:
            with open(real, "rb") as file:
                state = os.fstat(file.fileno())
                content = base64.b64encode(file.read()).decode()
        except FileNotFoundError:
            return cls(real, None)
        return cls(real, content, state.st_mode & 0o7777, state.st_mtime_ns)

    def undo(self) -> None:
        if self.content is None:
            with suppress(FileNotFoundError):
                os.unlink(self.path)
            return
        # In place, not by renaming: the file keeps its owner, its hard links and whatever is mounted on it.
        with open(self.path, "wb") as file:
            file.write(base64.b64decode(self.content))
        os.chmod(self.path, self.mode)
        os.utime(self.path, ns=(self.modified_ns, self.modified_ns))


@dataclass(frozen=True)
class Databases:
    """All databases of one run on a server that is not ours, told by what their names begin with."""

    prefix: str
    connection: dict[str, str]  # libpq's keywords; it has the application_name `prefix`
    library: str  # the directory that holds psycopg2

    def undo(self) -> None:
        if self.library not in sys.path:
            sys.path.append(self.library)
        import psycopg2

        deadline = time.monotonic() + PATIENCE_S
        while True:
            try:
                connection = psycopg2.connect(**self.connection)
                break
            except psycopg2.OperationalError:
                # The sessions of a target that was just killed may still fill every slot of the server.
                if time.monotonic() > deadline:
                    raise RuntimeError(
                        f"databases whose names begin with {self.prefix} could not be dropped: no connection"
                    ) from None
                time.sleep(0.2)
        connection.autocommit = True
        with connection.cursor() as cursor:
            # A CREATE DATABASE that was under way when the gate was killed goes on in the server: end it, or its
            # database appears after we have looked.
            cursor.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                " WHERE application_name = %s AND pid <> pg_backend_pid()",
                [self.prefix],
            )

            def is_alone() -> bool:
                cursor.execute(
                    "SELECT count(*) = 0 FROM pg_stat_activity WHERE application_name = %s AND pid <> pg_backend_pid()",
                    [self.prefix],
                )
                return bool(cursor.fetchone()[0])

            _wait_until(is_alone)
            cursor.execute(
                "SELECT datname FROM pg_database WHERE left(datname, %s) = %s", [len(self.prefix), self.prefix]
            )
            for (name,) in cursor.fetchall():
                cursor.execute(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')
        connection.close()


Undoing = Group | Child | Directory | File | Databases
KINDS: Mapping[str, type[Undoing]] = {kind.__name__: kind for kind in (Group, Child, Directory, File, Databases)}


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
        """Undo everything, the last first, but processes of the target before anything. False: something stays."""
        undoings = sorted(reversed(self._undoings), key=lambda undoing: not isinstance(undoing, Group))
        self._undoings = []
        went_well = True
        for undoing in undoings:
            try:
                undoing.undo()
            except Exception as error:  # the others must be undone nevertheless
                went_well = False
                with suppress(OSError):  # the terminal may be gone
                    print(f"overproof: could not clean up: {error}", file=sys.stderr, flush=True)
        return went_well


def _exists(process: int) -> bool:
    """Whether a process (or, negative, a process group) is there. A child of ours that ended is reaped."""
    if process > 0:
        with suppress(ChildProcessError):
            os.waitpid(process, os.WNOHANG)
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


# --- The gate's end.


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
    """The gate's hold on its keeper. Everything raises `ServerUnavailable` once the keeper was killed."""

    def __init__(self) -> None:
        self._owner = os.getpid()
        self._ledger = Ledger()
        self._lock = threading.Lock()
        # A session of its own: Ctrl-C goes to the foreground group, and must not reach the keeper before the gate has ended.
        self._process = subprocess.Popen(
            [sys.executable, "-I", "-S", os.path.abspath(__file__), str(self._owner)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            cwd=os.sep,
            bufsize=0,
            start_new_session=True,
        )
        self._watcher = threading.Thread(target=self._watch, name="keeper", daemon=True)
        self._watcher.start()

    @property
    def pid(self) -> int:
        return self._process.pid

    def __enter__(self) -> Keeper:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def close(self) -> None:
        """Have everything undone, and wait until it is."""
        if os.getpid() != self._owner:
            return  # a fork of the gate ends; the gate goes on
        assert self._process.stdin is not None
        with self._lock:
            self._process.stdin.close()
        self._watcher.join(CLOSE_PATIENCE_S)

    def kill_group(self, pgid: int) -> None:
        """At the end, kill that process group."""
        try:
            self._note(Group(pgid))
        except ServerUnavailable:
            Group(pgid).undo()  # it was begun already, and nobody else knows of it
            raise

    def forget_group(self, pgid: int) -> None:
        """That process group has ended; its number may be another's soon."""
        with suppress(ServerUnavailable):
            self._forget(Group(pgid))

    def restore(self, path: str | os.PathLike[str]) -> None:
        """At the end, give that file what it holds now, or its absence. To be called before writing."""
        self._note(File.as_it_is(path))

    def remove(self, directory: Path) -> None:
        """At the end, remove that directory. To be called before making it."""
        self._note(Directory(str(directory)))

    def keep(self, directory: Path) -> None:
        """Do not remove that directory after all."""
        self._forget(Directory(str(directory)))

    def drop_databases(self, prefix: str, connection: Mapping[str, str]) -> None:
        """At the end, drop all databases whose names begin so. To be called before creating the first."""
        import psycopg2

        self._note(Databases(prefix, dict(connection), str(Path(psycopg2.__file__).parents[1])))

    def run(self, argv: Sequence[str | Path], account: Account | None, cwd: Path) -> Ended:
        """Run a program to its end, as that account."""
        return Ended(**self._ask("run", argv=[str(each) for each in argv], cwd=str(cwd), account=_told(account)))

    def serve(
        self, argv: Sequence[str | Path], account: Account | None, *, data: Path, log: Path, stop: signal.Signals
    ) -> Ended | None:
        """Start a PostgreSQL on the directory `data` that ends, by the signal `stop`, with this keeper.

        None once it accepts connections. If it ended instead, its status and its log.
        """
        answer = self._ask(
            "serve",
            argv=[str(each) for each in argv],
            account=_told(account),
            data=str(data),
            log=str(log),
            stop=int(stop),
        )
        if "pid" in answer:
            self._ledger.note(Child(answer["pid"], int(stop)))  # the keeper has noted it already
            return None
        return Ended(**answer)

    def _note(self, undoing: Undoing) -> None:
        self._tell("note", kind=type(undoing).__name__, fields=asdict(undoing))
        self._ledger.note(undoing)

    def _forget(self, undoing: Undoing) -> None:
        self._ledger.forget(undoing)
        self._tell("forget", kind=type(undoing).__name__, fields=asdict(undoing))

    def _tell(self, what: str, **details: Any) -> None:
        line = memoryview(json.dumps({"what": what, **details}).encode() + b"\n")
        assert self._process.stdin is not None
        with self._lock:
            try:
                while line:
                    line = line[self._process.stdin.write(line) :]
            except (BrokenPipeError, ValueError):  # ValueError: closed
                self._lost()

    def _ask(self, what: str, **details: Any) -> dict[str, Any]:
        self._tell(what, **details)
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line.endswith(b"\n"):
            self._lost()
        answer: dict[str, Any] = json.loads(line)
        return answer

    def _lost(self) -> NoReturn:
        raise ServerUnavailable(LOST) from None

    def _watch(self) -> None:
        if self._process.wait() < 0:  # killed by a signal: what it would have undone is left to us
            self._ledger.undo()


def _told(account: Account | None) -> dict[str, Any] | None:
    return account and asdict(account)


# --- The keeper's end.


def main() -> None:
    owner = int(sys.argv[1])
    for ignored in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(ignored, signal.SIG_IGN)
    ledger = Ledger()
    for message in _messages(owner):
        what = message.pop("what")
        if what == "note":
            ledger.note(KINDS[message["kind"]](**message["fields"]))
        elif what == "forget":
            ledger.forget(KINDS[message["kind"]](**message["fields"]))
        elif what == "run":
            _answer(_run(**message))
        elif what == "serve":
            _answer(_serve(ledger, **message))
    sys.exit(0 if ledger.undo() else 1)


def _messages(owner: int) -> Iterator[dict[str, Any]]:
    """What the gate tells, until it is gone. A line that was cut short by its death is dropped."""
    rest = b""
    while True:
        if not _is_readable(1.0):
            # A fork of the gate that never became another program holds our pipe open, and may outlive the gate.
            if os.getppid() != owner:
                return
            continue
        chunk = os.read(0, 65536)
        if not chunk:
            return
        *lines, rest = (rest + chunk).split(b"\n")
        for line in lines:
            yield json.loads(line)


def _is_readable(patience_s: float) -> bool:
    return bool(select.select([0], [], [], patience_s)[0])


def _answer(answer: dict[str, Any]) -> None:
    with suppress(BrokenPipeError):  # the gate is gone; end of file will tell us as well
        os.write(1, json.dumps(answer).encode() + b"\n")


def _run(argv: list[str], cwd: str, account: dict[str, Any] | None) -> dict[str, Any]:
    try:
        done = subprocess.run(
            argv,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            cwd=cwd,
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
        with open(log, "wb") as output:
            server = subprocess.Popen(
                argv,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                cwd=data,
                env=_environment(),
                preexec_fn=_becoming(account, stop),
            )
    except (OSError, subprocess.SubprocessError) as error:
        return {"status": 127, "output": str(error)}
    child = Child(server.pid, stop)
    ledger.note(child)
    deadline = time.monotonic() + START_PATIENCE_S
    # The pipe becomes readable when the gate is gone, for it waits for our answer: then there is no need to start.
    while server.poll() is None and time.monotonic() < deadline and not _is_readable(0.005):
        if _is_ready(data, server.pid):
            return {"pid": server.pid}
    child.undo()
    ledger.forget(child)
    return {"status": server.wait(), "output": Path(log).read_text(errors="replace")}


def _is_ready(data: str, pid: int) -> bool:
    """The server says so itself in the eighth line of its pid file, without a connection being tried."""
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


PR_SET_PDEATHSIG, PR_SET_KEEPCAPS, PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE = 1, 8, 47, 2
CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH = 1, 2
LINUX_CAPABILITY_VERSION_3 = 0x20080522


def _becoming(account: dict[str, Any] | None, stop: int) -> Callable[[], None]:
    """What a child does between fork and exec: take the account, and ask to be signalled when the keeper dies."""
    keeper = os.getpid()
    libc = ctypes.CDLL(None, use_errno=True)
    is_linux = sys.platform == "linux"

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
    """Keep, out of all that root may do, the right to pass through closed directories. Raises PermissionError.

    The alternatives are worse: opening the parents of a directory to everyone, copying the binaries, or keeping the
    data where nobody looks for it. Containers often withhold the right to search but leave the wider one, to override.
    """
    for capability in (CAP_DAC_READ_SEARCH, CAP_DAC_OVERRIDE):
        bit = 1 << capability
        header = (ctypes.c_uint32 * 2)(LINUX_CAPABILITY_VERSION_3, 0)
        sets = (ctypes.c_uint32 * 6)(bit, bit, bit, 0, 0, 0)  # effective, permitted, inheritable; then 32 to 63
        if libc.capset(header, sets) == 0 and libc.prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, capability, 0, 0) == 0:
            return
    raise PermissionError("this root may not search directories that are closed to others")


if __name__ == "__main__":
    main()
