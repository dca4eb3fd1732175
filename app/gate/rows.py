"""Rows for the tables that a revision touches, made from the catalog and inserted on the migration's own connection.

Two kinds. Plain rows are what an ordinary application would have: every column filled, different values everywhere. They also obey
the rules that the revision is about to bring (a new CHECK, a new foreign key), since an application that is given such a rule
mostly lives by it already. Awkward rows are what the old schema allows and a migration forgets: one with NULL wherever that may
be, two that are equal but for their keys, one with the longest, finest and largest values.

PostgreSQL itself finds the values that meet a CHECK or fall into a partition: each column that is bound by one is given
candidates, and the INSERT takes the first combination for which the CHECK's own expression is not false. A foreign key
takes its values from the parent's rows in the same statement. All INSERTs are sent as one DO block, which takes the next
combination when a row is refused, and says in the end what became of each.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from app.gate.recording import Failure
from app.gate.rows_catalog import Ask, Catalog, Check, Column, ForeignKey, Table, identifier, literal, read_catalog
from app.gate.rows_values import NoValue, Values, want

Execute = Callable[[Sequence[str]], Failure | None]  # runs statements on the connection of `Ask`

PLAIN_ROWS = 3
_COMBINATIONS = 900  # of candidates, tried for one CHECK
_MOST_CANDIDATES = 60  # of one column
_KEPT = 12  # of those that meet it, kept in case that a key refuses the first
_TRIES = 40
_NO_PARENT = "23503"  # foreign_key_violation
_RANK = "overproof_rank"
_IS_NULL = "overproof_null"


@dataclass(frozen=True)
class Filled:
    """What became of the rows."""

    tables: Mapping[str, int]  # {"public.orders": 7}: inserted by us
    not_covered: Mapping[str, str]  # {"public.lines": "no values were found that meet CHECK ck_total"}


@dataclass(frozen=True)
class Row:
    """A row to be made of some table."""

    kind: str  # "plain", "null", "twin", "extreme"
    number: int  # of its values
    varied: frozenset[str] = frozenset()  # twin: columns whose values have the number `own` instead
    own: int = 0

    def number_for(self, columns: Iterable[str]) -> int:
        return self.own if self.varied.intersection(columns) else self.number


@dataclass(frozen=True)
class Rules:
    """What the revision will demand of a table's rows, over what is demanded now."""

    checks: tuple[Check, ...] = ()
    foreign_keys: tuple[ForeignKey, ...] = ()
    types: Mapping[str, tuple[int, int]] = field(default_factory=dict)  # column -> type and modifier to come


@dataclass
class _Task:
    """One row to be inserted, or one column of it to be filled in afterwards."""

    table: Table
    row: Row
    statements: list[str]
    unless: str | None = None
    inserted: int = 0
    refusal: tuple[str, str, str] | None = None  # SQLSTATE, message, constraint


class Plan:
    """The tables to be filled, parents first, and what is known of them. Made once, for as many fillings as are needed."""

    def __init__(self, catalog: Catalog, to_come: Catalog | None = None) -> None:
        self.catalog = catalog
        self.values = Values({**(to_come.types if to_come else {}), **catalog.types})
        self.rules = _rules(catalog, to_come) if to_come else {}
        self.groups = _in_order(catalog, self.rules)
        self.groups_of = {table.oid: group for group in self.groups for table in group}

    @property
    def touched(self) -> list[str]:
        """Names of the tables that the revision touches."""
        return [table.name for table in self.catalog.tables.values() if table.is_touched]


def make_plan(ask: Ask, tables: Iterable[str], to_come: Catalog | None = None) -> Plan:
    """A plan for those tables ("public.orders") as they are now. `to_come` are the same tables as the revision leaves them."""
    wanted = set(tables)
    if to_come is not None:
        parents = {key.parent for table in to_come.tables.values() for key in table.foreign_keys}
        # They are read by name: what a downgrade makes anew has another oid.
        wanted |= {to_come.tables[oid].name for oid in parents if oid in to_come.tables}
    catalog = read_catalog(ask, wanted)
    touched = {catalog.renamed.get(name, name) for name in tables}
    named = {oid: table if table.name in touched else _as_parent(table) for oid, table in catalog.tables.items()}
    return Plan(Catalog(named, catalog.types, catalog.renamed), to_come)


