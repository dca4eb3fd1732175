"""The badge: the verdict of a protected branch, for all to see if the project says so."""

from __future__ import annotations

from xml.etree import ElementTree

import pytest
from fastapi.testclient import TestClient
from sqlmodel import Session

from app.gate.report.verdict import Verdict
from tests.factories import ProjectFactory, RunFactory, bearer

BADGE = "/api/v1/projects/shop/badge.svg"


@pytest.mark.parametrize(
    ("verdict", "word"),
    [(Verdict.PASS, "proved"), (Verdict.FAIL, "failed"), (Verdict.ERROR, "error"), (None, "unknown")],
)
def test_the_badge_has_the_newest_trusted_verdict_of_a_branch(
    client: TestClient, session: Session, verdict: Verdict | None, word: str
) -> None:
    shop = ProjectFactory(slug="shop", public_badge=True)
    other = {Verdict.PASS: Verdict.FAIL}.get(verdict, Verdict.PASS) if verdict else Verdict.PASS
    if verdict is not None:
        RunFactory(project=shop, trusted=True, verdict=other)
        RunFactory(project=shop, trusted=True, verdict=verdict)
    RunFactory(project=shop, trusted=False, verdict=other)
    RunFactory(project=shop, trusted=True, change="7", verdict=other)

    response = client.get(BADGE)

    assert response.headers["content-type"].startswith("image/svg+xml")
    assert response.headers["cache-control"] == "no-cache"
    assert ElementTree.fromstring(response.content).attrib["aria-label"] == f"migrations: {word}"


def test_a_badge_that_is_not_public_is_like_none(client: TestClient, session: Session) -> None:
    headers = bearer(ProjectFactory(slug="shop"))
    hidden, none = client.get(BADGE), client.get(BADGE.replace("shop", "none"))

    assert hidden.status_code == none.status_code == 404
    assert hidden.json()["detail"] == none.json()["detail"].replace("none", "shop")
    changed = client.patch("/api/v1/projects/shop", json={"public_badge": True}, headers=headers)
    assert changed.json()["public_badge"] is True
    assert client.get(BADGE).status_code == 200
