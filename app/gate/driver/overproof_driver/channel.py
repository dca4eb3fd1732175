"""The socket between the driver and the recorder: one JSON object a line, request and answer in turn.

A socket with a name, and not a descriptor that the command inherits: a wrapper that starts Alembic through `subprocess` closes
descriptors, but hands its environment on. What the project prints cannot reach it.
"""

import json
import os
import socket


class Channel:
    """One conversation, for one call of `run_migrations`."""

    def __init__(self, connected):
        self._socket = connected
        self._lines = connected.makefile("r", encoding="utf-8", newline="\n")

    def send(self, message):
        self._socket.sendall(json.dumps(message, default=str).encode("utf-8") + b"\n")

    def receive(self):
        """The next request, or None when the recorder is gone."""
        try:
            line = self._lines.readline()
        except OSError:
            return None
        return json.loads(line) if line.endswith("\n") else None

    def close(self):
        self._lines.close()
        self._socket.close()


def connect():
    """A channel to the recorder, or None where nobody listens (a process that outlived its gate)."""
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
