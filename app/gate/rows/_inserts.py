"""INSERTs of rows, which find their own values among candidates.

A column that a CHECK, a domain or the bounds of partitions restrict has candidates; a foreign key has the parent's rows
as candidates. The INSERT takes the best combination for which no CHECK is false, or the next best, and so on.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from app.gate.postgres import sqlstates
from app.gate.postgres.quoting import identifier
from app.gate.rows._catalog import CatalogTable, CheckConstraint
from app.gate.rows._column_values import ColumnValues, has_few_values, own_value
from app.gate.rows._conditions import PREDICATE
from app.gate.rows._foreign_keys import ForeignKeys
from app.gate.rows._hostile import Aim
from app.gate.rows._plan import Plan, Rules
from app.gate.rows._shapes import ORDINARY_ROWS, Row, Shape, edge_case_rows, ordinary_rows
from app.gate.rows._sources import RANK, Source, candidates_of, combinations_of, group_sources, kept_of
from app.gate.rows._values import GUESSES, NoValue

TRIES = 40  # combinations of values, for one row
NEXT_NUMBER = 700  # of the row that an application would insert next
_KEPT = 12  # combinations of one group of columns, in case a key refuses the first


@dataclass
class InsertTask:
    """A row to be inserted, or several of them, or one that is filled in afterwards."""

    table: CatalogTable
    row: Row
    statements: list[str]  # tried in this order, until one inserts or updates a row
    unless: str | None = None  # a query: nothing is done if it returns true
    others: tuple[Row, ...] = ()  # that the same statement inserts
    inserted: int = 0
    refusal: tuple[str, str, str] | None = None  # SQLSTATE, message, constraint


@dataclass(frozen=True)
class _Insert:
    """One row. The statement's parameter is how many combinations of values to skip."""

    table: CatalogTable
    names: tuple[str, ...]
    values: tuple[str, ...]
    source: str  # FROM and ORDER BY; empty if the values are constants

    @property
    def head(self) -> str:
        return f"INSERT INTO {self.table.sql} ({', '.join(map(identifier, self.names))}) OVERRIDING SYSTEM VALUE"

    @property
    def sql(self) -> str:
        if not self.names:
            return f"INSERT INTO {self.table.sql} DEFAULT VALUES"
        return f"{self.head} SELECT {', '.join(self.values)}{self.source} LIMIT 1 OFFSET $1"


def _in_one_statement(inserts: Sequence[_Insert]) -> str:
    """One statement for several rows whose values are constants."""
    rows = ", ".join(f"({', '.join(insert.values)})" for insert in inserts)
    return f"{inserts[0].head} SELECT * FROM (VALUES {rows}) AS v WHERE $1 = 0"


