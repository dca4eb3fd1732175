"""The next INSERT of an application, before an upgrade and after it: an ordinary row, by the table's defaults.

The row is then updated, with the values that it has, and deleted: what fails there is a trigger.

Before the upgrade each sequence is moved behind the rows that were made, as it would be if they had taken their keys
from it. PostgreSQL undoes that with the transaction, unlike `nextval`, for a sequence that was restarted has new
storage. After the upgrade a sequence is behind its rows if most of them have values that it has still to give.
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from app.gate.postgres import sqlstates
from app.gate.postgres.quoting import identifier, literal
from app.gate.recording.model import Failure, RefusedInsert
from app.gate.rows._catalog import Catalog, CatalogTable, Column, read_catalog
from app.gate.rows._inserts import InsertBuilder
from app.gate.rows._plan import Plan
from app.gate.rows._values import NoValue
from app.gate.rows.connection import Ask


@dataclass(frozen=True)
class AcceptedInsert:
    """What an INSERT that PostgreSQL accepted before the upgrade left to defaults."""

    omitted: frozenset[str]  # columns
    moved: frozenset[str]  # those whose sequence was moved behind the rows
    generated: frozenset[str]  # those whose default is a new value each time
    verbs: frozenset[str] = frozenset({"INSERT"})  # what was accepted of that row


@dataclass(frozen=True)
class _Probe:
    """An INSERT into one table."""

    table: CatalogTable
    omitted: frozenset[str]
    insert: str
    may_be_behind: frozenset[str] | None = None  # columns; None: all

    @property
    def later(self) -> list[dict[str, str]]:
        """What is done with the row once it is there, which is the parameter, as JSON."""
        names = [identifier(each.name) for each in self.table.columns if not (each.is_generated or each.is_identity)]
        same = "WHERE to_jsonb(overproof_next.*) = $1"
        update = (
            f"UPDATE {self.table.sql} AS overproof_next SET {', '.join(f'{name} = {name}' for name in names)} {same}"
        )
        delete = f"DELETE FROM {self.table.sql} AS overproof_next {same}"
        return [*[{"verb": "UPDATE", "sql": update}] * bool(names), {"verb": "DELETE", "sql": delete}]

    @property
    def sequences(self) -> list[dict[str, Any]]:
        unique = {key.columns[0] for key in self.table.keys if len(key.columns) == 1}
        return [
            {"name": each.name, "column": identifier(each.name), "sequence": each.sequence}
            for each in self.table.columns
            if each.sequence is not None
            and each.name in unique
            and (self.may_be_behind is None or each.name in self.may_be_behind)
        ]


def try_next_inserts(ask: Ask, plan: Plan) -> dict[int, AcceptedInsert]:
    """Move the sequences of the touched tables behind their rows, and insert the next row into each.

    Returns by the table's oid what PostgreSQL accepted. Nothing of that is left but the position of the sequences.
    """
    probes = _probes(plan, {table.oid: frozenset() for table in plan.catalog.tables.values() if table.is_touched})
    outcomes = _run(ask, probes, is_before=True)
    return {
        probe.table.oid: AcceptedInsert(
            probe.omitted,
            frozenset(outcome["moved"]),
            frozenset(filter(_Generates(probe.table), probe.omitted)),
            frozenset(outcome["accepted"]),
        )
        for probe, outcome in zip(probes, outcomes, strict=True)
        if outcome["accepted"]
    }


def find_refused_inserts(
    ask: Ask, before: Catalog, accepted: Mapping[int, AcceptedInsert], tables: Iterable[str], seeded: Mapping[str, int]
) -> tuple[RefusedInsert, ...]:
    """The INSERTs into those tables that PostgreSQL refuses after the upgrade, where the upgrade is the reason.

    Of a new table, those that collide with rows made of older ones: `seeded` is how many rows the upgrade itself puts
    into it.
    """
    after = read_catalog(ask, tables)
    known = {table.oid: _accepted_for(table, before, accepted) for table in after.tables.values()}
    nothing: frozenset[str] = frozenset()
    wanted = {
        table.oid: nothing if (one := known[table.oid]) is None else one.omitted
        for table in after.tables.values()
        if table.is_touched and (known[table.oid] is not None or before.find(table.name) is None)
    }
    probes = [
        probe if (one := known[probe.table.oid]) is None else replace(probe, may_be_behind=one.moved)
        for probe in _probes(Plan(after), wanted)
    ]
    outcomes = _run(ask, probes, is_before=False)
    refused = []
    for probe, outcome in zip(probes, outcomes, strict=True):
        earlier = known[probe.table.oid]
        if earlier is None and outcome["count"] <= seeded.get(probe.table.name, 0):
            continue
        if (found := _refused(probe, outcome, earlier)) is not None:
            refused.append(found)
    return tuple(refused)


def _accepted_for(
    table: CatalogTable, before: Catalog, accepted: Mapping[int, AcceptedInsert]
) -> AcceptedInsert | None:
    """By the name, since the application knows no other; else by the oid, as of a table that was renamed."""
    earlier = before.find(table.name)
    return accepted.get(earlier.oid if earlier is not None else table.oid)


class _Generates:
    """Whether a column's default is a new value for each row."""

    def __init__(self, table: CatalogTable) -> None:
        self._table = table

    def __call__(self, name: str) -> bool:
        column = self._table.get_column(name)
        return column.is_identity or column.sequence is not None or "(" in (column.default or "")


