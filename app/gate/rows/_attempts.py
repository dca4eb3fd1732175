"""What is tried over the rows of one revision, and in which order."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from app.gate.recording.model import Failure, RowKind
from app.gate.rows._hostile import Aim


class Attempt(NamedTuple):
    kind: RowKind | None  # of the rows; None: none
    json_in_text: bool = False
    aims: Sequence[Aim] = ()  # the rules that one of them each breaks
    cleanups: Sequence[str] = ()  # statements of earlier revisions, which are run over the rows first


WITHOUT_ROWS = Attempt(None)
ATTEMPTS = (Attempt(RowKind.EDGE_CASES), Attempt(RowKind.ORDINARY), WITHOUT_ROWS)
ATTEMPTS_WITH_JSON = (Attempt(RowKind.EDGE_CASES, True), Attempt(RowKind.ORDINARY, True), WITHOUT_ROWS)


def may_want_json(failure: Failure) -> bool:
    """Whether an upgrade may have failed on the values of the rows: the script may expect JSON in a text."""
    return failure.sqlstate is None or failure.sqlstate.startswith("22")
