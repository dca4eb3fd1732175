"""A revision's second upgrade, over rows: which tables get them, what the upgrade does with them, and the way back.

It happens inside the held transaction of the walk, between the downgrade and the second upgrade, and is rolled back with it:

    rows in; up                 with awkward rows. If that fails, with plain ones, and then with none
    what is lost?
    down; what is lost?         rows that were there before the upgrade are to be there afterwards, as they were

A project may bring rows of its own, in `overproof_rows/<revision>.sql` beside the revision's script. They are loaded first, and the
tables into which they go get none of ours.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TypeVar

from app.gate.recording import Change, Failure, Key, Populated, Snapshot, Step
from app.gate.rows import Filled, Plan, fill, make_plan
from app.gate.rows_catalog import Catalog, read_catalog
from app.gate.rows_contents import Contents, losses, read_contents

T = TypeVar("T")

FOLDER = "overproof_rows"

# What a script creates exists already: that is not the rows' fault.
_EXISTS_ALREADY = frozenset({"42710", "42P07", "42701", "42P06", "42723"})
_INSERTED = """
SELECT coalesce(json_object_agg(n.nspname || '.' || c.relname, pg_stat_get_xact_tuples_inserted(c.oid)), '{}')::text
FROM pg_catalog.pg_class AS c JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
WHERE c.relkind IN ('r', 'p') AND c.oid >= 16384 AND c.relpersistence <> 't'
"""


class AskFailed(Exception):
    """A query of ours was refused."""

    def __init__(self, failure: Failure) -> None:
        super().__init__(failure.message)
        self.failure = failure


@dataclass(frozen=True)
class Line:
    """The migration's own connection, inside the transaction that is held."""

    ask: Callable[[str], str]  # one text; raises AskFailed
    execute: Callable[[Sequence[str]], Failure | None]
    load: Callable[[str], Failure | None]  # runs a whole SQL script


def find_rows(script: Path, script_location: str | None, revision: str) -> Path | None:
    """The project's own rows for that revision: `overproof_rows/<revision>.sql` beside its script, or in the folder of `env.py`."""
    places = [script.parent, *([Path(script_location)] if script_location else [])]
    return next((found for place in places if (found := place / FOLDER / f"{revision}.sql").is_file()), None)


def touched_tables(up: Step, before: Snapshot) -> frozenset[str]:
    """The older tables with whose rows an upgrade does something: "public.orders".

    A mere lock does not count: each new table with a foreign key locks the one that it refers to.
    """
    older = {f"{key.schema}.{key.name}" for key in before.objects if key.kind == "table"}
    touched = {_table_of(change.key) for change in up.changes}
    for statement in up.statements:
        touched.update(statement.rewrites, statement.scans, statement.index_builds, statement.written)
        if not statement.transactional:
            # Nothing of a statement that committed by itself can be counted; its text is all there is.
            words = set(re.findall(r"\w+", statement.sql))
            touched.update(name for name in older if name.rpartition(".")[2] in words)
    return frozenset(touched & older)


def new_tables(changes: Iterable[Change]) -> frozenset[str]:
    """The tables that the changes bring."""
    return frozenset(_table_of(each.key) for each in changes if each.key.kind == "table" and each.before is None)


def _table_of(key: Key) -> str:
    return f"{key.schema}.{key.table or key.name}"


