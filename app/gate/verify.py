"""`overproof verify`: run a project's migrations on a throwaway PostgreSQL, judge them, and tell everyone who asked.

Exit status: 0 passed, 1 failed by findings, 2 could not verify. Each report that was asked for is written in every case.
"""

from __future__ import annotations

import argparse
import importlib
import os
import signal
import subprocess
import sys
import threading
import traceback
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING, Any

from app.gate.configuration import (
    Configuration,
    ConfigurationError,
    read_checks,
    read_configuration,
    read_fail_on,
    read_pair,
    read_timeout,
    read_words,
)
from app.gate.errors import CannotVerify, ServerUnavailable
from app.gate.files import write_atomically
from app.gate.judging.baseline import Baseline, BaselineError, read_baseline, render_baseline, renew
from app.gate.progress import progress_on
from app.gate.recording.model import EVERY_PART, Recording
from app.gate.recording.serialization import save
from app.gate.report.verdict import Verdict
from app.gate.reporters import FORMATS, renderer_for
from app.gate.server.throwaway import throwaway_server
from app.gate.target.discovery import default_command, default_environment, is_supported_platform, read_template
from app.gate.target.target import Target

if TYPE_CHECKING:
    from app.gate.base_cache import KeptBase
    from app.gate.report.model import Report
    from app.gate.report.model import Target as TargetEntry

PASSED, FAILED, NOT_VERIFIED = 0, 1, 2
STATUSES = {Verdict.PASS: PASSED, Verdict.FAIL: FAILED, Verdict.ERROR: NOT_VERIFIED}

DESCRIPTION = """\
Run a project's migrations on a throwaway PostgreSQL, each of them up, down and up again, and judge what they did.

COMMAND upgrades the project's database; without one it is `alembic upgrade head`. In COMMAND, --prepare, --env and --file,
{url} stands for the throwaway database, {url+psycopg2} for the same with a driver; {host}, {port}, {user}, {password} and
{database} for its parts. Settings can also be kept in [overproof] of alembic.ini or setup.cfg, or [tool.overproof] of
pyproject.toml; the command line wins.
"""

EPILOG = """\
Exit status: 0 passed, 1 failed by findings, 2 could not verify. `overproof explain` lists the checks.

  overproof verify
  overproof verify --env SQLALCHEMY_DATABASE_URI={url+psycopg2} -- flask db upgrade
  overproof verify --output github --output sarif:overproof.sarif -- .venv/bin/alembic -c deploy/alembic.ini upgrade heads
"""


class UsageError(Exception):
    """An option that cannot be used. One line for people."""


def add_parser(subparsers: Any) -> None:
    parser = subparsers.add_parser(
        "verify",
        help="prove a project's migrations on a throwaway PostgreSQL",
        description=DESCRIPTION,
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
        usage="overproof verify [options] [-- COMMAND …]",
    )
    where = parser.add_argument_group("what to run, and where")
    where.add_argument("command_words", metavar="COMMAND", nargs="*", help="what upgrades the project's database")
    where.add_argument(
        "--env",
        metavar="NAME=VALUE",
        action="append",
        default=[],
        help="an environment variable for COMMAND (default: DATABASE_URL={url}, with the driver that the project uses)",
    )
    where.add_argument(
        "--file",
        metavar="PATH=TEMPLATE",
        action="append",
        default=[],
        help="write the template file to PATH while COMMAND runs, for a project that reads its URL from a file; with"
        " {database} in PATH each run has its own, and they need not wait for each other",
    )
    where.add_argument("--prepare", metavar="COMMAND", help="run this on the empty database first")
    where.add_argument(
        "--database-url",
        metavar="URL",
        help="a PostgreSQL server to use, in databases made for this run alone (default: OVERPROOF_DATABASE_URL, else an"
        " embedded server)",
    )
    where.add_argument(
        "--base",
        metavar="REF",
        help="a git ref (origin/main): judge only what HEAD adds to it, starting from its schema",
    )
    where.add_argument("--timeout", metavar="SECONDS", help="for one revision, one way (default: 300)")
    judging = parser.add_argument_group("how to judge")
    judging.add_argument(
        "--select", metavar="CHECK", action="append", default=[], help="run only this check; repeatable"
    )
    judging.add_argument(
        "--ignore", metavar="CHECK", action="append", default=[], help="leave this check out; repeatable"
    )
    judging.add_argument("--fail-on", metavar="error|warning|never", help="what fails the run (default: error)")
    judging.add_argument("--baseline", metavar="FILE", help="findings that are known and accepted")
    judging.add_argument("--write-baseline", action="store_true", help="accept everything that is found now")
    telling = parser.add_argument_group("how to tell")
    telling.add_argument(
        "--output",
        metavar="FORMAT[:PATH]",
        action="append",
        default=[],
        help=f"{', '.join(FORMATS)}; to a file, or else to standard output; repeatable (default: text)",
    )
    telling.add_argument("--recording", metavar="FILE", help="write down what was seen, for whoever develops a check")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    try:
        outputs = read_outputs(arguments.output)
    except UsageError as error:
        _complain(str(error))
        return NOT_VERIFIED
    with _termination_as_interrupt():
        try:
            return deliver(verify(arguments, Path.cwd(), os.environ), outputs)
        except KeyboardInterrupt:  # while the reports were written
            _complain("interrupted")
            return NOT_VERIFIED