def _as_parent(table: Table) -> Table:
    return Table(**{**table.__dict__, "is_touched": False})


def fill(plan: Plan, ask: Ask, execute: Execute, *, is_awkward: bool, except_for: Iterable[str] = ()) -> Filled:
    """Insert the rows. `except_for` are tables that have rows enough. What cannot be filled is told, and nothing raised."""
    writer = _Writer(plan, frozenset(except_for))
    tasks = list(writer.tasks(is_awkward))
    failure = _run(tasks, ask, execute)
    if failure is None and (again := writer.tasks_again(tasks)):
        failure = _run(again, ask, execute)
    return _outcome(plan, tasks, writer, failure)


# In which order, and by which rules.


def _rules(catalog: Catalog, to_come: Catalog) -> dict[int, Rules]:
    rules = {}
    for table in catalog.tables.values():
        later = to_come.find(table.name)
        if later is None:
            continue
        names = {column.name for column in table.columns}
        types = {}
        for column in later.columns:
            now = next((each for each in table.columns if each.name == column.name), None)
            if now is not None and (now.sql != column.sql):
                types[column.name] = (column.type, column.modifier)
        known = {check.expression for check in table.checks}
        checks = tuple(
            check
            for check in later.checks
            if check.expression not in known
            and names.issuperset(check.columns)
            and not types.keys() & set(check.columns)
        )
        rules[table.oid] = Rules(checks, tuple(_keys_to_come(table, later, catalog, to_come)), types)
    return rules


def _keys_to_come(table: Table, later: Table, catalog: Catalog, to_come: Catalog) -> Iterator[ForeignKey]:
    names = {column.name for column in table.columns}
    known = {(key.columns, key.parent_columns) for key in table.foreign_keys}
    for key in later.foreign_keys:
        if key.parent not in to_come.tables or (key.columns, key.parent_columns) in known:
            continue
        parent = catalog.find(to_come.tables[key.parent].name)
        if parent is None or not names.issuperset(key.columns):
            continue
        if {column.name for column in parent.columns}.issuperset(key.parent_columns):
            yield ForeignKey(key.name, key.columns, parent.oid, key.parent_columns)


def _in_order(catalog: Catalog, rules: Mapping[int, Rules]) -> list[list[Table]]:
    """The tables, parents before children. Those that cannot do without each other share a group."""
    hard: dict[int, set[int]] = {}
    soft: dict[int, set[int]] = {}
    for oid, table in catalog.tables.items():
        hard[oid], soft[oid] = set(), set()
        for key in (*table.foreign_keys, *rules.get(oid, Rules()).foreign_keys):
            if key.parent != oid and key.parent in catalog.tables:
                is_hard = key in table.foreign_keys and all(table.get_column(name).not_null for name in key.columns)
                (hard if is_hard else soft)[oid].add(key.parent)
    groups: list[list[Table]] = []
    left = dict.fromkeys(catalog.tables)
    while left:
        ready = [oid for oid in left if not (hard[oid] | soft[oid]) & left.keys()]
        if not ready:  # a circle: broken where a column may be NULL
            ready = [oid for oid in left if not hard[oid] & left.keys()][:1]
        if ready:
            groups += [[catalog.tables[oid]] for oid in ready]
        else:
            ready = _circle(hard, left)
            groups.append([catalog.tables[oid] for oid in ready])
        for oid in ready:
            del left[oid]
    return groups


def _circle(parents: Mapping[int, set[int]], left: Mapping[int, None]) -> list[int]:
    """Tables that refer to each other in a circle and that refer to no others that are left."""

    def reached(start: int) -> set[int]:
        found, ahead = set(), [start]
        while ahead:
            for parent in parents[ahead.pop()] & left.keys():
                if parent not in found:
                    found.add(parent)
                    ahead.append(parent)
        return found

    everything = {oid: reached(oid) for oid in left}
    inner = min(left, key=lambda oid: len(everything[oid]))
    return sorted(oid for oid in left if oid in everything[inner] and inner in everything[oid]) or [inner]


# The statements.


