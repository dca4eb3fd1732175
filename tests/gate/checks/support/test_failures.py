"""What PostgreSQL really says, and what is made of it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import psycopg2
import pytest

from app.gate.checks.support.failures import exists_already, explain, failure_detail, is_missing
from app.gate.driver.overproof_driver.errors import describe_failure
from app.gate.recording.model import Failure
from app.gate.server.database import Database
from app.gate.server.throwaway import Server

TABLES = """
    CREATE TABLE orders (id int PRIMARY KEY, note text, total int, twice int GENERATED ALWAYS AS (total * 2) STORED);
    CREATE VIEW notes AS SELECT note FROM orders;
    CREATE TABLE hit (id int NOT NULL, day date NOT NULL) PARTITION BY RANGE (day);
    CREATE TABLE hit_1 PARTITION OF hit FOR VALUES FROM ('2025-01-01') TO ('2026-01-01');
    CREATE INDEX ix_hit ON hit (id);
    CREATE TYPE pair AS (a int, b int);
    CREATE TYPE status AS ENUM ('new');
    CREATE TABLE pairs (pair pair);
    CREATE TABLE guarded (owner text);
    CREATE POLICY mine ON guarded USING (owner = current_user)
"""
EXPLAINED = {
    'CREATE EXTENSION "no such extension"': "does not have that extension",
    "CREATE INDEX CONCURRENTLY ON hit (day)": "ON ONLY",
    "DROP INDEX CONCURRENTLY ix_hit": "without CONCURRENTLY",
    "ALTER TABLE hit ADD UNIQUE (id)": "the partition key",
    "CREATE UNIQUE INDEX one ON hit (id, day); ALTER TABLE hit ADD UNIQUE USING INDEX one": "each partition",
    "ALTER TABLE orders ALTER note TYPE varchar(9)": "Drop the view",
    "ALTER TABLE orders ALTER total TYPE bigint": "generated column",
    "ALTER TABLE guarded ALTER owner TYPE varchar(9)": "Drop what uses the column",
    "ALTER TYPE pair ALTER ATTRIBUTE a TYPE bigint": "Create another type",
    "VACUUM orders": "autocommit_block",
    "CREATE TYPE status AS ENUM ('x')": "create_type=False",
    "CREATE TABLE orders ()": "metadata.create_all",
    "GRANT SELECT ON orders TO nobody_at_all": "Roles are created for a whole server",
    "CREATE EXTENSION pgvector": "Is vector meant?",
    "CREATE EXTENSION uuid_ossp": "Is uuid-ossp meant?",
    "CREATE EXTENSION pgroonga": "The server does not have that extension",
    "CREATE EXTENSION postgis": "a service from the image postgis/postgis",
    "CREATE EXTENSION citext VERSION '0.1'": "other versions of citext",
    "CREATE TABLE x (a citext[])": "CREATE EXTENSION IF NOT EXISTS citext'",
    "CREATE TABLE x (a public.geometry(point))": "the extension postgis.",
    "SELECT uuid_generate_v4()": 'CREATE EXTENSION IF NOT EXISTS "uuid-ossp"\'',
    "CREATE INDEX ON orders USING gin (note public.gin_trgm_ops)": "the extension pg_trgm.",
    "CREATE INDEX ON orders USING hnsw (note)": "the extension vector.",
    "CREATE FUNCTION f() RETURNS int LANGUAGE plv8 AS ''": "the extension plv8.",
    "CREATE INDEX ON orders USING gist (note)": "btree_gist",
    "CREATE INDEX ON orders USING gin (note)": "gin_trgm_ops",
    "ALTER TABLE orders ADD EXCLUDE USING gist (id WITH =)": "btree_gist",
    'SELECT note COLLATE "xx_XX.utf8" FROM orders': "has no such locale here",
    'SELECT note COLLATE "xx_XX" FROM orders': "has no such locale here",
    'SELECT note COLLATE "xx-XX-x-icu" FROM orders': "ICU",
    "CREATE COLLATION odd (locale = 'xx_XX.utf8')": "has no such locale here",
    'CREATE TABLE "No such".x ()': 'CREATE SCHEMA IF NOT EXISTS "No such"\'',
    "SET search_path = 'no such'; CREATE TABLE x ()": "search_path",
    "CREATE TABLE x () TABLESPACE fast": "belong to a whole server",
    # Of the same SQLSTATEs, with other causes.
    "SELECT note COLLATE public.ci FROM orders": None,
    "CREATE TABLE x (a our_type)": None,
    "SELECT our_function(1)": None,
    "CREATE INDEX ON pairs USING gist (pair)": None,
    "SAVEPOINT s; SELECT 1; SET TRANSACTION ISOLATION LEVEL SERIALIZABLE": None,
    "ALTER TABLE orders ALTER twice SET DEFAULT 1": None,
    "SELECT other.id FROM orders": None,
    "COPY orders FROM '/no/such/file'": None,
}


@pytest.fixture(scope="module")
def database(server: Server) -> Iterator[Database]:
    database = server.create_database()
    with database.connect() as connection, connection.cursor() as cursor:
        cursor.execute(TABLES)
    yield database
    server.drop_database(database)


@pytest.mark.parametrize(("statement", "words"), EXPLAINED.items(), ids=EXPLAINED)
def test_an_error_is_explained_by_its_words_and_not_by_its_sqlstate(
    statement: str, words: str | None, database: Database
):
    explanation = explain(_failure(statement, database))

    assert explanation is None if words is None else words in str(explanation)


def test_what_does_not_exist_is_told_from_what_was_written_wrongly(database: Database):
    assert is_missing(_failure("SELECT * FROM nothing", database))
    assert is_missing(_failure("ALTER TABLE orders DROP CONSTRAINT nothing", database))
    assert not is_missing(_failure("SELECT other.id FROM orders", database))
    assert not is_missing(_failure("CREATE INDEX ON orders USING gist (note)", database))
    assert exists_already(_failure("CREATE SCHEMA public", database))


def test_detail_hint_and_context_are_shown(database: Database):
    function = "DO $$ BEGIN ALTER TABLE orders ALTER note TYPE varchar(9); END $$"

    shown = str(failure_detail(_failure(function, database)))

    assert 'DETAIL:  rule _RETURN on view notes depends on column "note"' in shown
    assert 'CONTEXT:  SQL statement "ALTER TABLE orders ALTER note TYPE varchar(9)"' in shown


def _failure(statement: str, database: Database) -> Failure:
    with database.connect() as connection, connection.cursor() as cursor:
        connection.autocommit = "CONCURRENTLY" in statement
        with pytest.raises(psycopg2.Error) as raised:
            cursor.execute(statement)
        connection.rollback()
    described: Any = describe_failure(raised.value, None, None)
    return Failure(**described)
