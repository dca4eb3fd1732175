"""What a finding prints that changes no schema: commands, lines for env.py, settings, comments. Each is run where a reader would."""

from __future__ import annotations

import io
import re
import shlex
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import alembic
import psycopg2
import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.config import CommandLine, Config
from alembic.migration import MigrationContext
from alembic.operations import Operations
from alembic.runtime.environment import EnvironmentContext
from alembic.script import ScriptDirectory

from app.cli import COMMANDS, parser_for
from app.gate.checks import (
    concurrent_upgrade,
    interrupted_upgrade,
    irreversible,
    lock_timeout,
    merged_history,
    model_drift,
    offline_sql,
    populated_upgrade,
    round_trip,
    same_schema,
    single_head,
    unregistered_models,
)
from app.gate.checks.registry import ALL_CHECKS
from app.gate.checks.support import failures, refused
from app.gate.configuration import read_configuration
from app.gate.history.allowances import parse_allowances
from app.gate.postgres.quoting import quote
from app.gate.recording.model import Divergence, Interruption, OtherHistory
from tests.gate.checks.builders import (
    drift,
    failure,
    recording,
    revision,
    statement,
    trip,
    unregistered,
)
from tests.gate.checks.places import GATE
from tests.gate.checks.printed import Bench, blocks
from tests.gate.projects import script, write_project

# Comments and settings that accept a finding.


def _comments() -> Iterator[tuple[str, str]]:
    for path in sorted((GATE / "checks").rglob("*.py")):
        for found in re.finditer(r"# overproof: allow ([\w-]+): ", path.read_text(encoding="utf-8")):
            yield path.stem, found[1]


@pytest.mark.parametrize(("file", "check"), sorted(set(_comments())))
def test_a_comment_that_accepts_a_finding_names_a_check(file: str, check: str) -> None:
    [allowed] = parse_allowances(f"x = 1  # overproof: allow {check}: because")

    assert (allowed.check, allowed.reason) == (check, "because")
    assert check in {name for each in ALL_CHECKS for name in (each.id, *each.aliases)}


def test_the_setting_that_accepts_all_missing_downgrades_is_read(tmp_path: Path) -> None:
    [setting] = blocks(irreversible._ALLOW_ALL)
    (tmp_path / "setup.cfg").write_text(f"[overproof]\n{setting}\n")

    assert read_configuration(tmp_path).deselects(irreversible.CHECK) is not None


# Commands.


def _alembic(command: str, *, at: Path | None = None, run: bool = False) -> str:
    """Parse, or run, a command of Alembic's. Returns its name."""
    program, *words = shlex.split(command)
    assert program == "alembic"
    config = ["-c", str(at / "alembic.ini")] if at is not None else []
    if run:
        CommandLine().main(argv=[*config, *words])
    options = CommandLine().parser.parse_args(words)
    return str(options.cmd[0].__name__)


def _overproof(command: str) -> None:
    program, name, *words = shlex.split(command)
    assert program == "overproof"
    parser_for(next(each for each in COMMANDS if each.name == name)).parse_args([name, *words])


FORK = [revision("a1"), revision("b2", "a1"), revision("c3", "a1")]


@pytest.fixture
def forked(tmp_path: Path) -> Path:
    scripts = {"a1": script("a1", None), "b2": script("b2", "a1"), "c3": script("c3", "a1")}
    project = write_project(tmp_path, scripts)
    template = Path(alembic.__file__).parent / "templates" / "generic" / "script.py.mako"
    shutil.copy(template, project / "migrations")
    return project


def _heads(project: Path) -> list[str]:
    return ScriptDirectory.from_config(Config(project / "alembic.ini")).get_heads()


