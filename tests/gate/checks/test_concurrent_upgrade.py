"""Two upgrades at once."""

from __future__ import annotations

import pytest

from app.gate.checks.base import CheckSkipped
from app.gate.checks.concurrent_upgrade import examine
from tests.gate.checks.builders import added, attempt, failure, key, recording


def test_the_one_that_fails_is_a_finding_with_the_lock_to_take():
    collision = failure('duplicate key value violates unique constraint "pg_type_typname_nsp_index"', sqlstate="23505")

    [finding] = examine(recording(concurrent=attempt(collision), env_path="migrations/env.py"))

    assert finding.path == "migrations/env.py"
    assert "one fails: duplicate key value" in finding.message
    assert "pg_try_advisory_lock" in str(finding.help)


def test_another_schema_is_a_finding():
    [finding] = examine(recording(concurrent=attempt(differences=[added(key("index", "ix", "orders"))])))

    assert "create a different schema from a single one: index ix on orders." in finding.message


def test_stays_quiet_when_both_end_well():
    assert list(examine(recording(concurrent=attempt()))) == []


def test_is_skipped_with_the_reason_when_it_was_not_tried():
    with pytest.raises(CheckSkipped, match="head was not reached"):
        list(examine(recording(not_observed={"concurrent": "head was not reached"})))


def test_is_skipped_when_alembic_refuses_the_command_itself():
    refused = attempt(failure("Multiple head revisions are present"))

    with pytest.raises(CheckSkipped, match="single-head"):
        list(examine(recording(concurrent=refused, refusal="Multiple head revisions are present")))


@pytest.mark.parametrize(
    "words",
    [
        "sqlalchemy.exc.IntegrityError: (psycopg2.errors.UniqueViolation) {}",
        "psycopg.errors.UniqueViolation: {}",
        "(psycopg.errors.UniqueViolation) {}",
        (
            "sqlalchemy.exc.IntegrityError: (sqlalchemy.dialects.postgresql.asyncpg.IntegrityError) "
            "<class 'asyncpg.exceptions.UniqueViolationError'>: {}"
        ),
        "{}",
    ],
)
def test_of_a_traceback_only_the_words_of_postgresql_are_shown(words):
    said = 'duplicate key value violates unique constraint "pg_type_typname_nsp_index"'
    collision = failure(words.format(said), error="CommandFailed", sqlstate=None)

    [finding] = examine(recording(concurrent=attempt(collision)))

    assert finding.message == f"Of two upgrades that start at the same time on an empty database, one fails: {said}."


@pytest.mark.parametrize(
    "whole",
    [attempt(failure()), attempt(differences=[added(key("table", "t"))])],
    ids=["it fails", "it gives another schema"],
)
def test_where_one_upgrade_goes_wrong_by_itself_nothing_is_said_of_two(whole):
    with pytest.raises(
        CheckSkipped, match=r"^a single upgrade does not give the schema of the walk either; see upgrade$"
    ):
        list(examine(recording(concurrent=attempt(failure()), whole_command=whole)))

    assert len(list(examine(recording(concurrent=attempt(failure()), whole_command=attempt())))) == 1


def test_is_skipped_when_nobody_asked_for_it():
    with pytest.raises(CheckSkipped, match=r"^two concurrent upgrades were not tried$"):
        list(examine(recording()))
