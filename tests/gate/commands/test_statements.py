"""`overproof statements`: what it takes from pg_stat_statements, of which a view stands in here, and how it refuses."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest

from app.cli import main
from app.gate.recording.recorded_statements import RecordedStatement, parse_statements
from app.gate.server.database import Database

SENT = """
    CREATE SCHEMA ext;
    CREATE TABLE ext.sent (userid oid, dbid oid, toplevel bool, query text, calls bigint);
    CREATE VIEW ext.pg_stat_statements AS SELECT * FROM ext.sent;
    INSERT INTO ext.sent SELECT {role}, d.oid, s.toplevel, s.query, s.calls FROM pg_database d, (VALUES
        (true, 'SELECT id FROM orders WHERE id = $1', 5), (true, 'SELECT id FROM orders WHERE id = $1 /* ann */', 4),
        (true, 'INSERT INTO orders (note) VALUES (''secret'')', 3), (true, '  with x as (select $1) select * from x', 3),
        (false, 'UPDATE orders SET note = $1', 9), (true, 'BEGIN', 99), (true, 'CREATE TABLE t (a text DEFAULT ''secret'')', 1),
        (true, 'SELECT * FROM pg_stat_statements', 2),
        (true, 'SELECT n.oid FROM pg_catalog.pg_namespace n', 2), (true, NULL, 2)
    ) AS s (toplevel, query, calls) WHERE d.datname = current_database();
    INSERT INTO ext.sent SELECT 0, oid, true, 'SELECT $1 FROM elsewhere', 7 FROM pg_database WHERE datname <> current_database();
"""


def execute(database: Database, statement: str) -> None:
    with database.connect() as connection, connection.cursor() as cursor:
        cursor.execute(statement)


@pytest.fixture
def role(blank_database: Database) -> Iterator[Database]:
    """The database, as a role with the rights of none but itself connects to it."""
    name = f"{blank_database.name}_watcher"
    execute(blank_database, f"CREATE ROLE {name} LOGIN PASSWORD 'p@ss word'")
    yield replace(blank_database, user=name, password="p@ss word")
    execute(blank_database, f"DROP OWNED BY {name}; DROP ROLE {name}")


def let(blank: Database, role: Database) -> None:
    execute(blank, SENT.format(role=f"'{role.user}'::regrole"))
    execute(blank, f"GRANT USAGE ON SCHEMA ext TO {role.user}; GRANT SELECT ON ext.pg_stat_statements TO {role.user}")


def test_it_prints_what_clients_sent_to_this_database_without_values(blank_database, role, capsys):
    let(blank_database, role)
    execute(blank_database, f"ALTER ROLE {role.user} SET search_path = shop, public")

    status = main(["statements", role.url()])

    printed = capsys.readouterr()
    assert status == 0
    assert "secret" not in printed.out
    path = "shop, public"
    assert parse_statements(printed.out) == (
        RecordedStatement("INSERT INTO orders (note) VALUES ($1)", path),
        RecordedStatement("SELECT id FROM orders WHERE id = $1", path),
        RecordedStatement("with x as (select $1) select * from x", path),
    )
    assert printed.err == f"overproof: 3 statements of {blank_database.name}\n"


def test_statements_of_other_roles_that_cannot_be_seen_are_counted(blank_database, role, capsys):
    let(blank_database, role)
    execute(blank_database, "UPDATE ext.sent SET query = '<insufficient privilege>' WHERE calls = 3")

    assert main(["statements", role.url()]) == 0
    assert (
        f'2 statements of other roles cannot be seen: type GRANT pg_read_all_stats TO "{role.user}"'
        in capsys.readouterr().err
    )

    execute(blank_database, "UPDATE ext.sent SET query = '<insufficient privilege>'")
    assert main(["statements", role.url()]) == 2
    assert "are other roles': type GRANT pg_read_all_stats" in capsys.readouterr().err


def test_a_database_without_the_extension_is_told_how_to_get_it(role, capsys):
    assert main(["statements", role.url()]) == 2

    line = capsys.readouterr().err
    assert "add it to shared_preload_libraries, restart the server" in line
    assert "CREATE EXTENSION pg_stat_statements" in line


def test_a_role_that_may_not_read_the_view_is_told_what_to_grant(blank_database, role, capsys):
    let(blank_database, role)
    execute(blank_database, f"REVOKE SELECT ON ext.pg_stat_statements FROM {role.user}")

    assert main(["statements", role.url()]) == 2
    assert "permission denied for view pg_stat_statements: grant the role pg_read_all_stats" in capsys.readouterr().err


def test_where_nothing_of_use_was_sent_it_says_so(blank_database, role, capsys):
    let(blank_database, role)
    execute(blank_database, "DELETE FROM ext.sent WHERE query <> 'BEGIN' OR query IS NULL")

    assert main(["statements", role.url()]) == 2
    assert "has no statement of" in capsys.readouterr().err


def test_without_a_database_it_says_how_to_name_one(monkeypatch, capsys):
    monkeypatch.delenv("DATABASE_URL", raising=False)

    assert main(["statements"]) == 2
    assert "no database given: overproof statements postgresql://" in capsys.readouterr().err
