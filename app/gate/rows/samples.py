"""A row of each table as text: one that is there, and one that an application could insert next.

The tables are filled for it, and stay so until the transaction is rolled back.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from app.gate.postgres.quoting import identifier, literal
from app.gate.rows._catalog import CatalogTable
from app.gate.rows._fill import fill
from app.gate.rows._inserts import TRIES, InsertBuilder
from app.gate.rows._plan import make_plan
from app.gate.rows._values import NoValue
from app.gate.rows.connection import Ask

Values = Mapping[str, str | None]  # column -> its value as text


@dataclass(frozen=True)
class Sample:
    """Rows of one table."""

    there: Values | None  # None: there is none
    new: Values | None  # None: PostgreSQL accepts none of those that were tried
    insert: str | None  # the statement that inserts the new one
    types: Mapping[str, str]  # column -> its type in the catalog, below all domains: "int4"


_BLOCK = """
DO LANGUAGE plpgsql $overproof$
DECLARE
  probe jsonb;
  place text;
  there jsonb;
  new jsonb;
  outcomes jsonb DEFAULT '[]';
BEGIN
  FOR probe IN SELECT e.value FROM jsonb_array_elements({probes}::jsonb) WITH ORDINALITY AS e ORDER BY e.ordinality LOOP
    there = NULL;
    new = NULL;
    BEGIN
      EXECUTE probe ->> 'there' INTO there;
    EXCEPTION WHEN OTHERS THEN
      NULL;
    END;
    FOR place IN SELECT e.value #>> '{}' FROM jsonb_array_elements(probe -> 'sequences') AS e LOOP
      BEGIN
        EXECUTE 'ALTER SEQUENCE ' || place || ' RESTART WITH 20011'; -- behind the rows that were made
      EXCEPTION WHEN OTHERS THEN
        NULL; -- it ends before that, or belongs to another role
      END;
    END LOOP;
    FOR attempt IN 0 .. {tries} LOOP
      EXIT WHEN new IS NOT NULL OR probe ->> 'insert' IS NULL;
      BEGIN
        EXECUTE probe ->> 'insert' INTO new USING attempt;
        EXIT WHEN new IS NULL;
        RAISE EXCEPTION USING ERRCODE = 'OP001';
      EXCEPTION
        WHEN SQLSTATE 'OP001' THEN
          NULL;
        WHEN OTHERS THEN
          EXIT WHEN left(SQLSTATE, 2) NOT IN ('22', '23') AND attempt >= 3;
      END;
    END LOOP;
    outcomes = outcomes || jsonb_build_array(jsonb_build_array(there, new));
  END LOOP;
  PERFORM set_config('overproof.samples', outcomes::text, true);
END $overproof$
"""


def make_samples(ask: Ask, tables: Iterable[str]) -> dict[str, Sample]:
    """Fill those tables ("public.orders"), and return a sample of each that can be read. Raises QueryRefused."""
    plan = make_plan(ask, tables)
    fill(plan, ask, with_edge_cases=False)
    builder = InsertBuilder(plan)
    wanted = [table for table in plan.catalog.tables.values() if table.is_touched]
    probes = [
        {"there": _select(table), "insert": _insert(builder, table), "sequences": _sequences(table)} for table in wanted
    ]
    block = _BLOCK.replace("{tries}", str(TRIES)).replace("{probes}", literal(json.dumps(probes)))
    outcomes = json.loads(ask("SELECT current_setting('overproof.samples')", block)) if probes else []
    return {table.name: _sample(table, *outcome) for table, outcome in zip(wanted, outcomes, strict=True)}


def _texts(table: CatalogTable, of: str) -> str:
    """An array of a row's values as text, with {} of the columns as pairs: PostgreSQL allows a call 100 arguments."""
    pairs = [f"jsonb_build_object({literal(each.name)}, {of}.{identifier(each.name)}::text)" for each in table.columns]
    return " || ".join(["'{}'::jsonb", *pairs])


def _select(table: CatalogTable) -> str:
    return f"SELECT {_texts(table, 't')} FROM {table.sql} AS t LIMIT 1"


def _insert(builder: InsertBuilder, table: CatalogTable) -> str | None:
    try:
        return builder.next_insert(table, frozenset(), _texts(table, "overproof_next"))
    except NoValue:
        return None


def _sequences(table: CatalogTable) -> list[str]:
    return [each.sequence for each in table.columns if each.sequence is not None]


def _sample(table: CatalogTable, there: Values | None, new: Values | None) -> Sample:
    types = {each.name: each.type.base.name for each in table.columns}
    return Sample(there, new, None if new is None else _statement(table, new), types)


def _statement(table: CatalogTable, values: Values) -> str:
    names = [each.name for each in table.columns if not each.is_generated]
    texts = ["NULL" if (text := values[name]) is None else literal(text) for name in names]
    columns = ", ".join(map(identifier, names))
    return f"INSERT INTO {table.sql} ({columns}) OVERRIDING SYSTEM VALUE VALUES ({', '.join(texts)})"
