"""What is gone over again after the walk, through the real gate."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from unittest.mock import patch

import pytest

from app.gate.recorder import record
from app.gate.recording.model import Evidence, RoundTrip
from app.gate.reruns import _interruptions
from app.gate.server.throwaway import Server
from tests.gate.projects import ENV, script, target, write_project

ORDERS = script(
    "a1", None, "op.create_table('orders', sa.Column('id', sa.Integer, primary_key=True))", "op.drop_table('orders')"
)
BLOCK = "with op.get_context().autocommit_block():\n    "

EVIDENCE = frozenset({Evidence.LOCKS, Evidence.POPULATED, Evidence.INTERRUPTIONS})


def recorded(place: Path, server: Server, evidence: frozenset[Evidence]) -> dict[str, RoundTrip]:
    (recording,) = record(target(place), server, evidence=evidence)
    return {trip.revision: trip for trip in recording.trips}


def seeds(revision: str, down_revision: str, number: int, downgrade: str = "pass") -> str:
    """A revision whose row is still there when it is run again."""
    up = f"op.execute('CREATE TABLE t{number} ()'); op.execute('INSERT INTO orders VALUES ({number})')"
    return script(revision, down_revision, up, f"op.execute('DROP TABLE t{number}')\n{downgrade}")


def test_a_second_upgrade_that_truly_fails_is_confirmed(tmp_path: Path, server: Server) -> None:
    seeds = script(
        "b2",
        "a1",
        "op.execute('ALTER TABLE orders ADD note text'); op.execute('INSERT INTO orders VALUES (1)')",
        "op.execute('ALTER TABLE orders DROP note')",
    )
    last = script(
        "c3", "b2", "op.execute('ALTER TABLE orders ADD last int')", "op.execute('ALTER TABLE orders DROP last')"
    )
    place = write_project(tmp_path, {"a1": ORDERS, "b2": seeds, "c3": last})

    trips = recorded(place, server, EVIDENCE)

    again = trips["b2"].second_up
    assert again is not None
    assert again.failure is not None
    assert again.failure.sqlstate == "23505"
    assert trips["c3"].second_up is not None


@pytest.mark.parametrize("at_once", [1, 2, 4])
def test_however_many_are_gone_over_side_by_side_each_is_told_of_by_itself(
    tmp_path: Path, server: Server, monkeypatch: pytest.MonkeyPatch, at_once: int
) -> None:
    monkeypatch.setattr("app.gate.reruns._pool.AT_ONCE", at_once)
    half = BLOCK + "op.execute('CREATE TABLE {0} ()')\n    op.execute('CREATE TABLE {0}_too ()')"
    takes_back = "op.execute('DROP TABLE {0}, {0}_too')"
    scripts = {
        "a1": ORDERS,
        "b2": seeds("b2", "a1", 2),
        "c3": script("c3", "b2", half.format("three"), takes_back.format("three")),
        "d4": seeds("d4", "c3", 4),
        "e5": script("e5", "d4", half.format("five"), takes_back.format("five")),
        "f6": script(
            "f6", "e5", f"{BLOCK}op.execute('UPDATE orders SET id = id + 10')", f"{BLOCK}op.execute('SELECT 1')"
        ),
        "a7": seeds("a7", "f6", 7),
        "b8": script("b8", "a7", half.format("eight"), takes_back.format("eight")),
    }

    trips = recorded(write_project(tmp_path, scripts), server, EVIDENCE)

    failed = {name for name, trip in trips.items() if trip.second_up is not None and trip.second_up.failure is not None}
    assert failed == {"b2", "d4", "a7"}
    interrupted = {
        name: [each.failure.message for each in trip.interruptions if each.failure is not None]
        for name, trip in trips.items()
    }
    assert {name: messages for name, messages in interrupted.items() if messages} == {
        "c3": ['relation "three" already exists'],
        "e5": ['relation "five" already exists'],
        "b8": ['relation "eight" already exists'],
    }
    assert trips["f6"].populated is not None


def test_an_upgrade_that_is_killed_half_way_is_run_again(tmp_path: Path, server: Server) -> None:
    fragile = script(
        "b2",
        "a1",
        f"{BLOCK}op.execute('CREATE TABLE one ()')\n    op.execute('CREATE TABLE two ()')",
        "op.execute('DROP TABLE one, two')",
    )
    sturdy = script(
        "c3",
        "b2",
        f"{BLOCK}op.execute('CREATE TABLE IF NOT EXISTS three ()')\n    op.execute('CREATE TABLE IF NOT EXISTS four ()')",
        "op.execute('DROP TABLE three, four')",
    )
    alone = script("d4", "c3", f"{BLOCK}op.execute('CREATE TABLE five ()')", "op.execute('DROP TABLE five')")
    place = write_project(tmp_path, {"a1": ORDERS, "b2": fragile, "c3": sturdy, "d4": alone})

    trips = recorded(place, server, EVIDENCE)

    found = {revision: trip.interruptions for revision, trip in trips.items()}
    assert found["a1"] == found["c3"] == found["d4"] == ()
    (interruption,) = found["b2"]
    assert interruption.after == "CREATE TABLE one ()"
    assert interruption.failure is not None
    assert interruption.failure.message == 'relation "one" already exists'


@pytest.mark.parametrize("driver", ["psycopg2", "psycopg"])
@pytest.mark.parametrize("first", ["pass", "connection.execute(text('SET lock_timeout = 4000'))"])
def test_a_script_that_commits_before_its_autocommit_block_can_be_killed_and_run_again(
    tmp_path: Path, server: Server, driver: str, first: str
) -> None:
    # warehouse's ed4cc2ef6b0f. A statement before context.configure() begins a transaction that Alembic takes for the caller's.
    sturdy = """
        op.get_bind().commit()
        with op.get_context().autocommit_block():
            op.execute("SET lock_timeout = 4000")
            op.drop_index("ix", "orders", if_exists=True, postgresql_concurrently=True)
            op.create_index("ix", "orders", ["id"], postgresql_concurrently=True)
    """
    env = ENV.replace(
        "            context.configure(connection", f"            {first}\n            context.configure(connection"
    )
    env = env.replace("import MetaData,", "import MetaData, text,") + "            connection.commit()\n"
    scripts = {"a1": ORDERS, "b2": script("b2", "a1", sturdy, "op.drop_index('ix')")}
    scripts["c3"] = script("c3", "b2", sturdy.replace("ix", "iy"), "op.drop_index('iy')")
    place = write_project(tmp_path, scripts, env=env)
    on_driver = replace(target(place), environment={"DATABASE_URL": f"{{url+{driver}}}"})

    (recording,) = record(on_driver, server, evidence=EVIDENCE | {Evidence.CONCURRENT})

    for trip in recording.trips:
        assert trip.interruptions == ()
        for step in (trip.up, trip.down, trip.second_up):
            assert step is not None
            assert step.failure is None
    assert recording.concurrent is not None
    assert recording.concurrent.differences == ()


def test_an_upgrade_that_asks_on_another_connection_is_confirmed_with_commits(tmp_path: Path, server: Server) -> None:
    # Mealie's 6b0f5f32d602: for a second connection, nothing has gone down while the transaction is held.
    asks = """
        import os

        with sa.create_engine(os.environ["DATABASE_URL"]).connect() as other:
            if sa.inspect(other).has_table("lines"):
                return
        op.create_table("lines", sa.Column("id", sa.Integer))
    """
    place = write_project(tmp_path, {"a1": ORDERS, "b2": script("b2", "a1", asks, "op.drop_table('lines')")})

    trip = recorded(place, server, EVIDENCE)["b2"]

    assert trip.second_up is not None
    assert trip.second_up.failure is None
    assert trip.left_behind == trip.second_up_differences == ()


def test_a_downgrade_that_ends_the_process_when_it_commits_has_failed(tmp_path: Path, server: Server) -> None:
    ends = """
