"""The pages in a browser, as someone uses them. Skipped where the system has no Chromium."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import pytest
import sqlalchemy as sa
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, BrowserContext, Page, expect, sync_playwright
from sqlmodel import Session

from app.database import utcnow
from app.gate.server.database import Database
from app.gate.server.throwaway import Server
from tests import factories
from tests.browsers import BROWSERS, find_browser
from tests.demo.fill import read
from tests.pages.samples import large_report, small_report
from tests.serving import serving

BROWSER = find_browser()
pytestmark = [
    pytest.mark.processes,
    pytest.mark.skipif(BROWSER is None, reason=f"there is no {', '.join(BROWSERS[:-1])} or {BROWSERS[-1]} on the PATH"),
]

SECRET = "ovp_administrator"
SHOP = "/projects/shop"
PLACES = ["/", "/sign-in", "/checks", "/checks/table-rewrite", *(f"{SHOP}{each}" for each in (
    "", "/runs", "/revisions", "/waivers", "/audit", "/tokens", "/environments/production",
))]  # fmt: skip


@pytest.fixture(scope="module")
def browser(processes: None) -> Iterator[Browser]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=BROWSER, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def site(server: Server, template_database: Database) -> Iterator[str]:
    """A service with a project: an environment, a small run and a large one."""
    database = server.create_database(template_database)
    url = sa.make_url(database.url("psycopg2"))
    engine = sa.create_engine(url, poolclass=sa.NullPool)
    with Session(engine) as session, session.begin():
        factories.store_in(session)
        factories.ApiTokenFactory(secret=SECRET, name="Ann")
        shop = factories.ProjectFactory(slug="shop", name="The shop")
        factories.EnvironmentFactory(project=shop, name="production")
        factories.store_in(None)
    with serving(url) as address:
        yield address
    engine.dispose()
    server.drop_database(database)


@pytest.fixture(scope="module")
def runs(site: str, browser: Browser) -> dict[str, str]:
    """The paths of the pages of runs: "small", "large", and a "real" one."""
    context = browser.new_context()
    paths = {}
    for name, report in (("small", small_report()), ("large", large_report()), ("real", read("change-41"))):
        answer = context.request.post(
            f"{site}/api/v1{SHOP}/runs?branch=main", data=report, headers={"Authorization": f"Bearer {SECRET}"}
        )
        assert answer.status == 201, answer.text()
        paths[name] = f"{SHOP}/runs/{answer.json()['id']}"
    context.close()
    return paths


@contextmanager
def visiting(browser: Browser, site: str, **options: Any) -> Iterator[tuple[Page, list[str]]]:
    """A page of someone who is signed in, and everything that the browser complains of."""
    context: BrowserContext = browser.new_context(base_url=site, **options)
    page = context.new_page()
    complaints: list[str] = []
    page.on(
        "console", lambda message: complaints.append(message.text) if message.type in ("error", "warning") else None
    )
    page.on("pageerror", lambda error: complaints.append(str(error)))
    sign_in(page)
    yield page, complaints
    context.close()


def sign_in(page: Page) -> None:
    page.goto("/sign-in")
    page.get_by_label("Access token").fill(SECRET)
    page.get_by_role("main").get_by_role("button", name="Sign in").click()


def test_from_a_failed_run_to_the_statement_at_fault_in_one_click(
    browser: Browser, site: str, runs: dict[str, str]
) -> None:
    with visiting(browser, site) as (page, complaints):
        page.goto(runs["small"])
        page.get_by_role("link", name="table-rewrite").click()

        finding = page.locator("#finding-1")
        expect(finding).to_be_in_viewport()
        expect(finding).to_contain_text("ALTER TABLE orders ALTER COLUMN total TYPE BIGINT")
    assert complaints == []


def test_the_timeline_leads_to_its_statement_by_keyboard(browser: Browser, site: str, runs: dict[str, str]) -> None:
    with visiting(browser, site) as (page, complaints):
        page.goto(runs["small"])
        page.locator(".timeline a").first.focus()
        page.keyboard.press("Enter")

        expect(page.locator("#revision-2-statement-1")).to_be_visible()
    assert complaints == []


def test_a_finding_is_accepted_and_the_way_back_and_forward_works(
    browser: Browser, site: str, runs: dict[str, str]
) -> None:
    with visiting(browser, site) as (page, complaints):
        page.goto(f"{SHOP}/runs")
        page.goto(runs["small"])
        finding = page.locator("#finding-1")
        finding.get_by_text("Accept this finding").click()
        finding.get_by_label("Reason").fill("The table is empty.")
        finding.get_by_label("Until").fill((utcnow() + timedelta(days=30)).date().isoformat())
        finding.get_by_role("button", name="Accept").click()

        expect(page.locator("#finding-1")).to_contain_text("Accepted by Ann")
        page.goto(f"{SHOP}/waivers")
        expect(page.get_by_role("main")).to_contain_text("The table is empty.")
        page.go_back()
        expect(page.locator("#finding-1")).to_contain_text("Accepted by Ann")
        page.go_forward()
        page.get_by_role("button", name="Revoke").click()
        expect(page.get_by_role("main")).to_contain_text("revoked")
    assert complaints == []


def test_signing_in_leads_back_and_signing_out_ends_it(browser: Browser, site: str) -> None:
    context = browser.new_context(base_url=site)
    page = context.new_page()
    page.goto(f"{SHOP}/audit")
    page.get_by_label("Access token").fill("ovp_wrong")
    page.get_by_role("main").get_by_role("button", name="Sign in").click()
    expect(page.get_by_role("alert")).to_contain_text("does not exist")

    page.get_by_label("Access token").fill(SECRET)
    page.get_by_role("main").get_by_role("button", name="Sign in").click()
    expect(page.get_by_role("heading", name="Audit")).to_be_visible()

    page.get_by_role("button", name="Sign out").click()
    page.goto(f"{SHOP}/audit")
    expect(page.get_by_label("Access token")).to_be_visible()
    context.close()


SHIFTS = """() => new Promise(resolve => {
    let sum = 0;
    new PerformanceObserver(list => { for (const each of list.getEntries()) sum += each.value; })
        .observe({type: "layout-shift", buffered: true});
    setTimeout(() => resolve(sum), 0);
})"""


@pytest.mark.parametrize("path", ["large", SHOP, f"{SHOP}/revisions"])
def test_a_large_project_stays_small_on_the_wire_and_still_on_the_screen(
    browser: Browser, site: str, runs: dict[str, str], path: str
) -> None:
    with visiting(browser, site) as (page, complaints):
        response = page.goto(runs.get(path, path))

        assert response is not None
        assert len(response.body()) < 1_000_000
        assert page.evaluate(SHIFTS) < 0.01  # times in the reader's zone are as high as they were
    assert complaints == []


def test_without_javascript_everything_is_there(browser: Browser, site: str, runs: dict[str, str]) -> None:
    with visiting(browser, site, java_script_enabled=False) as (page, complaints):
        page.goto(runs["small"])
        page.get_by_role("link", name="table-rewrite").click()

        expect(page.locator("#finding-1")).to_contain_text("op.add_column")
        expect(page.locator("time").first).to_contain_text("UTC")
    assert complaints == []


def test_times_are_in_the_zone_of_the_reader(browser: Browser, site: str, runs: dict[str, str]) -> None:
    with visiting(browser, site, timezone_id="Asia/Tokyo", locale="en-GB") as (page, _):
        page.goto(runs["small"])

        started = page.locator("dl.facts time")
        expect(started).to_have_text("22 Nov 2026, 19:00")
        expect(started).to_have_attribute("title", "2026-11-22T10:00:00.000+00:00")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_nobody_is_kept_out_and_a_phone_is_wide_enough(
    browser: Browser, site: str, runs: dict[str, str], scheme: str
) -> None:
    axe = Axe()
    with visiting(browser, site, color_scheme=scheme, viewport={"width": 360, "height": 740}) as (page, complaints):
        for path in [*PLACES, *runs.values(), f"{SHOP}/nowhere"]:
            page.goto(path)

            results = axe.run(page)
            assert results.violations_count == 0, f"{path}: {results.generate_report()}"
            assert not page.evaluate("document.documentElement.scrollWidth > innerWidth"), f"{path} scrolls sideways"
    assert [each for each in complaints if "404" not in each] == []


def test_the_page_of_the_api_works_and_loads_nothing_from_elsewhere(browser: Browser, site: str) -> None:
    with visiting(browser, site) as (page, complaints):
        asked: list[str] = []
        page.on("request", lambda request: asked.append(request.url))
        page.goto("/docs")

        expect(page.get_by_text("/api/v1/projects").first).to_be_visible()
        assert [url for url in asked if not url.startswith((site, "data:"))] == []
    assert complaints == []
