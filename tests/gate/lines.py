"""A connection as the gate's rows know it, for tests: it asks and executes as the driver would, in a transaction."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import psycopg2

from app.gate.recording.model import Failure
from app.gate.rows._catalog import read_catalog
from app.gate.rows._fill import Filled, fill
from app.gate.rows._plan import Upgrade, make_plan
from app.gate.rows.connection import QueryRefused, RowConnection
from app.gate.server.throwaway import Server


@dataclass
class Bench:
    """A database in a transaction that is rolled back after the test."""

    connection: Any
    line: RowConnection

    def run(self, sql: str) -> list[tuple[Any, ...]]:
        with self.connection.cursor() as cursor:
            cursor.execute(sql)
            return cursor.fetchall() if cursor.description else []

    def fill(self, *tables: str, with_edge_cases: bool = True, then: str | None = None) -> Filled:
        """Fill the tables of these names. `then` is what a revision does to them."""
        names = [name if "." in name else f"public.{name}" for name in tables]
        catalog_after = None
        if then is not None:
            self.run("SAVEPOINT before")
            self.run(then)
            catalog_after = read_catalog(self.line.ask, names, is_whole=False)
            self.run("ROLLBACK TO SAVEPOINT before")
        plan = make_plan(self.line.ask, names, Upgrade(catalog_after=catalog_after))
        return fill(plan, self.line.ask, with_edge_cases=with_edge_cases)

    def column(self, name: str, table: str = "t") -> list[Any]:
        return [value for (value,) in self.run(f"SELECT {name} FROM {table} ORDER BY 1")]


@contextmanager
def bench_on(server: Server) -> Iterator[Bench]:
    """A database of its own on that server, in a transaction that is rolled back."""
    database = server.create_database()
    with database.connect(autocommit=False) as connection:
        yield Bench(connection, line_over(connection))
        connection.rollback()
    server.drop_database(database)


def line_over(connection: Any) -> RowConnection:
    """Speaks through psycopg2, which is asked nothing of what other drivers would read in another way."""

    def ask(sql: str, *before: str) -> str:
        _run(connection, "SAVEPOINT overproof_ask")
        try:
            for statement in (*before, sql):
                refuse_traps(statement)
                rows = _run(connection, statement)
        except psycopg2.Error as error:
            _run(connection, "ROLLBACK TO SAVEPOINT overproof_ask")
            raise QueryRefused(_failure(error)) from error
        ((value,),) = rows
        assert isinstance(value, str)
        return value

    def execute(statements: Sequence[str]) -> Failure | None:
        try:
            for statement in statements:
                refuse_traps(statement)
                _run(connection, statement)
        except psycopg2.Error as error:
            return _failure(error)
        return None

    def load(script: str) -> Failure | None:
        try:
            _run(connection, script)
        except psycopg2.Error as error:
            return _failure(error)
        return None

    return RowConnection(ask, execute, load)


def refuse_traps(sql: str) -> None:
    """Percent signs and colons are placeholders to one driver or another."""
    assert "%" not in sql
    assert ":" not in sql.replace("::", "")


def _run(connection: Any, sql: str) -> list[tuple[Any, ...]]:
    with connection.cursor() as cursor:
        cursor.execute(sql)
        return cursor.fetchall() if cursor.description else []


def _failure(error: psycopg2.Error) -> Failure:
    diag = error.diag
    return Failure(
        type(error).__name__,
        str(error).strip().splitlines()[0],
        error.pgcode,
        table=f"{diag.schema_name}.{diag.table_name}" if diag.table_name else None,
        column=diag.column_name,
        constraint=diag.constraint_name,
    )
