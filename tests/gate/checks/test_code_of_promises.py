"""The code that findings about interruptions, partitions, replication and switches print, on tables of several shapes.

It is run on a bare database, line by line as an autocommit block would, over what it is advised for.
"""

from __future__ import annotations

import ast
import textwrap
from collections.abc import Iterator
from dataclasses import replace

import psycopg2
import pytest

from app.gate.checks import breaking_change, interrupted_upgrade, lock_pileup, not_validated
from app.gate.checks.base import Finding
from app.gate.recording.model import Interruption, Key
from app.gate.server.database import Database
from tests.gate.checks.builders import added, failure, key, recording, snapshot, statement, trip

TABLES = """
    CREATE SCHEMA "My Shop";
    CREATE TABLE orders (note text, tags text[]);
    CREATE TABLE "My Shop"."Orders" (note text, "Note" text);
    CREATE TABLE events (day date, note text) PARTITION BY RANGE (day);
    CREATE TABLE "Events 2025" PARTITION OF events FOR VALUES FROM ('2025-01-01') TO ('2026-01-01') PARTITION BY LIST (note);
    CREATE TABLE events_2025_a PARTITION OF "Events 2025" DEFAULT;
    CREATE TABLE events_2026 PARTITION OF events FOR VALUES FROM ('2026-01-01') TO ('2027-01-01');
    CREATE TABLE old_orders () INHERITS (orders);
    CREATE MATERIALIZED VIEW notes AS SELECT note FROM orders;
"""


class Session:
    """A connection on which each statement commits by itself."""

    def __init__(self, database: Database) -> None:
        self.connection = psycopg2.connect(database.url())
        self.connection.autocommit = True

    def run(self, sql: str) -> None:
        with self.connection.cursor() as cursor:
            cursor.execute(sql)

    def run_code(self, finding: Finding) -> None:
        """Run what the finding's help tells to execute."""
        for sql in executed(str(finding.help)):
            self.run(sql)

    def ask(self, sql: str) -> object:
        with self.connection.cursor() as cursor:
            cursor.execute(sql)
            (value,) = cursor.fetchone() or (None,)
            return value


def executed(text: str) -> list[str]:
    """The statements of the `op.execute` in a text."""
    code = "\n".join(line for line in text.splitlines() if line.startswith("    "))
    calls = [node for node in ast.walk(ast.parse(textwrap.dedent(code))) if isinstance(node, ast.Call)]
    statements = [node for node in calls if isinstance(node.func, ast.Attribute) and node.func.attr == "execute"]
    return [ast.literal_eval(node.args[0]) for node in sorted(statements, key=lambda node: node.lineno)]


@pytest.fixture
def session(blank_database: Database) -> Iterator[Session]:
    session = Session(blank_database)
    session.run(TABLES)
    yield session
    session.connection.close()


def test_a_build_is_repeated_over_what_a_failed_one_has_left(session: Session) -> None:
    builds = [
        "CREATE UNIQUE INDEX CONCURRENTLY ux ON orders (note)",
        'CREATE UNIQUE INDEX CONCURRENTLY "Ux 1" ON ONLY orders (lower(note)) WHERE note IS NOT NULL;',
        'create unique index concurrently IF NOT EXISTS "Ux" on "My Shop"."Orders" using btree (note, "Note")',
        "CREATE UNIQUE INDEX CONCURRENTLY ux_2025 ON events_2025_a (note)",
        "CREATE UNIQUE INDEX CONCURRENTLY IF NOT EXISTS ux_notes ON notes (note)",
    ]
    session.run("INSERT INTO orders (note) SELECT 'x' FROM generate_series(1, 2); REFRESH MATERIALIZED VIEW notes")
    session.run("""INSERT INTO "My Shop"."Orders" SELECT 'x', 'y' FROM generate_series(1, 2)""")
    session.run("INSERT INTO events SELECT '2025-05-05', 'x' FROM generate_series(1, 2)")
    for sql in builds:
        with pytest.raises(psycopg2.errors.UniqueViolation):
            session.run(sql)
    session.run('TRUNCATE orders, events, "My Shop"."Orders"; REFRESH MATERIALIZED VIEW notes')

    exists = failure("exists already", sqlstate="42P07")
    killed = Interruption(builds[0], 1, exists, is_inside=True)
    of_all = trip("a1", statements=[statement(sql, transactional=False) for sql in builds])
    [finding] = interrupted_upgrade.examine(recording(replace(of_all, interruptions=(killed,))))
    session.run_code(finding)

    assert len(executed(str(finding.help))) == 2 * len(builds)
    assert session.ask("SELECT count(*) FROM pg_index WHERE NOT indisvalid") == 0
    assert session.ask("SELECT count(*) FROM pg_class WHERE relname ILIKE 'ux%'") == len(builds)


