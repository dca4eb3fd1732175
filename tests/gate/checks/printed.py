"""Runs what a finding prints on a table of some shape, observed as in a target: in this process, on a bare database."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from alembic.migration import MigrationContext
from alembic.operations import Operations

from app.gate.checks.base import Check, Finding
from app.gate.driver.overproof_driver.observer import StepObserver
from app.gate.driver.overproof_driver.transactions import MigrationConnection
from app.gate.recording.model import Change, Direction, Recording, RoundTrip, Snapshot, Statement, Step
from app.gate.server.database import Database
from app.gate.snapshot.difference import difference
from app.gate.snapshot.read import read
from tests.gate.checks.builders import recording, revision


@dataclass
class Bench:
    """A database with tables on it, on which steps are run."""

    database: Database
    connection: sa.Connection
    search_path: str = ""

    @property
    def major(self) -> int:
        """The version of the server."""
        return int(self.rows("SELECT current_setting('server_version_num')::int / 10000")[0][0])

    def reset(self, setup: str, search_path: str = "") -> None:
        """Only what that SQL makes. `search_path` is what env.py sets for the session."""
        self.connection.rollback()
        self.search_path = search_path
        self.run_sql(
            'RESET search_path; DROP SCHEMA IF EXISTS public, shop, "Shop", blue CASCADE; CREATE SCHEMA public;'
            + (f"SET search_path TO {search_path};" if search_path else "")
            + setup
        )

    def run_sql(self, sql: str) -> None:
        self.connection.exec_driver_sql(sql.replace("%", "%%"))
        self.connection.commit()

    def rows(self, query: str) -> list[Any]:
        found = [tuple(row) for row in self.connection.exec_driver_sql(query)]
        self.connection.rollback()
        return found

    def snapshot(self) -> Snapshot:
        with self.database.connect() as connection:
            return read(connection)

    def step(self, code: str, *, keep: bool = True) -> Step:
        """One revision of that code, in a transaction unless it says otherwise. Raises what PostgreSQL raises."""
        before = self.snapshot()
        with _observed(self.connection) as (context, observer, ours):
            operations = Operations(context)
            observer.start(__file__, True, ours.begin_step())
            try:
                exec(textwrap.dedent(code), {"op": operations, "sa": sa})
                noted = observer.stop()
                changes = self._changes_in(before) if not keep else ()
            except BaseException:
                observer.abort()
                ours.undo()
                raise
            ours.commit() if keep else ours.roll_back()
        if keep:
            changes = difference(before, self.snapshot())
        statements = tuple(_statement(each) for each in noted)
        return Step("b2", Direction.UPGRADE, 1.0, statements=statements, changes=changes)

    def _changes_in(self, before: Snapshot) -> tuple[Change, ...]:
        """What the transaction under way has changed, seen from inside."""
        raw: Any = self.connection.connection.dbapi_connection
        return difference(before, read(raw))


@contextmanager
def _observed(connection: sa.Connection) -> Iterator[tuple[MigrationContext, StepObserver, MigrationConnection]]:
    context = MigrationContext.configure(connection)
    ours = MigrationConnection(context)
    observer = StepObserver(ours)
    ours.take_over()
    ours.keeps_queries_prepared = True
    observer.listen()
    ours.begin()
    ours.find_autocommit()
    ours.commit()
    try:
        yield context, observer, ours
    finally:
        observer.close()
        ours.give_back()
        connection.rollback()


def _statement(noted: Any) -> Statement:
    fields: dict[str, Any] = {name: tuple(noted.get(name, ())) for name in ("rewrites", "scans", "index_builds")}
    fields["locks"] = {table: frozenset(modes) for table, modes in noted.get("locks", {}).items()}
    given = ("sql", "duration_ms", "transactional", "written", "lock_timeout_ms")
    return Statement(**fields, **{name: noted[name] for name in given if name in noted})


def recorded(step: Step, start: Snapshot, major: int) -> Recording:
    trip = RoundTrip("b2", up=step)
    walked = recording(trip, revisions=[revision("b2")], start=start)
    return Recording(**{**vars(walked), "postgres": f"{major}.0"})


def findings(check: Check, step: Step, start: Snapshot, major: int) -> list[Finding]:
    return list(check.examine(recorded(step, start, major)))


def blocks(text: str) -> list[str]:
    """The blocks of code in a finding's help."""
    found: list[list[str]] = [[]]
    for line in text.splitlines():
        if line.startswith("    ") or (not line and found[-1]):
            found[-1].append(line)
        elif found[-1]:
            found.append([])
    return [code for each in found if (code := textwrap.dedent("\n".join(each)).strip())]


def run_all(bench: Bench, codes: Sequence[str]) -> list[tuple[Step, Snapshot]]:
    """Each block as a revision of its own, with the schema before it."""
    steps = []
    for code in codes:
        start = bench.snapshot()
        steps.append((bench.step(code), start))
    return steps
