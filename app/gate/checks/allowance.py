"""A comment in a revision's script that accepts a finding, but is not right.

Catches
    A comment that accepts a finding without a reason, one that names a check which does not exist, one that does not
    have the form below, and (as a notice) one that accepts nothing, because there is no such finding.

Why it hurts
    A maintainer who reads the script next year sees that a warning was silenced, but not why, and cannot tell whether
    the reason still holds. A comment with a typo accepts nothing, while its author believes that it does.

How to fix
    Write the check and the reason, on a separate line or after a statement::

        # overproof: allow blocking-index: the table has 40 rows, and will never have many more

    It holds for the whole revision. Several checks may share a reason: ``allow blocking-index, lock-timeout: …``.
    Without a reason it accepts nothing. Remove it when it accepts nothing any more.

Stays quiet when
    The check was not run, or could not judge the revision: then nothing is known about the comment either.
"""

from __future__ import annotations

from collections.abc import Iterator

from app.gate.checks.base import Check, Finding
from app.gate.history.allowances import FORM
from app.gate.recording.model import Recording
from app.gate.report.verdict import Severity


def examine(recording: Recording) -> Iterator[Finding]:
    """What the comments alone show. Whether one names a real check, and accepts anything, is found in
    `judging/allowances.py`."""
    for revision in recording.graph.revisions:
        for allowance in revision.allowances:
            if not allowance.check:
                yield Finding(
                    "This comment is addressed to Overproof, but does not have the right form.",
                    "not-understood",
                    revision=revision.revision,
                    detail=allowance.reason,
                    help=f"Write it as `{FORM}`.",
                    line=allowance.line,
                )
            elif not allowance.reason:
                yield Finding(
                    f"This comment allows {allowance.check} without a reason, so it accepts nothing.",
                    "no-reason",
                    revision=revision.revision,
                    object=allowance.check,
                    help=f"Give the reason: `{FORM.replace('<check>', allowance.check)}`.",
                    line=allowance.line,
                )


CHECK = Check(id="allowance", severity=Severity.WARNING, examine=examine)
