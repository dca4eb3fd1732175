"""One command that migrates several databases, as Alembic's own multidb template has it."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import pytest
from alembic import command
from alembic.config import Config

from app.gate.errors import CannotVerify
from app.gate.judging.judge import judge
from app.gate.recorder import record
from app.gate.recording.model import AlternativePath, Evidence
from app.gate.server.throwaway import Server
from app.gate.target.target import Target

INI = """\
[alembic]
script_location = migrations
databases = main, audit

[only_main]
script_location = migrations
databases = main

[main]
sqlalchemy.url = {url+psycopg2}

[audit]
sqlalchemy.url = {url+psycopg2}
"""
SCRIPT = """\
from alembic import op

revision = "a1"
down_revision = None


def upgrade(engine_name):
    globals()[f"upgrade_{engine_name}"]()


def downgrade(engine_name):
    globals()[f"downgrade_{engine_name}"]()


def upgrade_main():
    op.execute("CREATE TABLE orders (id int)")


def downgrade_main():
    op.execute("DROP TABLE orders")


def upgrade_audit():
    op.execute("CREATE TABLE entry (id int)")


def downgrade_audit():
    op.execute("DROP TABLE entry")
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A project from the template, with one revision and with a file that is called like one that env.py writes."""
    command.init(Config(str(tmp_path / "alembic.ini")), str(tmp_path / "migrations"), template="multidb")
    env = tmp_path / "migrations" / "env.py"
    env.write_text(env.read_text().replace("fileConfig(config.config_file_name)", "pass"))
    (tmp_path / "migrations" / "versions" / "a1.py").write_text(SCRIPT)
    (tmp_path / "main.sql").write_text("-- mine")
    return tmp_path


def target(project: Path, *arguments: str) -> Target:
    return Target(
        (sys.executable, "-m", "alembic", *arguments, "upgrade", "head"),
        files={project / "alembic.ini": INI},
        directory=project,
        timeout_s=60,
    )


def test_several_engines_are_refused_at_once_with_the_way_that_works(project: Path, server: Server) -> None:
    with pytest.raises(CannotVerify, match=r"several databases with one history .* verify one at a time") as refused:
        record(target(project), server, evidence=frozenset())

    assert refused.value.options == ("--set", "databases=main")


def test_the_way_works_and_what_env_py_prints_overwrites_no_file(project: Path, server: Server) -> None:
    one = replace(target(project), options={"databases": "main"})

    recordings = record(one, server, evidence=frozenset({Evidence.OFFLINE}))

    assert recordings[0].offline == AlternativePath()
    assert judge(recordings).findings == []
    assert (project / "main.sql").read_text() == "-- mine"
    assert sorted(each.name for each in project.glob("*.sql")) == ["main.sql"]
