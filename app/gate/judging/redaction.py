"""Text that came from a project, safe to keep and without passwords."""

from __future__ import annotations

import re

# Text that came from a project


CREDENTIALS = re.compile(r"(://[^\s:/@]*:)[^\s@]+(@)")


def redact(text: str) -> str:
    """Text that every reader of a report can take, and that gives no password away.

    A NUL cannot be stored in PostgreSQL, and half of a surrogate pair (a file name that is not UTF-8) cannot be
    encoded: both are spelt out. Other control characters stay, and each reporter makes of them what its format needs.
    """
    text = text.replace("\0", "\\0").encode("utf-8", "backslashreplace").decode("utf-8")
    return CREDENTIALS.sub(r"\1***\2", text)


def redact_or_none(text: str | None) -> str | None:
    return None if text is None else redact(text)
