"""What PostgreSQL did between two looks at the session: which locks it took, which relations have new files, which were
read.

A look is a query on the migration's connection, inside its transaction, because only there can it be seen: `pg_locks`,
the new `relfilenode`, and the counters behind `pg_stat_xact_user_tables`. The queries go through a bare DBAPI cursor,
so that they raise no SQLAlchemy event.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Collection, Iterable, Sequence

from . import _queries
from .effects import INDEXES, TABLES, Relation, StatementEffects

if TYPE_CHECKING:
    from .connection import BareConnection

_COMMENTS = re.compile(r"\A(?:\s+|--[^\n]*\n|/\*.*?\*/)+", re.DOTALL)
_FORGETS_PLANS = re.compile(r"\b(?:DEALLOCATE|DISCARD)\b", re.IGNORECASE)
# PostgreSQL checks a foreign key by a query, which may take an index for it. Else an index finds a few rows.
_CHECKS_FOREIGN_KEY = re.compile(r"\b(FOREIGN\s+KEY|REFERENCES|VALIDATE)\b", re.IGNORECASE)
_CALLS = re.compile(r"\A(CALL|DO)\b", re.IGNORECASE)
_MOVES_FILES = re.compile(r"\bTABLESPACE\b", re.IGNORECASE)


def without_comments(statement: str) -> str:
    """The statement less the comments before it."""
    return _COMMENTS.sub("", statement)


class Baseline:
    """The locks and counters of one transaction, as at the last look. What a statement does is what differs from
    them."""

    def __init__(self, counters: Iterable[Sequence[int]] = ()) -> None:
        self.locks: dict[int, set[str]] = {}  # {oid: {mode}}
        self.counters: dict[int, Sequence[int]] = {row[0]: row[1:] for row in counters}

    def advance_counters(self, oid: int, counters: Sequence[int]) -> tuple[int, int, int]:
        """Scans, written rows, and updated rows among them, since the last look."""
        scans, written, updated = self.counters.get(oid, (0, 0, 0))
        self.counters[oid] = counters
        return counters[0] - scans, counters[1] - written, counters[2] - updated


class Looks:
    """Looks at the relations, each compared with the one before it."""

    def __init__(self, connection: BareConnection) -> None:
        self._connection = connection
        self._older: dict[int, Relation] = {}  # relations by oid, as they were when the step began
        self._relations: dict[int, Relation] = {}  # as they were at the last look
        self._since = 0  # the transaction before which all of them are known; 0: none yet

    def begin_step(self, transaction: int) -> None:
        """Know every relation as it is before a step in the transaction of that id."""
        rows = self._changed(self._since) if self._since else self._connection.rows(_queries.RELATIONS)
        self._older = dict(self._older)
        self._older.update((row[0], Relation(row)) for row in rows)
        self._relations = dict(self._older)
        self._since = transaction

    def remember(self) -> tuple[dict[int, Relation], int]:
        """What is known now, to be restored after a rollback."""
        return self._older, self._since

    def restore(self, remembered: tuple[dict[int, Relation], int]) -> None:
        self._older, self._since = remembered

    def count(self) -> Baseline:
        """A transaction in which nothing is locked yet, with counters that another may have left behind.

        Counters survive the transaction that raised them for up to a second.
        """
        return Baseline(self._connection.rows(_queries.COUNTERS))

    def look(self, baseline: Baseline, statement: str = "") -> StatementEffects:
        """What was done since the last look to relations that are older than the step."""
        if _FORGETS_PLANS.search(statement):
            self._connection.prepare_queries()
        rows = self._connection.rows(_queries.LOCKED)
        locked_before, baseline.locks = baseline.locks, {}
        for row in rows:
            baseline.locks.setdefault(row[0], set()).add(row[1])
        effects = StatementEffects(statement, next((row[2] for row in rows), None))
        effects.has_dropped = any(row[3] is None and row[0] not in locked_before for row in rows)
        for oid, row in {row[0]: row for row in rows if row[3] is not None}.items():
            new_modes = baseline.locks[oid].difference(locked_before.get(oid, ()))
            self._compare(oid, Relation(row[3:]), row[-3:], new_modes, baseline, effects)
        return effects

    def _compare(
        self,
        oid: int,
        relation: Relation,
        counters: Sequence[int],
        new_modes: set[str],
        baseline: Baseline,
        effects: StatementEffects,
    ) -> None:
        known = self._relations.get(oid)
        is_new = known is None or known.is_new
        table = self._table_of(oid, relation, baseline.locks)
        scans, written, updated = baseline.advance_counters(oid, counters)
        if relation.kind in INDEXES:
            self._relations[oid] = relation
            relation.is_new = is_new
            if table is not None:
                self._compare_index(table, known, relation, new_modes, scans, effects)
        elif table is not None and known is not None and not is_new:
            if relation.has_storage_of_its_own and relation.filenode and known.filenode != relation.filenode:
                self._relations[oid] = relation
                _note_new_files(table, effects)
            for mode in new_modes:
                if self._locks_out(oid, relation, mode, baseline.locks):
                    effects.add_lock(table, mode)
            if relation.kind in TABLES and scans > 0:
                effects.scans.add(table)
            if relation.kind in TABLES and written > 0:
                effects.written[table] = effects.written.get(table, 0) + written
            if relation.kind in TABLES and updated > 0:
                effects.updated[table] = effects.updated.get(table, 0) + updated

    def _compare_index(
        self,
        table: str,
        known: Relation | None,
        relation: Relation,
        new_modes: set[str],
        scans: int,
        effects: StatementEffects,
    ) -> None:
        if self._is_built(known, relation.filenode):
            effects.index_builds.add(table)
        if scans > 0 and _CHECKS_FOREIGN_KEY.search(effects.statement):
            effects.scans.add(table)
        if not relation.is_new and "AccessExclusiveLock" in new_modes:
            effects.add_lock(table, "AccessExclusiveLock")  # each query locks all indexes of its tables, to make a plan

    def _locks_out(self, oid: int, relation: Relation, mode: str, locks: dict[int, set[str]]) -> bool:
        """Whether other sessions wait for that lock on a table, a materialized view or what is TOASTed of it."""
        # No session writes to a materialized view, so a lock that only blocks writes blocks nothing.
        is_harmless = relation.kind == "t" or (relation.kind == "m" and mode != "AccessExclusiveLock")
        return not is_harmless and self._topmost(oid, relation, {mode}, locks) == oid

    def look_after_commit(self, statement: str) -> StatementEffects:
        """The same for a statement that committed: its locks are gone, what it left can still be seen."""
        if _FORGETS_PLANS.search(statement):
            self._connection.prepare_queries()
        rows = self._changed(self._since)
        effects = StatementEffects(statement, self._connection.scalar(_queries.LOCK_TIMEOUT))
        emptied = self._emptied(rows) if _CALLS.match(without_comments(statement)) else ()
        for row in rows:
            self._compare_after_commit(row[0], Relation(row), emptied, effects)
        return effects

    def _compare_after_commit(
        self, oid: int, relation: Relation, emptied: Collection[int], effects: StatementEffects
    ) -> None:
        known = self._relations.get(oid)
        table = self._table_of(oid, relation, {})
        relation.is_new = known is None or known.is_new
        self._relations[oid] = relation
        if table is None or not relation.filenode or (known is not None and known.filenode == relation.filenode):
            return
        if oid in emptied:
            effects.emptied.add(table)
        elif relation.kind in INDEXES and self._is_built(known, relation.filenode):
            effects.index_builds.add(table)
            if "CONCURRENTLY" not in effects.statement.upper():
                effects.add_lock(table, "AccessExclusiveLock" if known else "ShareLock")
        elif relation.has_storage_of_its_own and known is not None and not known.is_new:
            effects.rewrites.add(table)
            effects.add_lock(table, "AccessExclusiveLock")

    def _changed(self, since: int) -> list[Any]:
        """The relations of which a row was written since they were last read."""
        return self._connection.rows(_queries.changed_since(since))

    def _emptied(self, rows: Iterable[Sequence[Any]]) -> set[int]:
        """The tables to which a procedure that commits has given new files, and their TOAST tables too: TRUNCATE does
        that, and ALTER TABLE puts another TOAST table in the place of the old one."""
        pairs = [(self._relations.get(row[0]), Relation(row)) for row in rows if row[1] == "t"]
        return {now.owner for then, now in pairs if then is not None and then.filenode != now.filenode}

    def _is_built(self, known: Relation | None, filenode: int) -> bool:
        """Whether an index has new files. A new index may have taken over those of an old one, as where varchar(10)
        becomes varchar(20), or ADD CONSTRAINT takes an index that is there."""
        if not filenode:
            return False  # that of a partitioned table has no files, only its parts have
        if known is not None:
            return known.filenode != filenode
        return not any(each.filenode == filenode and each.kind == "i" for each in self._older.values())

    def _table_of(self, oid: int, relation: Relation, locks: dict[int, set[str]]) -> str | None:
        """The table that a person knows: the owner of an index, that of a TOAST table too, and of a partition that is
        locked together with the whole, the whole. None if this step created it."""
        known = self._relations.get(oid)
        if relation.kind in INDEXES:
            oid = relation.owner
            known = self._relations.get(oid)
            if known is not None and known.kind == "t":
                oid = known.owner
                known = self._relations.get(oid)
        if known is None or known.is_new or known.kind in ("v", "S") or known.is_temporary:
            return None
        top = self._topmost(oid, known, locks.get(oid, ()), locks)
        return self._relations[top].name

    def _topmost(self, oid: int, relation: Relation, modes: Iterable[str], locks: dict[int, set[str]]) -> int:
        """Of a table and those that it is a part of, the uppermost which is locked like it, in one of the modes."""
        top, modes = oid, set(modes)
        while (parent := self._relations.get(relation.owner)) is not None and not parent.is_new:
            if not modes.isdisjoint(locks.get(relation.owner, ())):
                top = relation.owner
            relation = parent
        return top


def _note_new_files(table: str, effects: StatementEffects) -> None:
    # PostgreSQL writes the rows to a second table, which it drops. TRUNCATE gives a table empty files and no more.
    if effects.has_dropped or _MOVES_FILES.search(effects.statement):
        effects.rewrites.add(table)
    else:
        effects.emptied.add(table)