@dataclass(frozen=True)
class _Source:
    """Where the values of some columns come from: a SELECT of so many of them with a rank, the best being the lowest."""

    columns: tuple[str, ...]
    select: Callable[[int], str]
    is_key: bool = False  # a foreign key


class _Writer:
    """Writes the INSERTs of a plan."""

    def __init__(self, plan: Plan, except_for: frozenset[str]) -> None:
        self._plan = plan
        self._values = plan.values
        self._except_for = except_for
        self._done: set[int] = set()  # tables whose rows are there when the next one's are made
        self.unknown: dict[int, str] = {}  # table -> the reason why no statement could be written

    def tasks(self, is_awkward: bool) -> Iterator[_Task]:
        late: list[_Task] = []
        for group in self._plan.groups:
            if len(group) > 1:
                yield from self._circle(group)
                self._done.update(table.oid for table in group)
                continue
            (table,) = group
            if table.name not in self._except_for:
                yield from self._tasks_of(table, is_awkward)
                late += self._late_keys(table)
            self._done.add(table.oid)
        yield from late

    def tasks_again(self, tasks: Sequence[_Task]) -> list[_Task]:
        """Another try, in other ways, for plain rows that were refused, and for what waits for them."""
        failed = {task.table.oid for task in tasks if task.refusal and task.row.kind == "plain"}
        again = [task for task in tasks if task.refusal and (task.table.oid in failed or task.refusal[0] == _NO_PARENT)]
        for task in again:
            if len(self._plan.groups_of[task.table.oid]) == 1 and task.row.kind != "late":
                task.statements = list(dict.fromkeys(self._other_ways(task)))
            task.refusal = None
        return again

    def _tasks_of(self, table: Table, is_awkward: bool) -> Iterator[_Task]:
        rows = [Row("plain", number) for number in range(PLAIN_ROWS)]
        if is_awkward and table.is_touched:
            rows += _awkward_rows(table)
        unless = None
        if not table.is_touched:
            unless = f"SELECT count(*) >= {PLAIN_ROWS} FROM (SELECT FROM {table.sql} LIMIT {PLAIN_ROWS}) AS few"
        for row in rows:
            try:
                rules = self._plan.rules.get(table.oid, Rules())
                statements = [self._insert(table, row, rules, is_quick=True)]
            except NoValue as error:
                self.unknown[table.oid] = f"no value of type {error} is known"
                statements = list(self._guesses(table, row))
            yield _Task(table, row, statements, unless)

    def _other_ways(self, task: _Task) -> Iterator[str]:
        table, row = task.table, task.row
        try:
            rules = self._plan.rules.get(table.oid)
            if rules is not None:
                yield self._insert(table, row, rules)
            yield self._insert(table, row, Rules())
            if row.kind == "plain":
                yield self._insert(table, Row("plain", row.number + 500), Rules())  # the first ones may be taken
                yield self._insert(table, row, Rules(), is_blind=True)
        except NoValue:
            yield from self._guesses(table, row)

    def _guesses(self, table: Table, row: Row) -> Iterator[str]:
        for turn in range(10):
            try:
                yield self._insert(table, row, Rules(), guess=turn)
            except (NoValue, IndexError):
                return

    def _insert(
        self,
        table: Table,
        row: Row,
        rules: Rules,
        *,
        is_quick: bool = False,
        is_blind: bool = False,
        guess: int | None = None,
    ) -> str:
        """An INSERT of one row. Its parameter is how many combinations to pass over.

        Quick, it takes it for granted that the parents' rows are there. Blind, it leaves the CHECKs to PostgreSQL: one of
        them may raise an error for some candidate. Raises NoValue.
        """
        checks = (*table.checks, *rules.checks)
        bound = {name for check in checks for name in check.columns}
        fixed = self._quick_keys(table, row, rules, bound) if is_quick else {}
        sources = [] if fixed else [*self._keys(table, row, rules)]
        taken = {name for source in sources for name in source.columns}
        for column in table.columns:
            if column.is_generated or column.name in taken or column.name in fixed:
                continue
            if column.name in bound or self._has_few_values(table, column) or self._values.domain_checks(column.type):
                expressions = [check.expression for check in checks if column.name in check.columns]
                expressions += self._values.domain_checks(column.type)
                sources.append(self._candidates(column, row, expressions))
            else:
                fixed[column.name] = self._fixed(column, row, rules, guess)
        parts = _together(sources, checks)
        limit = max(2, min(_KEPT, int(2000 ** (1 / max(1, len(parts))))))
        tables: list[str] = []
        chosen: dict[str, str] = {}
        for index, part in enumerate(parts):
            tables.append(f"({self._part(table, part, checks, limit, is_blind)}) AS c{index}")
            chosen.update((name, f"c{index}.{identifier(name)}") for each in part for name in each.columns)
        names = [column.name for column in table.columns if column.name in fixed or column.name in chosen]
        if not names:
            return f"INSERT INTO {table.sql} DEFAULT VALUES"
        order = ""
        if tables:
            ranks = [f"c{index}.{_RANK}" for index in range(len(parts))]
            order = f" FROM {', '.join(tables)} ORDER BY {' + '.join(ranks)}, {', '.join(ranks)}"
        return (
            f"INSERT INTO {table.sql} ({', '.join(map(identifier, names))}) OVERRIDING SYSTEM VALUE"
            f" SELECT {', '.join(fixed.get(name) or chosen[name] for name in names)}{order} LIMIT 1 OFFSET $1"
        )

    def _part(self, table: Table, part: Sequence[_Source], checks: Iterable[Check], limit: int, is_blind: bool) -> str:
        """A SELECT of the combinations of some columns that meet the CHECKs on them."""
        owners: dict[str, int] = {}
        same = []
        for index, source in enumerate(part):
            for name in source.columns:
                if name in owners:
                    quoted = identifier(name)
                    equal = f"s{owners[name]}.{quoted} = s{index}.{quoted}"
                    same.append(f"({equal} OR s{index}.{_IS_NULL})" if source.is_key else equal)
                else:
                    owners[name] = index
        columns = [f"s{index}.{identifier(name)} AS {identifier(name)}" for name, index in owners.items()]
        ranks = [f"s{index}.{_RANK} AS overproof_{index}" for index in range(len(part))]
        total = " + ".join(f"s{index}.{_RANK}" for index in range(len(part)))
        most = _most_of_each(len(part))
        tables = [f"({source.select(most)}) AS s{index}" for index, source in enumerate(part)]
        inner = f"SELECT {', '.join([*columns, *ranks, f'{total} AS {_RANK}'])} FROM {', '.join(tables)}"
        inner += f" WHERE {' AND '.join(same)}" if same else ""
        conditions = []
        if not is_blind:
            conditions = [
                f"(({check.expression}) IS NOT FALSE)" for check in checks if owners.keys() & set(check.columns)
            ]
            for name in owners:
                for expression in self._values.domain_checks(table.get_column(name).type):
                    conditions.append(
                        f"((SELECT {expression} FROM (SELECT s.{identifier(name)} AS value) AS d) IS NOT FALSE)"
                    )
        where = f" WHERE {' AND '.join(conditions)}" if conditions else ""
        order = ", ".join([_RANK, *(f"overproof_{index}" for index in range(len(part)))])
        return f"SELECT * FROM ({inner}) AS s{where} ORDER BY {order} LIMIT {_TRIES if is_blind else limit}"

    # Values.

    def _fixed(self, column: Column, row: Row, rules: Rules, guess: int | None) -> str:
        if row.kind == "null" and self._may_be_null(column):
            return f"NULL::{column.sql}"
        wanted = want(column, row.number_for([column.name]), is_extreme=row.kind == "extreme")
        try:
            if column.name in rules.types:
                return self._for_both(column, rules.types[column.name], row)
            return self._values.one(column.type, column.modifier, wanted)
        except NoValue:
            if guess is None:
                if self._may_be_null(column):
                    return f"NULL::{column.sql}"
                raise
            return self._values.guesses(column.type, wanted)[guess]

    def _for_both(self, column: Column, to_come: tuple[int, int], row: Row) -> str:
        """A value that survives the column's change of type, if that can be told; an extreme one need not."""
        wanted = want(column, row.number_for([column.name]), is_extreme=row.kind == "extreme")
        now, later = self._values.type(column.type), self._values.type(to_come[0])
        if row.kind == "extreme" and now.category == later.category:
            return self._values.one(column.type, column.modifier, wanted)
        made = self._values.one(*to_come, want(column, row.number_for([column.name])))
        if now.category == "S" and later.category != "S":
            return f"({made})::text::{now.sql}"
        if now.category == later.category and now.category in ("N", "S"):
            own = self._values.one(column.type, column.modifier, wanted)
            return f"({made})::{now.sql}" if len(made.split("::")[0]) < len(own.split("::")[0]) else own
        return self._values.one(column.type, column.modifier, wanted)

    def _candidates(self, column: Column, row: Row, expressions: Iterable[str]) -> _Source:
        wanted = want(column, row.number_for([column.name]), is_extreme=row.kind == "extreme")
        found = self._values.type(column.type)
        try:
            candidates = self._values.candidates(column.type, column.modifier, wanted, expressions)
        except NoValue:
            if not self._may_be_null(column):
                raise
            candidates = []
        nulls = [f"NULL::{found.sql}"] if self._may_be_null(column) else []

        def select(most: int) -> str:
            # The last place is kept for NULL.
            chosen = candidates[: max(1, min(most, _MOST_CANDIDATES) - len(nulls))]
            chosen = [*nulls, *chosen] if row.kind == "null" else [*chosen, *nulls]
            rows = ", ".join(f"({each}, {rank})" for rank, each in enumerate(chosen))
            return f"SELECT * FROM (VALUES {rows}) AS v ({identifier(column.name)}, {_RANK})"

        return _Source((column.name,), select)

    def _keys(self, table: Table, row: Row, rules: Rules) -> Iterator[_Source]:
        """Foreign keys as sources; those that must have a value first."""
        keys = [*table.foreign_keys, *rules.foreign_keys]
        keys.sort(key=lambda key: any(not table.get_column(name).not_null for name in key.columns))
        for key in keys:
            parent = self._plan.catalog.tables.get(key.parent)
            columns = [table.get_column(name) for name in key.columns]
            if parent is None or any(column.is_generated for column in columns):
                continue
            yield self._key(table, key, parent, columns, row)

    def _quick_keys(self, table: Table, row: Row, rules: Rules, bound: Collection[str]) -> dict[str, str]:
        """The values of all foreign keys, if they follow from what the parents' rows were given. Else nothing."""
        keys = [*table.foreign_keys, *rules.foreign_keys]
        names = [name for key in keys for name in key.columns]
        unique = {name for key in table.keys for name in key.columns}
        if row.kind not in ("plain", "twin") or len(set(names)) < len(names) or set(names) & (set(bound) | unique):
            return {}
        values: dict[str, str] = {}
        for key in keys:
            parent = self._plan.catalog.tables.get(key.parent)
            if parent is None or parent.oid not in self._done or parent.name in self._except_for:
                return {}
            for mine, theirs in zip(key.columns, key.parent_columns, strict=True):
                column = parent.get_column(theirs)
                if not self._is_fixed(parent, column) or table.get_column(mine).is_generated:
                    return {}
                values[mine] = self._own(column, Row("plain", row.number % PLAIN_ROWS))
        return values

    def _is_fixed(self, table: Table, column: Column) -> bool:
        """Whether the column's values are the same wherever they are asked for."""
        checks = (*table.checks, *self._plan.rules.get(table.oid, Rules()).checks)
        is_bound = any(column.name in check.columns for check in checks)
        is_bound = is_bound or any(column.name in key.columns for key in table.foreign_keys)
        return not (
            is_bound
            or column.is_generated
            or self._values.domain_checks(column.type)
            or self._has_few_values(table, column)
            or column.name in self._plan.rules.get(table.oid, Rules()).types
        )

    def _key(self, table: Table, key: ForeignKey, parent: Table, columns: Sequence[Column], row: Row) -> _Source:
        select = self._rows_of(key, parent, columns, row)
        if any(self._may_be_null(column) for column in columns):
            rank = -1 if row.kind == "null" else 1000
            nulls = ", ".join(
                f"NULL::{column.sql}" if self._may_be_null(column) else self._own(column, row) for column in columns
            )
            select += f" UNION ALL SELECT {nulls}, {rank}, true"
        elif parent.oid == table.oid:
            # A row that must refer to one of its own table, and is the first: it refers to itself.
            itself = ", ".join(self._own(table.get_column(name), row) for name in key.parent_columns)
            select += f" UNION ALL SELECT {itself}, 500, false"
        return _Source(
            key.columns,
            lambda most: f"SELECT * FROM ({select}) AS few ORDER BY {_RANK} LIMIT {most}",
            is_key=True,
        )

    def _rows_of(self, key: ForeignKey, parent: Table, columns: Sequence[Column], row: Row) -> str:
        """A SELECT of what the parent has to refer to; each row of the child begins at another one."""
        number = row.number_for(key.columns)
        theirs = [identifier(name) for name in key.parent_columns]
        ours = [f"{mine} AS {identifier(column.name)}" for mine, column in zip(theirs, columns, strict=True)]
        turn = f"mod(row_number() OVER (ORDER BY {', '.join(theirs)}) - 1 - {number} + {number} * count(*) OVER (), count(*) OVER ())"
        filled = " AND ".join(f"{mine} IS NOT NULL" for mine in theirs)
        return (
            f"SELECT {', '.join(ours)}, {turn} AS {_RANK}, false AS {_IS_NULL}"
            f" FROM (SELECT {', '.join(theirs)} FROM {parent.sql} WHERE {filled} ORDER BY {', '.join(theirs)} LIMIT 50) AS p"
        )

    def _own(self, column: Column, row: Row) -> str:
        return self._values.one(column.type, column.modifier, want(column, row.number_for([column.name])))

    def _may_be_null(self, column: Column) -> bool:
        return not column.not_null and self._values.allows_null(column.type)

    def _has_few_values(self, table: Table, column: Column) -> bool:
        """Whether a key on it may soon have no value left."""
        if not any(column.name in key.columns for key in table.keys):
            return False
        found = self._values.type(column.type)
        return found.kind == "enum" or found.category == "B"

    # Circles.

    def _circle(self, group: Sequence[Table]) -> Iterator[_Task]:
        """Tables that cannot do without each other: a row of each in one statement, at whose end the keys are checked."""
        members = {table.oid: table for table in group}
        for number in range(PLAIN_ROWS):
            row = Row("plain", number)
            try:
                inserts = [self._insert_of_circle(table, row, members) for table in group]
            except NoValue as error:
                self.unknown.update((table.oid, f"no value of type {error} is known") for table in group)
                return
            named = ", ".join(f"i{index} AS ({insert})" for index, insert in enumerate(inserts[:-1]))
            yield from (
                _Task(table, row, [f"WITH {named} {inserts[-1]}" if index == 0 else "SELECT 1 OFFSET $1"])
                for index, table in enumerate(group)
            )

    def _insert_of_circle(self, table: Table, row: Row, members: Mapping[int, Table]) -> str:
        inner = [key for key in table.foreign_keys if key.parent in members and key.parent != table.oid]
        own: dict[str, str] = {}
        for key in inner:
            for mine, theirs in zip(key.columns, key.parent_columns, strict=True):
                own[mine] = self._own(members[key.parent].get_column(theirs), row)
        loose = Table(
            **{
                **table.__dict__,
                "columns": tuple(column for column in table.columns if column.name not in own),
                "foreign_keys": tuple(key for key in table.foreign_keys if key not in inner),
                "checks": tuple(check for check in table.checks if not own.keys() & set(check.columns)),
            }
        )
        insert = self._insert(loose, row, Rules())
        head, middle, rest = insert.partition(") OVERRIDING SYSTEM VALUE SELECT ")
        if not middle:
            names, expressions = (", ".join(map(identifier, own)), ", ".join(own.values()))
            return f"INSERT INTO {table.sql} ({names}) OVERRIDING SYSTEM VALUE SELECT {expressions} LIMIT 1 OFFSET $1"
        return f"{head}, {', '.join(map(identifier, own))}{middle}{', '.join(own.values())}, {rest}"

    def _late_keys(self, table: Table) -> Iterator[_Task]:
        """Columns that stayed NULL because their parent comes later: filled in once it is there, in plain rows."""
        primary = next((key for key in table.keys if key.is_primary), None)
        if primary is None:
            return
        taken = {name for key in table.foreign_keys for name in key.columns}
        for key in table.foreign_keys:
            parent = self._plan.catalog.tables.get(key.parent)
            if parent is None or parent.oid == table.oid or parent.oid in self._done or taken & set(primary.columns):
                continue
            for number in range(PLAIN_ROWS):
                row = Row("plain", number)
                columns = [table.get_column(name) for name in key.columns]
                select = self._rows_of(key, parent, columns, row)
                names = ", ".join(map(identifier, key.columns))
                own = " AND ".join(
                    f"t.{identifier(name)} = {self._own(table.get_column(name), row)}" for name in primary.columns
                )
                empty = " AND ".join(f"t.{identifier(name)} IS NULL" for name in key.columns)
                update = (
                    f"UPDATE {table.sql} AS t SET ({names}) = (SELECT {names} FROM ({select}) AS few"
                    f" ORDER BY {_RANK} LIMIT 1 OFFSET $1) WHERE {own} AND {empty}"
                )
                yield _Task(table, Row("late", number), [update])


