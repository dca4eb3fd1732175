"""`overproof deployed`: tell the record what is deployed to an environment."""

from __future__ import annotations

import argparse
import json
import os
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from app.gate.commands._deployment import add_version, read_commit, read_environment, read_record
from app.gate.commands._help import HelpFormatter
from app.gate.commands._messages import complain, refuse
from app.gate.commands._record import RecordFailed, ask
from app.gate.errors import UsageError

ID = re.compile(r"[0-9A-Za-z][0-9A-Za-z._:-]{0,63}")


def add_parser(subparsers: Any) -> None:
    parser: argparse.ArgumentParser = subparsers.add_parser(
        "deployed",
        description="Tells the record that a commit is deployed to an environment. The record must have a report on it.",
        epilog="""\
Examples:

    overproof deployed --to production
    overproof deployed --to production --status rolling --id release-42
    overproof deployed --to production --status ended --id release-41
""",
        formatter_class=HelpFormatter,
        allow_abbrev=False,
    )
    add_version(parser)
    parser.add_argument(
        "--status",
        choices=("rolling", "live", "ended"),
        default="live",
        help="rolling: next to what is live; live: instead of it; ended: removed (default: %(default)s)",
    )
    parser.add_argument(
        "--id",
        metavar="ID",
        help="the deployment's ID, the same from rolling to ended (default: that of the CI run, else the commit and the"
        " time)",
    )
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    try:
        destination = read_record(arguments, os.environ)
        environment = read_environment(arguments.to, "--to")
        commit = read_commit(arguments.commit)
        deployment = _read_id(arguments.id, commit, os.environ)
        content = json.dumps({"commit": commit, "status": arguments.status})
        stored = ask(destination, "PUT", f"/environments/{environment}/deployments/{deployment}", content)
    except (UsageError, RecordFailed) as failure:
        return refuse(str(failure))
    heads = ", ".join(map(str, stored.get("heads") or ())) or "no revision"
    complain(f"{commit[:12]} ({heads}) is {arguments.status} in {environment}, as deployment {deployment}")
    return 0


def _read_id(given: str | None, commit: str, environ: Mapping[str, str]) -> str:
    """Raises UsageError."""
    if given is not None and not ID.fullmatch(given):
        raise UsageError(f"--id: {given!r} must be at most 64 letters, digits, dots, dashes, underscores and colons")
    return given or _id_of_ci(environ) or f"{commit[:12]}-{datetime.now(UTC):%Y%m%dT%H%M%S}"


def _id_of_ci(environ: Mapping[str, str]) -> str | None:
    if environ.get("GITHUB_ACTIONS") == "true" and environ.get("GITHUB_RUN_ID"):
        found = f"github-{environ['GITHUB_RUN_ID']}-{environ.get('GITHUB_RUN_ATTEMPT', '1')}"
    elif environ.get("GITLAB_CI") == "true" and environ.get("CI_PIPELINE_ID"):
        found = f"gitlab-{environ['CI_PIPELINE_ID']}"
    else:
        return None
    return found if ID.fullmatch(found) else None