def verify(arguments: argparse.Namespace, directory: Path, environ: Mapping[str, str]) -> Report:
    """The report on the project in that directory. Whatever goes wrong is a report with the verdict `error`."""
    verification = Verification(directory, datetime.now(UTC), perf_counter())
    try:
        verification.settle(arguments)
        return verification.go(arguments.database_url or environ.get("OVERPROOF_DATABASE_URL") or None)
    except (UsageError, ConfigurationError, BaselineError, CannotVerify, ServerUnavailable) as error:
        return verification.error(str(error))
    except KeyboardInterrupt:
        return verification.error("interrupted")
    except Exception as error:  # noqa: BLE001 - a report is owed in every case
        traceback.print_exc()
        return verification.error(f"this is a defect of Overproof, please report it: {type(error).__name__}: {error}")


@dataclass
class Verification:
    """One run, from what was asked to the report. What is known so far goes into a report of an error, too."""

    directory: Path
    started_at: datetime
    clock: float  # perf_counter() at the start
    configuration: Configuration = field(default_factory=Configuration)
    base: str | None = None
    recording: Path | None = None
    baseline: Baseline | None = None
    is_baseline_written: bool = False
    recordings: Sequence[Recording] = ()
    postgres: str | None = None

    def settle(self, arguments: argparse.Namespace) -> None:
        """Bring command line, configuration and defaults together."""
        configuration = override(read_configuration(self.directory), arguments)
        self.configuration = configuration  # known from here on, whatever else is wrong
        if not is_supported_platform():
            raise CannotVerify("the gate runs on Linux and macOS; on Windows, run it in WSL")
        if not configuration.command:
            self.configuration = replace(configuration, command=default_command(self.directory))
        self.base = arguments.base
        self.recording = Path(arguments.recording) if arguments.recording else None
        self.is_baseline_written = arguments.write_baseline
        if configuration.baseline is None:
            if arguments.write_baseline:
                raise UsageError("--write-baseline needs a file: add --baseline FILE")
        elif not arguments.write_baseline:
            self.baseline = read_baseline(self.directory / configuration.baseline, str(configuration.baseline))

    def go(self, database_url: str | None) -> Report:
        # They take long to import, and until they are needed there is more to wait for than to do.
        threading.Thread(target=_import, args=["app.gate.recorder", "app.gate.judging.judge"], daemon=True).start()
        target = self._target()
        # Who develops a check wants to see everything.
        parts = EVERY_PART if self.recording else self.configuration.needed_parts()
        with progress_on(sys.stderr) as on_progress:

            def run(image: Path | None = None, kept: KeptBase | None = None) -> Report:
                on_progress("server", 0, 1)
                with throwaway_server(database_url, image=image) as server:
                    from app.gate.recorder import record

                    self.postgres = server.version
                    self.recordings = record(target, server, on_progress, self.base, kept, parts)
                    server.end()  # which takes a while: we judge in the meantime
                    return self._conclude()

            if not self.base or database_url:
                return run()
            from app.gate.base_cache import KeptBase, with_kept_base

            kept = KeptBase(target, self.base)
            return with_kept_base(kept, lambda image: run(image, kept))

    def _conclude(self) -> Report:
        if self.recording is not None:
            self._keep_recordings(self.recording)
        return self._accept_all() if self.is_baseline_written else self._judge()

    def error(self, reason: str) -> Report:
        from app.gate.judging.judge import report_error

        return report_error(
            reason,
            target=self._entry(),
            started_at=self.started_at,
            duration_ms=self._duration_ms(),
            postgres=self.postgres,
        )

    def _target(self) -> Target:
        configuration = self.configuration
        environment = dict(configuration.env) or default_environment(configuration.command, self.directory)
        return Target(
            command=configuration.command,
            environment=environment,
            files={
                self.directory / path: read_template(self.directory / template)
                for path, template in configuration.files.items()
            },
            prepare=configuration.prepare,
            directory=self.directory,
            timeout_s=configuration.timeout_s,
        )

    def _judge(self) -> Report:
        from app.gate.judging.judge import judge

        return judge(
            self.recordings,
            self.configuration,
            target=self._entry(),
            baseline=self.baseline,
            started_at=self.started_at,
            duration_ms=self._duration_ms(),
        )

    def _keep_recordings(self, path: Path) -> None:
        try:
            save(self.recordings, path)
        except OSError as error:
            raise CannotVerify(f"cannot write the recording {path}: {error.strerror}") from error

    def _accept_all(self) -> Report:
        """Write the baseline, and judge by it. With a check that crashed nobody knows what would be accepted."""
        report = self._judge()
        if report.verdict is Verdict.ERROR or self.configuration.baseline is None:
            return report
        path, name = self.directory / self.configuration.baseline, str(self.configuration.baseline)
        baseline = renew(read_baseline(path, name) if path.exists() else Baseline(name), report)
        try:
            write_atomically(path, render_baseline(baseline.known))
        except OSError as error:
            raise BaselineError(f"cannot write the baseline {name}: {error.strerror}") from error
        self.baseline = baseline
        return self._judge()

    def _entry(self) -> TargetEntry:
        from app.gate.judging.redaction import fit
        from app.gate.report.model import Target as TargetEntry

        # Without `resolve`: the interpreter of a virtual environment is a link to one outside of it.
        locations = dict.fromkeys(self._shown(each.script_location) for each in self.recordings)
        return TargetEntry(
            command=[self._shown(word) for word in self.configuration.command],
            script_location=", ".join(locations) or None,
            commit=find_commit(self.directory),
            base=fit(self.base) if self.base else None,
        )

    def _shown(self, text: str) -> str:
        """A path without what is true on this machine alone; anything else as it is."""
        from app.gate.judging.redaction import fit

        path = Path(text)
        if path.is_absolute() and path.is_relative_to(self.directory):
            text = str(path.relative_to(self.directory))
        return fit(text)

    def _duration_ms(self) -> float:
        return round((perf_counter() - self.clock) * 1000, 3)


