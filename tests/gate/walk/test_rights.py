"""Migrations run as an ordinary role: what PostgreSQL refuses to it is noted, and repeated with a superuser's rights."""

from __future__ import annotations

import pytest

from app.gate.checks import upgrade
from app.gate.checks.pages import page_of
from app.gate.recorder import record
from app.gate.recording.model import Evidence, RoundTrip, Step
from app.gate.server.throwaway import Server
from app.gate.target.runner import TargetRunner
from app.gate.walk.plan import RecordingPlan
from app.gate.walk.run import walk_all
from tests.gate.projects import ENV, script, target, write_project
from tests.gate.trips import completed

SHOP = """
    op.execute("CREATE TABLE team (id integer PRIMARY KEY)")
    op.execute("CREATE TABLE member (id integer PRIMARY KEY, team_id integer REFERENCES team)")
    op.execute("CREATE TABLE secret (id integer PRIMARY KEY, note text)")
"""
DROP_SHOP = 'op.execute("DROP TABLE member, team, secret")'
TRIGGERS = """
    op.execute("ALTER TABLE member DISABLE TRIGGER ALL")
    op.execute("INSERT INTO member SELECT -id, id FROM team")
    op.execute("ALTER TABLE member ENABLE TRIGGER ALL")
"""
SWALLOWED = """
    try:
        with op.get_bind().begin_nested():
            op.execute("ALTER TABLE team DISABLE TRIGGER ALL")
    except sa.exc.ProgrammingError:
        op.execute("CREATE TABLE never (id integer)")
    try:
        with op.get_bind().begin_nested():
            op.execute("ALTER TABLE nowhere ADD COLUMN note text")
    except sa.exc.ProgrammingError:
        pass
"""
COMMITTED = """
    with op.get_context().autocommit_block():
        op.execute("CREATE PUBLICATION everything FOR ALL TABLES")
        op.execute("CREATE INDEX CONCURRENTLY ix_team ON team (id)")
    op.execute("ALTER TABLE team DISABLE TRIGGER ALL")
"""
COMMITTED_BACK = """
    op.execute("DROP INDEX ix_team")
    op.execute("DROP PUBLICATION everything")
    op.execute("ALTER TABLE team ENABLE TRIGGER ALL")
"""
GIVEN_AWAY = """
    op.execute("CREATE ROLE rights_app")
    op.execute("ALTER TABLE team OWNER TO rights_app")
    op.execute("ALTER TABLE team ADD COLUMN note text")
"""
TAKEN_BACK = """
    op.execute("ALTER TABLE team DROP COLUMN note")
    op.execute("ALTER TABLE team OWNER TO CURRENT_USER")
    op.execute("DROP ROLE rights_app")
"""
OWN_ROLE = """
    op.execute("CREATE ROLE rights_reader")
    op.execute("GRANT rights_reader TO CURRENT_USER")
    op.execute("SET ROLE rights_reader")
    try:
        with op.get_bind().begin_nested():
            op.execute("SELECT * FROM secret")
    except sa.exc.ProgrammingError:
        pass
    op.execute("RESET ROLE")
"""
FORCED = """
    op.execute("ALTER TABLE secret ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY")
    op.execute("UPDATE secret SET note = 'x'")
"""
FORCED_BACK = 'op.execute("ALTER TABLE secret DISABLE ROW LEVEL SECURITY, NO FORCE ROW LEVEL SECURITY")'
BARE_CURSOR = """
    cursor = op.get_bind().connection.cursor()
    cursor.execute("ALTER TABLE member DISABLE TRIGGER ALL")
"""
ADVISED = """
    op.execute("CREATE ROLE app")
    op.execute("CREATE TABLE orders (id integer PRIMARY KEY REFERENCES secret)")
    op.execute("GRANT app TO CURRENT_USER")
    op.execute("GRANT CREATE ON SCHEMA public TO app")
    op.execute("ALTER TABLE orders DISABLE TRIGGER USER")
    op.execute("ALTER TABLE orders OWNER TO app")
    op.execute("CREATE PUBLICATION one FOR TABLE secret")
    op.execute("CREATE EXTENSION IF NOT EXISTS amcheck")
"""
ADVISED_BACK = """
    op.execute("DROP TABLE orders")
    op.execute("REVOKE CREATE ON SCHEMA public FROM app")
    op.execute("DROP ROLE app")
    op.execute("DROP PUBLICATION one")
"""


