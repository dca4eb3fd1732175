"""What an SQL statement does, judging by its text."""

from __future__ import annotations

import re

# What is shared by all databases: https://www.postgresql.org/docs/current/manage-ag-overview.html
_CLUSTER_WIDE = re.compile(
    r"\b(?:CREATE|ALTER|DROP)\s+(?:ROLE|USER|GROUP|DATABASE|TABLESPACE|SUBSCRIPTION|SYSTEM)\b", re.IGNORECASE
)


# A definition that PostgreSQL is given literally, or a change of rows.
_LITERAL = re.compile(
    r"\s*(?:(?:CREATE|ALTER|DROP)\s+(?:UNIQUE\s+)?(?:TABLE|INDEX|TYPE|SEQUENCE|VIEW|SCHEMA|DOMAIN)\b|COMMENT\s+ON\b|INSERT\b"
    r"|UPDATE\b|DELETE\b|SELECT pg_catalog\.)[^;]*;?\s*",
    re.IGNORECASE,
)


def is_literal(sql: str) -> bool:
    """Whether it makes the same of a schema each time, unlike a DO block or a function call, unless there are event
    triggers."""
    return _LITERAL.fullmatch(sql) is not None


def is_cluster_wide(sql: str) -> bool:
    """Whether it changes what all databases of the server share, judging by its SQL text."""
    return _CLUSTER_WIDE.search(sql) is not None