def test_the_copy_that_a_cancelled_reindex_left_is_dropped_before_the_next(session: Session) -> None:
    session.run('CREATE INDEX "Ix" ON "My Shop"."Orders" (note); CREATE INDEX "Ix_ccnew" ON "My Shop"."Orders" (note)')
    copy = Key("index", "My Shop", "Ix_ccnew", "Orders")
    killed = Interruption('REINDEX TABLE CONCURRENTLY "My Shop"."Orders";', 1, None, is_inside=True, invalid=(copy,))

    [finding] = interrupted_upgrade.examine(recording(replace(trip("a1"), interruptions=(killed,))))
    session.run_code(finding)

    assert session.ask("SELECT array_agg(relname::text) FROM pg_class WHERE relname LIKE 'Ix%'") == ["Ix"]


@pytest.mark.parametrize("partition", ["events_2026", '"Events 2025"', 'public."Events 2025"'])
def test_a_partition_is_detached_concurrently(session: Session, partition: str) -> None:
    locks = {"events": "AccessExclusiveLock"}
    plain = statement(f"ALTER TABLE events DETACH PARTITION {partition};", locks=locks)

    [finding] = lock_pileup.examine(recording(trip(statements=[plain])))
    session.run_code(finding)

    assert session.ask("SELECT count(*) FROM pg_inherits WHERE inhparent = 'events'::regclass") == 1


def test_a_published_table_without_a_key_can_be_written_again(session: Session) -> None:
    session.run('CREATE PUBLICATION feed FOR TABLE "My Shop"."Orders"')
    session.run("""INSERT INTO "My Shop"."Orders" VALUES ('x')""")
    change = 'UPDATE "My Shop"."Orders" SET note = NULL'
    with pytest.raises(psycopg2.errors.ObjectNotInPrerequisiteState, match="does not have a replica identity"):
        session.run(change)
    feed = key("publication", "feed", schema="")
    publishes = {"publish": "insert, update, delete, truncate", "tables": ['"My Shop"."Orders"']}
    head = snapshot({key("table", "Orders", schema="My Shop"): {}, feed: publishes})

    [finding] = breaking_change.examine(recording(trip(changes=[added(feed, **publishes)]), head=head))
    session.run_code(replace(finding, help=str(finding.help).partition("If no running code")[0].rstrip()))

    session.run(change)


def test_what_was_switched_off_is_switched_on_again(session: Session) -> None:
    session.run(
        "CREATE FUNCTION touch() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';"
        'CREATE TRIGGER "Touch" BEFORE UPDATE ON "My Shop"."Orders" FOR EACH ROW EXECUTE FUNCTION touch();'
        'ALTER TABLE "My Shop"."Orders" DISABLE TRIGGER "Touch", SET (autovacuum_enabled = off)'
    )
    head = snapshot(
        {
            Key("trigger", "My Shop", "Touch", "Orders"): {"enabled": "never"},
            Key("table", "My Shop", "Orders"): {"options": ["autovacuum_enabled=off"]},
        }
    )

    for finding in not_validated.examine(recording(head=head)):
        session.run_code(finding)

    assert session.ask("SELECT tgenabled FROM pg_trigger WHERE tgname = 'Touch'") == "O"
    assert session.ask("SELECT reloptions FROM pg_class WHERE relname = 'Orders'") is None
