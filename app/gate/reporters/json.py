"""The report itself, `overproof-report/1`."""

from __future__ import annotations

import re

from app.gate.report.model import Report
from app.gate.reporters.escaping import UNSEEN

# Outside strings, JSON has no invisible characters but line feeds; so each one that is left can be written as an
# escape. "##[" starts a command in the log of a GitHub Actions job.
RISKY = re.compile(f"{UNSEEN.pattern}|(?<=##)\\[")


def render(report: Report) -> str:
    return without_risks(report.model_dump_json(indent=2)) + "\n"


def without_risks(document: str) -> str:
    """The same JSON, safe for a terminal and for the log of a job."""
    return RISKY.sub(_escape, document)


def _escape(match: re.Match[str]) -> str:
    """ "\\u009b"; two of them for a character beyond the basic plane."""
    units = match[0].encode("utf-16-be")
    return "".join(f"\\u{int.from_bytes(units[at : at + 2]):04x}" for at in range(0, len(units), 2))
