from __future__ import annotations

import json
import re
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

BOT = "github-actions[bot]"


@dataclass
class GitHub:
    """The comments of pull request 7 of shop/shop, and what was asked for."""

    url: str = ""
    comments: list[dict[str, Any]] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)
    tokens: set[str] = field(default_factory=set)
    refusal: int | None = None  # the status with which everything but reading is answered

    def add(self, body: str, login: str = BOT) -> dict[str, Any]:
        comment = {"id": 100 + len(self.comments), "body": body, "user": {"login": login}}
        self.comments.append(comment)
        return comment

    def answer(self, method: str, path: str, content: Any) -> tuple[int, Any]:
        split = urlsplit(path)
        self.asked.append(f"{method} {split.path}")
        if self.refusal is not None and method != "GET":
            return self.refusal, {"message": "Resource not accessible by integration"}
        if split.path == "/repos/shop/shop/issues/7/comments":
            if method == "POST":
                return 201, self.add(content["body"])
            query = {name: int(values[0]) for name, values in parse_qs(split.query).items()}
            start = (query["page"] - 1) * query["per_page"]
            return 200, self.comments[start : start + query["per_page"]]
        named = re.fullmatch(r"/repos/shop/shop/issues/comments/(\d+)", split.path)
        comment = next((each for each in self.comments if named and each["id"] == int(named[1])), None)
        if comment is None:
            return 404, {"message": "Not Found"}
        if method == "DELETE":
            self.comments.remove(comment)
            return 204, None
        comment["body"] = content["body"]
        return 200, comment


@pytest.fixture
def github() -> Iterator[GitHub]:
    """GitHub's API, on the loopback."""
    github = GitHub()

    class Handler(BaseHTTPRequestHandler):
        def handle_one_request(self) -> None:
            self.raw_requestline = self.rfile.readline(65537)
            if not self.raw_requestline or not self.parse_request():
                self.close_connection = True
                return
            content = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            github.tokens.add(self.headers["Authorization"])
            status, answer = github.answer(self.command, self.path, json.loads(content) if content else None)
            self.send_response(status)
            self.end_headers()
            if answer is not None:
                self.wfile.write(json.dumps(answer).encode())
            self.close_connection = True

        def log_message(self, *_: object) -> None: ...

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    github.url = f"http://127.0.0.1:{server.server_address[1]}"
    yield github
    server.shutdown()
    server.server_close()
    thread.join()
