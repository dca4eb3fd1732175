"""`overproof statements [URL]`: prints the statements that a live database is sent, without values. It only reads.

They are those of pg_stat_statements: of this database, sent by clients themselves, that read or write rows.
"""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import psycopg2

from app.gate.commands._help import HelpFormatter
from app.gate.commands._live_database import add_url, describe_failure, read_database
from app.gate.commands._messages import complain, refuse
from app.gate.errors import ServerUnavailable, UsageError
from app.gate.postgres import sqlstates
from app.gate.postgres.masking import mask
from app.gate.postgres.quoting import identifier
from app.gate.recording.recorded_statements import RecordedStatement, render_statements
from app.gate.server.database import reason_of
from app.gate.server.live import Live, live_database
from app.gate.wording import counted

MOST: Final = 10_000  # statements, those with the most calls
LONGEST: Final = 100_000  # characters
_HIDDEN: Final = "<insufficient privilege>"
# What reads the catalog or changes settings is a tool's, or our own.
_OF_TOOLS: Final = re.compile(
    r"\bpg_catalog\.|\bpg_stat_statements\b|^SELECT current_database\(\), current_user$"
    r"|^SELECT set_config\([^()]*\)(?:, set_config\([^()]*\))*$"
)
_GOOD: Final = re.compile(r"\s*\(*\s*(?:SELECT|INSERT|UPDATE|DELETE|MERGE|WITH|VALUES|TABLE)\b", re.IGNORECASE)


def add_parser(subparsers: Any) -> None:
    parser = subparsers.add_parser(
        "statements",
        description="Prints what pg_stat_statements has of this database: SELECT, INSERT, UPDATE, DELETE and MERGE, each once, without"
        " values, sorted, for `overproof verify --statements FILE`. The role needs CONNECT and pg_read_all_stats.",
        epilog="""\
Examples:

    DATABASE_URL=postgresql://me@db.example/shop overproof statements > statements.sql
    overproof verify --statements statements.sql
""",
        formatter_class=HelpFormatter,
        allow_abbrev=False,
    )
    add_url(parser)
    parser.add_argument(
        "--timeout", metavar="SECONDS", type=float, default=60.0, help="the time limit for a query (default: 60)"
    )
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    try:
        with live_database(
            read_database(arguments, "overproof statements postgresql://user@host/name"), arguments.timeout
        ) as live:
            taken = take(live)
    except (ServerUnavailable, UsageError) as problem:
        return refuse(str(problem))
    except psycopg2.Error as error:
        return refuse(_message_for(error))
    if not taken.statements:
        return refuse(_why_none(taken))
    if taken.hidden:
        complain(f"{counted(taken.hidden, 'statement')} of other roles cannot be seen: {_how_to_see(taken.role)}")
    remarks = (
        f"What the database {taken.database} is sent, of pg_stat_statements, without values.",
        f"For `overproof verify --statements FILE`: a statement that its schema (PostgreSQL {taken.major}) refuses already counts for",
        "nothing. Records can be taken out.",
    )
    sys.stdout.write(render_statements(taken.statements, remarks))
    complain(f"{counted(len(taken.statements), 'statement')} of {taken.database}")
    return 0


@dataclass(frozen=True)
class Taken:
    """What was read, and of whom."""

    database: str
    role: str
    major: int
    statements: Sequence[RecordedStatement] = ()
    hidden: int = 0  # of other roles, whose texts this one may not see
    total: int = 0  # of this database, of any kind


def take(live: Live) -> Taken:
    """Raises ServerUnavailable and psycopg2.Error."""
    with live.transaction("REPEATABLE READ") as cursor:
        cursor.execute("SELECT current_database(), current_user")
        database, role = cursor.fetchone()
        view = _find_view(cursor)
        if view is None:
            raise ServerUnavailable(_HOW_TO_INSTALL.format(database=database))
        paths = _read_search_paths(cursor)
        cursor.execute(
            f"SELECT s.userid, left(s.query, {LONGEST + 1}) FROM {view} AS s JOIN pg_catalog.pg_database AS d ON d.oid = s.dbid"
            f" WHERE d.datname = current_database() AND s.toplevel AND s.query IS NOT NULL ORDER BY s.calls DESC LIMIT {MOST}"
        )
        rows = cursor.fetchall()
    statements = {
        RecordedStatement(masked, paths.get(user) or paths.get(0))
        for user, text in rows
        if _GOOD.match(masked := mask(text)) and len(text) <= LONGEST and not _OF_TOOLS.search(text)
    }
    hidden = sum(text == _HIDDEN for _, text in rows)
    return Taken(database, role, live.major, sorted(statements, key=str), hidden, len(rows))


_HOW_TO_INSTALL = (
    "the database {database} has no pg_stat_statements: add it to shared_preload_libraries, restart the server (hosted ones have a"
    " setting for it), and type CREATE EXTENSION pg_stat_statements; then let it run for a while"
)


def _find_view(cursor: Any) -> str | None:
    """The extension's view, in whichever schema it is, as SQL has it."""
    cursor.execute(
        "SELECT n.nspname FROM pg_catalog.pg_class AS c JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace"
        " WHERE c.relname = 'pg_stat_statements' AND c.relkind = 'v' ORDER BY n.nspname = 'public' DESC, 1 LIMIT 1"
    )
    found = cursor.fetchone()
    return None if found is None else f"{identifier(found[0])}.pg_stat_statements"


def _read_search_paths(cursor: Any) -> dict[int, str]:
    """The search_path that a role's sessions begin with in this database, by the role's oid; of all roles, by 0. What
    sessions set themselves is not known."""
    cursor.execute(
        "SELECT s.setrole, substr(c.setting, length('search_path=') + 1) FROM pg_catalog.pg_db_role_setting AS s"
        " LEFT JOIN pg_catalog.pg_database AS d ON d.oid = s.setdatabase, unnest(s.setconfig) AS c (setting)"
        " WHERE c.setting LIKE 'search\\_path=%' AND (s.setdatabase = 0 OR d.datname = current_database())"
        " ORDER BY s.setdatabase <> 0"  # what is set for this database comes last, and counts
    )
    return dict(cursor.fetchall())


def _why_none(taken: Taken) -> str:
    if taken.hidden:
        return f"the texts of all {counted(taken.hidden, 'statement')} are other roles': {_how_to_see(taken.role)}"
    return (
        f"pg_stat_statements has no statement of {taken.database} that reads or writes rows ({taken.total} of other kinds): name the"
        " database that the application uses, or wait until it has worked for a while"
    )


def _how_to_see(role: str) -> str:
    return f"type GRANT pg_read_all_stats TO {identifier(role)}, as a superuser"


def _message_for(error: psycopg2.Error) -> str:
    said = reason_of(error)
    if error.pgcode == sqlstates.OBJECT_NOT_IN_PREREQUISITE_STATE:
        return f"{said}: add it there, and restart the server; the extension alone records nothing"
    if error.pgcode == sqlstates.INSUFFICIENT_PRIVILEGE:
        return f"{said}: grant the role pg_read_all_stats and SELECT on pg_stat_statements"
    return describe_failure(error, "the statements")
