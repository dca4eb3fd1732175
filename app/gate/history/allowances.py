"""`# overproof: allow <check>: <reason>` in a script: how such a comment is read."""

from __future__ import annotations

import io
import re
import tokenize
from collections.abc import Iterator

from app.gate.recording.model import Allowance

# Searched for within a comment, since it may follow a directive for another tool.
MARKER = re.compile(r"#\s*overproof\s*:\s*(?P<rest>.*)", re.IGNORECASE)
ALLOW = re.compile(r"allow\s+(?P<checks>[\w-]+(?:\s*,\s*[\w-]+)*)\s*(?::\s*(?P<reason>.*))?$", re.IGNORECASE)
FORM = "# overproof: allow <check>: <reason>"


def parse_allowances(source: str) -> tuple[Allowance, ...]:
    """What the comments of a script accept, in the order of its lines.

    Only comments count, not strings that look like them. A comment that starts with `# overproof:` and has no known
    form is returned with an empty `check`, so that a typo is reported rather than overlooked.
    """
    return tuple(
        allowance for line, comment in _comments(source) for allowance in _allowances_of_comment(line, comment)
    )


def _comments(source: str) -> Iterator[tuple[int, str]]:
    if "overproof" not in source.lower():
        return  # Nearly every script: no need to tokenize it.
    try:
        for token in tokenize.generate_tokens(io.StringIO(source).readline):
            if token.type == tokenize.COMMENT:
                yield token.start[0], token.string
    except (tokenize.TokenError, SyntaxError):
        return  # A script that Python cannot read is a separate finding; comments before the error count.


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
