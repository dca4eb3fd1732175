"""What the gate starts or creates and must not leave behind, and how each is cleaned up.

Each is sent to the supervisor as JSON, so that both have the same ledger and either can clean up. Only the standard
library is needed, and psycopg2 for databases on a server that the user names.
"""

from __future__ import annotations

import base64
import os
import shutil
import signal
import sys
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from app.gate.postgres.quoting import identifier

GROUP_PATIENCE_S = 2.0  # for processes that were killed
PATIENCE_S = 10.0  # for what is about to end
SERVER_PATIENCE_S = 60.0  # for a PostgreSQL to start or stop, on a busy machine and with data to recover or write


@dataclass(frozen=True)
class ProcessGroup:
    """A process group to be killed."""

    pgid: int

    def undo(self) -> None:
        with suppress(ProcessLookupError, PermissionError):  # macOS says EPERM of a group of zombies
            os.killpg(self.pgid, signal.SIGKILL)
            # A process that still runs could write to a file after it was restored, or connect to a database while it
            # is dropped. The wait is short: a zombie stays in the process table, and does no harm.
            wait_until(lambda: not exists(-self.pgid), GROUP_PATIENCE_S)


@dataclass(frozen=True)
class Marked:
    """All processes with this in their environment, also those that left their group (Linux only)."""

    mark: str  # "OVERPROOF_RUN=3f786850e387"

    def undo(self) -> None:
        wait_until(lambda: not self._kill(), GROUP_PATIENCE_S)

    def _kill(self) -> bool:
        """Whether there were any: a process may have started another just before it was killed."""
        mark, found = self.mark.encode(), False
        for environment in Path("/proc").glob("[0-9]*/environ"):
            # A process may end meanwhile, and those of other users cannot be read: neither is one of the gate's.
            with suppress(OSError):
                if mark in environment.read_bytes().split(b"\0"):
                    os.kill(int(environment.parent.name), signal.SIGKILL)
                    found = True
        return found


@dataclass(frozen=True)
class Child:
    """A child of the supervisor, to be ended with a signal: the embedded PostgreSQL."""

    pid: int
    stop: int

    def undo(self) -> None:
        with suppress(ProcessLookupError):
            os.kill(self.pid, self.stop)
            if not wait_until(lambda: not exists(self.pid), SERVER_PATIENCE_S):
                os.kill(self.pid, signal.SIGKILL)
                wait_until(lambda: not exists(self.pid))


@dataclass(frozen=True)
class Directory:
    """A directory to be removed with its contents."""

    path: str

    def undo(self) -> None:
        # A backend whose postmaster was killed may still write a file meanwhile: so try until the directory is gone.
        def is_gone() -> bool:
            shutil.rmtree(self.path, ignore_errors=True)
            return not os.path.lexists(self.path)

        if not wait_until(is_gone):
            shutil.rmtree(self.path)  # raises the reason


@dataclass(frozen=True)
class File:
    """A file whose bytes, mode and time are to be restored; or that is to be removed again (`content` is None)."""

    path: str
    content: str | None  # base64
    mode: int = 0
    modified_ns: int = 0
    record: str = ""  # to be removed once it is restored (see `claims.py`)

    @classmethod
    def read(cls, path: str | os.PathLike[str]) -> File:
        real = Path(os.path.realpath(path))  # writing follows a link, so restoring must as well
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
        else:
            # In place, not by renaming: the file keeps its owner, its hard links and its mounts.
            path.write_bytes(base64.b64decode(self.content))
            path.chmod(self.mode)
            os.utime(path, ns=(self.modified_ns, self.modified_ns))
        if self.record:
            Path(self.record).unlink(missing_ok=True)


@dataclass(frozen=True)
class Databases:
    """All databases of one run on a server that the user names, identified by their prefix."""

    prefix: str
    connection: dict[str, Any]  # libpq's keywords; `prefix` is the application_name of the sessions that create them
    library: str  # the directory that holds psycopg2

    def undo(self) -> None:
        connection = self._connect()
        try:
            connection.autocommit = True
            with connection.cursor() as cursor:
                # A CREATE DATABASE that was running when the gate was killed continues in the server: it must end
                # first, or its database appears after the query below.
                wait_until(lambda: not self._end_creators(cursor))
                cursor.execute(
                    "SELECT datname FROM pg_database WHERE left(datname, %s) = %s", [len(self.prefix), self.prefix]
                )
                for (name,) in cursor.fetchall():
                    cursor.execute(f"DROP DATABASE IF EXISTS {identifier(name)} WITH (FORCE)")
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
                # The sessions of a target that was just killed may use all connections of the server for a moment.
                if time.monotonic() > deadline:
                    raise ConnectionError(
                        f"no connection to the server, to drop the databases whose names begin with {self.prefix}"
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


Cleanup = ProcessGroup | Marked | Child | Directory | File | Databases
KINDS: Mapping[str, type[Cleanup]] = {
    kind.__name__: kind for kind in (ProcessGroup, Marked, Child, Directory, File, Databases)
}


def to_message(cleanup: Cleanup) -> dict[str, Any]:
    """For JSON: {"kind": "ProcessGroup", "fields": {"pgid": 4711}}."""
    return {"kind": type(cleanup).__name__, "fields": asdict(cleanup)}


def from_message(message: Mapping[str, Any]) -> Cleanup:
    """The cleanup of which `to_message` made the message."""
    return KINDS[message["kind"]](**message["fields"])


class Ledger:
    """What is to be cleaned up, in the order of creation."""

    def __init__(self) -> None:
        self._cleanups: list[Cleanup] = []

    def note(self, cleanup: Cleanup) -> None:
        self._cleanups.append(cleanup)

    def forget(self, cleanup: Cleanup) -> None:
        with suppress(ValueError):
            self._cleanups.remove(cleanup)

    def undo(self) -> bool:
        """Clean up everything: the target's processes, then the rest, the last first.

        False if something could not be.
        """
        cleanups = self._cleanups[::-1]
        cleanups.sort(key=lambda cleanup: not isinstance(cleanup, ProcessGroup | Marked))
        self._cleanups = []
        went_well = True
        for cleanup in cleanups:
            try:
                cleanup.undo()
            except Exception as error:  # noqa: BLE001 - the others must be cleaned up nevertheless
                went_well = False
                with suppress(OSError, ValueError):  # the reader of stderr may be gone
                    print(f"overproof: could not clean up: {error}", file=sys.stderr, flush=True)
        return went_well


def exists(process: int) -> bool:
    """Whether a process exists; for a negative number, any process of that group."""
    if process > 0:
        with suppress(ChildProcessError):
            os.waitpid(process, os.WNOHANG)  # a child that ended exists until it is waited for
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return process > 0
    return True


def wait_until(is_so: Callable[[], bool], patience_s: float = PATIENCE_S) -> bool:
    deadline = time.monotonic() + patience_s
    while not is_so():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.005)
    return True
