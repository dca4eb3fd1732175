"""INSERTs of rows, which find their own values among candidates.

A column that a CHECK, a domain or the bounds of partitions bind gets candidates; a foreign key has the parent's rows for candidates. The
INSERT takes the best combination for which the CHECK's own expression is not false, or the next best, or the one after.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from app.gate.postgres import sqlstates
from app.gate.postgres.quoting import identifier, literal
from app.gate.rows._candidates import Candidates
from app.gate.rows._catalog import CatalogTable, CheckConstraint, Column, ForeignKey
from app.gate.rows._plan import Labels, Plan, Rules
from app.gate.rows._sources import _bound_together, _Source, _together, kept_of
from app.gate.rows._values import NoValue, Want, cast, want

PLAIN_ROWS = 3
TRIES = 40  # combinations of values, for one row
RANK = "overproof_rank"
_COMBINATIONS = 900  # of candidates, tried for one CHECK
_MOST_CANDIDATES = 60  # of one column
_KEPT = 12  # of those that meet it, kept in case that a key refuses the first
_IS_NULL = "overproof_null"


@dataclass(frozen=True)
class Row:
    """A row to be made of some table."""

    kind: str  # "plain", "null", "twin", "extreme", "outgoing"
    number: int  # of its values
    varied: frozenset[str] = frozenset()  # twin: columns whose values have the number `own` instead
    own: int = 0
    refused_by: CheckConstraint | None = (
        None  # outgoing: a rule to come that takes the place of one that this row meets
    )

    def number_for(self, columns: Iterable[str]) -> int:
        return self.own if self.varied.intersection(columns) else self.number


@dataclass
class InsertTask:
    """A row to be inserted, or some of them, or one to be filled in afterwards."""

    table: CatalogTable
    row: Row
    statements: list[str]  # tried in this order, until one is taken
    unless: str | None = None  # a query: nothing is to be done if it is true
    others: tuple[Row, ...] = ()  # that the same statement inserts
    inserted: int = 0
    refusal: tuple[str, str, str] | None = None  # SQLSTATE, message, constraint


@dataclass(frozen=True)
class _Insert:
    """One row. The statement's parameter is how many combinations of values to pass over."""

    table: CatalogTable
    names: tuple[str, ...]
    values: tuple[str, ...]
    source: str  # what they are taken from and in which order; empty if they are what they are

    @property
    def head(self) -> str:
        return f"INSERT INTO {self.table.sql} ({', '.join(map(identifier, self.names))}) OVERRIDING SYSTEM VALUE"

    @property
    def sql(self) -> str:
        if not self.names:
            return f"INSERT INTO {self.table.sql} DEFAULT VALUES"
        return f"{self.head} SELECT {', '.join(self.values)}{self.source} LIMIT 1 OFFSET $1"


def _at_once(inserts: Sequence[_Insert]) -> str:
    """One statement for rows of the same columns, with values that are what they are."""
    if not inserts[0].names:
        return inserts[0].sql
    rows = ", ".join(f"({', '.join(insert.values)})" for insert in inserts)
    return f"{inserts[0].head} SELECT * FROM (VALUES {rows}) AS v WHERE $1 = 0"


