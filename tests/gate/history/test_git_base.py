"""`--base`: what the branch adds is walked, and what it did to older revisions is reported."""

import subprocess
import sys
from pathlib import Path

import pytest

from app.gate.checks import single_head, upgrade
from app.gate.configuration import Configuration
from app.gate.errors import CannotVerify
from app.gate.history.git_base import compare, does_other_things, read_base
from app.gate.judging.judge import judge
from app.gate.recorder import record
from app.gate.recording.model import ALL_EVIDENCE, Evidence, Recording
from app.gate.report.verdict import NOTHING_NEW, Outcome
from app.gate.server.throwaway import Server
from tests.gate.checks import builders
from tests.gate.checks.builders import revision
from tests.gate.projects import script, target, write_project

A1 = script(
    "a1", None, "op.create_table('orders', sa.Column('id', sa.Integer, primary_key=True))", "op.drop_table('orders')"
)
B2 = script("b2", "a1", "op.add_column('orders', sa.Column('note', sa.Text))", "op.drop_column('orders', 'note')")


def git(place: Path, *words: str) -> str:
    who = ("-c", "user.name=A", "-c", "user.email=a@example.com", "-c", "commit.gpgsign=false")
    return subprocess.run(["git", *who, *words], cwd=place, check=True, capture_output=True, text=True).stdout


@pytest.fixture
def branch(tmp_path: Path) -> Path:
    """A project with two revisions on `main`, and a branch of it checked out."""
    return write_branch(tmp_path)


def write_branch(place: Path) -> Path:
    write_project(place, {"a1": A1, "b2": B2})
    git(place, "init", "-q", "-b", "main")
    git(place, "add", ".")
    git(place, "commit", "-qm", "two revisions")
    git(place, "checkout", "-qb", "branch")
    return place


def versions(place: Path) -> Path:
    return place / "migrations" / "versions"


def verified(place: Path, server: Server, *evidence: Evidence) -> Recording:
    (recording,) = record(target(place), server, base_ref="main", evidence=frozenset(evidence))
    return recording


def test_only_what_the_branch_adds_is_walked(branch: Path, server: Server) -> None:
    widen = script(
        "c3",
        "b2",
        "op.alter_column('orders', 'id', type_=sa.BigInteger)",
        "op.alter_column('orders', 'id', type_=sa.Integer)",
    )
    (versions(branch) / "c3.py").write_text(widen)

    recording = verified(branch, server, Evidence.OFFLINE)

    assert [trip.revision for trip in recording.trips] == ["c3"]
    assert recording.trips[0].second_up is not None
    assert [each.is_new for each in recording.graph.revisions] == [False, False, True]
    assert recording.base is not None
    assert not (recording.base.edited)
    assert not (recording.base.removed)
    assert not (recording.base.inserted_below)
    assert recording.head is not None
    assert recording.offline is not None
    assert not (recording.offline.failures)
    assert not (recording.offline.differences)


def test_where_nothing_is_new_the_whole_history_is_walked_and_hazards_are_not_tried(
    branch: Path, server: Server
) -> None:
    before = names_of_databases(server)
    without_hazards = Configuration().needed_evidence(of_merged=True) - {Evidence.UNREGISTERED, Evidence.MODELS}

    (recording,) = record(
        target(branch), server, base_ref="main", evidence=ALL_EVIDENCE, evidence_of_merged=without_hazards
    )
    report = judge([recording])

    assert [trip.revision for trip in recording.trips] == ["a1", "b2"]
    assert recording.trips[0].up is not None
    assert recording.trips[0].up.statements[0].locks == {}
    assert recording.head is not None
    assert recording.offline is not None
    assert recording.not_observed["concurrent"] == "env.py is the same as on main"
    outcomes = {each.id: each for each in report.checks}
    assert outcomes["table-rewrite"].reason == NOTHING_NEW
    assert outcomes["round-trip"].outcome is Outcome.PASS
    assert (report.judged.base, len(report.judged.revisions)) == ("main", 2)
    assert names_of_databases(server) == before


