"""The SQL with which the observer reads relations, locks and counters.

It holds neither percent signs nor parameters, which every database driver writes in its own way.
"""

from __future__ import annotations

# Relations that are not the system's: 16384 is FirstNormalObjectId (src/include/access/transam.h). The table that a
# TOAST table belongs to is in its name, pg_toast_16385, which saves a join.
RELATIONS = """
SELECT c.oid::bigint, c.relkind::text, n.nspname::text, c.relname::text,
       coalesce(i.indrelid, h.inhparent, CASE c.relkind WHEN 't' THEN substr(c.relname, 10)::oid END, 0)::bigint,
       coalesce(pg_relation_filenode(c.oid), 0)::bigint, (c.relpersistence = 't')::int
FROM pg_class c
JOIN pg_namespace n ON n.oid = c.relnamespace
LEFT JOIN pg_index i ON i.indexrelid = c.oid
LEFT JOIN pg_inherits h ON h.inhrelid = c.oid AND h.inhseqno = 1
WHERE c.oid >= 16384 AND c.relkind IN ('r', 'p', 'm', 'i', 'I', 't', 'f', 'S', 'v')
"""
# A row of pg_class that a transaction wrote bears its id. What is older than the last reading need not be read again.
_CHANGED = RELATIONS + "AND age(c.xmin) <= age($1)"
# Scans of a relation, rows inserted, updated and deleted, and rows updated. An index has its own scans.
_COUNTERS = """
coalesce(pg_stat_get_xact_numscans({oid}), 0)::bigint,
(coalesce(pg_stat_get_xact_tuples_inserted({oid}), 0)
 + coalesce(pg_stat_get_xact_tuples_updated({oid}), 0)
 + coalesce(pg_stat_get_xact_tuples_deleted({oid}), 0))::bigint,
coalesce(pg_stat_get_xact_tuples_updated({oid}), 0)::bigint
"""
# OFFSET 0 keeps the planner from reading all of pg_class for a handful of locks. A relation that is gone has only its
# lock left.
_LOCKED = (
    "SELECT l.relation::bigint, l.mode::text, current_setting('lock_timeout')::text, x.*,"
    + _COUNTERS.format(oid="l.relation")
    + "FROM pg_locks l LEFT JOIN LATERAL ("
    + RELATIONS
    + "AND c.oid = l.relation OFFSET 0) x ON true"
    " WHERE l.pid = pg_backend_pid() AND l.locktype = 'relation' AND l.relation >= 16384"
)
COUNTERS = (
    "SELECT c.oid::bigint, "
    + _COUNTERS.format(oid="c.oid")
    + "FROM pg_class c WHERE c.oid >= 16384 AND c.relkind IN ('r', 'p', 'm', 'i', 'f')"
)
LOCK_TIMEOUT = "SELECT current_setting('lock_timeout')::text"

# To plan these takes longer than to run them, so the session keeps their plans.
PREPARED = {"overproof_locked": "AS " + _LOCKED, "overproof_changed": "(xid) AS " + _CHANGED}
ARE_PREPARED = "(SELECT count(*) = {} FROM pg_prepared_statements WHERE name IN ({}))::int".format(
    len(PREPARED), ", ".join("'" + name + "'" for name in PREPARED)
)
LOCKED = "EXECUTE overproof_locked"


def changed_since(transaction: int) -> str:
    """The relations of which a row was written by the transaction of that id or a later one."""
    return f"EXECUTE overproof_changed('{transaction % 2**32}')"
