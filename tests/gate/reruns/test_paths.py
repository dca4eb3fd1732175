"""Other ways to head than the walk, through the real gate."""

from __future__ import annotations

import sys
import textwrap
from pathlib import Path

import pytest

from app.gate.checks import upgrade
from app.gate.recorder import record
from app.gate.recording.model import ALL_EVIDENCE, AlternativePath, Evidence
from app.gate.report.verdict import Severity
from app.gate.server.throwaway import Server
from tests.gate.projects import ENV, script, target, write_project

MODELS = frozenset({Evidence.DRIFT, Evidence.MODELS})
TABLE = script("a1", None, "op.create_table('orders', sa.Column('id', sa.Integer, primary_key=True))")
ASKS = script("b2", "a1", "op.get_bind().execute(sa.text('SELECT 1')).fetchall()")
TWO_WORLDS = script(
    "b2", "a1", "if op.get_context().as_sql:\n    op.execute('SELECT x')\nelse:\n    op.execute('SELECT 1')"
)


@pytest.mark.parametrize(
    ("broken", "error", "line", "sql"),
    [
        (ASKS, "AttributeError", 10, None),
        (TWO_WORLDS, "psycopg2.errors.UndefinedColumn", None, "SELECT x;"),
    ],
    ids=["while it is written", "as PostgreSQL runs it"],
)
def test_the_revision_is_told_at_which_the_offline_script_fails(
    tmp_path: Path, server: Server, broken: str, error: str, line: int | None, sql: str | None
) -> None:
    place = write_project(tmp_path, {"a1": TABLE, "b2": broken, "c3": script("c3", "b2")})

    (recording,) = record(target(place), server, evidence=frozenset({Evidence.OFFLINE}))

    assert recording.offline is not None
    (failure,) = recording.offline.failures
    assert (failure.error, failure.revision, failure.line) == (error, "b2", line)
    assert (failure.sql or "").strip() == (sql or "")


def test_a_script_that_reflects_into_the_models_does_not_change_what_autogenerate_would_write(
    tmp_path: Path, server: Server
) -> None:
    models = """
        import sqlalchemy as sa

        metadata = sa.MetaData()
        sa.Table("items", metadata, sa.Column("id", sa.Integer, primary_key=True))
    """
    items = script("b2", "a1", "op.create_table('items', sa.Column('id', sa.Integer, primary_key=True))")
    drop = """
        from models import metadata

        metadata.reflect(op.get_bind(), only=["orders"])
        op.drop_table("orders")
    """
    place = write_project(tmp_path, {"a1": TABLE, "b2": items, "c3": script("c3", "b2", drop)}, models=models)

    (recording,) = record(target(place), server, evidence=MODELS)

    assert (recording.drift, recording.not_observed.get("drift")) == ((), None)
    assert recording.models == recording.head


def test_models_of_which_alembic_can_make_nothing_are_no_models(tmp_path: Path, server: Server) -> None:
    env = ENV.replace("metadata = None", "metadata = [type('Storage', (), {})]")
    place = write_project(tmp_path, {"a1": TABLE}, env=env)

    (recording,) = record(target(place), server, evidence=MODELS)

    assert not recording.has_metadata
    assert recording.head is not None


ONE_AT_A_TIME = """
    import fcntl
    import sys

    from alembic.config import main

    lock = open("one-at-a-time", "w")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        sys.exit("somebody else is at it")
    main(["upgrade", "head", *sys.argv[1:]])
"""


def test_a_command_that_runs_once_at_a_time_is_not_in_its_own_way(tmp_path: Path, server: Server) -> None:
    # Those that have to be confirmed want to run as well.
    seeds = {
        name: script(name, below, f"op.execute('INSERT INTO orders VALUES ({number})')")
        for number, (name, below) in enumerate([("b2", "a1"), ("c3", "b2"), ("d4", "c3")])
    }
    place = write_project(tmp_path, {"a1": TABLE, **seeds})
    (place / "migrate.py").write_text(textwrap.dedent(ONE_AT_A_TIME))

    (recording,) = record(target(place, sys.executable, "migrate.py"), server, evidence=ALL_EVIDENCE)

    assert recording.head is not None
    assert recording.offline == AlternativePath()
    assert list(upgrade.examine(recording)) == []
    assert [trip.second_up is not None and trip.second_up.failure is not None for trip in recording.trips] == [
        False, True, True, True,
    ]  # fmt: skip


@pytest.mark.parametrize("evidence", [{Evidence.CONCURRENT}, {Evidence.WHOLE_COMMAND, Evidence.OFFLINE}])
def test_a_history_that_fails_in_one_go_is_told_though_two_upgrades_collide_as_well(
    evidence: set[Evidence], tmp_path: Path, server: Server
) -> None:
    looks_from_outside = """
        import os

        if not op.get_context().as_sql:
            with sa.create_engine(os.environ["DATABASE_URL"]).connect() as connection:
                connection.execute(sa.text("SELECT * FROM orders"))
    """
    place = write_project(tmp_path, {"a1": TABLE, "b2": script("b2", "a1", looks_from_outside)})

    (recording,) = record(target(place), server, evidence=frozenset(evidence))

    assert [trip.up is not None and trip.up.failure for trip in recording.trips] == [None, None]
    (finding,) = upgrade.examine(recording)
    assert finding.message.startswith(
        "Each revision applies in a separate transaction, but the whole command fails on an empty database: "
    )
    assert 'relation "orders" does not exist' in finding.message


