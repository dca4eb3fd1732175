"""Sees what PostgreSQL does with each statement of a step: locks, rewrites, scans, index builds, rows.

Everything is read on the migration's own connection, inside its transaction, because only there can it be seen: `pg_locks`, the new
`relfilenode`, and the counters behind `pg_stat_xact_user_tables`. The queries go through a bare DBAPI cursor, so that they raise
no SQLAlchemy event, and hold neither percent signs nor parameters, which every driver writes in its own way.

A statement outside of a transaction, as in an autocommit block, has let go of its locks before anybody can look. So it is given a
transaction of its own, which is what PostgreSQL would have done: BEGIN, the statement, a look, COMMIT. Those that refuse to run in
one (CONCURRENTLY, VACUUM, what commits by itself) run as they are, and show what they left behind.
"""

import re
import sys
import time

from sqlalchemy import event
from sqlalchemy.engine import Engine

SQL_LIMIT = 20000  # characters of a statement that are kept
STATEMENT_LIMIT = 1000  # statements of a step that are observed one by one; what more there are is told as one

# Relations that are not the system's: 16384 is FirstNormalObjectId (src/include/access/transam.h). The table that a TOAST
# table belongs to is in its name, pg_toast_16385, which saves a join.
_RELATION = """
SELECT c.oid::bigint, c.relkind::text, n.nspname::text, c.relname::text,
       coalesce(i.indrelid, h.inhparent, CASE c.relkind WHEN 't' THEN substr(c.relname, 10)::oid END, 0)::bigint,
       coalesce(pg_relation_filenode(c.oid), 0)::bigint, (c.relpersistence = 't')::int
FROM pg_class c
JOIN pg_namespace n ON n.oid = c.relnamespace
LEFT JOIN pg_index i ON i.indexrelid = c.oid
LEFT JOIN pg_inherits h ON h.inhrelid = c.oid AND h.inhseqno = 1
WHERE c.oid >= 16384 AND c.relkind IN ('r', 'p', 'm', 'i', 'I', 't', 'f', 'S', 'v')
"""
# A row of pg_class that a transaction wrote bears its id. What is older than the last look need not be read again.
_CHANGED = _RELATION + "AND age(c.xmin) <= age($1)"
# Scans of a relation, and rows inserted, updated and deleted. An index has scans of its own.
_COUNTERS = """
coalesce(pg_stat_get_xact_numscans({oid}), 0)::bigint,
(coalesce(pg_stat_get_xact_tuples_inserted({oid}), 0)
 + coalesce(pg_stat_get_xact_tuples_updated({oid}), 0)
 + coalesce(pg_stat_get_xact_tuples_deleted({oid}), 0))::bigint
"""
# OFFSET 0 keeps the planner from reading all of pg_class for a handful of locks. A relation that is gone has only its lock left.
_LOCKED = (
    "SELECT l.relation::bigint, l.mode::text, current_setting('lock_timeout')::text, x.*,"
    + _COUNTERS.format(oid="l.relation")
    + "FROM pg_locks l LEFT JOIN LATERAL ("
    + _RELATION
    + "AND c.oid = l.relation OFFSET 0) x ON true"
    " WHERE l.pid = pg_backend_pid() AND l.locktype = 'relation' AND l.relation >= 16384"
)
_COUNTED = (
    "SELECT c.oid::bigint, "
    + _COUNTERS.format(oid="c.oid")
    + "FROM pg_class c WHERE c.oid >= 16384 AND c.relkind IN ('r', 'p', 'm', 'i', 'f')"
)
# To plan these takes longer than to run them, so the session keeps their plans.
_PREPARED = {"overproof_locked": "AS " + _LOCKED, "overproof_changed": "(xid) AS " + _CHANGED}
ARE_PREPARED = "(SELECT count(*) = {} FROM pg_prepared_statements WHERE name IN ({}))::int".format(
    len(_PREPARED), ", ".join("'" + name + "'" for name in _PREPARED)
)
_FORGETS_PLANS = re.compile(r"\b(?:DEALLOCATE|DISCARD)\b", re.IGNORECASE)

