"""`overproof snapshot`: what it prints, that it only reads, and how it refuses."""

import json
import re
from contextlib import nullcontext
from dataclasses import replace
from types import SimpleNamespace

import psycopg2
import pytest

from app.cli import main
from app.gate.commands import snapshot
from app.gate.recording.serialization import digest
from app.gate.server.database import Database
from app.gate.snapshot.read import read, without

SCHEMA = """
    CREATE TABLE alembic_version (version_num varchar(32) PRIMARY KEY);
    INSERT INTO alembic_version VALUES ('3f1c');
    CREATE TABLE orders (id serial PRIMARY KEY, note text);
    CREATE VIEW notes AS SELECT note FROM orders;
"""


def execute(database: Database, statement: str) -> None:
    with database.connect() as connection, connection.cursor() as cursor:
        cursor.execute(statement)


@pytest.fixture
def reader(blank_database):
    """The URL of a role that may connect and look at Alembic's table, and nothing else."""
    role = f"{blank_database.name}_reader"
    execute(blank_database, SCHEMA)
    execute(blank_database, f"CREATE ROLE {role} LOGIN PASSWORD 'p@ss word'; GRANT SELECT ON alembic_version TO {role}")
    yield replace(blank_database, user=role, password="p@ss word").url()
    execute(blank_database, f"DROP OWNED BY {role}; DROP ROLE {role}")


def test_it_prints_the_schema_and_the_revision_without_alembics_table(blank_database, capsys):
    execute(blank_database, SCHEMA)

    status = main(["snapshot", blank_database.url()])

    text = capsys.readouterr().out
    assert text.startswith('{\n "format": "overproof-snapshot/1",\n "database": ')
    assert text.endswith("\n}\n")
    printed = json.loads(text)
    with blank_database.connect() as connection:
        expected = without(read(connection), "public", "alembic_version")
        version = connection.info.parameter_status("server_version").partition(" ")[0]
    assert status == 0
    assert [*printed] == ["format", "database", "postgres", "taken_at", "revisions", "digest", "tables", "objects"]
    assert printed["postgres"] == version
    assert re.fullmatch(r"20\d\d-\d\d-\d\dT\d\d:\d\d:\d\dZ", printed["taken_at"])
    assert printed["format"] == "overproof-snapshot/1"
    assert printed["database"] == blank_database.name
    assert printed["revisions"] == {"public.alembic_version": ["3f1c"]}
    assert printed["digest"] == digest(expected)
    assert [(each["kind"], each["name"]) for each in printed["objects"] if each["schema"] == "public"] == [
        ("view", "notes"),
        ("column", "note"),
        ("table", "orders"),
        ("column", "id"),
        ("column", "note"),
        ("constraint", "orders_pkey"),
        ("sequence", "orders_id_seq"),
    ]


def test_tables_have_the_sizes_that_postgresql_estimates(blank_database, capsys):
    execute(
        blank_database,
        f"""{SCHEMA}
        INSERT INTO orders SELECT n, 'x' FROM generate_series(1, 5000) n;
        CREATE TABLE events (at date) PARTITION BY RANGE (at);
        CREATE TABLE events_1 PARTITION OF events FOR VALUES FROM ('2026-01-01') TO ('2026-02-01');
        CREATE TABLE events_2 PARTITION OF events FOR VALUES FROM ('2026-02-01') TO ('2026-03-01');
        INSERT INTO events SELECT '2026-01-05'::date + n / 40 FROM generate_series(1, 1000) n;
        CREATE TABLE never_counted (id integer);
        ANALYZE orders, events_1, events_2""",
    )

    main(["snapshot", blank_database.url()])

    tables = json.loads(capsys.readouterr().out)["tables"]
    assert tables["public.orders"]["rows"] == 5000
    assert tables["public.orders"]["bytes"] > 100_000
    assert tables["public.events"]["rows"] == 1000
    assert tables["public.events"]["bytes"] == tables["public.events_1"]["bytes"] + tables["public.events_2"]["bytes"]
    assert tables["public.never_counted"]["rows"] is None
    assert tables.keys().isdisjoint({"public.alembic_version", "public.notes"})


