"""`overproof init`: find out how a project is verified, verify it, and write its settings and a CI job.

The run comes before the writing: an error that says what is missing, as a driver or a variable, corrects the settings.
Exit status: that of the run; 0 without one; 2 if nothing could be verified, or written.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING, Any

from app.gate.commands import verify
from app.gate.commands._delivery import NOT_VERIFIED, PASSED, deliver
from app.gate.commands._help import HelpFormatter
from app.gate.commands._messages import complain, printable, refuse
from app.gate.commands._options import Output, override
from app.gate.commands._verification import Verification
from app.gate.commands.setup.ci_job import CiSystem, Job, find_ci_system, find_requirement, plan_job
from app.gate.commands.setup.project import Project, find_project, typed_url
from app.gate.commands.setup.settings import Section, plan_section, write_section
from app.gate.commands.verify import INTERRUPTED, INTERRUPTED_STATUS, conclude, termination_as_interrupt
from app.gate.configuration import Configuration, read_pair
from app.gate.errors import CannotVerify, CommandNeverReachedAlembic, OtherDatabase
from app.gate.files import write_atomically
from app.gate.reporters.escaping import one_line, visible, without_commands
from app.gate.wording import indented, listed

if TYPE_CHECKING:
    from app.gate.report.model import Report

ATTEMPTS = 4  # runs that an error's own advice corrects: each ends before Alembic has begun
NO_CI = "none"

DESCRIPTION = """\
Find out how this project's migrations are verified, verify them, and write what was found: the settings, in [overproof] of
setup.cfg or alembic.ini or in [tool.overproof] of pyproject.toml, and a job for GitHub Actions or GitLab CI.

Nothing that stands there already is changed. What cannot be found out is asked for on a terminal; elsewhere it is assumed, and
the assumption is printed.
"""

EPILOG = """\
Exit status: that of `overproof verify`; 0 with --no-run or --dry-run.

Examples:

    overproof init
    overproof init --dry-run
    overproof init --ci gitlab --no-run
    overproof init --env APP_DB={url+asyncpg}
    overproof init -- ./bin/migrate.sh
