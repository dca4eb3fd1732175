"""migrations/env.py: offline, on an injected connection, and two upgrades at once."""

from __future__ import annotations

import io
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory

from app.gate.server.database import Database
from app.schema_version import MIGRATIONS

ROOT = Path(__file__).parents[1]
HEAD = ScriptDirectory(str(MIGRATIONS)).get_current_head()
Start = Callable[[], subprocess.Popen[str]]
ADVISORY_LOCK = 0x70726F6F66
WAITS = "Waiting for another upgrade of this database to finish"


@pytest.fixture
def engine(blank_database: Database) -> Iterator[sa.Engine]:
    """Of an empty database."""
    engine = sa.create_engine(blank_database.url("psycopg2"), poolclass=sa.NullPool)
    yield engine
    engine.dispose()


def config_with(connection: Any) -> Config:
    config = Config(ROOT / "alembic.ini")
    config.attributes["connection"] = connection
    return config


def revision_of(engine: sa.Engine) -> str | None:
    with engine.connect() as connection:
        if not sa.inspect(connection).has_table("alembic_version"):
            return None
        return connection.execute(sa.text("SELECT version_num FROM alembic_version")).scalar()


@pytest.fixture
def start_upgrade(blank_database: Database) -> Iterator[Start]:
    """Starts `python -m alembic upgrade head`. What still runs at the end of the test is killed."""
    with ExitStack() as stack:

        def start() -> subprocess.Popen[str]:
            process = subprocess.Popen(
                [sys.executable, "-m", "alembic", "upgrade", "head"],
                cwd=ROOT,
                env=os.environ | {"DATABASE_URL": blank_database.url()},
                stderr=subprocess.PIPE,
                text=True,
            )
            stack.enter_context(process)
            stack.callback(process.kill)
            return process

        yield start


def first_line(process: subprocess.Popen[str]) -> str:
    assert process.stderr is not None
    return process.stderr.readline()


def test_on_a_current_database_an_upgrade_does_nothing(engine: sa.Engine, capfd: pytest.CaptureFixture[str]) -> None:
    command.upgrade(config_with(engine), "head")
    with engine.connect() as connection:
        before = connection.scalar(sa.text("SELECT pg_current_xact_id()"))

    command.upgrade(config_with(engine), "head")

    with engine.connect() as connection:
        after = connection.scalar(sa.text("SELECT pg_current_xact_id()"))
    assert int(after) == int(before) + 1  # that of the question itself


@pytest.mark.parametrize("revision", ["base", "4c1f6a0b92de", "5af07e3bd918"])
def test_an_upgrade_goes_to_head_from_any_older_revision(engine: sa.Engine, revision: str) -> None:
    command.upgrade(config_with(engine), "head")
    command.downgrade(config_with(engine), revision)

    command.upgrade(config_with(engine), "head")

    assert revision_of(engine) == HEAD


def test_a_connection_that_is_handed_in_is_used_and_left_as_it_was(engine: sa.Engine) -> None:
    with engine.connect() as connection:
        lock_timeout = connection.scalar(sa.text("SHOW lock_timeout"))
        connection.commit()

        command.upgrade(config_with(connection), "head")

        assert not connection.in_transaction()
        assert connection.scalar(sa.text("SHOW lock_timeout")) == lock_timeout
        assert connection.scalar(sa.text("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'")) == 0
    assert revision_of(engine) == HEAD


def test_a_transaction_that_is_handed_in_is_not_ended(engine: sa.Engine) -> None:
    with engine.connect() as connection, connection.begin() as transaction:
        command.upgrade(config_with(connection), "c8812d4e60b7")
        assert sa.inspect(connection).has_table("run")

        transaction.rollback()

    assert revision_of(engine) is None


def test_what_only_looks_does_not_wait_for_an_upgrade(engine: sa.Engine) -> None:
    command.upgrade(config_with(engine), "head")
    with engine.connect() as other:
        other.execute(sa.text(f"SELECT pg_advisory_lock({ADVISORY_LOCK})"))

        command.check(config_with(engine))
        command.current(config_with(engine))


def test_an_upgrade_waits_for_its_turn_says_so_and_then_finds_the_work_done(
    engine: sa.Engine, start_upgrade: Start
) -> None:
    with engine.connect() as other:
        other.execute(sa.text(f"SELECT pg_advisory_lock({ADVISORY_LOCK})"))
        other.commit()
        waiting = start_upgrade()
        assert WAITS in first_line(waiting)
        # Whoever has the lock may take it once more.
        command.upgrade(config_with(other), "head")

        other.execute(sa.text("SELECT pg_advisory_unlock_all()"))
        other.commit()
        said = waiting.communicate()[1]

    assert waiting.returncode == 0, said
    assert "Running upgrade" not in said
    assert revision_of(engine) == HEAD


