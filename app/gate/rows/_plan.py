"""Which tables get rows, in which order, and by which rules."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from types import MappingProxyType

from app.gate.postgres.quoting import identifier, literal
from app.gate.rows._casts import Paths, casts_of, unique_in_json
from app.gate.rows._catalog import Catalog, CatalogTable, CheckConstraint, Column, ForeignKey, Type, read_catalog
from app.gate.rows._conditions import conditions_of, converted, replace_columns, within
from app.gate.rows._matches import Match, matches_of
from app.gate.rows.connection import Ask, QueryRefused


@dataclass(frozen=True)
class Labels:
    """Labels of an enum: those that the revision keeps, and those that it removes."""

    kept: tuple[str, ...]
    gone: tuple[str, ...]


@dataclass(frozen=True)
class Rules:
    """What the revision demands of a table's rows, in addition to what is demanded before it."""

    checks: tuple[CheckConstraint, ...] = ()
    foreign_keys: tuple[ForeignKey, ...] = ()
    types: Mapping[str, tuple[Type, int]] = field(default_factory=dict)  # column -> its type and modifier afterwards
    narrowing: tuple[CheckConstraint, ...] = ()  # those of `checks` that replace another on the same columns
    labels: Mapping[str, Labels] = field(default_factory=dict)  # column -> labels of its enum, if some are removed
    conditions: tuple[CheckConstraint, ...] = ()  # by which its statements select rows
    converted: frozenset[str] = frozenset()  # columns of `types` whose texts are cast by its statements
    documents: Mapping[str, tuple[str, str]] = field(
        default_factory=dict
    )  # column -> JSON that its statements can convert, and JSON that they cannot
    unique_in_json: Mapping[str, Paths] = field(default_factory=dict)  # column -> what its unique indexes are about
    matches: tuple[Match, ...] = ()  # that its statements compare with columns of other tables
    retyped: tuple[CheckConstraint, ...] = ()  # new ones of columns with another type, on their new values


@dataclass(frozen=True)
class Upgrade:
    """What is known of a revision's upgrade before its rows are made."""

    statements: Sequence[str] = ()
    catalog_after: Catalog | None = None  # the tables in their state after it, by the names from before it
    new_bounds: Mapping[str, Sequence[str]] = field(
        default_factory=dict
    )  # of new partitions beside a default one, by table


class Plan:
    """The tables to be filled, parents first, and the rules for their rows. Made once, for any number of fillings."""

    def __init__(
        self,
        catalog: Catalog,
        catalog_after: Catalog | None = None,
        of_statements: Mapping[int, Rules] = MappingProxyType({}),
    ) -> None:
        self.catalog = catalog
        self.rules = _Comparison(catalog, catalog_after or Catalog({}, {}), of_statements).rules()
        self.groups = _in_order(catalog, self.rules)
        self.groups_of = {table.oid: group for group in self.groups for table in group}

    @property
    def touched(self) -> list[str]:
        """The names of the tables that the revision touches."""
        return [table.name for table in self.catalog.tables.values() if table.is_touched]


def make_plan(ask: Ask, tables: Iterable[str], upgrade: Upgrade = Upgrade()) -> Plan:
    """A plan for those tables ("public.orders") in their present state, for rows over which the revision is tried."""
    wanted, catalog_after = set(tables), upgrade.catalog_after
    if catalog_after is not None:
        parents = {key.parent for table in catalog_after.tables.values() for key in table.foreign_keys}
        # They are read by name: a table that a downgrade creates again has another oid.
        wanted |= {catalog_after.tables[oid].name for oid in parents if oid in catalog_after.tables}
    catalog = read_catalog(ask, wanted)
    touched = {catalog.renamed.get(name, name) for name in tables}
    named = {oid: replace(table, is_touched=table.name in touched) for oid, table in catalog.tables.items()}
    return Plan(Catalog(named, catalog.renamed), catalog_after, _of_statements(ask, named.values(), upgrade))


def _of_statements(ask: Ask, tables: Iterable[CatalogTable], upgrade: Upgrade) -> dict[int, Rules]:
    """What the upgrade's own statements are about, of each touched table."""
    touched = [table for table in tables if table.is_touched]
    matches = matches_of(touched, upgrade.statements)
    found = {}
    for table in touched:
        casts = casts_of(table, upgrade.statements)
        found[table.oid] = Rules(
            types={name: (type_, -1) for name, type_ in casts.texts.items()},
            conditions=_conditions(ask, table, upgrade),
            converted=frozenset(casts.texts),
            documents=casts.documents,
            unique_in_json=unique_in_json(table, upgrade.statements),
            matches=matches.get(table.oid, ()),
        )
    return found


