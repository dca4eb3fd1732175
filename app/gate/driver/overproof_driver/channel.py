"""The socket between the driver and the gate: one JSON object a line, request and answer in turn.

A socket with a name, and not a descriptor that the command inherits: a wrapper that starts Alembic through `subprocess`
closes descriptors, but passes its environment on. What the project prints cannot reach it.
"""

from __future__ import annotations

import json
import os
import socket
from typing import Any, Mapping


class Channel:
    """One session with the gate, for one call of `run_migrations`."""

    def __init__(self, connected: socket.socket) -> None:
        self._socket = connected
        self._lines = connected.makefile("r", encoding="utf-8", newline="\n")

    def send(self, message: Mapping[str, Any]) -> None:
        self._socket.sendall(json.dumps(message, default=str).encode("utf-8") + b"\n")

    def receive(self) -> dict[str, Any] | None:
        """The next request, or None when the gate is gone."""
        try:
            line = self._lines.readline()
        except OSError:
            return None
        if not line.endswith("\n"):
            return None
        request: dict[str, Any] = json.loads(line)
        return request

    def close(self) -> None:
        self._lines.close()
        self._socket.close()


def connect() -> Channel | None:
    """A channel to the gate, or None where there is none. Raises SystemExit if it does not listen any more."""
    path = os.environ.get("OVERPROOF_DRIVER")
    if not path:
        return None
    connected = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        connected.connect(path)
    except OSError as error:
        # The database of this command is the gate's throwaway one; without the gate there is nothing to do in it.
        raise SystemExit(f"overproof: the gate that started this command is gone ({error})") from None
    return Channel(connected)
