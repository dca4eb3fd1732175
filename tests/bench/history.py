"""A made-up shop with a history of as many revisions as asked for; a longer one begins with the shorter.

How many operations a revision holds, and of which kinds, follows the upgrades of eight public projects (those of the
corpus that run: 812 revisions with 2,092 calls of operations; see WEIGHTS and SIZES). So about three tables come with
eight revisions, and a later revision touches a table that any earlier one made. Each revision goes down again exactly,
and the models match the head, so that a checker has nothing to report and must look at everything.

With `most_tables`, a history grows longer without a larger schema: once there are so many tables, no more are made, and
every second revision takes back what the one before it did.
"""

from __future__ import annotations

import copy
import random
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

NOUNS = ("account", "batch", "cart", "coupon", "device", "event", "invoice", "ledger", "message", "order", "refund")
STATES = "new", "active", "paused", "closed"

# Of a hundred operations, as counted in the corpus: the method that writes it, and how often.
WEIGHTS = {
    "create_table": 14,
    "add_column": 15,
    "add_number": 5,
    "add_enum": 3,
    "create_index": 18,
    "widen_string": 6,
    "require_column": 6,  # `alter_column` was 11
    "fill_column": 10,  # `execute`
    "drop_constraint": 6,
    "drop_column": 4,
    "add_foreign_key": 5,
    "drop_index": 3,
    "add_unique": 3,
    "add_check": 2,
}
# What a history that may not grow has no more of: a shorter string, when it is taken back, would rewrite the table.
LASTING = {"create_table", "widen_string"}
# Operations in one revision, and of a hundred revisions how many have so many: 2.6 on average.
SIZES = {1: 39, 2: 23, 3: 14, 4: 10, 6: 10, 8: 4}


@dataclass
class Table:
    """A table as the history has left it so far. Columns and constraints are the text of SQLAlchemy expressions."""

    name: str
    columns: dict[str, str] = field(default_factory=dict)  # {"title": "sa.String(40), nullable=False"}
    strings: dict[str, int] = field(default_factory=dict)  # their lengths: {"title": 40}
    numbers: list[str] = field(default_factory=list)
    indexes: dict[str, list[str]] = field(default_factory=dict)  # their columns
    constraints: dict[str, str] = field(default_factory=dict)
    foreign_keys: dict[str, str] = field(default_factory=dict)  # those of the constraints: the operation that adds it
    used: set[str] = field(default_factory=set)  # columns that may not go, since a constraint or an index has them
    serial: int = 0  # of the last name made inside of this table

    def new_name(self, stem: str) -> str:
        self.serial += 1
        return f"{stem}_{self.serial}"


@dataclass
class Change:
    """One operation, forth and back."""

    title: str
    upgrade: list[str]
    downgrade: list[str]


