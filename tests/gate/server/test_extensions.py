"""A history that uses extensions as applications do goes up, down and up again on the embedded server, also over rows."""

from __future__ import annotations

import pytest

from app.gate.postgres import sqlstates
from app.gate.recorder import record
from app.gate.recording.model import RoundTrip
from app.gate.server.throwaway import Server
from tests.gate.projects import OF_THE_WALK, target
from tests.gate.server.extension_uses import USES, write
from tests.gate.trips import completed

TABLES = [f"of_{extension}".replace("-", "_") for extension in USES]
# What fails over rows with the extension of any server, as it should.
FAILS_OVER_ROWS = {"of_ltree": sqlstates.UNIQUE_VIOLATION, "of_btree_gist": sqlstates.EXCLUSION_VIOLATION}


@pytest.fixture(scope="module")
def trips(with_stand_ins: Server, tmp_path_factory: pytest.TempPathFactory) -> dict[str, RoundTrip]:
    place = write(tmp_path_factory.mktemp("extensions"))
    (recording,) = record(target(place), with_stand_ins, evidence=OF_THE_WALK)
    return {trip.revision: trip for trip in recording.trips}


@pytest.mark.parametrize("revision", ["start", *TABLES])
def test_it_goes_up_down_and_up_again(trips: dict[str, RoundTrip], revision: str) -> None:
    trip = completed(trips[revision])

    assert [step.failure for step in trip.steps] == [None, None, None]
    assert (trip.left_behind, trip.second_up_differences) == ((), ())
    assert trip.up.swallowed == ()


@pytest.mark.parametrize("table", TABLES)
def test_it_changes_a_table_with_rows(trips: dict[str, RoundTrip], table: str) -> None:
    trip = trips[table]

    assert trip.tables_without_rows == {}
    assert trip.populated is not None
    assert trip.populated.tables[f"public.{table}"] > 0
    failure = trip.populated.step.failure
    assert (failure and failure.sqlstate) == FAILS_OVER_ROWS.get(table)
    assert trip.populated.down_failure is None


def test_only_what_no_ordinary_role_may_create_needs_a_superuser(trips: dict[str, RoundTrip]) -> None:
    refused = [each.sql for trip in trips.values() if trip.up is not None for each in trip.up.refused]

    assert refused == ['CREATE EXTENSION "vector"']  # not trusted, and what hosted databases let their users create
