"""`overproof serve`."""

from __future__ import annotations

import argparse
import os
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from typing import Any

from app.cli import CommandFailed
from app.help import HelpFormatter
from app.logs import FORMATS, config

EXAMPLES = """\
Examples:

    overproof serve --embedded
    DATABASE_URL=postgresql://user:password@localhost/overproof overproof serve
    overproof serve --host 0.0.0.0 --port 8080 --workers 4 --log-format json
"""
STOP_S = 5  # for the requests in progress at shutdown; slower ones are aborted


def add_parser(subparsers: Any) -> None:
    parser: argparse.ArgumentParser = subparsers.add_parser(
        "serve",
        description="Serves the record's API from the database that DATABASE_URL names. It must be at head: run "
        "`overproof upgrade-database` first.",
        epilog=EXAMPLES,
        formatter_class=HelpFormatter,
    )
    parser.add_argument(
        "--embedded",
        action="store_true",
        help="for trying it out: start a separate PostgreSQL with its data in .overproof/serve, and upgrade it",
    )
    parser.add_argument("--host", default="127.0.0.1", help="the address to listen on (default: %(default)s)")
    parser.add_argument("--port", type=int, help="the port to listen on (default: PORT, else 8000)")
    parser.add_argument("--workers", type=int, help="the number of processes (default: WEB_CONCURRENCY, else 1)")
    parser.add_argument(
        "--log-format",
        choices=FORMATS,
        default="text",
        help="the format of the log on standard error (default: %(default)s)",
    )
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    port = number("--port", arguments.port, "PORT", 8000, most=65535)
    workers = number("--workers", arguments.workers, "WEB_CONCURRENCY", 1, most=1000)

    with embedded_database() if arguments.embedded else nullcontext():
        serve(arguments.host, port, workers, arguments.log_format)
    return 0


def serve(host: str, port: int, workers: int, log_format: str) -> None:
    """Until the process receives SIGINT or SIGTERM. Raises SystemExit if it cannot start."""
    import uvicorn

    from app.factory import settings_that_work_or_exit
    from app.settings import SECRET_KEY, new_secret_key

    if workers > 1:
        os.environ.setdefault(SECRET_KEY, new_secret_key())  # a sign-in with one worker holds with all
        # The parent would start its workers in any case, and its exit status is the one that the user sees.
        settings_that_work_or_exit()
    uvicorn.run(
        "app.factory:create_app",
        factory=True,
        host=host,
        port=port,
        workers=workers,
        log_config=config(log_format),
        timeout_graceful_shutdown=STOP_S,
    )


@contextmanager
def embedded_database() -> Iterator[None]:
    """A PostgreSQL at head, named by DATABASE_URL for the duration of the block. Its data is kept.

    Raises CommandFailed.
    """
    import sqlalchemy as sa

    from app.database import create_engine, database_url
    from app.gate.errors import NAME_A_SERVER, ServerUnavailable
    from app.gate.server.persistent import persistent_database
    from app.upgrade_database import upgrade_to_head

    try:
        with persistent_database() as database:
            os.environ["DATABASE_URL"] = database.url("psycopg2")
            upgrade_to_head(create_engine(database_url(), poolclass=sa.NullPool))
            welcome()
            yield
    except ServerUnavailable as unavailable:
        instead = "name a database in DATABASE_URL, and leave out --embedded"
        raise CommandFailed(str(unavailable).replace(NAME_A_SERVER, instead)) from None


def welcome() -> None:
    """On the first start, when there is no token yet: issue one for an administrator."""
    from sqlmodel import col, select

    from app.projects.commands import transaction
    from app.projects.models import ApiToken, Scope
    from app.projects.schemas import TokenCreate
    from app.projects.tokens import issue_token

    with transaction() as session:
        if session.exec(select(ApiToken).where(col(ApiToken.project_id).is_(None))).first() is None:
            _, secret = issue_token(session, None, TokenCreate(name="first start", scope=Scope.ADMIN))
            print(f"Administrator token, shown only once:\n\n    {secret}\n", flush=True)


def number(option: str, given: int | None, variable: str, default: int, *, most: int) -> int:
    """From the option, else from the environment variable, else the default. Raises CommandFailed."""
    source, text = (option, str(given)) if given is not None else (variable, os.environ.get(variable, "").strip())
    if not text:
        return default
    if not text.isascii() or not text.isdigit() or not 1 <= int(text) <= most:
        raise CommandFailed(f"{source} must be a whole number from 1 to {most}, not {text!r}")
    return int(text)
