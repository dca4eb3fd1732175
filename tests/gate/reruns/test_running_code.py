"""The code of the base on the schema of the branch, through the whole gate."""

from __future__ import annotations

import sys
from pathlib import Path
from textwrap import dedent

import pytest

from app.gate.checks import early_code
from app.gate.checks.breaking_change import examine
from app.gate.recorder import record
from app.gate.recording.model import Evidence, Recording
from app.gate.server.throwaway import Server
from tests.gate.history.test_git_base import git
from tests.gate.projects import script, target, write_project

EVIDENCE = frozenset({Evidence.LOCKS, Evidence.RUNNING, Evidence.TOO_EARLY})
MODELS = """
    import os

    from sqlalchemy import Column, Integer, String
    from sqlalchemy.orm import declarative_base

    assert open(".env").read() == "of the user"
    Base = declarative_base()
    metadata = Base.metadata

    class Order(Base):
        __tablename__ = "orders"
        id = Column(Integer, primary_key=True)
        note = Column(String(50))
        status = Column(String(20), nullable=False, server_default="new")
"""
CREATE = """
    op.create_table(
        "orders",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("note", sa.String(50)),
        sa.Column("legacy", sa.Text),
        sa.Column("status", sa.String(20), nullable=False, server_default="new"),
    )
"""
BREAK = """
    op.drop_column("orders", "legacy")
    op.add_column("orders", sa.Column("channel", sa.Text, server_default="web", nullable=False))
"""


def write_base(place: Path, models: str = MODELS) -> Path:
    write_project(place, {"a1": script("a1", None, CREATE, "op.drop_table('orders')")}, models=models)
    (place / ".gitignore").write_text(".env\n__pycache__\n")
    (place / ".env").write_text("of the user")
    git(place, "init", "-q", "-b", "main")
    git(place, "add", ".")
    git(place, "commit", "-qm", "base")
    return place


def add(place: Path, revision: str, parent: str, upgrade: str) -> None:
    (place / "migrations" / "versions" / f"{revision}.py").write_text(script(revision, parent, upgrade))


def recorded(place: Path, server: Server) -> Recording:
    (recording,) = record(target(place), server, base_ref="main", evidence=EVIDENCE)
    return recording


def test_what_the_models_of_the_base_name_is_found_at_its_revision_and_the_rest_is_silent(
    tmp_path: Path, server: Server
) -> None:
    place = write_base(tmp_path)
    add(place, "b2", "a1", BREAK)
    add(place, "c3", "b2", "op.drop_column('orders', 'note')")
    add(place, "d4", "c3", "op.alter_column('orders', 'status', server_default=None)")
    (place / "models.py").write_text((place / "models.py").read_text().replace("note = ", "channel = "))
    git(place, "add", "models.py")
    before = git(place, "status", "--porcelain=v2", "--branch")

    recording = recorded(place, server)

    assert "running" not in recording.not_observed
    assert [(each.revision, each.object) for each in examine(recording)] == [
        ("c3", "public.orders.note"),
        ("d4", "public.orders.status"),
    ]
    [early] = early_code.examine(recording)
    assert early.message.endswith("for models.Order: column orders.channel does not exist.")
    assert git(place, "status", "--porcelain=v2", "--branch") == before
    assert git(place, "worktree", "list").count("\n") == 1


def test_where_columns_and_indexes_come_the_base_is_not_started_and_the_branch_is_asked_all_the_same(
    tmp_path: Path, server: Server
) -> None:
    place = write_base(tmp_path, "raise SystemExit('it was started')")
    add(place, "b2", "a1", "op.add_column('orders', sa.Column('channel', sa.Text))")
    add(place, "c3", "b2", "op.create_index('ix', 'orders', ['channel'])")
    (place / "models.py").write_text(
        dedent(MODELS).replace("note = Column", "channel = Column(String)\n    note = Column")
    )

    recording = recorded(place, server)

    assert "running" not in recording.not_observed
    assert recording.running is not None
    assert recording.running.statements == 0
    assert {each.action for each in recording.running.too_early or ()} >= {"SELECT", "INSERT", "UPDATE"}
    assert not [*examine(recording)]
    [finding] = early_code.examine(recording)
    assert finding.subject == "code of the branch on the schema before it"


def test_a_command_that_upgrades_twice_is_asked_in_the_walk_that_applies_the_revisions(
    tmp_path: Path, server: Server
) -> None:
    """As where an application upgrades when it is made, and is made for the command that upgrades."""
    place = write_base(tmp_path)
    add(place, "b2", "a1", BREAK)
    add(place, "c3", "b2", "op.drop_column('orders', 'note')")
    upgrade = "command.upgrade(Config('alembic.ini'), 'head')"
    twice = f"from alembic import command; from alembic.config import Config; {upgrade}; {upgrade}"

    recordings = record(target(place, sys.executable, "-c", twice), server, base_ref="main", evidence=EVIDENCE)

    assert ["running" in each.not_observed for each in recordings] == [False, False]
    assert [finding.object for each in recordings for finding in examine(each)] == ["public.orders.note"]


@pytest.mark.parametrize(
    ("models", "reason"),
    [("raise SystemExit('no luck')", "never reached Alembic: no luck"), ("metadata = None", "there are none")],
)
def test_where_the_base_has_no_models_to_ask_the_finding_is_a_guess(
    models: str, reason: str, tmp_path: Path, server: Server
) -> None:
    place = write_base(tmp_path, models)
    add(place, "b2", "a1", BREAK)
    (place / "models.py").write_text("metadata = None")

    recording = recorded(place, server)

    assert reason in recording.not_observed["running"]
    [finding] = examine(recording)
    assert finding.object == "public.orders.legacy"
    assert "It is a guess by the schema alone" in (finding.help or "")
