"""A revision's second upgrade, over rows: which tables get them, what the upgrade does with them, and the way back.

It happens inside the held transaction of the walk, between the downgrade and the second upgrade, and is rolled back
with it:

    rows in; up                 with awkward rows. If that fails, with plain ones, and then with none
    what is lost?
    down; what is lost?         rows that were there before the upgrade are to be there afterwards, as they were

A project may bring rows of its own, in `overproof_rows/<revision>.sql` beside the revision's script. They are loaded
first, and the tables into which they go get none of ours.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TypeVar

from app.gate.errors import CannotVerify, CommandExited
from app.gate.postgres import sqlstates
from app.gate.postgres.sqlstates import EXISTS_ALREADY
from app.gate.recording.model import Change, Failure, Loss, Populated, RowKind, Step
from app.gate.rows._catalog import Catalog, read_catalog
from app.gate.rows._contents import Contents, read_contents
from app.gate.rows._fill import Filled, fill
from app.gate.rows._losses import losses
from app.gate.rows._plan import Plan, make_plan
from app.gate.rows.connection import CommitRefused, QueryRefused, RowConnection
from app.gate.rows.touched import KINDS, binds_rows, columns_of, new_tables

T = TypeVar("T")

# "pending trigger events": deferred constraints of rows that are not committed yet, which those of users are.

_INSERTED = """
SELECT coalesce(json_object_agg(n.nspname || '.' || c.relname, pg_stat_get_xact_tuples_inserted(c.oid)), '{}')::text
FROM pg_catalog.pg_class AS c JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
WHERE c.relkind IN ('r', 'p') AND c.oid >= 16384 AND c.relpersistence <> 't'
"""


@dataclass
class RowsTrial:
    """One revision over rows. `populated`, `tables_without_rows` and `rows_failure` are what there is to say of it in the end.

    A revision that can be held goes through `upgrade`, `after_upgrade` and `downgrade`. One that commits by itself is
    taken through `fill`, `note`, `after_upgrade`, `after_downgrade` and `clear` by whoever runs its steps in between.
    """

    line: RowConnection
    touched: frozenset[str]
    changes: Sequence[Change]  # of the first upgrade
    own_rows: str | None = None  # the project's SQL script
    populated: Populated | None = None
    tables_without_rows: Mapping[str, str] = field(default_factory=dict)
    rows_failure: Failure | None = None
    must_commit: bool = False  # over rows, it ends the transaction, or wants them committed
    _catalog_after: Catalog | None = None
    _plan: Plan | None = None
    _filled: Filled | None = None
    _kind: RowKind = RowKind.EDGE_CASES  # of the rows that are in the tables
    _before: Contents = field(default_factory=lambda: Contents({}))  # what was in them before the upgrade
    _made: Mapping[str, int] = field(default_factory=dict)  # how many of those rows no script of the history has made
    _settled: frozenset[tuple[str, str | None]] = (
        frozenset()
    )  # where the upgrade lost nothing but what scripts had made
    _has_passed: bool = False  # the last upgrade over rows
    _trouble: str = ""  # what was wrong when nothing came of an action

    def look_ahead(self) -> None:
        """While the schema is as the upgrade leaves it: read what it will demand of rows."""
        if any(map(binds_rows, self.changes)):
            self._catalog_after = self._try(lambda: read_catalog(self.line.ask, self.touched, is_whole=False))

    def upgrade(self, step: Callable[[], Step | CommitRefused]) -> Step | CommitRefused:
        """An upgrade in the held transaction: over rows, if these are not what makes it fail. `is_void` tells a step that did
        not take place."""
        for json_in_text in (False, True):
            told = self.populated
            self.populated = None
            for kind in KINDS:
                if self.line.execute(["SAVEPOINT overproof_rows"]) is not None or not self.fill(kind, json_in_text):
                    break
                taken = step()
                if isinstance(taken, CommitRefused):
                    return taken
                self.note(taken)
                if taken.failure is None:
                    return taken
                self.must_commit = taken.failure.sqlstate == sqlstates.OBJECT_IN_USE
                if self.line.execute(["ROLLBACK TO SAVEPOINT overproof_rows"]) is not None:
                    return taken  # the script has ended the transaction: nothing more can be tried in it
                if self.must_commit or not self.is_worth_another_try(taken.failure):
                    break
            if self.must_commit:
                self.populated = None
                break
            if json_in_text:
                self.populated = told  # with texts of either kind it fails: what was seen first is told
            elif not self._may_want_documents():
                break
        taken = step()
        if isinstance(taken, CommitRefused) or taken.failure is not None:
            self.populated = None  # it is not the rows
        return taken

    def _may_want_documents(self) -> bool:
        """Whether plain rows failed on what is in their values: a script may have wanted JSON in a text."""
        failure = self.populated.step.failure if self.populated is not None and self._kind == RowKind.ORDINARY else None
        return failure is not None and (failure.sqlstate is None or failure.sqlstate.startswith("22"))

    def fill(self, kind: RowKind, json_in_text: bool = False) -> bool:
        """Put rows of that kind into the tables, with JSON in their texts if that is wanted.

        False if they hold none then.
        """
        plan = self._try(lambda: make_plan(self.line.ask, self.touched, self._catalog_after))
        if plan is None:
            self.tables_without_rows = dict.fromkeys(self.touched, self._trouble)
            return False
        own = self._load_own()
        filled = self._try(
            lambda: fill(
                plan,
                self.line.ask,
                with_edge_cases=kind is RowKind.EDGE_CASES,
                json_in_text=json_in_text,
                except_for=own,
            )
        ) or Filled({}, dict.fromkeys(plan.touched, self._trouble))
        self._plan, self._filled = plan, filled
        self._kind = RowKind.OWN if self.own_rows and not filled.tables else kind
        self._before = self._read(plan.touched) or Contents({})
        self._made = {name: filled.tables.get(name, 0) + own.get(name, 0) for name in self._before.tables}
        counts = self._before.counts
        self.tables_without_rows = {
            name: filled.tables_without_rows[name]
            for name in plan.touched
            if name in filled.tables_without_rows and not counts.get(name)
        }
        return any(counts.values())

    def note(self, taken: Step) -> None:
        """Write down how the upgrade over those rows ended."""
        self._has_passed = taken.failure is None
        if self._has_passed and self.populated is not None:
            return  # the failure before is what there is to tell; this one says how grave it is
        counts = {name: count for name, count in self._before.counts.items() if count}
        self.populated = Populated(taken, self._kind, counts)

    def is_worth_another_try(self, failure: Failure) -> bool:
        """Whether rows of another kind might fare better than these."""
        # What a script creates exists already: that is not the rows' fault.
        return self._kind == RowKind.EDGE_CASES and failure.sqlstate not in EXISTS_ALREADY

    def after_upgrade(self) -> None:
        """Note what the upgrade lost. The last step was one that ended well."""
        if self.populated is not None and self._has_passed:
            after = self._read({*self._before.tables, *new_tables(self.changes)})
            lost, of_users = self._losses(after, is_return=False)
            self._settled = columns_of(lost) - columns_of(of_users)
            self.populated = replace(self.populated, lost_upwards=of_users)

    def downgrade(self, step: Callable[[], Step | CommitRefused]) -> None:
        """Go down over the rows, if the upgrade went up over them, and note what is lost then."""
        if self.populated is not None and self._has_passed:
            taken = step()
            if isinstance(taken, Step) and taken.failure is None:
                self.after_downgrade()

    def after_downgrade(self) -> None:
        """Note what is not as it was before the upgrade, now that it has been taken back."""
        if self.populated is not None:
            back = self._read(self._before.tables)
            lost, of_users = self._losses(back, is_return=True)
            told = columns_of(of_users)
            left = (loss for loss in lost if (loss.table, loss.column) not in self._settled | told)
            self.populated = replace(self.populated, lost_downwards=(*of_users, *left))

    def clear(self) -> bool:
        """Take our rows away again, after up and down with commits.

        False if others were there that cannot be told from them.
        """
        if self._plan is None or self._filled is None:
            return False
        ours = self._filled.tables
        if any(count != ours.get(name, 0) for name, count in self._before.counts.items()):
            return False
        filled = [table for group in reversed(self._plan.groups) for table in group if table.name in ours]
        return self.line.execute([f"DELETE FROM {table.sql}" for table in filled]) is None

    def _load_own(self) -> Mapping[str, int]:
        """Load the project's own rows. Gives the tables that they went into, and how many."""
        if self.own_rows is None:
            return {}
        earlier = self._inserted()
        self.line.execute(["SAVEPOINT overproof_own"])
        failure = self.line.load(self.own_rows)
        if failure is None:
            failure = self.line.execute(["SET CONSTRAINTS ALL IMMEDIATE"])
        if failure is not None:
            self.rows_failure = failure
            self.own_rows = None
            self.line.execute(["ROLLBACK TO SAVEPOINT overproof_own"])
            return {}
        self.line.execute(["RELEASE SAVEPOINT overproof_own"])
        later = self._inserted()
        return {name: more for name, count in later.items() if (more := count - earlier.get(name, 0)) > 0}

    def _inserted(self) -> dict[str, int]:
        return self._try(lambda: json.loads(self.line.ask(_INSERTED))) or {}

    def _losses(self, after: Contents | None, *, is_return: bool) -> tuple[tuple[Loss, ...], tuple[Loss, ...]]:
        """What is lost of all rows, and of those that a user might have made. None if the tables could not be read: what was not
        seen is not lost.

        What was in a table before it was filled is a script's own, since the history began with nothing: what a script
        takes away of that was never a user's.
        """
        if after is None:
            return (), ()
        lost = self._try(lambda: losses(self._before, after, is_return=is_return)) or ()
        if not lost or all(self._made[name] >= count for name, count in self._before.counts.items()):
            return lost, lost
        telling = self._before.with_made(self._made)
        return lost, self._try(lambda: losses(telling, after, is_return=is_return)) or ()

    def _read(self, tables: Iterable[str]) -> Contents | None:
        return self._try(lambda: read_contents(self.line.ask, tables))

    def _try(self, action: Callable[[], T]) -> T | None:
        """What the action gives, or None if a query of it was refused; the transaction goes on in either case."""
        try:
            return action()
        except (CannotVerify, CommandExited, TimeoutError):
            raise  # the session is over
        except Exception as error:  # noqa: BLE001 - a defect of ours is told where the rows would be, and ends no walk
            is_ours = not isinstance(error, QueryRefused)
            words = f"this is a defect of Overproof, please report it: {type(error).__name__}: " if is_ours else ""
            self._trouble = f"{words}{error}"
            return None