def test_it_finds_version_tables_of_any_name(blank_database, capsys):
    execute(
        blank_database,
        "CREATE SCHEMA app; CREATE TABLE app.\"Versions\" (version_num varchar(64)); INSERT INTO app.\"Versions\" VALUES ('b'), ('a');"
        "CREATE TABLE not_alembic (version_num int, more int)",
    )

    main(["snapshot", blank_database.url()])

    assert json.loads(capsys.readouterr().out)["revisions"] == {"app.Versions": ["a", "b"]}


def test_the_url_can_come_from_the_environment(blank_database, capsys, monkeypatch):
    monkeypatch.setenv("DATABASE_URL", blank_database.url("asyncpg"))

    assert main(["snapshot"]) == 0
    assert json.loads(capsys.readouterr().out)["revisions"] == {}


def test_a_role_that_may_do_nothing_but_look_is_enough(reader, blank_database, capsys):
    main(["snapshot", blank_database.url()])
    expected = json.loads(capsys.readouterr().out)

    assert main(["snapshot", reader]) == 0
    printed = json.loads(capsys.readouterr().out)
    assert printed["digest"] == expected["digest"]
    assert printed["revisions"] == {"public.alembic_version": ["3f1c"]}


def test_a_revision_that_the_role_may_not_read_is_unknown(reader, blank_database, capsys):
    execute(blank_database, "REVOKE ALL ON alembic_version FROM PUBLIC, CURRENT_USER")
    execute(blank_database, f"REVOKE ALL ON alembic_version FROM {blank_database.name}_reader")

    assert main(["snapshot", reader]) == 0

    captured = capsys.readouterr()
    assert json.loads(captured.out)["revisions"] == {"public.alembic_version": None}
    assert captured.err == "overproof: the role may not read public.alembic_version, so the revision is unknown\n"


def test_it_only_reads(blank_database, capsys):
    execute(blank_database, SCHEMA)

    def next_transaction_id() -> int:
        """Writing takes a transaction id, reading does not; asking so takes one itself."""
        with blank_database.connect() as connection, connection.cursor() as cursor:
            cursor.execute("SELECT txid_current()")
            return int(cursor.fetchone()[0])

    before = next_transaction_id()
    assert main(["snapshot", blank_database.url()]) == 0

    assert next_transaction_id() == before + 1


def test_it_could_not_write_if_it_wanted_to(blank_database, monkeypatch):
    execute(blank_database, SCHEMA)
    shown = {}

    def read_and_try(connection):
        with connection.cursor() as cursor:
            for setting in ("transaction_read_only", "transaction_isolation", "statement_timeout", "lock_timeout"):
                cursor.execute(f"SHOW {setting}")
                shown[setting] = cursor.fetchone()[0]
            cursor.execute("INSERT INTO alembic_version VALUES ('x')")

    monkeypatch.setattr(snapshot, "read", read_and_try)

    assert main(["snapshot", blank_database.url(), "--timeout", "7"]) == 2
    assert shown == {
        "transaction_read_only": "on",
        "transaction_isolation": "repeatable read",
        "statement_timeout": "7s",
        "lock_timeout": "5s",
    }


def test_a_lock_that_is_held_ends_it_with_one_line(blank_database, capsys, monkeypatch):
    execute(blank_database, SCHEMA)
    monkeypatch.setattr(snapshot, "LOCK_TIMEOUT_S", 0.01)

    with blank_database.connect(autocommit=False) as migration, migration.cursor() as cursor:
        cursor.execute("LOCK TABLE notes, orders IN ACCESS EXCLUSIVE MODE")
        status = main(["snapshot", blank_database.url()])

    assert status == 2
    assert capsys.readouterr().err == (
        "overproof: another session held a lock for too long, for example a running migration"
        " (canceling statement due to lock timeout): try again later\n"
    )


def test_what_is_dropped_under_its_eyes_is_read_again(blank_database, capsys, monkeypatch):
    execute(blank_database, SCHEMA)
    attempts = []

    def fail_once(connection):
        attempts.append(connection)
        if len(attempts) == 1:
            with connection.cursor() as cursor:
                cursor.execute("SELECT 1::oid FROM no_longer_there")
        return read(connection)

    monkeypatch.setattr(snapshot, "read", fail_once)

    assert main(["snapshot", blank_database.url()]) == 0
    assert len(attempts) == 2


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("mysql://ann:s3cret@host/name", "names another database system (mysql)"),
        ("not a url, s3cret", "cannot be read"),
        ("postgresql://ann:s3cret@127.0.0.1:1/name", "no PostgreSQL could be reached at 127.0.0.1:1"),
        ("postgresql://ann:s3c@ret@host/name", "cannot be read"),
    ],
)
def test_a_url_of_no_use_is_refused_in_one_line_without_the_password(url, expected, capsys):
    assert main(["snapshot", url]) == 2

    captured = capsys.readouterr()
    assert captured.out == ""
    assert expected in captured.err
    assert captured.err.count("\n") == 1
    assert "s3c" not in captured.err


