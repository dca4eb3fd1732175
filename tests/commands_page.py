"""Writes docs/commands.md, the command line on one page, from the parsers: `python -m tests.commands_page`.

It is made from what the parsers consist of, not from the text of `--help`, whose layout is another one with each version of Python.
"""

from __future__ import annotations

import argparse
import re
from collections.abc import Iterator
from pathlib import Path

from app.cli import COMMANDS, parser_for
from app.help import filled

PAGE = Path(__file__).parents[1] / "docs" / "commands.md"
WIDTH = 100
OF_ARGPARSE = ("positional arguments", "options")


def commands_page() -> str:
    """The page, in Markdown."""
    return "\n".join(_lines()).rstrip() + "\n"


def _lines() -> Iterator[str]:
    yield from (
        "# The command line",
        "",
        "What `--help` says, on one page: made by `python -m tests.commands_page`.",
        "",
    )
    yield from _of_parser(parser_for(None))
    for command in COMMANDS:
        yield from _of_command(_subcommands(parser_for(command))[command.name], "##")


def _of_command(parser: argparse.ArgumentParser, heading: str) -> Iterator[str]:
    yield from (f"{heading} {parser.prog}", "", f"`{_usage(parser)}`", "")
    yield from _of_parser(parser)
    for each in _subcommands(parser).values():
        yield from _of_command(each, f"{heading}#")


def _subcommands(parser: argparse.ArgumentParser) -> dict[str, argparse.ArgumentParser]:
    of_commands = [each for each in parser._actions if isinstance(each, argparse._SubParsersAction)]
    return {name: each for action in of_commands for name, each in action.choices.items()}


def _of_parser(parser: argparse.ArgumentParser) -> Iterator[str]:
    if parser.description:
        yield from (*filled(parser.description, WIDTH), "")
    for group in parser._action_groups:
        rows = [row for action in group._group_actions for row in _rows(parser, action)]
        if rows and group.title not in OF_ARGPARSE:
            yield from (f"{str(group.title).capitalize()}:", "")
        if rows:
            title = "option" if any(action.option_strings for action in group._group_actions) else "argument"
            for cells in ((title, "meaning"), ("---", "---"), *rows):
                yield f"| {' | '.join(map(_cell, cells))} |"
            yield ""
    if parser.epilog:
        yield from (*filled(parser.epilog, WIDTH), "")


def _usage(parser: argparse.ArgumentParser) -> str:
    """The parser's own, or the words that must be typed and the place of the others."""
    if parser.usage is not None:
        return parser.usage
    required = [_typed(action, action.option_strings[0]) for action in _options(parser) if action.required]
    words = [_typed(action) for action in parser._actions if not action.option_strings]
    others = ["[options]"] if len(required) < len(_options(parser)) else []
    return " ".join((parser.prog, *required, *others, *words))


def _options(parser: argparse.ArgumentParser) -> list[argparse.Action]:
    return [each for each in parser._actions if each.option_strings and not isinstance(each, argparse._HelpAction)]


def _rows(parser: argparse.ArgumentParser, action: argparse.Action) -> Iterator[tuple[str, str]]:
    """What is typed, and what it means."""
    if isinstance(action, argparse._SubParsersAction):
        for each in action._choices_actions:
            anchor = f"{parser.prog} {each.dest}".replace(" ", "-")
            yield f"[`{each.dest}`](#{anchor})", _meaning(parser, each)
    elif not isinstance(action, argparse._HelpAction):
        names = [_typed(action, name) for name in action.option_strings] or [_typed(action)]
        yield ", ".join(f"`{name}`" for name in names), "; ".join(_remarks(parser, action))


def _remarks(parser: argparse.ArgumentParser, action: argparse.Action) -> Iterator[str]:
    yield _meaning(parser, action)
    if action.option_strings and action.required:
        yield "required"
    for group in parser._mutually_exclusive_groups:
        others = [f"`{each.option_strings[0]}`" for each in group._group_actions if each is not action]
        if action in group._group_actions and others:
            yield f"either this or {' or '.join(others)}" if group.required else f"not with {' or '.join(others)}"


def _typed(action: argparse.Action, option: str = "") -> str:
    """`--base REF`, `[CHECK]`."""
    if option and action.nargs == 0:
        return option
    if action.metavar is None and action.choices is not None:
        value = "{" + ",".join(map(str, action.choices)) + "}"
    else:
        value = str(action.metavar or (action.dest.upper() if option else action.dest))
    value = {"?": f"[{value}]", "*": f"[{value} …]", "+": f"{value} …"}.get(str(action.nargs), value)
    return f"{option} {value}".strip()


def _meaning(parser: argparse.ArgumentParser, action: argparse.Action) -> str:
    return (action.help or "") % {**vars(action), "prog": parser.prog}


def _cell(text: str) -> str:
    return re.sub(r"\s+", " ", text).strip().replace("|", "\\|")


if __name__ == "__main__":
    PAGE.write_text(commands_page(), encoding="utf-8")
