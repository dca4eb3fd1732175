"""The pages of the record, beside the API's answers with the same data: `tox -e bench -- --part pages`.

One process serves both, on one PostgreSQL server. They are asked in turn, and what is compared is the processor time
that the process takes: it does not depend on what else the machine does. Then a browser tells when it first paints.
"""

from __future__ import annotations

import io
import json
import os
import re
import sys
import textwrap
import time
from collections.abc import Mapping, Sequence
from contextlib import redirect_stdout
from dataclasses import dataclass
from http.client import HTTPConnection
from statistics import median
from typing import Any
from unittest.mock import patch

import sqlalchemy as sa
from playwright.sync_api import sync_playwright

from app.gate.server.throwaway import Server
from app.upgrade_database import upgrade_to_head
from tests.bench.machine import describe_machine
from tests.bench.page import format_table
from tests.bench.service import Served, served
from tests.browsers import find_browser
from tests.demo.fill import fill
from tests.pages.samples import FINDINGS, REVISIONS, large_report

ROUNDS = 40
VISITS = 5
SHOP = "/projects/shop"
BILLING = "/projects/billing"
PRODUCTION = f"{SHOP}/environments/production"


@dataclass(frozen=True)
class Compared:
    """A page, and the requests whose answers have what it shows."""

    name: str
    page: str
    of_api: Sequence[str]
    decide: Mapping[str, Any] | None = None  # what the API is asked to decide besides


class Client:
    """One connection to the service, with a session for the pages and a token for the API."""

    def __init__(self, service: Served, secret: str) -> None:
        self.clock = ~service.process.pid << 3 | 2  # Linux: the processor time of all threads of a process
        self.connection = HTTPConnection("127.0.0.1", service.port, timeout=60)
        self.bearer = {"Authorization": f"Bearer {secret}"}
        answer = self._send("POST", "/sign-in", {}, f"token={secret}".encode())[1]
        self.cookie = {"Cookie": answer["set-cookie"].partition(";")[0]}

    def _send(self, method: str, path: str, headers: Mapping[str, str], body: bytes | None = None) -> Any:
        self.connection.request(method, path, body, dict(headers))
        answer = self.connection.getresponse()
        content = answer.read()
        if answer.status >= 400:
            sys.exit(f"bench: {method} {path} was answered {answer.status}: {content.decode()[:500]}")
        return content, answer.headers

    def post(self, path: str, content: Any) -> Any:
        headers = self.bearer | {"Content-Type": "application/json"}
        return json.loads(self._send("POST", f"/api/v1{path}", headers, json.dumps(content).encode())[0])

    def visit(self, path: str) -> int:
        """The size of a page."""
        return len(self._send("GET", path, self.cookie)[0])

    def ask(self, compared: Compared) -> None:
        for path in compared.of_api:
            self._send("GET", f"/api/v1{path}", self.bearer)
        if compared.decide is not None:
            self.post(f"{PRODUCTION}/decisions", compared.decide)

    def took_ms(self, what: Any, *arguments: Any) -> float:
        """The processor time that the service took for it."""
        began = time.clock_gettime(self.clock)
        what(*arguments)
        return (time.clock_gettime(self.clock) - began) * 1000


def fill_record(url: str) -> str:
    """Put the demonstration into a new database. Returns the secret of its administrator."""
    engine = sa.create_engine(url, poolclass=sa.NullPool)
    with engine.connect() as connection:
        upgrade_to_head(connection)
    printed = io.StringIO()
    with patch.dict(os.environ, DATABASE_URL=url), redirect_stdout(printed):
        fill()
    found = re.search(r"ovp_\S+", printed.getvalue())
    assert found is not None
    return found[0]


