"""How env.py connects."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from app.gate.recording.model import Recording
from tests.gate.shapes.library import ONLINE_ASYNC, env, library
from tests.gate.shapes.shape import UPGRADE, Shape, shape, trip


@shape
def sync_psycopg2(at: Path, python: str) -> Shape:
    library(at)
    return Shape(at, (python, *UPGRADE))


@shape
def sync_psycopg3(at: Path, python: str) -> Shape:
    library(at)
    return Shape(at, (python, *UPGRADE), environment={"DATABASE_URL": "{url+psycopg}"})


@shape
def async_asyncpg(at: Path, python: str) -> Shape:
    library(at, **{"migrations/env.py": ONLINE_ASYNC})
    return Shape(at, (python, *UPGRADE), environment={"DATABASE_URL": "{url+asyncpg}"})


@shape
def async_psycopg3(at: Path, python: str) -> Shape:
    library(at, **{"migrations/env.py": ONLINE_ASYNC})
    return Shape(at, (python, *UPGRADE), environment={"DATABASE_URL": "{url+psycopg}"})


@shape
def env_that_opens_its_own_transaction(at: Path, python: str) -> Shape:
    library(at, **{"migrations/env.py": env(begin="begin")})
    return Shape(at, (python, *UPGRADE))


@shape
def transaction_per_migration(at: Path, python: str) -> Shape:
    library(at, **{"migrations/env.py": env(options="transaction_per_migration=True")})
    return Shape(at, (python, *UPGRADE))


@shape
def connection_that_commits_each_statement(at: Path, python: str) -> Shape:
    text = env().replace("poolclass=", 'isolation_level="AUTOCOMMIT", poolclass=')
    library(at, **{"migrations/env.py": text})

    def also(recordings: Sequence[Recording]) -> bool:
        up = trip(recordings, "0003").up
        return up is not None and not up.transactional

    return Shape(at, (python, *UPGRADE), also=also)


@shape
def connection_injected_by_the_projects_own_code(at: Path, python: str) -> Shape:
    text = """\
        from alembic import context
        from library.models import Base

        connection = context.config.attributes["connection"]
        context.configure(connection=connection, target_metadata=Base.metadata)
        context.run_migrations()
    """
    own = """\
        import os

        import sqlalchemy as sa
        from alembic import command
        from alembic.config import Config

        config = Config("alembic.ini")
        with sa.create_engine(os.environ["DATABASE_URL"]).begin() as connection:
            config.attributes["connection"] = connection
            command.upgrade(config, "head")
    """
    library(at, **{"migrations/env.py": text, "upgrade.py": own})
    return Shape(at, command=(python, "upgrade.py"))