import os, pathlib
mark = pathlib.Path("seen")
if mark.exists():
    os._exit(3)
mark.touch()
"""
    place = write_project(tmp_path, {"a1": ORDERS, "b2": seeds("b2", "a1", 2, ends), "c3": seeds("c3", "b2", 3)})

    trips = recorded(place, server, EVIDENCE)

    assert trips["b2"].down is not None
    assert trips["b2"].down.failure is not None
    assert trips["b2"].down.failure.message.startswith("the command ended in the middle of the revision")
    assert trips["b2"].second_up is None
    assert trips["c3"].second_up is not None
    assert trips["c3"].second_up.failure is not None


def test_a_suspect_that_cannot_be_reached_again_is_not_blamed(tmp_path: Path, server: Server) -> None:
    ends = """
import os, pathlib
mark = pathlib.Path("seen")
if "walked" in os.environ or not mark.exists():
    mark.touch()
    os.environ["walked"] = "yes"
else:
    os._exit(3)
"""
    place = write_project(tmp_path, {"a1": ORDERS, "b2": script("b2", "a1", ends), "c3": seeds("c3", "b2", 3)})

    trips = recorded(place, server, frozenset())  # no other run meets the mark

    assert trips["c3"].second_up is None
    assert trips["c3"].skipped_because == "on a separate database, it printed nothing"


def test_a_statement_that_commits_between_its_phases_is_cancelled_in_the_middle(tmp_path: Path, server: Server) -> None:
    before = """
        op.execute("CREATE TABLE orders (id integer PRIMARY KEY, note text)")
        op.execute("CREATE INDEX ix_old ON orders (note)")
        op.execute("CREATE TABLE events (day date) PARTITION BY RANGE (day)")
        op.execute("CREATE TABLE events_2025 PARTITION OF events FOR VALUES FROM ('2025-01-01') TO ('2026-01-01')")
    """
    index = "CREATE {0}INDEX CONCURRENTLY {1} ON orders (note)"
    upgrades = {
        "loud": [index.format("", "ix_loud")],
        "silent": [index.format("", "IF NOT EXISTS ix_silent")],
        "unnamed": [index.format("", "")],
        "unique": [index.format("UNIQUE ", "uq")],
        "silently_unique": [index.format("UNIQUE ", "IF NOT EXISTS uq_2")],
        "sturdy": ["DROP INDEX CONCURRENTLY IF EXISTS ix_sturdy", index.format("", "ix_sturdy")],
        "locks": [
            "ALTER TABLE orders ADD COLUMN IF NOT EXISTS extra text",
            "CREATE INDEX CONCURRENTLY IF NOT EXISTS ix_locks ON orders (extra)",
        ],
        "there": [index.format("", "IF NOT EXISTS ix_old")],
        "drops": ["DROP INDEX CONCURRENTLY ix_old"],
        "rebuilds": ["/* again */ REINDEX INDEX CONCURRENTLY ix_loud"],
        "detaches": ["ALTER TABLE events DETACH PARTITION events_2025 CONCURRENTLY"],
    }
    downgrades = {
        "unnamed": ["DROP INDEX orders_note_idx"],
        "locks": ["ALTER TABLE orders DROP COLUMN extra"],
        "drops": ["CREATE INDEX ix_old ON orders (note)"],
        "there": [],
        "rebuilds": [],
        "detaches": [
            "ALTER TABLE events ATTACH PARTITION events_2025 FOR VALUES FROM ('2025-01-01') TO ('2026-01-01')"
        ],
    }
    names = {"loud": "ix_loud", "silent": "ix_silent", "unique": "uq", "silently_unique": "uq_2", "sturdy": "ix_sturdy"}
    scripts, last = {"before": script("before", None, before)}, "before"
    for name, statements in upgrades.items():
        up = BLOCK + "\n    ".join(f"op.execute({sql!r})" for sql in statements)
        undo = downgrades.get(name, [f"DROP INDEX {names.get(name)}"])
        scripts[name] = script(name, last, up, "\n".join(f"op.execute({sql!r})" for sql in undo) or "pass")
        last = name

    with patch.object(_interruptions, "INTERRUPTED_REVISIONS", len(upgrades)):
        trips = recorded(write_project(tmp_path, scripts), server, EVIDENCE)

    found = {
        name: (each.failure.message if each.failure else [key.name for key in each.invalid])
        for name, trip in trips.items()
        for each in trip.interruptions
    }
    assert found == {
        "loud": 'relation "ix_loud" already exists',
        "silent": ["ix_silent"],
        "unnamed": ["orders_note_idx"],
        "unique": 'relation "uq" already exists',
        "silently_unique": ["uq_2"],
        "locks": ["ix_locks"],
        "rebuilds": ["ix_loud_ccnew"],
        "detaches": 'partition "events_2025" already pending detach in partitioned table "public.events"',
    }
    assert all(each.is_inside for trip in trips.values() for each in trip.interruptions)
