"""Requests that reach every statement on a large table, in an order in which each has something to find."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

from tests.factories import finding, proof, revision, snapshot

SHOP = "/api/v1/projects/shop"
PRODUCTION = f"{SHOP}/environments/production"
WAIVER = {"fingerprint": "f00d", "reason": "x", "ends_at": "2099-01-01T00:00:00Z"}
LISTS = ("runs", "revisions", "changes", "forks", "environments", "waivers", "audit")
OF_AN_ENVIRONMENT = ("", "/deployments", "/snapshots", "/drift", "/decisions")


class Asked(NamedTuple):
    method: str
    path: str
    content: Any = None
    query: Mapping[str, str] = MappingProxyType({})


def requests() -> Iterator[Asked]:
    """Of the project `shop`, which has a trusted token. Those that post reports come from its protected branch."""
    one, two = revision("a1"), revision("b2", "a1")
    schema = {"snapshot": [], "digest": "0" * 64}
    both = proof(one, two, findings=[finding(revision="b2"), finding(severity="notice")], **schema)
    yield Asked("PUT", PRODUCTION, {})
    yield Asked("PUT", PRODUCTION, {"drift": "allow"})
    yield Asked("POST", f"{SHOP}/runs", proof(one), {"head_sha": "a" * 40, "branch": "main"})
    yield Asked("POST", f"{SHOP}/runs", both, {"head_sha": "b" * 40, "change": "7"})
    yield Asked("POST", f"{SHOP}/runs", both)
    yield Asked("PUT", f"{PRODUCTION}/deployments/1", {"commit": "a" * 40})
    yield Asked("PUT", f"{PRODUCTION}/deployments/2", {"heads": ["a1"], "status": "rolling"})
    yield Asked("POST", f"{PRODUCTION}/snapshots", snapshot("a1", schema="by hand"))
    yield Asked("POST", f"{SHOP}/waivers", WAIVER)
    yield Asked("POST", f"{PRODUCTION}/decisions", {"commit": "b" * 40})
    yield Asked("POST", f"{PRODUCTION}/decisions", {"heads": ["b2"]})
    yield Asked("POST", f"{SHOP}/changes/7/close")
    for name in LISTS:
        yield Asked("GET", f"{SHOP}/{name}")
    for part in OF_AN_ENVIRONMENT:
        yield Asked("GET", f"{PRODUCTION}{part}")
    for query in ({"verdict": "fail"}, {"commit": "c" * 40}, {"fingerprint": "0c9e6f5d2b7a4413"}):
        yield Asked("GET", f"{SHOP}/runs", None, query)


def ask_all(send: Callable[[Asked], Any]) -> None:
    """Send them, and then those that need the ID of a run. `send` returns the answer."""
    for asked in requests():
        answer = send(asked)
        if asked.path == f"{SHOP}/runs" and asked.method == "POST":
            run = f"{SHOP}/runs/{answer['id']}"
    send(Asked("GET", run))
    send(Asked("GET", f"{run}/findings"))
    page = send(Asked("GET", f"{run}/findings", None, {"limit": "1"}))
    send(Asked("GET", f"{run}/findings", None, {"limit": "1", "cursor": page["next_cursor"]}))
    send(Asked("GET", f"{run}/report"))
