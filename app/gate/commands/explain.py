"""`overproof explain [CHECK]`: what the checks are, from their own docstrings."""

from __future__ import annotations

import argparse
import sys
from typing import Any

from app.gate.checks.base import Check
from app.gate.checks.pages import page_of
from app.gate.checks.registry import CHECKS, UnknownCheck, get_check

NAME = "name_of_check"


def add_parser(subparsers: Any) -> None:
    parser = subparsers.add_parser(
        "explain",
        help="say what a check finds, why it hurts and how to mend it",
        description="Without a check: the list of all, each with how much its findings weigh unless a project says otherwise.",
        allow_abbrev=False,
    )
    parser.add_argument(NAME, metavar="CHECK", nargs="?", help="its id, such as table-rewrite")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    name = getattr(arguments, NAME)
    if name is None:
        print(overview())
        return 0
    try:
        print(explanation(get_check(name)))
    except UnknownCheck as error:
        print(f"overproof: {error}", file=sys.stderr)
        return 2
    return 0


def overview() -> str:
    """One line per check: its id, its severity, the first line of its page."""
    ids = max(len(check.id) for check in CHECKS)
    severities = max(len(check.severity) for check in CHECKS)
    return "\n".join(f"{each.id:<{ids}}  {each.severity:<{severities}}  {page_of(each).title}" for each in CHECKS)


def explanation(check: Check) -> str:
    """The page of one check, under its id and its severity."""
    title = f"{check.id} ({check.severity})"
    retired = f"\n\nAlso known as\n    {', '.join(check.aliases)}" if check.aliases else ""
    return f"{title}\n{'=' * len(title)}\n\n{page_of(check).text.strip()}{retired}"
