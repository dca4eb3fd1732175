"""Revisions that apply in one run of the command, and not release by release."""

from __future__ import annotations

from pathlib import Path

from app.gate.checks.upgrade import examine
from app.gate.recorder import record
from app.gate.recording.model import Evidence
from app.gate.report.verdict import Severity
from app.gate.server.throwaway import Server
from tests.gate.projects import script, target, write_project

TABLE = """
    op.create_table(
        "{0}", sa.Column("id", sa.Integer, primary_key=True), sa.Column("mood", sa.Enum("sad", "happy", name="mood"))
    )
"""


def test_an_enum_that_two_revisions_make_is_a_warning_and_the_rest_is_judged(tmp_path: Path, server: Server) -> None:
    scripts = {
        "a1": script("a1", None, TABLE.format("one"), "op.drop_table('one'); op.execute('DROP TYPE mood')"),
        "b2": script("b2", "a1", TABLE.format("two"), "op.drop_table('two')"),
        "c3": script(
            "c3", "b2", 'op.add_column("two", sa.Column("n", sa.Text, nullable=False))', "op.drop_column('two', 'n')"
        ),
    }

    (recording,) = record(
        target(write_project(tmp_path, scripts)), server, evidence=frozenset({Evidence.LOCKS, Evidence.POPULATED})
    )

    [finding] = examine(recording)
    assert (finding.revision, finding.severity) == ("b2", Severity.WARNING)
    assert finding.message.startswith(
        "b2 fails on a database that is at a1, and applies only in one run with the revisions before"
    )
    assert 'type "mood" already exists' in finding.message
    b2, c3 = recording.trips[1:]
    assert b2.up is not None
    assert b2.up.failure is None
    assert b2.second_up is not None
    assert b2.second_up.failure is None
    assert c3.populated is not None
    assert c3.populated.step.failure is not None


def test_a_type_that_is_made_twice_in_any_case_does_not_apply(tmp_path: Path, server: Server) -> None:
    create = "op.execute(\"CREATE TYPE mood AS ENUM ('sad')\")"
    scripts = {"a1": script("a1", None, create, "op.execute('DROP TYPE mood')"), "b2": script("b2", "a1", create)}

    (recording,) = record(target(write_project(tmp_path, scripts)), server, evidence=frozenset())

    [finding] = examine(recording)
    assert (finding.revision, finding.severity, finding.subject) == ("b2", None, "fails 42710")
