"""One project with several faults: its findings have the same fingerprints by each driver, on another PostgreSQL and in another language."""

from __future__ import annotations

import dataclasses
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from app.gate.judging.judge import judge
from app.gate.recorder import record
from app.gate.recording.model import Failure, Recording
from app.gate.server.throwaway import Server, throwaway_server
from app.gate.target.target import Target
from tests.gate.projects import COMMAND, script, write_project

OTHER_POSTGRES = Path("/usr/lib/postgresql/15/bin")
ENV = """
    import asyncio
    import os

    from alembic import context
    from sqlalchemy import create_engine, pool
    from sqlalchemy.ext.asyncio import create_async_engine

    URL = os.environ["DATABASE_URL"]


    def run(connection):
        context.configure(connection=connection, transaction_per_migration=True)
        with context.begin_transaction():
            context.run_migrations()


    async def run_async():
        engine = create_async_engine(URL, poolclass=pool.NullPool)
        async with engine.connect() as connection:
            await connection.run_sync(run)
        await engine.dispose()


    if context.is_offline_mode():
        context.configure(url=URL, literal_binds=True)
        with context.begin_transaction():
            context.run_migrations()
    elif "asyncpg" in URL:
        asyncio.run(run_async())
    else:
        with create_engine(URL, poolclass=pool.NullPool).connect() as connection:
            run(connection)
"""
SCRIPTS = {
    "a1": script(
        "a1",
        None,
        """
        op.execute("CREATE TYPE mood AS ENUM ('glad', 'sad')")
        op.execute("CREATE TABLE orders (id int PRIMARY KEY, note text, mood mood)")
        op.execute("CREATE TABLE settings (name text PRIMARY KEY)")
        """,
        'op.execute("DROP TABLE orders, settings")',  # the type stays
    ),
    "b2": script(
        "b2",
        "a1",
        'op.alter_column("orders", "note", nullable=False)\nop.create_unique_constraint("uq_note", "orders", ["note"])',
        'op.execute("DROP INDEX nothing")',
    ),
    "c3": script("c3", "b2", "op.add_column('orders', sa.Column('channel', sa.Text(), nullable=False))", None),
    "d4": script(
        "d4",
        "c3",
        """op.execute("INSERT INTO settings VALUES ('a')")""",
        """op.execute("SELECT 'nothing is taken away'")""",
    ),
    "e5": script(
        "e5", "d4", 'op.drop_column("orders", "mood")', 'op.execute("ALTER TABLE orders ADD COLUMN mood mood")'
    ),
    "f6": script("f6", "e5", 'op.execute("ALTER TABLE missing ADD COLUMN a int")'),
}
EXPECTED = {
    "upgrade",
    "round-trip",
    "populated-upgrade",
    "data-loss",
    "breaking-change",
    "blocking-index",
    "irreversible",
}


def walk(place: Path, server: Server, driver: str) -> list[Recording]:
    write_project(place, SCRIPTS, env=ENV)
    target = Target(COMMAND, {"DATABASE_URL": f"{{url+{driver}}}"}, directory=place, timeout_s=60)
    assert target.command[0] == sys.executable
    return record(target, server)


def identities(recordings: list[Recording]) -> Counter[tuple[str, str | None, str | None, str, str]]:
    found = judge(recordings).findings
    return Counter((each.check, each.revision, each.object, each.subject, each.fingerprint) for each in found)


@pytest.fixture(scope="module")
def recordings(server: Server, tmp_path_factory: pytest.TempPathFactory) -> list[Recording]:
    return walk(tmp_path_factory.mktemp("psycopg2") / "project", server, "psycopg2")


def test_the_project_has_its_faults(recordings: list[Recording]):
    assert {check for check, *_ in identities(recordings)} >= EXPECTED


@pytest.mark.parametrize("driver", ["psycopg", "asyncpg"])
def test_another_driver_finds_the_same(driver: str, recordings: list[Recording], server: Server, tmp_path: Path):
    assert identities(walk(tmp_path / "project", server, driver)) == identities(recordings)


@pytest.mark.skipif(not OTHER_POSTGRES.is_dir(), reason=f"there is no PostgreSQL in {OTHER_POSTGRES}")
def test_another_version_of_postgresql_finds_the_same(recordings: list[Recording], tmp_path: Path):
    with throwaway_server(bindir=OTHER_POSTGRES) as other:
        found = walk(tmp_path / "project", other, "psycopg")

    assert found[0].postgres.startswith("15.")
    assert identities(found) == identities(recordings)


def test_another_language_of_postgresql_finds_the_same(recordings: list[Recording]):
    found = [in_another_language(each) for each in recordings]

    assert found != recordings
    assert identities(found) == identities(recordings)


def in_another_language(value: Any) -> Any:
    """The same with other words in each failure, as a server with another `lc_messages` gives them."""
    if isinstance(value, Failure):
        return dataclasses.replace(value, message=value.message.replace('"', "»").replace("not", "nicht")[::-1])
    if isinstance(value, tuple) and type(value) is tuple:
        return tuple(map(in_another_language, value))
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        fields = dataclasses.fields(value)
        return dataclasses.replace(
            value, **{each.name: in_another_language(getattr(value, each.name)) for each in fields}
        )
    return value
