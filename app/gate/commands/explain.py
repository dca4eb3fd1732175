"""`overproof explain [CHECK]`: the documentation of the checks, from their own docstrings."""

from __future__ import annotations

import argparse
import sys
import textwrap
from pathlib import Path
from typing import Any

from app.gate.checks.base import Check
from app.gate.checks.pages import page_of
from app.gate.checks.registry import CHECKS, UnknownCheck, get_check
from app.gate.commands._documentation import render_index, render_page, render_pages
from app.gate.commands._help import HelpFormatter, completes, filled, plain, terminal_width
from app.gate.commands._messages import refuse
from app.gate.files import write_atomically

NAME = "name_of_check"
FORMATS = ("text", "markdown")


def add_parser(subparsers: Any) -> None:
    parser = subparsers.add_parser(
        "explain",
        description="Without CHECK: lists all checks, each with its default severity.",
        epilog="""\
Examples:

    overproof explain
    overproof explain table-rewrite
    overproof explain table-rewrite --format markdown
""",
        formatter_class=HelpFormatter,
        allow_abbrev=False,
    )
    name = parser.add_argument(NAME, metavar="CHECK", nargs="?", help="the id of a check, such as table-rewrite")
    completes(name, [check.id for check in CHECKS])
    parser.add_argument("--format", choices=FORMATS, default="text", help="(default: text)")
    parser.add_argument(
        "--output", metavar="DIRECTORY", type=Path, help="with --format markdown: write all pages there, and an index"
    )
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    name, is_markdown, directory = getattr(arguments, NAME), arguments.format == "markdown", arguments.output
    if directory is not None:
        if name is not None or not is_markdown:
            return refuse("--output writes the pages of all checks: use it with --format markdown and without CHECK")
        return _write_pages(directory)
    if name is None:
        sys.stdout.write(render_index() if is_markdown else f"{overview()}\n")
        return 0
    try:
        check = get_check(name)
    except UnknownCheck as error:
        return refuse(str(error))
    sys.stdout.write(render_page(check) if is_markdown else f"{explanation(check)}\n")
    return 0


def _write_pages(directory: Path) -> int:
    try:
        directory.mkdir(parents=True, exist_ok=True)
        for name, text in render_pages().items():
            write_atomically(directory / name, text)
    except OSError as error:
        return refuse(f"cannot write to {directory}: {error.strerror}")
    return 0


def overview() -> str:
    """For each check its id, its severity, and the first line of its page."""
    width = terminal_width()
    ids = max(len(check.id) for check in CHECKS)
    severities = max(len(check.severity) for check in CHECKS)
    lines: list[str] = []
    for each in CHECKS:
        start = f"{each.id:<{ids}}  {each.severity:<{severities}}  "
        lines += textwrap.wrap(
            plain(page_of(each).title), width, initial_indent=start, subsequent_indent=" " * len(start)
        )
    return "\n".join(lines)


def explanation(check: Check) -> str:
    """The page of one check, under its id and its severity, for the width of the terminal."""
    width = terminal_width()
    title = f"{check.id} ({check.severity})"
    page = page_of(check)
    lines = [title, "=" * len(title), "", *filled(f"{page.title}.", width)]
    sections = dict(page.sections)
    if check.aliases:
        sections["Former names"] = ", ".join(check.aliases)
    for name, text in sections.items():
        lines += ["", name, *filled(text, width, "    ")]
    return "\n".join(lines)
