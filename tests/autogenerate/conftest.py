"""Writes and runs scripts in this process, for tables that a test makes up."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
import sqlalchemy as sa
from alembic.autogenerate import produce_migrations, render_python_code
from alembic.operations import Operations
from alembic.runtime.migration import MigrationContext
from sqlalchemy.dialects import postgresql

from app.autogenerate import OPTIONS
from app.database import SQLModel
from app.gate.recording.model import Change, Snapshot
from app.gate.server.database import Database
from app.gate.snapshot.difference import difference
from app.gate.snapshot.read import read


class Bench:
    """A database, and what the models want of it."""

    def __init__(self, database: Database, connection: sa.Connection) -> None:
        self.database = database
        self.connection = connection

    def write(self, metadata: sa.MetaData) -> tuple[str, str]:
        """The bodies of the upgrade and of the downgrade that bring the database to `metadata` and back."""
        context = self._context(metadata)
        script = produce_migrations(context, metadata)
        upgrade, downgrade = (
            render_python_code(each[-1], migration_context=context, render_item=OPTIONS["render_item"])
            for each in (script.upgrade_ops_list, script.downgrade_ops_list)
        )
        self.connection.commit()
        return without_comments(upgrade), without_comments(downgrade)

    def run(self, body: str) -> None:
        operations = Operations(self._context(sa.MetaData()))
        exec(body, {"op": operations, "sa": sa, "postgresql": postgresql})
        self.connection.commit()

    def execute(self, *statements: str) -> None:
        for statement in statements:
            self.connection.exec_driver_sql(statement)
        self.connection.commit()

    def scalar(self, query: str) -> object:
        return self.connection.exec_driver_sql(query).scalar()

    def schema(self) -> Snapshot:
        self.connection.commit()
        with self.database.connect() as connection:
            return read(connection)

    def there_and_back(self, metadata: sa.MetaData) -> str:
        """Writes the change, runs it, sees that nothing is left to write, and that the way back leaves nothing either.

        Ends at `metadata`. Returns the body of the upgrade.
        """
        before = self.schema()
        upgrade, downgrade = self.write(metadata)
        assert upgrade != "pass", "there is nothing to write"
        self.run(upgrade)
        assert self.write(metadata)[0] == "pass"
        self.run(downgrade)
        assert changes(before, self.schema()) == (), downgrade
        self.run(upgrade)
        return upgrade

    def _context(self, metadata: sa.MetaData) -> MigrationContext:
        return MigrationContext.configure(self.connection, opts={**OPTIONS, "target_metadata": metadata})


def changes(before: Snapshot, after: Snapshot) -> tuple[Change, ...]:
    return difference(before, after)


def without_comments(body: str) -> str:
    lines = [line.strip() for line in body.splitlines()]
    return "\n".join(line for line in lines if not line.startswith("#"))


@pytest.fixture
def bench(blank_database: Database) -> Iterator[Bench]:
    engine = sa.create_engine(blank_database.url("psycopg2"), poolclass=sa.NullPool)
    with engine.connect() as connection:
        yield Bench(blank_database, connection)


@pytest.fixture
def tables() -> Callable[..., sa.MetaData]:
    """`tables(sa.Column("mood", …))`: one table `note` with a key and these columns and constraints."""

    def make(*items: sa.schema.SchemaItem, **more: list[sa.schema.SchemaItem]) -> sa.MetaData:
        metadata = sa.MetaData(naming_convention=SQLModel.metadata.naming_convention)
        for name, parts in {"note": list(items), **more}.items():
            sa.Table(name, metadata, sa.Column("id", sa.Integer, primary_key=True), *parts)
        return metadata

    return make
