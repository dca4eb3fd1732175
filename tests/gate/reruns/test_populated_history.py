"""What fails only over rows that are older than the revision before it."""

from __future__ import annotations

from pathlib import Path

import pytest

from app.gate.recorder import record
from app.gate.recording.model import Evidence, RoundTrip
from app.gate.server.throwaway import Server
from tests.gate.projects import ENV, script, target, write_project

EVIDENCE = frozenset({Evidence.LOCKS, Evidence.POPULATED})
STEPS = 'op.create_table("steps", sa.Column("id", sa.Integer, primary_key=True), sa.Column("title", sa.Text))'
TASKS = """
    op.create_table("people", sa.Column("id", sa.Integer, primary_key=True))
    op.create_table(
        "tasks",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("who", sa.Integer, sa.ForeignKey("people.id", deferrable=True, initially="DEFERRED")),
    )
"""
COPY = """
    op.create_table("milestones", sa.Column("id", sa.Integer, primary_key=True), sa.Column("title", sa.Text))
    op.execute("INSERT INTO milestones (id, title) SELECT id, title FROM steps")
"""
MOVE = "op.execute(\"SELECT setval('milestones_id_seq', max(id)) FROM milestones HAVING max(id) IS NOT NULL\")"
INSERT = "op.execute(\"INSERT INTO milestones (title) VALUES ('Welcome')\")"
DELETE = "op.execute(\"DELETE FROM milestones WHERE title = 'Welcome'\")"
CHANGE = 'op.execute("UPDATE tasks SET who = (SELECT max(id) FROM people)")'
ALTER = 'op.add_column("tasks", sa.Column("note", sa.Text)); op.execute("UPDATE tasks SET note = id::text")'
PER_MIGRATION = ENV.replace("target_metadata=metadata)", "target_metadata=metadata, transaction_per_migration=True)")
NOTHING = "op.execute('SELECT 1')"


def trips_of(place: Path, server: Server, *upgrades: tuple[str, str], env: str = ENV) -> dict[str, RoundTrip]:
    """Of a history that begins with tables, by revision: `a0`, `a1`, …"""
    parts = [(STEPS, "op.drop_table('steps')"), *upgrades]
    scripts = {
        f"a{number}": script(f"a{number}", f"a{number - 1}" if number else None, up, down)
        for number, (up, down) in enumerate(parts)
    }
    (recording,) = record(target(write_project(place, scripts, env=env)), server, evidence=EVIDENCE)
    return {trip.revision: trip for trip in recording.trips}


def test_an_insert_by_the_sequence_meets_ids_that_an_earlier_revision_has_copied(
    tmp_path: Path, server: Server
) -> None:
    trips = trips_of(tmp_path, server, (COPY, "op.drop_table('milestones')"), (INSERT, DELETE))

    found = trips["a2"].in_history
    assert found is not None
    assert (found.failure.sqlstate, found.failure.constraint) == ("23505", "milestones_pkey")
    assert found.tables["public.steps"] == "a0"
    assert found.in_one_go == ()
    assert all(trip.in_history is None for trip in trips.values() if trip.revision != "a2")


@pytest.mark.parametrize(("env", "is_found"), [(ENV, True), (PER_MIGRATION, False)], ids=["in one go", "one by one"])
def test_constraints_are_still_to_be_checked_where_all_is_one_transaction(
    tmp_path: Path, server: Server, env: str, is_found: bool
) -> None:
    drop = "op.drop_column('tasks', 'note')"
    moved = (f"{COPY}\n    {MOVE}", "op.drop_table('milestones')")

    tasks = (TASKS, "op.drop_table('tasks'); op.drop_table('people')")
    trips = trips_of(tmp_path, server, tasks, moved, (INSERT, DELETE), (CHANGE, NOTHING), (ALTER, drop), env=env)

    found = trips["a5"].in_history
    assert (found is not None) is is_found
    if found is not None:
        assert found.failure.sqlstate == "55006"
        assert found.in_one_go[-1] == "a4"
    assert trips["a3"].in_history is None  # the sequence was moved
