"""The command as users run it, without the driver in it, on a separate database."""

from __future__ import annotations

from app.gate.recording.model import COMMAND_FAILED, Failure, Snapshot
from app.gate.server.database import Database
from app.gate.target.runner import TargetRunner, read_schema
from app.gate.walk.state import Walk


def make_schema(runner: TargetRunner) -> Snapshot | Failure:
    """The schema that the command makes, with Alembic's own table."""
    with runner.database() as database:
        return run_undriven(runner, database) or read_schema(database)


def run_undriven(runner: TargetRunner, database: Database) -> Failure | None:
    """Run the command on that database, and return its failure."""
    with runner.process(database, is_driven=False) as process:
        try:
            has_succeeded = runner.wait(process, database) == 0
        except TimeoutError:
            return Failure(COMMAND_FAILED, f"for {runner.patience_s:g} s it did nothing, and did not end")
        return None if has_succeeded else Failure(COMMAND_FAILED, process.last_words())


def schema_of(database: Database, walk: Walk) -> Snapshot:
    """The schema of that database, less Alembic's own table."""
    return walk.arrival.without_version_table(read_schema(database))