class Shop:
    """Writes change after change, and remembers the schema that they add up to."""

    def __init__(self, seed: int = 0, most_tables: int | None = None) -> None:
        self.random = random.Random(seed)
        self.most_tables = most_tables
        self.tables: list[Table] = []
        self._before: list[Table] = []  # the tables as they were before `_passing`
        self._passing: list[Change] = []  # the last revision, if the next one takes it back

    def revisions(self, count: int) -> list[list[Change]]:
        """What each revision changes."""
        return [self._revision() for _ in range(count)]

    def _revision(self) -> list[Change]:
        if self._passing:
            return self._take_back()
        full = self._is_full()
        before = copy.deepcopy(self.tables) if full else []
        (size,) = self.random.choices(list(SIZES), list(SIZES.values()))
        changes = [self._change() for _ in range(size)]
        if full:
            self._before, self._passing = before, changes
        return changes

    def _take_back(self) -> list[Change]:
        """The last revision upside down."""
        changes = [Change(f"undo {each.title}", each.downgrade, each.upgrade) for each in reversed(self._passing)]
        self.tables, self._passing = self._before, []
        return changes

    def _is_full(self) -> bool:
        return self.most_tables is not None and len(self.tables) >= self.most_tables

    def _change(self) -> Change:
        if len(self.tables) < 2:
            return self.create_table()
        weights = WEIGHTS
        if self._is_full():
            weights = {kind: weight for kind, weight in WEIGHTS.items() if kind not in LASTING}
        while True:
            (kind,) = self.random.choices(list(weights), list(weights.values()))
            change: Change | None = getattr(self, kind)()
            if change:  # None: the table that was drawn has nothing to drop
                return change

    def _table(self) -> Table:
        return self.random.choice(self.tables)

    def create_table(self) -> Change:
        number = len(self.tables)
        table = Table(f"{NOUNS[number % len(NOUNS)]}_{number}")
        table.columns["id"] = "sa.Integer(), primary_key=True"
        table.columns["title"] = "sa.String(40), nullable=False"
        table.columns["amount"] = 'sa.Numeric(12, 2), server_default="0", nullable=False'
        table.columns["created_at"] = 'sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False'
        table.strings["title"] = 40
        table.numbers.append("amount")
        table.used |= set(table.columns)
        if self.tables:
            parent = self._table()
            table.columns["parent_id"] = "sa.Integer(), nullable=False"
            table.used.add("parent_id")
            self._remember_foreign_key(table, "parent_id", parent)
        self.tables.append(table)
        columns = [f"    sa.Column({name!r}, {column})," for name, column in table.columns.items()]
        constraints = [f"    {constraint}," for constraint in table.constraints.values()]
        create = ["op.create_table(", f"    {table.name!r},", *columns, *constraints, ")"]
        return Change(f"create {table.name}", create, [f"op.drop_table({table.name!r})"])

    def _add(self, table: Table, name: str, column: str) -> Change:
        table.columns[name] = column
        add = f"op.add_column({table.name!r}, sa.Column({name!r}, {column}))"
        return Change(f"add {table.name} {name}", [add], [f"op.drop_column({table.name!r}, {name!r})"])

    def add_column(self) -> Change:
        table = self._table()
        name = table.new_name("note")
        table.strings[name] = 80
        return self._add(table, name, "sa.String(80), nullable=True")

    def add_number(self) -> Change:
        table = self._table()
        name = table.new_name("count")
        table.numbers.append(name)
        return self._add(table, name, 'sa.Integer(), server_default="0", nullable=False')

    def add_enum(self) -> Change:
        table = self._table()
        name = table.new_name("state")
        kind = f"sa.Enum({', '.join(map(repr, STATES))}, name='{table.name}_{name}')"
        change = self._add(table, name, f"{kind}, nullable=True")
        change.upgrade.insert(0, f"{kind}.create(op.get_bind())")
        change.downgrade.append(f"{kind}.drop(op.get_bind())")
        return change

    def fill_column(self) -> Change:
        table = self._table()
        name = table.new_name("label")
        change = self._add(table, name, "sa.Text(), nullable=True")
        change.upgrade.append(f'op.execute("UPDATE {table.name} SET {name} = upper(title)")')
        return change

    def require_column(self) -> Change | None:
        table = self._table()
        nullable = [name for name, column in table.columns.items() if column == "sa.String(80), nullable=True"]
        if not nullable:
            return None
        name = nullable[0]
        table.columns[name] = "sa.String(80), nullable=False"
        table.used.add(name)
        alter = f"op.alter_column({table.name!r}, {name!r}, existing_type=sa.String(80), nullable={{}})"
        fill = f"op.execute(\"UPDATE {table.name} SET {name} = '' WHERE {name} IS NULL\")"
        return Change(f"require {table.name} {name}", [fill, alter.format(False)], [alter.format(True)])

    def widen_string(self) -> Change:
        table = self._table()
        name = self.random.choice(sorted(table.strings))
        old, new = table.strings[name], table.strings[name] + 20
        table.strings[name] = new
        table.columns[name] = table.columns[name].replace(f"String({old})", f"String({new})")
        alter = f"op.alter_column({table.name!r}, {name!r}, type_=sa.String({{}}), existing_type=sa.String({{}}))"
        return Change(f"widen {table.name} {name}", [alter.format(new, old)], [alter.format(old, new)])

    def drop_column(self) -> Change | None:
        table = self._table()
        free = [name for name in [*table.strings, *table.numbers] if name not in table.used]
        if not free:
            return None
        name = self.random.choice(free)
        column = table.columns.pop(name)
        table.strings.pop(name, None)
        if name in table.numbers:
            table.numbers.remove(name)
        add = f"op.add_column({table.name!r}, sa.Column({name!r}, {column}))"
        return Change(f"drop {table.name} {name}", [f"op.drop_column({table.name!r}, {name!r})"], [add])

    def create_index(self) -> Change:
        table = self._table()
        name = table.new_name(f"ix_{table.name}")
        columns = self.random.sample(sorted({*table.strings, *table.numbers}), k=2)
        table.indexes[name] = columns
        table.used.update(columns)
        create = f"op.create_index({name!r}, {table.name!r}, {columns!r})"
        return Change(f"index {table.name}", [create], [f"op.drop_index({name!r}, {table.name!r})"])

    def drop_index(self) -> Change | None:
        table = self._table()
        if not table.indexes:
            return None
        name, columns = table.indexes.popitem()
        create = f"op.create_index({name!r}, {table.name!r}, {columns!r})"
        return Change(f"drop {name}", [f"op.drop_index({name!r}, {table.name!r})"], [create])

    def _constrain(self, table: Table, name: str, constraint: str, create: str) -> Change:
        table.constraints[name] = constraint
        return Change(f"constrain {table.name}", [create], [f"op.drop_constraint({name!r}, {table.name!r})"])

    def add_check(self) -> Change:
        table = self._table()
        name, column = table.new_name(f"ck_{table.name}"), self.random.choice(table.numbers)
        table.used.add(column)
        rule = f"{column} >= 0"
        create = f"op.create_check_constraint({name!r}, {table.name!r}, {rule!r})"
        return self._constrain(table, name, f"sa.CheckConstraint({rule!r}, name={name!r})", create)

    def add_unique(self) -> Change | None:
        table = self._table()
        name, column = table.new_name(f"uq_{table.name}"), self.random.choice(sorted(table.strings))
        constraint = f'sa.UniqueConstraint({column!r}, "id", name='
        if any(each.startswith(constraint) for each in table.constraints.values()):
            return None  # of two alike, a CREATE TABLE makes one
        table.used.add(column)
        create = f'op.create_unique_constraint({name!r}, {table.name!r}, [{column!r}, "id"])'
        return self._constrain(table, name, f"{constraint}{name!r})", create)

    def _remember_foreign_key(self, table: Table, column: str, other: Table) -> str:
        """The new constraint's name."""
        name = f"fk_{table.name}_{column}"
        table.used.add(column)
        table.constraints[name] = f'sa.ForeignKeyConstraint([{column!r}], ["{other.name}.id"], name={name!r})'
        create = f'op.create_foreign_key({name!r}, {table.name!r}, {other.name!r}, [{column!r}], ["id"])'
        table.foreign_keys[name] = create
        return name

    def add_foreign_key(self) -> Change:
        # To an older table, since models whose keys go round in a circle cannot be created in order.
        other, table = sorted(self.random.sample(self.tables, k=2), key=self.tables.index)
        column = table.new_name("other") + "_id"
        change = self._add(table, column, "sa.Integer(), nullable=True")
        name = self._remember_foreign_key(table, column, other)
        change.upgrade.append(table.foreign_keys[name])
        change.downgrade.insert(0, f"op.drop_constraint({name!r}, {table.name!r})")
        return change

    def drop_constraint(self) -> Change | None:
        table = self._table()
        if not table.foreign_keys:
            return None
        name, create = table.foreign_keys.popitem()
        del table.constraints[name]
        return Change(f"drop {name}", [f"op.drop_constraint({name!r}, {table.name!r})"], [create])


