"""pytest-alembic's four default tests, with its fixtures filled in for a stranger's project.

Runs in that project's interpreter, by its path, told everything through CORPUS_PYTEST_ALEMBIC.
"""

import asyncio
import json
import os
import subprocess
from typing import Any

import alembic.config
import pytest
import sqlalchemy as sa
import sqlalchemy.ext.asyncio
from pytest_alembic.tests import (  # noqa: F401 - collected here
    test_model_definitions_match_ddl,
    test_single_head_revision,
    test_up_down_consistency,
    test_upgrade,
)

SETTINGS = json.loads(os.environ["CORPUS_PYTEST_ALEMBIC"])
exec(SETTINGS["config"].get("prelude", ""), {})


@pytest.fixture
def alembic_config() -> alembic.config.Config:
    settings = SETTINGS["config"]
    config = alembic.config.Config(settings["file"], ini_section=settings.get("section", "alembic"))
    if "script_location" in settings:
        config.set_main_option("script_location", settings["script_location"])
    return config


@pytest.fixture
def alembic_engine() -> Any:
    """The one database that the project is configured for, made anew: env.py may open its own connection to it."""
    url = sa.engine.make_url(SETTINGS["url"])
    name = url.database
    again = [f'drop database if exists "{name}" with (force)', f'create database "{name}"']
    maintenance = url.set(database="postgres")
    engine: Any
    if url.drivername.endswith("asyncpg"):
        asyncio.run(_execute_async(maintenance, again))
        engine = sa.ext.asyncio.create_async_engine(url, poolclass=sa.pool.NullPool)
    else:
        with sa.create_engine(maintenance, isolation_level="AUTOCOMMIT").connect() as connection:
            for statement in again:
                connection.execute(sa.text(statement))
        engine = sa.create_engine(url, poolclass=sa.pool.NullPool)
    if SETTINGS["prepare"]:
        subprocess.run(SETTINGS["prepare"], check=True)
    return engine


async def _execute_async(url: sa.engine.URL, statements: list[str]) -> None:
    engine = sa.ext.asyncio.create_async_engine(url, isolation_level="AUTOCOMMIT", poolclass=sa.pool.NullPool)
    async with engine.connect() as connection:
        for statement in statements:
            await connection.execute(sa.text(statement))
