"""`--same-schema-as`: a squash, proved with the old revisions from Git."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from app.gate.checks import same_schema
from app.gate.errors import CannotVerify
from app.gate.history.repository import Commit
from app.gate.recorder import record
from app.gate.recording.model import Evidence
from app.gate.recording.other_history import OtherHistory
from app.gate.server.throwaway import Server
from tests.gate.checks import builders
from tests.gate.history.test_git_base import git, versions
from tests.gate.projects import script, target, write_project

KINDS = "op.create_table('kinds', sa.Column('id', sa.Integer, primary_key=True), sa.Column('name', sa.Text))"
INSERT = "op.execute(\"INSERT INTO kinds (name, at, secret) VALUES ('a', clock_timestamp(), gen_random_uuid())\")"
OLD = {
    "a1": script("a1", None, KINDS),
    "b2": script("b2", "a1", "from shop import COLUMN\nop.add_column('kinds', sa.Column(COLUMN, sa.DateTime))"),
    "c3": script("c3", "b2", f"op.add_column('kinds', sa.Column('secret', sa.Uuid))\n{INSERT}"),
}
SQUASHED = (
    "op.create_table('kinds', sa.Column('id', sa.Integer, primary_key=True), sa.Column('secret', sa.Uuid),"
    " sa.Column('name', sa.Text), sa.Column('at', sa.DateTime))\n" + INSERT
)


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """Three revisions on `main`, which use code of that time; a branch on which both are gone."""
    write_project(tmp_path, OLD)
    (tmp_path / "shop.py").write_text("COLUMN = 'at'\n")
    git(tmp_path, "init", "-q", "-b", "main")
    git(tmp_path, "add", ".")
    git(tmp_path, "commit", "-qm", "three revisions")
    git(tmp_path, "checkout", "-qb", "branch")
    (tmp_path / "shop.py").write_text("")
    for path in versions(tmp_path).glob("*.py"):
        path.unlink()
    return tmp_path


def compared(project: Path, server: Server, upgrade: str) -> OtherHistory:
    """With one revision, z9, in place of the others."""
    (versions(project) / "z9.py").write_text(script("z9", None, upgrade, "op.drop_table('kinds')"))
    commit = Commit("main", git(project, "rev-parse", "main").strip())
    (recording,) = record(target(project), server, evidence=frozenset({Evidence.OTHER_HISTORY}), same_schema_as=commit)
    assert recording.other_history is not None
    return recording.other_history


def test_a_squash_ends_where_the_old_history_did_and_what_is_printed_makes_a_database_follow(
    project: Path, server: Server
) -> None:
    other = compared(project, server, SQUASHED)

    assert (other.heads_there, other.heads_here) == (("c3",), ("z9",))
    assert other.gone == ("a1", "b2", "c3")
    assert (other.differences, other.only_names, other.seeds) == ((), (), ())
    assert other.varying == ("public.kinds.at", "public.kinds.secret")
    assert (other.failure_after_stamp, other.changes_after_stamp) == (None, ())

    (notice,) = same_schema.examine(builders.recording(other_history=other))
    database = server.create_database()
    environment = {**os.environ, "DATABASE_URL": database.url("psycopg2")}
    with database.connect() as connection, connection.cursor() as cursor:
        cursor.execute(
            "CREATE TABLE alembic_version (version_num varchar(32) PRIMARY KEY); INSERT INTO alembic_version VALUES ('c3')"
        )
    program, *words = (notice.help or "").splitlines()[-1].split()
    for arguments in (words, ["upgrade", "head"]):  # which would fail: there are no tables
        subprocess.run([sys.executable, "-m", program, *arguments], cwd=project, env=environment, check=True)
    with database.connect() as connection, connection.cursor() as cursor:
        cursor.execute("SELECT version_num, to_regclass('kinds') FROM alembic_version")
        assert cursor.fetchall() == [("z9", None)]


def test_what_a_squash_has_lost_is_found(project: Path, server: Server) -> None:
    lost = SQUASHED.replace("'a', clock", "'b', clock").replace(
        "sa.Column('name', sa.Text)", "sa.Column('name', sa.Text, unique=True)"
    )

    other = compared(project, server, lost)

    assert [each.key.name for each in other.differences] == ["kinds_name_key"]
    (rows,) = other.seeds
    assert (rows.table, rows.columns) == ("public.kinds", ("name",))


def test_a_history_that_cannot_be_run_any_more_is_said_to_be(project: Path, server: Server) -> None:
    git(project, "checkout", "-q", "main", "--", ".")
    (project / "shop.py").write_text("")
    git(project, "commit", "-qam", "the column has no name")
    commit = Commit("HEAD", git(project, "rev-parse", "HEAD").strip())
    for path in versions(project).glob("*.py"):
        path.unlink()
    (versions(project) / "z9.py").write_text(script("z9", None, SQUASHED))

    with pytest.raises(CannotVerify, match="--same-schema-as HEAD cannot be tried: its command ended with status 1"):
        record(target(project), server, evidence=frozenset({Evidence.OTHER_HISTORY}), same_schema_as=commit)
