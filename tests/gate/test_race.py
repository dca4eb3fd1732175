"""Two upgrades at once, through real processes."""

from __future__ import annotations

import sys
import textwrap
from pathlib import Path

from app.gate.race import race
from app.gate.server import Server
from app.gate.stage import Stage
from tests.gate.projects import ENV, script, target, write_project

TABLE = script("a1", None, "op.create_table('orders', sa.Column('id', sa.Integer, primary_key=True))")
EACH_BY_ITSELF = ENV.replace(
    "target_metadata=metadata)\n", "target_metadata=metadata, transaction_per_migration=True)\n"
)
WITHOUT_END = script("b2", "a1", "op.execute('SELECT pg_sleep(60)')")
TRIES_AGAIN = """
    from alembic.config import main

    try:
        main(["upgrade", "head"])
    except Exception:
        main(["upgrade", "head"])
"""


def test_nobody_waits_for_the_one_that_is_left_after_a_collision(tmp_path: Path, server: Server) -> None:
    place = write_project(tmp_path, {"a1": TABLE, "b2": WITHOUT_END}, env=EACH_BY_ITSELF)

    raced = race(Stage(target(place, timeout_s=300.0), server))

    (failure,) = raced.failures
    assert "psycopg2.errors." in failure.message
    assert raced.schema is None


def test_a_command_that_tries_again_does_not_fail(tmp_path: Path, server: Server) -> None:
    place = write_project(tmp_path, {"a1": TABLE}, env=EACH_BY_ITSELF)
    (place / "migrate.py").write_text(textwrap.dedent(TRIES_AGAIN))

    raced = race(Stage(target(place, sys.executable, "migrate.py"), server))

    assert raced.failures == ()
    assert raced.schema is not None
    assert "orders" in {key.name for key in raced.schema.objects}


def test_an_error_that_each_meets_alone_is_no_collision(tmp_path: Path, server: Server) -> None:
    broken = script("b2", "a1", "op.execute('SELECT nothing')")
    place = write_project(tmp_path, {"a1": TABLE, "b2": broken})

    raced = race(Stage(target(place), server))

    assert {failure.error for failure in raced.failures} == {"CommandFailed"}
    assert raced.schema is not None
