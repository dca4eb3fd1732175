"""A labelled release on a real database: its code is run, and its models are asked."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import uuid4

import sqlalchemy as sa
from alembic.migration import MigrationContext
from alembic.operations import Operations
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column, relationship

from app.gate.checks.base import Finding
from app.gate.checks.breaking_change import CHECK, examine
from app.gate.driver.overproof_driver.model_statements import Models
from app.gate.recording.model import Statement
from app.gate.recording.running import RunningCode
from app.gate.report.verdict import Severity
from app.gate.reruns._additions import are_harmless
from app.gate.reruns._prover import Prover
from app.gate.reruns._running_code import model_table
from app.gate.server.database import Database
from app.gate.snapshot.incremental import TrackedSnapshot, difference_between, read_all, renames_between
from app.gate.walk.changed import keys_of, tables_of
from tests.gate.checks.builders import recording, trip
from tests.gate.deployed.case import Case, Said


@dataclass(frozen=True)
class Outcome:
    """What a revision did to a release."""

    failure: str | None  # of the code
    findings: Sequence[Finding]
    only_adds: bool

    @property
    def said(self) -> Said:
        severities = {each.severity or CHECK.severity for each in self.findings}
        if Severity.WARNING in severities:
            return Said.WARNING
        return Said.NOTICE if severities else Said.NOTHING


def deploy(case: Case, database: Database, engine: sa.Engine) -> Outcome:
    """Apply the case's revision under its code, in a schema that is dropped again."""
    with engine.connect() as connection:
        connection.execute(sa.text(f"CREATE SCHEMA {case.schema}"))
        connection.execute(sa.text(f"SET search_path TO {case.schema}"))
        code = _load(case.models)
        code["Base"].metadata.create_all(connection)
        _migrate(connection, case.before)
        assert _run(connection, code, case.use) is None, "it does not run before the revision either"
        before = _read(connection)
        prover = _prover(connection, code, case)
        with _visible(connection):
            accepted = prover.accepted_by(database)
        with _statements(connection) as statements:
            _migrate(connection, case.upgrade)
        after = _read(connection)
        changes, renamed = difference_between(before, after), renames_between(before, after)
        prover.concerned = tables_of(keys_of(changes, renamed))
        with _visible(connection):
            refused = prover.refused_by(database, accepted)
        failure = _run(connection, code, case.use)
        connection.execute(sa.text(f"DROP SCHEMA {case.schema} CASCADE"))
        connection.commit()
    tables = tuple(map(model_table, prover.tables))
    running = RunningCode(
        "c0ffee", tables, len(accepted), tuple(replace(each, revision="a1") for each in refused.values())
    )
    names = [(each.before, each.after) for each in renamed]
    up = trip(changes=changes, statements=statements, renamed=names)
    findings = list(examine(recording(up, running=running, start=before, head=after)))
    return Outcome(failure, findings, bool(changes) and not renamed and are_harmless(changes, before, after))


def _load(models: str) -> dict[str, Any]:
    """The names that the code has: its models, on a base of their own."""
    base: Any = type("Base", (DeclarativeBase,), {})
    names: dict[str, Any] = {
        "Base": base, "Mapped": Mapped, "mapped_column": mapped_column, "relationship": relationship, "sa": sa,
        "Decimal": Decimal, "datetime": datetime, "timedelta": timedelta, "uuid4": uuid4, "__name__": "shop",
    }  # fmt: skip
    exec(compile(models, "models.py", "exec", dont_inherit=True), names)
    base.registry.configure()
    return names


def _migrate(connection: sa.Connection, body: str) -> None:
    exec(body, {"op": Operations(MigrationContext.configure(connection)), "sa": sa})
    connection.commit()


def _run(connection: sa.Connection, code: dict[str, Any], use: str) -> str | None:
    """How the code fails."""
    try:
        with Session(connection, join_transaction_mode="create_savepoint") as session:
            exec(use, {**code, "session": session})
    except Exception as error:  # noqa: BLE001 - whatever the code raises
        return f"{type(error).__name__}: {str(error).splitlines()[0]}"
    finally:
        connection.rollback()
    return None


def _read(connection: sa.Connection) -> TrackedSnapshot:
    def query(statements: Sequence[str]) -> Any:
        value = None
        cursor = connection.connection.cursor()
        for statement in statements:
            cursor.execute(statement)
            if cursor.description and (value := cursor.fetchall()[0][0]) is None:
                break
        return value

    found = read_all(query)
    connection.rollback()
    return found


def _prover(connection: sa.Connection, code: dict[str, Any], case: Case) -> Prover:
    base = code["Base"]
    models = Models(connection.dialect, base.metadata.tables.values(), base.registry.mappers, case.schema)
    statements = list(models.statements(models.tables))
    tables = [models.describe(each) for each in models.tables]
    return Prover(tables, statements, case.schema)


@contextmanager
def _visible(connection: sa.Connection) -> Iterator[None]:
    """What was done is committed, and nothing is locked."""
    connection.commit()
    yield
    connection.execute(sa.text("SELECT 1"))
    connection.commit()


@contextmanager
def _statements(connection: sa.Connection) -> Iterator[list[Statement]]:
    noted: list[Statement] = []

    def note(conn: Any, cursor: Any, statement: str, *_: Any) -> None:
        noted.append(Statement(statement.strip(), 1.0))

    sa.event.listen(connection, "before_cursor_execute", note)
    yield noted
    sa.event.remove(connection, "before_cursor_execute", note)