_TABLES = ("r", "p", "m", "f")
_INDEXES = ("i", "I")
_COMMENTS = re.compile(r"\A(?:\s+|--[^\n]*\n|/\*.*?\*/)+", re.DOTALL)
_ENDS_TRANSACTION = re.compile(r"\A(COMMIT|END|ROLLBACK|ABORT)\b(?!.*\bTO\b)", re.IGNORECASE | re.DOTALL)
# What steers transactions, or works in one only, is another thing inside of a transaction that we began.
_STEERS_TRANSACTIONS = re.compile(
    r"\A(BEGIN|START|COMMIT|END|ROLLBACK|ABORT|SAVEPOINT|RELEASE|PREPARE|LOCK|DECLARE)\b|\b(COMMIT|ROLLBACK)\b",
    re.IGNORECASE,
)
# active_sql_transaction, invalid_transaction_termination: "cannot run inside a transaction block", and COMMIT in a procedure.
_WANTS_NO_TRANSACTION = ("25001", "2D000")
# PostgreSQL checks a foreign key by a query, which may take an index for it. Else an index finds a few rows.
_CHECKS_FOREIGN_KEY = re.compile(r"\b(FOREIGN\s+KEY|REFERENCES|VALIDATE)\b", re.IGNORECASE)
_CALLS = re.compile(r"\A(CALL|DO)\b", re.IGNORECASE)
_MOVES_FILES = re.compile(r"\bTABLESPACE\b", re.IGNORECASE)


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
        self._is_unflushed = False  # a step ended its transaction itself, so counters of it may have been left over
        self._older = {}  # relations by oid, as they were when the step began
        self._since = None  # the transaction before which all of them are known
        dialect = walker.context.dialect
        self._listeners = [
            (Engine, "before_cursor_execute", self._before),
            (Engine, "after_cursor_execute", self._after),
            (Engine, "handle_error", self._error),
            (dialect, "do_execute", self._execute),
            (dialect, "do_executemany", self._execute_many),
            (dialect, "do_execute_no_params", self._execute_bare),
        ]
        for listener in self._listeners:
            event.listen(*listener)

    def close(self):
        for listener in self._listeners:
            event.remove(*listener)

    def start(self, script, observe, transaction, stop_before=None):
        """Begin a step of the script at that path, in the transaction of that id. `observe` False only notes errors."""
        self.script = script
        self.events = []
        self.dropped = 0
        self.first_error = None
        self._observe = observe
        self._stop_before = stop_before
        self._begun_statements = 0
        self._seen = None  # of the statement under way, once it has been looked at
        self._has_ended = False  # the script has ended the transaction, and may not be in one now
        self._is_stale = False  # what was last seen was in another transaction
        if observe:
            self._refresh(transaction)
            is_flushed = self._walker.server_version >= 150000 and not self._is_unflushed
            self._begin_transaction(is_counted=not (is_flushed and self._walker.is_untouched))
            self._is_unflushed = False
        self._is_on = True

    def _begin_transaction(self, is_counted):
        """Nothing is locked yet. Counters survive the transaction that raised them for up to a second, hence a reading to subtract,
        unless it is known that they were flushed (pg_stat_force_next_flush, PostgreSQL 15). In a held transaction they go on
        from what was done in it before."""
        self._locked = {}  # {oid: {mode}}, as at the last look
        self._is_stale = False
        self._counts = {row[0]: row[1:] for row in self._walker.rows(_COUNTED)} if is_counted else {}

    def _refresh(self, transaction):
        """Know every relation as it is before the step."""
        rows = self._walker.rows(_RELATION) if self._since is None else self._changed()
        self._older = dict(self._older)
        self._older.update((row[0], Relation(row)) for row in rows)
        self._relations = dict(self._older)
        self._since = transaction

    def _changed(self):
        """The relations of which a row was written since they were last read."""
        return self._walker.rows(f"EXECUTE overproof_changed('{self._since % 2**32}')")

    def prepare(self):
        """Have PostgreSQL plan the looks, for as long as the session keeps plans."""
        there = {row[0] for row in self._walker.rows("SELECT name::text FROM pg_prepared_statements")}
        for name, text in _PREPARED.items():
            if name not in there:
                self._walker.send("PREPARE " + name + " " + text)
                if text.startswith("AS"):  # what takes a parameter is at first planned anew each time
                    self._plan(name)

    def _plan(self, name):
        """Have it planned for a large schema. PostgreSQL does so when it is first run, and would read whole catalogs of a small one.

        The recorder does the same (its `planning.py`) with what it prepares; nothing of it can be imported here.
        """
        self._walker.send("SELECT set_config('overproof.enable_seqscan', current_setting('enable_seqscan'), false)")
        self._walker.send("SELECT set_config('enable_seqscan', 'off', false)")
        self._walker.rows("EXECUTE " + name)
        self._walker.send("SELECT set_config('enable_seqscan', current_setting('overproof.enable_seqscan'), false)")

    def remember(self):
        """What is known now, for `forget` to return to after a rollback."""
        return self._older, self._since

    def forget(self, remembered):
        self._older, self._since = remembered

    def stop(self):
        """End the step and return what was seen."""
        if self._is_on and self._observe and self.first_error is None:
            # What a script did behind SQLAlchemy's back, through the bare DBAPI connection, shows here at the latest.
            if self._is_stale:
                self._begin_transaction(is_counted=True)
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
            self._seen = None
            self._is_alone = self._walker.is_autocommit or (self._has_ended and not self._walker.has_transaction())
            if self._is_stale and self._observe and not self._is_alone:
                self._begin_transaction(is_counted=True)
            self._begun = time.perf_counter()

    def _execute(self, cursor, statement, parameters, context):
        run = context.dialect.do_execute
        return self._run_alone(lambda: run(cursor, statement, parameters, context), statement, context)

    def _execute_many(self, cursor, statement, parameters, context):
        run = context.dialect.do_executemany
        return self._run_alone(lambda: run(cursor, statement, parameters, context), statement, context)

    def _execute_bare(self, cursor, statement, context):
        run = context.dialect.do_execute_no_params
        return self._run_alone(lambda: run(cursor, statement, context), statement, context)

    def _run_alone(self, run, statement, context):
        """Run a statement that would be a transaction of its own in one that can be looked into. False if that cannot be done."""
        if not (self._is_ours(context.root_connection) and self._is_alone):
            return False
        self._is_stale = self._is_unflushed = True
        if not self._observe:
            return False
        if _STEERS_TRANSACTIONS.search(_COMMENTS.sub("", statement)) or len(self.events) >= STATEMENT_LIMIT:
            return False
        walker = self._walker
        walker.send("BEGIN")
        try:
            self._begin_transaction(is_counted=True)
            run()
            self._elapsed = (time.perf_counter() - self._begun) * 1000
            self._seen = self._look(statement)
            walker.send("COMMIT")
        except Exception as error:
            walker.send("ROLLBACK")
            if sqlstate(error) in _WANTS_NO_TRANSACTION:
                self._begun = time.perf_counter()
                return False
            raise
        finally:
            self._is_stale = True
        return True

    def _after(self, connection, cursor, statement, parameters, context, executemany):
        if not self._is_ours(connection):
            return
        elapsed = (time.perf_counter() - self._begun) * 1000 if self._seen is None else self._elapsed
        if len(self.events) >= STATEMENT_LIMIT:
            self.dropped += 1
        else:
            seen = {"sql": statement[:SQL_LIMIT], "ms": elapsed, "line": self._line, "tx": not self._is_alone}
            if self._seen is not None:
                seen.update(self._seen)
            elif self._observe:
                seen.update(self._look_after_commit(statement) if self._is_alone else self._look(statement))
            self.events.append(seen)
        if _ENDS_TRANSACTION.match(_COMMENTS.sub("", statement)):
            self._end_transaction()

    def note_commit(self):
        """The script has SQLAlchemy commit: in effect a statement of its own."""
        if not self._is_on:
            return
        if self._begun_statements == self._stop_before:
            raise Stopped()
        self._begun_statements += 1
        self.events.append({"sql": "COMMIT", "ms": 0.0, "line": self._line_in_script(), "tx": True})
        self._end_transaction()

    def _end_transaction(self):
        self._walker.has_committed = True
        self._has_ended = True
        self._is_stale = self._is_unflushed = True

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

    def _look(self, statement=""):
        """What changed since the last look, on relations that are older than the step."""
        self._is_busy = True
        try:
            if _FORGETS_PLANS.search(statement):
                self.prepare()
            rows = self._walker.rows("EXECUTE overproof_locked")
        finally:
            self._is_busy = False
        locked_before, self._locked = self._locked, {}
        for row in rows:
            self._locked.setdefault(row[0], set()).add(row[1])
        seen = _Seen(statement, rows[0][2] if rows else None)
        seen.has_dropped = any(row[3] is None and row[0] not in locked_before for row in rows)
        for oid, row in {row[0]: row for row in rows if row[3] is not None}.items():
            relation, counts = Relation(row[3:-2]), row[-2:]
            known = self._relations.get(oid)
            table = self._table_of(oid, relation)
            scanned, changed = (now - then for now, then in zip(counts, self._counts.get(oid, (0, 0))))
            self._counts[oid] = counts
            new_modes = self._locked[oid].difference(locked_before.get(oid, ()))
            if relation.kind in _INDEXES:
                self._relations[oid] = relation
                relation.is_new = known is None or known.is_new
                if table is not None:
                    self._look_at_index(table, known, relation, new_modes, scanned, seen)
            elif table is not None and not (known is None or known.is_new):
                self._look_at_table(table, known, relation, oid, new_modes, seen)
                if relation.kind in _TABLES and scanned > 0:
                    seen.scans.add(table)
                if relation.kind in _TABLES and changed > 0:
                    seen.written[table] = seen.written.get(table, 0) + changed
        return seen.told()

    def _look_at_index(self, table, known, relation, new_modes, scanned, seen):
        if self._is_built(known, relation.filenode):
            seen.builds.add(table)
        if scanned > 0 and _CHECKS_FOREIGN_KEY.search(seen.statement):
            seen.scans.add(table)
        if not relation.is_new and "AccessExclusiveLock" in new_modes:
            seen.lock(table, "AccessExclusiveLock")  # each query locks all indexes of its tables, to make a plan

    def _look_at_table(self, table, known, relation, oid, new_modes, seen):
        """A table, a materialized view or what is TOASTed of it."""
        if relation.kind in ("r", "m") and relation.filenode and known.filenode != relation.filenode:
            self._relations[oid] = relation
            # PostgreSQL writes a table anew into another, which it drops. TRUNCATE gives it empty files and no more.
            if seen.has_dropped or _MOVES_FILES.search(seen.statement):
                seen.rewrites.add(table)
            else:
                seen.emptied.add(table)
        for mode in new_modes:
            # Nobody writes to a materialized view, so what only stands in the way of that locks out nobody.
            is_harmless = relation.kind == "t" or (relation.kind == "m" and mode != "AccessExclusiveLock")
            if not is_harmless and self._topmost(oid, relation, {mode}) == oid:
                seen.lock(table, mode)

    def _look_after_commit(self, statement):
        """The same for a statement that ran as it was: its locks are gone, what it left can still be seen."""
        self._is_busy = True
        try:
            if _FORGETS_PLANS.search(statement):
                self.prepare()
            rows = self._changed()
            seen = _Seen(statement, self._walker.rows("SELECT current_setting('lock_timeout')::text")[0][0])
        finally:
            self._is_busy = False
        self._locked = {}
        is_beside_traffic = "CONCURRENTLY" in statement.upper()
        calls = _CALLS.match(_COMMENTS.sub("", statement))
        emptied = self._emptied(rows) if calls else ()
        for row in rows:
            oid, relation = row[0], Relation(row)
            known = self._relations.get(oid)
            table = self._table_of(oid, relation)
            relation.is_new = known is None or known.is_new
            self._relations[oid] = relation
            if table is None or not relation.filenode or (known is not None and known.filenode == relation.filenode):
                continue
            if oid in emptied:
                seen.emptied.add(table)
            elif relation.kind in _INDEXES and self._is_built(known, relation.filenode):
                seen.builds.add(table)
                if not is_beside_traffic:
                    seen.lock(table, "AccessExclusiveLock" if known else "ShareLock")
            elif relation.kind in ("r", "m") and known is not None and not known.is_new:
                seen.rewrites.add(table)
                seen.lock(table, "AccessExclusiveLock")
        return seen.told()

    def _emptied(self, rows):
        """The tables to which a procedure that commits has given new files, and their TOAST tables too: TRUNCATE does that, and
        ALTER TABLE puts another TOAST table in the place of the old one."""
        kept = [(self._relations.get(row[0]), Relation(row)) for row in rows if row[1] == "t"]
        return {now.owner for then, now in kept if then is not None and then.filenode != now.filenode}

    def _is_built(self, known, filenode):
        """Whether an index has new files. A new index may have taken over those of an old one, as where varchar(10) becomes
        varchar(20), or ADD CONSTRAINT takes an index that is there."""
        if not filenode:
            return False  # that of a partitioned table has no files, only its parts have
        if known is not None:
            return known.filenode != filenode
        return not any(each.filenode == filenode and each.kind == "i" for each in self._older.values())

    def _table_of(self, oid, relation):
        """The table that a person knows: the owner of an index or a TOAST table, and of a partition that is locked
        together with the whole, the whole. None if this step created it."""
        if relation.kind not in _INDEXES and relation.kind != "t":
            known = self._relations.get(oid)
        else:
            oid = relation.owner
            known = self._relations.get(oid)
            if known is not None and known.kind == "t":
                oid = known.owner
                known = self._relations.get(oid)
        if known is None or known.is_new or known.kind in ("v", "S") or known.is_temporary:
            return None
        top = self._topmost(oid, known, self._locked.get(oid, ()))
        return self._relations[top].name

    def _topmost(self, oid, relation, modes):
        """Of a table and those that it is a part of, the uppermost which is locked as it is, in one of the modes."""
        top = oid
        while relation.owner and relation.kind in _TABLES:
            oid, relation = relation.owner, self._relations.get(relation.owner)
            if relation is None or relation.is_new:
                break
            if self._locked.get(oid, set()).intersection(modes):
                top = oid
        return top


