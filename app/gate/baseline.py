"""The findings that an old project accepted on the day it adopted the gate, so that only new ones stop it.

A JSON file beside the migrations, `overproof-baseline/1`. Only the fingerprints are read back; the rest is there so that
a person who reviews a change of the file sees what is being accepted.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from app.gate.report import IN_BASELINE, FindingEntry

FORMAT = "overproof-baseline/1"


class BaselineError(Exception):
    """A baseline that cannot be used. One line for people that says what to do."""


@dataclass(frozen=True)
class Baseline:
    """Accepted fingerprints, and the reason that a report gives for accepting them."""

    name: str  # of the file, as the user wrote it
    fingerprints: frozenset[str] = frozenset()

    @property
    def reason(self) -> str:
        return f"{IN_BASELINE} {self.name}"


def read_baseline(path: Path, name: str) -> Baseline:
    """Raises BaselineError."""
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise BaselineError(f"there is no baseline {name}: make it with --write-baseline") from None
    except (OSError, UnicodeDecodeError, ValueError) as error:
        raise BaselineError(f"the baseline {name} cannot be read: {error}") from error
    try:
        if document["format"] != FORMAT:
            raise BaselineError(f"the baseline {name} is of the format {document['format']!r}, not {FORMAT!r}")
        return Baseline(name, frozenset(str(finding["fingerprint"]) for finding in document["findings"]))
    except (KeyError, TypeError):
        raise BaselineError(f"{name} is not a baseline: make it anew with --write-baseline") from None


def render_baseline(findings: Iterable[FindingEntry]) -> str:
    """The file's text: one finding per line, sorted, so that a change of it reads well in a review."""
    lines = [
        json.dumps(
            {
                "fingerprint": finding.fingerprint,
                "check": finding.check,
                "revision": finding.revision,
                "object": finding.object,
                "message": finding.message,
            },
            ensure_ascii=False,
        )
        for finding in sorted(findings, key=lambda each: (each.check, each.revision or "", each.fingerprint))
    ]
    body = ",\n".join(f"    {line}" for line in lines)
    return f'{{\n  "format": "{FORMAT}",\n  "findings": [\n{body}\n  ]\n}}\n'
