"""A revision's upgrade over rows: which rows, what the upgrade does to them, and what a downgrade restores.

    hostile rows, one after the other               each breaks one rule that the upgrade adds: is it an assumption?
    edge cases, then ordinary rows, then none       until the upgrade passes
    upgrade; what is lost? what does the next INSERT meet?
    downgrade; what is lost?                        the rows from before the upgrade must be there again, unchanged

A project may have its own rows, in `overproof_rows/<revision>.sql` next to the revision's script. They are loaded
first, and the tables into which they go get no generated ones.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import filterfalse
from typing import TypeVar

from app.gate.errors import CannotVerify, CommandExited
from app.gate.postgres import sqlstates
from app.gate.postgres.sqlstates import EXISTS_ALREADY
from app.gate.recording.model import Change, Failure, Loss, LossKind, Populated, RefusedInsert, Rename, RowKind, Step
from app.gate.rows._attempts import ATTEMPTS, ATTEMPTS_WITH_JSON, WITHOUT_ROWS, Attempt, may_want_json
from app.gate.rows._catalog import read_catalog
from app.gate.rows._contents import Contents, read_contents
from app.gate.rows._fill import Filled, fill
from app.gate.rows._hostile import Aim, breaks_rule, cause_of, failed_columns, list_aims, may_correct
from app.gate.rows._losses import losses
from app.gate.rows._next_insert import AcceptedInsert, find_refused_inserts, try_next_inserts
from app.gate.rows._own_rows import load
from app.gate.rows._plan import Plan, Upgrade, make_plan, read_new_bounds
from app.gate.rows._renames import newer_names, with_older_names
from app.gate.rows.connection import CommitRefused, QueryRefused, RowConnection
from app.gate.rows.older_rules import find_validated_rules
from app.gate.rows.steps import RolledBack, Steps, passes_without_rows
from app.gate.rows.touched import binds_rows, columns_of, new_partitions, new_tables, with_new_key

T = TypeVar("T")


@dataclass(frozen=True)
class TrialResult:
    """What a trial showed so far."""

    second_up: Step | CommitRefused | None  # the last upgrade: over rows, unless these made it fail
    populated: Populated | None
    tables_without_rows: Mapping[str, str]
    rows_failure: Failure | None
    must_commit: bool  # over rows, the script ends the transaction, or needs them committed
    is_finished: bool  # if not, the next attempt needs another database


@dataclass(frozen=True)
class _Rows:
    """Rows in the tables before an upgrade."""

    kind: RowKind
    plan: Plan
    generated: Mapping[str, int]  # how many were inserted, by table
    contents: Contents
    made: Mapping[str, int]  # how many of them come neither from a script of the history nor from triggers
    filled: Filled
    next_inserts: Mapping[int, AcceptedInsert] = field(default_factory=dict)  # before the upgrade, by the table's oid

    @property
    def counts(self) -> dict[str, int]:
        return {name: count for name, count in self.contents.counts.items() if count}

    def is_of_selected(self, loss: Loss) -> bool:
        """Whether values were replaced in no other rows than those that are there for an UPDATE to select: that is what
        it is for, and a downgrade can seldom tell them from others."""
        is_replaced = loss.kind in (LossKind.VALUES_CHANGED, LossKind.VALUES_MERGED)
        return is_replaced and loss.count <= self.filled.selected.get(loss.table, 0)

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
    statements: Sequence[str] = ()  # of the first upgrade
    cleanups: Callable[[], Sequence[str]] = tuple  # statements of earlier revisions that change or delete rows
    tries_next_inserts: bool = True  # the revision may make PostgreSQL refuse what it accepted
    must_commit: bool = False
    _upgrade: Upgrade = field(init=False)
    _plan: Plan | None = None  # on the database of the run
    _seeded: Mapping[str, int] = field(default_factory=dict)  # rows that the upgrade puts into its new tables
    _left: list[Attempt] = field(default_factory=lambda: [*ATTEMPTS])
    _assumptions: list[Failure] = field(default_factory=list)
    _populated: Populated | None = None
    _without_json: Populated | None = None  # the failure over texts without JSON, while others are tried
    _tables_without_rows: Mapping[str, str] = field(default_factory=dict)
    _rows_failure: Failure | None = None
    _problem: str = ""  # why the last action had no result

    def __post_init__(self) -> None:
        self._upgrade = Upgrade(self.statements)

    def look_ahead(self, connection: RowConnection) -> None:
        """Read what the revision will demand of rows, while the schema is in its state after the upgrade."""
        made = new_tables(self.changes)
        catalog = None
        if any(map(binds_rows, self.changes)):
            wanted = self.touched | made | newer_names(self.renamed, self.touched)
            catalog = self._try(
                lambda: with_older_names(read_catalog(connection.ask, wanted, is_whole=False), self.renamed)
            )
        bounds = self._try(lambda: read_new_bounds(connection.ask, new_partitions(self.changes)))
        self._upgrade = Upgrade(self.statements, catalog, bounds or {})
        if made:
            self._seeded = (self._read(connection, made) or Contents({})).counts

    def run(self, steps: Steps) -> TrialResult:
        """Try the upgrade over rows until it passes, and then the downgrade.

        If the result is not finished, run the trial again on another database: with commits, if it must commit.
        """
        second_up: Step | CommitRefused | None = None
        self._plan = None
        if steps.is_repeatable and self.own_rows is None:
            second_up = self._try_assumptions(steps)
            self.must_commit = self.must_commit or isinstance(second_up, CommitRefused)
        while self._left and not isinstance(second_up, CommitRefused):
            attempt, *self._left = self._left
            if not steps.is_repeatable and attempt.kind is RowKind.EDGE_CASES and self.own_rows is None:
                attempt = self._with_hostile_rows(steps, attempt)
            rows = self._fill(steps, attempt) if attempt.kind is not None else None
            if rows is None and attempt.kind is not None:
                self._populated = self._without_json or self._populated
                self._left = [WITHOUT_ROWS] if steps.is_repeatable else []
                continue
            second_up = steps.upgrade()
            if isinstance(second_up, CommitRefused):
                self.must_commit = True
                break
            if not self._note(steps, attempt, rows, second_up):
                break
        if self.must_commit and steps.is_repeatable:
            self._left, self._populated, self._without_json, self._assumptions = [*ATTEMPTS], None, None, []
        return TrialResult(
            second_up,
            self._with_assumptions(),
            self._tables_without_rows,
            self._rows_failure,
            self.must_commit,
            is_finished=not self._left,
        )

    def _note(self, steps: Steps, attempt: Attempt, rows: _Rows | None, taken: Step) -> bool:
        """Note an upgrade over those rows, or over none. False if no other attempt can follow on this database."""
        if rows is None:
            self._populated = None if taken.failure is not None else self._populated  # the rows were not the reason
            return True
        if taken.failure is None:
            self._left = []
            self._populated = None if attempt.cleanups else self._populated  # an earlier revision has taken care of it
            populated = self._populated or Populated(taken, rows.kind, rows.counts)
            self._populated = self._observe(steps, rows, populated)
            return True
        if not attempt.cleanups or not steps.is_repeatable:
            self._populated = Populated(taken, rows.kind, rows.counts)
        self._left = self._attempts_after(steps, attempt, rows, taken.failure)
        if steps.take_back():
            return True
        self._left = [] if steps.is_repeatable else self._left
        return False

    def _attempts_after(self, steps: Steps, attempt: Attempt, rows: _Rows, failure: Failure) -> list[Attempt]:
        """What is to be tried after an upgrade that failed over those rows."""
        if steps.is_repeatable and failure.sqlstate == sqlstates.OBJECT_IN_USE:
            # "pending trigger events": deferred constraints of rows that are not committed, as those of users are.
            self.must_commit = True
            self._populated = None
            return [WITHOUT_ROWS]
        # What a script creates exists already: other rows would not change that.
        if rows.kind is RowKind.EDGE_CASES and failure.sqlstate not in EXISTS_ALREADY:
            if attempt.cleanups:
                is_corrected = may_correct(attempt.cleanups, failed_columns(failure, self.changes))
                self._populated = None if is_corrected else self._populated
            elif breaks_rule(failure) and (cleanups := self.cleanups()) and passes_without_rows(steps):
                return [attempt._replace(cleanups=cleanups), *self._left]
            return self._left
        if not steps.is_repeatable:
            return []
        if attempt.json_in_text:
            self._populated = self._without_json  # it fails with both kinds of texts: the first failure is reported
        elif rows.kind is RowKind.ORDINARY and may_want_json(failure):
            self._without_json, self._populated = self._populated, None
            return [*ATTEMPTS_WITH_JSON]
        return [WITHOUT_ROWS]

    # Assumptions.

    def _try_assumptions(self, steps: Steps) -> CommitRefused | None:
        """Try the upgrade over rows that break its rules, one rule after the other."""
        plan = steps.in_older_schema(lambda: self._make_plan(steps.connection))
        aims = list_aims(plan) if plan is not None else []
        refused = self._try_aims(steps, aims)
        validated = find_validated_rules(self.changes)
        if refused is not None or not validated or not isinstance(steps, RolledBack):
            return refused
        # Of a constraint that it validates, rows from before the constraint.
        unruled = replace(steps, older_rules=[*steps.older_rules, *validated])
        self._plan = None
        earlier = unruled.in_older_schema(lambda: self._make_plan(steps.connection))
        further = [aim for aim in list_aims(earlier) if aim not in aims] if earlier is not None else []
        refused = self._try_aims(unruled, further)
        self._plan = plan
        return refused

    def _try_aims(self, steps: Steps, aims: Iterable[Aim]) -> CommitRefused | None:
        for aim in aims:
            attempt = Attempt(RowKind.ORDINARY, aims=(aim,))
            failure = self._upgrade_over(steps, attempt)
            if isinstance(failure, Failure) and breaks_rule(failure) and (cleanups := self.cleanups()):
                # What an earlier revision cleans up is not there when this one comes.
                failure = self._upgrade_over(steps, attempt._replace(cleanups=cleanups))
                failure = None if may_correct(cleanups, aim.columns) else failure
            if isinstance(failure, CommitRefused):
                return failure
            if failure is not None and breaks_rule(failure):
                self._assumptions.append(failure)
        return None

    def _with_hostile_rows(self, steps: Steps, attempt: Attempt) -> Attempt:
        """The attempt with rows that break the revision's rules, where each attempt takes another database."""
        plan, cleanups = self._make_plan(steps.connection), self.cleanups()
        aims = list_aims(plan) if plan is not None else []
        aims = [aim for aim in aims if not may_correct(cleanups, aim.columns)]
        return attempt._replace(aims=aims, cleanups=cleanups)

    def _upgrade_over(self, steps: Steps, attempt: Attempt) -> Failure | CommitRefused | None:
        """How the upgrade fails over the rows of an attempt. None if it passes, or has no hostile row."""
        rows = self._fill(steps, attempt)
        failure: Failure | CommitRefused | None = None
        if rows is not None and rows.filled.has_hostile:
            taken = steps.upgrade()
            if isinstance(taken, CommitRefused):
                return taken
            failure = taken.failure
        steps.take_back()
        return failure

    def _with_assumptions(self) -> Populated | None:
        """The result, with the assumptions that are not what it fails by in any case."""
        populated = self._populated
        if populated is None or not self._assumptions:
            return populated
        known = populated.step.failure
        if known is not None and populated.rows is not RowKind.EDGE_CASES:
            return populated
        left = [each for each in self._assumptions if known is None or cause_of(each) != cause_of(known)]
        return replace(populated, assumptions=tuple(left))

    # Rows.

    def _fill(self, steps: Steps, attempt: Attempt) -> _Rows | None:
        """Insert the rows of an attempt. None if the tables have no rows then."""
        inserted: list[_Rows] = []

        def insert() -> bool:
            rows = self._insert(steps.connection, attempt)
            inserted.extend([rows] if rows is not None and rows.counts else [])
            return bool(inserted)

        return inserted[0] if steps.fill(insert) else None

    def _insert(self, connection: RowConnection, attempt: Attempt) -> _Rows | None:
        plan = self._make_plan(connection)
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
                aims=attempt.aims,
                json_in_text=attempt.json_in_text,
                except_for=own,
            )
        ) or Filled({}, dict.fromkeys(plan.touched, self._problem))
        for statement in attempt.cleanups:
            self._try(lambda statement=statement: connection.ask("SELECT ''", statement))  # type: ignore[misc]
        contents = self._read(connection, plan.touched) or Contents({})
        reasons, counts = filled.tables_without_rows, contents.counts
        self._tables_without_rows = {
            name: reasons[name] for name in plan.touched if name in reasons and not counts.get(name)
        }
        made = {name: filled.tables.get(name, 0) + own.get(name, 0) for name in contents.tables}
        kind = RowKind.OWN if self.own_rows and not filled.tables else attempt.kind or RowKind.ORDINARY
        accepted = (
            self._try(lambda: try_next_inserts(connection.ask, plan))
            if self.tries_next_inserts and (attempt.kind is RowKind.EDGE_CASES or not attempt.aims)
            else None
        )
        return _Rows(kind, plan, filled.tables, contents, made, filled, accepted or {})

    def _make_plan(self, connection: RowConnection) -> Plan | None:
        if self._plan is None:
            self._plan = self._try(lambda: make_plan(connection.ask, self.touched, self._upgrade))
        return self._plan

    def _load_own(self, connection: RowConnection) -> Mapping[str, int]:
        """Load the project's own rows. Returns how many went into which tables."""
        if self.own_rows is None:
            return {}
        loaded = self._try(lambda: load(connection, self.own_rows or ""))
        if isinstance(loaded, Failure):
            self._rows_failure, self.own_rows = loaded, None
        return loaded if isinstance(loaded, Mapping) else {}

    # Losses.

    def _observe(self, steps: Steps, rows: _Rows, populated: Populated) -> Populated:
        """Add what the upgrade lost; then take the downgrade, and add what that lost."""
        tables = {*rows.contents.tables, *new_tables(self.changes)}
        written = {table for statement in populated.step.statements for table in statement.written}
        after = steps.read(lambda: self._read(steps.connection, tables | written))
        lost, of_users = self._losses(rows, after, is_return=False)
        refused = steps.read(lambda: self._find_refused(steps.connection, rows, tables))
        of_users = tuple(filterfalse(rows.is_of_selected, of_users))
        populated = replace(populated, lost_upwards=of_users, refused_inserts=refused)
        down = steps.downgrade()
        if not isinstance(down, Step):
            return populated
        if down.failure is not None:
            failure, kind = self._down_over_ordinary(steps, rows.kind) or (down.failure, rows.kind)
            return replace(populated, down_failure=failure, down_rows=kind)
        back = steps.read(lambda: self._read(steps.connection, rows.contents.tables))
        lost_back, of_users_back = self._losses(rows, back, is_return=True)
        # Where the upgrade lost only what scripts had inserted, there is nothing of a user's to restore.
        known = (columns_of(lost) - columns_of(of_users)) | columns_of(of_users_back)
        rest = (loss for loss in lost_back if (loss.table, loss.column) not in known)
        steps.clear(rows.deletion())
        return replace(populated, lost_downwards=tuple(filterfalse(rows.is_of_selected, (*of_users_back, *rest))))

    def _down_over_ordinary(self, steps: Steps, kind: RowKind) -> tuple[Failure, RowKind] | None:
        """How a downgrade that failed over edge cases fails over ordinary rows. None if it does not."""
        if kind is not RowKind.EDGE_CASES or not steps.is_repeatable or not steps.take_back():
            return None
        if self._fill(steps, Attempt(RowKind.ORDINARY)) is None:
            return None
        up = steps.upgrade()
        down = steps.downgrade() if isinstance(up, Step) and up.failure is None else None
        return (down.failure, RowKind.ORDINARY) if isinstance(down, Step) and down.failure is not None else None

    def _find_refused(self, connection: RowConnection, rows: _Rows, tables: Iterable[str]) -> tuple[RefusedInsert, ...]:
        if not self.tries_next_inserts:
            return ()
        before, accepted = rows.plan.catalog, rows.next_inserts
        return self._try(lambda: find_refused_inserts(connection.ask, before, accepted, tables, self._seeded)) or ()

    def _losses(
        self, rows: _Rows, after: Contents | None, *, is_return: bool
    ) -> tuple[tuple[Loss, ...], tuple[Loss, ...]]:
        """The losses of all rows, and of those that a user might have inserted; none if the tables could not be read.

        What was in a table before it was filled was inserted by scripts, since the history begins with an empty
        database: what a script removes of that was never a user's.
        """
        if after is None:
            return (), ()
        keyed = with_new_key(self.changes)
        lost = self._try(lambda: losses(rows.contents, after, is_return=is_return, with_new_key=keyed)) or ()
        if not lost or all(rows.made[name] >= count for name, count in rows.contents.counts.items()):
            return lost, lost
        marked = rows.contents.with_made(rows.made)
        return lost, self._try(lambda: losses(marked, after, is_return=is_return, with_new_key=keyed)) or ()

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
