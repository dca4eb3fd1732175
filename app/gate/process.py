"""A running upgrade command, and the conversation with the driver inside it."""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import re
import secrets
import select
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from app.gate.server.database import Database
from app.gate.server.throwaway import Server
from app.gate.target import CannotVerify, Target

DRIVER = Path(__file__).parent / "driver"
_TAIL_BYTES = 65_536


Place = tuple[str, str]  # of a step: revision, direction


class Hung(Exception):
    """A step did not end in time, nor after it was cancelled."""

    def __init__(self, words: str, at: Place) -> None:
        super().__init__(words)
        self.at = at


class Gone(Exception):
    """The command ended in the middle of a conversation, and of the step `at` if there is one."""

    at: Place | None = None


class Unforeseen(Exception):
    """What is asked is not what was foreseen, and the command has gone on with that."""


Request = dict[str, Any]  # {"do": "step", "revision": "b2", "direction": "upgrade"}


class Conversation:
    """Requests and answers over one walk. The first thing that the driver says is `hello`."""

    def __init__(self, connected: socket.socket, process: Process) -> None:
        self._socket = connected
        self._process = process
        self._buffer = bytearray()
        self._asked = ""
        self.foreseen: deque[Request] = deque()  # what the command does without being asked, and has not answered yet
        try:
            self.hello: dict[str, Any] = self.receive()
        except BaseException:  # Gone, where the command is killed just then
            self.close()
            raise

    def ask(
        self, do: str, timeout_s: float | None = None, meanwhile: Callable[[], None] | None = None, **arguments: Any
    ) -> dict[str, Any]:
        """The answer to one request. Raises Gone, or TimeoutError after `timeout_s`, or Unforeseen.

        `meanwhile` is called while the command is busy with it.
        """
        self.send(do, **arguments)
        if meanwhile is not None:
            meanwhile()
        return self.receive(timeout_s)

    def foresee(self, *requests: Request) -> None:
        """Send what is going to be asked next, in that order. The command goes on with it while we are busy with its answers, up to the
        first request that does not go well. Raises Gone."""
        self._say({"do": "series", "requests": requests})
        self.foreseen.extend(requests)

    def send(self, do: str, **arguments: Any) -> None:
        """Send a request, if that was not done already, without waiting for its answer. Raises Gone and Unforeseen."""
        request = {"do": do, **arguments}
        self._asked = do
        if not self.foreseen:
            self._say(request)
        elif self.foreseen[0] != request:
            raise Unforeseen

    def _say(self, message: Request) -> None:
        try:
            self._socket.sendall(json.dumps(message).encode() + b"\n")
        except OSError as error:
            raise Gone(self._process.last_words()) from error

    def receive(self, timeout_s: float | None = None) -> dict[str, Any]:
        """The next thing that the driver says. Raises Gone or TimeoutError."""
        deadline = None if timeout_s is None else time.monotonic() + timeout_s
        while (end := self._buffer.find(b"\n")) < 0:
            self._socket.settimeout(None if deadline is None else max(0.001, deadline - time.monotonic()))
            try:
                received = self._socket.recv(1 << 20)
            except TimeoutError:
                raise
            except OSError as error:
                raise Gone(self._process.last_words()) from error
            if not received:
                raise Gone(self._process.last_words())
            self._buffer += received
        line = bytes(self._buffer[:end])
        del self._buffer[: end + 1]
        answer: dict[str, Any] = json.loads(line)
        if self.foreseen:
            self.foreseen.popleft()
        if answer.pop("is_last", False):
            self.foreseen.clear()
        if "fault" in answer:
            raise CannotVerify(
                "this is a defect of Overproof, please report it: inside the command, asked to"
                f" {self._asked}: {answer['fault']}"
            )
        return answer

    def close(self) -> None:
        self._socket.close()


