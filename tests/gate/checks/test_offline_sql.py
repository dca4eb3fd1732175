"""The offline script."""

from __future__ import annotations

import pytest

from app.gate.checks.base import CheckSkipped
from app.gate.checks.offline_sql import examine
from tests.gate.checks.builders import (
    added,
    altered,
    attempt,
    failure,
    key,
    python_failure,
    recording,
    removed,
    statement,
    trip,
)

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


def test_a_value_of_no_type_is_no_query():
    words = "No literal value renderer is available for literal value \"'x'\" with datatype NULL"

    [finding] = examine(recording(offline=attempt(python_failure("CompileError", words, revision="b2"))))

    assert 'sa.column("note", sa.Text)' in str(finding.help)
    assert "query" not in str(finding.help)


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


CHECKED = key("constraint", "ck_note", "orders")


@pytest.mark.parametrize(
    ("differences", "cure"),
    [
        ([altered(CHECKED, {"definition": "(note ~~ '%@%')"}, {"definition": "(note ~~ '%%@%%')"})], "paramstyle"),
        ([removed(key("table", "orders", schema="blue")), added(key("table", "orders"))], "search_path"),
        ([INDEX], "the offline mode of env.py may"),
    ],
)
def test_where_the_cure_is_in_env_py_no_revision_is_blamed(differences, cure):
    [finding] = examine(recording(trip("a1", changes=differences), offline=attempt(differences=differences)))

    assert cure in str(finding.help)
    assert "in Python" not in str(finding.help)


def test_a_revision_that_reads_something_online_decides_in_python():
    walk = trip("a1", changes=[INDEX], statements=[statement("SELECT relname FROM pg_class")])

    [finding] = examine(recording(walk, offline=attempt(differences=[INDEX])))

    assert "decides in Python" in str(finding.help)


@pytest.mark.parametrize(
    ("broken", "cure"),
    [
        (
            failure('schema "blue" does not exist', sql="CREATE TABLE blue.alembic_version ()"),
            "No revision writes this",
        ),
        (failure("unrecognized format", sql="SELECT format('%%s')", revision="a1"), "paramstyle"),
        (python_failure("CommandFailed", "KeyError: 'url'"), "run_migrations_offline"),
    ],
)
def test_a_failure_says_where_its_cure_is(broken, cure):
    [finding] = examine(recording(offline=attempt(broken)))

    assert cure in str(finding.help)
