"""`overproof can-deploy`: ask the record whether a commit may be deployed to an environment."""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Iterator, Mapping
from typing import Any

from app.gate.commands._deployment import (
    add_version,
    read_commit,
    read_environment,
    read_record,
)
from app.gate.commands._help import HelpFormatter
from app.gate.commands._messages import refuse
from app.gate.commands._record import RecordFailed, ask
from app.gate.errors import UsageError
from app.gate.reporters.escaping import one_line, without_commands

STATUSES = {"allow": 0, "deny": 1, "unknown": 2}
HEADLINES = {
    "allow": "ALLOWED: {commit} may be deployed to {environment}.",
    "deny": "DENIED: {commit} may not be deployed to {environment}.",
    "unknown": "UNKNOWN: the record cannot tell whether {commit} may be deployed to {environment}.",
}


def add_parser(subparsers: Any) -> None:
    parser: argparse.ArgumentParser = subparsers.add_parser(
        "can-deploy",
        description="Prints the decision of the record, with each reason and what would clear it. Exit status: 0 allowed,"
        " 1 denied, 2 unknown.",
        epilog="""\
Examples:

    overproof can-deploy --to production
    overproof can-deploy --to production --commit 5f0c2b7d9e41 --dry-run
    overproof can-deploy --to production --json > decision.json
""",
        formatter_class=HelpFormatter,
        allow_abbrev=False,
    )
    add_version(parser)
    parser.add_argument("--dry-run", action="store_true", help="ask without storing the decision")
    parser.add_argument("--json", action="store_true", help="print the whole decision as JSON")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    try:
        destination = read_record(arguments, os.environ)
        environment = read_environment(arguments.to, "--to")
        commit = read_commit(arguments.commit)
        content = json.dumps({"commit": commit, "dry_run": arguments.dry_run})
        decision = ask(destination, "POST", f"/environments/{environment}/decisions", content)
    except (UsageError, RecordFailed) as failure:
        return refuse(str(failure))
    if decision.get("answer") not in STATUSES:
        return refuse("the answer is not that of a record: is the URL right?")
    if arguments.json:
        json.dump(decision, sys.stdout, indent=1)
        print()
    else:
        for line in _lines(decision, environment, commit[:12]):
            print(without_commands(line))
    return STATUSES[decision["answer"]]


def _lines(decision: Mapping[str, Any], environment: str, commit: str) -> Iterator[str]:
    yield HEADLINES[decision["answer"]].format(commit=commit, environment=environment)
    for reason in decision["reasons"]:
        yield ""
        yield f"  {reason['answer']} {reason['code']}: {one_line(reason['sentence'])}"
        yield f"    To clear it: {one_line(reason['clears'])}"
        if reason.get("fingerprint"):
            yield f"    Fingerprint: {one_line(reason['fingerprint'])}"
    yield ""
    yield from _pending(decision["pending"])
    if decision["id"] is not None:
        yield f"Decision {decision['id']}"


def _pending(pending: Any) -> Iterator[str]:
    if not pending:
        yield "No revision is pending."
        return
    yield f"{len(pending)} {'revision is' if len(pending) == 1 else 'revisions are'} pending:"
    for revision in pending:
        proof = revision["proof"]
        yield f"  {one_line(revision['revision'])}: {'proved' if proof and proof['passed'] else 'not proved'}"
        for finding in revision["findings"]:
            rows = "" if finding["rows"] is None else f", about {finding['rows']:,} rows"
            why = f": {one_line(finding['why'])}" if finding["why"] else ""
            yield f"    {finding['severity']} {finding['check']} ({finding['weight']}{rows}{why})"
