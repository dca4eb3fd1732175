"""A comment in a revision's script that accepts a finding, and is not right.

Catches
    A comment that accepts a finding without saying why, one that names a check which does not exist, one that is not
    of the form below, and (as a notice) one that accepts nothing, because no such finding is left.

Why it hurts
    Whoever reads the script next year sees that a warning was silenced and not why; so they cannot tell whether the
    reason still holds. A comment with a slip of the pen accepts nothing, while its author believes that it does.

How to fix
    Write the check and the reason, on a line of its own or behind a statement::

        # overproof: allow blocking-index: the table has 40 rows, and will never have many more

    It holds for the whole revision. Several checks may share a reason: ``allow blocking-index, lock-timeout: …``.
    Without a reason it accepts nothing. Remove it when it accepts nothing any more.

Stays quiet when
    The check was not run, or could not judge the revision: then nothing is known about the comment either.
"""

from __future__ import annotations

import io
import re
import tokenize
from collections.abc import Iterator

from app.gate.checks.base import Check, Finding
from app.gate.recording.model import Allowance, Recording
from app.gate.report.verdict import Severity

# Looked for within a comment, since it may follow what is meant for another tool.
MARKER = re.compile(r"#\s*overproof\s*:\s*(?P<rest>.*)", re.IGNORECASE)
ALLOW = re.compile(r"allow\s+(?P<checks>[\w-]+(?:\s*,\s*[\w-]+)*)\s*(?::\s*(?P<reason>.*))?$", re.IGNORECASE)
FORM = "# overproof: allow <check>: <reason>"


def parse_allowances(source: str) -> tuple[Allowance, ...]:
    """What the comments of a script accept, in the order of its lines.

    Only comments count, not strings that look like them. One that starts with `# overproof:` and goes on in no way
    that we know comes back with an empty `check`, so that a slip of the pen is reported rather than overlooked.
    """
    return tuple(
        allowance for line, comment in _comments(source) for allowance in _allowances_of_comment(line, comment)
    )


def _comments(source: str) -> Iterator[tuple[int, str]]:
    if "overproof" not in source.lower():
        return  # Nearly every script: not worth a tokenizer.
    try:
        for token in tokenize.generate_tokens(io.StringIO(source).readline):
            if token.type == tokenize.COMMENT:
                yield token.start[0], token.string
    except (tokenize.TokenError, SyntaxError):
        return  # A script that Python cannot read is a finding of its own; what came before the error counts.


def _allowances_of_comment(line: int, comment: str) -> Iterator[Allowance]:
    marker = MARKER.search(comment)
    if marker is None:
        return
    allow = ALLOW.match(marker["rest"].strip())
    if allow is None:
        yield Allowance(check="", reason=comment.strip(), line=line)
        return
    for check in allow["checks"].split(","):
        yield Allowance(check=check.strip(), reason=(allow["reason"] or "").strip(), line=line)


def examine(recording: Recording) -> Iterator[Finding]:
    """What the comments alone tell. Whether one names a real check, and accepts anything, `judge` finds out."""
    for revision in recording.graph.revisions:
        for allowance in revision.allowances:
            if not allowance.check:
                yield Finding(
                    "This comment is meant for Overproof, which does not understand it.",
                    "not-understood",
                    revision=revision.revision,
                    detail=allowance.reason,
                    help=f"Write it as `{FORM}`.",
                    line=allowance.line,
                )
            elif not allowance.reason:
                yield Finding(
                    f"{allowance.check} is to be allowed here without a reason, so it is not.",
                    "no-reason",
                    revision=revision.revision,
                    object=allowance.check,
                    help=f"Say why: `{FORM.replace('<check>', allowance.check)}`.",
                    line=allowance.line,
                )


CHECK = Check(id="allowance", severity=Severity.WARNING, examine=examine)
