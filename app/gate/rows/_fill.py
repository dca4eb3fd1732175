"""Rows for the tables that a revision touches, made from the catalog and inserted on the migration's own connection.

Two kinds. Plain rows are what an ordinary application would have: every column filled, different values everywhere. They also obey
the rules that the revision is about to bring (a new CHECK, a new foreign key), since an application that is given such a rule
mostly lives by it already. Awkward rows are what the old schema allows and a migration forgets: one with NULL wherever that may
be, two that are equal but for their keys, one with the longest, finest and largest values, and one with a value that goes:
the label that is taken out of an enum, what a CHECK allows and the one that takes its place does not.

PostgreSQL itself finds the values that meet a CHECK or fall into a partition: each column that is bound by one is given
candidates, and the INSERT takes the first combination for which the CHECK's own expression is not false. A foreign key
takes its values from the parent's rows in the same statement. All INSERTs are sent as one DO block, which takes the next
combination when a row is refused, and says in the end what became of each.
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from app.gate.postgres import sqlstates
from app.gate.postgres.quoting import literal
from app.gate.recording.model import Failure
from app.gate.rows._catalog import CatalogTable, CheckConstraint
from app.gate.rows._inserts import TRIES, InsertBuilder, InsertTask
from app.gate.rows._plan import Plan
from app.gate.rows.connection import Ask, QueryRefused


@dataclass(frozen=True)
class Filled:
    """What became of the rows."""

    tables: Mapping[str, int]  # {"public.orders": 7}: inserted by us
    tables_without_rows: Mapping[str, str]  # {"public.lines": "no values were found that meet CHECK ck_total"}


def fill(
    plan: Plan, ask: Ask, *, is_awkward: bool, json_in_text: bool = False, except_for: Iterable[str] = ()
) -> Filled:
    """Insert the rows. What cannot be filled is told, and nothing raised.

    With documents, texts without a limit hold JSON. `except_for` are tables that have rows enough.
    """
    writer = InsertBuilder(plan, frozenset(except_for), json_in_text)
    tasks = list(writer.tasks(is_awkward))
    failure = _run(tasks, ask)
    if failure is None and (again := writer.tasks_again(tasks)):
        failure = _run(again, ask)
        tasks += again
    return _outcome(plan, tasks, writer, failure)


# Sending them.

# Some type's operator, or some trigger, may be slower than anybody thinks. Rows are not worth waiting for.
_AT_MOST = (
    "SELECT concat(set_config('overproof.statement_timeout', current_setting('statement_timeout'), true),"
    " set_config('statement_timeout', '30s', true))"
)
_AS_BEFORE = "SELECT set_config('statement_timeout', current_setting('overproof.statement_timeout'), true)"

# Every statement is given a number of combinations to pass over, until one is taken or none is left. Other values do not
# cure a refusal that is neither a violation of a constraint nor about a value (class 22): a few tries are enough.
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
  -- What waits for the end of a transaction is to wait again, or an ALTER TABLE behind an UPDATE would pass as nowhere else.
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
    """Send the tasks, and write into each what became of it."""
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
    """A statement as a text. Dollars are easier to write and to read, but keep no driver from what it takes for a parameter."""
    has_traps = (
        "%" in statement or ":" in statement.replace("::", "") or "$s$" in statement or "$overproof$" in statement
    )
    return literal(statement) if has_traps else f"$s${statement}$s$"


def _outcome(plan: Plan, tasks: Sequence[InsertTask], writer: InsertBuilder, failure: Failure | None) -> Filled:
    tables: dict[str, int] = {}
    refused: dict[int, tuple[str, str, str]] = {}
    for task in tasks:
        if task.row.kind == "late":
            continue
        tables[task.table.name] = tables.get(task.table.name, 0) + task.inserted
        if task.refusal is not None and task.row.kind == "plain":
            refused.setdefault(task.table.oid, task.refusal)
    tables_without_rows: dict[str, str] = {}
    for group in plan.groups:
        for table in group:
            if tables.get(table.name):
                continue
            if failure is not None:
                tables_without_rows[table.name] = failure.message
            elif table.oid in refused:
                tables_without_rows[table.name] = _reason(plan, table, refused[table.oid], writer, tables_without_rows)
            elif table.oid in writer.unknown:
                tables_without_rows[table.name] = writer.unknown[table.oid]
    return Filled({name: count for name, count in tables.items() if count}, tables_without_rows)


def _reason(
    plan: Plan,
    table: CatalogTable,
    refusal: tuple[str, str, str],
    writer: InsertBuilder,
    tables_without_rows: Mapping[str, str],
) -> str:
    """Why no row of that table was taken, in words that go on after "public.orders: "."""
    state, message, name = refusal
    if table.is_partitioned and any(check.expression == "false" for check in table.checks):
        return "it has no partition to put a row into"
    if table.oid in writer.unknown:
        return writer.unknown[table.oid]
    for key in table.foreign_keys:
        parent = plan.catalog.tables.get(key.parent)
        if (
            parent is not None
            and parent.name in tables_without_rows
            and all(table.get_column(c).not_null for c in key.columns)
        ):
            return f"it needs a row of {parent.name}, which cannot be filled either: {tables_without_rows[parent.name]}"
    if state == "" or state == sqlstates.CHECK_VIOLATION:
        checks = [check for check in table.checks if check.name == name] or list(table.checks)
        if checks:
            told = " and ".join(map(_told, checks[:3]))
            return f"no values were found that meet {told}"
        return "a trigger lets no row in" if table.triggers else "no values were found for it"
    if table.triggers and not state.startswith("23"):
        return f"{message} (raised at an INSERT, perhaps by trigger {table.triggers[0]})"
    return message or f"PostgreSQL refuses every row tried (SQLSTATE {state})"


def _told(check: CheckConstraint) -> str:
    if check.is_of_partitions:
        return check.name
    expression = check.expression if check.expression.startswith("(") else f"({check.expression})"
    return f"CHECK {check.name} {expression}"