def test_heads_are_joined_or_put_one_after_the_other(forked: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # A script that is written again within a second would be taken for its older bytecode.
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    [finding] = single_head.CHECK.examine(recording(revisions=FORK))
    line, merge = blocks(str(finding.help))
    path = forked / "migrations" / "versions" / "c3.py"
    text = path.read_text()

    path.write_text(re.sub(r"down_revision = .*", line, text))
    assert _heads(forked) == ["c3"]
    path.write_text(text)
    assert len(_heads(forked)) == 2
    assert _alembic(merge, at=forked, run=True) == "merge"
    assert len(_heads(forked)) == 1


def test_the_commands_are_those_of_alembic() -> None:
    separate = [revision("a1", labels=["one"]), revision("b2", labels=["two"])]
    [of_bases] = single_head.CHECK.examine(recording(revisions=separate, refusal="Multiple head revisions are present"))
    [of_models] = model_drift.CHECK.examine(recording(drift=drift("add column public.orders.note")))
    other = OtherHistory("main", "abc", heads_there=("a1",), heads_here=("z 9",), gone=("a1",))
    stamp = same_schema._how_to_stamp(other)
    undo = round_trip._hint(failure())

    commands = [
        each.partition("\n")[0]
        for help_ in (of_bases.help, of_models.help, stamp.help, undo)
        for each in blocks(str(help_))
    ]

    assert [_alembic(each) for each in commands] == ["upgrade", "merge", "revision", "stamp", "downgrade"]


@pytest.mark.processes
def test_a_merged_script_is_put_back(tmp_path: Path) -> None:
    def git(*words: str) -> str:
        identity = ["-c", "user.name=a", "-c", "user.email=a@example.org"]
        run = subprocess.run(["git", *identity, *words], cwd=tmp_path, check=True, capture_output=True, text=True)
        return run.stdout.strip()

    path = "my versions/b2's.py"
    (tmp_path / "my versions").mkdir()
    (tmp_path / path).write_text("as merged\n")
    git("init", "-q")
    git("add", ".")
    git("commit", "-qm", "merged")
    (tmp_path / path).write_text("edited\n")
    base = Divergence("origin/main", git("rev-parse", "HEAD"), edited=(("b2", path),))
    [finding] = merged_history.CHECK.examine(recording(revisions=[replace(revision("b2"), path=path)], base=base))

    [restore] = blocks(str(finding.help))
    subprocess.run(["sh", "-c", restore], cwd=tmp_path, check=True, capture_output=True)

    assert (tmp_path / path).read_text() == "as merged\n"


def test_what_moves_revisions_is_a_command_of_ours() -> None:
    base = Divergence("origin/my branch", "a" * 40, inserted_below=(("b2", "b2.py"),), edited=(("c3", "the c3.py"),))
    scripts = [revision("a1"), revision("b2", "a1"), revision("c3", "b2")]
    [finding] = merged_history.CHECK.examine(recording(revisions=scripts, base=base))

    restore, move = blocks(str(finding.help))[0].splitlines()
    fetch, rebase = single_head._rebase("origin/my branch").splitlines()

    assert shlex.split(restore)[-1] == "the c3.py"
    assert fetch.strip() == "git fetch"
    for each in (move, rebase.strip()):
        _overproof(each)


# Lines for env.py.


def test_a_lock_timeout_is_set(bench: Bench) -> None:
    [of_env] = blocks(str(lock_timeout._of_the_project(recording()).help))
    scope: dict[str, Any] = {"create_engine": sa.create_engine, "url": bench.database.url("psycopg2")}
    exec(of_env, scope)
    with scope["engine"].connect() as connection:
        assert connection.exec_driver_sql("SHOW lock_timeout").scalar_one() == "2s"
    scope["engine"].dispose()

    of_revisions = [
        trip(name, statements=[statement(locks={"orders": "AccessExclusiveLock"}, lock_timeout_ms=limit)])
        for name, limit in (("a1", 0), ("b2", 120_000), ("c3", 2_000))
    ]
    found = list(lock_timeout.CHECK.examine(recording(*of_revisions)))
    assert [each.revision for each in found] == ["a1", "b2"]
    for finding in found:
        [line] = blocks(str(finding.help))
        with bench.connection.begin():
            exec(line, {"op": Operations(MigrationContext.configure(bench.connection))})
            assert bench.connection.exec_driver_sql("SHOW lock_timeout").scalar_one() == "2s"


def test_a_second_upgrade_waits_for_the_first(bench: Bench) -> None:
    [code] = blocks(concurrent_upgrade._HELP)

    exec(code, {"connection": bench.connection, "text": sa.text, "time": time})

    with bench.database.connect() as other, other.cursor() as cursor:
        cursor.execute("SELECT pg_try_advisory_lock(4920173)")
        assert cursor.fetchone() == (False,)
    bench.connection.exec_driver_sql("SELECT pg_advisory_unlock_all()")
    bench.connection.rollback()


@pytest.mark.parametrize("name", ["orders", 'the "Orders"', "of 100%"])
def test_a_table_without_a_model_is_hidden_from_autogenerate(name: str, bench: Bench) -> None:
    bench.reset("CREATE TABLE other (id int)")
    bench.run_sql(f"CREATE TABLE {quote(name)} (id int)")
    [code] = blocks(model_drift._without_a_model(f"public.{name}"))
    given: dict[str, Any] = {}
    context = SimpleNamespace(configure=lambda **options: given.update(options))

    exec(code.replace("..., ", ""), {"context": context})

    configured = MigrationContext.configure(bench.connection, opts=given)
    dropped = [operation[1].name for operation in compare_metadata(configured, sa.MetaData())]
    bench.connection.rollback()
    assert dropped == ["other"]


@pytest.fixture
def offline(tmp_path: Path) -> Callable[[str, str], str]:
    """Runs those lines of env.py for an upgrade that executes that, offline. Returns the script."""
    project = write_project(tmp_path, {"a1": script("a1", None)})
    config = Config(project / "alembic.ini", output_buffer=io.StringIO())

    def run(lines: str, sql: str) -> str:
        def upgrade(*_: object) -> Any:
            context = environment.get_context()
            Operations(context).execute(sql)
            return []

        scripts = ScriptDirectory.from_config(config)
        with EnvironmentContext(config, scripts, fn=upgrade, as_sql=True) as environment:
            exec(lines.replace(", ...", ""), {"context": environment, "url": "postgresql://"})
        buffer = config.output_buffer
        assert isinstance(buffer, io.StringIO)
        return buffer.getvalue()

    return run


RUN = "\nwith context.begin_transaction():\n    context.run_migrations()"


def test_offline_a_percent_sign_is_written_once(offline: Callable[[str, str], str]) -> None:
    [code] = blocks(offline_sql._NAMED_PARAMETERS)

    assert "LIKE 'a%';" in offline(code + RUN, "SELECT 1 WHERE 'a' LIKE 'a%'")


def test_offline_what_env_sets_is_written(offline: Callable[[str, str], str]) -> None:
    [code] = blocks(offline_sql._SEARCH_PATH)

    written = offline(f"context.configure(url=url)\n{code.replace('TO ...', 'TO shop')}", "SELECT 1")

    assert written.index("SET search_path TO shop") < written.index("SELECT 1")


def test_offline_types_and_what_asks_the_database(bench: Bench) -> None:
    bench.reset("CREATE TABLE orders (note text, total int)")
    [typed], [skipped] = blocks(offline_sql._NO_TYPE), blocks(offline_sql._SKIP_OFFLINE)
    scope: dict[str, Any] = {"sa": sa}
    exec(typed, scope)
    buffer = io.StringIO()
    opts = {"as_sql": True, "output_buffer": buffer, "literal_binds": True}
    operations = Operations(MigrationContext.configure(dialect_name="postgresql", opts=opts))

    operations.bulk_insert(scope["orders"], [{"note": "it's", "total": 1}])
    exec(skipped.replace("...", "op.get_bind().scalar()"), {"op": operations})

    bench.run_sql(buffer.getvalue())
    assert bench.rows("SELECT * FROM orders") == [("it's", 1)]


def test_an_autocommit_block_after_a_statement_of_env(bench: Bench) -> None:
    [before], [block] = blocks(failures._NOT_ALEMBIC_S), blocks(failures._AUTOCOMMIT)
    found: list[MigrationContext] = []
    context = SimpleNamespace(configure=lambda connection: found.append(MigrationContext.configure(connection)))
    bench.connection.exec_driver_sql("SELECT 1")

    exec(before.replace(", ...", ""), {"connection": bench.connection, "context": context})
    with found[0].begin_transaction():
        op = Operations(found[0])
        exec(
            block.replace("...", "op.execute('CREATE INDEX CONCURRENTLY ix_block ON orders_of_block (id)')"),
            {"op": op, **_table(op)},
        )

    assert bench.rows("SELECT count(*) FROM pg_class WHERE relname = 'ix_block'") == [(1,)]


def _table(op: Operations) -> dict[str, Any]:
    op.execute("CREATE TABLE IF NOT EXISTS orders_of_block (id int)")
    return {}


# Rights, imports, rows, and what is completed by hand.


def test_membership_lets_a_role_be_given_something(bench: Bench) -> None:
    advice = refused._advice(failure(sqlstate="42501", sql='ALTER TABLE orders OWNER TO "The owner"'))
    bench.run_sql('DROP ROLE IF EXISTS "The owner"; CREATE ROLE "The owner"')

    [code] = blocks(advice)
    bench.step(code)

    assert bench.rows("SELECT pg_has_role('The owner', 'MEMBER')") == [(True,)]
    bench.run_sql('DROP ROLE "The owner"')


@pytest.mark.parametrize(
    "modules", [["of_advice_1"], [f"of_advice_{number}" for number in range(9)]], ids=["one", "many"]
)
def test_models_are_imported(modules: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(tmp_path))
    for name in modules:
        (tmp_path / f"{name}.py").write_text("IS_IMPORTED = True\n")
    models = tuple(unregistered(name, "Order", f"orders_{name}") for name in modules)
    found = list(unregistered_models.CHECK.examine(recording(unregistered=models)))
    scope: dict[str, Any] = {}

    for finding in found:
        exec(blocks(str(finding.help))[0], scope)

    assert all(scope[name].IS_IMPORTED for name in modules)


def test_rows_of_ones_own_go_into_the_table(bench: Bench) -> None:
    bench.reset('CREATE SCHEMA shop; CREATE TABLE shop."Order" (id int DEFAULT 1)')
    without = replace(trip("a1"), tables_without_rows={"shop.Order": "nothing fits"})
    [finding] = populated_upgrade.CHECK.examine(recording(without))

    [row] = blocks(str(finding.help))
    bench.run_sql(row.replace("(…) VALUES (…)", "DEFAULT VALUES"))

    assert bench.rows('SELECT id FROM shop."Order"') == [(1,)]


def test_a_partition_that_is_half_detached_is_completed_by_hand(bench: Bench) -> None:
    bench.reset(
        'CREATE TABLE events (day date) PARTITION BY RANGE (day); CREATE TABLE "Events 2025" PARTITION OF events'
        " FOR VALUES FROM ('2025-01-01') TO ('2026-01-01')"
    )
    sql = 'ALTER TABLE events DETACH PARTITION "Events 2025" CONCURRENTLY;'
    with bench.database.connect() as reader, reader.cursor() as reads, bench.database.connect(autocommit=True) as own:
        reads.execute("BEGIN; SELECT count(*) FROM events")
        with own.cursor() as cursor:
            cursor.execute("SET statement_timeout = '300ms'")
            with pytest.raises(psycopg2.errors.QueryCanceled):
                cursor.execute(sql)
    killed = Interruption(sql, 1, failure("already pending detach", sqlstate="55000"), is_inside=True)
    [finding] = interrupted_upgrade.CHECK.examine(recording(replace(trip("a1"), interruptions=(killed,))))

    complete, stamp = blocks(str(finding.help))
    bench.run_sql(complete)

    assert _alembic(stamp) == "stamp"
    assert bench.rows("SELECT count(*) FROM pg_inherits WHERE inhparent = 'events'::regclass") == [(0,)]
