"""The walk through real projects on a real PostgreSQL: what is recorded, and what a failure leaves alone."""

import subprocess
import sys
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest

from app.gate.checks import upgrade
from app.gate.commands.snapshot import take
from app.gate.errors import CannotVerify
from app.gate.recorder import record
from app.gate.recording.model import ALL_EVIDENCE, Evidence, RoundTrip
from app.gate.server.throwaway import Server
from app.gate.snapshot.describe import describe
from app.gate.target.runner import TargetRunner
from app.gate.walk.plan import RecordingPlan
from app.gate.walk.run import walk_all
from tests.gate.projects import ENV, OF_THE_WALK, script, target, write_project
from tests.gate.trips import completed, downgraded, failed, upgraded

ORDERS = script(
    "a1", None, "op.create_table('orders', sa.Column('id', sa.Integer, primary_key=True))", "op.drop_table('orders')"
)

DROP_NOTE = "op.drop_column('orders', 'note')"


def walked(place: Path, server: Server, *command: str, timeout_s: float = 60.0) -> dict[str, RoundTrip]:
    """The trips of the project's only walk, by revision."""
    (walk,) = walk_all(
        TargetRunner(target(place, *command, timeout_s=timeout_s), server), RecordingPlan(evidence=OF_THE_WALK)
    )
    return walk.trips


@pytest.mark.parametrize(
    ("command", "message"),
    [
        (("upgrade", "+1"), "the command stops at a1, below the head b2, so what comes after was not checked"),
        (("check",), "the command does not upgrade: name the one that brings the database to head"),
    ],
)
def test_a_command_that_does_not_reach_head_is_refused(
    tmp_path: Path, server: Server, command: tuple[str, ...], message: str
) -> None:
    place = write_project(tmp_path, {"a1": ORDERS, "b2": script("b2", "a1")})

    with pytest.raises(CannotVerify, match=message):
        walked(place, server, sys.executable, "-m", "alembic", *command)


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ("", r"there is no revision in .*/migrations/versions, so nothing was checked: write the first one"),
        (
            "version_locations = %(here)s/nowhere",
            r"nothing was checked: .*/nowhere is no such folder, and Alembic looks",
        ),
    ],
)
def test_a_history_without_a_revision_is_no_success(tmp_path: Path, server: Server, setting: str, message: str) -> None:
    place = write_project(tmp_path, {})
    with (place / "alembic.ini").open("a") as ini:
        ini.write(f"{setting}\n")

    with pytest.raises(CannotVerify, match=message):
        walked(place, server)


def test_a_sound_history_goes_up_down_and_up_and_leaves_the_same_schema(tmp_path: Path, server: Server) -> None:
    note = script("b2", "a1", "op.add_column('orders', sa.Column('note', sa.Text))", "op.drop_column('orders', 'note')")
    place = write_project(tmp_path, {"a1": ORDERS, "b2": note})

    trips = walked(place, server)

    assert list(trips) == ["a1", "b2"]
    for trip in map(completed, trips.values()):
        assert [step.failure for step in trip.steps] == [None, None, None]
        assert trip.left_behind == trip.second_up_differences == ()
    assert [describe(change) for change in upgraded(trips["b2"]).changes] == ["column public.orders.note is new"]


def test_each_applied_revision_has_the_digests_of_the_schema_before_and_after_it(
    tmp_path: Path, server: Server
) -> None:
    """They are those of `overproof snapshot`, which leaves out Alembic's table, whatever happened in between."""
    scripts = {
        "a1": ORDERS,
        "b2": script(
            "b2", "a1", "op.add_column('orders', sa.Column('note', sa.Text))", "op.drop_column('orders', 'note')"
        ),
        "c3": script("c3", "b2"),
        "d4": script("d4", "c3", DROP_NOTE, "op.add_column('orders', sa.Column('note', sa.Text))"),
        "e5": script("e5", "d4", "op.drop_table('there_is_none')"),
    }
    place = write_project(tmp_path, scripts)

    (walk,) = walk_all(TargetRunner(target(place), server), RecordingPlan(evidence=OF_THE_WALK))

    digests = walk.schema_digests
    assert list(digests) == ["a1", "b2", "c3", "d4"]
    for earlier, later in pairwise(digests.values()):
        assert earlier[1] == later[0]
    database = server.create_database()
    assert take({"dsn": database.url()}, 60.0)["digest"] == digests["a1"][0]
    assert digests["c3"][0] == digests["c3"][1] != digests["a1"][1]
    assert digests["d4"][1] == digests["a1"][1]
    with database.connect() as connection, connection.cursor() as cursor:
        cursor.execute("CREATE TABLE orders (id serial PRIMARY KEY)")
    assert take({"dsn": database.url()}, 60.0)["digest"] == digests["a1"][1]
    server.drop_database(database)


