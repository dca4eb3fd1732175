"""Which downgrades are missing on purpose."""

from __future__ import annotations

import pytest

from app.gate.checks.support.downgrades import Omission, find_omission, is_refusal
from tests.gate.checks.builders import added, key, python_failure, revision, statement, trip

COLUMN = added(key("column", "note", "orders"), type="text", nullable=True)


@pytest.mark.parametrize(
    "error",
    [
        "NotImplementedError",
        "Exception",
        "RuntimeError",
        "SystemExit",
        "alembic.util.exc.CommandError",
        "shop.errors.IrreversibleMigration",
    ],
)
def test_an_exception_that_scripts_raise_on_purpose_is_a_refusal(error: str) -> None:
    failed = python_failure(error, "the old values are gone")

    assert is_refusal(failed)
    assert find_omission(revision("a1"), trip(changes=[COLUMN], down_failure=failed)) is Omission.REFUSED


@pytest.mark.parametrize("error", ["NameError", "TypeError", "sqlalchemy.exc.CompileError", "KeyError"])
def test_an_exception_by_mistake_is_none(error: str) -> None:
    failed = python_failure(error)

    assert not is_refusal(failed)
    assert find_omission(revision("a1"), trip(changes=[COLUMN], down_failure=failed)) is None


@pytest.mark.parametrize(
    "sql",
    ["SELECT 1", "SHOW lock_timeout", "SET lock_timeout = '2s'", "EXPLAIN SELECT 1", "  (SELECT 1)", "set role x"],
)
def test_an_upgrade_that_only_reads_or_sets_has_nothing_to_undo(sql: str) -> None:
    only = trip(statements=[statement(sql)], down_failure=python_failure("NotImplementedError"))

    assert find_omission(revision("a1", downgrade_body="raises"), only) is None


@pytest.mark.parametrize("one", [statement("VACUUM orders"), statement("SELECT fill()", written={"orders": 2})])
def test_an_upgrade_that_does_something_has(one) -> None:
    only = trip(statements=[one], down_failure=python_failure("NotImplementedError"))

    assert find_omission(revision("a1", downgrade_body="raises"), only) is Omission.REFUSED
