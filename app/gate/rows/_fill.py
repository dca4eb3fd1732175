"""Rows for the tables that a revision touches, made from the catalog and inserted on the migration's own connection.

There are three kinds. Ordinary rows are those of a usual application: every column filled, different values everywhere.
They also satisfy the rules that the revision is about to add (a new CHECK, a new foreign key), since an application for
which such a rule is written mostly keeps to it already. Edge cases are what the old schema allows and a migration
forgets: a row with NULL in every nullable column, two rows that are equal but for their keys, some whose texts differ
from those of another in case or in blanks only, a row with the longest, finest and largest values, rows on both sides
of each condition by which the revision selects rows, and a row with a retired value: a label that is removed from an
enum, or what a CHECK allows and its replacement does not. A hostile row breaks one rule that the revision adds (a new
CHECK, a new foreign key, a cast), and none before it.

PostgreSQL itself finds the values that satisfy a CHECK or fall into a partition: each restricted column has candidates,
and the INSERT takes the first combination for which the CHECK's own expression is not false. A foreign key takes its
values from the parent's rows in the same statement. All INSERTs are sent as one DO block, which tries the next
combination when a row is refused, and returns the outcome of each.
"""

from __future__ import annotations

import itertools
import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from app.gate.postgres import sqlstates
from app.gate.postgres.quoting import literal
from app.gate.recording.model import Failure
from app.gate.rows._catalog import CatalogTable, CheckConstraint
from app.gate.rows._hostile import Aim
from app.gate.rows._inserts import TRIES, InsertBuilder, InsertTask
from app.gate.rows._plan import Plan
from app.gate.rows._shapes import Shape
from app.gate.rows.connection import Ask, QueryRefused


@dataclass(frozen=True)
class Filled:
    """The outcome of a filling."""

    tables: Mapping[str, int]  # {"public.orders": 7}: rows inserted
    tables_without_rows: Mapping[str, str]  # {"public.lines": "no values were found that satisfy CHECK ck_total"}
    has_hostile: bool = False  # the row that breaks a rule of the revision's was inserted
    selected: Mapping[str, int] = field(
        default_factory=dict
    )  # how many are there only for a condition or a join to select them


def fill(
    plan: Plan,
    ask: Ask,
    *,
    with_edge_cases: bool,
    aims: Sequence[Aim] = (),
    by_defaults: bool = False,
    json_in_text: bool = False,
    except_for: Iterable[str] = (),
) -> Filled:
    """Insert the rows. A table that cannot be filled is reported in the result; nothing is raised for it.

    With `aims`, one for each breaks that rule of the revision's. With `by_defaults`, columns take their values from
    their sequences. With `json_in_text`, texts without a limit hold JSON. `except_for` are tables that have rows
    already.
    """
    builder = InsertBuilder(plan, frozenset(except_for), json_in_text, by_defaults=by_defaults)
    tasks = list(builder.tasks(with_edge_cases, aims))
    failure = _run(tasks, ask)
    if failure is None and (retries := builder.retries(tasks)):
        failure = _run(retries, ask)
        tasks += retries
    return _outcome(plan, tasks, builder, failure)


# Running them.

# An operator of some type, or a trigger, may be slow. Test rows are not worth a long wait.
_AT_MOST = (
    "SELECT concat(set_config('overproof.statement_timeout', current_setting('statement_timeout'), true),"
    " set_config('statement_timeout', '30s', true))"
)
_AS_BEFORE = "SELECT set_config('statement_timeout', current_setting('overproof.statement_timeout'), true)"

# Each statement is run with a growing number of combinations to skip, until one is accepted or none is left. Other
# values do not help against an error that is neither a violated constraint (class 23) nor a bad value (class 22): a few
# tries are enough.
_BLOCK = """
DO LANGUAGE plpgsql $overproof$
DECLARE
  statements text[] DEFAULT ARRAY[{statements}]::text[];
  lasts integer[] DEFAULT ARRAY[{lasts}]::integer[]; -- of each task, the place of its last statement
  conditions text[] DEFAULT ARRAY[{conditions}]::text[];
  place integer DEFAULT 1;
  attempt integer;
  affected bigint;
  is_done boolean;
  state text;
  message text;
  name text;
  outcomes jsonb DEFAULT '[]';
BEGIN
  SET CONSTRAINTS ALL IMMEDIATE;
  FOR task IN 1 .. array_length(lasts, 1) LOOP
    is_done = false;
    affected = 0;
    state = NULL;
    message = NULL;
    name = NULL;
    IF conditions[task] IS NOT NULL THEN
      EXECUTE conditions[task] INTO is_done;
    END IF;
    <<tries>>
    WHILE NOT is_done AND place <= lasts[task] LOOP
      FOR attempt IN 0 .. {tries} LOOP
        BEGIN
          EXECUTE statements[place] USING attempt;
          GET DIAGNOSTICS affected = ROW_COUNT;
          is_done = affected > 0;
        EXCEPTION WHEN OTHERS THEN
          GET STACKED DIAGNOSTICS state = RETURNED_SQLSTATE, message = MESSAGE_TEXT, name = CONSTRAINT_NAME;
          affected = -1;
        END;
        EXIT tries WHEN is_done;
        EXIT WHEN affected = 0 OR (left(state, 2) NOT IN ('22', '23') AND attempt >= 3);
      END LOOP;
      place = place + 1;
    END LOOP;
    place = lasts[task] + 1;
    outcomes = outcomes || jsonb_build_array(jsonb_build_array(
      greatest(affected, 0), CASE WHEN NOT is_done THEN coalesce(state, '') END, message, name));
  END LOOP;
  -- Deferred constraints are deferred again, or an ALTER TABLE after an UPDATE would pass here and fail elsewhere.
  SELECT string_agg(quote_ident(n.nspname) || '.' || quote_ident(k.conname), ', ') INTO name
  FROM pg_catalog.pg_constraint AS k JOIN pg_catalog.pg_namespace AS n ON n.oid = k.connamespace
  WHERE k.condeferred AND k.conparentid = 0 AND k.conrelid = ANY (ARRAY[{tables}]::oid[]);
  IF name IS NOT NULL THEN
    EXECUTE 'SET CONSTRAINTS ' || name || ' DEFERRED';
  END IF;
  PERFORM set_config('overproof.rows', outcomes::text, true);
END $overproof$
"""


