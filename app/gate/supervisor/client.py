"""The supervisor: a process that outlives the gate and cleans up after it, however the gate ends.

A `finally` does not run after `kill -9`. So whatever must not stay behind (a server, its directory, databases on a
server that the user named, processes of the target, files that were overwritten) is reported to the supervisor *before*
it is created. Between the two is a pipe: its end of file means that the gate has ended. Then the supervisor cleans up,
so that a run that ends normally and one that is killed take the same path.

The gate in turn watches the supervisor and keeps the same ledger. If the supervisor is killed, the gate cleans up
immediately, and later requests raise ServerUnavailable. PostgreSQL is a child of the supervisor, and on Linux dies with
it.

Here is the gate's end of the pipe; the other is `_process.py`.
"""

from __future__ import annotations

import json
import os
import secrets
import signal
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, NoReturn, Self

from app.gate.errors import FileInUse, ServerUnavailable
from app.gate.supervisor._cleanup import (
    Child,
    Cleanup,
    Databases,
    Directory,
    File,
    Ledger,
    Marked,
    ProcessGroup,
    to_message,
)
from app.gate.supervisor.claims import note_text

CLOSE_PATIENCE_S = 90.0  # for the supervisor: longer than all of its own waits

LOST = "the process that supervises this run was killed, and everything that the run had started was cleaned up: start it again"

# Isolated, because the target's modules may be on PYTHONPATH; without site-packages, because they are not needed and it
# then starts sooner.
PROGRAM = (
    "import sys; sys.path.insert(0, sys.argv[1]); from app.gate.supervisor._process import main; main(int(sys.argv[2]))"
)
ROOT = Path(__file__).resolve().parents[3]


@dataclass(frozen=True)
class Account:
    """The account under which PostgreSQL runs if the gate runs as root, which PostgreSQL refuses."""

    uid: int
    gid: int
    name: str
    may_search: bool = False  # may search directories that are closed to it, such as a home with mode 0700


@dataclass(frozen=True)
class Ended:
    """A program that ran to its end, or a server that ended instead of starting."""

    status: int
    output: str


