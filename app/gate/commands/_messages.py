"""What a command says on standard error: one line, beginning with the program's name."""

from __future__ import annotations

import sys
from contextlib import suppress
from typing import Final

from app.gate.reporters.escaping import one_line, without_commands

CANNOT: Final = 2  # the exit status where nothing was done

_ASCII = str.maketrans({"…": "...", "·": "-", "–": "-", "—": "-"})


def printable(text: str, encoding: str | None) -> str:
    """The text as far as the encoding has its characters."""
    encoding = encoding or "utf-8"
    try:
        text.encode(encoding)
    except UnicodeEncodeError:
        return text.translate(_ASCII).encode(encoding, "backslashreplace").decode(encoding)
    return text


def complain(message: str) -> None:
    with suppress(OSError):
        line = printable(without_commands(f"overproof: {one_line(message)}"), sys.stderr.encoding)
        print(line, file=sys.stderr, flush=True)


def refuse(message: str) -> int:
    """Say why nothing was done. Returns the exit status for that."""
    complain(message)
    return CANNOT