def names_of_databases(server: Server) -> set[str]:
    with server.maintenance.connect() as connection, connection.cursor() as cursor:
        cursor.execute("SELECT datname FROM pg_database")
        return {name for (name,) in cursor.fetchall()}


def test_new_revisions_that_fail_in_one_transaction_are_reported(branch: Path, server: Server) -> None:
    names = "op.execute(\"CREATE TYPE mood AS ENUM ('sad')\"); op.execute('CREATE TABLE days (mood mood)')"
    (versions(branch) / "c3.py").write_text(script("c3", "b2", names))
    git(branch, "add", ".")
    git(branch, "commit", "-qm", "moods")
    git(branch, "branch", "-f", "main")
    (versions(branch) / "d4.py").write_text(script("d4", "c3", "op.execute(\"ALTER TYPE mood ADD VALUE 'ok'\")"))
    (versions(branch) / "e5.py").write_text(script("e5", "d4", "op.execute(\"INSERT INTO days VALUES ('ok')\")"))

    recording = verified(branch, server, Evidence.CONCURRENT)

    assert [trip.up is not None and trip.up.failure for trip in recording.trips] == [None, None]
    (finding,) = upgrade.examine(recording)
    assert "the whole command fails on a database at main: " in finding.message
    assert 'unsafe use of new value "ok"' in finding.message