class InsertBuilder:
    """Writes the INSERTs of a plan."""

    def __init__(self, plan: Plan, except_for: frozenset[str] = frozenset(), json_in_text: bool = False) -> None:
        self._plan = plan
        self._values = plan.values
        self._candidates_of = Candidates(plan.values)
        self._except_for = except_for
        self._has_documents = json_in_text
        self._done: set[int] = set()  # tables whose rows are there when the next one's are made
        self.unknown: dict[int, str] = {}  # table -> the reason why no statement could be written

    def tasks(self, is_awkward: bool) -> Iterator[InsertTask]:
        late: list[InsertTask] = []
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

    def tasks_again(self, tasks: Sequence[InsertTask]) -> list[InsertTask]:
        """Another try, in other ways, for plain rows that were refused, and for what waits for them."""
        failed = {task.table.oid for task in tasks if task.refusal and task.row.kind == "plain"}
        again: list[InsertTask] = []
        for task in tasks:
            if not task.refusal or not (task.table.oid in failed or task.refusal[0] == sqlstates.FOREIGN_KEY_VIOLATION):
                continue
            task.refusal = None
            for row in (task.row, *task.others):
                alone = InsertTask(task.table, row, task.statements, task.unless)
                if len(self._plan.groups_of[task.table.oid]) == 1 and row.kind != "late":
                    alone.statements = list(dict.fromkeys(self._other_ways(alone)))
                again.append(alone)
        return again

    def _tasks_of(self, table: CatalogTable, is_awkward: bool) -> Iterator[InsertTask]:
        rows = [Row("plain", number) for number in range(PLAIN_ROWS)]
        if is_awkward and table.is_touched:
            rows += _awkward_rows(table, self._plan.rules.get(table.oid, Rules()))
        unless = None
        if not table.is_touched:
            unless = f"SELECT count(*) >= {PLAIN_ROWS} FROM (SELECT FROM {table.sql} LIMIT {PLAIN_ROWS}) AS few"
        rules = self._plan.rules.get(table.oid, Rules())
        try:
            inserts = [self._insert(table, row, rules, is_quick=True) for row in rows]
        except NoValue as error:
            self.unknown[table.oid] = f"no value of type {error} is known"
            yield from (InsertTask(table, row, list(self._guesses(table, row)), unless) for row in rows)
            return
        plain = inserts[:PLAIN_ROWS]
        if not any(insert.source for insert in plain):
            yield InsertTask(table, rows[0], [_at_once(plain)], unless, tuple(rows[1:PLAIN_ROWS]))
            rows, inserts = rows[PLAIN_ROWS:], inserts[PLAIN_ROWS:]
        yield from (InsertTask(table, row, [insert.sql], unless) for row, insert in zip(rows, inserts, strict=True))

    def _other_ways(self, task: InsertTask) -> Iterator[str]:
        table, row = task.table, task.row
        try:
            rules = self._plan.rules.get(table.oid)
            if rules is not None:
                yield self._insert(table, row, rules).sql
            yield self._insert(table, row, Rules()).sql
            if row.kind == "plain":
                yield self._insert(table, Row("plain", row.number + 500), Rules()).sql  # the first ones may be taken
            yield self._insert(table, row, Rules(), is_blind=True).sql
        except NoValue:
            yield from self._guesses(table, row)

    def _guesses(self, table: CatalogTable, row: Row) -> Iterator[str]:
        for turn in range(10):
            try:
                yield self._insert(table, row, Rules(), guess=turn).sql
            except (NoValue, IndexError):
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
        """An INSERT of one row.

        Quick, it takes it for granted that the parents' rows are there. Blind, it leaves the CHECKs to PostgreSQL: one of
        them may raise an error for some candidate. Raises NoValue.
        """
        checks = (*table.checks, *(check for check in rules.checks if check != row.refused_by))
        if row.refused_by is not None:
            checks += (replace(row.refused_by, expression=f"(({row.refused_by.expression}) IS FALSE)"),)
        bound = {name for check in checks for name in check.columns}
        fixed = self._quick_keys(table, row, rules, bound) if is_quick else {}
        sources = [] if fixed else [*self._keys(table, row, rules)]
        taken = {name for source in sources for name in source.columns}
        for column in table.columns:
            if column.is_generated or column.name in taken or column.name in fixed:
                continue
            if column.name in bound or self._has_few_values(table, column) or self._values.domain_checks(column.type):
                own = [check for check in checks if column.name in check.columns]
                expressions = [*(check.expression for check in own), *self._values.domain_checks(column.type)]
                around = [check.expression for check in _bound_together(own, checks)]
                sources.append(self._candidates(column, row, expressions, around))
            else:
                fixed[column.name] = self._fixed(table, column, row, rules, guess)
        parts = _together(sources, checks)
        tables: list[str] = []
        chosen: dict[str, str] = {}
        for index, part in enumerate(parts):
            limit = kept_of(index, len(parts), TRIES if is_blind else _KEPT)
            tables.append(f"({self._part(table, part, checks, limit, is_blind)}) AS c{index}")
            chosen.update((name, f"c{index}.{identifier(name)}") for each in part for name in each.columns)
        names = [column.name for column in table.columns if column.name in fixed or column.name in chosen]
        ranks = [f"c{index}.{RANK}" for index in range(len(parts))]
        source = f" FROM {', '.join(tables)} ORDER BY {' + '.join(ranks)}, {', '.join(ranks)}" if tables else ""
        return _Insert(table, tuple(names), tuple(fixed.get(name) or chosen[name] for name in names), source)

    def _part(
        self,
        table: CatalogTable,
        part: Sequence[_Source],
        checks: Iterable[CheckConstraint],
        limit: int,
        is_blind: bool,
    ) -> str:
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
        ranks = [f"s{index}.{RANK} AS overproof_{index}" for index in range(len(part))]
        total = " + ".join(f"s{index}.{RANK}" for index in range(len(part)))
        most = _most_of_each(len(part))
        tables = [f"({source.select(most)}) AS s{index}" for index, source in enumerate(part)]
        inner = f"SELECT {', '.join([*columns, *ranks, f'{total} AS {RANK}'])} FROM {', '.join(tables)}"
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
        order = ", ".join([RANK, *(f"overproof_{index}" for index in range(len(part)))])
        return f"SELECT * FROM ({inner}) AS s{where} ORDER BY {order} LIMIT {limit}"

    # Values.

    def _fixed(self, table: CatalogTable, column: Column, row: Row, rules: Rules, guess: int | None) -> str:
        is_foreign = any(column.name in key.columns for key in table.foreign_keys)  # to a table that gets no rows
        if (row.kind == "null" or is_foreign) and self._may_be_null(column):
            return f"NULL::{column.sql}"
        wanted = self._want(column, row)
        try:
            if column.name in rules.labels:
                return self._label(column, row, rules.labels[column.name])
            if column.name in rules.types:
                return self._for_both(column, rules.types[column.name], row)
            return self._values.one(column.type, column.modifier, wanted)
        except NoValue:
            if guess is None:
                if self._may_be_null(column):
                    return f"NULL::{column.sql}"
                raise
            return self._values.guesses(column.type, wanted)[guess]

    def _label(self, column: Column, row: Row, labels: Labels) -> str:
        """A label that stays; for an outgoing row one that goes."""
        few = labels.gone if row.kind == "outgoing" or not labels.kept else labels.kept
        return cast(few[row.number_for([column.name]) % len(few)], self._values.type(column.type))

    def _for_both(self, column: Column, catalog_after: tuple[int, int], row: Row) -> str:
        """A value that survives the column's change of type, if that can be told; an extreme one need not."""
        wanted = self._want(column, row)
        now, later = self._values.type(column.type), self._values.type(catalog_after[0])
        if row.kind == "extreme" and now.category == later.category:
            return self._values.one(column.type, column.modifier, wanted)
        if later.kind == "enum":  # which may not be there yet
            return f"{literal(later.labels[wanted.number % len(later.labels)])}::{now.sql}"
        made = self._values.one(*catalog_after, want(column, row.number_for([column.name])))
        if now.category == "S" and later.category != "S":
            return f"({made})::text::{now.sql}"
        if now.category == later.category and now.category in ("N", "S"):
            own = self._values.one(column.type, column.modifier, wanted)
            return f"({made})::{now.sql}" if len(made.split("::")[0]) < len(own.split("::")[0]) else own
        return self._values.one(column.type, column.modifier, wanted)

    def _candidates(self, column: Column, row: Row, expressions: Iterable[str], around: Iterable[str]) -> _Source:
        wanted = self._want(column, row)
        found = self._values.type(column.type)
        try:
            candidates = self._candidates_of.of(column.type, column.modifier, wanted, expressions, around)
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
            return f"SELECT * FROM (VALUES {rows}) AS v ({identifier(column.name)}, {RANK})"

        return _Source((column.name,), select)

    def _keys(self, table: CatalogTable, row: Row, rules: Rules) -> Iterator[_Source]:
        """Foreign keys as sources; those that must have a value first."""
        keys = [*table.foreign_keys, *rules.foreign_keys]
        keys.sort(key=lambda key: any(not table.get_column(name).not_null for name in key.columns))
        for key in keys:
            parent = self._plan.catalog.tables.get(key.parent)
            columns = [table.get_column(name) for name in key.columns]
            if parent is None or any(column.is_generated for column in columns):
                continue
            yield self._key(table, key, parent, columns, row)

    def _quick_keys(self, table: CatalogTable, row: Row, rules: Rules, bound: Collection[str]) -> dict[str, str]:
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

    def _is_fixed(self, table: CatalogTable, column: Column) -> bool:
        """Whether the column's values are the same wherever they are asked for."""
        rules = self._plan.rules.get(table.oid, Rules())
        checks = (*table.checks, *rules.checks)
        is_bound = any(column.name in check.columns for check in checks)
        is_bound = is_bound or any(column.name in key.columns for key in table.foreign_keys)
        return not (
            is_bound
            or column.is_generated
            or self._values.domain_checks(column.type)
            or self._has_few_values(table, column)
            or column.name in rules.types
            or column.name in rules.labels
        )

    def _key(
        self, table: CatalogTable, key: ForeignKey, parent: CatalogTable, columns: Sequence[Column], row: Row
    ) -> _Source:
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
            lambda most: f"SELECT * FROM ({select}) AS few ORDER BY {RANK} LIMIT {most}",
            is_key=True,
        )

    def _rows_of(self, key: ForeignKey, parent: CatalogTable, columns: Sequence[Column], row: Row) -> str:
        """A SELECT of what the parent has to refer to; each row of the child begins at another one."""
        number = row.number_for(key.columns)
        theirs = [identifier(name) for name in key.parent_columns]
        ours = [f"{mine} AS {identifier(column.name)}" for mine, column in zip(theirs, columns, strict=True)]
        turn = f"mod(row_number() OVER (ORDER BY {', '.join(theirs)}) - 1 - {number} + {number} * count(*) OVER (), count(*) OVER ())"
        filled = " AND ".join(f"{mine} IS NOT NULL" for mine in theirs)
        return (
            f"SELECT {', '.join(ours)}, {turn} AS {RANK}, false AS {_IS_NULL}"
            f" FROM (SELECT {', '.join(theirs)} FROM {parent.sql} WHERE {filled} ORDER BY {', '.join(theirs)} LIMIT 50) AS p"
        )

    def _want(self, column: Column, row: Row) -> Want:
        is_extreme = row.kind == "extreme"
        return want(column, row.number_for([column.name]), is_extreme=is_extreme, is_document=self._has_documents)

    def _own(self, column: Column, row: Row) -> str:
        return self._values.one(column.type, column.modifier, want(column, row.number_for([column.name])))

    def _may_be_null(self, column: Column) -> bool:
        return not column.not_null and self._values.allows_null(column.type)

    def _has_few_values(self, table: CatalogTable, column: Column) -> bool:
        """Whether a key on it may soon have no value left."""
        if not any(column.name in key.columns for key in table.keys):
            return False
        found = self._values.type(column.type)
        return found.kind == "enum" or found.category == "B"

    # Circles.

    def _circle(self, group: Sequence[CatalogTable]) -> Iterator[InsertTask]:
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
                InsertTask(table, row, [f"WITH {named} {inserts[-1]}" if index == 0 else "SELECT 1 OFFSET $1"])
                for index, table in enumerate(group)
            )

    def _insert_of_circle(self, table: CatalogTable, row: Row, members: Mapping[int, CatalogTable]) -> str:
        inner = [key for key in table.foreign_keys if key.parent in members and key.parent != table.oid]
        own: dict[str, str] = {}
        for key in inner:
            for mine, theirs in zip(key.columns, key.parent_columns, strict=True):
                own[mine] = self._own(members[key.parent].get_column(theirs), row)
        loose = replace(
            table,
            columns=tuple(column for column in table.columns if column.name not in own),
            foreign_keys=tuple(key for key in table.foreign_keys if key not in inner),
            checks=tuple(check for check in table.checks if not own.keys() & set(check.columns)),
        )
        insert = self._insert(loose, row, Rules())
        return replace(insert, names=(*own, *insert.names), values=(*own.values(), *insert.values)).sql

    def _late_keys(self, table: CatalogTable) -> Iterator[InsertTask]:
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
                    f" ORDER BY {RANK} LIMIT 1 OFFSET $1) WHERE {own} AND {empty}"
                )
                yield InsertTask(table, Row("late", number), [update])


def _awkward_rows(table: CatalogTable, rules: Rules) -> list[Row]:
    rows = [Row("null", PLAIN_ROWS)]
    varied = dict.fromkeys(frozenset(_keeping_apart(table, end)) for end in (0, -1))
    for own, columns in enumerate(varied, start=PLAIN_ROWS + 1):
        rows.append(Row("twin", 0, columns, own))
    rows.append(Row("extreme", PLAIN_ROWS + 3))
    outgoing: list[CheckConstraint | None] = [*rules.narrowing] or [None] * bool(rules.labels)
    rows += [Row("outgoing", number, refused_by=check) for number, check in enumerate(outgoing, start=PLAIN_ROWS + 4)]
    return rows


def _keeping_apart(table: CatalogTable, end: int) -> set[str]:
    """As few columns as will make a row differ from its twin in every key: of each key the first, or the last."""
    varied: set[str] = set()
    for key in table.keys:
        if key.columns and not varied & set(key.columns):
            varied.add(key.columns[end])
    return varied


def _most_of_each(count: int) -> int:
    """How many candidates of each source can be tried together with those of the others."""
    return max(1 if count > 11 else 2, int(_COMBINATIONS ** (1 / count)))
