"""`overproof preflight [URL] --report FILE`: may the pending revisions be run on this database, now? It only reads.

Exit status: 0 go, 1 no, 2 cannot say.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import psycopg2

from app.gate.commands._deployment import RECORD, add_record, read_commit, read_record
from app.gate.commands._help import HelpFormatter
from app.gate.commands._live_database import add_url, describe_failure, read_database
from app.gate.commands._messages import refuse
from app.gate.commands._record import RecordFailed, ask
from app.gate.configuration import read_timeout
from app.gate.errors import ServerUnavailable, UsageError
from app.gate.preflight.assumptions import run_assumptions
from app.gate.preflight.judge import Answer, Evidence, answer_of, as_json, reasons_of
from app.gate.preflight.look import (
    Look,
    if_permitted,
    list_unavailable,
    look_at,
    read_foreign_owners,
    read_lasting_holders,
    read_older_transactions,
    read_schema,
    read_slots,
)
from app.gate.preflight.plan import Plan, make_plan, parse_report, read_report, unknown_plan
from app.gate.preflight.schema import find_drift
from app.gate.preflight.text import lines_of
from app.gate.report.model import Report
from app.gate.reporters.escaping import without_commands
from app.gate.server.live import LOCK_TIMEOUT_S, Live, live_database

STATUSES = {Answer.GO: 0, Answer.NO: 1, Answer.UNKNOWN: 2}

DESCRIPTION = """\
Says whether the revisions that are pending on a live database may be run there, now: which these are, by the report that proved
them; whether the schema is the one that was proved; whether the rows are what the revisions assume; how large the tables are
that they lock, rewrite or scan; who holds locks on these, and since when; and what else is in the way.

It only reads, in READ ONLY transactions. The role needs CONNECT, and SELECT on Alembic's table and on the tables whose rows the
revisions are about; a member of pg_read_all_stats sees since when other sessions hold a lock.
"""
EPILOG = """\
Exit status: 0 go, 1 no, 2 cannot say.

Examples:

    overproof verify --base none --output json:report.json
    DATABASE_URL=postgresql://me@db.example/shop overproof preflight --report report.json
    overproof preflight postgresql://me@replica.example/shop --report report.json --json
    OVERPROOF_RECORD=https://HOST/api/v1/projects/shop overproof preflight postgresql://me@db.example/shop
