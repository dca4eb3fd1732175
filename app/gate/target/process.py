"""A running upgrade command, and the session with the driver inside it."""

from __future__ import annotations

import contextlib
import json
import math
import os
import secrets
import select
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from app.gate.errors import CannotVerify
from app.gate.history.checkout import Checkout
from app.gate.server.database import Database
from app.gate.server.throwaway import Server
from app.gate.target._error_line import last_line
from app.gate.target.session import DriverSession
from app.gate.target.target import Target, put_driver_first

_TAIL_BYTES = 65_536
_LONGEST_WAIT_S = 0.5  # after which it is looked whether the command has ended in another way


class Process:
    """The upgrade command on one database. Leaving the context kills what is left of its process group."""

    def __init__(
        self,
        target: Target,
        server: Server,
        database: Database,
        extra: Sequence[str] = (),
        *,
        is_driven: bool = True,
        checkout: Checkout | None = None,
    ) -> None:
        self.target = target
        self._server = server
        self.command = [*target.command_for(database), *extra]
        environment = target.environment_for(database)
        self._listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        # A socket's path holds about 100 bytes, so it lies in the system's own directory for such things.
        self._place = Path(tempfile.gettempdir(), f"op-{secrets.token_hex(8)}")
        if is_driven:
            server.supervisor.remove(self._place)
            self._place.mkdir(mode=0o700)
            self._listener.bind(str(self._place / "driver"))
            self._listener.listen()
            environment["OVERPROOF_DRIVER"] = str(self._place / "driver")
            environment["OVERPROOF_ASKED_FOR"] = str(self._place / "asked-for")
            put_driver_first(environment)
        if checkout is not None:
            environment["OVERPROOF_CHECKOUT"] = json.dumps([str(checkout.root), str(checkout.place)])
        self._output = tempfile.TemporaryFile()  # noqa: SIM115 - closed with the process
        self._process = start_command(self.command, environment, target.directory, server, self._output)
        self.sessions: list[DriverSession] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.kill()
        for session in self.sessions:
            session.close()
        self._listener.close()
        self._output.close()
        shutil.rmtree(self._place, ignore_errors=True)
        self._server.supervisor.keep(self._place)

    def next_session(self, timeout_s: float | None = None) -> DriverSession | None:
        """The session of the command's next call of Alembic. None once the command has ended. Raises TimeoutError."""
        deadline = time.monotonic() + (math.inf if timeout_s is None else timeout_s)
        while True:
            has_ended = self._process.poll() is not None  # first, as it may connect and end between the two
            patience_s = min(_LONGEST_WAIT_S, max(0.01, deadline - time.monotonic()))
            if self._is_connected_to(0.0 if has_ended else patience_s):
                connected, _ = self._listener.accept()
                session = DriverSession(connected, self.last_words)
                self.sessions.append(session)
                return session
            if has_ended:
                return None
            if time.monotonic() > deadline:
                raise TimeoutError

    def _is_connected_to(self, patience_s: float) -> bool:
        """Wait for a connection, no longer than that or until the command has ended. Whether there is one."""
        watched: list[Any] = [self._listener]
        with contextlib.ExitStack() as stack:
            if patience_s and hasattr(os, "pidfd_open"):  # on Linux
                with contextlib.suppress(OSError):
                    watched.append(os.pidfd_open(self._process.pid))
                    stack.callback(os.close, watched[-1])
            # Where nothing tells that the command has ended, one has to look.
            readable, _, _ = select.select(watched, [], [], patience_s if len(watched) > 1 else min(patience_s, 0.01))
        return self._listener in readable

    def asked_for(self) -> list[str]:
        """The variables that the command looked for in its environment in vain, of those that may name a database."""
        with contextlib.suppress(OSError):
            return list(dict.fromkeys(self._place.joinpath("asked-for").read_text("utf-8", "replace").split()))
        return []

    def wait(self, timeout_s: float | None = None) -> int:
        """The command's exit status. Raises TimeoutError."""
        try:
            return self._process.wait(timeout_s)
        except subprocess.TimeoutExpired as error:
            raise TimeoutError from error

    def kill(self) -> None:
        """End the command and all that it started."""
        kill_group(self._process, self._server)

    def output(self) -> str:
        """The end of what the command printed."""
        self._output.seek(0, os.SEEK_END)
        self._output.seek(max(0, self._output.tell() - _TAIL_BYTES))
        return self._output.read().decode("utf-8", "replace")

    def last_words(self) -> str:
        """The last line that the command printed: of a traceback, the line that says what happened."""
        return last_line(self.output()) or "it printed nothing"


def start_command(
    command: Sequence[str], environment: Mapping[str, str], directory: Path, server: Server, output: Any
) -> subprocess.Popen[bytes]:
    """Start a command of the target's in a separate process group, which ends with the gate. Raises CannotVerify."""
    try:
        process = subprocess.Popen(
            list(command), env={**environment, **server.supervisor.mark}, cwd=directory, stdin=subprocess.DEVNULL,
            stdout=output, stderr=subprocess.STDOUT, start_new_session=True,
        )  # fmt: skip
    except OSError as error:
        raise CannotVerify(f"cannot start {command[0]!r}: {error.strerror}; give the path of a program") from error
    server.supervisor.kill_group(process.pid)
    return process


def kill_group(process: subprocess.Popen[bytes], server: Server) -> None:
    """End a command's whole process group, children that outlived it included."""
    with contextlib.suppress(ProcessLookupError, PermissionError):  # no process is left in it
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    server.supervisor.forget_group(process.pid)
