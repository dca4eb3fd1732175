"""The badge: the verdict of a protected branch, for all to see if the project says so."""

from __future__ import annotations

from xml.etree import ElementTree

import pytest
from fastapi.testclient import TestClient
from sqlmodel import Session

from app.database import utcnow
from app.gate.report.verdict import Verdict
from app.runs.badge import NONE, WORDS, draw
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


def test_it_is_drawn_as_wide_as_its_words() -> None:
    assert draw("proved", "#2e7d32") == (
        '<svg xmlns="http://www.w3.org/2000/svg" width="136" height="20" role="img" aria-label="migrations: proved">'
        "<title>migrations: proved</title>"
        '<rect width="82" height="20" fill="#424242"/><rect x="82" width="54" height="20" fill="#2e7d32"/>'
        '<g fill="#fff" font-family="Verdana,sans-serif" font-size="11" text-anchor="middle">'
        '<text x="41.0" y="14">migrations</text><text x="109.0" y="14">proved</text></g></svg>'
    )


@pytest.mark.parametrize(
    ("verdict", "colour"),
    [(Verdict.PASS, "#2e7d32"), (Verdict.FAIL, "#c62828"), (Verdict.ERROR, "#c62828"), (None, "#616161")],
)
def test_its_colour_says_how_it_went(verdict: Verdict | None, colour: str) -> None:
    assert (NONE if verdict is None else WORDS[verdict])[1] == colour


@pytest.mark.parametrize("slug", ["none", "Shop", "%00", "shop%0A"])
def test_a_purged_project_or_a_name_that_cannot_be_has_none(client: TestClient, session: Session, slug: str) -> None:
    ProjectFactory(slug="shop", public_badge=True, purged_at=utcnow())

    for each in (slug, "shop"):
        assert client.get(BADGE.replace("shop", each)).status_code == 404
