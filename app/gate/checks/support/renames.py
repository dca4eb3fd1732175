"""What is an older object under another name.

PostgreSQL identifies a table by its oid and a column by its number, which a rename keeps. A new table that looks like
one that is gone is another table.
"""

from __future__ import annotations

from collections.abc import Sequence

from app.gate.checks.support.statements import mentions
from app.gate.recording.model import Key, Statement, Step


def find_new_key(step: Step, key: Key) -> Key | None:
    """What an object that is gone is called now. None if it was dropped."""
    return next((each.after for each in step.renamed if each.before == key), None)


def is_renamed(step: Step, key: Key) -> bool:
    """Whether what seems to be new is an older object under another name."""
    return any(each.after == key for each in step.renamed)


def statements_on_column(step: Step, key: Key) -> Sequence[Statement]:
    """The statements that mention the column and its table."""
    return [each for each in step.statements if mentions(each, key.name) and mentions(each, key.table)]
