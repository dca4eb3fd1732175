"""What patterns need to know of the text of a statement that a script has sent."""

from __future__ import annotations

import re

NAME = r'(?:"(?:[^"]|"")+"|[A-Za-z_]\w*)'
_COMMENT = re.compile(r"--[^\n]*|/\*.*?\*/", re.DOTALL)
_TEXT = re.compile(r"'(?:[^']|'')*'")


def without_comments(sql: str) -> str:
    return _COMMENT.sub(" ", sql)


def without_texts(sql: str) -> str:
    """Without what is in single quotes, and without comments."""
    return without_comments(_TEXT.sub("''", sql))
