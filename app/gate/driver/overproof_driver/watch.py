"""Sees what PostgreSQL does with each statement of a step: locks, rewrites, scans, index builds, rows.

Everything is read on the migration's own connection, inside its transaction, because only there can it be seen: `pg_locks`, the new
`relfilenode`, and the counters behind `pg_stat_xact_user_tables`. The queries go through a bare DBAPI cursor, so that they raise
no SQLAlchemy event, and hold neither percent signs nor parameters, which every driver writes in its own way.
"""

import sys
import time

from sqlalchemy import event
from sqlalchemy.engine import Engine

SQL_LIMIT = 20000  # characters of a statement that are kept
STATEMENT_LIMIT = 1000  # statements of a step that are observed one by one; what more there are is told as one

# Relations that are not the system's: 16384 is FirstNormalObjectId (src/include/access/transam.h).
_RELATION = """
SELECT c.oid::bigint, c.relkind::text, n.nspname::text, c.relname::text,
       coalesce(i.indrelid, t.oid, 0)::bigint, coalesce(pg_relation_filenode(c.oid), 0)::bigint,
       (c.relpersistence = 't')::int
FROM pg_class c
JOIN pg_namespace n ON n.oid = c.relnamespace
LEFT JOIN pg_index i ON i.indexrelid = c.oid
LEFT JOIN pg_class t ON c.relkind = 't' AND t.reltoastrelid = c.oid
WHERE c.oid >= 16384 AND c.relkind IN ('r', 'p', 'm', 'i', 'I', 't', 'f', 'S', 'v')
"""
# A row of pg_class that a transaction wrote bears its id. What is older than the last look need not be read again.
_CHANGED = _RELATION + "AND age(c.xmin) <= age('{since}'::xid)"
# OFFSET 0 keeps the planner from reading all of pg_class for a handful of locks.
_LOCKED = (
    """
SELECT l.relation::bigint, l.mode::text, current_setting('lock_timeout')::text, x.*,
       coalesce(pg_stat_get_xact_numscans(l.relation), 0)::bigint,
       (coalesce(pg_stat_get_xact_tuples_inserted(l.relation), 0)
        + coalesce(pg_stat_get_xact_tuples_updated(l.relation), 0)
        + coalesce(pg_stat_get_xact_tuples_deleted(l.relation), 0))::bigint
FROM pg_locks l
CROSS JOIN LATERAL ("""
    + _RELATION
    + """AND c.oid = l.relation OFFSET 0) x
WHERE l.pid = pg_backend_pid() AND l.locktype = 'relation' AND l.relation >= 16384
"""
)


class Stopped(BaseException):
    """A step is ended as if it were killed. Not an Exception, so that no script swallows it."""


class Relation:
    """A table, index or TOAST table, as it was when last seen."""

    __slots__ = ("filenode", "is_new", "is_temporary", "kind", "name", "owner")

    def __init__(self, row, is_new=False):
        _, self.kind, schema, name, self.owner, self.filenode, temporary = row
        self.name = schema + "." + name
        self.is_temporary = bool(temporary)
        self.is_new = is_new  # the step made it


