"""The session with the driver: requests and answers over a Unix socket."""

from __future__ import annotations

import json
import socket
import time
from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from app.gate.errors import CannotVerify, CommandExited

if TYPE_CHECKING:
    from app.gate.driver.overproof_driver import protocol


class Unforeseen(Exception):
    """What is asked is not what was foreseen, and the command has gone on with that."""


Request = dict[str, Any]  # {"do": "step", "revision": "b2", "direction": "upgrade"}


class DriverSession:
    """Requests and answers over one walk. The first thing that the driver says is `hello`."""

    def __init__(self, connected: socket.socket, last_words: Callable[[], str]) -> None:
        self._socket = connected
        self._last_words = last_words
        self._buffer = bytearray()
        self._asked = ""
        self.foreseen: deque[Request] = deque()  # what the command does without being asked, and has not answered yet
        try:
            self.hello: dict[str, Any] = self.receive()
        except BaseException:  # Gone, where the command is killed just then
            self.close()
            raise

    def ask(
        self,
        do: protocol.Request | protocol.Ending | protocol.Continue,
        timeout_s: float | None = None,
        meanwhile: Callable[[], None] | None = None,
        **arguments: Any,
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
        self._say({"do": "pipeline", "requests": requests})
        self.foreseen.extend(requests)

    def send(self, do: protocol.Request | protocol.Ending | protocol.Continue, **arguments: Any) -> None:
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
            raise CommandExited(self._last_words()) from error

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
                raise CommandExited(self._last_words()) from error
            if not received:
                raise CommandExited(self._last_words())
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
