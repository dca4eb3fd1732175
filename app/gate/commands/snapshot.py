"""`overproof snapshot [URL]`: prints the schema of a live database as JSON. It only reads.

Everything is read in one read-only transaction at REPEATABLE READ, so that it is consistent.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from functools import partial
from typing import Any

import psycopg2
from psycopg2.extensions import connection as Connection  # noqa: N812 - psycopg2 spells its classes so

from app.gate.commands._deployment import add_record, read_environment, read_record
from app.gate.commands._help import HelpFormatter
from app.gate.commands._live_database import add_url, describe_failure, read_database
from app.gate.commands._messages import complain, refuse
from app.gate.commands._record import Destination, RecordFailed, ask
from app.gate.errors import ServerUnavailable, UsageError
from app.gate.postgres import sqlstates
from app.gate.recording.serialization import digest, to_json
from app.gate.server.database import reason_of
from app.gate.server.live import LOCK_TIMEOUT_S, live_database, read_in_one_snapshot
from app.gate.snapshot.read import read, without
from app.gate.snapshot.sizes import read_sizes
from app.gate.snapshot.versions import find_version_tables, read_revisions

FORMAT = "overproof-snapshot/1"


def add_parser(subparsers: Any) -> None:
    parser = subparsers.add_parser(
        "snapshot",
        description="Prints every object of the schema, sorted, with the privileges that roles have on it, a digest and the Alembic"
        " revision that the database is at."
        " Alembic's version table is omitted; `tables` has PostgreSQL's estimates of rows and bytes. The role needs only CONNECT, and SELECT on Alembic's table.",
        epilog="""\
Examples:

    DATABASE_URL=postgresql://me@db.example/shop overproof snapshot > shop.json
    overproof snapshot --timeout 300 postgresql://me@db.example/shop
""",
        formatter_class=HelpFormatter,
        allow_abbrev=False,
    )
    add_url(parser)
    parser.add_argument(
        "--timeout", metavar="SECONDS", type=float, default=60.0, help="the time limit for a query (default: 60)"
    )
    parser.add_argument(
        "--submit", action="store_true", help="send it to the record instead of printing it: needs --environment"
    )
    parser.add_argument("--environment", metavar="NAME", help="the environment in the record whose database it is")
    add_record(parser)
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    try:
        submission = _read_submission(arguments)
        taken = take(read_database(arguments, "overproof snapshot postgresql://user@host/name"), arguments.timeout)
    except (ServerUnavailable, UsageError) as problem:
        return refuse(str(problem))
    except psycopg2.Error as error:
        return refuse(_message_for(error))
    for table, revisions in taken["revisions"].items():
        if revisions is None:
            complain(f"the role may not read {table}, so the revision is unknown")
    if submission is not None:
        return _submit(taken, *submission)
    json.dump(taken, sys.stdout, indent=1, ensure_ascii=False)
    print()
    return 0


def _read_submission(arguments: argparse.Namespace) -> tuple[Destination, str] | None:
    """The project and the environment, or None if the snapshot is to be printed. Raises UsageError."""
    if not arguments.submit:
        return None
    if not arguments.environment:
        raise UsageError("--submit needs the environment whose database it is: add --environment NAME")
    return read_record(arguments, os.environ), read_environment(arguments.environment, "--environment")


def _submit(taken: Mapping[str, Any], destination: Destination, environment: str) -> int:
    try:
        stored = ask(destination, "POST", f"/environments/{environment}/snapshots", json.dumps(taken))
    except RecordFailed as failure:
        return refuse(f"could not submit the snapshot to {destination.project_url}: {failure}")
    complain(f"submitted the snapshot {stored['id']} of {environment}")
    return 0


def take(keywords: Mapping[str, Any], timeout_s: float) -> dict[str, Any]:
    """The database that libpq's keywords name, as it is now: {"format", "database", "postgres", "taken_at",
    "revisions", "digest", "tables", "objects"}. Raises ServerUnavailable and psycopg2.Error."""
    with live_database(keywords, timeout_s, LOCK_TIMEOUT_S) as live:
        return read_in_one_snapshot(live, partial(_take_with, live.connection))


def _take_with(connection: Connection, cursor: Any) -> dict[str, Any]:
    taken_at = datetime.now(UTC)
    snapshot = read(connection)
    sizes = read_sizes(connection)
    tables = find_version_tables(snapshot)
    revisions = {f"{key.schema}.{key.name}": read_revisions(connection, key) for key in tables}
    cursor.execute("SELECT current_database(), split_part(current_setting('server_version'), ' ', 1)")
    name, version = cursor.fetchone()
    for key in tables:
        snapshot = without(snapshot, key.schema, key.name)
        sizes.pop(f"{key.schema}.{key.name}", None)
    return {
        "format": FORMAT,
        "database": name,
        "postgres": version,
        "taken_at": taken_at.isoformat(timespec="seconds").replace("+00:00", "Z"),
        "revisions": revisions,
        "digest": digest(snapshot),
        "tables": {name: size._asdict() for name, size in sizes.items()},
        "objects": to_json(snapshot),
    }


def _message_for(error: psycopg2.Error) -> str:
    if error.pgcode in sqlstates.GONE_MEANWHILE:
        return f"the schema kept changing while it was read ({reason_of(error)}): try again later"
    return describe_failure(error, "the schema")