@pytest.fixture(scope="module")
def trips(server: Server, tmp_path_factory: pytest.TempPathFactory) -> dict[str, RoundTrip]:
    """One history with all of it."""
    if server.ordinary is None:
        pytest.skip("on a given server, the role in its URL runs the migrations")
    revisions = {
        "shop": (SHOP, DROP_SHOP),
        "triggers": (TRIGGERS, 'op.execute("DELETE FROM member WHERE id < 0")'),
        "swallowed": (SWALLOWED, 'op.execute("ALTER TABLE team ENABLE TRIGGER ALL")'),
        "committed": (COMMITTED, COMMITTED_BACK),
        "given_away": (GIVEN_AWAY, TAKEN_BACK),
        "own_role": (OWN_ROLE, 'op.execute("DROP ROLE rights_reader")'),
        "extension": ('op.execute("CREATE EXTENSION amcheck")', 'op.execute("DROP EXTENSION amcheck")'),
        "advised": (ADVISED, ADVISED_BACK),
        "forced": (FORCED, FORCED_BACK),
        "downgrade": ("pass", 'op.execute("ALTER TABLE team ENABLE TRIGGER ALL")'),
        "bare_cursor": (BARE_CURSOR, 'op.execute("ALTER TABLE member ENABLE TRIGGER ALL")'),
    }
    scripts, below = {}, None
    for name, (up, down) in revisions.items():
        scripts[name] = script(name, below, up, down)
        below = name
    place = write_project(tmp_path_factory.mktemp("rights"), scripts)
    runner = TargetRunner(target(place), server)
    evidence = frozenset({Evidence.LOCKS, Evidence.POPULATED})
    try:
        (walk,) = walk_all(runner, RecordingPlan(evidence=evidence))
    finally:
        runner.return_rights()
    return walk.trips


def refused(step: Step | None) -> list[str]:
    assert step is not None
    assert step.failure is None
    return [str(failure.sql) for failure in step.refused]


def test_what_an_ordinary_role_may_do_is_not_noted(trips):
    assert refused(trips["shop"].up) == refused(trips["shop"].down) == []


def test_a_refused_statement_is_repeated_and_the_rest_of_its_transaction_runs_as_the_ordinary_role(trips):
    up = trips["triggers"].up

    assert refused(up) == ["ALTER TABLE member DISABLE TRIGGER ALL", "ALTER TABLE member ENABLE TRIGGER ALL"]
    assert "is a system trigger" in up.refused[0].message
    assert [failure.line for failure in up.refused] == [10, 12]
    assert [statement.sql.split()[0] for statement in up.statements] == ["ALTER", "INSERT", "ALTER"]
    assert "ShareRowExclusiveLock" in up.statements[0].locks["public.member"]


def test_the_second_upgrade_over_rows_is_repeated_too(trips):
    populated = trips["triggers"].populated

    assert populated is not None
    assert refused(populated.step) == refused(trips["triggers"].up)
    assert populated.tables["public.team"] > 0


def test_a_refusal_that_the_script_would_swallow_is_repeated_and_another_error_is_noted(trips):
    up = trips["swallowed"].up

    assert refused(up) == ["ALTER TABLE team DISABLE TRIGGER ALL"]
    assert [(failure.sqlstate, failure.line) for failure in up.swallowed] == [("42P01", 17)]
    assert "nowhere" in up.swallowed[0].message
    assert not any(change.key.name == "never" for change in up.changes)