def _conditions(ask: Ask, table: CatalogTable, upgrade: Upgrade) -> tuple[CheckConstraint, ...]:
    """The conditions by which the upgrade selects rows of the table, as far as PostgreSQL takes them before it.

    It refuses one on a column that the revision adds, or on a variable of a DO block.
    """
    bounds = (within(table, each) for each in upgrade.new_bounds.get(table.name, ()))
    conditions = (*bounds, *conditions_of(table, upgrade.statements))
    return tuple(each for each in conditions if _is_understood(ask, table, each))


def _is_understood(ask: Ask, table: CatalogTable, condition: CheckConstraint) -> bool:
    # In a literal, for what a driver takes for a parameter.
    block = literal(f"BEGIN PERFORM FROM {table.sql} WHERE {condition.expression} LIMIT 0; END")
    try:
        ask("SELECT ''", f"DO {block}")
    except QueryRefused:
        return False
    return True


# A row that belongs to a new partition may be in the default one, where PostgreSQL finds it.
_NEW_BOUNDS = """
SELECT coalesce(json_object_agg(name, bounds), '{{}}')::text FROM (
  SELECT n.nspname || '.' || r.relname AS name, json_agg(pg_get_partition_constraintdef(c.oid) ORDER BY c.oid) AS bounds
  FROM pg_catalog.pg_class AS c JOIN pg_catalog.pg_namespace AS s ON s.oid = c.relnamespace
  JOIN pg_catalog.pg_class AS r ON r.oid = pg_partition_root(c.oid)
  JOIN pg_catalog.pg_namespace AS n ON n.oid = r.relnamespace
  JOIN pg_catalog.pg_inherits AS i ON i.inhrelid = c.oid
  JOIN pg_catalog.pg_partitioned_table AS p ON p.partrelid = i.inhparent AND p.partdefid NOT IN (0, c.oid)
  WHERE c.relispartition AND s.nspname || '.' || c.relname IN ({names}) GROUP BY 1) AS found
"""


def read_new_bounds(ask: Ask, tables: Iterable[str]) -> Mapping[str, Sequence[str]]:
    """Of those tables ("public.hits_2026") the bounds of the partitions beside a default one, by the whole table."""
    names = ", ".join(map(literal, sorted(tables)))
    found: Mapping[str, Sequence[str]] = json.loads(ask(_NEW_BOUNDS.format(names=names))) if names else {}
    return found


class _Comparison:
    """The tables before and after a revision."""

    def __init__(self, catalog: Catalog, after: Catalog, of_statements: Mapping[int, Rules]) -> None:
        self._catalog = catalog
        self._after = after
        self._of_statements = of_statements

    def rules(self) -> dict[int, Rules]:
        rules = {}
        for table in self._catalog.tables.values():
            known = self._of_statements.get(table.oid, Rules())
            later = self._after.find(table.name)
            if later is not None:
                rules[table.oid] = self._rules_of(table, later, known)
            elif known != Rules():
                rules[table.oid] = known
        return rules

    def _rules_of(self, table: CatalogTable, later: CatalogTable, of_statements: Rules) -> Rules:
        """What a table's rows have to satisfy afterwards, by the two states of the table and by statements."""
        columns = {column.name: column for column in table.columns}
        types, labels = {}, {}
        for column in later.columns:
            now = columns.get(column.name)
            if now is None:
                continue
            if now.sql != column.sql:
                types[column.name] = (column.type, column.modifier)
            if (found := _labels(now.type, column.type)).gone:
                labels[column.name] = found
        known = {check.expression for check in table.checks}
        checks = tuple(
            check
            for check in (*later.checks, *_domain_checks(later, columns, types))
            if check.expression not in known
            and columns.keys() >= set(check.columns)
            and not types.keys() & set(check.columns)
        )
        of_new_types = tuple(_on_new_values(table, later, types))
        kept = {check.expression for check in later.checks}
        replaced = {check.columns for check in table.checks if check.expression not in kept}
        narrowing = tuple(check for check in checks if check.columns in replaced and not check.is_of_partitions)
        return replace(
            of_statements,
            checks=checks,
            foreign_keys=tuple(self._new_keys(table, later)),
            types={**of_statements.types, **types},
            narrowing=narrowing,
            labels=labels,
            retyped=of_new_types,
        )

    def _new_keys(self, table: CatalogTable, later: CatalogTable) -> Iterator[ForeignKey]:
        names = {column.name for column in table.columns}
        known = {(key.columns, key.parent_columns) for key in table.foreign_keys}
        for key in later.foreign_keys:
            if key.parent not in self._after.tables or (key.columns, key.parent_columns) in known:
                continue
            parent = self._catalog.find(self._after.tables[key.parent].name)
            if parent is None or not names.issuperset(key.columns):
                continue
            if {column.name for column in parent.columns}.issuperset(key.parent_columns):
                yield ForeignKey(key.name, key.columns, parent.oid, key.parent_columns)


