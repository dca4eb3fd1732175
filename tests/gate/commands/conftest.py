"""A record that answers what a test says."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from app.gate.commands._record import Destination
from app.gate.commands._submission import Submitted, submit
from app.gate.report.model import Report

Answer = tuple[int | None, dict[str, str], Any]  # status, headers, body


class Record:
    """Answers in this order, and remembers what was posted. An answer without a status closes the connection."""

    def __init__(self, *answers: Answer) -> None:
        self.answers = list(answers)
        self.requests: list[tuple[str, dict[str, str], bytes]] = []
        self.methods: list[str] = []
        self.paused: list[float] = []
        record = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                record.requests.append((self.path, dict(self.headers), body))
                record.methods.append(self.command)
                status, headers, content = record.answers.pop(0)
                if status is None:
                    return
                self.send_response(status)
                for name, value in headers.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(content if isinstance(content, bytes) else json.dumps(content).encode())

            def do_PUT(self) -> None:
                self.do_POST()

            def do_GET(self) -> None:
                self.do_POST()

            def log_message(self, *arguments: object) -> None: ...

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server.server_port}/api/v1/projects/shop"

    def submit(self, report: Report, environ: dict[str, str] | None = None) -> Submitted:
        return submit(report, Destination(self.url, "ovp_secret"), environ or {}, self.paused.append)


@pytest.fixture
def record() -> Iterator[Record]:
    record = Record()
    thread = threading.Thread(target=record.server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield record
    record.server.shutdown()
    thread.join()
    record.server.server_close()
