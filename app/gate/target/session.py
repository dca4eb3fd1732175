"""The session with the driver: requests and answers over a Unix socket."""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from app.gate.errors import CannotVerify, CommandExited

if TYPE_CHECKING:
    from app.gate.driver.overproof_driver import protocol


class DriverSession:
    """One call of `run_migrations` in the command, which waits for requests (see the driver's `protocol.py`)."""

    def __init__(self, connected: socket.socket, last_words: Callable[[], str]) -> None:
        """Raises CommandExited, and CannotVerify where the project's Alembic or SQLAlchemy is too old."""
        self._socket = connected
        self._last_words = last_words
        self._buffer = bytearray()
        self._requested = ""
        try:
            handshake = self.receive()
            if unsupported := handshake.get("unsupported"):
                raise CannotVerify(f"{unsupported}: raise it there")
        except BaseException:
            self.close()
            raise
        self.handshake: protocol.Handshake = handshake

    def request(self, do: protocol.Request | protocol.Ending, timeout_s: float | None = None, **arguments: Any) -> Any:
        """The answer to one request. Raises CommandExited, or TimeoutError after `timeout_s`."""
        self.send(do, **arguments)
        return self.receive(timeout_s)

    def send(self, do: protocol.Request | protocol.Ending | protocol.Continue, **arguments: Any) -> None:
        """Send a request without waiting for its answer. Raises CommandExited."""
        self._requested = do
        try:
            self._socket.sendall(json.dumps({"do": do, **arguments}).encode() + b"\n")
        except OSError as error:
            raise CommandExited(self._last_words()) from error

    def receive(self, timeout_s: float | None = None) -> Any:
        """The driver's next message. Raises CommandExited or TimeoutError."""
        deadline = None if timeout_s is None else time.monotonic() + timeout_s
        while (end := self._buffer.find(b"\n")) < 0:
            self._socket.settimeout(None if deadline is None else max(0.001, deadline - time.monotonic()))
            try:
                received = self._socket.recv(1 << 20)
            except TimeoutError:
                raise
            except OSError as error:
                raise CommandExited(self._last_words()) from error
            if not received:
                raise CommandExited(self._last_words())
            self._buffer += received
        line = bytes(self._buffer[:end])
        del self._buffer[: end + 1]
        answer: dict[str, Any] = json.loads(line)
        if "fault" in answer:
            raise CannotVerify(
                "this is a defect of Overproof, please report it: inside the command, asked to"
                f" {self._requested}: {answer['fault']}"
            )
        return answer

    def close(self) -> None:
        self._socket.close()
