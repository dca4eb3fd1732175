"""With DATABASE_URL naming a server, the main job works there and leaves the database that it names as it was."""

from __future__ import annotations

import subprocess

from app.gate.server.binaries import find_binaries
from app.gate.server.database import Database
from tests.migrations.conftest import Repository


def test_the_named_database_is_byte_for_byte_what_it_was(blank_database: Database, repository: Repository):
    with blank_database.connect() as connection, connection.cursor() as cursor:
        # The names that our own migrations use, so that a slip would show.
        cursor.execute("CREATE TABLE project (id int PRIMARY KEY, name text)")
        cursor.execute("INSERT INTO project SELECT n, 'of another application' FROM generate_series(1, 1000) AS n")
        cursor.execute("CREATE TABLE alembic_version (version_num text)")
        cursor.execute("INSERT INTO alembic_version VALUES ('of another application')")
    before, databases = dump(blank_database), names_of_databases(blank_database)

    verdict = repository.verify(blank_database.url())

    assert verdict.status == 0, verdict.output
    assert dump(blank_database) == before
    assert names_of_databases(blank_database) == databases


def dump(database: Database) -> str:
    return subprocess.run(
        # Without a key of its own pg_dump draws one for each dump.
        [find_binaries().directory / "pg_dump", "--restrict-key=none", "--dbname", database.url()],
        check=True,
        capture_output=True,
        text=True,
    ).stdout


def names_of_databases(database: Database) -> set[str]:
    with database.connect() as connection, connection.cursor() as cursor:
        cursor.execute("SELECT datname FROM pg_database")
        return {name for (name,) in cursor.fetchall()}