def _awkward_rows(table: Table) -> list[Row]:
    rows = [Row("null", PLAIN_ROWS)]
    varied = dict.fromkeys(frozenset(_keeping_apart(table, end)) for end in (0, -1))
    for own, columns in enumerate(varied, start=PLAIN_ROWS + 1):
        rows.append(Row("twin", 0, columns, own))
    return [*rows, Row("extreme", PLAIN_ROWS + 3)]


def _keeping_apart(table: Table, end: int) -> set[str]:
    """As few columns as will make a row differ from its twin in every key: of each key the first, or the last."""
    varied: set[str] = set()
    for key in table.keys:
        if key.columns and not varied & set(key.columns):
            varied.add(key.columns[end])
    return varied


def _together(sources: Sequence[_Source], checks: Iterable[Check]) -> list[list[_Source]]:
    """Sources that share a column or a CHECK, side by side."""
    parts = [([source], set(source.columns)) for source in sources]
    for bond in (*(set(check.columns) for check in checks), *(set(source.columns) for source in sources)):
        meeting = [part for part in parts if part[1] & bond]
        if len(meeting) > 1:
            whole: tuple[list[_Source], set[str]] = ([], set())
            for members, columns in meeting:
                whole[0].extend(members)
                whole[1].update(columns)
            parts = [part for part in parts if not part[1] & bond] + [whole]
    # Sorting is stable, so foreign keys keep their order: the ones that must have a value come first.
    return [sorted(members, key=lambda source: not source.is_key) for members, _ in parts]