def _import(*names: str) -> None:
    for name in names:
        importlib.import_module(name)


def override(configuration: Configuration, arguments: argparse.Namespace) -> Configuration:
    """The project's settings with what the command line says instead. Raises UsageError."""
    changes: dict[str, Any] = {}
    option = ""
    try:
        if arguments.command_words:
            changes["command"] = tuple(arguments.command_words)
        if arguments.env:
            option = "--env"
            changes["env"] = {**configuration.env, **dict(read_pair(pair) for pair in arguments.env)}
        if arguments.file:
            option = "--file"
            pairs = (read_pair(pair) for pair in arguments.file)
            changes["files"] = {**configuration.files, **{Path(path): Path(template) for path, template in pairs}}
        if arguments.prepare is not None:
            option = "--prepare"
            changes["prepare"] = read_words(arguments.prepare)
        if arguments.timeout is not None:
            option = "--timeout"
            changes["timeout_s"] = read_timeout(arguments.timeout)
        if arguments.select:
            option = "--select"
            changes["select"] = read_checks(arguments.select)
            # Who asks for a check by name gets it, though the project leaves it out as a rule.
            changes["ignore"] = configuration.ignore - changes["select"]
        if arguments.ignore:
            option = "--ignore"
            changes["ignore"] = read_checks(arguments.ignore)
        if arguments.fail_on is not None:
            option = "--fail-on"
            changes["fail_on"] = read_fail_on(arguments.fail_on)
        if arguments.baseline is not None:
            changes["baseline"] = Path(arguments.baseline)
    except ValueError as error:
        raise UsageError(f"{option}: {error}") from None
    return replace(configuration, **changes)


