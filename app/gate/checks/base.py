"""What a check is made of."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from app.gate.recording.model import Evidence, Recording
from app.gate.report.verdict import Severity


@dataclass(frozen=True)
class Finding:
    """One thing that one check saw. What it leaves out (check, severity, path, line) is filled in from the check and the
    revision's script when the report is put together."""

    message: str  # one line: what happened, to what, and who suffers
    subject: str  # what tells it from others of its check, revision and object, in words that never change: see `subjects.py`
    revision: str | None = None
    object: str | None = None  # "public.orders.note"
    detail: str | None = None  # the statement, or the two definitions that differ
    help: str | None = None  # how to mend it, with the user's own names
    path: str | None = None
    line: int | None = None
    severity: Severity | None = None  # where it is not the check's own
    is_of_all: bool = False  # says once what other walks through the same scripts need not say of each revision
    direction: str = "upgrade"  # without a `line`, the finding points at `def upgrade` or at `def downgrade`

    def __post_init__(self) -> None:
        if not self.subject:
            raise ValueError(f"a finding needs a subject: {self.message}")


class CheckSkipped(Exception):
    """An outcome, not an error. Raised by `examine` when what it judges could not be observed. The argument is the reason, for people."""


@dataclass(frozen=True)
class Check:
    """One rule. Its documentation is the docstring of the module that defines it."""

    id: str
    severity: Severity
    examine: Callable[[Recording], Iterable[Finding]]
    needs: frozenset[Evidence] = frozenset()  # of a recording: what no check of a run needs is not recorded
    aliases: tuple[str, ...] = ()  # retired ids that people may have written down
