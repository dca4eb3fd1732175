"""The demonstration is what it is said to be."""

from __future__ import annotations

import os

import pytest
import sqlalchemy as sa
from fastapi.testclient import TestClient

from app.factory import create_app
from app.gate.server.database import Database
from app.settings import Settings
from tests.demo.fill import fill
from tests.html_page import Page


def test_an_empty_record_is_filled_once(
    migrated_database: Database, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    url = migrated_database.url("psycopg2")
    monkeypatch.setenv("DATABASE_URL", url)

    fill()
    secret = capsys.readouterr().out.strip().split()[-1]
    fill()

    assert "nothing was added" in capsys.readouterr().out
    assert os.environ["DATABASE_URL"] == url
    with TestClient(create_app(Settings(database_url=sa.make_url(url)))) as client:
        client.post("/sign-in", data={"token": secret})
        shop, production = (
            Page(client.get(f"/projects/{path}").text) for path in ("shop", "shop/environments/production")
        )
        billing = Page(client.get("/projects/billing").text)
    assert "Fork:" in shop.words
    assert "deny" in production.words
    assert "drifted" in production.words
    assert "ix_orders_total_by_hand" in production.words
    assert billing.words.count("fail") > 0