def test_what_a_statement_locks_is_seen_with_its_line(tmp_path: Path, server: Server) -> None:
    widen = script("b2", "a1", "op.alter_column('orders', 'id', type_=sa.BigInteger)", "pass")
    place = write_project(tmp_path, {"a1": ORDERS, "b2": widen})

    up = upgraded(walked(place, server)["b2"])

    (statement,) = up.statements
    assert statement.sql.startswith("ALTER TABLE orders ALTER COLUMN id TYPE BIGINT")
    assert "AccessExclusiveLock" in statement.locks["public.orders"]
    assert statement.rewrites == ("public.orders",)
    text = (place / "migrations/versions/b2.py").read_text().splitlines()
    assert statement.line is not None
    assert "alter_column" in text[statement.line - 1]


def test_a_table_that_the_revision_creates_is_nobodys_to_wait_for(tmp_path: Path, server: Server) -> None:
    place = write_project(
        tmp_path,
        {
            "a1": script(
                "a1",
                None,
                """
                op.create_table('orders', sa.Column('id', sa.Integer, primary_key=True))
                op.create_index('ix', 'orders', ['id'])
                op.alter_column('orders', 'id', type_=sa.BigInteger)
                """,
                "op.drop_table('orders')",
            )
        },
    )

    up = upgraded(walked(place, server)["a1"])

    assert len(up.statements) == 3
    assert all(not (each.locks or each.rewrites or each.scans or each.index_builds) for each in up.statements)


def test_a_revision_that_fails_does_not_hide_the_other_branch(tmp_path: Path, server: Server) -> None:
    place = write_project(
        tmp_path,
        {
            "a1": ORDERS,
            "b2": script("b2", "a1", "op.execute('SELECT nonsense')"),
            "c3": script("c3", "b2"),
            "d4": script(
                "d4", "a1", "op.add_column('orders', sa.Column('note', sa.Text))", "op.drop_column('orders', 'note')"
            ),
            "e5": script("e5", ("c3", "d4")),
        },
    )

    trips = walked(place, server)

    failure = failed(upgraded(trips["b2"]))
    assert (failure.error, failure.sqlstate, failure.sql) == (
        "psycopg2.errors.UndefinedColumn",
        "42703",
        "SELECT nonsense",
    )
    assert failure.message == 'column "nonsense" does not exist'
    assert trips["c3"].skipped_because == trips["e5"].skipped_because == "it comes after b2, which does not apply"
    completed(trips["d4"])


def test_a_defective_downgrade_spoils_nothing_that_comes_after_it(tmp_path: Path, server: Server) -> None:
    leaves_type = script(
        "b2",
        "a1",
        "op.execute(\"CREATE TYPE mood AS ENUM ('sad')\"); op.add_column('orders', sa.Column('mood', sa.Enum('sad', name='mood')))",
        "op.drop_column('orders', 'mood')",
    )
    fails = script("c3", "b2", "op.create_table('lines', sa.Column('id', sa.Integer))", "op.drop_table('line')")
    last = script("d4", "c3", "op.create_index('ix', 'lines', ['id'])", "op.drop_index('ix')")
    place = write_project(tmp_path, {"a1": ORDERS, "b2": leaves_type, "c3": fails, "d4": last})

    trips = walked(place, server)

    assert [describe(change) for change in trips["b2"].left_behind] == ["enum public.mood is new"]
    assert completed(trips["b2"]).second_up.failure is not None
    assert failed(downgraded(trips["c3"])).message == 'table "line" does not exist'
    assert completed(trips["d4"]).second_up.failure is None