"""


def add_parser(subparsers: Any) -> None:
    parser = subparsers.add_parser(
        "preflight",
        description=DESCRIPTION,
        epilog=EPILOG,
        formatter_class=HelpFormatter,
        allow_abbrev=False,
    )
    add_url(parser)
    parser.add_argument(
        "--report",
        metavar="FILE",
        help="what overproof verify --output json:FILE has written of the commit (default: the newest report on it in the record)",
    )
    parser.add_argument(
        "--commit", metavar="SHA", help="without --report: the full SHA (default: that of the checkout)"
    )
    add_record(parser)
    _add_limits(parser)
    parser.add_argument(
        "--role", metavar="NAME", help="the role that will run the upgrade (default: the owner of Alembic's table)"
    )
    parser.add_argument(
        "--accept-drift", action="store_true", help="list what differs in the schema, and go all the same"
    )
    parser.add_argument("--json", action="store_true", help="print everything as JSON")
    parser.set_defaults(run=run)


def _add_limits(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--timeout", metavar="SECONDS", default="60", help="the time limit for a query (default: 60)")
    parser.add_argument(
        "--lock-timeout",
        metavar="SECONDS",
        default=f"{LOCK_TIMEOUT_S:g}",
        help=f"the time limit for a wait for a lock (default: {LOCK_TIMEOUT_S:g})",
    )
    parser.add_argument(
        "--lock-age",
        metavar="SECONDS",
        default="5",
        help="a session that has held a lock in the way for longer is a reason not to go (default: 5); where it is not visible since"
        " when, preflight looks again after that time",
    )


def run(arguments: argparse.Namespace) -> int:
    try:
        database = read_database(arguments, "overproof preflight postgresql://user@host/name --report FILE")
        timeout_s, lock_timeout_s, longest_s = (
            _read_seconds(option, getattr(arguments, option)) for option in ("timeout", "lock_timeout", "lock_age")
        )
        report = _read_report(arguments)
        with live_database(database, timeout_s, lock_timeout_s) as live:
            evidence = _gather(live, report, arguments, longest_s)
    except (ServerUnavailable, UsageError) as problem:
        return refuse(str(problem))
    except psycopg2.Error as error:
        return refuse(describe_failure(error, "the database"))
    reasons = reasons_of(evidence)
    if arguments.json:
        json.dump(as_json(evidence, reasons), sys.stdout, indent=1, ensure_ascii=False)
        print()
    else:
        for line in lines_of(evidence, reasons):
            print(without_commands(line))
    return STATUSES[answer_of(reasons)]


def _read_report(arguments: argparse.Namespace) -> Report:
    """Raises UsageError."""
    if arguments.report is not None:
        return read_report(Path(arguments.report))
    if not (arguments.record or os.environ.get(RECORD, "").strip()):
        raise UsageError(f"no report given: add --report FILE, or set {RECORD} to take it from the record")
    destination, commit = read_record(arguments, os.environ), read_commit(arguments.commit)
    try:
        runs = ask(destination, "GET", "/runs", query={"commit": commit, "limit": "50"})["items"]
        # Anyone whose code runs in CI can post a report with a token that is not trusted.
        newest = next((each for each in runs if each.get("trusted")), runs[0] if runs else None)
        if newest is None:
            raise UsageError(f"the record has no report on the commit {commit}: run overproof verify --submit on it")
        content = ask(destination, "GET", f"/runs/{newest['id']}/report")
    except (RecordFailed, KeyError, TypeError, AttributeError) as failure:
        reason = failure if isinstance(failure, RecordFailed) else "the answer is not that of a record"
        raise UsageError(f"the report on {commit} could not be read from the record: {reason}") from None
    return parse_report(content, "the report in the record")


def _read_seconds(option: str, value: str) -> float:
    try:
        return read_timeout(value)
    except ValueError as error:
        raise UsageError(f"--{option.replace('_', '-')}: {error}") from None


def _gather(live: Live, report: Report, arguments: argparse.Namespace, longest_s: float) -> Evidence:
    """Raises psycopg2.Error and ServerUnavailable."""
    look = look_at(live)
    table, at = _find_place(look, report)
    plan = unknown_plan(report) if at is None else make_plan(report, at)
    schema, why_no_schema = read_schema(live)
    migrator = arguments.role or look.version_owners.get(table or "")
    owners = read_foreign_owners(live, plan.changed(), migrator) if migrator else {}
    look = replace(
        look,
        schema=schema,
        why_no_schema=why_no_schema,
        owners=owners,
        slots=if_permitted(lambda: read_slots(live)) or [],
        older=if_permitted(lambda: read_older_transactions(live, longest_s)) or [],
        unavailable=if_permitted(lambda: list_unavailable(live, [key for _, key in plan.made()])) or [],
    )
    return Evidence(
        look=look,
        plan=plan,
        drift=find_drift(look, plan),
        answers=run_assumptions(live, plan),
        holders=if_permitted(lambda: read_lasting_holders(live, wanted_locks(plan), longest_s)),
        migrator=migrator,
        accepts_drift=arguments.accept_drift,
        longest_s=longest_s,
    )


def _find_place(look: Look, report: Report) -> tuple[str | None, list[str] | None]:
    """Alembic's table of this history, and the revisions in it. A database may have tables of several histories.

    None for the revisions if they could not be read."""
    known = {each.revision for each in report.graph.revisions}
    ours = [table for table, revisions in look.revisions.items() if known & {*(revisions or ())}]
    tables = ours or [*look.revisions]
    if any(look.revisions[table] is None for table in tables):
        return tables[0], None
    at = dict.fromkeys(revision for table in tables for revision in look.revisions[table] or ())
    return (tables[0] if tables else None), [*at]


def wanted_locks(plan: Plan) -> dict[str, set[str]]:
    wanted: dict[str, set[str]] = {}
    for revision in plan.tried:
        for work in plan.work_of(revision.revision):
            wanted.setdefault(work.table, set()).update(work.modes)
    return wanted