def all_pages(client: Client, large: str) -> list[Compared]:
    runs = json.loads(client._send("GET", f"/api/v1{SHOP}/runs", client.bearer)[0])["items"]
    small = f"{SHOP}/runs/{next(each['id'] for each in runs if each['change'] == '41')}"
    commit = next(each["commit"] for each in runs if each["change"] is None and each["commit"])
    places = [f"{SHOP}/environments/{name}" for name in ("production", "staging")]
    of_places = [f"{place}/{what}" for place in places for what in ("snapshots?limit=1", "decisions?limit=1")]
    beside_a_run = [f"{SHOP}/waivers?limit=200", *places]  # which findings are accepted, and where environments stand
    return [
        Compared("projects", "/", ["/projects?limit=100"]),
        Compared(
            "a project",
            SHOP,
            [f"{SHOP}{each}" for each in ("/runs?limit=60", "/environments", "/changes", "/forks")]
            + of_places
            + places,
        ),
        Compared("runs", f"{BILLING}/runs", [f"{BILLING}/runs?limit=40"]),
        Compared("a run of a pull request", small, [small, f"{small}/report", *beside_a_run]),
        Compared(f"a run with {FINDINGS:,} findings", large, [large, f"{large}/report", *beside_a_run]),
        Compared("revisions", f"{SHOP}/revisions", [f"{SHOP}/runs?limit=20", f"{large}/report", *places]),
        Compared(
            "an environment",
            PRODUCTION,
            [f"{PRODUCTION}/{each}?limit=20" for each in ("deployments", "decisions")]
            + [f"{PRODUCTION}/drift", f"{SHOP}/runs?limit=20"],
            {"commit": commit, "dry_run": True},
        ),
        Compared("waivers", f"{SHOP}/waivers", [f"{SHOP}/waivers?limit=40"]),
        Compared("audit", f"{SHOP}/audit", [f"{SHOP}/audit?limit=40"]),
        Compared("tokens", f"{SHOP}/tokens", [f"{SHOP}/tokens?limit=40"]),
    ]


def compare(client: Client, compared: Compared) -> list[str]:
    """The medians of all rounds, in which each takes its turn."""
    size = client.visit(compared.page)
    client.ask(compared)
    of_page, of_api = [], []
    for _ in range(ROUNDS):
        of_page.append(client.took_ms(client.visit, compared.page))
        of_api.append(client.took_ms(client.ask, compared))
    page, api = median(of_page), median(of_api)
    return [compared.name, f"{size / 1000:.0f} kB", f"{page:.1f} ms", f"{api:.1f} ms", f"{page / api:.2f}"]


HEAD = ("page", "size", "the page", "the API", "ratio")
INTRODUCTION = """
The processor time that a process of the service takes for a page, and for the API's answers that have what it shows:
medians of {rounds} rounds in which both take their turn, over HTTP, on one connection. PostgreSQL's own time is not in
it. A run's page shows what the run, its report, the waivers and the environments say. {machine}
"""


def measure(server: Server) -> str:
    """All that was measured, as the section of the page."""
    url = server.create_database().url("psycopg2")
    secret = fill_record(url)
    with served(["--factory", "app.factory:create_app"], url) as service:
        client = Client(service, secret)
        large = f"{SHOP}/runs/{client.post(f'{SHOP}/runs?branch=other', large_report())['id']}"
        rows = []
        for each in all_pages(client, large):
            rows.append(compare(client, each))
            print(f"  {rows[-1]}", flush=True)
        introduction = INTRODUCTION.format(rounds=ROUNDS, machine=describe_machine())
        text = textwrap.fill(introduction.strip(), 118) + "\n\n" + format_table(HEAD, rows)
        if find_browser() is None:
            return text
        places = {f"a run with {FINDINGS:,} findings": large, f"the {REVISIONS} revisions": f"{SHOP}/revisions"}
        paints = first_paints(service.port, secret, places)
    said = ", ".join(f"{name} after {ms:.0f} ms" for name, ms in paints.items())
    sentence = f"A browser with an empty cache first shows something of {said} (the median of {VISITS} visits)."
    return f"{text}\n{textwrap.fill(sentence, 118)}\n"


PAINT = """() => new Promise(resolve => {
    new PerformanceObserver(list => { for (const each of list.getEntriesByName("first-contentful-paint")) resolve(each.startTime); })
        .observe({type: "paint", buffered: true});
})"""


def first_paints(port: int, secret: str, paths: Mapping[str, str]) -> dict[str, float]:
    """Milliseconds until the browser first shows a part of the page, the median of some visits with an empty cache."""
    times = {}
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=find_browser(), args=["--no-sandbox"])
        for name, path in paths.items():
            taken = []
            for _ in range(VISITS):
                page = browser.new_page(base_url=f"http://127.0.0.1:{port}")
                page.goto("/sign-in")
                page.get_by_label("Access token").fill(secret)
                page.get_by_role("main").get_by_role("button", name="Sign in").click()
                page.goto(path)
                taken.append(float(page.evaluate(PAINT)))
                page.context.close()
            times[name] = median(taken)
        browser.close()
    return times