def _has_default(column: Column) -> bool:
    return column.default is not None or column.is_identity


def _probes(plan: Plan, tables: Mapping[int, frozenset[str]]) -> list[_Probe]:
    """INSERTs into those tables that leave the given columns, and those with a default, to their defaults."""
    probes = []
    builder = InsertBuilder(plan)
    for oid, left_out in tables.items():
        table = plan.catalog.tables[oid]
        omitted = frozenset(each.name for each in table.columns if _has_default(each) or each.name in left_out)
        try:
            probes.append(_Probe(table, omitted, builder.next_insert(table, omitted)))
        except NoValue:
            continue
    return probes


# Running them.

_BLOCK = """
DO LANGUAGE plpgsql $overproof$
DECLARE
  probe jsonb;
  place jsonb;
  moved jsonb;
  restart text;
  restarts text[];
  accepted jsonb;
  inserted jsonb;
  found jsonb;
  outcomes jsonb DEFAULT '[]';
  given numeric;
  total bigint;
  larger bigint;
  lowest numeric;
  highest numeric;
  state text;
  message text;
  name text;
  field text;
  context text;
BEGIN
  FOR probe IN SELECT e.value FROM jsonb_array_elements({probes}::jsonb) WITH ORDINALITY AS e ORDER BY e.ordinality LOOP
    found = jsonb_build_object('state', NULL, 'count', 0);
    moved = '[]';
    accepted = '[]';
    restarts = '{}';
    IF {is_before} THEN
      FOR place IN SELECT e.value FROM jsonb_array_elements(probe -> 'sequences') AS e LOOP
        BEGIN
          SELECT s.seqmax INTO highest FROM pg_catalog.pg_sequence AS s
            WHERE s.seqrelid = (place ->> 'sequence')::regclass AND s.seqincrement > 0;
          EXECUTE 'SELECT max(c) FROM (SELECT ' || (place ->> 'column') || ' AS c FROM ' || (probe ->> 'table')
            || ') AS t WHERE c < $1' INTO highest USING highest;
          IF highest IS NOT NULL THEN
            restart = 'ALTER SEQUENCE ' || (place ->> 'sequence') || ' RESTART WITH ' || (highest + 1)::bigint;
            EXECUTE restart;
            restarts = restarts || restart;
            moved = moved || jsonb_build_array(place ->> 'name');
          END IF;
        EXCEPTION WHEN OTHERS THEN
          NULL; -- it ends before that, or belongs to another role
        END;
      END LOOP;
    ELSE
      EXECUTE 'SELECT count(*) FROM ' || (probe ->> 'table') INTO total;
      found = found || jsonb_build_object('count', total);
    END IF;
    BEGIN
      SET CONSTRAINTS ALL IMMEDIATE;
      EXECUTE probe ->> 'insert' INTO inserted USING 0;
      IF inserted IS NULL THEN
        found = found || jsonb_build_object('state', '');
      END IF;
      IF NOT {is_before} THEN
        FOR place IN SELECT e.value FROM jsonb_array_elements(probe -> 'sequences') AS e LOOP
          given = (inserted ->> (place ->> 'name'))::numeric;
          EXECUTE 'SELECT count(*), count(*) FILTER (WHERE c > $1), min(c) FILTER (WHERE c > $1), max(c) FROM (SELECT '
            || (place ->> 'column') || ' AS c FROM ' || (probe ->> 'table') || ') AS t' INTO total, larger, lowest, highest
            USING given;
          IF larger > 0 AND 2 * larger >= total - 1 THEN
            found = found || jsonb_build_object('column', place ->> 'name', 'next', given, 'highest', highest);
            EXECUTE 'ALTER SEQUENCE ' || (place ->> 'sequence') || ' RESTART WITH ' || lowest::bigint;
            EXECUTE probe ->> 'insert' INTO inserted USING 0;
          END IF;
        END LOOP;
      END IF;
      IF inserted IS NOT NULL THEN
        accepted = '["INSERT"]';
        FOR place IN SELECT e.value FROM jsonb_array_elements(probe -> 'later') AS e LOOP
          EXECUTE place ->> 'sql' USING inserted;
          accepted = accepted || (place -> 'verb');
        END LOOP;
      END IF;
      RAISE EXCEPTION USING ERRCODE = 'OP001';
    EXCEPTION
      WHEN SQLSTATE 'OP001' THEN
        NULL;
      WHEN OTHERS THEN
        GET STACKED DIAGNOSTICS state = RETURNED_SQLSTATE, message = MESSAGE_TEXT, name = CONSTRAINT_NAME,
          field = COLUMN_NAME, context = PG_EXCEPTION_CONTEXT;
        found = found || jsonb_build_object('state', state, 'message', message, 'constraint', name, 'field', field,
          'context', context);
    END;
    FOREACH restart IN ARRAY restarts LOOP
      EXECUTE restart; -- what the INSERT took from it is not given back by itself
    END LOOP;
    outcomes = outcomes || jsonb_build_array(found || jsonb_build_object('moved', moved, 'accepted', accepted));
  END LOOP;
  PERFORM set_config('overproof.next', outcomes::text, true);
END $overproof$
"""


