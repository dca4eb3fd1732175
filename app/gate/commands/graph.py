"""`overproof graph`: the revision graph, from the scripts alone.

It starts no PostgreSQL and no command of the project, and imports nothing of it, so that it takes as long as reading
the scripts. A history that is sound is silent; only for a finding is the report, which takes long to import, made.

Exit status: 0 sound, 1 failed by findings, 2 could not be read.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from app.gate.checks import graph_integrity, merged_history, single_head
from app.gate.checks.base import Check
from app.gate.commands._help import HelpFormatter
from app.gate.commands._messages import CANNOT, printable, refuse
from app.gate.commands._options import Output, check_writable
from app.gate.configuration import NO_CHECK_SELECTED, Configuration, read_configuration
from app.gate.errors import CannotVerify, UsageError
from app.gate.files import write_atomically
from app.gate.history.choose_base import choose_base
from app.gate.history.git_base import compare_with_base
from app.gate.history.graph import read_graph
from app.gate.history.scripts import Script
from app.gate.history.scripts_as_text import describe_scripts
from app.gate.judging.weighing import run_checks
from app.gate.recording.model import Recording
from app.gate.target.script_locations import ScriptLocations, find_script_locations, target_of

CHECKS: tuple[Check, ...] = (single_head.CHECK, graph_integrity.CHECK, merged_history.CHECK)
PICTURES = ("svg", "mermaid")
DEFAULT_COMMAND = ("alembic", "upgrade", "head")


def add_parser(subparsers: Any) -> None:
    parser = subparsers.add_parser(
        "graph",
        description="Reads the revisions' scripts as text: nothing of the project is run or imported, and no database is"
        f" needed. With --check: {', '.join(check.id for check in CHECKS)}; silent where nothing is found. COMMAND is that of"
        " `overproof verify`, and is not run either: it names the Alembic configuration, and whether all heads are upgraded.",
        epilog="""\
Exit status: 0 sound, 1 failed by findings, 2 could not be read.

Examples:

    overproof graph
    overproof graph --output svg:graph.svg
    overproof graph --check
    overproof graph --check -- alembic -c deploy/alembic.ini upgrade heads
