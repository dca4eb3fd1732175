"""`overproof serve`."""

from __future__ import annotations

import argparse
import os
from typing import Any

from app.cli import CommandFailed


def add_parser(subparsers: Any) -> None:
    parser: argparse.ArgumentParser = subparsers.add_parser(
        "serve",
        help="serve the record: the API and its pages",
        description="Serves the record from the database that DATABASE_URL names, which must be at head: "
        "`python -m alembic upgrade head` brings it there.",
    )
    parser.add_argument("--host", default="127.0.0.1", help="the address to listen on (default: %(default)s)")
    parser.add_argument("--port", type=int, help="the port to listen on (default: PORT, else 8000)")
    parser.add_argument("--workers", type=int, help="how many processes (default: WEB_CONCURRENCY, else 1)")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    port = number("--port", arguments.port, "PORT", 8000, most=65535)
    workers = number("--workers", arguments.workers, "WEB_CONCURRENCY", 1, most=1000)

    import uvicorn

    from app.factory import settings_that_work_or_exit

    if workers > 1:  # the parent process starts them whatever happens, and is the one that people see end
        settings_that_work_or_exit()
    uvicorn.run("app.factory:create_app", factory=True, host=arguments.host, port=port, workers=workers)
    return 0


def number(option: str, given: int | None, variable: str, default: int, *, most: int) -> int:
    """From the option, else from the variable of the environment, else the default. Raises CommandFailed."""
    source, text = (option, str(given)) if given is not None else (variable, os.environ.get(variable, "").strip())
    if not text:
        return default
    if not text.isascii() or not text.isdigit() or not 1 <= int(text) <= most:
        raise CommandFailed(f"{source} must be a whole number from 1 to {most}, and is {text!r}.")
    return int(text)
