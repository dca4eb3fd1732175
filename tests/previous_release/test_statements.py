"""What the previous release sends works on the new schema, so that one may run while the database is upgraded."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from app.gate.server.database import Database
from tests.previous_release.replay import DIRECTORY, Recorded, replay

# What was kept, and the newest revision on which it works: those behind it are of the release after the next.
KEPT = {"reports_in_run": "4fd6a2b81c73", "keys_without_project": "6b7f1c94e20d"}


@pytest.mark.parametrize("name", KEPT)
def test_the_next_schema_works_for_the_previous_release(name: str, blank_database: Database) -> None:
    upgrade = subprocess.run(
        [sys.executable, "-m", "alembic", "upgrade", KEPT[name]],
        cwd=DIRECTORY.parents[1],
        env=os.environ | {"DATABASE_URL": blank_database.url()},
        capture_output=True,
        text=True,
    )
    assert upgrade.returncode == 0, upgrade.stderr
    recorded = Recorded.read(DIRECTORY / f"{name}.jsonl")

    different = replay(recorded, blank_database)

    assert different == []
    assert len(recorded.sent) > 150


def test_all_that_was_kept_is_tried() -> None:
    assert KEPT.keys() == {path.stem for path in DIRECTORY.glob("*.jsonl")}