class Watch:
    """Observes the statements of one step. `events` collects them as dictionaries for the recorder."""

    def __init__(self, walker):
        self._walker = walker
        self._is_on = False
        self._is_busy = False
        self._begun = 0.0
        self._line = None
        self.first_error = None
        self.script = None
        self.events = []
        self.dropped = 0
        self._older = {}  # relations by oid, as they were when the step began
        self._since = None  # the transaction before which all of them are known
        event.listen(Engine, "before_cursor_execute", self._before)
        event.listen(Engine, "after_cursor_execute", self._after)
        event.listen(Engine, "handle_error", self._error)

    def close(self):
        event.remove(Engine, "before_cursor_execute", self._before)
        event.remove(Engine, "after_cursor_execute", self._after)
        event.remove(Engine, "handle_error", self._error)

    def start(self, script, observe, transaction, stop_before=None):
        """Begin a step of the script at that path, in the transaction of that id. `observe` False only notes errors."""
        self.script = script
        self.events = []
        self.dropped = 0
        self.first_error = None
        self._observe = observe
        self._stop_before = stop_before
        self._begun_statements = 0
        self._held = set()
        self._counts = {}
        if observe:
            self._refresh(transaction)
            # Counters survive the transaction that raised them for up to a second, hence a reading to subtract.
            # Where they were flushed since (pg_stat_force_next_flush, PostgreSQL 15), it is empty. In a held transaction
            # they go on from the step before.
            self._counts = (
                {
                    row[0]: (row[1], row[2])
                    for row in self._walker.rows(
                        "SELECT relid::bigint, (coalesce(seq_scan, 0) + coalesce(idx_scan, 0))::bigint,"
                        " (coalesce(n_tup_ins, 0) + coalesce(n_tup_upd, 0) + coalesce(n_tup_del, 0))::bigint"
                        " FROM pg_stat_xact_user_tables WHERE seq_scan > 0 OR n_tup_ins > 0 OR n_tup_upd > 0 OR n_tup_del > 0"
                    )
                }
                if self._walker.server_version < 150000 or self._walker.is_held
                else {}
            )
        self._is_on = True

    def _refresh(self, transaction):
        """Know every relation as it is before the step."""
        sql = _RELATION if self._since is None else _CHANGED.format(since=self._since % 2**32)
        self._older = dict(self._older)
        self._older.update((row[0], Relation(row)) for row in self._walker.rows(sql))
        self._relations = dict(self._older)
        self._since = transaction

    def remember(self):
        """What is known now, for `forget` to return to after a rollback."""
        return self._older, self._since

    def forget(self, remembered):
        self._older, self._since = remembered

    def stop(self):
        """End the step and return what was seen."""
        if self._is_on and self._observe and self.first_error is None and self._walker.in_transaction():
            # What a script did behind SQLAlchemy's back, through the bare DBAPI connection, shows here at the latest.
            rest = self._look()
            if rest.get("locks") or rest.get("rewrites") or rest.get("index_builds"):
                self.events.append(dict(rest, sql="(statements sent past SQLAlchemy)", ms=0.0, line=None, tx=True))
        self._is_on = False
        return self.events

    def quiet(self):
        """Stop noting, without a last look: the transaction cannot be used any more."""
        self._is_on = False
        return self.events

    def _is_ours(self, connection):
        return self._is_on and not self._is_busy and self._walker.is_same(connection)

    def _before(self, connection, cursor, statement, parameters, context, executemany):
        if self._is_ours(connection):
            if self._begun_statements == self._stop_before:
                raise Stopped()
            self._begun_statements += 1
            self._walker.refuse_commit_in(statement)
            self._line = self._line_in_script()
            self._begun = time.perf_counter()

    def _after(self, connection, cursor, statement, parameters, context, executemany):
        if not self._is_ours(connection):
            return
        elapsed = (time.perf_counter() - self._begun) * 1000
        if len(self.events) >= STATEMENT_LIMIT:
            self.dropped += 1
            return
        seen = {"sql": statement[:SQL_LIMIT], "ms": elapsed, "line": self._line, "tx": not self._walker.is_autocommit}
        if self._observe:
            seen.update(self._look_after_commit() if self._walker.is_autocommit else self._look())
        self.events.append(seen)

    def _error(self, context):
        is_first = self._is_on and self.first_error is None and context.connection is not None
        if is_first and self._walker.is_same(context.connection):
            self.first_error = (context.original_exception, context.statement, self._line)

    def _line_in_script(self):
        frame = sys._getframe(2)
        while frame is not None:
            if frame.f_code.co_filename == self.script:
                return frame.f_lineno
            frame = frame.f_back
        return None

    def _look(self):
        """What changed since the last look, on relations that are older than the step."""
        self._is_busy = True
        try:
            rows = self._walker.rows(_LOCKED)
        finally:
            self._is_busy = False
        locks, rewrites, scans, builds, written = {}, set(), set(), set(), {}
        timeout = rows[0][2] if rows else None
        for row in rows:
            oid, mode, _, _, kind, _, _, owner, filenode, _, scanned, changed = row
            known = self._relations.get(oid)
            table = self._table_of(oid, kind, owner)
            if kind in ("i", "I"):
                if table and self._is_built(known, filenode):
                    builds.add(table)
                self._relations[oid] = Relation(row[3:-2], is_new=known is None or known.is_new)
                continue
            if known is None or known.is_new or known.is_temporary or table is None:
                continue
            if kind in ("r", "m") and filenode and known.filenode != filenode:
                rewrites.add(table)
                self._relations[oid] = Relation(row[3:-2])
            if kind != "t" and (oid, mode) not in self._held:
                self._held.add((oid, mode))
                locks.setdefault(table, []).append(mode)
            before_scans, before_rows = self._counts.get(oid, (0, 0))
            if kind in ("r", "p", "m", "f") and (scanned != before_scans or changed != before_rows):
                self._counts[oid] = (scanned, changed)
                if scanned > before_scans:
                    scans.add(table)
                if changed > before_rows:
                    written[table] = written.get(table, 0) + changed - before_rows
        return _seen(locks, rewrites, scans, builds, written, timeout)

    def _look_after_commit(self):
        """The same for a statement that was a transaction of its own: its locks are gone, what it left can still be seen."""
        self._is_busy = True
        try:
            rows = self._walker.rows(_CHANGED.format(since=self._since % 2**32))
        finally:
            self._is_busy = False
        rewrites, builds = set(), set()
        for row in rows:
            oid, kind, _, _, owner, filenode, _ = row
            known = self._relations.get(oid)
            self._relations[oid] = Relation(row, is_new=known is None or known.is_new)
            table = self._table_of(oid, kind, owner)
            if known is None:
                if kind in ("i", "I") and table is not None and self._is_built(None, filenode):
                    builds.add(table)
            elif not known.is_new and known.filenode != filenode and filenode and table is not None:
                (builds if kind in ("i", "I") else rewrites).add(table)
        return _seen({}, rewrites, set(), builds, {})

    def _is_built(self, known, filenode):
        """Whether an index has new files. A new index may have taken over those of an old one, as where varchar(10) becomes
        varchar(20), or ADD CONSTRAINT takes an index that is there."""
        if known is not None:
            return bool(filenode) and known.filenode != filenode
        return not any(each.filenode == filenode and each.kind == "i" for each in self._older.values())

    def _table_of(self, oid, kind, owner):
        """The table that a person knows: the owner of an index or a TOAST table. None if this step created it."""
        known = self._relations.get(oid if kind in ("r", "p", "m", "f", "v", "S") else owner)
        if known is not None and known.kind == "t":
            known = self._relations.get(known.owner)
        if known is None or known.is_new or known.kind in ("v", "S") or known.is_temporary:
            return None
        return known.name


def _seen(locks, rewrites, scans, builds, written, timeout=None):
    seen = {
        "locks": {table: sorted(modes) for table, modes in locks.items()},
        "rewrites": sorted(rewrites),
        "scans": sorted(scans),
        "index_builds": sorted(builds),
        "written": written,
        "lock_timeout": timeout if locks else None,
    }
    return {name: value for name, value in seen.items() if value}
