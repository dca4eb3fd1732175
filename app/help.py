"""Prose and code for the width of the terminal: `--help` and `overproof explain`."""

from __future__ import annotations

import argparse
import re
import shutil
import textwrap
from collections.abc import Iterable, Iterator

NARROWEST, WIDEST = 40, 100  # columns in which prose is easy to read


def terminal_width() -> int:
    return max(NARROWEST, min(shutil.get_terminal_size().columns, WIDEST))


def completes(action: argparse.Action, values: Iterable[str]) -> None:
    """Have a shell complete the values of that option: those, as argcomplete calls for them."""
    vars(action)["completer"] = lambda **context: list(values)


class HelpFormatter(argparse.HelpFormatter):
    """Fills the paragraphs of descriptions; what is indented, such as an example, stays as it is."""

    def __init__(self, prog: str) -> None:
        super().__init__(prog, max_help_position=28, width=terminal_width())

    def _fill_text(self, text: str, width: int, indent: str) -> str:
        return "\n".join(filled(text, width, indent))


def filled(text: str, width: int, indent: str = "") -> Iterator[str]:
    """Paragraphs and items of lists for that width. A block that is indented, or follows "::", is kept line by line."""
    lines = text.expandtabs(4).strip("\n").split("\n")
    at = 0
    while at < len(lines):
        if not lines[at].strip():
            yield ""
            at += 1
            continue
        margin = len(lines[at]) - len(lines[at].lstrip())
        if margin and not re.match(r"\s*[-*] ", lines[at]):
            yield f"{indent}{lines[at]}".rstrip()
            at += 1
            continue
        start = at
        at += 1
        while at < len(lines) and lines[at].strip() and not re.match(r"[-*] |\s{4}", lines[at]):
            at += 1
        prose = " ".join(line.strip() for line in lines[start:at])
        item = re.match(r"[-*] ", prose)
        prose = plain(prose)
        yield from textwrap.wrap(
            prose,
            width,
            initial_indent=indent,
            subsequent_indent=indent + ("  " if item else ""),
            break_long_words=False,
            break_on_hyphens=False,
        )


def plain(prose: str) -> str:
    """Without the marks of reStructuredText that a reader of a terminal does not need."""
    prose = re.sub(r"``([^`]+)``", r"`\1`", prose)
    prose = re.sub(r":\w+:`([^`]+)`", r"`\1`", prose)
    return re.sub(r"\s*::$", ":", prose)
