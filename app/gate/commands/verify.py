"""`overproof verify`: run a project's migrations on a throwaway PostgreSQL, judge them, and write the reports.

Exit status: 0 passed, 1 failed by findings, 2 could not verify, 130 interrupted. Every requested report is written in
each case.
"""

from __future__ import annotations

import argparse
import os
import re
import shlex
import signal
import traceback
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING, Any

from app.gate.checks.registry import CHECKS
from app.gate.commands._delivery import NOT_VERIFIED, deliver
from app.gate.commands._help import HelpFormatter, completes
from app.gate.commands._messages import complain
from app.gate.commands._options import read_outputs
from app.gate.commands._verification import Verification
from app.gate.configuration import FailOn
from app.gate.errors import CannotVerify, UsageError
from app.gate.reporters import FORMATS

if TYPE_CHECKING:
    from app.gate.commands._record import Destination
    from app.gate.report.model import Report


INTERRUPTED = "interrupted"
INTERRUPTED_STATUS = 130  # as a shell reports a command that Ctrl-C has ended

DESCRIPTION = """\
Run a project's migrations on a throwaway PostgreSQL, each of them up, down and up again, and judge what they did.

COMMAND upgrades the project's database (default: `alembic upgrade head` of the project's environment). In COMMAND, --prepare,
--env, --set and --file, {url} is replaced by the URL of the throwaway database, {url+psycopg2} by its URL with that driver, and
{host}, {port}, {user}, {password} and {database} by its parts.

Settings can also be in [overproof] of alembic.ini or setup.cfg, or in [tool.overproof] of pyproject.toml; options of the
command line override them.
"""

EPILOG = """\
Exit status: 0 passed, 1 failed by findings, 2 could not verify, 130 interrupted. `overproof explain` lists the checks.

Examples:

    overproof verify
    overproof verify --set sqlalchemy.url={url+psycopg2}
    overproof verify --env SQLALCHEMY_DATABASE_URI={url} -- flask db upgrade
    overproof verify --base none --fail-on warning
    overproof verify --output github --output sarif:overproof.sarif -- alembic -c deploy/alembic.ini upgrade heads
"""


def add_parser(subparsers: Any) -> None:
    parser = subparsers.add_parser(
        "verify",
        description=DESCRIPTION,
        epilog=EPILOG,
        formatter_class=HelpFormatter,
        allow_abbrev=False,
        usage="overproof verify [options] [-- COMMAND …]",
    )
    _add_target_options(parser.add_argument_group("what to run, and where"))
    _add_judging_options(parser.add_argument_group("how to judge"))
    _add_output_options(parser.add_argument_group("what to write"))
    parser.set_defaults(run=run, verbosity=0)


def _add_target_options(group: argparse._ArgumentGroup) -> None:
    group.add_argument(
        "command_words", metavar="COMMAND", nargs="*", help="the command that upgrades the project's database"
    )
    group.add_argument(
        "--env",
        metavar="NAME=VALUE",
        action="append",
        default=[],
        help="an environment variable for COMMAND (default: DATABASE_URL={url}, with the driver that the project uses)",
    )
    group.add_argument(
        "--set",
        metavar="KEY=VALUE",
        action="append",
        default=[],
        help="an option of the Alembic configuration, set in COMMAND's process, for a project whose URL is in alembic.ini:"
        " sqlalchemy.url={url}; of another section: SECTION:KEY=VALUE",
    )
    group.add_argument(
        "--file",
        metavar="PATH=TEMPLATE",
        action="append",
        default=[],
        help="write the template file to PATH while COMMAND runs, for a project that reads its URL from a file; with"
        " {database} in PATH each run has its own file, and runs need not wait for each other",
    )
    group.add_argument("--prepare", metavar="COMMAND", help="run this on the empty database first")
    _add_place_options(group)


def _add_place_options(group: argparse._ArgumentGroup) -> None:
    """Where it runs, from which schema, and for how long."""
    group.add_argument(
        "--database-url",
        metavar="URL",
        help="the PostgreSQL server to use, in databases created for this run alone (default: OVERPROOF_DATABASE_URL, else an"
        " embedded server)",
    )
    group.add_argument(
        "--base",
        metavar="REF|auto|none|deployed",
        help="judge what HEAD adds to this Git ref, starting from its schema; auto: the target of the pull request, else the"
        " remote's default branch; none: judge every revision as if it were new; deployed: the commit that is deployed, with --deployed record:ENVIRONMENT"
        " (default: auto)",
    )
    group.add_argument(
        "--statements",
        metavar="FILE",
        help="statements that production is sent, as `overproof statements` prints them: each is planned on the schema of the base"
        " and on the new one, and one that only the new one refuses is a finding of breaking-change",
    )
    group.add_argument(
        "--same-schema-as",
        metavar="REF",
        help="prove that the revisions here end in the same schema, with the same rows, as those of this Git ref, as after a"
        " squash; without --base, all revisions here are judged",
    )
    group.add_argument(
        "--timeout",
        metavar="SECONDS",
        help="the limit for one upgrade or downgrade of one revision, and for the start of COMMAND (default: 300)",
    )


def _add_judging_options(group: argparse._ArgumentGroup) -> None:
    for option, what in (("--select", "run only this check"), ("--ignore", "skip this check")):
        checks = group.add_argument(option, metavar="CHECK", action="append", default=[], help=f"{what}; repeatable")
        completes(checks, [check.id for check in CHECKS])
    fail_on = group.add_argument(
        "--fail-on", metavar="error|warning|never", help="the lowest severity that fails the run (default: error)"
    )
    completes(fail_on, FailOn)
    group.add_argument(
        "--deployed",
        metavar="FILE|record:ENVIRONMENT",
        help="weigh findings by the sizes of tables in a deployed database: what overproof snapshot printed of it, or the newest"
        " snapshot of an environment in the record",
    )
    group.add_argument("--baseline", metavar="FILE", help="the file that lists findings which are already accepted")
    group.add_argument(
        "--write-baseline", action="store_true", help="accept all current findings: write them to the baseline"
    )