class InsertBuilder:
    """Writes the INSERTs of a plan."""

    def __init__(
        self,
        plan: Plan,
        except_for: frozenset[str] = frozenset(),
        json_in_text: bool = False,
        *,
        by_defaults: bool = False,  # columns take their values from their sequences
    ) -> None:
        self._plan = plan
        self._except_for = except_for
        self._by_defaults = by_defaults
        self._values = ColumnValues(json_in_text)
        self._keys = ForeignKeys(plan, except_for)
        self.unknown: dict[int, str] = {}  # table -> the reason why no statement could be written

    def tasks(self, with_edge_cases: bool, aims: Sequence[Aim] = ()) -> Iterator[InsertTask]:
        """The rows of all tables; with `aims`, one for each that breaks that rule of the revision's."""
        deferred: list[InsertTask] = []
        for group in self._plan.groups:
            if len(group) > 1:
                yield from self._cycle(group)
            elif group[0].name not in self._except_for:
                yield from self._tasks_of(group[0], with_edge_cases, aims)
                deferred += [InsertTask(group[0], row, [update]) for row, update in self._keys.deferred(group[0])]
            self._keys.filled.update(table.oid for table in group)
        yield from deferred

    def retries(self, tasks: Sequence[InsertTask]) -> list[InsertTask]:
        """Attempts in other ways, for tables whose ordinary rows were refused and for those that refer to them."""
        failed = {task.table.oid for task in tasks if task.refusal and task.row.shape is Shape.ORDINARY}
        retries: list[InsertTask] = []
        for task in tasks:
            if not task.refusal or not (task.table.oid in failed or task.refusal[0] == sqlstates.FOREIGN_KEY_VIOLATION):
                continue
            task.refusal = None
            for row in (task.row, *task.others):
                single = InsertTask(task.table, row, task.statements, task.unless)
                if len(self._plan.groups_of[task.table.oid]) == 1 and row.shape is not Shape.DEFERRED_KEY:
                    single.statements = list(dict.fromkeys(self._other_ways(single)))
                retries.append(single)
        return retries

    def next_insert(
        self, table: CatalogTable, omitted: frozenset[str], returning: str = "to_jsonb(overproof_next.*)"
    ) -> str:
        """An INSERT of an ordinary row, with other values than those of the rows that are made, which returns it as
        JSON. It leaves those columns to their defaults. Raises NoValue."""
        insert = self._insert(_without(table, omitted), Row(Shape.NEXT, NEXT_NUMBER), Rules()).sql
        return insert.replace(table.sql, f"{table.sql} AS overproof_next", 1) + f" RETURNING {returning}"

    def _tasks_of(self, table: CatalogTable, with_edge_cases: bool, aims: Sequence[Aim]) -> Iterator[InsertTask]:
        rules = self._plan.rules.get(table.oid, Rules())
        rows = ordinary_rows()
        if with_edge_cases and table.is_touched:
            rows += edge_case_rows(table, rules)
        rows += [
            replace(aim.row, number=aim.row.number + turn) for turn, aim in enumerate(aims) if aim.table == table.oid
        ]
        unless = None
        if not table.is_touched:
            unless = f"SELECT count(*) >= {ORDINARY_ROWS} FROM (SELECT FROM {table.sql} LIMIT {ORDINARY_ROWS}) AS few"
        try:
            inserts = [self._insert(table, row, rules, is_quick=True) for row in rows]
        except NoValue as error:
            self.unknown[table.oid] = f"no value of type {error} is known"
            yield from (InsertTask(table, row, list(self._guesses(table, row)), unless) for row in rows)
            return
        ordinary = inserts[:ORDINARY_ROWS]
        if ordinary[0].names and not any(insert.source for insert in ordinary):
            yield InsertTask(table, rows[0], [_in_one_statement(ordinary)], unless, tuple(rows[1:ORDINARY_ROWS]))
            rows, inserts = rows[ORDINARY_ROWS:], inserts[ORDINARY_ROWS:]
        for row, insert in zip(rows, inserts, strict=True):
            yield InsertTask(table, row, [insert.sql], unless or _unless_selected(table, row))

    def _other_ways(self, task: InsertTask) -> Iterator[str]:
        table, row = task.table, task.row
        try:
            rules = self._plan.rules.get(table.oid)
            if rules is not None:
                yield self._insert(table, row, rules).sql
            yield self._insert(table, row, Rules()).sql
            if row.shape is Shape.ORDINARY:
                # The first values may be taken.
                yield self._insert(table, Row(Shape.ORDINARY, row.number + 500), Rules()).sql
            yield self._insert(table, row, Rules(), is_blind=True).sql
        except NoValue:
            yield from self._guesses(table, row)

    def _guesses(self, table: CatalogTable, row: Row) -> Iterator[str]:
        for turn in range(GUESSES):
            try:
                yield self._insert(table, row, Rules(), guess=turn).sql
            except NoValue:
                return

    def _insert(
        self,
        table: CatalogTable,
        row: Row,
        rules: Rules,
        *,
        is_quick: bool = False,
        is_blind: bool = False,
        guess: int | None = None,
    ) -> _Insert:
        """An INSERT of one row. Raises NoValue.

        Quick, it relies on the values that the parents' rows were given. Blind, it leaves the CHECKs to PostgreSQL: one
        of them may raise an error for some candidate.
        """
        if self._by_defaults:
            table = _without(table, frozenset(each.name for each in table.columns if each.sequence is not None))
            is_quick = False
        checks = _checks_for(table, row, rules)
        bound = {name for check in checks for name in check.columns}
        rules = _without_broken(rules, row)
        fixed = self._keys.known_values(table, row, rules, bound) if is_quick else {}
        sources: list[Source] = [] if fixed else [*self._keys.sources(table, row, rules)]
        taken = {name for source in sources for name in source.columns}
        for column in table.columns:
            if column.is_generated or column.name in taken or column.name in fixed:
                continue
            if column.name in bound or has_few_values(table, column) or column.type.domain_checks:
                own = [check for check in checks if column.name in check.columns]
                sources.append(candidates_of(column, row, self._values.wanted(column, row), own, checks))
            else:
                fixed[column.name] = self._values.fixed(table, column, row, rules, guess)
        return _assemble(table, fixed, sources, checks, is_blind=is_blind)

    def _cycle(self, group: Sequence[CatalogTable]) -> Iterator[InsertTask]:
        """Tables that need rows of each other: a row of each in one statement, at whose end the keys are checked."""
        members = {table.oid: table for table in group}
        for row in ordinary_rows():
            try:
                inserts = [self._insert_in_cycle(table, row, members) for table in group]
            except NoValue as error:
                self.unknown.update((table.oid, f"no value of type {error} is known") for table in group)
                return
            named = ", ".join(f"i{index} AS ({insert})" for index, insert in enumerate(inserts[:-1]))
            yield from (
                InsertTask(table, row, [f"WITH {named} {inserts[-1]}" if index == 0 else "SELECT 1 OFFSET $1"])
                for index, table in enumerate(group)
            )

    def _insert_in_cycle(self, table: CatalogTable, row: Row, members: Mapping[int, CatalogTable]) -> str:
        inner = [key for key in table.foreign_keys if key.parent in members and key.parent != table.oid]
        own: dict[str, str] = {}
        for key in inner:
            for name, parent_name in zip(key.columns, key.parent_columns, strict=True):
                own[name] = own_value(members[key.parent].get_column(parent_name), row)
        rest = replace(
            table,
            columns=tuple(column for column in table.columns if column.name not in own),
            foreign_keys=tuple(key for key in table.foreign_keys if key not in inner),
            checks=tuple(check for check in table.checks if not own.keys() & set(check.columns)),
        )
        insert = self._insert(rest, row, Rules())
        return replace(insert, names=(*own, *insert.names), values=(*own.values(), *insert.values)).sql


