"""What the commands that read a live database have in common: its URL, and what is said when it cannot be read."""

from __future__ import annotations

import argparse
import os
from collections.abc import Mapping
from typing import Any

import psycopg2

from app.gate.errors import UsageError
from app.gate.postgres import sqlstates
from app.gate.server.database import read_url, reason_of


def add_url(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "url",
        metavar="URL",
        nargs="?",
        help="postgresql://user:password@host:5432/name; DATABASE_URL by default, which keeps the password out of the"
        " process list",
    )


def read_database(arguments: argparse.Namespace, example: str) -> Mapping[str, Any]:
    """The database as keywords of libpq. `example`: how to name one. Raises UsageError and ServerUnavailable."""
    url = arguments.url or os.environ.get("DATABASE_URL")
    if not url:
        raise UsageError(f"no database given: {example}, or set DATABASE_URL")
    return read_url(url)


def describe_failure(error: psycopg2.Error, what: str) -> str:
    """One line with the server's words. `what`: what could not be read, "the schema"."""
    said = reason_of(error)
    if error.pgcode == sqlstates.LOCK_NOT_AVAILABLE:
        return f"another session held a lock for too long, for example a running migration ({said}): try again later"
    if error.pgcode == sqlstates.QUERY_CANCELED:
        return f"the database did not answer in time ({said}): try again, or use a longer --timeout"
    return f"{what} could not be read: {said}"
