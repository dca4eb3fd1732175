"""A revision's upgrade over rows: which rows, what the upgrade does to them, and what a downgrade restores.

    edge cases, then ordinary rows, then none       until the upgrade passes
    upgrade; what is lost?
    downgrade; what is lost?                        the rows from before the upgrade must be there again, unchanged

A project may have its own rows, in `overproof_rows/<revision>.sql` next to the revision's script. They are loaded
first, and the tables into which they go get no generated ones.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import NamedTuple, TypeVar

from app.gate.errors import CannotVerify, CommandExited
from app.gate.postgres import sqlstates
from app.gate.postgres.sqlstates import EXISTS_ALREADY
from app.gate.recording.model import Change, Failure, Loss, Populated, Rename, RowKind, Step
from app.gate.rows._catalog import Catalog, read_catalog
from app.gate.rows._contents import Contents, read_contents
from app.gate.rows._fill import Filled, fill
from app.gate.rows._losses import losses
from app.gate.rows._plan import Plan, make_plan
from app.gate.rows._renames import newer_names, with_older_names
from app.gate.rows.connection import CommitRefused, QueryRefused, RowConnection
from app.gate.rows.steps import Steps
from app.gate.rows.touched import binds_rows, columns_of, new_tables

T = TypeVar("T")

_INSERTED = """
SELECT coalesce(json_object_agg(n.nspname || '.' || c.relname, pg_stat_get_xact_tuples_inserted(c.oid)), '{}')::text
FROM pg_catalog.pg_class AS c JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
WHERE c.relkind IN ('r', 'p') AND c.oid >= 16384 AND c.relpersistence <> 't'
"""


@dataclass(frozen=True)
class TrialResult:
    """What a trial showed so far."""

    second_up: Step | CommitRefused | None  # the last upgrade: over rows, unless these made it fail
    populated: Populated | None
    tables_without_rows: Mapping[str, str]
    rows_failure: Failure | None
    must_commit: bool  # over rows, the script ends the transaction, or needs them committed
    is_finished: bool  # if not, the next attempt needs another database


class _Attempt(NamedTuple):
    kind: RowKind | None  # of the rows; None: none
    json_in_text: bool = False


_WITHOUT_ROWS = _Attempt(None)
_ATTEMPTS = (_Attempt(RowKind.EDGE_CASES), _Attempt(RowKind.ORDINARY), _WITHOUT_ROWS)
_ATTEMPTS_WITH_JSON = (_Attempt(RowKind.EDGE_CASES, True), _Attempt(RowKind.ORDINARY, True), _WITHOUT_ROWS)


@dataclass(frozen=True)
class _Rows:
    """Rows in the tables before an upgrade."""

    kind: RowKind
    plan: Plan
    generated: Mapping[str, int]  # how many were inserted, by table
    contents: Contents
    made: Mapping[str, int]  # how many of them come neither from a script of the history nor from triggers

    @property
    def counts(self) -> dict[str, int]:
        return {name: count for name, count in self.contents.counts.items() if count}

    def deletion(self) -> list[str] | None:
        """The statements that delete the generated rows; None if the tables have others."""
        if any(count != self.generated.get(name, 0) for name, count in self.contents.counts.items()):
            return None
        tables = [table for group in reversed(self.plan.groups) for table in group if table.name in self.generated]
        return [f"DELETE FROM {table.sql}" for table in tables]


@dataclass
class RowsTrial:
    """One revision over rows. It keeps what it knows from one database to the next."""

    touched: frozenset[str]
    changes: Sequence[Change]  # of the first upgrade
    own_rows: str | None = None  # the project's SQL script
    renamed: Sequence[Rename] = ()  # of the first upgrade
    must_commit: bool = False
    _catalog_after: Catalog | None = None
    _left: list[_Attempt] = field(default_factory=lambda: [*_ATTEMPTS])
    _populated: Populated | None = None
    _without_json: Populated | None = None  # the failure over texts without JSON, while others are tried
    _tables_without_rows: Mapping[str, str] = field(default_factory=dict)
    _rows_failure: Failure | None = None
    _problem: str = ""  # why the last action had no result

    def look_ahead(self, connection: RowConnection) -> None:
        """Read what the revision will demand of rows, while the schema is in its state after the upgrade."""
        if any(map(binds_rows, self.changes)):
            wanted = self.touched | newer_names(self.renamed, self.touched)
            self._catalog_after = self._try(
                lambda: with_older_names(read_catalog(connection.ask, wanted, is_whole=False), self.renamed)
            )

    def run(self, steps: Steps) -> TrialResult:
        """Try the upgrade over rows until it passes, and then the downgrade.

        If the result is not finished, run the trial again on another database: with commits, if it must commit.
        """
        second_up: Step | CommitRefused | None = None
        while self._left:
            attempt, *self._left = self._left
            rows = self._fill(steps, attempt) if attempt.kind is not None else None
            if rows is None and attempt.kind is not None:
                self._populated = self._without_json or self._populated
                self._left = [_WITHOUT_ROWS] if steps.is_repeatable else []
                continue
            second_up = steps.upgrade()
            if isinstance(second_up, CommitRefused):
                self.must_commit = True
                break
            if not self._note(steps, attempt, rows, second_up):
                break
        if self.must_commit and steps.is_repeatable:
            self._left, self._populated, self._without_json = [*_ATTEMPTS], None, None
        return TrialResult(
            second_up,
            self._populated,
            self._tables_without_rows,
            self._rows_failure,
            self.must_commit,
            is_finished=not self._left,
        )

    def _note(self, steps: Steps, attempt: _Attempt, rows: _Rows | None, taken: Step) -> bool:
        """Note an upgrade over those rows, or over none. False if no other attempt can follow on this database."""
        if rows is None:
            self._populated = None if taken.failure is not None else self._populated  # the rows were not the reason
            return True
        if taken.failure is None:
            self._left = []
            populated = self._populated or Populated(taken, rows.kind, rows.counts)
            self._populated = self._observe(steps, rows, populated)
            return True
        self._populated = Populated(taken, rows.kind, rows.counts)
        self._left = self._attempts_after(steps, attempt, rows, taken.failure)
        if steps.take_back():
            return True
        self._left = [] if steps.is_repeatable else self._left
        return False

    def _attempts_after(self, steps: Steps, attempt: _Attempt, rows: _Rows, failure: Failure) -> list[_Attempt]:
        """What is to be tried after an upgrade that failed over those rows."""
        if steps.is_repeatable and failure.sqlstate == sqlstates.OBJECT_IN_USE:
            # "pending trigger events": deferred constraints of rows that are not committed, as those of users are.
            self.must_commit = True
            self._populated = None
            return [_WITHOUT_ROWS]
        # What a script creates exists already: other rows would not change that.
        if rows.kind is RowKind.EDGE_CASES and failure.sqlstate not in EXISTS_ALREADY:
            return self._left
        if not steps.is_repeatable:
            return []
        if attempt.json_in_text:
            self._populated = self._without_json  # it fails with both kinds of texts: the first failure is reported
        elif rows.kind is RowKind.ORDINARY and _may_want_json(failure):
            self._without_json, self._populated = self._populated, None
            return [*_ATTEMPTS_WITH_JSON]
        return [_WITHOUT_ROWS]

    # Rows.

    def _fill(self, steps: Steps, attempt: _Attempt) -> _Rows | None:
        """Insert the rows of an attempt. None if the tables have no rows then."""
        inserted: list[_Rows] = []

        def insert() -> bool:
            rows = self._insert(steps.connection, attempt)
            inserted.extend([rows] if rows is not None and rows.counts else [])
            return bool(inserted)

        return inserted[0] if steps.fill(insert) else None

    def _insert(self, connection: RowConnection, attempt: _Attempt) -> _Rows | None:
        plan = self._try(lambda: make_plan(connection.ask, self.touched, self._catalog_after))
        if plan is None:
            self._tables_without_rows = dict.fromkeys(self.touched, self._problem)
            return None
        own = self._load_own(connection)
        with_edge_cases = attempt.kind is RowKind.EDGE_CASES
        filled = self._try(
            lambda: fill(
                plan,
                connection.ask,
                with_edge_cases=with_edge_cases,
                json_in_text=attempt.json_in_text,
                except_for=own,
            )
        ) or Filled({}, dict.fromkeys(plan.touched, self._problem))
        contents = self._read(connection, plan.touched) or Contents({})
        reasons, counts = filled.tables_without_rows, contents.counts
        self._tables_without_rows = {
            name: reasons[name] for name in plan.touched if name in reasons and not counts.get(name)
        }
        made = {name: filled.tables.get(name, 0) + own.get(name, 0) for name in contents.tables}
        kind = RowKind.OWN if self.own_rows and not filled.tables else attempt.kind or RowKind.ORDINARY
        return _Rows(kind, plan, filled.tables, contents, made)

    def _load_own(self, connection: RowConnection) -> Mapping[str, int]:
        """Load the project's own rows. Returns how many went into which tables."""
        if self.own_rows is None:
            return {}
        earlier = self._count_inserted(connection)
        connection.execute(["SAVEPOINT overproof_own"])
        failure = connection.load(self.own_rows)
        if failure is None:
            failure = connection.execute(["SET CONSTRAINTS ALL IMMEDIATE"])
        if failure is not None:
            self._rows_failure = failure
            self.own_rows = None
            connection.execute(["ROLLBACK TO SAVEPOINT overproof_own"])
            return {}
        connection.execute(["RELEASE SAVEPOINT overproof_own"])
        later = self._count_inserted(connection)
        return {name: more for name, count in later.items() if (more := count - earlier.get(name, 0)) > 0}

    def _count_inserted(self, connection: RowConnection) -> dict[str, int]:
        return self._try(lambda: json.loads(connection.ask(_INSERTED))) or {}

    # Losses.

    def _observe(self, steps: Steps, rows: _Rows, populated: Populated) -> Populated:
        """Add what the upgrade lost; then take the downgrade, and add what that lost."""
        tables = {*rows.contents.tables, *new_tables(self.changes)}
        after = steps.read(lambda: self._read(steps.connection, tables))
        lost, of_users = self._losses(rows, after, is_return=False)
        populated = replace(populated, lost_upwards=of_users)
        down = steps.downgrade()
        if not isinstance(down, Step) or down.failure is not None:
            return populated
        back = steps.read(lambda: self._read(steps.connection, rows.contents.tables))
        lost_back, of_users_back = self._losses(rows, back, is_return=True)
        # Where the upgrade lost only what scripts had inserted, there is nothing of a user's to restore.
        known = (columns_of(lost) - columns_of(of_users)) | columns_of(of_users_back)
        rest = (loss for loss in lost_back if (loss.table, loss.column) not in known)
        steps.clear(rows.deletion())
        return replace(populated, lost_downwards=(*of_users_back, *rest))

    def _losses(
        self, rows: _Rows, after: Contents | None, *, is_return: bool
    ) -> tuple[tuple[Loss, ...], tuple[Loss, ...]]:
        """The losses of all rows, and of those that a user might have inserted; none if the tables could not be read.

        What was in a table before it was filled was inserted by scripts, since the history begins with an empty
        database: what a script removes of that was never a user's.
        """
        if after is None:
            return (), ()
        lost = self._try(lambda: losses(rows.contents, after, is_return=is_return)) or ()
        if not lost or all(rows.made[name] >= count for name, count in rows.contents.counts.items()):
            return lost, lost
        marked = rows.contents.with_made(rows.made)
        return lost, self._try(lambda: losses(marked, after, is_return=is_return)) or ()

    def _read(self, connection: RowConnection, tables: Iterable[str]) -> Contents | None:
        return self._try(lambda: read_contents(connection.ask, tables))

    def _try(self, action: Callable[[], T]) -> T | None:
        """The action's result; None if PostgreSQL refused a query of it. The transaction continues in either case."""
        try:
            return action()
        except (CannotVerify, CommandExited, TimeoutError):
            raise  # the session is over
        except QueryRefused as refused:
            self._problem = str(refused)
        except Exception as error:  # noqa: BLE001 - a defect of the gate is reported for the tables, and ends no walk
            self._problem = f"this is a defect of Overproof, please report it: {type(error).__name__}: {error}"
        return None


def _may_want_json(failure: Failure) -> bool:
    """Whether an upgrade may have failed on the values of the rows: the script may expect JSON in a text."""
    return failure.sqlstate is None or failure.sqlstate.startswith("22")