def _on_new_values(
    table: CatalogTable, later: CatalogTable, types: Mapping[str, tuple[Type, int]]
) -> Iterator[CheckConstraint]:
    """The new CHECKs of columns whose type changes, where PostgreSQL can say what their values will be."""
    now = {column.name: column for column in table.columns}
    known = {_without_casts(check.expression) for check in table.checks}
    casts = {column.name: converted(now[column.name], column) for column in later.columns if column.name in types}
    for check in later.checks:
        retyped = set(check.columns) & types.keys()
        if retyped and now.keys() >= set(check.columns) and _without_casts(check.expression) not in known:
            values = {name: casts[name] for name in retyped}
            if all(values.values()):
                yield replace_columns(check, {name: value for name, value in values.items() if value})


def _without_casts(expression: str) -> str:
    """To recognize a condition that is printed in another way since a column has another type."""
    return re.sub(r"::(?:character varying|[\w\" ]+?)(?=\W|\Z)|[()\s\[\]]", "", expression)


def _domain_checks(
    later: CatalogTable, columns: Mapping[str, Column], types: Mapping[str, tuple[Type, int]]
) -> Iterator[CheckConstraint]:
    """What a domain demands of its columns, and did not before."""
    for column in later.columns:
        now = columns.get(column.name)
        if now is None or now.name in types:
            continue
        for expression in column.type.domain_checks:
            if expression not in now.type.domain_checks:
                of_column = re.sub(r"\bVALUE\b", lambda _, now=now: identifier(now.name), expression)  # type: ignore[misc]
                yield CheckConstraint(f"of domain {column.type.sql}", (now.name,), of_column)


def _labels(now: Type, later: Type) -> Labels:
    if now.kind != "enum" or later.kind != "enum":
        return Labels((), ())
    kept = tuple(label for label in now.labels if label in later.labels)
    return Labels(kept, tuple(label for label in now.labels if label not in later.labels))


def _in_order(catalog: Catalog, rules: Mapping[int, Rules]) -> list[list[CatalogTable]]:
    """The tables, parents before children. Those that need rows of each other are in one group."""
    hard: dict[int, set[int]] = {}
    soft: dict[int, set[int]] = {}
    for oid, table in catalog.tables.items():
        hard[oid], soft[oid] = set(), set()
        for key in (*table.foreign_keys, *rules.get(oid, Rules()).foreign_keys):
            if key.parent != oid and key.parent in catalog.tables:
                is_hard = key in table.foreign_keys and all(table.get_column(name).not_null for name in key.columns)
                (hard if is_hard else soft)[oid].add(key.parent)
    groups: list[list[CatalogTable]] = []
    left = dict.fromkeys(catalog.tables)
    while left:
        ready = [oid for oid in left if not (hard[oid] | soft[oid]) & left.keys()]
        if ready:
            groups += [[catalog.tables[oid]] for oid in ready]
        else:  # a cycle, which is broken where a column is nullable: one table is left of it
            ready = _cycle(hard, left)
            groups.append([catalog.tables[oid] for oid in ready])
        for oid in ready:
            del left[oid]
    return groups


def _cycle(parents: Mapping[int, set[int]], left: Mapping[int, None]) -> list[int]:
    """Tables whose foreign keys form a cycle, and that refer to no others that are left; or one that refers to none."""

    def reached(start: int) -> set[int]:
        found, ahead = {start}, [start]
        while ahead:
            new = (parents[ahead.pop()] & left.keys()) - found
            found |= new
            ahead += new
        return found

    # From each table of the smallest of these sets all of it is reached, or it would not be the smallest.
    cycle = min(map(reached, left), key=len)
    return sorted(cycle)
