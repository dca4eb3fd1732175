"""What the commands for deployments have in common: the record, the environment and the commit."""

from __future__ import annotations

import argparse
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from app.gate.commands._record import Destination, read_destination
from app.gate.errors import UsageError
from app.gate.history.paths import find_commit

RECORD: Final = "OVERPROOF_RECORD"


def add_record(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--record",
        metavar="URL",
        help=f"the project in a record, as in https://HOST/api/v1/projects/SLUG (default: {RECORD}); its token is in"
        " OVERPROOF_TOKEN",
    )


def add_version(parser: argparse.ArgumentParser) -> None:
    """--to, --commit and --record."""
    parser.add_argument("--to", metavar="ENVIRONMENT", required=True, help="the environment's name in the record")
    parser.add_argument("--commit", metavar="SHA", help="the full SHA (default: that of the checkout)")
    add_record(parser)


def read_record(arguments: argparse.Namespace, environ: Mapping[str, str]) -> Destination:
    """Raises UsageError."""
    url = arguments.record or environ.get(RECORD, "").strip()
    if not url:
        raise UsageError(f"no record given: add --record https://HOST/api/v1/projects/SLUG, or set {RECORD}")
    return read_destination(url, environ, "--record" if arguments.record else RECORD)


def read_environment(name: str, option: str) -> str:
    """Raises UsageError."""
    if not re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", name):
        raise UsageError(f"{option}: {name!r} is not the name of an environment: lower-case letters, digits and dashes")
    return name


def read_commit(given: str | None) -> str:
    """Raises UsageError."""
    commit = given or find_commit(Path.cwd())
    if commit is None:
        raise UsageError("this is no Git checkout: name the commit with --commit")
    if not re.fullmatch(r"[0-9a-f]{7,64}", commit):
        raise UsageError(f"--commit: {commit!r} is not the SHA of a commit")
    return commit