class Supervisor:
    """The gate's connection to its supervisor.

    Every method raises ServerUnavailable after the supervisor was killed.
    """

    def __init__(self) -> None:
        self._owner = os.getpid()
        self._ledger = Ledger()
        self._lock = threading.Lock()  # guards the ledger and the pipe, which must agree
        self._is_over = False
        self._claimed: set[str] = set()  # files
        try:
            # A separate session: Ctrl-C goes to the whole foreground group, and the gate must end before the
            # supervisor does.
            self._process = subprocess.Popen(
                [sys.executable, "-I", "-S", "-c", PROGRAM, str(ROOT), str(self._owner)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                cwd=os.sep,
                bufsize=0,
                start_new_session=True,
            )
        except OSError as error:
            raise ServerUnavailable(
                f"the process that cleans up after this run cannot be started ({error.strerror}): nothing was created"
            ) from error
        # If it is killed, the gate must notice that while it waits for something else.
        self._watcher = threading.Thread(target=self._watch, name="supervisor", daemon=True)
        self._watcher.start()
        # In the environment of the target's processes, so that they are ended even if they leave their group.
        self.mark = {"OVERPROOF_RUN": secrets.token_hex(8)}
        self._note(Marked(*(f"{name}={value}" for name, value in self.mark.items())))

    @property
    def pid(self) -> int:
        return self._process.pid

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def end(self) -> None:
        """Start the cleanup, without waiting for it.

        In a fork of the gate it does nothing: the gate itself continues.
        """
        if os.getpid() != self._owner or self._pipe.closed:
            return
        with suppress(ServerUnavailable):
            # Sent as a message as well, since a fork may keep the pipe open.
            self._send("end")
        with self._lock:
            self._pipe.close()

    def close(self) -> None:
        """Clean up, and wait until that is done. In a fork it does nothing either."""
        if os.getpid() != self._owner:
            return
        self.end()
        self._watcher.join(CLOSE_PATIENCE_S)
        if not self._watcher.is_alive() and self._process.stdout:
            self._process.stdout.close()

    def kill_group(self, pgid: int) -> None:
        """At the end, kill that process group. To be called immediately after starting it."""
        try:
            self._note(ProcessGroup(pgid))
        except ServerUnavailable:
            ProcessGroup(pgid).undo()  # it is in no ledger
            raise

    def forget_group(self, pgid: int) -> None:
        """That process group has ended, and another may get its number."""
        with suppress(ServerUnavailable):
            self._forget(ProcessGroup(pgid))

    def restore(self, path: str | os.PathLike[str]) -> None:
        """At the end, restore that file, or remove it if it does not exist now. To be called before writing.

        No other run may write it until then. Raises FileInUse if one does, and OSError.
        """
        real = os.path.realpath(path)
        if real in self._claimed:
            return
        answer = self._ask("claim", path=real)
        if "error" in answer:
            raise OSError(0, answer["error"])
        if "file" not in answer:
            raise FileInUse(f"another run of overproof writes {path} at this moment")
        self._claimed.add(real)
        with self._lock:
            self._ledger.note(File(**answer["file"]))  # the supervisor has noted it

    def write(self, path: str | os.PathLike[str], text: str) -> None:
        """Write a file, which is restored at the end, whatever is killed. Raises FileInUse and OSError."""
        self.restore(path)
        note_text(path, text)
        Path(path).write_text(text, "utf-8")

    def remove(self, directory: str | os.PathLike[str]) -> None:
        """At the end, remove that directory.

        To be called before creating it, under a name that is not used otherwise.
        """
        self._note(Directory(os.fspath(directory)))

    def keep(self, directory: str | os.PathLike[str]) -> None:
        """Do not remove that directory after all."""
        self._forget(Directory(os.fspath(directory)))

    def drop_databases(self, prefix: str, connection: Mapping[str, Any]) -> None:
        """At the end, drop all databases whose names begin so. To be called before creating the first."""
        import psycopg2

        self._note(Databases(prefix, dict(connection), str(Path(psycopg2.__file__).parents[1])))

    def lock(self, path: Path) -> bool:
        """Lock that file until the supervisor has cleaned up. False if another process holds the lock."""
        return bool(self._ask("lock", path=str(path))["taken"])

    def run(self, argv: Sequence[str | Path], account: Account | None, directory: Path) -> Ended:
        """Run a program to its end, as that account."""
        answer = self._ask(
            "run", argv=[str(each) for each in argv], account=_as_json(account), directory=str(directory)
        )
        return Ended(**answer)

    def serve(
        self, argv: Sequence[str | Path], account: Account | None, *, data: Path, log: Path, stop: signal.Signals
    ) -> Ended | None:
        """Start a PostgreSQL on the directory `data`, which ends by the signal `stop` when the supervisor does.

        None once it accepts connections. If it ended instead: its status, and what it wrote into `log`.
        """
        wanted = {"argv": [str(each) for each in argv], "data": str(data), "log": str(log), "stop": int(stop)}
        answer = self._ask("serve", account=_as_json(account), **wanted)
        if "pid" not in answer:
            return Ended(**answer)
        with self._lock:
            self._ledger.note(Child(answer["pid"], int(stop)))  # the supervisor has noted it
        return None

    def check(self) -> None:
        """Raises ServerUnavailable if the supervisor was killed."""
        self._send("check")  # the pipe breaks before any other effect of its death is visible

    def _note(self, cleanup: Cleanup) -> None:
        self._send("note", cleanup)

    def _forget(self, cleanup: Cleanup) -> None:
        self._send("forget", cleanup)

    def _send(self, what: str, cleanup: Cleanup | None = None, **details: Any) -> None:
        if cleanup:
            details |= to_message(cleanup)
        line = memoryview(json.dumps({"what": what, **details}).encode() + b"\n")
        try:
            with self._lock:
                if self._is_over:
                    raise BrokenPipeError
                if cleanup:
                    (self._ledger.note if what == "note" else self._ledger.forget)(cleanup)
                while line:
                    line = line[self._pipe.write(line) :]
        except (BrokenPipeError, ValueError):  # ValueError: it was closed
            self._lost()

    def _ask(self, what: str, **details: Any) -> dict[str, Any]:
        self._send(what, **details)
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
        if status < 0:  # by a signal: the gate has to clean up
            self._ledger.undo()


def _as_json(account: Account | None) -> dict[str, Any] | None:
    return asdict(account) if account else None
