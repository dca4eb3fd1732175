"""What is needed of tables to make rows for them, read from the catalog in one query."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from app.gate.postgres.prepared import WITH_SEQSCANS, WITHOUT_SEQSCANS
from app.gate.postgres.quoting import identifier, literal
from app.gate.rows.connection import Ask


@dataclass(frozen=True)
class Type:
    """A data type. Which of the fields below `category` are filled depends on its kind."""

    name: str  # in the catalog: "int4"
    sql: str  # in a cast that changes nothing: "integer", "bpchar", "shop.mood"
    kind: str  # "base", "array", "enum", "domain", "composite", "range", "multirange", "pseudo"
    category: str  # https://www.postgresql.org/docs/current/catalog-pg-type.html#CATALOG-TYPCATEGORY-TABLE
    of: Type | None = (
        None  # array: of its elements; domain: its base type; range: of its bounds; multirange: its range type
    )
    modifier: int = -1  # domain: of its base type
    not_null: bool = False  # domain
    labels: tuple[str, ...] = ()  # enum
    attributes: tuple[tuple[Type, int], ...] = ()  # composite: type and modifier of each
    checks: tuple[str, ...] = ()  # domain: expressions of VALUE

    @property
    def base(self) -> Type:
        """The type below all domains."""
        return self.of.base if self.kind == "domain" and self.of else self

    @property
    def domain_checks(self) -> tuple[str, ...]:
        """Expressions of VALUE that this domain, and those below it, demand."""
        return self.checks + self.of.domain_checks if self.kind == "domain" and self.of else ()

    @property
    def allows_null(self) -> bool:
        return self.kind != "domain" or (not self.not_null and (self.of is None or self.of.allows_null))

    def base_modifier(self, modifier: int) -> int:
        """The modifier below all domains: the 20 of a domain over varchar(20)."""
        return self.of.base_modifier(self.modifier) if self.kind == "domain" and self.of else modifier


@dataclass(frozen=True)
class Column:
    """A column of a table, and whether something can be inserted into it."""

    number: int
    name: str
    type: Type
    modifier: int
    sql: str  # the whole type, as it is written
    not_null: bool
    default: str | None = None  # an expression
    is_generated: bool = False
    is_identity: bool = False
    sequence: str | None = None  # from which its default takes values: "public.orders_id_seq", quoted where it must be

    @property
    def may_be_null(self) -> bool:
        return not self.not_null and self.type.allows_null


@dataclass(frozen=True)
class UniqueKey:
    """A unique index or an exclusion constraint."""

    name: str
    columns: tuple[str, ...]  # those in its expressions and its predicate included
    is_primary: bool = False


@dataclass(frozen=True)
class CheckConstraint:
    """A condition on a row."""

    name: str
    columns: tuple[str, ...]
    expression: str

    @property
    def is_of_partitions(self) -> bool:
        """Whether it stands for the bounds of partitions, which are no constraint with a name."""
        return self.name.startswith("its ")


@dataclass(frozen=True)
class ForeignKey:
    """Columns that refer to those of another table, or of the same one."""

    name: str
    columns: tuple[str, ...]
    parent: int  # the table's oid
    parent_columns: tuple[str, ...]


@dataclass(frozen=True)
class CatalogTable:
    """A table, and the constraints on its rows."""

    oid: int
    schema: str
    label: str
    is_touched: bool  # requested by name, and not only the parent of such a table
    is_partitioned: bool
    has_children: bool
    columns: tuple[Column, ...]
    keys: tuple[UniqueKey, ...] = ()
    checks: tuple[CheckConstraint, ...] = ()
    foreign_keys: tuple[ForeignKey, ...] = ()
    triggers: tuple[str, ...] = ()  # that fire at an insert

    @property
    def name(self) -> str:
        """ "public.orders" """
        return f"{self.schema}.{self.label}"

    @property
    def sql(self) -> str:
        return f"{identifier(self.schema)}.{identifier(self.label)}"

    def get_column(self, name: str) -> Column:
        """Raises KeyError."""
        for column in self.columns:
            if column.name == name:
                return column
        raise KeyError(name)

    @property
    def free_columns(self) -> dict[str, Column]:
        """By name, the columns whose value is free: not computed, and decided by no CHECK and no foreign key."""
        bound = {name for check in self.checks for name in check.columns}
        bound |= {name for key in self.foreign_keys for name in key.columns}
        return {each.name: each for each in self.columns if not each.is_generated and each.name not in bound}


@dataclass(frozen=True)
class Catalog:
    """Tables and their parents."""

    tables: Mapping[int, CatalogTable]  # by oid
    renamed: Mapping[str, str]  # a partition that was requested -> its partitioned table

    def find(self, name: str) -> CatalogTable | None:
        """The table called "public.orders"."""
        return next((table for table in self.tables.values() if table.name == name), None)


def split_names(names: Iterable[str]) -> Iterator[tuple[str, str, str]]:
    """("public.orders", "public", "orders") of each.

    A name may contain a dot, so there may be several ways to split it.
    """
    for name in sorted(set(names)):
        for dot in range(1, len(name) - 1):
            if name[dot] == ".":
                yield name, name[:dot], name[dot + 1 :]


def read_catalog(ask: Ask, names: Iterable[str], *, is_whole: bool = True) -> Catalog:
    """The tables of those names ("public.orders") that exist, and those that they refer to.

    A partition stands for its partitioned table. Unless `is_whole`, it stands for itself, and its bounds are one of its
    CHECKs.
    """
    wanted = [[schema, label] for _, schema, label in split_names(names)]
    if not wanted:
        return Catalog({}, {})
    settings = {_WANTED: json.dumps(wanted), _IS_WHOLE: str(is_whole)}
    values = ", ".join(f"set_config({literal(name)}, {literal(value)}, true)" for name, value in settings.items())
    set_wanted = f"SELECT concat({values})"
    # EXECUTE is not tried first: asyncpg keeps what its result is said to be, which is nothing until it is prepared.
    if ask(_IS_PREPARED) == "false":
        # Planned for a large schema: see `prepared`.
        ask(f"EXECUTE {_PREPARED}", f"PREPARE {_PREPARED} AS {_CATALOG}", set_wanted, WITHOUT_SEQSCANS)
        ask(WITH_SEQSCANS)
    answer = ask(f"EXECUTE {_PREPARED}", set_wanted)
    return _catalog(json.loads(answer))


def _catalog(answer: Mapping[str, Any]) -> Catalog:
    types = _types(answer["types"] or ())
    parts: dict[str, dict[int, list[dict[str, Any]]]] = {}
    for part in ("columns", "keys", "checks", "foreign_keys", "triggers"):
        by_table: dict[int, list[dict[str, Any]]] = parts.setdefault(part, {})
        for row in answer[part] or ():
            by_table.setdefault(row.pop("table"), []).append(row)
    tables = {}
    for row in answer["tables"] or ():
        oid = row["oid"]
        tables[oid] = CatalogTable(
            **row,
            columns=tuple(Column(**{**each, "type": types[each["type"]]}) for each in parts["columns"].get(oid, ())),
            keys=tuple(UniqueKey(**{**each, "columns": _tuple(each)}) for each in parts["keys"].get(oid, ())),
            checks=tuple(CheckConstraint(**{**each, "columns": _tuple(each)}) for each in parts["checks"].get(oid, ())),
            foreign_keys=tuple(
                ForeignKey(**{**each, "columns": _tuple(each), "parent_columns": tuple(each["parent_columns"])})
                for each in parts["foreign_keys"].get(oid, ())
            ),
            triggers=tuple(each["name"] for each in parts["triggers"].get(oid, ())),
        )
    renamed = {row["asked"]: row["stands_for"] for row in answer["renamed"] or ()}
    return Catalog(tables, renamed)


def _types(rows: Iterable[Mapping[str, Any]]) -> dict[int, Type]:
    """The types by oid, each with those that it is made of: no type of PostgreSQL contains itself."""
    described = {row["oid"]: row for row in rows}
    made: dict[int, Type] = {}

    def make(oid: int) -> Type | None:
        row = described.get(oid)
        if row is not None and oid not in made:
            attributes = [(make(type_), modifier) for type_, modifier in row["attributes"] or ()]
            made[oid] = Type(
                **{name: row[name] for name in ("name", "sql", "kind", "category", "modifier", "not_null")},
                of=make(row["of"]),
                labels=tuple(row["labels"] or ()),
                attributes=tuple((found, modifier) for found, modifier in attributes if found is not None),
                checks=tuple(row["checks"] or ()),
            )
        return made.get(oid)

    for oid in described:
        make(oid)
    return made


def _tuple(row: Mapping[str, Any]) -> tuple[str, ...]:
    return tuple(row["columns"] or ())


# Planning the query takes three times as long as running it, so it is planned once in a session. Its arguments are
# settings.
_PREPARED = "overproof_rows"
_IS_PREPARED = (
    f"SELECT EXISTS (SELECT FROM pg_catalog.pg_prepared_statements AS p WHERE p.name = {literal(_PREPARED)})::text"
)
_WANTED = "overproof.wanted"  # JSON: [["public", "orders"]]
_IS_WHOLE = "overproof.is_whole"

_SEQUENCE = "min(s.relnamespace::regnamespace::text || '.' || quote_ident(s.relname))"


def _sequence(oid: str) -> str:
    return f"""CROSS JOIN LATERAL (
        SELECT * FROM pg_catalog.pg_class AS s WHERE s.oid = {oid} AND s.relkind = 'S' OFFSET 0) AS s"""


# A parent to which only a nullable column refers is needed where the table itself is requested.
# A column that only some versions have is reached through to_jsonb(row). Names of columns are in the order of the key.
_CATALOG = f"""
WITH RECURSIVE wanted AS MATERIALIZED (
  SELECT n.nspname || '.' || c.relname AS asked,
    coalesce(CASE WHEN current_setting('{_IS_WHOLE}')::boolean THEN pg_catalog.pg_partition_root(c.oid) END, c.oid) AS root
  FROM (SELECT j.value ->> 0 AS schema, j.value ->> 1 AS label
        FROM jsonb_array_elements(current_setting('{_WANTED}')::jsonb) AS j) AS v
  JOIN pg_catalog.pg_namespace AS n ON n.nspname = v.schema
  CROSS JOIN LATERAL (SELECT * FROM pg_catalog.pg_class AS c
    WHERE c.relname = v.label AND c.relnamespace = n.oid OFFSET 0) AS c
  WHERE c.relkind IN ('r', 'p') AND c.relpersistence <> 't'
), closure AS (
  SELECT w.root AS oid FROM wanted AS w
  UNION
  SELECT k.confrelid FROM closure AS o CROSS JOIN LATERAL (
    SELECT * FROM pg_catalog.pg_constraint AS k WHERE k.conrelid = o.oid OFFSET 0) AS k
  WHERE k.contype = 'f' AND k.conparentid = 0 AND (o.oid IN (SELECT w.root FROM wanted AS w)
    OR NOT EXISTS (SELECT FROM pg_catalog.pg_attribute AS a
                   WHERE a.attrelid = k.conrelid AND a.attnum = ANY (k.conkey) AND NOT a.attnotnull))
), tables AS MATERIALIZED (
  SELECT c.oid, n.nspname AS schema, c.relname AS label, c.relkind = 'p' AS is_partitioned,
    c.relhassubclass AS has_children, c.relispartition,
    c.oid IN (SELECT w.root FROM wanted AS w) AS is_touched
  FROM (SELECT DISTINCT o.oid FROM closure AS o) AS o
  CROSS JOIN LATERAL (SELECT * FROM pg_catalog.pg_class AS c WHERE c.oid = o.oid OFFSET 0) AS c
  JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
), columns AS MATERIALIZED (
  SELECT a.* FROM tables AS t CROSS JOIN LATERAL (
    SELECT * FROM pg_catalog.pg_attribute AS a WHERE a.attrelid = t.oid AND a.attnum > 0 OFFSET 0) AS a
  WHERE NOT a.attisdropped
), constraints AS MATERIALIZED (
  SELECT k.* FROM tables AS t CROSS JOIN LATERAL (
    SELECT * FROM pg_catalog.pg_constraint AS k WHERE k.conrelid = t.oid OFFSET 0) AS k
  WHERE k.contype IN ('c', 'f') AND (k.convalidated OR coalesce((to_jsonb(k) ->> 'conenforced')::boolean, true))
), types AS (
  SELECT DISTINCT c.atttypid AS oid FROM columns AS c
  UNION
  SELECT more.oid FROM types AS o
  CROSS JOIN LATERAL (SELECT * FROM pg_catalog.pg_type AS p WHERE p.oid = o.oid OFFSET 0) AS p CROSS JOIN LATERAL (
    SELECT p.typbasetype AS oid UNION ALL SELECT p.typelem WHERE p.typcategory = 'A'
    UNION ALL SELECT r.rngsubtype FROM pg_catalog.pg_range AS r WHERE p.typtype = 'r' AND r.rngtypid = p.oid
    UNION ALL SELECT r.rngtypid FROM pg_catalog.pg_range AS r WHERE p.typtype = 'm' AND r.rngmultitypid = p.oid
    UNION ALL SELECT a.atttypid FROM pg_catalog.pg_attribute AS a
      WHERE p.typtype = 'c' AND a.attrelid = p.typrelid AND a.attnum > 0 AND NOT a.attisdropped
  ) AS more WHERE more.oid <> 0
)
SELECT json_build_object(
'renamed', (SELECT json_agg(json_build_object('asked', w.asked, 'stands_for', t.schema || '.' || t.label))
  FROM wanted AS w JOIN tables AS t ON t.oid = w.root WHERE w.asked <> t.schema || '.' || t.label),
'tables', (SELECT json_agg(json_build_object('oid', t.oid::bigint, 'schema', t.schema, 'label', t.label,
    'is_touched', t.is_touched, 'is_partitioned', t.is_partitioned, 'has_children', t.has_children)
    ORDER BY t.schema, t.label)
  FROM tables AS t),
'columns', (SELECT json_agg(json_build_object('table', c.attrelid::bigint, 'number', c.attnum, 'name', c.attname,
    'type', c.atttypid::bigint, 'modifier', c.atttypmod, 'sql', format_type(c.atttypid, c.atttypmod),
    'not_null', c.attnotnull, 'is_generated', c.attgenerated <> '', 'is_identity', c.attidentity <> '',
    'sequence', CASE WHEN c.attidentity <> '' THEN (
      SELECT {_SEQUENCE} FROM pg_catalog.pg_depend AS d {_sequence("d.objid")}
      WHERE d.refclassid = 'pg_catalog.pg_class'::regclass AND d.refobjid = c.attrelid AND d.refobjsubid = c.attnum
        AND d.classid = 'pg_catalog.pg_class'::regclass AND d.deptype = 'i')
    WHEN c.atthasdef AND c.attgenerated = '' THEN (
      SELECT {_SEQUENCE} FROM pg_catalog.pg_attrdef AS f CROSS JOIN LATERAL (
        SELECT * FROM pg_catalog.pg_depend AS d
        WHERE d.classid = 'pg_catalog.pg_attrdef'::regclass AND d.objid = f.oid OFFSET 0) AS d {_sequence("d.refobjid")}
      WHERE f.adrelid = c.attrelid AND f.adnum = c.attnum AND d.refclassid = 'pg_catalog.pg_class'::regclass) END,
    'default', CASE WHEN c.atthasdef AND c.attgenerated = '' THEN (SELECT pg_get_expr(d.adbin, d.adrelid)
      FROM pg_catalog.pg_attrdef AS d WHERE d.adrelid = c.attrelid AND d.adnum = c.attnum) END)
    ORDER BY c.attnum)
  FROM columns AS c),
'keys', (SELECT json_agg(json_build_object('table', i.indrelid::bigint, 'name', x.relname,
    'is_primary', i.indisprimary, 'columns', (
      SELECT json_agg(c.attname ORDER BY array_position(i.indkey::int2[], c.attnum), c.attnum) FROM columns AS c
      WHERE c.attrelid = i.indrelid AND (c.attnum = ANY (i.indkey::int2[]) OR EXISTS (
        SELECT FROM pg_catalog.pg_depend AS d WHERE d.classid = 'pg_catalog.pg_class'::regclass
          AND d.objid = i.indexrelid AND d.refclassid = 'pg_catalog.pg_class'::regclass
          AND d.refobjid = i.indrelid AND d.refobjsubid = c.attnum AND NOT i.indkey::int2[] @> ARRAY[c.attnum]
          AND (i.indexprs IS NOT NULL OR i.indpred IS NOT NULL)))))
    ORDER BY i.indisprimary DESC, x.relname)
  FROM tables AS t CROSS JOIN LATERAL (
    SELECT * FROM pg_catalog.pg_index AS i WHERE i.indrelid = t.oid OFFSET 0) AS i
  CROSS JOIN LATERAL (SELECT x.relname FROM pg_catalog.pg_class AS x WHERE x.oid = i.indexrelid OFFSET 0) AS x
  WHERE (i.indisunique OR i.indisexclusion) AND i.indisready),
'checks', (SELECT json_agg(json_build_object('table', k.oid::bigint, 'name', k.name, 'expression', k.expression,
    'columns', (SELECT json_agg(c.attname ORDER BY c.attnum) FROM columns AS c
      WHERE c.attrelid = k.oid AND c.attnum = ANY (k.numbers))) ORDER BY k.name)
  FROM (
    SELECT k.conrelid AS oid, k.conname AS name, pg_get_expr(k.conbin, k.conrelid) AS expression, k.conkey AS numbers
    FROM constraints AS k WHERE k.contype = 'c'
    UNION ALL
    SELECT t.oid, 'its bounds', b.bounds, (SELECT array_agg(c.attnum) FROM columns AS c WHERE c.attrelid = t.oid
      AND strpos(b.bounds, quote_ident(c.attname)) > 0)
    FROM tables AS t CROSS JOIN LATERAL (SELECT pg_get_partition_constraintdef(t.oid) AS bounds) AS b
    WHERE t.relispartition AND b.bounds IS NOT NULL
    UNION ALL
    SELECT t.oid, 'its partitions', coalesce(b.bounds, 'false'), (SELECT array_agg(c.attnum) FROM columns AS c
      WHERE c.attrelid = t.oid AND strpos(b.bounds, quote_ident(c.attname)) > 0)
    FROM tables AS t CROSS JOIN LATERAL (
      SELECT string_agg('(' || coalesce(pg_get_partition_constraintdef(l.relid), 'true') || ')', ' OR '
        ORDER BY l.relid) AS bounds
      FROM (SELECT p.relid FROM pg_partition_tree(t.oid) AS p WHERE p.isleaf AND p.relid <> t.oid
            ORDER BY p.relid LIMIT 20) AS l) AS b
    WHERE t.is_partitioned) AS k),
'foreign_keys', (SELECT json_agg(json_build_object('table', k.conrelid::bigint, 'name', k.conname,
    'parent', k.confrelid::bigint,
    'columns', (SELECT json_agg(a.attname ORDER BY u.place)
      FROM unnest(k.conkey) WITH ORDINALITY AS u (number, place) CROSS JOIN LATERAL (SELECT a.attname
        FROM pg_catalog.pg_attribute AS a WHERE a.attrelid = k.conrelid AND a.attnum = u.number OFFSET 0) AS a),
    'parent_columns', (SELECT json_agg(a.attname ORDER BY u.place)
      FROM unnest(k.confkey) WITH ORDINALITY AS u (number, place) CROSS JOIN LATERAL (SELECT a.attname
        FROM pg_catalog.pg_attribute AS a WHERE a.attrelid = k.confrelid AND a.attnum = u.number OFFSET 0) AS a))
    ORDER BY k.conname)
  FROM constraints AS k WHERE k.contype = 'f' AND k.conparentid = 0),
'triggers', (SELECT json_agg(json_build_object('table', g.tgrelid::bigint, 'name', g.tgname) ORDER BY g.tgname)
  FROM tables AS t CROSS JOIN LATERAL (
    SELECT * FROM pg_catalog.pg_trigger AS g WHERE g.tgrelid = t.oid OFFSET 0) AS g
  WHERE NOT g.tgisinternal AND g.tgenabled <> 'D' AND g.tgtype & 4 = 4),
'types', (SELECT json_agg(json_build_object('oid', p.oid::bigint, 'name', p.typname, 'sql', format_type(p.oid, -1),
    'kind', CASE WHEN p.typtype = 'b' AND p.typcategory = 'A' AND p.typelem <> 0 THEN 'array' ELSE
      CASE p.typtype WHEN 'b' THEN 'base' WHEN 'e' THEN 'enum' WHEN 'd' THEN 'domain' WHEN 'c' THEN 'composite'
        WHEN 'r' THEN 'range' WHEN 'm' THEN 'multirange' ELSE 'pseudo' END END,
    'category', p.typcategory,
    'of', CASE p.typtype WHEN 'd' THEN p.typbasetype
      WHEN 'r' THEN (SELECT r.rngsubtype FROM pg_catalog.pg_range AS r WHERE r.rngtypid = p.oid)
      WHEN 'm' THEN (SELECT r.rngtypid FROM pg_catalog.pg_range AS r WHERE r.rngmultitypid = p.oid)
      ELSE p.typelem END::bigint,
    'modifier', p.typtypmod, 'not_null', p.typnotnull,
    'labels', (SELECT json_agg(e.enumlabel ORDER BY e.enumsortorder)
      FROM pg_catalog.pg_enum AS e WHERE p.typtype = 'e' AND e.enumtypid = p.oid),
    'attributes', (SELECT json_agg(json_build_array(a.atttypid::bigint, a.atttypmod) ORDER BY a.attnum)
      FROM pg_catalog.pg_attribute AS a
      WHERE p.typtype = 'c' AND a.attrelid = p.typrelid AND a.attnum > 0 AND NOT a.attisdropped),
    'checks', (SELECT json_agg(pg_get_expr(k.conbin, 0) ORDER BY k.conname)
      FROM pg_catalog.pg_constraint AS k WHERE p.typtype = 'd' AND k.contypid = p.oid AND k.contype = 'c')))
  FROM types AS o CROSS JOIN LATERAL (SELECT * FROM pg_catalog.pg_type AS p WHERE p.oid = o.oid OFFSET 0) AS p)
)::text
"""