@pytest.mark.parametrize("path", [Evidence.CONCURRENT, Evidence.WHOLE_COMMAND])
def test_a_default_that_python_computes_is_told_for_what_it_is(path: Evidence, tmp_path: Path, server: Server) -> None:
    dated = """
        import time

        op.create_table("visits", sa.Column("at", sa.Float, server_default=str(time.time())))
        op.create_index(f"ix_visits_{time.monotonic_ns()}", "visits", ["at"])
    """
    undone = "op.drop_table('visits')"
    place = write_project(tmp_path, {"a1": TABLE, "b2": script("b2", "a1", dated, undone)})

    (recording,) = record(target(place), server, evidence=frozenset({Evidence.OFFLINE, path}))

    (finding,) = upgrade.examine(recording)
    assert finding.severity == Severity.WARNING
    assert finding.message.startswith(
        "The history gives a different schema each time it is run: column visits.at, index ix_visits_"
    )
    assert recording.trips[1].second_up_differences == ()
    assert (recording.whole_command, recording.offline) == (AlternativePath(), AlternativePath())
    assert (recording.concurrent is None) == (path is Evidence.WHOLE_COMMAND)
    assert recording.concurrent is None or recording.concurrent.differences == ()


def test_the_type_that_autogenerate_would_give_is_named_as_postgresql_does(tmp_path: Path, server: Server) -> None:
    models = """
        import sqlalchemy as sa

        metadata = sa.MetaData()
        sa.Table("builds", metadata, sa.Column("status", sa.Enum("queued", "done", name="buildstatus")))
    """
    builds = script(
        "b2", "a1", "op.create_table('builds', sa.Column('status', sa.String(6)))", "op.drop_table('builds')"
    )
    place = write_project(tmp_path, {"a1": TABLE, "b2": builds}, models=models)

    (recording,) = record(target(place), server, evidence=MODELS)

    assert recording.drift is not None
    assert "change the type of public.builds.status: VARCHAR(6) -> buildstatus" in [
        each.operation for each in recording.drift
    ]


def test_what_the_command_does_once_alembic_is_done_is_no_difference_of_the_history(
    tmp_path: Path, server: Server
) -> None:
    # CTFd's flask db upgrade loads plugins, which have migrations of their own, after the history's.
    place = write_project(
        tmp_path, {"a1": TABLE, "b2": script("b2", "a1", "op.add_column('orders', sa.Column('x', sa.Text))")}
    )
    goes_on = """
        import os
        import sys

        import sqlalchemy as sa
        from alembic.config import main

        main(["upgrade", "head", *sys.argv[1:]])
        with sa.create_engine(os.environ["DATABASE_URL"]).begin() as connection:
            connection.execute(sa.text("ALTER TABLE orders ADD COLUMN IF NOT EXISTS of_a_plugin integer"))
    """
    (place / "migrate.py").write_text(textwrap.dedent(goes_on))

    (recording,) = record(
        target(place, sys.executable, "migrate.py"), server, evidence=frozenset({Evidence.CONCURRENT})
    )

    assert recording.whole_command == AlternativePath()
    assert recording.concurrent is not None
    assert recording.concurrent.differences == ()
    assert list(upgrade.examine(recording)) == []


def test_models_that_the_command_loads_once_alembic_is_done_are_not_missed(tmp_path: Path, server: Server) -> None:
    # CTFd's create_app() upgrades first, and then loads plugins with models of their own.
    models = "import sqlalchemy as sa\n\nmetadata = sa.MetaData()\nsa.Table('orders', metadata, sa.Column('id', sa.Integer, primary_key=True))\n"
    scripts = {
        name: script(name, below, f"op.create_table('{table}', sa.Column('id', sa.Integer))")
        for name, below, table in [("b2", "a1", "lines"), ("c3", "b2", "others")]
    }
    place = write_project(tmp_path, {"a1": TABLE, **scripts}, models=models)
    goes_on = """
        import sys

        import sqlalchemy as sa
        from alembic.config import main

        main(["upgrade", "head", *sys.argv[1:]])

        import models

        sa.Table("lines", models.metadata, sa.Column("id", sa.Integer))
    """
    (place / "migrate.py").write_text(textwrap.dedent(goes_on))

    (recording,) = record(target(place, sys.executable, "migrate.py"), server, evidence=MODELS)

    assert recording.drift is not None
    assert [each.operation for each in recording.drift] == ["remove table public.others"]
    assert recording.hidden == ("public.lines",)