def _run(tasks: Sequence[InsertTask], ask: Ask) -> Failure | None:
    """Run the tasks, and write its outcome into each."""
    if not tasks:
        return None
    places = itertools.accumulate(len(task.statements) for task in tasks)
    block = (
        _BLOCK.replace("{tries}", str(TRIES))
        .replace("{tables}", ", ".join(str(oid) for oid in {task.table.oid for task in tasks}))
        .replace("{lasts}", ", ".join(map(str, places)))
        .replace("{conditions}", ", ".join(_quoted(task.unless) if task.unless else "NULL" for task in tasks))
        .replace("{statements}", ", ".join(_quoted(each) for task in tasks for each in task.statements))
    )
    try:
        answer = ask("SELECT current_setting('overproof.rows')", _AT_MOST, block, _AS_BEFORE)
    except QueryRefused as error:
        return error.failure
    outcomes: list[list[Any]] = json.loads(answer)
    for task, (inserted, state, message, name) in zip(tasks, outcomes, strict=True):
        task.inserted = inserted
        task.refusal = None if state is None else (state, message or "", name or "")
    return None


def _quoted(statement: str) -> str:
    """A statement as a literal.

    Dollar quotes are easier to read, but do not hide what a driver takes for a parameter.
    """
    has_traps = (
        "%" in statement or ":" in statement.replace("::", "") or "$s$" in statement or "$overproof$" in statement
    )
    return literal(statement) if has_traps else f"$s${statement}$s$"


def _outcome(plan: Plan, tasks: Sequence[InsertTask], builder: InsertBuilder, failure: Failure | None) -> Filled:
    tables: dict[str, int] = {}
    refused: dict[int, tuple[str, str, str]] = {}
    for task in tasks:
        if task.row.shape is Shape.DEFERRED_KEY:
            continue
        tables[task.table.name] = tables.get(task.table.name, 0) + task.inserted
        if task.refusal is not None and task.row.shape is Shape.ORDINARY:
            refused.setdefault(task.table.oid, task.refusal)
    reasons: dict[str, str] = {}
    for table in (table for group in plan.groups for table in group if not tables.get(table.name)):
        if failure is not None:
            reasons[table.name] = failure.message
        elif table.oid in refused:
            reasons[table.name] = _reason(plan, table, refused[table.oid], builder, reasons)
        elif table.oid in builder.unknown:
            reasons[table.name] = builder.unknown[table.oid]
    has_hostile = any(task.row.shape is Shape.HOSTILE and task.inserted for task in tasks)
    chosen = (Shape.SELECTED, Shape.MATCHED)
    selected = Counter(task.table.name for task in tasks if task.row.shape in chosen and task.inserted)
    return Filled({name: count for name, count in tables.items() if count}, reasons, has_hostile, selected)


def _reason(
    plan: Plan,
    table: CatalogTable,
    refusal: tuple[str, str, str],
    builder: InsertBuilder,
    reasons: Mapping[str, str],  # of the tables before it
) -> str:
    """Why PostgreSQL accepted no row of that table, as text that can follow "public.orders: "."""
    state, message, name = refusal
    if table.is_partitioned and any(check.expression == "false" for check in table.checks):
        return "it has no partition for a row"
    if table.oid in builder.unknown:
        return builder.unknown[table.oid]
    for key in table.foreign_keys:
        parent = plan.catalog.tables.get(key.parent)
        is_needed = all(table.get_column(column).not_null for column in key.columns)
        if parent is not None and parent.name in reasons and is_needed:
            return f"it needs a row of {parent.name}, which could not be filled either: {reasons[parent.name]}"
    if state == "" or state == sqlstates.CHECK_VIOLATION:
        checks = [check for check in table.checks if check.name == name] or list(table.checks)
        if checks:
            return f"no values were found that satisfy {' and '.join(map(_described, checks[:3]))}"
        return "a trigger suppresses each INSERT" if table.triggers else "no values were found for it"
    if table.triggers and not state.startswith("23"):
        return f"{message} (raised by an INSERT, possibly in trigger {table.triggers[0]})"
    return message or f"PostgreSQL refuses every row that was tried (SQLSTATE {state})"


def _described(check: CheckConstraint) -> str:
    if check.is_of_partitions:
        return check.name
    expression = check.expression if check.expression.startswith("(") else f"({check.expression})"
    return f"CHECK {check.name} {expression}"
