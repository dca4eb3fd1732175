"""Text from a project, safe to store and without passwords."""

from __future__ import annotations

import re

CREDENTIALS = re.compile(r"(://[^\s:/@]*:)[^\s@]+(@)")


def redact(text: str) -> str:
    """Text that every program which reads a report accepts, without passwords.

    A NUL cannot be stored in PostgreSQL, and half of a surrogate pair (a file name that is not UTF-8) cannot be
    encoded: both are spelled out. Other control characters remain, and each reporter escapes them as its format
    requires.
    """
    text = text.replace("\0", "\\0").encode("utf-8", "backslashreplace").decode("utf-8")
    return CREDENTIALS.sub(r"\1***\2", text)


def redact_or_none(text: str | None) -> str | None:
    return None if text is None else redact(text)
