"""`--same-schema-as`: a squash, proved with the old revisions from Git."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import pytest

from app.gate.checks import same_schema
from app.gate.errors import CannotVerify, CommandExited
from app.gate.history.checkout import Checkout
from app.gate.history.repository import Commit
from app.gate.recorder import record
from app.gate.recording.model import Change, Evidence, Snapshot
from app.gate.recording.other_history import OtherHistory
from app.gate.reruns._other_history import _Comparison, _End, _numbered, _read_heads, _tables_of, _to_be_compared
from app.gate.reruns._pool import JobPool
from app.gate.rows.seeds import Seeds
from app.gate.server.database import Database
from app.gate.server.throwaway import Server
from app.gate.walk.state import Walk
from tests.gate.checks import builders
from tests.gate.history.test_git_base import git, versions
from tests.gate.played import Command, Runner, Session, as_runner
from tests.gate.projects import script, target, write_project
from tests.gate.walk.walks import arrival, line_of, walk

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


ORDERS = builders.key("table", "orders")
NOTE = builders.key("column", "note", "orders")


@pytest.mark.parametrize(
    ("change", "tables"),
    [
        (builders.added(ORDERS), {"public.orders"}),
        (builders.removed(ORDERS), {"public.orders"}),
        (builders.altered(ORDERS, {"comment": None}, {"comment": "all of them"}), set()),
        (builders.added(NOTE), {"public.orders"}),
        (builders.altered(NOTE, {"type": "text"}, {"type": "integer"}), {"public.orders"}),
        (builders.added(builders.key("view", "orders")), set()),
        (builders.added(builders.key("index", "ix", "orders")), set()),
    ],
)
def test_rows_are_not_compared_where_the_columns_are_others(change: Change, tables: set[str]) -> None:
    assert _tables_of([change]) == tables


def test_the_columns_that_a_sequence_numbers_are_known_by_their_definitions() -> None:
    def column(name: str, table: str = "orders") -> builders.Key:
        return builders.key("column", name, table)

    schema = Snapshot(
        {
            column("id"): {"default": "nextval('orders_id_seq'::regclass)"},
            column("number"): {"identity": "always"},
            column("note"): {"default": "'nextval('::text"},
            column("at"): {},
            column("id", "lines"): {"identity": "by default"},
            builders.key("index", "ix", "orders"): {"identity": "always"},
        }
    )

    assert _numbered(schema) == {"public.orders": {"id", "number"}, "public.lines": {"id"}}


def test_heads_are_read_in_order_and_there_are_none_without_the_table(blank_database: Database) -> None:
    with blank_database.connect() as connection, connection.cursor() as cursor:
        cursor.execute(
            "CREATE SCHEMA meta; CREATE TABLE meta.versions (version_num text); INSERT INTO meta.versions VALUES ('z9'), ('b2')"
        )

    assert _read_heads(blank_database, "meta", "versions") == ["b2", "z9"]
    assert _read_heads(blank_database, "public", "versions") == []


def test_rows_are_compared_in_the_tables_that_have_the_same_columns() -> None:
    def end(digest: str) -> _End:
        return _End(Snapshot({}), {"public.kinds": Seeds(1, digest), "public.orders": Seeds(1, digest)})

    assert _to_be_compared(end("a"), end("b"), [builders.added(NOTE)]) == ["public.kinds"]
    assert _to_be_compared(end("a"), end("a"), []) == []


def comparison(
    *walks: Walk, runner: Runner | None = None, pool: JobPool | None = None, root: Path = Path("/shop")
) -> _Comparison:
    return _Comparison(
        Commit("main", "c0ffee"),
        walks,
        pool or cast(JobPool, SimpleNamespace(retry_alone=lambda: None)),
        as_runner(runner or Runner()),
        cast(Checkout, SimpleNamespace(root=root)),
    )


def test_each_history_that_the_database_has_is_marked_as_being_at_the_heads_here(blank_database: Database) -> None:
    with blank_database.connect() as connection, connection.cursor() as cursor:
        cursor.execute(
            "CREATE TABLE alembic_version (version_num text); INSERT INTO alembic_version VALUES ('c3'), ('d4');"
            'CREATE SCHEMA meta; CREATE TABLE meta."Versions" (version_num text); INSERT INTO meta."Versions" VALUES (\'e5\')'
        )
    heads = [builders.revision("z9"), builders.revision("y8")]
    without_heads = {"version_table": "Versions", "version_table_schema": "meta"}

    comparison(
        walk(arrives=arrival(*heads, handshake={"version_table": "not_there"})),
        walk(arrives=arrival(*heads)),
        walk(arrives=arrival(handshake=without_heads)),
    )._stamp(blank_database)

    assert sorted(_read_heads(blank_database, "public", "alembic_version")) == ["y8", "z9"]
    assert _read_heads(blank_database, "meta", "Versions") == ["e5"]


@pytest.mark.parametrize(
    ("command", "reason"),
    [
        (Command(Session(), status=3, output="x\nKeyError"), "its command ended with status 3: KeyError"),
        (Command(output="help"), "its command never reached Alembic: help"),
        (Command(TimeoutError(), output="waits"), "its command did not end: waits"),
        (Command(CommandExited("killed"), output="killed"), "its command did not end: killed"),
        (Command(Session()), "its command has run no revision"),
    ],
)
def test_it_is_said_why_the_other_history_cannot_be_run(
    command: Command, reason: str, blank_database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    runner = Runner(command, database=blank_database)
    monkeypatch.setattr("app.gate.reruns._other_history.check_database", lambda *_: None)

    with pytest.raises(CannotVerify) as refused:
        comparison(runner=runner)._upgrade_there(blank_database)

    assert str(refused.value) == f"--same-schema-as main cannot be tried: {reason}"
    assert runner.calls == ["prepare"]


def test_it_is_said_that_the_command_fails_here(blank_database: Database) -> None:
    retried: list[bool] = []
    pool = cast(JobPool, SimpleNamespace(retry_alone=lambda: retried.append(True)))
    runner = Runner(Command(status=1, output="KeyError"), database=blank_database)

    with pytest.raises(CannotVerify, match=r"^the command fails on an empty database: KeyError$"):
        comparison(runner=runner, pool=pool)._run_here(blank_database)

    assert (retried, runner.calls, runner.started) == ([True], ["prepare"], [{"is_driven": False}])


def test_what_varies_does_so_in_each_run_of_either_history(monkeypatch: pytest.MonkeyPatch) -> None:
    def end(at: int, **others: int) -> _End:
        rows = {"at": at, **others}
        return _End(Snapshot({}), {"public.kinds": Seeds(1, str(rows), (rows,))})

    monkeypatch.setattr(_Comparison, "_upgrade_there", lambda self, database: end(2, secret=2, there=2, here=1))
    monkeypatch.setattr(_Comparison, "_run_here", lambda self, database: end(4, secret=4, there=1, here=2))

    def varying(there: _End, here: _End) -> dict[str, frozenset[str]]:
        return comparison()._varying(there, here)

    assert varying(end(1, secret=1, there=1, here=1), end(3, secret=3, there=1, here=1)) == {
        "public.kinds": {"at", "secret"}
    }
    assert varying(end(1, secret=2, there=1, here=1), end(4, secret=3, there=1, here=1)) == {}
    assert varying(_End(Snapshot({}), {}), end(3, secret=3, there=1, here=1)) == {}


def test_what_is_gone_is_found_in_the_folders_of_the_scripts_and_in_git(project: Path) -> None:
    (versions(project) / "z9.py").write_text(script("z9", None))
    git(project, "checkout", "-q", "main", "--", "migrations/versions/b2.py")
    here = walk(
        arrives=arrival(*line_of("b2", "z9"), paths={each: versions(project) / f"{each}.py" for each in ("b2", "z9")})
    )
    of_main = _Comparison(
        Commit("main", git(project, "rev-parse", "main").strip()),
        [here],
        cast(JobPool, None),
        as_runner(Runner()),
        cast(Checkout, SimpleNamespace(root=project)),
    )

    assert of_main._find_gone() == ("a1", "c3")
    with pytest.raises(CannotVerify, match=r"^--same-schema-as main cannot be tried: "):
        comparison(here, root=project)._find_gone()