def test_two_upgrades_at_once_both_end_well(engine: sa.Engine, start_upgrade: Start) -> None:
    upgrades = [start_upgrade() for _ in range(2)]

    said = [upgrade.communicate()[1] for upgrade in upgrades]

    assert [upgrade.returncode for upgrade in upgrades] == [0, 0], said
    assert revision_of(engine) == HEAD
    assert sum(f"-> {HEAD}" in each for each in said) == 1


def test_a_concurrent_build_and_an_upgrade_that_waits_for_it_do_not_wait_for_each_other(
    engine: sa.Engine, start_upgrade: Start
) -> None:
    """Who waits must hold no snapshot: CREATE INDEX CONCURRENTLY waits until all that are older than it are gone."""
    command.upgrade(config_with(engine), "c8812d4e60b7")
    with engine.connect() as builder, engine.connect() as writer:
        # A writer holds the build up at its beginning, until the second upgrade has begun to wait.
        writer.execute(sa.text("LOCK TABLE run IN ROW EXCLUSIVE MODE"))
        build = threading.Thread(target=command.upgrade, args=(config_with(builder), "head"))
        build.start()
        waiting = start_upgrade()
        assert WAITS in first_line(waiting)
        writer.rollback()
        build.join(30)
        said = waiting.communicate(timeout=30)[1]

    assert not build.is_alive()
    assert waiting.returncode == 0, said
    assert revision_of(engine) == HEAD


def test_a_migration_gives_up_a_lock_that_it_cannot_have_soon(engine: sa.Engine) -> None:
    command.upgrade(config_with(engine), "1d64f9b80c3e")
    seen: list[str] = []

    def note(connection: Any, cursor: Any, statement: str, *rest: Any) -> None:
        if "ADD COLUMN" in statement:
            cursor.execute("SHOW lock_timeout")
            seen.append(cursor.fetchone()[0])

    sa.event.listen(engine, "before_cursor_execute", note)
    command.upgrade(config_with(engine), "head")

    assert len(seen) > 1
    assert set(seen) == {"5s"}


def test_a_build_that_was_cut_short_is_begun_anew(engine: sa.Engine) -> None:
    command.upgrade(config_with(engine), "c8812d4e60b7")
    with engine.begin() as connection:
        connection.execute(sa.text('CREATE INDEX ix_run_project_id_commit ON run (project_id, "commit")'))
        connection.execute(
            sa.text("UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'ix_run_project_id_commit'::regclass")
        )

    command.upgrade(config_with(engine), "head")

    with engine.connect() as connection:
        valid = "SELECT indisvalid FROM pg_index WHERE indexrelid = 'ix_run_project_id_commit'::regclass"
        assert connection.scalar(sa.text(valid)) is True


def statements_in(script: str) -> Iterator[str]:
    """Of what psql would read. The body of a DO block has statements of its own."""
    statement = ""
    for line in script.splitlines(keepends=True):
        statement += line
        if line.endswith(";\n") and statement.count("$$") % 2 == 0:
            yield statement
            statement = ""


def test_the_printed_sql_makes_the_same_database(
    engine: sa.Engine, blank_database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DATABASE_URL", blank_database.url())
    printed = io.StringIO()
    command.upgrade(Config(ROOT / "alembic.ini", output_buffer=printed), "head", sql=True)

    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        for statement in statements_in(printed.getvalue()):
            connection.exec_driver_sql(statement.replace("%", "%%"))

    assert printed.getvalue().startswith("SET lock_timeout = '5s';")
    assert revision_of(engine) == HEAD
    command.check(config_with(engine))
    command.downgrade(config_with(engine), "base")


def test_the_printed_downgrade_leaves_nothing(
    engine: sa.Engine, blank_database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DATABASE_URL", blank_database.url())
    command.upgrade(config_with(engine), "head")
    printed = io.StringIO()
    command.downgrade(Config(ROOT / "alembic.ini", output_buffer=printed), f"{HEAD}:base", sql=True)

    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        for statement in statements_in(printed.getvalue()):
            connection.exec_driver_sql(statement.replace("%", "%%"))
        left = connection.scalars(
            sa.text(
                "SELECT typname FROM pg_type WHERE typnamespace = 'public'::regnamespace AND typname !~ 'alembic_version'"
            )
        ).all()

    assert left == []


def test_scripts_import_nothing_of_the_application_and_sort_by_date() -> None:
    scripts = sorted((MIGRATIONS / "versions").glob("*.py"))
    order = [script.path for script in ScriptDirectory(str(MIGRATIONS)).walk_revisions()]

    assert [str(path) for path in reversed(scripts)] == order
    for path in scripts:
        assert "app" not in {
            line.split()[1].partition(".")[0] for line in path.read_text().splitlines() if "import " in line
        }
