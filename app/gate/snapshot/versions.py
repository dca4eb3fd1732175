"""Alembic's version tables on a live database: which revisions it is at."""

from __future__ import annotations

from app.gate.postgres.quoting import identifier
from app.gate.recording.model import Key, Snapshot
from app.gate.snapshot.read import Connection

# The tables that have the column `version_num` and no other, whatever they are called.
_VERSION_TABLES = """
    SELECT n.nspname, c.relname, pg_catalog.pg_get_userbyid(c.relowner)
    FROM pg_catalog.pg_class AS c JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
    WHERE c.relkind IN ('r', 'p') AND c.relpersistence <> 't'
    AND n.nspname NOT IN ('pg_catalog', 'information_schema')
    AND (SELECT array_agg(a.attname::text) FROM pg_catalog.pg_attribute AS a
         WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped) = ARRAY['version_num']
    ORDER BY 1, 2
"""


def list_version_tables(connection: Connection) -> dict[Key, str]:
    """The tables in which Alembic keeps revisions, with their owners, by the catalog alone."""
    with connection.cursor() as cursor:
        cursor.execute(_VERSION_TABLES)
        return {Key("table", schema, table): owner for schema, table, owner in cursor}


def find_version_tables(snapshot: Snapshot) -> list[Key]:
    """The tables in which Alembic keeps revisions, whatever they are called: those with the column `version_num` and
    no other."""
    columns: dict[tuple[str, str], list[Key]] = {}
    for key in snapshot.objects:
        if key.kind == "column":
            columns.setdefault((key.schema, key.table), []).append(key)
    return sorted(
        Key("table", schema, table)
        for (schema, table), [first, *others] in columns.items()
        if first.name == "version_num" and not others and Key("table", schema, table) in snapshot.objects
    )


def read_revisions(connection: Connection, table: Key) -> list[str] | None:
    """The revisions in that version table, or None if the role may not read it."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT has_schema_privilege(%(schema)s, 'USAGE')"
            " AND has_table_privilege(quote_ident(%(schema)s) || '.' || quote_ident(%(table)s), 'SELECT')",
            {"schema": table.schema, "table": table.name},
        )
        ((is_readable,),) = cursor.fetchall()
        if not is_readable:
            return None
        place = f"{identifier(table.schema)}.{identifier(table.name)}"
        cursor.execute(f"SELECT version_num FROM {place} ORDER BY 1")
        return [str(revision) for (revision,) in cursor]
