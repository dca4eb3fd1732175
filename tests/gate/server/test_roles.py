"""Roles belong to the server and not to a database, so what one run of a history makes must not stand in the way of the next."""

from __future__ import annotations

from pathlib import Path

import pytest

from app.gate.judging.judge import judge
from app.gate.recorder import record
from app.gate.recording.model import AlternativePath
from app.gate.report.verdict import Severity
from app.gate.server.throwaway import Server, throwaway_server
from tests.gate.history.test_git_base import git
from tests.gate.projects import script, target, write_project

SCRIPTS = {
    "a1": script(
        "a1",
        None,
        """
        op.execute("CREATE ROLE overproof_test_reader")
        op.create_table("orders", sa.Column("id", sa.Integer, primary_key=True))
        op.execute("GRANT SELECT ON orders TO overproof_test_reader")
        """,
        """
        op.drop_table("orders")
        op.execute("DROP ROLE overproof_test_reader")
        """,
    ),
    "b2": script("b2", "a1", 'op.add_column("orders", sa.Column("x", sa.Text))', 'op.drop_column("orders", "x")'),
}


@pytest.mark.processes
def test_a_role_that_a_history_makes_is_created_again_in_each_run_and_gone_at_the_end(tmp_path: Path) -> None:
    with throwaway_server() as server:
        before = server.read_roles()

        (recording,) = record(target(write_project(tmp_path, SCRIPTS)), server)

        assert server.read_roles() == before
    report = judge([recording])
    assert [each.message for each in report.findings if each.severity is not Severity.NOTICE] == []
    assert recording.offline is not None
    assert recording.concurrent is not None


def test_on_a_given_server_a_role_stays_and_what_needs_another_run_says_why_it_is_left_out(
    tmp_path: Path, server: Server
) -> None:
    try:
        with throwaway_server(server.maintenance.url()) as given:
            (recording,) = record(target(write_project(tmp_path, SCRIPTS)), given)
        assert "overproof_test_reader" in server.read_roles()
    finally:
        server.drop_roles(["overproof_test_reader"])

    assert "roles" in recording.not_observed["offline"]
    assert "roles" in recording.not_observed["concurrent"]
    assert [each.message for each in judge([recording]).findings if each.severity is not Severity.NOTICE] == []


PASSING = {
    "a1": script("a1", None, "op.execute('CREATE TABLE orders ()')", "op.drop_table('orders')"),
    "b2": script(
        "b2", "a1", "op.execute('CREATE ROLE overproof_test_mover'); op.execute('DROP ROLE overproof_test_mover')"
    ),
}


def test_a_role_that_is_there_for_a_moment_is_in_no_ones_way(tmp_path: Path, server: Server) -> None:
    (recording,) = record(target(write_project(tmp_path, PASSING)), server)

    report = judge([recording])
    assert [each.message for each in report.findings if each.severity is not Severity.NOTICE] == []
    assert recording.offline == AlternativePath()


def test_a_role_that_a_branch_makes_on_a_given_server_is_made_once(tmp_path: Path, server: Server) -> None:
    base = {"z0": script("z0", None)}
    place = write_project(tmp_path, base)
    git(place, "init", "-q", "-b", "main")
    git(place, "add", ".")
    git(place, "commit", "-qm", "nothing yet")
    for name, text in SCRIPTS.items():
        text = text.replace("down_revision = None", "down_revision = 'z0'")
        (place / "migrations" / "versions" / f"{name}.py").write_text(text)
    try:
        with throwaway_server(server.maintenance.url()) as given:
            (recording,) = record(target(place), given, base_ref="main")
    finally:
        server.drop_roles(["overproof_test_reader"])

    assert len(recording.trips) == 2
    assert recording.whole_command is None
    assert [each.message for each in judge([recording]).findings if each.severity is not Severity.NOTICE] == []