class _Seen:
    """What one statement did, as it is found out."""

    def __init__(self, statement, timeout):
        self.statement = statement
        self.timeout = timeout
        self.has_dropped = False  # a relation that was locked is not there any more
        self.locks = {}
        self.rewrites = set()
        self.emptied = set()
        self.scans = set()
        self.builds = set()
        self.written = {}

    def lock(self, table, mode):
        self.locks.setdefault(table, set()).add(mode)

    def told(self):
        """For the recorder, less what is empty."""
        told = {
            "locks": {table: sorted(modes) for table, modes in self.locks.items()},
            "rewrites": sorted(self.rewrites),
            "scans": sorted(self.scans - self.emptied),
            "index_builds": sorted(self.builds - self.emptied),
            "written": {**dict.fromkeys(self.emptied, 0), **self.written},
            "lock_timeout": self.timeout if self.locks else None,
        }
        return {name: value for name, value in told.items() if value}


def sqlstate(error):
    """The five characters by which PostgreSQL names the error, whichever driver raised it."""
    return getattr(error, "pgcode", None) or getattr(error, "sqlstate", None)


def named_by(error):
    """{"table": "public.orders", "column": "note"}: what PostgreSQL names beside its words, which are of its language.

    https://www.postgresql.org/docs/current/protocol-error-fields.html
    """
    told = getattr(error, "diag", error)
    names = {name: getattr(told, name + "_name", None) for name in ("schema", "table", "column", "constraint")}
    names = {name: value for name, value in names.items() if isinstance(value, str) and value}
    schema = names.pop("schema", None)
    if schema is None:
        return {}
    if "table" in names:
        names["table"] = "{}.{}".format(schema, names["table"])
    return names