def test_new_revisions_that_wait_for_each_other_in_one_transaction_are_reported(
    branch: Path, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.gate.target.runner.LONG_START_S", 1.0)
    waits = """
        import os

        if not op.get_context().as_sql:
            with sa.create_engine(os.environ["DATABASE_URL"]).connect() as connection:
                connection.execute(sa.text("SELECT * FROM orders"))
    """
    (versions(branch) / "c3.py").write_text(script("c3", "b2", "op.execute('ALTER TABLE orders ADD last int')", None))
    (versions(branch) / "d4.py").write_text(script("d4", "c3", waits))

    (recording,) = record(
        target(branch, timeout_s=5.0), server, base_ref="main", evidence=frozenset({Evidence.CONCURRENT})
    )

    assert [trip.up is not None and trip.up.failure for trip in recording.trips] == [None, None]
    (finding,) = upgrade.examine(recording)
    assert "the whole command fails on a database at main: " in finding.message
    assert "for 5 s it did nothing" in finding.message


def test_an_env_py_that_the_branch_changed_is_tried_again(branch: Path, server: Server) -> None:
    env = branch / "migrations" / "env.py"
    env.write_text(env.read_text().replace("pool.NullPool", "pool.StaticPool"))

    recording = verified(branch, server, Evidence.CONCURRENT)

    assert recording.concurrent is not None


def test_an_edited_revision_is_reported_and_a_reformatted_one_is_not(branch: Path, server: Server) -> None:
    (versions(branch) / "a1.py").write_text("# A remark.\n" + A1)
    (versions(branch) / "b2.py").write_text(B2.replace("sa.Text", "sa.String"))

    recording = verified(branch, server)

    assert recording.base is not None
    assert recording.base.edited == (("b2", "migrations/versions/b2.py"),)


def test_a_removed_revision_is_reported(branch: Path, server: Server) -> None:
    (versions(branch) / "b2.py").unlink()

    recording = verified(branch, server)

    assert recording.base is not None
    assert recording.base.removed == (("b2", "migrations/versions/b2.py"),)


def test_a_revision_that_was_inserted_below_an_older_one_is_reported(branch: Path, server: Server) -> None:
    (versions(branch) / "between.py").write_text(script("between", "a1"))
    (versions(branch) / "b2.py").write_text(B2.replace("'a1'", "'between'"))

    recording = verified(branch, server)

    assert recording.base is not None
    assert recording.base.inserted_below == (("between", "migrations/versions/between.py"),)


def test_what_was_merged_into_the_base_since_is_not_missed(branch: Path, server: Server) -> None:
    git(branch, "checkout", "-q", "main")
    (versions(branch) / "m3.py").write_text(script("m3", "b2"))
    git(branch, "add", ".")
    git(branch, "commit", "-qm", "merged meanwhile")
    git(branch, "checkout", "-q", "branch")

    recording = verified(branch, server)

    assert recording.base is not None
    assert recording.base.removed == ()


def test_a_branch_that_is_behind_hears_of_the_fork_that_merging_makes(branch: Path) -> None:
    git(branch, "checkout", "-q", "main")
    for name, parent in (("m3", "b2"), ("m4", "m3")):
        (versions(branch) / f"{name}.py").write_text(script(name, parent))
    git(branch, "add", ".")
    git(branch, "commit", "-qm", "merged meanwhile")
    git(branch, "checkout", "-q", "branch")
    base = read_base("main", branch, [versions(branch)])
    hashes = {name: each.sha256 for name, each in base.scripts.items()}
    parents = {"a1": None, "b2": "a1", "c3": "b2", "d4": "c3"}
    scripts = [revision(name, parent, sha256=hashes.get(name, "")) for name, parent in parents.items()]
    graph = builders.recording(revisions=scripts).graph

    divergence = compare(base, graph, branch, branch / "migrations/env.py")

    assert divergence.forks == (("c3", "b2", "m3", "m4"),)
    (finding,) = single_head.examine(builders.recording(revisions=scripts, base=divergence))
    assert "main has m3 by now, which follows b2 as c3 does: once both are merged" in finding.message
    assert "which is m4" in (finding.help or "")
    assert (finding.help or "").endswith("\n\n    overproof rebase main")


def test_a_base_that_does_not_exist_is_reported(branch: Path, server: Server) -> None:
    with pytest.raises(CannotVerify, match="names no commit"):
        record(target(branch), server, base_ref="nonsense", evidence=frozenset())
    with pytest.raises(CannotVerify, match="names no commit"):
        read_base("--help", branch, [])


def test_only_what_a_script_does_counts() -> None:
    assert not does_other_things('"""Old."""\nx = 1  # one\n', '"""New."""\n\n\nx = (1)\n')
    assert does_other_things("x = 1\n", "x = 2\n")
    assert does_other_things("def upgrade():\n    pass\n", "def upgrade():\n    go()\n")


START = """
import os

from alembic import command
from alembic.config import Config
from sqlalchemy import MetaData, Column, Integer, Table, Text, create_engine, inspect

metadata = MetaData()
Table("orders", metadata, Column("id", Integer, primary_key=True), Column("note", Text), Column("new", Text))
engine = create_engine(os.environ["DATABASE_URL"])
config = Config("alembic.ini")
if {condition}:
    metadata.create_all(engine)
    command.stamp(config, "head")
else:
    command.upgrade(config, "head")
"""
C3 = script("c3", "b2", "op.add_column('orders', sa.Column('new', sa.Text))", "op.drop_column('orders', 'note')")


def verified_by_start(place: Path, server: Server, condition: str) -> Recording:
    (place / "start.py").write_text(START.format(condition=condition))
    (versions(place) / "c3.py").write_text(C3)
    command = target(place, sys.executable, "start.py")
    (recording,) = record(command, server, base_ref="main", evidence=frozenset())
    return recording


@pytest.mark.parametrize(
    "condition", ["not inspect(engine).has_table('alembic_version')", "not inspect(engine).get_table_names()"]
)
def test_a_command_that_makes_the_tables_of_an_empty_database_by_code_upgrades_the_base(
    branch: Path, server: Server, condition: str
) -> None:
    recording = verified_by_start(branch, server, condition)

    (trip,) = recording.trips
    assert trip.revision == "c3"
    assert [change.key.name for change in trip.left_behind] == ["new", "note"]


def test_a_command_that_runs_nothing_of_what_the_branch_adds_proves_nothing(branch: Path, server: Server) -> None:
    with pytest.raises(CannotVerify, match="on a database at main too, the command only creates the tables by code"):
        verified_by_start(branch, server, "True")


def test_a_command_that_stops_before_what_the_branch_adds_proves_nothing(branch: Path, server: Server) -> None:
    (versions(branch) / "c3.py").write_text(C3)
    to_b2 = target(branch, sys.executable, "-m", "alembic", "upgrade", "b2")

    with pytest.raises(CannotVerify, match="the branch adds c3, and the command ran none of it"):
        record(to_b2, server, base_ref="main", evidence=frozenset())
