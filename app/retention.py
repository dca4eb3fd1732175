"""`overproof prune`: what is kept for how long, and the purge of projects.

Reports are kept for 90 days, runs for a year, proofs and decisions for ever. Everything is deleted in batches, each in
a short transaction, so that the service works on meanwhile. It can be interrupted, and run again.
"""

from __future__ import annotations

import argparse
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from app.cli import CommandFailed
from app.help import HelpFormatter

REPORT_DAYS, RUN_DAYS = 90, 365
BATCH = 500  # rows of one transaction

# Each takes :project_id, :before and :batch, and is repeated until it finds nothing more. The rows are an array, which
# is computed once: PostgreSQL may run an IN (SELECT … LIMIT) again for each row, and so go beyond its limit.
# Those that older code stored.
EXPIRE_REPORTS_IN_RUNS = """
    UPDATE run SET report = NULL WHERE project_id = :project_id AND id = ANY (ARRAY(
        SELECT id FROM run WHERE project_id = :project_id AND received_at < :before AND report IS NOT NULL
        LIMIT :batch FOR UPDATE SKIP LOCKED))
"""
EXPIRE_REPORTS = """
    DELETE FROM report WHERE project_id = :project_id AND run_id = ANY (ARRAY(
        SELECT run_id FROM report WHERE project_id = :project_id AND stored_at < :before
        LIMIT :batch FOR UPDATE SKIP LOCKED))
"""
DELETE_SNAPSHOTS = """
    DELETE FROM environment_snapshot WHERE project_id = :project_id AND id = ANY (ARRAY(
        SELECT old.id FROM environment_snapshot old
        WHERE old.project_id = :project_id AND old.received_at < :before AND EXISTS (
            SELECT FROM environment_snapshot newer WHERE newer.project_id = :project_id
            AND newer.environment = old.environment AND newer.received_at > old.received_at)
        LIMIT :batch))
"""
CLOSE_CHANGES = """
    UPDATE change SET state = 'closed' WHERE project_id = :project_id AND id = ANY (ARRAY(
        SELECT id FROM change WHERE project_id = :project_id AND state = 'open' AND seen_at < :before
        LIMIT :batch FOR UPDATE SKIP LOCKED))
"""
DELETE_RUNS = """
    DELETE FROM run WHERE project_id = :project_id AND id = ANY (ARRAY(
        SELECT id FROM run WHERE project_id = :project_id AND received_at < :before
        LIMIT :batch FOR UPDATE SKIP LOCKED))
"""
DELETE_CHANGES = """
    DELETE FROM change WHERE project_id = :project_id AND id = ANY (ARRAY(
        SELECT id FROM change WHERE project_id = :project_id AND state <> 'open' AND seen_at < :before
        LIMIT :batch FOR UPDATE SKIP LOCKED))
"""
DELETE_HISTORIES = """
    DELETE FROM history WHERE project_id = :project_id AND digest = ANY (ARRAY(
        SELECT digest FROM history WHERE project_id = :project_id AND first_seen_at < :before
        AND NOT EXISTS (SELECT FROM run WHERE run.project_id = :project_id AND run.history = history.digest)
        AND NOT EXISTS (
            SELECT FROM deployment WHERE deployment.project_id = :project_id AND deployment.history = history.digest)
        AND NOT EXISTS (
            SELECT FROM protected_branch
            WHERE protected_branch.project_id = :project_id AND protected_branch.history = history.digest)
        LIMIT :batch))
"""


def add_parser(subparsers: Any) -> None:
    parser: argparse.ArgumentParser = subparsers.add_parser(
        "prune",
        description="Deletes reports and snapshots after 90 days, and runs after a year, from the database that"
        " DATABASE_URL names, and what is left of purged projects. Proofs, decisions and the audit are kept. Run it daily.",
        epilog="""\
Examples:

    overproof prune
    overproof prune --report-days 30 --run-days 180
""",
        formatter_class=HelpFormatter,
    )
    parser.add_argument("--report-days", type=int, default=REPORT_DAYS, metavar="DAYS", help="default: %(default)s")
    parser.add_argument("--run-days", type=int, default=RUN_DAYS, metavar="DAYS", help="default: %(default)s")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    for option in ("report_days", "run_days"):
        if getattr(arguments, option) < 1:
            raise CommandFailed(f"--{option.replace('_', '-')} must be a whole number of at least 1")
    with database() as engine:
        counts = prune(engine, report_days=arguments.report_days, run_days=arguments.run_days)
    print(", ".join(f"{what}: {count}" for what, count in counts.items() if count) or "nothing to delete")
    return 0


@contextmanager
def database() -> Iterator[Any]:
    """An engine for the database that DATABASE_URL names. Raises CommandFailed if it cannot be used."""
    import sqlalchemy as sa

    from app.database import DatabaseRefused, connect, create_engine, database_url
    from app.schema_version import require_head

    try:
        engine = create_engine(database_url(), poolclass=sa.pool.StaticPool)
        with connect(engine) as connection:
            require_head(connection)
    except DatabaseRefused as refused:
        raise CommandFailed(str(refused)) from None
    yield engine
    engine.dispose()


def prune(engine: Any, *, report_days: int = REPORT_DAYS, run_days: int = RUN_DAYS) -> Mapping[str, int]:
    """The number of rows, by what they were."""
    import sqlalchemy as sa

    from app.database import utcnow

    counts: Counter[str] = Counter()
    now = utcnow()
    steps = (
        ("reports expired", EXPIRE_REPORTS, report_days),
        ("reports expired", EXPIRE_REPORTS_IN_RUNS, report_days),
        ("snapshots deleted", DELETE_SNAPSHOTS, report_days),
        ("changes closed", CLOSE_CHANGES, report_days),
        ("runs deleted", DELETE_RUNS, run_days),
        ("changes deleted", DELETE_CHANGES, run_days),
        ("histories deleted", DELETE_HISTORIES, run_days),
    )
    with engine.connect() as connection:
        projects = connection.execute(sa.text("SELECT id, purged_at IS NOT NULL FROM project ORDER BY id")).all()
    for project_id, is_purged in projects:
        if is_purged:
            counts["rows of purged projects deleted"] += purge(engine, project_id)
        else:
            for what, statement, days in steps:
                counts[what] += _repeat(engine, statement, project_id, now - timedelta(days=days))
    return counts


def _repeat(engine: Any, statement: str, project_id: UUID, before: datetime | None = None) -> int:
    import sqlalchemy as sa

    total = 0
    while True:
        with engine.begin() as connection:
            values = {"project_id": project_id, "batch": BATCH} | ({} if before is None else {"before": before})
            done = int(connection.execute(sa.text(statement), values).rowcount)
        total += done
        if done == 0:
            return total


def purge(engine: Any, project_id: UUID) -> int:
    """Delete all of a project but its audit. Its rows go before those to which they refer."""
    import sqlalchemy as sa

    from app.metadata import metadata

    total = 0
    for table in reversed(metadata.sorted_tables):
        if table.name in ("project", "audit_entry") or "project_id" not in table.columns:
            continue
        rows = f"SELECT ctid FROM {table.name} WHERE project_id = :project_id LIMIT :batch"
        total += _repeat(engine, f"DELETE FROM {table.name} WHERE ctid = ANY (ARRAY({rows}))", project_id)
    with engine.begin() as connection:
        connection.execute(sa.text("DELETE FROM project WHERE id = :id"), {"id": project_id})
    return total + 1