def test_outside_of_a_transaction_and_after_one_that_was_committed_it_is_repeated_in_its_place(trips):
    assert refused(trips["committed"].up) == [
        "CREATE PUBLICATION everything FOR ALL TABLES",
        "ALTER TABLE team DISABLE TRIGGER ALL",
    ]
    assert completed(trips["committed"]).second_up.failure is None


def test_what_was_given_to_a_role_can_be_changed_further_on(trips):
    assert refused(trips["given_away"].up) == ["ALTER TABLE team OWNER TO rights_app"]


def test_what_is_refused_to_a_role_that_the_script_has_chosen_is_left_to_the_script(trips):
    up = trips["own_role"].up

    assert refused(up) == []
    assert [failure.sqlstate for failure in up.swallowed] == ["42501"]


def test_an_extension_that_was_created_that_way_can_be_dropped_by_the_ordinary_role(trips):
    assert refused(trips["extension"].up) == ["CREATE EXTENSION amcheck"]
    assert refused(trips["extension"].down) == []


def test_what_the_advice_says_needs_no_superuser(trips):
    documentation = page_of(upgrade.CHECK).sections["How to fix"]

    assert refused(trips["advised"].up) == refused(trips["advised"].down) == []
    for line in ADVISED.splitlines():
        assert any(word in line for word in ("CREATE", "PUBLICATION")) or line.strip() in documentation


def test_rows_behind_forced_row_security_are_not_lost(trips):
    populated = trips["forced"].populated

    assert populated is not None
    assert populated.tables["public.secret"] > 0
    assert populated.lost_upwards == populated.lost_downwards == ()


def test_a_downgrade_is_repeated_where_it_is_refused(trips):
    assert refused(trips["downgrade"].down) == ["ALTER TABLE team ENABLE TRIGGER ALL"]


def test_where_the_driver_does_not_reach_the_role_becomes_a_superuser_s(trips):
    up = trips["bare_cursor"].up

    assert up.failure is None
    assert [failure.sqlstate for failure in up.refused] == ["42501"]


def test_a_command_that_needs_it_to_get_to_alembic_is_run_as_a_superuser(server, tmp_path):
    if server.ordinary is None:
        pytest.skip("on a given server, the role in its URL runs the migrations")

    connecting = "with engine.connect() as connection:\n"
    env = ENV.replace(
        connecting,
        f'{connecting}            connection.exec_driver_sql("CREATE EXTENSION amcheck")\n            connection.commit()\n',
    )
    place = write_project(tmp_path, {"a1": script("a1", None)}, env=env)

    (recording,) = record(target(place), server, evidence=frozenset())

    assert 'permission denied to create extension "amcheck"' in str(recording.refused_before_alembic)
    assert recording.trips[0].up is not None


COMPARES_RIGHTS = ENV.replace(
    "if context.is_offline_mode():",
    """from alembic.autogenerate import comparators
    from alembic.operations import ops
    from sqlalchemy import text


    @comparators.dispatch_for("schema")
    def compare_rights(autogenerate, upgrade, schemas):
        is_superuser = "SELECT rolsuper FROM pg_roles WHERE rolname = current_user"
        if not autogenerate.connection.scalar(text(is_superuser)):
            upgrade.ops.append(ops.DropTableOp("seen_by_an_ordinary_role_alone"))


    metadata = MetaData()
    if context.is_offline_mode():""",
    1,
)


def test_what_an_extension_compares_it_compares_as_where_autogenerate_is_run(server, tmp_path):
    revision = script("a1", None, "op.execute('CREATE ROLE rights_none')", "op.execute('DROP ROLE rights_none')")
    write_project(tmp_path, {"a1": revision}, env=COMPARES_RIGHTS)

    [recording] = record(target(tmp_path), server, evidence=frozenset({Evidence.DRIFT}))

    assert recording.drift == ()
    with server.create_database().connect() as connection, connection.cursor() as cursor:
        cursor.execute("SELECT rolsuper FROM pg_roles WHERE rolname = 'postgres'")
        assert cursor.fetchone() == (False,)
