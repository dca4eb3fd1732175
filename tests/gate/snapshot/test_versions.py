"""The tables in which Alembic keeps the revisions of a database."""

from __future__ import annotations

from app.gate.recording.model import Key, Snapshot
from app.gate.server.database import Database
from app.gate.snapshot.versions import find_version_tables, list_version_tables, read_revisions


def column(table: str, name: str, schema: str = "public") -> Key:
    return Key("column", schema, name, table)


def test_a_version_table_has_one_column_of_that_name() -> None:
    tables = [Key("table", "public", name) for name in ("versions", "alembic_version", "orders", "more")]
    columns = [
        column("versions", "version_num"),
        column("alembic_version", "version_num"),
        column("orders", "id"),
        column("more", "version_num"),
        column("more", "id"),
        column("a_view", "version_num"),
        column("alembic_version", "version_num", "shop"),
    ]
    shop = Key("table", "shop", "alembic_version")

    assert find_version_tables(Snapshot({key: {} for key in (shop, *tables, *columns)})) == [tables[1], tables[0], shop]
    assert find_version_tables(Snapshot({})) == []


def test_revisions_are_read_in_their_order_where_the_role_may(blank_database: Database) -> None:
    with blank_database.connect(autocommit=False) as connection, connection.cursor() as cursor:
        cursor.execute("""
            CREATE SCHEMA "My shop";
            CREATE TABLE "My shop".versions (version_num text);
            CREATE TABLE other (version_num text, id int);
            CREATE TABLE alembic_version (version_num text);
            INSERT INTO "My shop".versions VALUES ('b'), ('a');
            CREATE ROLE no_reader; GRANT SELECT ON "My shop".versions, alembic_version TO no_reader;
            SELECT current_user
            """)
        ((owner,),) = cursor.fetchall()
        versions, empty = Key("table", "My shop", "versions"), Key("table", "public", "alembic_version")
        assert list_version_tables(connection) == {versions: owner, empty: owner}
        assert read_revisions(connection, versions) == ["a", "b"]
        assert read_revisions(connection, empty) == []

        cursor.execute("SET LOCAL ROLE no_reader")
        assert read_revisions(connection, versions) is None
        cursor.execute('RESET ROLE; GRANT USAGE ON SCHEMA "My shop" TO no_reader; SET LOCAL ROLE no_reader')
        assert read_revisions(connection, versions) == ["a", "b"]
        cursor.execute("RESET ROLE; REVOKE SELECT ON alembic_version FROM no_reader; SET LOCAL ROLE no_reader")
        assert read_revisions(connection, empty) is None
        connection.rollback()