@pytest.mark.parametrize(
    ("sqlstates", "attempts", "status"),
    [
        (["42P01", "XX000"], 3, 0),
        (["42P01", "42P01", "42P01", "42P01"], 3, 2),
        (["42P01", "42501"], 2, 2),
        (["57014"], 1, 2),
    ],
)
def test_it_is_read_again_only_where_something_is_gone_and_only_so_often(
    monkeypatch, capsys, sqlstates, attempts, status
):
    isolations = []

    def fail(connection, cursor):
        if sqlstates:
            raise type("Refused", (psycopg2.Error,), {"pgcode": sqlstates.pop(0)})("it is gone")
        return {"revisions": {}, "digest": "ö"}

    def transaction(isolation):
        isolations.append(isolation)
        return nullcontext()

    live = SimpleNamespace(connection=None, transaction=transaction)
    monkeypatch.setattr(snapshot, "live_database", lambda *arguments: nullcontext(live))
    monkeypatch.setattr(snapshot, "_take_with", fail)

    assert main(["snapshot", "postgresql://ann@host/name"]) == status

    assert isolations == ["REPEATABLE READ"] * attempts
    assert capsys.readouterr().out == ("" if status else '{\n "revisions": {},\n "digest": "ö"\n}\n')


def test_a_revision_that_is_unknown_is_said_beside_the_schema(monkeypatch, capsys):
    monkeypatch.setattr(snapshot, "take", lambda *arguments: {"revisions": {"public.a": None, "public.b": ["b2"]}})

    assert main(["snapshot", "postgresql://ann@host/name"]) == 0

    printed = capsys.readouterr()
    assert json.loads(printed.out) == {"revisions": {"public.a": None, "public.b": ["b2"]}}
    assert printed.err == "overproof: the role may not read public.a, so the revision is unknown\n"


def test_without_a_url_it_says_how_to_name_one(capsys, monkeypatch):
    monkeypatch.delenv("DATABASE_URL", raising=False)

    assert main(["snapshot"]) == 2
    assert "overproof snapshot postgresql://user@host/name" in capsys.readouterr().err


def test_a_wrong_password_is_refused_in_one_line(reader, blank_database, capsys):
    try:
        psycopg2.connect(reader.replace("p%40ss%20word", "wr0ng")).close()
        pytest.skip("this server trusts everybody")
    except psycopg2.OperationalError:
        pass

    assert main(["snapshot", reader.replace("p%40ss%20word", "wr0ng")]) == 2

    captured = capsys.readouterr()
    assert "refused the connection: password authentication failed" in captured.err
    assert captured.err.count("\n") == 1
    assert "wr0ng" not in captured.err


@pytest.mark.parametrize(
    ("sqlstate", "message"),
    [
        ("42501", "the schema could not be read: permission denied for table orders"),  # insufficient_privilege
        (None, "the schema could not be read: permission denied for table orders"),
        (
            "55P03",
            "another session held a lock for too long, for example a running migration (permission denied for table",
        ),
        ("57014", "the database did not answer in time (permission denied for table orders): try again,"),
        ("42P01", "the schema kept changing while it was read (permission denied for table orders): try again"),
        ("XX000", "the schema kept changing while it was read (permission denied for table orders): try again"),
    ],
)
def test_each_error_has_its_own_line(sqlstate, message, monkeypatch, capsys):
    class Refused(psycopg2.Error):
        pgcode = sqlstate

    def refuse(keywords, timeout_s):
        raise Refused("permission denied for table orders\nCONTEXT: …")

    monkeypatch.setattr(snapshot, "take", refuse)

    assert main(["snapshot", "postgresql://ann@host/name"]) == 2

    assert capsys.readouterr().err.startswith(f"overproof: {message}")
