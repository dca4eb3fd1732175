"""The findings that an old project accepted on the day it adopted the gate, so that only new ones stop it.

A JSON file beside the migrations, `overproof-baseline/2`. Only the fingerprints decide; the rest is there so that a person
who reviews a change of the file sees what is being accepted.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from app.gate.errors import BaselineError
from app.gate.report.verdict import IN_BASELINE, Outcome

if TYPE_CHECKING:
    from app.gate.report.model import FindingEntry, Report


FORMAT = "overproof-baseline/2"


@dataclass(frozen=True, order=True)
class Known:
    """One accepted finding."""

    check: str
    revision: str
    object: str
    subject: str
    message: str
    fingerprint: str


@dataclass(frozen=True)
class Baseline:
    """Accepted findings, and the reason that a report gives for accepting them."""

    name: str  # of the file, as the user wrote it
    known: frozenset[Known] = frozenset()

    @property
    def fingerprints(self) -> frozenset[str]:
        return frozenset(each.fingerprint for each in self.known)

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
            raise BaselineError(
                f"the baseline {name} is of the format {document['format']!r}, not {FORMAT!r}: "
                "remove it, and recreate it with --write-baseline"
            )
        return Baseline(name, frozenset(Known(**each) for each in document["findings"]))
    except (KeyError, TypeError):
        raise BaselineError(f"{name} is not a baseline: remove it, and make it anew with --write-baseline") from None


def renew(baseline: Baseline, report: Report) -> Baseline:
    """The baseline after a run: what the run found, and what was known of checks that the run left out."""
    judged = {check.id for check in report.checks if check.outcome is not Outcome.SKIPPED}
    kept = (each for each in baseline.known if each.check not in judged)
    return Baseline(baseline.name, frozenset([*kept, *map(_known, report.open_findings)]))


def _known(finding: FindingEntry) -> Known:
    return Known(
        check=finding.check,
        revision=finding.revision or "",
        object=finding.object or "",
        subject=finding.subject,
        message=finding.message,
        fingerprint=finding.fingerprint,
    )


def render_baseline(known: Iterable[Known]) -> str:
    """The file's text: one finding per line, sorted, so that a change of it reads well in a review."""
    lines = ",\n".join(f"    {json.dumps(asdict(each), ensure_ascii=False)}" for each in sorted(known))
    return f'{{\n  "format": "{FORMAT}",\n  "findings": [\n{lines}\n  ]\n}}\n'