@pytest.mark.parametrize("drop", ["op.drop_index('ix', postgresql_concurrently=True)", "pass"])
def test_an_autocommit_block_is_walked_with_commits(tmp_path: Path, server: Server, drop: str) -> None:
    block = "with op.get_context().autocommit_block():\n    "
    concurrent = script(
        "b2", "a1", f"{block}op.create_index('ix', 'orders', ['id'], postgresql_concurrently=True)", block + drop
    )
    after = script(
        "c3", "b2", "op.add_column('orders', sa.Column('note', sa.Text))", "op.drop_column('orders', 'note')"
    )
    place = write_project(tmp_path, {"a1": ORDERS, "b2": concurrent, "c3": after})

    trips = walked(place, server)

    assert not upgraded(trips["b2"]).transactional
    assert upgraded(trips["b2"]).statements[0].index_builds == ("public.orders",)
    assert bool(trips["b2"].left_behind) == (drop == "pass")
    assert completed(trips["c3"]).second_up.failure is None


@pytest.mark.parametrize("commit", ["op.execute('COMMIT')", "op.get_bind().commit()"])
def test_a_script_that_commits_by_itself_is_walked_with_commits(tmp_path: Path, server: Server, commit: str) -> None:
    label = script(
        "b2",
        "a1",
        f"op.execute(\"CREATE TYPE mood AS ENUM ('sad')\")\n{commit}",
        f"op.execute('DROP TYPE mood')\n{commit}",
    )
    after = script(
        "c3", "b2", "op.add_column('orders', sa.Column('note', sa.Text))", "op.drop_column('orders', 'note')"
    )
    place = write_project(tmp_path, {"a1": ORDERS, "b2": label, "c3": after})

    trips = walked(place, server)

    assert not upgraded(trips["b2"]).transactional
    trip = completed(trips["b2"])
    assert trip.left_behind == trip.second_up_differences == ()
    completed(trips["c3"])


@pytest.mark.parametrize("ends", ["rollback", "commit"])
def test_a_downgrade_that_ends_the_transaction_past_sqlalchemy_goes_with_commits(
    tmp_path: Path, server: Server, ends: str
) -> None:
    drop = f"op.get_bind().connection.{ends}()\nop.drop_column('orders', 'note')\nop.execute('ALTER TABLE orders DROP CONSTRAINT c')"
    add = "op.add_column('orders', sa.Column('note', sa.Text))\nop.create_check_constraint('c', 'orders', 'id > 0')"
    after = script("c3", "b2", "op.create_table('lines', sa.Column('id', sa.Integer))", "op.drop_table('lines')")
    place = write_project(tmp_path, {"a1": ORDERS, "b2": script("b2", "a1", add, drop), "c3": after})

    trips = walked(place, server)

    for name in ("b2", "c3"):
        again = trips[name].second_up
        assert again is not None, name
        assert again.failure is None
        assert trips[name].left_behind == trips[name].second_up_differences == ()


@pytest.mark.parametrize("downgrade", ["add(Order(id=77)); session.commit()", "add(Order(id=1)); session.flush()"])
def test_a_session_on_the_same_connection_outlives_the_way_back(tmp_path: Path, server: Server, downgrade: str) -> None:
    # Airflow's migrations use the application's own session, which shares the connection of its SingletonThreadPool.
    env = ENV.replace("pool.NullPool", "pool.SingletonThreadPool").replace(
        "with engine", "import shared; shared.session.bind = engine\n        with engine"
    )
    insert = "session.execute(sa.text('INSERT INTO orders (id) VALUES (DEFAULT)')); session.commit()"
    first = script("b2", "a1", insert, f"session.{downgrade}", head="from shared import Order, session")
    then = script("c3", "b2", insert, "pass", head="from shared import Order, session")
    place = write_project(tmp_path, {"a1": ORDERS, "b2": first, "c3": then}, env=env)
    (place / "shared.py").write_text(
        "import sqlalchemy as sa\nfrom sqlalchemy import orm\n\nsession = orm.Session()\n"
        "Base = orm.declarative_base()\n\n\nclass Order(Base):\n    __tablename__ = 'orders'\n    id = sa.Column(sa.Integer, primary_key=True)\n"
    )

    trips = walked(place, server)

    for name in ("b2", "c3"):
        up, down, again = trips[name].up, trips[name].down, trips[name].second_up
        assert up is not None, name
        assert up.failure is None, (name, up.failure)
        assert not up.transactional
        assert down is not None
        assert down.failure is None or (name, down.failure.sqlstate) == ("b2", "23505"), down.failure
        assert again is None or again.failure is None, (name, again)


