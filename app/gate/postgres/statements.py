"""What an SQL statement is about, judging by its text."""

from __future__ import annotations

import re

# What is not in one database alone: https://www.postgresql.org/docs/current/manage-ag-overview.html
_CLUSTER_WIDE = re.compile(
    r"\b(?:CREATE|ALTER|DROP)\s+(?:ROLE|USER|GROUP|DATABASE|TABLESPACE|SUBSCRIPTION|SYSTEM)\b", re.IGNORECASE
)


def is_cluster_wide(sql: str) -> bool:
    """Whether it changes what all databases share, judging by its text."""
    return _CLUSTER_WIDE.search(sql) is not None