def write_history(directory: Path, revisions: int, most_tables: int | None = None) -> None:
    """A whole project: `alembic.ini`, `migrations/`, the package `shop`, and pytest-alembic's tests."""
    shop = Shop(most_tables=most_tables)
    write_shop(directory, shop, shop.revisions(revisions))


def write_shop(directory: Path, shop: Shop, revisions: Sequence[Sequence[Change]]) -> None:
    """The project of a shop that has come about by those revisions."""
    files = {
        "alembic.ini": INI,
        "migrations/env.py": ENV,
        "migrations/script.py.mako": MAKO,
        "shop/__init__.py": "",
        "tests/conftest.py": CONFTEST,
        "tests/test_defaults.py": DEFAULT_TESTS,
        "tests/test_leaves_no_trace.py": LEAVES_NO_TRACE,
        "pytest.ini": "[pytest]\npytest_alembic_enabled =\n",
    }
    parent = None
    for number, changes in enumerate(revisions, start=1):
        name, title = f"{number:04}", changes[0].title
        files[f"migrations/versions/{name}_{title.replace(' ', '_')}.py"] = SCRIPT.format(
            title=title,
            revision=name,
            parent=parent,
            upgrade=_body([change.upgrade for change in changes]),
            downgrade=_body([change.downgrade for change in reversed(changes)]),
        )
        parent = name
    files["shop/models.py"] = MODELS + "\n\n".join(map(_model, shop.tables)) + "\n"
    for path, text in files.items():
        file = directory / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)


