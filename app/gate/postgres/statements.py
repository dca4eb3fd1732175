"""What an SQL statement does, judging by its text."""

from __future__ import annotations

import re

# What is shared by all databases: https://www.postgresql.org/docs/current/manage-ag-overview.html
_CLUSTER_WIDE = re.compile(
    r"\b(?:CREATE|ALTER|DROP)\s+(?:ROLE|USER|GROUP|DATABASE|TABLESPACE|SUBSCRIPTION|SYSTEM)\b", re.IGNORECASE
)


def is_cluster_wide(sql: str) -> bool:
    """Whether it changes what all databases of the server share, judging by its SQL text."""
    return _CLUSTER_WIDE.search(sql) is not None