""",
        formatter_class=HelpFormatter,
        allow_abbrev=False,
        usage="overproof graph [options] [-- COMMAND …]",
    )
    parser.add_argument(
        "command_words", metavar="COMMAND", nargs="*", help="the command that upgrades the project's database"
    )
    what = parser.add_mutually_exclusive_group()
    what.add_argument("--check", action="store_true", help="report what is wrong instead of listing the revisions")
    what.add_argument(
        "--output",
        metavar="FORMAT[:PATH]",
        help=f"draw them: {' or '.join(PICTURES)}, which GitHub and GitLab show in Markdown; to PATH, or else to standard output."
        " New revisions stand out, and long stretches in which nothing happens are folded",
    )
    parser.add_argument(
        "--base",
        metavar="REF|auto|none",
        help="the Git ref whose revisions are merged and must stay as they are (default: auto, as in overproof verify)",
    )
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    directory = Path.cwd()
    try:
        configuration = read_configuration(directory)
        if arguments.command_words:
            configuration = replace(configuration, command=tuple(arguments.command_words))
        command = configuration.command or DEFAULT_COMMAND
        locations = find_script_locations(command, directory)
        base = arguments.base or configuration.base
        if arguments.output is not None:
            picture = read_picture(arguments.output)
            return _draw(_read(locations, directory, command, choose_base(base, directory, os.environ).ref), picture)
        if not arguments.check:
            return _list(_read(locations, directory, command))
        if all(configuration.deselects(check) is not None for check in CHECKS):
            raise UsageError(NO_CHECK_SELECTED)
        return _check(configuration, locations, directory, command, base)
    except CannotVerify as error:
        return refuse(str(error))


def _check(
    configuration: Configuration, locations: ScriptLocations, directory: Path, command: tuple[str, ...], asked: str
) -> int:
    base = choose_base(asked, directory, os.environ).ref
    recording = _read(locations, directory, command, base)
    if not any(each.findings or each.crash for each in run_checks([recording], configuration, CHECKS)):
        return 0
    # With the lines of functions and the digests by which findings are recognised: these take long to read.
    recording = _read(locations, directory, command, base, is_complete=True)
    return _report(recording, configuration, directory)


def _read(
    locations: ScriptLocations,
    directory: Path,
    command: tuple[str, ...],
    base: str | None = None,
    *,
    is_complete: bool = False,
) -> Recording:
    """The history as a recording of nothing else. Raises CannotVerify."""
    described, scripts = describe_scripts(locations.folders, is_recursive=locations.is_recursive)
    if not described["revisions"] and not described["warnings"] and described["error"] is None:
        raise CannotVerify(f"nothing to check: there are no revisions in {', '.join(map(str, locations.folders))}")
    known: Mapping[str, Script] = {} if is_complete else {each.sha256: each for each in scripts}
    graph = read_graph({**described, "refusal": _refusal(described, command)}, directory, known)
    divergence = None
    if base is not None:
        graph, divergence = compare_with_base(graph, locations.folders, directory, base, locations.env / "env.py")
    return Recording(locations.name, "", "", "", graph, base=divergence)


def _refusal(described: Mapping[str, Any], command: tuple[str, ...]) -> str | None:
    """What Alembic would say, in its words, if the command asked for one head where there are several."""
    if len(described["heads"]) < 2 or target_of(command) != "head":
        return None
    return (
        "Multiple head revisions are present for given argument 'head'; please specify a specific target revision,"
        " '<branchname>@head' to narrow to a specific head, or 'heads' for all heads"
    )


def _report(recording: Recording, configuration: Configuration, directory: Path) -> int:
    from app.gate.checks import allowance
    from app.gate.commands._delivery import STATUSES
    from app.gate.judging.baseline import read_baseline
    from app.gate.judging.judge import judge
    from app.gate.reporters.text import render_findings

    baseline = None
    if configuration.baseline is not None and (directory / configuration.baseline).is_file():
        baseline = read_baseline(directory / configuration.baseline, str(configuration.baseline))
    # Whether a comment accepts something is known only where all checks are run.
    configuration = replace(configuration, ignore=configuration.ignore | {allowance.CHECK.id})
    report = judge([recording], configuration, baseline=baseline, checks=CHECKS)
    if report.reason is not None:
        return refuse(report.reason)
    sys.stdout.write(printable(render_findings(report), sys.stdout.encoding))
    return STATUSES.get(report.verdict, CANNOT)


def read_picture(text: str) -> Output:
    """Raises UsageError."""
    name, colon, path = text.partition(":")
    if name not in PICTURES or (colon and not path):
        raise UsageError(
            f"--output: {text!r} is neither {' nor '.join(PICTURES)}, with a file as in svg:graph.svg or without"
        )
    if not path:
        return Output(name)
    check_writable("--output", Path(path))
    return Output(name, Path(path))


def _draw(recording: Recording, picture: Output) -> int:
    from app.gate.judging.entries import graph_entry
    from app.gate.reporters.html.graph import mermaid, revision_graph, standalone
    from app.gate.reporters.html.page import style_of_pictures

    if recording.graph.problems:
        return _refuse_broken(recording)
    graph = graph_entry([recording])
    text = mermaid(graph) if picture.format == "mermaid" else standalone(revision_graph(graph), style_of_pictures())
    if picture.path is None:
        sys.stdout.write(printable(text, sys.stdout.encoding))
        return 0
    try:
        write_atomically(picture.path, text)
    except OSError as error:
        return refuse(f"cannot write {picture.path}: {error.strerror or error}")
    return 0


def _refuse_broken(recording: Recording) -> int:
    return refuse(f"{recording.graph.problems[0].message}: overproof graph --check says more")


def _list(recording: Recording) -> int:
    if recording.graph.problems:
        return _refuse_broken(recording)
    for line in _lines(recording):
        print(printable(line, sys.stdout.encoding))
    return 0


def _lines(recording: Recording) -> Iterator[str]:
    """The newest revision first, each with those that it follows."""
    heads = set(recording.graph.heads)
    for each in reversed(recording.graph.revisions):
        marks = [*(["head"] if each.revision in heads else []), *each.branch_labels]
        after = ", ".join(each.down_revisions) or "nothing"
        depends = f", depends on {', '.join(each.depends_on)}" if each.depends_on else ""
        mark = f" ({', '.join(marks)})" if marks else ""
        yield f"{each.revision}{mark} after {after}{depends}: {each.message}"