@dataclass
class Trial:
    """One revision over rows. `populated`, `not_covered` and `rows_failure` are what there is to say of it in the end."""

    line: Line
    touched: frozenset[str]
    changes: Sequence[Change]  # of the first upgrade
    own_rows: str | None = None  # the project's SQL script
    populated: Populated | None = None
    not_covered: Mapping[str, str] = field(default_factory=dict)
    rows_failure: Failure | None = None
    _to_come: Catalog | None = None
    _plan: Plan | None = None
    _before: Contents | None = None  # what the upgrade under way began with

    def look_ahead(self) -> None:
        """While the schema is as the upgrade leaves it: read what it will demand of rows."""
        if any(change.key.kind in ("constraint", "column", "table") for change in self.changes):
            self._to_come = self._try(lambda: read_catalog(self.line.ask, self.touched, is_whole=False))

    def upgrade(self, step: Callable[[], Step], is_void: Callable[[Step], bool]) -> Step:
        """The second upgrade: over rows if these are not what makes it fail. `is_void` tells a step that did not take place."""
        plan = self._try(lambda: make_plan(self.line.ask, self.touched, self._to_come))
        if plan is None:
            self.not_covered = dict.fromkeys(self.touched, "the catalog cannot be read")
            return step()
        self._plan = plan
        for kind in ("awkward", "plain"):
            if self.line.execute(["SAVEPOINT overproof_rows"]) is not None:
                break
            filled = self._fill(plan, kind == "awkward")
            before = self._contents(plan, filled)
            if not any(before.counts.values()):
                break
            taken = step()
            if is_void(taken):
                return taken
            told = "own" if self.own_rows and not filled.tables else kind
            self._note(taken, told, before)
            if taken.failure is None:
                self._before = before
                return taken
            self.line.execute(["ROLLBACK TO SAVEPOINT overproof_rows"])
            if told == "own" or taken.failure.sqlstate in _EXISTS_ALREADY:
                break
        taken = step()
        if taken.failure is not None or is_void(taken):
            self.populated = None  # it is not the rows
        return taken

    def after_upgrade(self) -> None:
        """Note what the upgrade lost. The last step was one that ended well."""
        if self._before is not None and self.populated is not None:
            lost = losses(self._before, self._read({*self._before.tables, *new_tables(self.changes)}))
            self.populated = replace(self.populated, lost_upwards=lost)

    def downgrade(self, step: Callable[[], Step]) -> None:
        """Go down over the rows, if the upgrade went up over them, and note what is lost then."""
        if self._before is None or self.populated is None:
            return
        if step().failure is None:
            lost = losses(self._before, self._read(self._before.tables), is_return=True)
            self.populated = replace(self.populated, lost_downwards=lost)

    def _note(self, taken: Step, kind: str, before: Contents) -> None:
        has_failed = self.populated is not None and self.populated.step.failure is not None
        if has_failed and taken.failure is None:
            return  # the first failure is what there is to tell; this one says how grave it is
        self.populated = Populated(taken, kind, {name: count for name, count in before.counts.items() if count})

    def _fill(self, plan: Plan, is_awkward: bool) -> Filled:
        own = self._load_own()
        filled = self._try(
            lambda: fill(plan, self.line.ask, self.line.execute, is_awkward=is_awkward, except_for=own)
        ) or Filled({}, dict.fromkeys(plan.touched, "PostgreSQL refused to fill it"))
        self.not_covered = {name: filled.not_covered[name] for name in plan.touched if name in filled.not_covered}
        return filled

    def _load_own(self) -> frozenset[str]:
        """Load the project's own rows. Gives the tables that they went into."""
        if self.own_rows is None:
            return frozenset()
        earlier = self._inserted()
        self.line.execute(["SAVEPOINT overproof_own"])
        failure = self.line.load(self.own_rows)
        if failure is None:
            failure = self.line.execute(["SET CONSTRAINTS ALL IMMEDIATE"])
        if failure is not None:
            self.rows_failure = failure
            self.own_rows = None
            self.line.execute(["ROLLBACK TO SAVEPOINT overproof_own"])
            return frozenset()
        self.line.execute(["RELEASE SAVEPOINT overproof_own"])
        return frozenset(name for name, count in self._inserted().items() if count > earlier.get(name, 0))

    def _inserted(self) -> dict[str, int]:
        return self._try(lambda: json.loads(self.line.ask(_INSERTED))) or {}

    def _contents(self, plan: Plan, filled: Filled) -> Contents:
        return self._read({*plan.touched, *filled.tables})

    def _read(self, tables: Iterable[str]) -> Contents:
        return self._try(lambda: read_contents(self.line.ask, self.line.execute, tables)) or Contents({})

    def _try(self, action: Callable[[], T]) -> T | None:
        """What the action gives, or None if a query of it was refused; the transaction goes on in either case."""
        self.line.execute(["SAVEPOINT overproof_look"])
        try:
            result = action()
        except AskFailed:
            self.line.execute(["ROLLBACK TO SAVEPOINT overproof_look"])
            return None
        self.line.execute(["RELEASE SAVEPOINT overproof_look"])
        return result
