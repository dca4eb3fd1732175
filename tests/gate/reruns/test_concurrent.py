"""Two concurrent upgrades, in real processes."""

from __future__ import annotations

import sys
import textwrap
from pathlib import Path
from typing import NoReturn

import pytest

from app.gate.errors import ServerUnavailable
from app.gate.reruns._concurrent import _TwoRuns, upgrade_concurrently
from app.gate.server.throwaway import Server
from app.gate.target.runner import TargetRunner
from tests.gate.projects import ENV, script, target, write_project

TABLE = script("a1", None, "op.create_table('orders', sa.Column('id', sa.Integer, primary_key=True))")
EACH_IN_ITS_TRANSACTION = ENV.replace(
    "target_metadata=metadata)\n", "target_metadata=metadata, transaction_per_migration=True)\n"
)
AFTER_IT = script("b2", "a1", "op.execute('CREATE TABLE late ()')")
TRIES_AGAIN = """
    from alembic.config import main

    try:
        main(["upgrade", "head"])
    except Exception:
        main(["upgrade", "head"])
"""


def test_the_one_that_is_left_after_a_collision_gets_to_head(tmp_path: Path, server: Server) -> None:
    place = write_project(tmp_path, {"a1": TABLE, "b2": AFTER_IT})

    upgrade = upgrade_concurrently(TargetRunner(target(place), server))

    (failure,) = upgrade.failures
    assert "psycopg2.errors." in failure.message
    assert {"orders", "late"} <= {key.name for key in upgrade.schema.objects}


def test_a_command_that_tries_again_does_not_fail(tmp_path: Path, server: Server) -> None:
    place = write_project(tmp_path, {"a1": TABLE}, env=EACH_IN_ITS_TRANSACTION)
    (place / "migrate.py").write_text(textwrap.dedent(TRIES_AGAIN))

    upgrade = upgrade_concurrently(TargetRunner(target(place, sys.executable, "migrate.py"), server))

    assert upgrade.failures == ()
    assert "orders" in {key.name for key in upgrade.schema.objects}


def test_an_error_of_a_script_ends_both(tmp_path: Path, server: Server) -> None:
    broken = script("b2", "a1", "op.execute('SELECT nothing')")
    place = write_project(tmp_path, {"a1": TABLE, "b2": broken})

    upgrade = upgrade_concurrently(TargetRunner(target(place), server))

    assert [failure.error for failure in upgrade.failures] == ["CommandFailed", "CommandFailed"]
    assert "orders" not in {key.name for key in upgrade.schema.objects}


def test_two_that_wait_for_their_own_locks_are_ended(
    tmp_path: Path, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.gate.target.runner.LONG_START_S", 1.0)
    creates_all = """
        import os

        with sa.create_engine(os.environ["DATABASE_URL"]).begin() as connection:
            connection.execute(sa.text("CREATE TABLE orders (id integer)"))
    """
    place = write_project(tmp_path, {"a1": TABLE, "b2": script("b2", "a1", creates_all)})

    upgrade = upgrade_concurrently(TargetRunner(target(place, timeout_s=2.0), server))

    assert "for 2 s it did nothing, and did not end" in [failure.message for failure in upgrade.failures]


def test_a_walk_that_never_asks_for_the_revision_is_not_waited_for(tmp_path: Path, server: Server) -> None:
    place = write_project(tmp_path, {"a1": TABLE})
    purges = 'from alembic.config import main\n\nmain(["stamp", "--purge", "base"])\nmain(["upgrade", "head"])\n'
    (place / "migrate.py").write_text(purges)

    upgrade = upgrade_concurrently(TargetRunner(target(place, sys.executable, "migrate.py"), server))

    assert not [failure for failure in upgrade.failures if "did nothing" in failure.message]
    assert "orders" in {key.name for key in upgrade.schema.objects}


def test_a_lost_server_is_no_finding(tmp_path: Path, server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    place = write_project(tmp_path, {"a1": TABLE})

    def refuse(*_: object) -> NoReturn:
        raise ServerUnavailable("the server is gone")

    monkeypatch.setattr(_TwoRuns, "_excludes_other", refuse)  # which the first of the two asks in any case

    with pytest.raises(ServerUnavailable, match="the server is gone"):
        upgrade_concurrently(TargetRunner(target(place), server))