def _without(table: CatalogTable, omitted: frozenset[str]) -> CatalogTable:
    """The table without columns that are left to their defaults, and without what PostgreSQL is to check of them."""
    return replace(
        table,
        columns=tuple(each for each in table.columns if each.name not in omitted),
        foreign_keys=tuple(key for key in table.foreign_keys if not omitted & set(key.columns)),
        checks=tuple(check for check in table.checks if not omitted & set(check.columns)),
    )


def _without_broken(rules: Rules, row: Row) -> Rules:
    """The rules without the foreign keys that a hostile row breaks, or whose columns it needs to break another rule."""
    broken = set(row.refused_by.columns) if row.shape is Shape.HOSTILE and row.refused_by is not None else set()
    kept = tuple(key for key in rules.foreign_keys if key != row.orphan_of and not broken & set(key.columns))
    return rules if kept == rules.foreign_keys else replace(rules, foreign_keys=kept)


def _checks_for(table: CatalogTable, row: Row, rules: Rules) -> tuple[CheckConstraint, ...]:
    """The CHECKs that the row satisfies: the table's, and those to come, except for the one that is to refuse it; and
    the condition that is to select it or not."""
    checks = [*table.checks, *(check for check in rules.checks if check != row.refused_by)]
    if row.refused_by is not None:
        checks.append(replace(row.refused_by, expression=f"(({row.refused_by.expression}) IS FALSE)"))
    if row.selected_by is not None:
        outcome = "TRUE" if row.shape is Shape.SELECTED else "FALSE"
        checks.append(replace(row.selected_by, expression=f"(({row.selected_by.expression}) IS {outcome})"))
    return tuple(checks)


def _unless_selected(table: CatalogTable, row: Row) -> str | None:
    """A query that is true where no row has to be made for a condition: there are such rows, perhaps a script's own."""
    if row.selected_by is None:
        return None
    outcome = "TRUE" if row.shape is Shape.SELECTED else "FALSE"
    least = 2 if row.shape is Shape.SELECTED and row.selected_by.name == PREDICATE else 1
    return (
        f"SELECT count(*) >= {least} FROM (SELECT FROM {table.sql}"
        f" WHERE ({row.selected_by.expression}) IS {outcome} LIMIT {least}) AS few"
    )


def _assemble(
    table: CatalogTable,
    fixed: Mapping[str, str],
    sources: Sequence[Source],
    checks: Sequence[CheckConstraint],
    *,
    is_blind: bool,
) -> _Insert:
    """The INSERT of fixed values and of the best combination of the sources' values."""
    groups = group_sources(sources, checks)
    tables: list[str] = []
    chosen: dict[str, str] = {}
    for index, group in enumerate(groups):
        limit = kept_of(index, len(groups), TRIES if is_blind else _KEPT)
        tables.append(f"({combinations_of(table, group, checks, limit, is_blind=is_blind)}) AS c{index}")
        chosen.update((name, f"c{index}.{identifier(name)}") for each in group for name in each.columns)
    names = [column.name for column in table.columns if column.name in fixed or column.name in chosen]
    ranks = [f"c{index}.{RANK}" for index in range(len(groups))]
    source = f" FROM {', '.join(tables)} ORDER BY {' + '.join(ranks)}, {', '.join(ranks)}" if tables else ""
    return _Insert(table, tuple(names), tuple(fixed.get(name) or chosen[name] for name in names), source)