def _most_of_each(count: int) -> int:
    """How many candidates of each source can be tried together with those of the others."""
    return max(1 if count > 11 else 2, int(_COMBINATIONS ** (1 / count)))


# Sending them.

# Every statement is given a number of combinations to pass over, until one is taken or none is left. Other values do not
# cure a refusal that is neither a violation of a constraint nor about a value (class 22): a few tries are enough.
_BLOCK = """
DO LANGUAGE plpgsql $overproof$
DECLARE
  task jsonb;
  statement text;
  attempt integer;
  affected bigint;
  is_done boolean;
  state text;
  message text;
  name text;
  outcomes jsonb DEFAULT '[]';
BEGIN
  SET CONSTRAINTS ALL IMMEDIATE;
  FOR task IN SELECT t.value FROM jsonb_array_elements({tasks}::jsonb) AS t LOOP
    is_done = false;
    state = NULL;
    message = NULL;
    name = NULL;
    IF task ->> 'unless' IS NOT NULL THEN
      EXECUTE task ->> 'unless' INTO is_done;
    END IF;
    IF is_done THEN
      outcomes = outcomes || jsonb_build_array(jsonb_build_array(0, NULL, NULL, NULL));
      CONTINUE;
    END IF;
    <<statements>>
    FOR statement IN SELECT t.value FROM jsonb_array_elements_text(task -> 'statements') AS t LOOP
      FOR attempt IN 0 .. {tries} LOOP
        BEGIN
          EXECUTE statement USING attempt;
          GET DIAGNOSTICS affected = ROW_COUNT;
          is_done = affected > 0;
        EXCEPTION WHEN OTHERS THEN
          GET STACKED DIAGNOSTICS state = RETURNED_SQLSTATE, message = MESSAGE_TEXT, name = CONSTRAINT_NAME;
          affected = -1;
        END;
        EXIT statements WHEN is_done;
        EXIT WHEN affected = 0 OR (left(state, 2) NOT IN ('22', '23') AND attempt >= 3);
      END LOOP;
    END LOOP;
    outcomes = outcomes || jsonb_build_array(jsonb_build_array(
      CASE WHEN is_done THEN 1 ELSE 0 END, CASE WHEN NOT is_done THEN coalesce(state, '') END, message, name));
  END LOOP;
  PERFORM set_config('overproof.rows', outcomes::text, true);
END $overproof$
"""


