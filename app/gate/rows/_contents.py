"""The contents of tables: their rows, every value as text, read with one request."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from app.gate.postgres.quoting import identifier, literal
from app.gate.rows._catalog import split_names
from app.gate.rows.connection import Ask, QueryRefused

MOST_ROWS = 300  # of a table
LONGEST_VALUE = 4000  # characters; of longer values a digest is kept

Value = str | None
RowOf = Mapping[str, Value]


@dataclass(frozen=True)
class TableContents:
    """The rows of one table, every value as text."""

    name: str  # "public.orders"
    types: Mapping[str, str]  # {"total": "numeric(10,2)"}, in the table's order
    key: tuple[str, ...]  # the columns of the primary key
    generated: frozenset[str]
    rows: tuple[RowOf, ...]  # the last written first
    count: int  # may be more than `rows`
    made: int | None = None  # how many of the first rows are test rows, the others being the scripts' own; None: all

    @property
    def is_whole(self) -> bool:
        return self.count == len(self.rows)


@dataclass(frozen=True)
class Contents:
    """Tables by name, and what `now()` returned when they were read."""

    tables: Mapping[str, TableContents]
    now: str = ""
    unreadable: frozenset[str] = frozenset()  # they exist, and cannot be read

    @property
    def counts(self) -> dict[str, int]:
        return {name: table.count for name, table in self.tables.items()}

    def with_made(self, made: Mapping[str, int]) -> Contents:
        """The same, where so many rows of each table, the last written ones, are test rows."""
        return replace(self, tables={name: replace(each, made=made[name]) for name, each in self.tables.items()})


# For one table. Its rows are those of `{relation}`: its name, with ONLY before it where other tables may inherit from
# it.
_TABLE = """
jsonb_build_object('is_parent', (SELECT c.relhassubclass AND c.relkind = 'r' FROM pg_catalog.pg_class AS c WHERE c.oid = {oid}),
  'count', (SELECT count(*) FROM {relation}),
  'rows', (SELECT jsonb_agg((
      SELECT jsonb_object_agg(e.key, CASE WHEN length(e.value) > {longest} THEN left(e.value, 200) || md5(e.value)
        ELSE e.value END)
      FROM jsonb_each_text(to_jsonb(overproof_row.*)) AS e))
    FROM (SELECT * FROM {relation} AS t ORDER BY age(t.xmin) LIMIT {most}) AS overproof_row),
  'columns', (SELECT jsonb_agg(jsonb_build_array(a.attname, format_type(a.atttypid, a.atttypmod), a.attgenerated <> '')
    ORDER BY a.attnum) FROM pg_catalog.pg_attribute AS a WHERE a.attrelid = {oid} AND a.attnum > 0 AND NOT a.attisdropped),
  'key', (SELECT jsonb_agg(a.attname ORDER BY array_position(i.indkey::int2[], a.attnum))
    FROM pg_catalog.pg_index AS i JOIN pg_catalog.pg_attribute AS a
      ON a.attrelid = i.indrelid AND a.attnum = ANY (i.indkey::int2[])
    WHERE i.indrelid = {oid} AND i.indisprimary))""".replace("{longest}", str(LONGEST_VALUE)).replace(
    "{most}", str(MOST_ROWS)
)

# For any tables, in twice the time. One that does not exist is left out; one that cannot be read is null.
_BLOCK = """
DO LANGUAGE plpgsql $overproof$
DECLARE
  name text[];
  place text;
  relation oid;
  kind text;
  found jsonb;
  outcome jsonb DEFAULT '{}';
BEGIN
  FOR name IN SELECT ARRAY[t.value ->> 0, t.value ->> 1, t.value ->> 2]
              FROM jsonb_array_elements({names}::jsonb) AS t LOOP
    BEGIN
      SELECT c.oid, c.relkind INTO STRICT relation, kind FROM pg_catalog.pg_class AS c
      JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
      WHERE n.nspname = name[2] AND c.relname = name[3] AND c.relkind IN ('r', 'p');
      place = CASE kind WHEN 'r' THEN 'ONLY ' ELSE '' END || quote_ident(name[2]) || '.' || quote_ident(name[3]);
      EXECUTE 'SELECT ' || replace(replace({table}, '{oid}', relation::text), '{relation}', place) INTO found;
      outcome = outcome || jsonb_build_object(name[1], found);
    EXCEPTION
      WHEN no_data_found THEN
        NULL;
      WHEN OTHERS THEN
        outcome = outcome || jsonb_build_object(name[1], NULL);
    END;
  END LOOP;
  PERFORM set_config('overproof.contents', jsonb_build_object('tables', outcome, 'now', now())::text, true);
END $overproof$
"""


def read_contents(ask: Ask, tables: Iterable[str]) -> Contents:
    """The contents of those of the tables ("public.orders") that exist. Raises QueryRefused."""
    names = list(split_names(tables))
    if not names:
        return Contents({})
    answer = _ask_for_all(ask, names) or _ask_for_each(ask, names)
    found = dict(answer["tables"])
    return Contents(
        {name: _table(name, each) for name, each in found.items() if each is not None},
        answer["now"],
        frozenset(name for name, each in found.items() if each is None),
    )


def _ask_for_all(ask: Ask, names: Sequence[Sequence[str]]) -> Mapping[str, Any] | None:
    """The answer if all of them exist and can be read, and no other table inherits from one."""
    tables = []
    for name, schema, label in names:
        relation = f"{identifier(schema)}.{identifier(label)}"
        described = _TABLE.replace("{oid}", f"{literal(relation)}::regclass").replace("{relation}", relation)
        tables.append(f"{literal(name)}, {described}")
    try:
        text = ask(f"SELECT jsonb_build_object('now', now(), 'tables', jsonb_build_object({', '.join(tables)}))::text")
    except QueryRefused:
        return None
    answer: Mapping[str, Any] = json.loads(text)
    return None if any(each["is_parent"] for each in answer["tables"].values()) else answer


def _ask_for_each(ask: Ask, names: Sequence[Sequence[str]]) -> Mapping[str, Any]:
    block = _BLOCK.replace("{table}", literal(_TABLE)).replace("{names}", literal(json.dumps(names)))
    answer: Mapping[str, Any] = json.loads(ask("SELECT current_setting('overproof.contents')", block))
    return answer


def _table(name: str, answer: Mapping[str, Any]) -> TableContents:
    columns = answer["columns"] or []
    return TableContents(
        name,
        types={column: type_ for column, type_, _ in columns},
        key=tuple(answer["key"] or ()),
        generated=frozenset(column for column, _, is_generated in columns if is_generated),
        rows=tuple(each or {} for each in answer["rows"] or ()),
        count=answer["count"],
    )