class Process:
    """The upgrade command on one database. Leaving the context kills what is left of its process group."""

    def __init__(
        self, target: Target, server: Server, database: Database, extra: Sequence[str] = (), *, is_driven: bool = True
    ) -> None:
        self._target = target
        self._server = server
        self.command = [*target.command_for(database), *extra]
        environment = target.environment_for(database)
        self._listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        # A socket's path holds about 100 bytes, so it lies in the system's own directory for such things.
        self._place = Path(tempfile.gettempdir(), f"op-{secrets.token_hex(8)}")
        if is_driven:
            server.keeper.remove(self._place)
            self._place.mkdir(mode=0o700)
            self._listener.bind(str(self._place / "driver"))
            self._listener.listen()
            environment["OVERPROOF_DRIVER"] = str(self._place / "driver")
            environment["PYTHONPATH"] = os.pathsep.join(
                [str(DRIVER), *filter(None, [environment.get("PYTHONPATH", "")])]
            )
        self._output = tempfile.TemporaryFile()  # noqa: SIM115 - closed with the process
        self._process = start(self.command, environment, target.directory, server, self._output)
        self.conversations: list[Conversation] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.kill()
        for conversation in self.conversations:
            conversation.close()
        self._listener.close()
        self._output.close()
        shutil.rmtree(self._place, ignore_errors=True)
        self._server.keeper.keep(self._place)

    def arrive(self, timeout_s: float | None = None) -> Conversation | None:
        """The conversation of the next walk, or None once the command has ended. Raises TimeoutError."""
        deadline = None if timeout_s is None else time.monotonic() + timeout_s
        while True:
            has_ended = self._process.poll() is not None  # asked first: it may connect and end between the two
            readable, _, _ = select.select([self._listener], [], [], 0 if has_ended else 0.01)
            if readable:
                connected, _ = self._listener.accept()
                conversation = Conversation(connected, self)
                self.conversations.append(conversation)
                return conversation
            if has_ended:
                return None
            if deadline is not None and time.monotonic() > deadline:
                raise TimeoutError

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


def start(
    command: Sequence[str], environment: Mapping[str, str], directory: Path, server: Server, output: Any
) -> subprocess.Popen[bytes]:
    """Start a command of the target's in a process group of its own, which dies with the gate. Raises CannotVerify."""
    try:
        process = subprocess.Popen(
            list(command), env={**environment, **server.keeper.mark}, cwd=directory, stdin=subprocess.DEVNULL,
            stdout=output, stderr=subprocess.STDOUT, start_new_session=True,
        )  # fmt: skip
    except OSError as error:
        raise CannotVerify(f"cannot start {command[0]!r}: {error.strerror}; give the path of a program") from error
    server.keeper.kill_group(process.pid)
    return process


def kill_group(process: subprocess.Popen[bytes], server: Server) -> None:
    """End a command's whole process group, children that outlived it included."""
    with contextlib.suppress(ProcessLookupError, PermissionError):  # nobody is left in it
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    server.keeper.forget_group(process.pid)


# "sqlalchemy.exc.ProgrammingError: (psycopg2.errors.UndefinedTable) ...", perhaps behind what a logger puts before it.
_EXCEPTION = re.compile(
    r"(?:^|\s)((?:\w+\.)*\w*(?:Error|Exception|Exit|Interrupt|Violation)\w*: .+|\((?:psycopg2?|asyncpg|pg8000)\.[\w.]+\) .+)"
)
# What a logger puts before what it has to say: "2026-11-22 11:01:20.611 27943 ERROR ", "[11:01:20] ".
_STAMP = re.compile(
    r"^\[?(?:\d{4}-\d\d-\d\d[T ])?\d\d:\d\d(?::\d\d(?:[.,]\d+)?)?(?:Z|[+-]\d\d:?\d\d)?\]?[\s:,-]+(?:\d+\s+(?=[A-Z]))?(?=\S)"
)


def last_line(text: str) -> str:
    """The line that says what happened: the last that names an exception, else the last that is not blank.

    With the lines that go with it: pydantic and others name the setting that is missing in the second.
    """
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    named = [(number, found[1]) for number, line in enumerate(lines) if (found := _EXCEPTION.search(line))]
    if not named:
        return _STAMP.sub("", lines[-1])[:500] if lines else ""
    if lines[-1].startswith("Error: "):
        # Of Flask's two, the first is why there is no such command as the second one says.
        return " ".join(line for line in lines if line.startswith("Error: "))[:500]
    number, told = named[-1]
    if _OF_A_DATABASE.search(told):
        # Its statement and its parameters follow, unless it is itself too long for somebody's terminal.
        following = itertools.takewhile(lambda line: line[0].islower(), lines[number + 1 : number + 3])
        told = " ".join([told, *following])
    elif told == lines[number]:
        told = " ".join([told, *lines[number + 1 : number + 4]])
    return told[:500]


_OF_A_DATABASE = re.compile(r"psycopg|sqlalchemy|asyncpg|pg8000")
