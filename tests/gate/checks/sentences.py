"""What is wrong with the words of a finding, whatever they say."""

from __future__ import annotations

import re
from collections.abc import Iterator

from app.gate.checks.base import Finding
from app.gate.reporters._paragraphs import runs_of

# Where a word is missing: two blanks, a blank before a stop, nothing between quotes or brackets.
GAP = re.compile(r"\S  |\s[.,;:](?:\s|$)|(?<!`)``(?!`)|(?<![\w\"'`])\(\)|[.,;:][.,;](?!\.)")


def faults_of(finding: Finding) -> Iterator[str]:
    """A message is one line; advice has paragraphs, and code in which a person or a program can tell where it ends."""
    yield from _faults_of_prose(finding.message)
    if "\n" in finding.message or finding.message.endswith(":"):
        yield "the message is not one line"
    for name in ("detail", "help", "object", "revision", "path"):
        if getattr(finding, name) == "":
            yield f"{name} is empty"
    for is_code, lines in runs_of((finding.help or "").split("\n")):
        if not is_code:
            yield from _faults_of_prose(" ".join(lines).strip())
    if (finding.help or "").rstrip() != (finding.help or ""):
        yield f"the help ends with space: {finding.help!r}"


def _faults_of_prose(text: str) -> Iterator[str]:
    if not re.match(r"[\w`\"'(“]", text):
        yield f"this does not begin like a sentence: {text!r}"
    if not re.search(r"[.:?!)]$", text):
        yield f"this does not end like a sentence: {text!r}"
    without_code = re.sub(r"`[^`]+`|\"[^\"]*\"", "x", text)
    if gap := GAP.search(without_code):
        yield f"a word is missing at {gap[0]!r}: {text!r}"
