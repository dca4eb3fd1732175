"""The offline script."""

from __future__ import annotations

import pytest

from app.gate.checks.base import CheckSkipped
from app.gate.checks.offline_sql import examine
from tests.gate.checks.builders import added, attempt, failure, key, python_failure, recording, trip

INDEX = added(key("index", "ix_note", "orders"))


def test_a_revision_that_asks_the_database_is_named():
    broken = python_failure("AttributeError", "'NoneType' object has no attribute 'fetchall'", revision="b2", line=12)

    [finding] = examine(recording(offline=attempt(broken)))

    assert finding.message.startswith("`alembic upgrade --sql` fails at b2: AttributeError: 'NoneType'")
    assert (finding.revision, finding.line) == ("b2", 12)
    assert "as_sql" in str(finding.help)


def test_a_script_that_makes_another_schema_is_a_finding():
    [finding] = examine(recording(offline=attempt(differences=[INDEX])))

    assert "creates a different schema from the upgrade: index ix_note on orders." in finding.message


def test_what_differs_is_reported_at_the_last_revision_that_made_it():
    walk = recording(trip("a1", changes=[INDEX]), trip("b2", changes=[INDEX]), offline=attempt(differences=[INDEX]))

    [finding] = examine(walk)

    assert finding.revision == "b2"


def test_a_written_script_that_fails_is_reported_with_the_statement():
    sql = "INSERT INTO orders (note) VALUES (%(note)s)"

    [finding] = examine(recording(offline=attempt(failure('syntax error at or near "%"', sql=sql, revision="b2"))))

    assert finding.message == 'The script that `alembic upgrade --sql` writes fails at b2: syntax error at or near "%".'
    assert finding.detail == sql
    assert "literal_binds=True" in str(finding.help)


def test_differences_after_a_failure_are_its_consequence():
    assert len(list(examine(recording(offline=attempt(python_failure("TypeError"), differences=[INDEX]))))) == 1


def test_stays_quiet_about_a_script_that_makes_the_same_schema():
    assert list(examine(recording(offline=attempt()))) == []


def test_is_skipped_with_the_reason_when_it_was_not_tried():
    with pytest.raises(CheckSkipped, match="no offline mode"):
        list(examine(recording(not_observed={"offline": "env.py has no offline mode"})))


def test_is_skipped_when_alembic_refuses_the_command_itself():
    refused = attempt(failure("Multiple head revisions are present"))

    with pytest.raises(CheckSkipped, match="single-head"):
        list(examine(recording(offline=refused, refusal="Multiple head revisions are present")))
