"""Every labelled release: what fails when its code is run is found, and what does not is not."""

from __future__ import annotations

import pytest
import sqlalchemy as sa

from app.gate.server.throwaway import Server
from tests.gate.deployed.case import Case, Said
from tests.gate.deployed.cases import ALL_CASES
from tests.gate.deployed.release import Outcome, deploy

_PARTS = 3


@pytest.mark.parametrize("number", range(_PARTS))
def test_what_breaks_the_running_code_is_found_and_nothing_else(number: int, server: Server) -> None:
    database = server.for_command(server.create_database())
    engine = sa.create_engine(database.url("psycopg2"), poolclass=sa.pool.NullPool)

    outcomes = [(case, deploy(case, database, engine)) for case in ALL_CASES[number::_PARTS]]

    server.drop_database(database)
    wrong = [_words(case, outcome) for case, outcome in outcomes if not _is_right(case, outcome)]
    assert not wrong, f"{len(wrong)} of {len(outcomes)} are judged wrong\n" + "\n".join(wrong)


def _is_right(case: Case, outcome: Outcome) -> bool:
    """The label is what running the code says, and the check says the same, also where it does not ask."""
    is_label_right = (outcome.failure is not None) == (case.said is Said.WARNING)
    return is_label_right and outcome.said is case.said and outcome.only_adds == case.only_adds


def _words(case: Case, outcome: Outcome) -> str:
    found = [f"  {finding.severity or 'warning'}: {finding.message}" for finding in outcome.findings] or ["  nothing"]
    return "\n".join(
        [
            f"case:     {case.name}",
            f"expected: {case.said}",
            f"the code: {outcome.failure or 'runs'}, {'not asked' if outcome.only_adds else 'asked'}",
            "found:",
            *found,
        ]
    )


def test_the_set_is_large_balanced_and_without_doubles() -> None:
    safe = [case for case in ALL_CASES if case.said is not Said.WARNING]

    assert len(ALL_CASES) >= 60
    assert 0.45 <= len(safe) / len(ALL_CASES) <= 0.6
    assert len({case.schema for case in ALL_CASES}) == len(ALL_CASES)
