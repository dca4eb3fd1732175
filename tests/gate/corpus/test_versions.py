"""The driver runs in strangers' interpreters: old ones and new ones, with any Alembic from 1.8 and SQLAlchemy from 1.4 on.

Part of `tox -e corpus`, since each combination needs a virtual environment of its own; `uv` makes them, and fetches the
interpreter where it is missing. They are kept between runs, beside the corpus.
"""

import subprocess
from pathlib import Path

import pytest

from app.gate.server.throwaway import Server
from tests.gate.corpus.run import CACHE, find_uv
from tests.gate.shapes import SHAPES
from tests.gate.shapes.test_shapes import prove

COMBINATIONS = {
    "3.8": [
        "sqlalchemy[asyncio]==1.4.54",
        "alembic==1.8.1",
        "psycopg2-binary==2.9.10",
        "asyncpg==0.29.0",
        "setuptools<81",
    ],
    "3.9": ["sqlalchemy[asyncio]==2.0.20", "alembic==1.12.0", "psycopg2-binary==2.9.10", "asyncpg==0.29.0"],
    "3.10": ["sqlalchemy[asyncio]==1.4.54", "alembic==1.16.5", "psycopg2-binary==2.9.13", "asyncpg==0.30.0"],
    "3.13": ["sqlalchemy[asyncio]==2.1.9", "alembic==1.20.1", "psycopg2-binary==2.9.13", "asyncpg==0.32.0"],
}

# Those whose way through Alembic, SQLAlchemy or the driver differs; the rest differ in files and commands.
TRIED = [
    "async_asyncpg",
    "autocommit_block",
    "branches_and_a_merge",
    "connection_injected_by_the_projects_own_code",
    "connection_that_commits_each_statement",
    "env_that_opens_its_own_transaction",
    "labelled_branches_that_depend_on_each_other",
    "noise_on_every_channel",
    "several_schemas",
    "several_walks_in_one_process",
    "sync_psycopg2",
    "transaction_per_migration",
]


@pytest.fixture(scope="module", params=COMBINATIONS)
def python(request: pytest.FixtureRequest) -> str:
    """An interpreter that has those packages."""
    version, packages = request.param, COMBINATIONS[request.param]
    home = CACHE / "versions" / version
    done = home / "installed.txt"
    if not done.exists() or done.read_text() != "\n".join(packages):
        uv = find_uv()
        subprocess.run([uv, "venv", "--quiet", "--clear", "--python", version, home], check=True)
        subprocess.run([uv, "pip", "install", "--quiet", "--python", home / "bin" / "python", *packages], check=True)
        done.write_text("\n".join(packages))
    return str(home / "bin" / "python")


@pytest.mark.parametrize("name", TRIED)
def test_carries_every_shape_on_this_python(name: str, python: str, tmp_path: Path, server: Server) -> None:
    prove(SHAPES[name](tmp_path, python), server)
