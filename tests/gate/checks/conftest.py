"""What several tests of the checks share."""

from collections.abc import Iterator

import pytest
import sqlalchemy as sa

from app.gate.checks.base import CheckSkipped, Finding
from app.gate.server.throwaway import Server
from tests.gate.checks import said
from tests.gate.checks.printed import Bench
from tests.gate.checks.sentences import faults_of


@pytest.fixture(scope="module")
def bench(server: Server) -> Iterator[Bench]:
    database = server.create_database()
    engine = sa.create_engine(database.url("psycopg2"))
    with engine.connect() as connection:
        yield Bench(database, connection)
    engine.dispose()
    server.drop_database(database)


@pytest.fixture(autouse=True)
def sentences(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Whatever a check says in these tests is in sentences, unless the test makes names of any characters, and is what it was."""
    if getattr(request.function, "is_hypothesis_test", False):
        yield
        return
    found: list[Finding] = []
    skipped: list[str] = []
    check = Finding.__post_init__

    def remember(finding: Finding) -> None:
        check(finding)
        found.append(finding)

    def remember_reason(reason: CheckSkipped, words: str) -> None:
        Exception.__init__(reason, words)
        skipped.append(words)

    monkeypatch.setattr(Finding, "__post_init__", remember)
    monkeypatch.setattr(CheckSkipped, "__init__", remember_reason)
    yield
    faults = [fault for finding in found for fault in faults_of(finding)]
    assert not faults, "\n".join(faults)
    if "server" not in request.fixturenames and "tmp_path" not in request.fixturenames:
        module, test, now = request.module.__name__, request.node.name, said.fields_of(found, skipped)
        if said.IS_REWRITTEN:
            said.write(module, test, now)
        kept = said.said_in(module, test)
        assert kept is None or now == kept