def _body(parts: list[list[str]]) -> str:
    return textwrap.indent("\n".join(line for part in parts for line in part), "    ")


def _model(table: Table) -> str:
    lines = [f"class {table.name.title().replace('_', '')}(Base):", f"    __tablename__ = {table.name!r}", ""]
    lines += [f"    {name} = orm.mapped_column({column})" for name, column in table.columns.items()]
    indexes = [f"sa.Index({name!r}, {', '.join(map(repr, columns))})" for name, columns in table.indexes.items()]
    if arguments := [*table.constraints.values(), *indexes]:
        lines += ["", "    __table_args__ = (", *(f"        {each}," for each in arguments), "    )"]
    return "\n".join(lines) + "\n"


INI = """\
[alembic]
script_location = migrations
prepend_sys_path = .
path_separator = os
"""

ENV = """\
import os

import sqlalchemy as sa
from alembic import context

from shop.models import Base


def run_offline():
    context.configure(url=os.environ["DATABASE_URL"], target_metadata=Base.metadata, literal_binds=True)
    with context.begin_transaction():
        context.run_migrations()


def run_online():
    connectable = context.config.attributes.get("connection")
    if connectable is None:
        connectable = sa.create_engine(os.environ["DATABASE_URL"], poolclass=sa.pool.NullPool)
    with connectable.connect() as connection:
        context.configure(
            connection=connection,
            target_metadata=Base.metadata,
            compare_type=True,
            compare_server_default=True,
            transaction_per_migration=True,
        )
        with context.begin_transaction():
            context.run_migrations()


if context.is_offline_mode():
    run_offline()
else:
    run_online()
"""

MAKO = """\
revision = ${repr(up_revision)}
down_revision = ${repr(down_revision)}


def upgrade():
    ${upgrades if upgrades else "pass"}


def downgrade():
    ${downgrades if downgrades else "pass"}
"""

SCRIPT = '''\
"""{title}"""

import sqlalchemy as sa
from alembic import op

revision = {revision!r}
down_revision = {parent!r}


def upgrade():
{upgrade}


def downgrade():
{downgrade}
'''

MODELS = """\
import sqlalchemy as sa
from sqlalchemy import orm


class Base(orm.DeclarativeBase):
    pass


"""

CONFTEST = '''\
import os

import pytest
import sqlalchemy as sa


@pytest.fixture
def alembic_config():
    return {"file": "alembic.ini"}


@pytest.fixture
def alembic_engine():
    """A fresh database for each test, on the server that the benchmark gives to all."""
    url = sa.make_url(os.environ["DATABASE_URL"])
    maintenance = sa.create_engine(url, isolation_level="AUTOCOMMIT", poolclass=sa.NullPool)
    name = f"{url.database}_pytest"
    with maintenance.connect() as connection:
        connection.execute(sa.text(f'create database "{name}" template template0'))
    engine = sa.create_engine(url.set(database=name))
    yield engine
    engine.dispose()
    with maintenance.connect() as connection:
        connection.execute(sa.text(f'drop database "{name}" with (force)'))
'''

DEFAULT_TESTS = """\
from pytest_alembic.tests import (  # noqa: F401
    test_model_definitions_match_ddl,
    test_single_head_revision,
    test_up_down_consistency,
    test_upgrade,
)
"""

LEAVES_NO_TRACE = """\
from pytest_alembic.tests.experimental import test_downgrade_leaves_no_trace  # noqa: F401
"""
