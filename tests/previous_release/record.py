"""Keep what this release sends to PostgreSQL: `python -m tests.previous_release.record NAME`."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from datetime import datetime
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from fastapi.testclient import TestClient
from sqlmodel import Session

from app.database import utcnow
from app.factory import create_app
from app.gate.server.throwaway import throwaway_server
from app.retention import prune
from app.settings import Settings
from tests import factories, scenario
from tests.previous_release.replay import DIRECTORY, Recorded, Sent

ROOT = DIRECTORY.parents[1]
SECRET = "ovp_of_the_previous_release"


def main(name: str) -> None:
    with throwaway_server(None) as server:
        url = sa.make_url(server.create_database().url("psycopg2"))
        upgrade(url)
        engine = sa.create_engine(url, poolclass=sa.NullPool)
        with Session(engine) as session, session.begin():
            factories.store_in(session)
            factories.ApiTokenFactory(secret=SECRET, trusted=True)
            factories.store_in(None)
        recorded = Recorded(at=utcnow(), before=rows_of(engine), sent=[])
        with TestClient(create_app(Settings(database_url=url))) as client:
            listen(client.app.state.workers.engine, recorded)  # type: ignore[attr-defined]
            listen(engine, recorded)
            ask(client, engine)
    recorded.write(DIRECTORY / f"{name}.jsonl")


def ask(client: TestClient, engine: sa.Engine) -> None:
    client.headers["Authorization"] = f"Bearer {SECRET}"

    def send(asked: scenario.Asked) -> Any:
        answer = client.request(asked.method, asked.path, json=asked.content, params=asked.query)
        assert answer.is_success, (asked, answer.text)
        return answer.json() if answer.content else None

    send(scenario.Asked("POST", "/api/v1/projects", {"slug": "shop", "name": "Shop"}))
    scenario.ask_all(send)
    prune(engine, report_days=-1, run_days=-1)  # everything is old
    send(scenario.Asked("POST", f"{scenario.SHOP}/runs", factories.report(findings=[factories.finding()])))
    send(scenario.Asked("POST", f"{scenario.SHOP}/archive"))
    send(scenario.Asked("DELETE", scenario.SHOP))
    prune(engine)


def upgrade(url: sa.URL) -> None:
    environ = os.environ | {"DATABASE_URL": url.render_as_string(hide_password=False)}
    subprocess.run([sys.executable, "-m", "alembic", "upgrade", "head"], cwd=ROOT, env=environ, check=True)


def rows_of(engine: sa.Engine) -> dict[str, Any]:
    """What the statements find already: the token."""
    with engine.connect() as connection:
        (token,) = connection.execute(sa.text("SELECT row_to_json(api_token) FROM api_token")).scalars()
    return {"api_token": token}


def listen(engine: sa.Engine, recorded: Recorded) -> None:
    @sa.event.listens_for(engine, "after_cursor_execute")
    def note(connection: Any, cursor: Any, statement: str, parameters: Any, context: Any, many: bool) -> None:
        assert not many, statement
        if "SAVEPOINT" not in statement:  # each is replayed in a transaction of its own
            recorded.sent.append(Sent(statement, encode(parameters), cursor.rowcount))


def encode(value: Any) -> Any:
    """As JSON, with the types that it does not have by their names."""
    if isinstance(value, dict):
        return {name: encode(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [encode(item) for item in value]
    if isinstance(value, datetime):
        return {"time": value.isoformat()}
    if isinstance(value, bytes | memoryview):
        return {"bytes": bytes(value).hex()}
    if isinstance(value, UUID):
        return str(value)
    if hasattr(value, "adapted"):  # psycopg2's wrapper of bytes
        return {"bytes": bytes(value.adapted).hex()}
    json.dumps(value)  # raises for what is forgotten here
    return value


if __name__ == "__main__":
    main(sys.argv[1])
