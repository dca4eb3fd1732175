"""Fills an empty record with a believable history: several projects, a fork, a failed proof, drift and decisions."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from fastapi.testclient import TestClient
from sqlmodel import Session, select

from app.database import create_engine, database_url
from app.factory import create_app
from app.gate.report.verdict import Verdict
from app.projects.models import Project, Scope
from app.projects.schemas import TokenCreate
from app.projects.tokens import issue_token
from tests import factories

REPORTS = Path(__file__).parent / "reports"
SHOP = "/api/v1/projects/shop"
BILLING_RUNS = 90
Send = Callable[..., Any]


def fill() -> None:
    """Does nothing if the record has a project already. DATABASE_URL names its database, at head."""
    engine = create_engine(database_url())
    with Session(engine) as session, session.begin():
        if session.exec(select(Project)).first() is not None:
            print("The record has projects already: nothing was added.")
            return
        _, secret = issue_token(session, None, TokenCreate(name="demonstration", scope=Scope.ADMIN, trusted=True))
        factories.store_in(session)
        fill_billing()
        factories.ProjectFactory(slug="newsletter", name="Newsletter", archived_at=datetime(2026, 10, 1, tzinfo=UTC))
        factories.store_in(None)
    with TestClient(create_app()) as client:
        client.headers["Authorization"] = f"Bearer {secret}"
        fill_shop(sender(client))
    engine.dispose()
    print(f"Sign in at /sign-in with this token, shown only once:\n\n    {secret}\n", flush=True)


def fill_billing() -> None:
    """A project of some age: the reports of its runs have expired."""
    billing = factories.ProjectFactory(slug="billing", name="Billing", repository="https://github.com/acme/billing")
    began = datetime(2026, 9, 1, 9, 0, tzinfo=UTC)
    for number in range(BILLING_RUNS):
        verdict = Verdict.FAIL if number % 9 == 4 else Verdict.ERROR if number == 60 else Verdict.PASS
        run = factories.RunFactory(
            project=billing,
            verdict=verdict,
            received_at=began + timedelta(hours=23 * number),
            branch="main" if number % 3 == 0 else f"invoices-{number}",
            change=None if number % 3 == 0 else str(100 + number),
            commit=f"{number:040x}",
            head_sha=f"{number:040x}",
            reason="the server was shut down while revision 9c2 was applied" if verdict is Verdict.ERROR else None,
            finding_counts={"error": 1} if verdict is Verdict.FAIL else {"warning": number % 2},
            report=None,
        )
        if verdict is Verdict.FAIL:
            factories.RunFindingFactory(run=run, revision="9c2e5b7f1a03", object="public.invoices.ix_invoices_due")


def fill_shop(send: Send) -> None:
    """Reports of the gate, as three pull requests and the default branch posted them."""
    send("post", "/api/v1/projects", {"slug": "shop", "name": "The shop", "repository": "https://github.com/acme/shop"})
    send("patch", SHOP, {"public": True, "public_badge": True})
    main = read("main")
    send("post", f"{SHOP}/runs", main, branch="main", head_sha=main["target"]["commit"])
    for name in ("staging", "production"):
        send("put", f"{SHOP}/environments/{name}", {"deny": ["error"]})
        send("put", f"{SHOP}/environments/{name}/deployments/release-1", {"commit": main["target"]["commit"]})
    send("post", f"{SHOP}/environments/production/snapshots", read("snapshot"))
    for change, branch in (("41", "totals-in-cents"), ("42", "when-placed")):
        report = read(f"change-{change}")
        send("post", f"{SHOP}/runs", report, branch=branch, change=change, head_sha=report["target"]["commit"])
    following = read("main-next")
    send("post", f"{SHOP}/runs", following, branch="main", head_sha=following["target"]["commit"])
    for name in ("staging", "production"):
        send("post", f"{SHOP}/environments/{name}/decisions", {"commit": following["target"]["commit"]})
    send("post", f"{SHOP}/tokens", {"name": "CI of the default branch", "scope": "report", "trusted": True})
    send("post", f"{SHOP}/tokens", {"name": "CI of pull requests", "scope": "report"})


def read(name: str) -> Any:
    return json.loads((REPORTS / f"{name}.json").read_text(encoding="utf-8"))


def sender(client: TestClient) -> Send:
    def send(method: str, path: str, content: Any, **parameters: str) -> Any:
        response = client.request(method, path, json=content, params=parameters)
        response.raise_for_status()
        return response.json()

    return send
