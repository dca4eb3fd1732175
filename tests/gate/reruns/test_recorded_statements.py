"""`--statements`: what production is sent, planned before and after the branch's revisions."""

from __future__ import annotations

from pathlib import Path

import pytest

from app.gate.checks import breaking_change
from app.gate.recorder import record
from app.gate.recording.model import Evidence
from app.gate.recording.recorded_statements import RecordedStatement
from app.gate.reruns._recorded_statements import _Planner
from app.gate.server.database import Database
from app.gate.server.throwaway import Server
from tests.gate.history.test_git_base import git, versions, write_branch
from tests.gate.projects import script, target

SENT = (
    RecordedStatement("SELECT note FROM orders WHERE id = $1"),
    RecordedStatement("INSERT INTO orders (id, note) VALUES ($1, $2) ON CONFLICT (id) DO NOTHING"),
    RecordedStatement("UPDATE orders SET id = $1 WHERE id = $2"),
    RecordedStatement("SELECT gone FROM orders"),
    RecordedStatement("SELECT note FROM orders WHERE id = $1", "elsewhere, public"),
)


def test_a_statement_that_only_the_new_schema_refuses_is_found_at_the_revision_to_blame(
    tmp_path: Path, server: Server
) -> None:
    place = write_branch(tmp_path)
    (versions(place) / "c3.py").write_text(script("c3", "b2", "op.add_column('orders', sa.Column('more', sa.Text))"))
    (versions(place) / "d4.py").write_text(
        script("d4", "c3", "op.drop_column('orders', 'note')", "op.add_column('orders', sa.Column('note', sa.Text))")
    )

    (recording,) = record(
        target(place), server, base_ref="main", evidence=frozenset({Evidence.RUNNING}), statements=SENT
    )

    assert recording.recorded is not None
    assert (recording.recorded.count, recording.recorded.refused_before) == (5, 1)
    assert sorted((each.revision, each.sql) for each in recording.recorded.refused) == sorted(
        ("d4", SENT[at].sql) for at in (0, 1, 4)
    )
    found = [each for each in breaking_change.examine(recording) if each.subject.startswith("recorded")]
    assert [each.revision for each in found] == ["d4"]
    assert found[0].message.startswith('3 statements that production was sent are refused after d4: column "note"')
    assert "SELECT note FROM orders WHERE id = $1" in str(found[0].detail)


def test_without_an_older_schema_they_are_not_tried(tmp_path: Path, server: Server) -> None:
    place = write_branch(tmp_path)
    git(place, "checkout", "-q", "main")

    (recording,) = record(target(place), server, evidence=frozenset({Evidence.RUNNING}), statements=SENT)

    assert recording.recorded is None
    assert "no base whose schema they run on" in recording.not_observed["recorded"]


@pytest.mark.parametrize("major", [15, 16])
def test_statements_are_planned_and_not_run_before_postgresql_16_too(
    server: Server, blank_database: Database, major: int
) -> None:
    if int(server.version.partition(".")[0]) < major:
        pytest.skip("the server is older")
    with blank_database.connect() as connection, connection.cursor() as cursor:
        cursor.execute("CREATE TABLE orders (id int PRIMARY KEY); INSERT INTO orders VALUES (1)")
    sent = [*SENT, RecordedStatement("DELETE FROM orders"), RecordedStatement("SELECT 1/$1::int FROM orders")]

    refused = _Planner(sent, major).refused_by(blank_database, range(len(sent)))

    assert {number: each.failure.sqlstate for number, each in refused.items()} == dict.fromkeys((0, 1, 3, 4), "42703")
    with blank_database.connect() as connection, connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM orders")
        assert cursor.fetchall() == [(1,)]