"""


def add_parser(subparsers: Any) -> None:
    parser = subparsers.add_parser(
        "init",
        description=DESCRIPTION,
        epilog=EPILOG,
        formatter_class=HelpFormatter,
        allow_abbrev=False,
        usage="overproof init [options] [-- COMMAND …]",
    )
    parser.add_argument(
        "command_words", metavar="COMMAND", nargs="*", help="the command that upgrades the project's database"
    )
    for option, what in (("--env", "an environment variable for COMMAND"), ("--set", "an option of Alembic's")):
        metavar = "NAME=VALUE" if option == "--env" else "KEY=VALUE"
        parser.add_argument(
            option,
            metavar=metavar,
            action="append",
            default=[],
            help=f"{what}, as for `overproof verify`, in place of what would be found",
        )
    parser.add_argument(
        "--ci",
        choices=[*CiSystem, NO_CI],
        help="the CI system (default: by the files in the repository, or its remote)",
    )
    parser.add_argument("--no-run", action="store_true", help="write without having verified anything")
    parser.add_argument("--dry-run", action="store_true", help="show what would be written, and neither run nor write")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    try:
        setup = _find_out(arguments)
        _print_facts(setup)
        if arguments.dry_run or arguments.no_run:
            return _write(setup, is_dry=arguments.dry_run)
        with termination_as_interrupt():
            return _verify_and_write(setup)
    except CannotVerify as error:
        return refuse(str(error))
    except BrokenPipeError:  # the reader of our output has exited
        raise
    except OSError as error:
        return refuse(f"cannot write {error.filename or 'the settings'}: {error.strerror}")
    except (KeyboardInterrupt, EOFError):
        complain(INTERRUPTED)
        return INTERRUPTED_STATUS


@dataclass(frozen=True)
class Setup:
    """What was found out, and what is to be written for it."""

    project: Project
    configuration: Configuration
    section: Section
    ci: tuple[CiSystem, str] | None
    job: Job | None
    requirement: str


def _find_out(arguments: argparse.Namespace) -> Setup:
    """Raises CannotVerify."""
    directory = Path.cwd()
    project = find_project(directory, arguments.command_words)
    typed = override(Configuration(), _as_verify(arguments.env, arguments.set, ()))
    if not project.url.is_certain and not (typed.env or typed.options) and _is_on_terminal():
        project = replace(project, url=typed_url(project, _asked_for_variable()))
    configuration = Configuration(
        command=project.command,
        env=typed.env or ({} if typed.options else {**project.url.env, **project.url.made_up}),
        options=typed.options or ({} if typed.env else project.url.options),
    )
    ci, requirement = _choose_ci(arguments, project), find_requirement()
    job = plan_job(ci[0], project, requirement) if ci else None
    return Setup(project, configuration, plan_section(directory, configuration), ci, job, requirement)


def _choose_ci(arguments: argparse.Namespace, project: Project) -> tuple[CiSystem, str] | None:
    if arguments.ci is not None:
        return None if arguments.ci == NO_CI else (CiSystem(arguments.ci), "--ci")
    if (found := find_ci_system(project.root)) is not None:
        return found
    if _is_on_terminal():
        answer = _ask(f"Which CI system ({', '.join(CiSystem)} or {NO_CI})?", NO_CI, [*CiSystem, NO_CI])
        return None if answer == NO_CI else (CiSystem(answer), "as you say")
    return None


# Questions


def _is_on_terminal() -> bool:
    return sys.stdin is not None and sys.stdin.isatty() and sys.stdout.isatty()


def _asked_for_variable() -> str:
    return _ask("Which environment variable has the URL of the database?", "DATABASE_URL")


def _ask(question: str, default: str, choices: Sequence[str] = ()) -> str:
    while True:
        answer = input(f"{question} [{default}] ").strip() or default
        if answer in choices or (not choices and answer.isidentifier()):
            return answer


# What is printed


def _print(text: str = "") -> None:
    print(printable(without_commands(visible(text)), sys.stdout.encoding), flush=True)


def _print_facts(setup: Setup) -> None:
    project = setup.project
    made_up = [f"{name}={value}" for name, value in project.url.made_up.items() if name in setup.configuration.env]
    settings = {**setup.configuration.env, **setup.configuration.options}
    url = ", ".join(f"{name}={value}" for name, value in settings.items() if name not in project.url.made_up)
    is_async = " with an async env.py" if project.url.is_async else ""
    facts = {
        "Migrations": f"{project.framework}{is_async} ({project.place})",
        "Database": f"{project.url.place}: {url}" if url else project.url.place,
        "Made up": f"{listed(made_up, 99)}: without them the code does not start" if made_up else "",
        "Packages": f"{project.installer.name} ({project.installer.evidence})" if setup.job else "",
        "Python": project.environment,
        "CI": f"{setup.ci[0].label} ({setup.ci[1]})"
        if setup.ci
        else "none was found: --ci github or --ci gitlab writes a job",
        "Overproof": f"{setup.requirement}, as the job installs it" if setup.job else "",
    }
    for name, value in facts.items():
        if value:
            _print(f"{name:<11}{one_line(value)}")
    for note in project.url.notes:
        _print(f"\n{note}")


def _files_of(setup: Setup) -> Iterator[tuple[Path, str, str, str]]:
    """(path, text, why it is not written or "", what is to be done by hand or "") of what is to be written."""
    section = setup.section
    why = f"{_shown(section.path, setup)} has {section.title} already" if section.exists else ""
    yield section.path, section.text, why, ""
    if (job := setup.job) is not None:
        existing = job.existing
        why = ""
        if existing is not None:
            what = "is there" if existing == job.path else "runs `overproof verify`"
            why = f"{_shown(existing, setup)} {what} already"
        yield job.path, job.text, why, job.note


def _shown(path: Path, setup: Setup) -> str:
    return os.path.relpath(path, setup.project.directory)


def _write(setup: Setup, *, is_dry: bool = False) -> int:
    """Write what does not stand there already, then show all of it. Raises OSError."""
    files = [(*each, each[0].exists()) for each in _files_of(setup)]
    for path, text, why, _, _ in files:
        if not (why or is_dry):
            _put(path, text, setup)
    for path, text, why, note, was_there in files:
        name = _shown(path, setup)
        if why:
            _print(f"\n{why}, so nothing was written there. It would have been:\n")
        elif is_dry:
            _print(f"\n{'Would be added to' if was_there else 'Would be written:'} {name}\n")
        else:
            _print(f"\n{'Added to' if was_there else 'Wrote'} {name}\n")
        _print(indented(text))
        if note and not why:
            _print(f"\n{note[0].upper()}{note[1:]}")
    return PASSED


def _put(path: Path, text: str, setup: Setup) -> None:
    if path == setup.section.path:
        write_section(setup.section)
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(path, text)


# The run


def _verify_and_write(setup: Setup) -> int:
    verification, report, setup = _verify(setup)
    if report.reason == INTERRUPTED:
        complain(INTERRUPTED)
        return INTERRUPTED_STATUS
    if not setup.section.exists and isinstance(verification.failure, CommandNeverReachedAlembic | OtherDatabase):
        complain(
            f"{report.reason}; nothing was written: name what is missing, as in overproof init --env NAME={{url}}, or write the"
            " settings all the same with --no-run"
        )
        return NOT_VERIFIED
    _write(setup)
    _print()
    return deliver(report, [Output("text")])


def _verify(setup: Setup) -> tuple[Verification, Report, Setup]:
    """The run, repeated with the options that its error recommends, and the settings with which it worked."""
    for attempt in range(ATTEMPTS):
        verification = Verification(setup.project.directory, datetime.now(UTC), perf_counter())
        report = conclude(verification, _arguments(setup), os.environ)
        options = verification.failure.options if verification.failure else ()
        if not options or setup.section.exists or attempt == ATTEMPTS - 1:
            break
        improved = _with_options(setup, options)
        if improved.configuration == setup.configuration:
            break
        complain(f"the command needs {' '.join(options)}")
        setup = improved
    return verification, report, setup


def _with_options(setup: Setup, options: Sequence[str]) -> Setup:
    env, set_ = dict(setup.configuration.env), dict(setup.configuration.options)
    if not setup.project.url.is_certain and any("{url" in pair for pair in options[1::2]):
        env = {}  # it was assumed
    for option, pair in zip(options[::2], options[1::2], strict=True):
        name, value = read_pair(pair)
        (env if option == "--env" else set_)[name] = value
    configuration = replace(setup.configuration, env=env, options=set_)
    return replace(setup, configuration=configuration, section=plan_section(setup.project.directory, configuration))


def _arguments(setup: Setup) -> argparse.Namespace:
    """As `overproof verify` has them, with the settings on the command line until they are written."""
    if setup.section.exists:
        return _as_verify([], [], [])
    configuration = setup.configuration
    env, options = (list(map("=".join, pairs.items())) for pairs in (configuration.env, configuration.options))
    return _as_verify(env, options, configuration.command)


def _as_verify(env: Sequence[str], options: Sequence[str], command: Sequence[str]) -> argparse.Namespace:
    words = ["verify", *(word for pair in env for word in ("--env", pair))]
    words += [word for pair in options for word in ("--set", pair)]
    words += ["--", *command] if command else []
    parser = argparse.ArgumentParser()
    verify.add_parser(parser.add_subparsers())
    return parser.parse_args(words, argparse.Namespace(typed=tuple(words)))