def _run(tasks: Sequence[_Task], ask: Ask, execute: Execute) -> Failure | None:
    """Send the tasks, and write into each what became of it."""
    if not tasks:
        return None
    sent = json.dumps([{"unless": task.unless, "statements": task.statements} for task in tasks])
    block = _BLOCK.replace("{tries}", str(_TRIES)).replace("{tasks}", literal(sent))
    failure = execute(["SAVEPOINT overproof_fill", block])
    if failure is not None:
        execute(["ROLLBACK TO SAVEPOINT overproof_fill", "RELEASE SAVEPOINT overproof_fill"])
        return failure
    execute(["RELEASE SAVEPOINT overproof_fill"])
    outcomes: list[list[Any]] = json.loads(ask("SELECT current_setting('overproof.rows')"))
    for task, (inserted, state, message, name) in zip(tasks, outcomes, strict=True):
        task.inserted = inserted
        task.refusal = None if state is None else (state, message or "", name or "")
    return None


def _outcome(plan: Plan, tasks: Sequence[_Task], writer: _Writer, failure: Failure | None) -> Filled:
    tables: dict[str, int] = {}
    refused: dict[int, tuple[str, str, str]] = {}
    for task in tasks:
        if task.row.kind == "late":
            continue
        tables[task.table.name] = tables.get(task.table.name, 0) + task.inserted
        if task.refusal is not None and task.row.kind == "plain":
            refused.setdefault(task.table.oid, task.refusal)
    not_covered: dict[str, str] = {}
    for group in plan.groups:
        for table in group:
            if tables.get(table.name):
                continue
            if failure is not None:
                not_covered[table.name] = failure.message
            elif table.oid in refused:
                not_covered[table.name] = _reason(plan, table, refused[table.oid], writer, not_covered)
            elif table.oid in writer.unknown:
                not_covered[table.name] = writer.unknown[table.oid]
    return Filled({name: count for name, count in tables.items() if count}, not_covered)


