"""A database for pytest-alembic, and copies of this repository in which something is wrong."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from app.gate.server.database import Database
from app.gate.server.throwaway import Server

ROOT = Path(__file__).parents[2]


@pytest.fixture
def alembic_config() -> dict[str, Any]:
    """What pytest-alembic asks for: where our Alembic is."""
    return {"file": str(ROOT / "alembic.ini")}


@pytest.fixture
def alembic_engine(blank_database: Database) -> Iterator[sa.Engine]:
    """What pytest-alembic asks for: a database with nothing in it, for each test."""
    engine = sa.create_engine(blank_database.url("psycopg2"))
    yield engine
    engine.dispose()


@dataclass(frozen=True)
class Verdict:
    """What `overproof verify` said."""

    status: int
    report: dict[str, Any]
    output: str

    def errors(self) -> list[dict[str, Any]]:
        """The findings that turned it red."""
        return [finding for finding in self.report["findings"] if finding["severity"] == "error"]


@dataclass(frozen=True)
class Repository:
    """A copy of this repository, in which a test makes one mistake."""

    root: Path
    server_url: str

    def edit(self, path: str, old: str, new: str) -> None:
        file = self.root / path
        text = file.read_text()
        assert text.count(old) == 1, f"{path} should say {old!r} exactly once"
        file.write_text(text.replace(old, new))

    def head(self) -> str:
        """The newest revision. Scripts sort by date."""
        return _revision_of(max((self.root / "migrations" / "versions").glob("*.py")))

    def add_revision(self, revision: str, *, after: str, upgrade: str, downgrade: str) -> None:
        """A script with one statement of Python in each direction."""
        path = self.root / "migrations" / "versions" / f"9999_{revision}.py"
        path.write_text(
            f'"""A revision of a test."""\n\nimport sqlalchemy as sa\nfrom alembic import op\n\n'
            f"revision = {revision!r}\ndown_revision = {after!r}\nbranch_labels = None\ndepends_on = None\n\n\n"
            f"def upgrade() -> None:\n    {upgrade}\n\n\ndef downgrade() -> None:\n    {downgrade}\n"
        )

    def verify(self, server_url: str | None = None) -> Verdict:
        """The main job, as `tox -e migrations` runs it."""
        report = self.root / "report.json"
        done = subprocess.run(
            [
                *(sys.executable, "-m", "app", "verify", "--database-url", server_url or self.server_url),
                *("--output", "text", "--output", f"json:{report}"),
                *("--", sys.executable, "-m", "alembic", "upgrade", "head"),
            ],
            # `python -m` finds the copy's `app` before the installed one, for the gate and for the migrations alike.
            cwd=self.root,
            env={name: value for name, value in os.environ.items() if name != "DATABASE_URL"},
            capture_output=True,
            text=True,
        )
        assert report.exists(), done.stdout + done.stderr
        return Verdict(done.returncode, json.loads(report.read_text()), done.stdout + done.stderr)


def _revision_of(script: Path) -> str:
    (line,) = (line for line in script.read_text().splitlines() if line.startswith("revision = "))
    return line.split("=")[1].strip().strip("\"'")


@pytest.fixture(scope="session")
def server_url(server: Server) -> str:
    """The throwaway server's URL. The gate makes databases of its own there."""
    return server.create_database().url()


def copy_repository(directory: Path, server_url: str) -> Repository:
    root = directory / "overproof"
    for name in ("app", "migrations"):
        shutil.copytree(ROOT / name, root / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("alembic.ini", "setup.cfg"):
        shutil.copy(ROOT / name, root)
    return Repository(root, server_url)


@pytest.fixture
def repository(tmp_path: Path, server_url: str) -> Repository:
    return copy_repository(tmp_path, server_url)
