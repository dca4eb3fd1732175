"""Takes the pictures of the README, of the demonstration, with the system's Chromium: `python -m tests.demo.screenshots`."""

from __future__ import annotations

import io
import os
import re
from contextlib import redirect_stdout
from pathlib import Path

import sqlalchemy as sa
from playwright.sync_api import Page, sync_playwright

from app.gate.server.throwaway import throwaway_server
from app.upgrade_database import upgrade_to_head
from tests.browsers import find_browser
from tests.demo.fill import fill
from tests.serving import serving

PLACE = Path(__file__).parents[2] / "docs" / "screenshots"
SIZE = {"width": 1100, "height": 760}


def main() -> None:
    PLACE.mkdir(exist_ok=True)
    with throwaway_server(None) as server:
        url = server.create_database().url("psycopg2")
        os.environ["DATABASE_URL"] = url
        with sa.create_engine(url, poolclass=sa.NullPool).connect() as connection:
            upgrade_to_head(connection)
        printed = io.StringIO()
        with redirect_stdout(printed):
            fill()
        secret = re.search(r"ovp_\S+", printed.getvalue())
        assert secret is not None
        with serving(sa.make_url(url)) as site:
            photograph(site, secret[0])


def photograph(site: str, secret: str) -> None:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=find_browser(), args=["--no-sandbox"])
        page = browser.new_page(base_url=site, viewport=SIZE, color_scheme="light", locale="en-GB")  # type: ignore[arg-type]
        page.goto("/sign-in")
        page.get_by_label("Access token").fill(secret)
        page.get_by_role("main").get_by_role("button", name="Sign in").click()
        take(page, "/projects/shop", "project")
        page.goto("/projects/shop/runs")
        page.get_by_role("row", name=re.compile("pull request 41")).get_by_role("link").click()
        take(page, page.url, "run")
        browser.close()


def take(page: Page, path: str, name: str) -> None:
    page.goto(path)
    page.wait_for_load_state("networkidle")
    page.screenshot(path=PLACE / f"{name}.png")
    print(PLACE / f"{name}.png")


if __name__ == "__main__":
    main()
