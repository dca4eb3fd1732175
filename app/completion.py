"""`overproof completion SHELL`: what a shell has to run, so that it completes subcommands, options and their values."""

from __future__ import annotations

import argparse
import os
from typing import Any

from app.help import HelpFormatter

SHELLS = ("bash", "zsh", "fish")


def add_parser(subparsers: Any) -> None:
    parser: argparse.ArgumentParser = subparsers.add_parser(
        "completion",
        description="Prints what makes a shell complete subcommands, options, and values such as the ids of checks.",
        epilog="""\
Examples:

    eval "$(overproof completion bash)"        # in ~/.bashrc
    eval "$(overproof completion zsh)"         # in ~/.zshrc
    overproof completion fish | source         # in ~/.config/fish/config.fish
""",
        formatter_class=HelpFormatter,
    )
    parser.add_argument("shell", choices=SHELLS, help="the shell")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    import argcomplete

    print(argcomplete.shellcode(["overproof"], shell=arguments.shell))
    return 0


def typed_so_far() -> list[str]:
    """The words of the command line that is being completed."""
    return os.environ.get("COMP_LINE", "").split()[1:]


def complete(parser: argparse.ArgumentParser) -> None:
    """Answer the shell, and end the process."""
    import argcomplete

    argcomplete.autocomplete(parser, always_complete_options="long")