def test_a_failed_autocommit_block_costs_the_database_and_not_the_walk(tmp_path: Path, server: Server) -> None:
    half = script(
        "b2",
        "a1",
        "with op.get_context().autocommit_block():\n    op.execute('CREATE TABLE half ()')\n    op.execute('SELECT nonsense')",
    )
    other = script("c3", "a1", "op.execute('CREATE TABLE half ()')", "op.execute('DROP TABLE half')")
    place = write_project(tmp_path, {"a1": ORDERS, "b2": half, "c3": other})

    trips = walked(place, server, *target(place).command[:-1], "heads")

    assert upgraded(trips["b2"]).failure is not None
    assert completed(trips["c3"]).second_up.failure is None


def test_what_only_one_transaction_explains_is_not_held_against_the_project(tmp_path: Path, server: Server) -> None:
    # A deferred trigger event of the downgrade is pending when the upgrade alters the table: "because it has pending trigger
    # events". With a commit between the two, as users run them, there is none.
    parent = script(
        "b2",
        "a1",
        """
        op.execute('ALTER TABLE orders ADD parent integer REFERENCES orders DEFERRABLE INITIALLY DEFERRED')
        op.execute('INSERT INTO orders VALUES (1, 1)')
        op.execute('SET CONSTRAINTS ALL IMMEDIATE')
        """,
        """
        op.execute('ALTER TABLE orders DROP parent')
        op.execute('DELETE FROM orders')
        """,
    )
    new_label = script(
        "c3",
        "b2",
        """
        op.execute("CREATE TYPE mood AS ENUM ('sad')")
        op.execute("COMMIT")
        """,
        "op.execute('DROP TYPE mood')",
    )
    place = write_project(tmp_path, {"a1": ORDERS, "b2": parent, "c3": new_label})

    (recording,) = record(target(place), server, evidence=OF_THE_WALK)

    for trip in recording.trips:
        assert trip.second_up is not None
        assert trip.second_up.failure is None, trip.second_up.failure


def test_what_one_statement_locks_is_told_in_the_same_order_each_time(tmp_path: Path, server: Server) -> None:
    names = [f"t{number}" for number in range(9)]
    makes = script("a1", None, f"op.execute('{'; '.join(f'CREATE TABLE {name} ()' for name in reversed(names))}')")
    locks = script("b2", "a1", f"op.execute('LOCK TABLE {', '.join(names)}')")

    up = upgraded(walked(write_project(tmp_path, {"a1": makes, "b2": locks}), server)["b2"])

    locked = [table for table in up.statements[0].locks if table.startswith("public.t")]
    assert locked == [f"public.{name}" for name in names]


def test_the_first_error_is_told_when_a_script_swallows_it(tmp_path: Path, server: Server) -> None:
    swallows = script(
        "b2",
        "a1",
        """
        try:
            op.execute('SELECT nonsense')
        except Exception:
            pass
        op.execute('SELECT 1')
        """,
    )
    place = write_project(tmp_path, {"a1": ORDERS, "b2": swallows})

    up = upgraded(walked(place, server)["b2"])

    assert failed(up).message == 'column "nonsense" does not exist'


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ("import sys; sys.exit(3)", "the script called sys.exit(3)"),
        ("raise RuntimeError('no such shop')", "no such shop"),
        ("import os; os._exit(3)", "the command ended in the middle of the revision"),
    ],
)
def test_a_script_that_ends_the_process_is_a_failed_step(tmp_path: Path, server: Server, body: str, words: str) -> None:
    place = write_project(tmp_path, {"a1": ORDERS, "b2": script("b2", "a1", body), "c3": script("c3", "a1")})

    trips = walked(place, server)

    assert words in failed(upgraded(trips["b2"])).message
    assert upgraded(trips["c3"]).failure is None