def _reason(
    plan: Plan, table: Table, refusal: tuple[str, str, str], writer: _Writer, not_covered: Mapping[str, str]
) -> str:
    """Why no row of that table was taken, in words that go on after "public.orders: "."""
    state, message, name = refusal
    if table.is_partitioned and any(check.expression == "false" for check in table.checks):
        return "it has no partition to put a row into"
    if table.oid in writer.unknown:
        return writer.unknown[table.oid]
    for key in table.foreign_keys:
        parent = plan.catalog.tables.get(key.parent)
        if parent is not None and parent.name in not_covered and all(table.get_column(c).not_null for c in key.columns):
            return f"it needs a row of {parent.name}, which cannot be filled either: {not_covered[parent.name]}"
    if state == "" or state == "23514":
        checks = [check for check in table.checks if check.name == name] or list(table.checks)
        if checks:
            told = " and ".join(
                check.name if check.name.startswith("its ") else f"CHECK {check.name} ({check.expression.strip('()')})"
                for check in checks[:3]
            )
            return f"no values were found that meet {told}"
        return "a trigger lets no row in" if table.triggers else "no values were found for it"
    if table.triggers and not state.startswith("23"):
        return f"{message} (raised at an INSERT, perhaps by trigger {table.triggers[0]})"
    return message or f"PostgreSQL refuses every row tried (SQLSTATE {state})"