def _add_output_options(group: argparse._ArgumentGroup) -> None:
    output = group.add_argument(
        "--output",
        metavar="FORMAT[:PATH]",
        action="append",
        default=[],
        help=f"{', '.join(FORMATS)}; to PATH, or else to standard output; repeatable (default: text)",
    )
    completes(output, FORMATS)
    group.add_argument(
        "--submit",
        metavar="URL",
        help="post the report to this project in a record, as in https://HOST/api/v1/projects/SLUG, with the token in"
        " OVERPROOF_TOKEN; if that fails, warn and keep the exit status",
    )
    group.add_argument(
        "--submit-required", action="store_true", help="exit with status 2 if the report could not be submitted"
    )
    volume = group.add_mutually_exclusive_group()
    volume.add_argument(
        "--quiet", "-q", dest="verbosity", action="store_const", const=-1, help="print the verdict and the index alone"
    )
    volume.add_argument(
        "--verbose",
        "-v",
        dest="verbosity",
        action="store_const",
        const=1,
        help="print the code of all fixes, details of notices, and what each revision does as well",
    )
    group.add_argument(
        "--recording", metavar="FILE", help="write everything that was observed to FILE, to develop a check on it"
    )


def run(arguments: argparse.Namespace) -> int:
    try:
        outputs = read_outputs(arguments.output)
        destination = _read_destination(arguments)
    except UsageError as error:
        complain(str(error))
        return NOT_VERIFIED
    with termination_as_interrupt():
        try:
            report = verify(arguments, Path.cwd(), os.environ)
            status = deliver(report, outputs, arguments.verbosity)
            if report.reason == INTERRUPTED:
                return INTERRUPTED_STATUS
            return status if destination is None else _submit(report, destination, arguments.submit_required, status)
        except KeyboardInterrupt:  # while the reports were written
            complain(INTERRUPTED)
            return INTERRUPTED_STATUS


def _read_destination(arguments: argparse.Namespace) -> Destination | None:
    """Raises UsageError."""
    if arguments.submit is None:
        if arguments.submit_required:
            raise UsageError("--submit-required needs a record: add --submit URL")
        return None
    from app.gate.commands._record import read_destination

    return read_destination(arguments.submit, os.environ)


def _submit(report: Report, destination: Destination, is_required: bool, status: int) -> int:
    """Returns the exit status: a record that is down does not fail a build, unless it is required."""
    from app.gate.commands._record import RecordFailed
    from app.gate.commands._submission import submit

    try:
        submitted = submit(report, destination, os.environ)
        for line in (f"submitted to {submitted.page_url}", *submitted.forks):
            complain(line)
    except RecordFailed as failure:
        complain(f"could not submit the report to {destination.project_url}: {failure}")
        return NOT_VERIFIED if is_required else status
    return status


def verify(arguments: argparse.Namespace, directory: Path, environ: Mapping[str, str]) -> Report:
    """The report on the project in that directory. Every failure is a report with the verdict `error`."""
    return conclude(Verification(directory, datetime.now(UTC), perf_counter()), arguments, environ)


def conclude(verification: Verification, arguments: argparse.Namespace, environ: Mapping[str, str]) -> Report:
    """The report of that verification, which also keeps what it failed with."""
    try:
        verification.settle(arguments)
        if arguments.submit or verification.deployed is not None:
            _hide_token()
        return verification.go(arguments.database_url or environ.get("OVERPROOF_DATABASE_URL") or None)
    except CannotVerify as error:
        verification.failure = error
        return verification.error(f"{error}{_what_to_type(error, arguments)}")
    except KeyboardInterrupt:
        return verification.error(INTERRUPTED)
    except Exception as error:  # noqa: BLE001 - a report is owed in every case
        traceback.print_exc()
        return verification.error(f"this is a defect of Overproof, please report it: {type(error).__name__}: {error}")


def _hide_token() -> None:
    """From the project's command, which inherits the environment."""
    from app.gate.commands._record import TOKEN

    os.environ.pop(TOKEN, None)


def _what_to_type(error: CannotVerify, arguments: argparse.Namespace) -> str:
    """The command line as it was typed, with the options that the error recommends in place of those of their names."""
    if not error.options:
        return ""
    _, *typed = arguments.typed
    pairs = list(zip(error.options[::2], error.options[1::2], strict=True))
    for option, value in pairs:
        named = f"{value.partition('=')[0]}="
        for at, word in enumerate(typed[1:], 1):
            if typed[at - 1] == option and word.startswith(named):
                del typed[at - 1 : at + 1]
                break
    words = [word for option, value in pairs for word in (option, value)]
    return f": type overproof verify {' '.join(map(_quoted, [*words, *typed]))}"


def _quoted(word: str) -> str:
    """As a shell takes it. Braces around one name are ordinary characters, and easier to read without quotes."""
    return word if re.fullmatch(r"[\w@%+=:,./{}-]+", word, re.ASCII) else shlex.quote(word)


@contextmanager
def termination_as_interrupt() -> Iterator[None]:
    """A cancelled job gets SIGTERM: exit as after Ctrl-C, with everything cleaned up."""

    def interrupt(number: int, frame: object) -> None:
        raise KeyboardInterrupt

    numbers = [getattr(signal, name) for name in ("SIGTERM", "SIGHUP") if hasattr(signal, name)]
    try:
        before = {number: signal.signal(number, interrupt) for number in numbers}
    except ValueError:  # not in the main thread: the caller handles signals
        before = {}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
