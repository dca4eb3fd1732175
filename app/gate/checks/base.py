"""What a check is made of."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from app.gate.recording.model import Evidence, Recording
from app.gate.report.verdict import Severity


@dataclass(frozen=True)
class Assumption:
    """What a revision assumes of a live database: this query gives no rows there, on the schema before it."""

    sql: str


@dataclass(frozen=True)
class Finding:
    """One thing that a check found. What it leaves out (check, severity, path, line) is added from the check and the
    revision's script when the report is written."""

    message: str  # one line: what happened, to what, and what it affects
    subject: str  # distinguishes it from others of its check, revision and object, and never changes: see `subjects.py`
    revision: str | None = None
    object: str | None = None  # "public.orders.note"
    detail: str | None = None  # the statement, or the two definitions that differ
    help: str | None = None  # how to fix it, with the user's own names
    path: str | None = None
    line: int | None = None
    severity: Severity | None = None  # where it is not the check's own
    is_of_all: bool = False  # covers what other walks of the same scripts find for each revision
    tables: tuple[str, ...] = ()  # whose size says what it costs, where these are not what `object` names
    assumption: Assumption | None = None  # under which the revision is right
    direction: str = "upgrade"  # without a `line`, the finding points at `def upgrade` or at `def downgrade`

    def __post_init__(self) -> None:
        if not self.subject:
            raise ValueError(f"a finding needs a subject: {self.message}")


class CheckSkipped(Exception):
    """An outcome, not an error. Raised by `examine` when what it judges could not be observed. The argument is the
    reason, human-readable."""


@dataclass(frozen=True)
class Check:
    """One rule. Its documentation is the docstring of the module that defines it."""

    id: str
    severity: Severity
    examine: Callable[[Recording], Iterable[Finding]]
    needs: frozenset[Evidence] = frozenset()  # in a recording: what no check of a run needs is not recorded
    aliases: tuple[str, ...] = ()  # retired ids that comments and settings may still use
