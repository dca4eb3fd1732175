"""`overproof statements`: what it takes from pg_stat_statements, of which a view stands in here, and how it refuses."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from typing import Any

import psycopg2
import pytest

from app.cli import main
from app.gate.commands import statements
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
    with blank_database.connect() as connection:
        major = connection.server_version // 10_000
    assert printed.out.startswith(
        "-- overproof-statements/1\n"
        f"-- What the database {blank_database.name} is sent, of pg_stat_statements, without values.\n"
        f"-- For `overproof verify --statements FILE`: a statement that its schema (PostgreSQL {major}) refuses already counts for\n"
        "-- nothing. Records can be taken out.\n"
    )


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
    assert capsys.readouterr().err == (
        "overproof: no database given: overproof statements postgresql://user@host/name, or set DATABASE_URL\n"
    )


class Server:
    """In place of a live database: it answers each query from what it has of that kind."""

    major = 17

    def __init__(self, sent: Sequence[tuple[int, str]], paths: Sequence[tuple[int, str]] = (), error: str = "") -> None:
        self.answers: dict[str, Sequence[tuple[Any, ...]]] = {
            "SELECT current_database()": [("shop", "watcher")],
            "SELECT n.nspname": [("ext",)],
            "SELECT s.setrole": paths,
            "SELECT s.userid": sent,
        }
        self.error, self.queries = error, list[str]()

    def transaction(self, isolation: str) -> AbstractContextManager[Server]:
        return nullcontext(self)

    def execute(self, query: str) -> None:
        self.queries.append(query)
        if self.error:
            raise type("Refused", (psycopg2.Error,), {"pgcode": self.error})("it was refused\nCONTEXT: …")

    def fetchall(self) -> Sequence[tuple[Any, ...]]:
        return [row for start, rows in self.answers.items() if self.queries[-1].startswith(start) for row in rows]

    def fetchone(self) -> tuple[Any, ...] | None:
        return next(iter(self.fetchall()), None)


def of_server(monkeypatch: pytest.MonkeyPatch, server: Server, *words: str) -> int:
    monkeypatch.setattr(statements, "live_database", lambda keywords, timeout_s: nullcontext(server))
    return main(["statements", "postgresql://ann@host/shop", *words])


@pytest.mark.parametrize(
    ("text", "is_taken"),
    [
        ("SELECT 1 FROM orders", True),
        ("((SELECT a FROM orders) UNION SELECT b FROM lines)", True),
        ("MERGE INTO orders USING lines ON true WHEN MATCHED THEN DO NOTHING", True),
        ("DELETE FROM orders", True),
        ("UPDATE orders SET a = b", True),
        ("VALUES (a)", True),
        ("TABLE orders", True),
        ("SELECT set_config(a), b FROM orders", True),
        ("SELECT current_database(), current_user", False),
        ("SELECT set_config(a, b, c)", False),
        ("SELECT set_config(a, b, c), set_config(d, e, f)", False),
        ("SELECT a FROM pg_catalog.pg_class", False),
        ("SELECT a FROM ext.pg_stat_statements", False),
        ("SELECTED", False),
        ("VACUUM orders", False),
        (f"SELECT a{' ' * 99_992}", True),
        (f"SELECT a{' ' * 99_993}", False),
    ],
)
def test_what_an_application_sends_is_told_from_what_tools_do(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], text: str, is_taken: bool
) -> None:
    server = Server([(7, text)])

    assert of_server(monkeypatch, server) == (0 if is_taken else 2)

    assert ("-- overproof: statement\n" in capsys.readouterr().out) is is_taken
    assert "left(s.query, 100001)" in server.queries[-1]
    assert server.queries[-1].endswith(" ORDER BY s.calls DESC LIMIT 10000")


def test_statements_are_sorted_and_each_has_the_search_path_of_its_role_or_that_of_all(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    sent = [
        (8, "SELECT b FROM orders"),
        (7, "SELECT b FROM orders"),
        (8, "SELECT a FROM orders"),
        (8, "SELECT a FROM orders"),
    ]

    assert of_server(monkeypatch, Server(sent, [(7, "shop"), (0, "public")])) == 0

    assert [(each.search_path, each.sql) for each in parse_statements(capsys.readouterr().out)] == [
        ("public", "SELECT a FROM orders"),
        ("public", "SELECT b FROM orders"),
        ("shop", "SELECT b FROM orders"),
    ]


HIDDEN = (7, "<insufficient privilege>")
HOW = 'type GRANT pg_read_all_stats TO "watcher", as a superuser'
USELESS = (
    "pg_stat_statements has no statement of shop that reads or writes rows (2 of other kinds): name the database that the"
    " application uses, or wait until it has worked for a while"
)


@pytest.mark.parametrize(
    ("sent", "line"),
    [
        ([HIDDEN], f"the texts of all 1 statement are other roles': {HOW}"),
        (
            [(7, "BEGIN"), (7, "COMMIT")],
            USELESS,
        ),
    ],
)
def test_why_there_is_nothing_of_use_is_one_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], sent: Sequence[tuple[int, str]], line: str
) -> None:
    assert of_server(monkeypatch, Server(sent)) == 2

    assert capsys.readouterr() == ("", f"overproof: {line}\n")


def test_what_cannot_be_seen_is_said_before_what_was_taken(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert of_server(monkeypatch, Server([HIDDEN, HIDDEN, (7, "SELECT a FROM orders")])) == 0

    assert capsys.readouterr().err == (
        f"overproof: 2 statements of other roles cannot be seen: {HOW}\noverproof: 1 statement of shop\n"
    )


def test_without_the_view_it_is_said_how_to_get_it(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    server = Server([])
    server.answers["SELECT n.nspname"] = []

    assert of_server(monkeypatch, server) == 2

    assert capsys.readouterr().err == (
        "overproof: the database shop has no pg_stat_statements: add it to shared_preload_libraries, restart the server (hosted ones"
        " have a setting for it), and type CREATE EXTENSION pg_stat_statements; then let it run for a while\n"
    )


@pytest.mark.parametrize(
    ("sqlstate", "line"),
    [
        ("55000", "it was refused: add it there, and restart the server; the extension alone records nothing"),
        ("42501", "it was refused: grant the role pg_read_all_stats and SELECT on pg_stat_statements"),
        ("57014", "the database did not answer in time (it was refused): try again, or use a longer --timeout"),
        ("XX000", "the statements could not be read: it was refused"),
    ],
)
def test_each_error_has_its_own_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], sqlstate: str, line: str
) -> None:
    assert of_server(monkeypatch, Server([], error=sqlstate)) == 2

    assert capsys.readouterr() == ("", f"overproof: {line}\n")