def find_commit(directory: Path) -> str | None:
    """The commit that is checked out there; None outside of a Git repository, or without Git."""
    try:
        asked = subprocess.run(
            ["git", "rev-parse", "--verify", "--quiet", "HEAD"],
            cwd=directory,
            capture_output=True,
            text=True,
            timeout=10,
            check=False,
            stdin=subprocess.DEVNULL,
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return asked.stdout.strip() or None if asked.returncode == 0 else None


# Reports


@dataclass(frozen=True)
class Output:
    """A report that was asked for."""

    format: str
    path: Path | None = None  # None: standard output


def read_outputs(texts: Sequence[str]) -> list[Output]:
    """Raises UsageError. Text goes to standard output unless something else does."""
    outputs = [_read_output(text) for text in texts]
    printed = [output.format for output in outputs if output.path is None]
    if not printed:
        outputs.append(Output("text"))
    elif len(printed) > 1 and not set(printed) <= {"text", "github"}:
        raise UsageError(
            f"--output: {' and '.join(dict.fromkeys(printed))} would be mixed on standard output: give one of them a file,"
            f" as in {printed[-1]}:FILE"
        )
    return list(dict.fromkeys(outputs))


def _read_output(text: str) -> Output:
    name, colon, path = text.partition(":")
    if name not in FORMATS:
        raise UsageError(f"--output: there is no format {name!r}: there are {', '.join(FORMATS)}")
    if colon and not path:
        raise UsageError(f"--output: {text!r} names no file after the colon")
    if path and Path(path).is_dir():
        raise UsageError(f"--output: {path} is a directory: name a file")
    return Output(name, Path(path) if path and path != "-" else None)


def deliver(report: Report, outputs: Sequence[Output]) -> int:
    """Write every report, also when one of them cannot be written. Returns the exit status."""
    status = STATUSES[report.verdict]
    for output in outputs:
        try:
            if output.path is not None:
                write_atomically(output.path, renderer_for(output.format)(report))
            else:
                _print(report, output.format)
            if output.format == "github" and (summary := os.environ.get("GITHUB_STEP_SUMMARY")):
                from app.gate.reporters.github import append_summary

                append_summary(report, Path(summary))
        except BrokenPipeError:
            _forget_stdout()
        except OSError as error:
            place = output.path or "standard output"
            _complain(f"cannot write the {output.format} report to {place}: {error.strerror or error}")
            status = NOT_VERIFIED
            if output.path is None:
                _forget_stdout()
    if report.verdict is Verdict.ERROR:
        _complain(report.reason or "nothing was verified")
    return status


def _print(report: Report, name: str) -> None:
    if name != "text":
        sys.stdout.flush()
        sys.stdout.buffer.write(renderer_for(name)(report).encode())
    elif report.verdict is Verdict.ERROR and not report.findings:
        return  # The one line that there is to say goes to standard error.
    elif _is_colourful():
        from rich.console import Console

        from app.gate.reporters.text import print_on

        print_on(Console(highlight=False, markup=False, emoji=False), report)
    else:
        text = renderer_for(name)(report)
        encoding = sys.stdout.encoding or "utf-8"
        sys.stdout.write(text.encode(encoding, "backslashreplace").decode(encoding))
    sys.stdout.flush()


def _is_colourful() -> bool:
    return sys.stdout.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"


def _complain(message: str) -> None:
    from app.gate.reporters.escaping import one_line, without_commands

    with suppress(OSError):
        print(without_commands(f"overproof: {one_line(message)}"), file=sys.stderr, flush=True)


def _forget_stdout() -> None:
    """Nobody can read standard output any more; without this Python would say so once more at its end."""
    with suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


@contextmanager
def _termination_as_interrupt() -> Iterator[None]:
    """A job that is cancelled gets SIGTERM: leave the way that Ctrl-C leaves, with everything undone."""

    def interrupt(number: int, frame: object) -> None:
        raise KeyboardInterrupt

    numbers = [getattr(signal, name) for name in ("SIGTERM", "SIGHUP") if hasattr(signal, name)]
    try:
        before = {number: signal.signal(number, interrupt) for number in numbers}
    except ValueError:  # not in the main thread: whoever started us there handles signals
        before = {}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
