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


def is_plain(sql: str) -> bool:
    """Whether it is one statement that reads no rows for the script, and inserts none: what it does is what it says."""
    is_single = ";" not in sql.strip().rstrip(";")
    return is_single and _PLAIN.match(sql) is not None and _INSERTS.search(sql) is None


# A script that reads may write what it has read.
_PLAIN = re.compile(
    r"""\s*(?:ALTER\s+(?:TABLE|TYPE)|CREATE\s+(?:TABLE|TYPE|(?:UNIQUE\s+)?INDEX)|DROP\s+(?:TABLE|TYPE|INDEX)
    |COMMENT\s+ON|DELETE\s+FROM|UPDATE|SELECT\s+pg_catalog\.|SET\s+(?:LOCAL\s+|SESSION\s+)?(?:lock|statement)_timeout)\b""",
    re.IGNORECASE | re.VERBOSE,
)
_INSERTS = re.compile(r"\b(?:INSERT|MERGE|AS\s*\(?\s*(?:SELECT|WITH|VALUES|TABLE|EXECUTE))\b", re.IGNORECASE)