def _run(ask: Ask, probes: Sequence[_Probe], *, is_before: bool) -> list[dict[str, Any]]:
    """The outcome of each. Raises QueryRefused."""
    if not probes:
        return []
    described = [
        {"table": probe.table.sql, "insert": probe.insert, "sequences": probe.sequences, "later": probe.later}
        for probe in probes
    ]
    block = _BLOCK.replace("{is_before}", str(is_before)).replace("{probes}", literal(json.dumps(described)))
    outcomes: list[dict[str, Any]] = json.loads(ask("SELECT current_setting('overproof.next')", block))
    return outcomes


# Judging the outcome.


def _refused(probe: _Probe, outcome: Mapping[str, Any], earlier: AcceptedInsert | None) -> RefusedInsert | None:
    """None where the values of the row may be the reason, and not the upgrade."""
    state = outcome["state"]
    if not state:
        return None
    verb, sql = _refused_statement(probe, outcome["accepted"])
    column = None if verb != "INSERT" else outcome.get("column") or _column_at_fault(probe, outcome, earlier)
    if column is None and (earlier is None or verb not in earlier.verbs or not state.startswith("42")):
        return None
    if verb != "INSERT" and state == sqlstates.INSUFFICIENT_PRIVILEGE:
        return None
    failure = Failure(
        "PostgresError",
        outcome["message"],
        state,
        sql=sql,
        table=probe.table.name,
        column=outcome["field"] or None,
        constraint=outcome["constraint"] or None,
        context=_context(outcome["context"]),
    )
    sequence = next((each.sequence for each in probe.table.columns if each.name == column), None)
    return RefusedInsert(
        probe.table.name,
        failure,
        column,
        sequence,
        next_value=outcome.get("next"),
        highest_value=outcome.get("highest"),
        verb=verb,
    )


def _refused_statement(probe: _Probe, accepted: Sequence[str]) -> tuple[str, str]:
    """The first that was not accepted: its verb, and the statement as an application may write it."""
    verbs = ["INSERT", *(each["verb"] for each in probe.later)]
    verb = next(each for each in verbs if each not in accepted)
    table = probe.table.sql
    return verb, {"UPDATE": f"UPDATE {table} SET …", "DELETE": f"DELETE FROM {table} …"}.get(
        verb, f"INSERT INTO {table} …"
    )


def _context(text: str | None) -> str | None:
    """What led to the error, without the lines that are the gate's own block."""
    lines = itertools.takewhile(
        lambda line: "overproof_next" not in line and "inline_code_block" not in line, (text or "").splitlines()
    )
    return "\n".join(lines) or None


def _column_at_fault(probe: _Probe, outcome: Mapping[str, Any], earlier: AcceptedInsert | None) -> str | None:
    """The column whose default PostgreSQL refuses, or misses."""
    state, table = outcome["state"], probe.table
    if earlier is None:
        return None
    if state == sqlstates.NOT_NULL_VIOLATION:
        return outcome["field"] if outcome["field"] in earlier.generated else None
    columns: set[str] = set()
    if state == sqlstates.UNIQUE_VIOLATION:
        columns = {name for key in table.keys if key.name == outcome["constraint"] for name in key.columns}
        columns &= earlier.generated
    elif state == sqlstates.CHECK_VIOLATION:
        columns = {name for check in table.checks if check.name == outcome["constraint"] for name in check.columns}
        columns = columns if columns <= probe.omitted else set()
    return min(columns, default=None)