@pytest.mark.parametrize("body", ["op.execute('SELECT pg_sleep(600)')", "import signal; signal.pause()"])
def test_a_step_that_hangs_is_ended(tmp_path: Path, server: Server, body: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("app.gate.walk.client.CANCEL_PATIENCE_S", 0.2)
    place = write_project(tmp_path, {"a1": ORDERS, "b2": script("b2", "a1", body), "c3": script("c3", "a1")})

    trips = walked(place, server, timeout_s=2.0)

    assert failed(upgraded(trips["b2"])).error == "Timeout"
    assert failed(upgraded(trips["b2"])).message == "did not end within 2 s"
    completed(trips["c3"])


@pytest.mark.parametrize("body", ["op.execute('SELECT pg_sleep(600)')", "import signal; signal.pause()"])
@pytest.mark.parametrize("direction", ["downgrade", "upgrade"])
def test_a_step_down_or_up_again_that_hangs_is_ended(
    tmp_path: Path, server: Server, monkeypatch: pytest.MonkeyPatch, body: str, direction: str
) -> None:
    monkeypatch.setattr("app.gate.walk.client.CANCEL_PATIENCE_S", 0.2)
    note = "op.add_column('orders', sa.Column('note', sa.Text))"
    steps = (note, body) if direction == "downgrade" else (on_the_second_run(tmp_path, body) + note, DROP_NOTE)
    scripts = {"a1": ORDERS, "b2": script("b2", "a1", *steps), "c3": script("c3", "b2")}

    trips = walked(write_project(tmp_path / "project", scripts), server, timeout_s=2.0)

    step = trips["b2"].down if direction == "downgrade" else trips["b2"].second_up
    assert step is not None
    assert step.failure is not None
    assert step.failure.error == "Timeout"
    assert trips["c3"].second_up is not None
    assert trips["c3"].second_up.failure is None


def test_a_command_that_ends_as_its_step_is_cancelled_costs_that_step_alone(tmp_path: Path, server: Server) -> None:
    body = "try:\n    op.execute('SELECT pg_sleep(600)')\nexcept Exception:\n    import os; os._exit(3)"
    scripts = {"a1": ORDERS, "b2": script("b2", "a1", body), "c3": script("c3", "a1")}

    trips = walked(write_project(tmp_path, scripts), server, timeout_s=2.0)

    assert trips["b2"].up is not None
    assert trips["b2"].up.failure is not None
    assert trips["b2"].up.failure.message.startswith("the command ended in the middle of the revision")
    assert trips["c3"].second_up is not None


@pytest.mark.parametrize("body", ["op.execute('SELECT pg_sleep(600)')", "import os; os._exit(3)"])
def test_a_revision_that_applies_only_once_cannot_be_verified(tmp_path: Path, server: Server, body: str) -> None:
    once = script("b2", "a1", on_the_second_run(tmp_path, body), None)
    ends = script("c3", "b2", "import os; os._exit(3)")
    place = write_project(tmp_path / "project", {"a1": ORDERS, "b2": once, "c3": ends})

    with pytest.raises(CannotVerify, match="revision b2 applied once and not again on another empty database"):
        walked(place, server, timeout_s=2.0)


def on_the_second_run(place: Path, body: str) -> str:
    """The body of a function that does something when it is called for the second time."""
    runs = str(place / "runs")
    return f"""
import pathlib
runs = pathlib.Path({runs!r})
runs.write_text(runs.read_text() + "." if runs.exists() else ".")
if runs.read_text() == "..":
    {body}
"""


def test_a_command_that_works_on_another_database_is_stopped_before_anything_runs(
    tmp_path: Path, server: Server
) -> None:
    place = write_project(tmp_path, {"a1": ORDERS})
    precious = server.create_database()
    fixed = target(place)
    fixed = type(fixed)(fixed.command, {"DATABASE_URL": precious.url("psycopg2")}, directory=place)

    with pytest.raises(CannotVerify, match="not to the throwaway one, so nothing was run"):
        record(fixed, server, evidence=OF_THE_WALK)

    with precious.connect() as connection, connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM pg_class WHERE relnamespace = 'public'::regnamespace")
        assert cursor.fetchone() == (0,)


def test_a_preparation_that_marks_the_database_as_upgraded_is_told_so(tmp_path: Path, server: Server) -> None:
    place = write_project(tmp_path, {"a1": ORDERS})
    stamp = (*target(place).command[:-2], "stamp", "head")

    with pytest.raises(CannotVerify, match="--prepare left the database at a1, where there is no revision left to run"):
        record(replace(target(place), prepare=stamp), server, evidence=OF_THE_WALK)


def test_an_error_is_told_without_the_addresses_of_objects(tmp_path: Path, server: Server) -> None:
    fails = script("b2", "a1", "raise ValueError(f'no {object()} here')")
    up = upgraded(walked(write_project(tmp_path, {"a1": ORDERS, "b2": fails}), server)["b2"])

    assert failed(up).message == "no <object object> here"


@pytest.mark.parametrize(
    ("command", "words"),
    [
        (("alembic", "current"), "the command does not upgrade|had no revision to run"),
        (("alembic", "stamp", "head"), "does not upgrade"),
        (("alembic", "upgrade", "head", "--sql"), "only prints SQL"),
        (("alembic", "nonsense"), "never reached Alembic.*if it is the right command"),
        (("json.tool", "--help"), "never reached Alembic.*name the command that upgrades"),
    ],
)
def test_a_command_that_is_no_upgrade_is_told_so(
    tmp_path: Path, server: Server, command: tuple[str, ...], words: str
) -> None:
    place = write_project(tmp_path, {"a1": ORDERS})
    python = target(place).command[:2]

    with pytest.raises(CannotVerify, match=words):
        record(target(place, *python, *command), server, evidence=OF_THE_WALK)


def test_sqlite_is_told_so(tmp_path: Path, server: Server) -> None:
    place = write_project(tmp_path, {"a1": ORDERS}, env=ENV.replace('os.environ["DATABASE_URL"]', '"sqlite://"'))

    with pytest.raises(CannotVerify, match=r"another system \(sqlite\)"):
        record(target(place), server, evidence=OF_THE_WALK)


def test_no_process_and_no_database_is_left(tmp_path: Path, server: Server) -> None:
    child = script(
        "a1",
        None,
        "import subprocess, sys; open('child', 'w').write(str(subprocess.Popen([sys.executable, '-c', 'import signal; signal.pause()']).pid))",
    )
    place = write_project(tmp_path, {"a1": child})

    walked(place, server)

    child_id = (place / "child").read_text()
    state = subprocess.run(["ps", "-o", "stat=", "-p", child_id], capture_output=True, text=True, check=False).stdout
    assert state.strip()[:1] in ("", "Z"), "a process that the command started is still there"


def test_a_command_that_ends_well_in_vain_is_found_out(tmp_path: Path, server: Server) -> None:
    # A statement before context.configure() begins a transaction that Alembic takes for the caller's, and nobody commits.
    place = write_project(
        tmp_path,
        {"a1": ORDERS},
        env=ENV.replace(
            "context.configure(connection", "connection.exec_driver_sql('SELECT 1'); context.configure(connection"
        ),
    )

    (recording,) = record(target(place), server, evidence=frozenset({Evidence.CONCURRENT}))

    assert recording.trips[0].second_up is not None
    assert recording.whole_command is not None
    assert "table public.orders is gone" in [describe(change) for change in recording.whole_command.differences]
    (finding,) = upgrade.examine(recording)
    assert finding.message.startswith("The command succeeds, but nothing of what it did remains: table orders")


def test_only_the_last_walk_through_a_history_ends_at_its_head(tmp_path: Path, server: Server) -> None:
    models = """
        import sqlalchemy as sa

        metadata = sa.MetaData()
        sa.Table("orders", metadata, sa.Column("id", sa.Integer, primary_key=True), sa.Column("note", sa.Text))
    """
    note = script("b2", "a1", "op.add_column('orders', sa.Column('note', sa.Text))", "op.drop_column('orders', 'note')")
    place = write_project(tmp_path, {"a1": ORDERS, "b2": note}, models=models)
    (place / "migrate.py").write_text(
        "from alembic.config import main\nmain(['upgrade', 'a1'])\nmain(['upgrade', 'head'])\n"
    )

    first, last = record(
        target(place, sys.executable, "migrate.py"), server, evidence=ALL_EVIDENCE - {Evidence.OFFLINE}
    )

    assert [trip.revision for trip in (*first.trips, *last.trips)] == ["a1", "b2"]
    assert first.head is None
    assert first.not_observed["drift"] == "the command continues with this history after it"
    assert last.head == last.models
    assert last.drift == ()
    assert last.concurrent is not None


def test_a_command_that_looks_at_the_database_between_its_walks_has_its_models_compared(
    tmp_path: Path, server: Server
) -> None:
    place = write_project(
        tmp_path,
        {"a1": ORDERS, "b2": script("b2", "a1")},
        models="""
        import sqlalchemy as sa

        metadata = sa.MetaData()
        sa.Table("orders", metadata, sa.Column("id", sa.Integer, primary_key=True))
    """,
    )
    (place / "migrate.py").write_text(
        "import os, sqlalchemy\nfrom alembic.config import main\nmain(['upgrade', 'a1'])\n"
        "engine = sqlalchemy.create_engine(os.environ['DATABASE_URL'])\n"
        "with engine.connect() as connection:\n    connection.execute(sqlalchemy.text('SELECT * FROM orders'))\n"
        "main(['upgrade', 'head'])\n"
    )

    _, last = record(target(place, sys.executable, "migrate.py"), server, evidence=frozenset({Evidence.MODELS}))

    assert last.models == last.head
    assert "models" not in last.not_observed


def test_a_database_error_in_the_wrapping_of_a_library_is_told_as_such(tmp_path: Path, server: Server) -> None:
    upgrade = """
        try:
            op.execute("DROP TABLE nothing")
        except sa.exc.DBAPIError as error:
            wrapped = RuntimeError("(library) it broke")
            wrapped.inner_exception = error
            raise wrapped
    """
    place = write_project(tmp_path, {"a1": script("a1", None, upgrade)})

    (recording,) = record(target(place), server, evidence=OF_THE_WALK)

    up = upgraded(recording.trips[0])
    failure = failed(up)
    assert (failure.sqlstate, failure.sql) == ("42P01", "DROP TABLE nothing")
    assert failure.message == 'table "nothing" does not exist'
    assert failure.line is not None


BY_NUMBER = '''op.execute("""DO $$ BEGIN
    EXECUTE 'ALTER TABLE orders ADD COLUMN c' || nextval('numbers') || ' integer';
END $$""")'''
BACK_BY_NUMBER = '''op.execute("""DO $$ BEGIN
    EXECUTE (SELECT 'ALTER TABLE orders DROP COLUMN ' || a.attname FROM pg_attribute AS a
             WHERE a.attrelid = 'orders'::regclass AND a.attname ~ '^c[0-9]$');
END $$""")'''
BY_COUNT = """global count
count += 1
op.add_column("orders", sa.Column(f"c{count}", sa.Integer))"""
BACK_BY_COUNT = """op.drop_column("orders", f"c{count}")"""


@pytest.mark.parametrize(
    ("upgrade", "downgrade"),
    [(BY_NUMBER, BACK_BY_NUMBER), (BY_COUNT, BACK_BY_COUNT)],
    ids=["by the same statement", "by another one"],
)
def test_a_second_upgrade_that_does_something_else_is_seen(
    tmp_path: Path, server: Server, upgrade: str, downgrade: str
) -> None:
    before = 'op.execute("CREATE SEQUENCE numbers; CREATE TABLE orders (id integer)")'
    b2 = script("b2", "a1", upgrade, downgrade).replace("def upgrade", "count = 0\n\n\ndef upgrade", 1)

    trips = walked(write_project(tmp_path, {"a1": script("a1", None, before), "b2": b2}), server)

    assert [change.key.name for change in trips["b2"].second_up_differences] == ["c1", "c2"]


def test_a_script_that_leaves_a_table_with_rows_alone_goes_up_again_as_it_did(tmp_path: Path, server: Server) -> None:
    if_empty = """
    if not op.get_bind().execute(sa.text("SELECT count(*) FROM orders")).scalar():
        op.drop_table("orders")
    """
    back = "op.create_table('orders', sa.Column('id', sa.Integer, primary_key=True))"
    place = write_project(tmp_path, {"a1": ORDERS, "b2": script("b2", "a1", if_empty, back)})

    (recording,) = record(target(place), server, evidence=OF_THE_WALK)

    trip = recording.trips[1]
    assert trip.populated is not None
    assert trip.left_behind == trip.second_up_differences == ()


def test_a_script_finds_the_planner_as_env_py_left_it(tmp_path: Path, server: Server) -> None:
    look = 'assert op.get_bind().execute(sa.text("SHOW enable_seqscan")).scalar() == "on"\n'
    b2 = script("b2", "a1", look + 'op.execute("UPDATE orders SET id = id")', look)

    (recording,) = record(target(write_project(tmp_path, {"a1": ORDERS, "b2": b2})), server, evidence=OF_THE_WALK)

    _, trip = recording.trips
    assert [step and step.failure for step in (trip.up, trip.down, trip.second_up)] == [None, None, None]
    assert trip.populated is not None
    assert trip.populated.step.failure is None


@pytest.mark.parametrize("metadata", ["sa.MetaData()", "sa.orm.declarative_base()"])
def test_a_table_that_each_way_makes_in_the_scripts_metadata_is_made_anew(
    tmp_path: Path, server: Server, metadata: str
) -> None:
    # Airflow's c306b5b5ae4a: each direction is mostly run by a command of its own.
    head = f"import sqlalchemy.orm\n\nmetadata = {metadata}\n\n\ndef orders():\n    return sa.Table('orders', getattr(metadata, 'metadata', metadata), sa.Column('id', sa.Integer))\n"
    uses = "op.execute(sa.select(orders().c.id))"
    place = write_project(tmp_path, {"a1": ORDERS, "b2": script("b2", "a1", uses, uses, head=head)})

    trip = walked(place, server)["b2"]

    for step in (trip.up, trip.down, trip.second_up):
        assert step is not None
        assert step.failure is None, step


MODELS = """
import sqlalchemy as sa
from sqlalchemy import orm
from sqlalchemy.ext.declarative import AbstractConcreteBase

Base = orm.declarative_base()
metadata = Base.metadata


class Order(Base):
    __tablename__ = "orders"
    id = sa.Column(sa.Integer, primary_key=True)


class Observation(AbstractConcreteBase, Base):  # mapped once something inherits it
    pass
"""
MIGRATES = """
from alembic import command, config

from . import Base, Order, sa

command.upgrade(config.Config("alembic.ini"), "head")


class Line(Base):
    __tablename__ = "lines"
    id = sa.Column(sa.Integer, primary_key=True)
"""


def test_a_module_that_migrates_as_it_is_imported_is_found_beside_a_class_that_is_not_mapped(
    tmp_path: Path, server: Server
) -> None:
    # Open WebUI's configuration migrates, and warehouse has such a class.
    place = write_project(tmp_path, {"a1": ORDERS})
    (place / "models").mkdir()
    (place / "models" / "__init__.py").write_text(MODELS)
    (place / "models" / "lines.py").write_text(MIGRATES)

    (recording,) = record(target(place), server, evidence=OF_THE_WALK)

    assert [model.table for model in recording.unregistered or ()] == ["lines"]
    assert recording.trips[0].second_up is not None
    assert recording.trips[0].second_up.failure is None


@pytest.mark.parametrize(("library", "too_old"), [("sqlalchemy", "1.3.24"), ("alembic", "1.7.7")])
def test_a_project_with_libraries_that_are_too_old_is_told_so(
    tmp_path: Path, server: Server, library: str, too_old: str
) -> None:
    env = ENV.replace("import os\n", f"import os\n\n    import {library}\n\n    {library}.__version__ = {too_old!r}\n")
    place = write_project(tmp_path, {"a1": ORDERS}, env=env)

    with pytest.raises(CannotVerify, match=f"the project has {library} {too_old}, and the gate needs 1.[48] or newer"):
        record(target(place), server, evidence=OF_THE_WALK)
