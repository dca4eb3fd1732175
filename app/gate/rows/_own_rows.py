"""Rows of a project's own, from `overproof_rows/<revision>.sql`."""

from __future__ import annotations

import json

from app.gate.recording.model import Failure
from app.gate.rows.connection import RowConnection

_INSERTED = """
SELECT coalesce(json_object_agg(n.nspname || '.' || c.relname, pg_stat_get_xact_tuples_inserted(c.oid)), '{}')::text
FROM pg_catalog.pg_class AS c JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
WHERE c.relkind IN ('r', 'p') AND c.oid >= 16384 AND c.relpersistence <> 't'
"""


def load(connection: RowConnection, script: str) -> dict[str, int] | Failure:
    """Run the script. Returns how many rows went into which tables; what fails leaves none. Raises QueryRefused."""
    earlier = json.loads(connection.ask(_INSERTED))
    connection.execute(["SAVEPOINT overproof_own"])
    failure = connection.load(script)
    if failure is None:
        failure = connection.execute(["SET CONSTRAINTS ALL IMMEDIATE"])
    if failure is not None:
        connection.execute(["ROLLBACK TO SAVEPOINT overproof_own"])
        return failure
    connection.execute(["RELEASE SAVEPOINT overproof_own"])
    later: dict[str, int] = json.loads(connection.ask(_INSERTED))
    return {name: more for name, count in later.items() if (more := count - earlier.get(name, 0)) > 0}
