"""`overproof …`, also `python -m app …`.

Each command is with the part that it belongs to, in a module with one function::

    def add_parser(subparsers) -> None:
        parser = subparsers.add_parser("explain", description=…)
        parser.add_argument(…)
        parser.set_defaults(run=run)       # run(arguments: argparse.Namespace) -> int, the exit status

Only the module of the requested command is imported: `overproof verify` must not wait for FastAPI, nor
`overproof serve` for the gate. A command that cannot do what was requested raises `CommandFailed`.
"""

from __future__ import annotations

import argparse
import difflib
import errno
import importlib
import os
import sys
from collections.abc import Sequence
from contextlib import suppress
from typing import NamedTuple

from app.help import HelpFormatter


class CommandFailed(Exception):
    """What a command could not do, in one human-readable line that says what to do next."""

    def __init__(self, message: str, status: int = 2) -> None:
        super().__init__(message)
        self.status = status


class Command(NamedTuple):
    name: str
    module: str
    summary: str


COMMANDS = (
    Command("verify", "app.gate.commands.verify", "prove a project's migrations on a throwaway PostgreSQL"),
    Command("init", "app.gate.commands.init", "write a project's settings and its CI job, and verify it"),
    Command(
        "graph",
        "app.gate.commands.graph",
        "list or draw the revisions, or check how they are connected, without a database",
    ),
    Command("explain", "app.gate.commands.explain", "describe a check: what it finds, why it hurts and how to fix it"),
    Command("snapshot", "app.gate.commands.snapshot", "print the schema of a live database as JSON, read-only"),
    Command(
        "preflight",
        "app.gate.commands.preflight",
        "say whether the pending revisions may be run on a live database, read-only",
    ),
    Command(
        "statements", "app.gate.commands.statements", "print the statements that a live database is sent, read-only"
    ),
    Command("rebase", "app.gate.commands.rebase", "put the branch's own revisions after those of another branch"),
    Command("can-deploy", "app.gate.commands.can_deploy", "ask the record whether a commit may be deployed"),
    Command("deployed", "app.gate.commands.deployed", "tell the record what is deployed"),
    Command("completion", "app.completion", "print what makes a shell complete `overproof`"),
    Command("serve", "app.serve", "serve the record's API"),
    Command("upgrade-database", "app.upgrade_database", "bring the record's database to head"),
    Command("prune", "app.retention", "delete what the record no longer keeps"),
    Command("token", "app.projects.commands", "issue, list and revoke API tokens"),
)


EXAMPLES = """\
Examples:

    overproof init
    overproof verify
    overproof explain round-trip
    overproof verify --help
"""


def parser_for(command: Command | None) -> argparse.ArgumentParser:
    """The parser for a command line that names `command`; of all others it knows only the name."""
    parser = argparse.ArgumentParser(
        prog="overproof",
        description="Proves an Alembic migration on a real PostgreSQL before it merges, and remembers what it proved.",
        epilog=EXAMPLES,
        formatter_class=HelpFormatter,
    )
    parser.add_argument("--version", action=_Version, nargs=0, help="show the version and its commit, and exit")
    subparsers = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    for each in COMMANDS:
        if each is command:
            importlib.import_module(each.module).add_parser(subparsers)
            subparsers.choices[each.name].set_defaults(parser=subparsers.choices[each.name])
        else:
            subparsers.add_parser(each.name, help=each.summary)
    return parser


class _Version(argparse.Action):
    """Asks Git for the commit, so only when the option is there."""

    def __call__(self, parser: argparse.ArgumentParser, *_: object) -> None:
        from app.commit import describe_version

        print(f"overproof {describe_version()}")
        parser.exit()


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command. Returns its exit status: 0 done, 1 failed by findings, 2 could not be done, 130 interrupted."""
    _make_streams_usable()
    try:
        return _run(sys.argv[1:] if argv is None else list(argv))
    except CommandFailed as failure:
        print(f"overproof: {failure}", file=sys.stderr)
        return failure.status
    except KeyboardInterrupt:
        print("overproof: interrupted", file=sys.stderr)
        return 130
    except BrokenPipeError:
        # The reader of our output has exited (`overproof explain | head`).
        _discard_output()
        return 141
    except OSError as error:
        if error.filename is not None or error.errno not in _CANNOT_WRITE:
            raise
        _discard_output()
        print(f"overproof: cannot write to standard output: {error.strerror}", file=sys.stderr)
        return 2


def _run(argv: Sequence[str]) -> int:
    if "_ARGCOMPLETE" in os.environ:
        _complete()
    command = _find_command(argv)
    try:
        parser = parser_for(command)
        arguments, unknown = parser.parse_known_args(argv, argparse.Namespace(typed=tuple(argv)))
        if unknown:
            _refuse_unknown(arguments.parser, unknown)
        return int(arguments.run(arguments))
    finally:
        sys.stdout.flush()  # Python would flush it at exit, too late to report a failure; `--help` ends with SystemExit


def _find_command(argv: Sequence[str]) -> Command | None:
    return next((each for each in COMMANDS if argv[:1] == [each.name]), None)


def _complete() -> None:
    """Answer a shell that completes a command line, with the options of its command alone, and end the process."""
    from app import completion

    completion.complete(parser_for(_find_command(completion.typed_so_far())))


def _refuse_unknown(parser: argparse.ArgumentParser, unknown: Sequence[str]) -> None:
    """End with the usage of the command itself, and the option that may have been meant."""
    options = [option for action in parser._actions for option in action.option_strings if option.startswith("--")]
    word = unknown[0].partition("=")[0]
    near = difflib.get_close_matches(word, options)
    hint = f"did you mean {near[0]}?" if near else f"`{parser.prog} --help` lists the options"
    parser.error(
        f"there is no option {word}: {hint}" if word.startswith("-") else f"{word} is one word too many: {hint}"
    )


def _make_streams_usable() -> None:
    """Open standard streams that were closed, on nothing, and have each spell out characters that it cannot show.

    Otherwise the next file that is opened would be taken for standard output, and a traceback be all that is shown.
    """
    for descriptor in (0, 1, 2):
        try:
            os.fstat(descriptor)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # it gets the lowest number that is free
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, "w"))  # noqa: PTH123, SIM115 - for as long as the process lives
        with suppress(AttributeError, ValueError):  # not a stream of the process
            getattr(sys, name).reconfigure(errors="backslashreplace")


# How a write to standard output fails: no space left, a quota, a limit on the size of files, a defective device.
_CANNOT_WRITE = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO})


def _discard_output() -> None:
    """Otherwise Python would try to write the rest at exit, and complain."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
