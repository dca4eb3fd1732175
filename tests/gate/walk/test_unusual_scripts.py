"""Scripts that do what few do: the walk goes on, and what they do wrong is their failure."""

from __future__ import annotations

from pathlib import Path

from app.gate.recording.model import RoundTrip
from app.gate.server.throwaway import Server
from app.gate.snapshot.describe import describe
from app.gate.target.runner import TargetRunner
from app.gate.walk.plan import RecordingPlan
from app.gate.walk.run import walk_all
from tests.gate.projects import ENV, script, target, write_project
from tests.gate.trips import completed, downgraded

ORDERS = """
    op.create_table(
        "orders", sa.Column("id", sa.Integer, primary_key=True), sa.Column("lang", sa.String(9)),
        sa.CheckConstraint("lang IN ('en', 'fr')", name="ck_lang"))
    op.create_index("ix_lang", "orders", ["lang"], postgresql_where=sa.text("lang IN ('en', 'fr')"))
"""
A1 = script("a1", None, ORDERS, "op.drop_table('orders')")
READ = """
import os


def read():
    engine = sa.create_engine(os.environ["DATABASE_URL"], poolclass=sa.pool.NullPool)
    with engine.connect() as connection:
        connection.execute(sa.text("SELECT * FROM orders")).all()
"""


def walked(place: Path, server: Server, timeout_s: float = 60.0) -> dict[str, RoundTrip]:
    plan = RecordingPlan(evidence=frozenset())
    (walk,) = walk_all(TargetRunner(target(place, timeout_s=timeout_s), server), plan)
    return walk.trips


def test_what_has_other_words_after_a_round_trip_is_restored_and_what_was_hidden_is_not(
    tmp_path: Path, server: Server
) -> None:
    to_text = script(
        "b2",
        "a1",
        "op.alter_column('orders', 'lang', type_=sa.Text)",
        "op.alter_column('orders', 'lang', type_=sa.String(9))",
    )
    hidden = script(
        "c3", "b2", "op.execute('CREATE INDEX IF NOT EXISTS ix_lang ON orders (id)')", "op.drop_index('ix_lang')"
    )
    again = script("d4", "c3", READ_BACK.format("('en', 'fr')"), READ_BACK.format("('en', 'fr')"))
    other = script("e5", "d4", READ_BACK.format("('en', 'de')"), READ_BACK.format("('en', 'it')"))
    place = write_project(tmp_path, {"a1": A1, "b2": to_text, "c3": hidden, "d4": again, "e5": other})

    trips = walked(place, server)

    left = {name: [describe(change) for change in trip.left_behind] for name, trip in trips.items()}
    assert left["a1"] == left["b2"] == left["d4"] == []
    assert left["c3"] == ["index public.ix_lang is gone"]
    assert len(left["e5"]) == 1
    assert "ck_lang" in left["e5"][0]
    assert [name for name, trip in trips.items() if trip.second_up_differences] == ["c3"]


READ_BACK = """
op.drop_constraint("ck_lang", "orders", type_="check")
op.create_check_constraint("ck_lang", "orders", "lang IN {0}")
text = op.get_bind().exec_driver_sql("SELECT pg_get_constraintdef(oid) FROM pg_constraint WHERE conname = 'ck_lang'").scalar()
op.drop_constraint("ck_lang", "orders", type_="check")
op.execute(sa.text("ALTER TABLE orders ADD CONSTRAINT ck_lang " + text.replace(":", chr(92) + ":")))
"""


def test_a_script_that_waits_for_the_gate_itself_is_taken_down_and_up_with_commits(
    tmp_path: Path, server: Server
) -> None:
    note = "read()\nop.add_column('orders', sa.Column('note', sa.Text))"
    reader = script("b2", "a1", note, "op.drop_column('orders', 'note')", head=READ)
    place = write_project(tmp_path, {"a1": A1, "b2": reader})

    trip = completed(walked(place, server, timeout_s=30.0)["b2"])

    assert [step.failure for step in trip.steps] == [None, None, None]
    assert trip.left_behind == trip.second_up_differences == ()


def test_a_downgrade_that_does_not_take_what_env_py_gives_it_has_failed(tmp_path: Path, server: Server) -> None:
    env = ENV.replace("context.run_migrations()", 'context.run_migrations(prefix="")')
    place = write_project(tmp_path, {"a1": A1.replace("upgrade()", "upgrade(prefix)")}, env=env)

    failure = downgraded(walked(place, server)["a1"]).failure

    assert failure is not None
    assert failure.message == "downgrade() got an unexpected keyword argument 'prefix'"


def test_a_script_that_closes_the_connection_has_failed_and_the_rest_is_walked(tmp_path: Path, server: Server) -> None:
    closer = script("b2", "a1", "op.get_bind().close()", "pass")
    place = write_project(tmp_path, {"a1": A1, "b2": closer})

    trips = walked(place, server)

    up = trips["b2"].up
    assert up is not None
    assert up.failure is not None
    assert "the script has closed the connection of the migration" in up.failure.message
    assert completed(trips["a1"]).left_behind == ()
